"""The whole path on Kafka and Elasticsearch, with workers and servers that die."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import time

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
import pytest

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from console.flow import lags
from streams import settings as configuration
from streams.log.face import Log, Output, Record
from streams.log.opening import open_log
from streams.records import Incident
from streams.settings import Settings
from streams.topics import INCIDENTS, RAW, RAW_MAX_BYTES, RECORD_MAX_BYTES
from tests.servers.handles import ElasticsearchServer, KafkaServer


if TYPE_CHECKING:
    from tests.acceptance.conftest import Running, Wirewatch

pytestmark = pytest.mark.timeout(400)

PATIENCE_S = 120.0
LOOK_S = 0.1
#: A killed server is started again after so long, and takes some seconds to come up.
AWAY_S = 4.0
T = TypeVar("T")

PLACES = ["Kayes", "Gao", "Kidal", "Mopti", "Sikasso", "Ansongo", "Djibo", "Diffa"]
DEEDS = [
    "Gunmen killed {n} drivers of a convoy near {place}",
    "Floods destroyed {n} houses in {place}",
    "Teachers marched in {place}, {n} schools stayed closed",
    "The mayor of {place} opened {n} new wells",
]
WORDS = """market river lorry bridge cattle harvest border clinic council rain road village
 radio minister station fuel water morning witness officer family report""".split()  # noqa: SIM905 - reads as text


class World(NamedTuple):
    """The command, and the servers that its workers use."""

    wirewatch: Wirewatch
    settings: Settings
    search: Elasticsearch

    def worker(self) -> Running:
        return self.wirewatch.start("worker")

    def ingest(self, entries: Iterable[dict[str, str]]) -> subprocess.Popen[str]:
        """Begin to publish *entries*."""
        file = self.wirewatch.folder / "entries.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in entries), "utf-8")
        return self.wirewatch.start("ingest", file.name, "--no-wait").process

    def audited(self) -> Any:
        """Return the account once nothing is on its way; fails if it is not balanced."""
        return self.wirewatch.lines("audit", "--wait", "--json")[0]

    def on_log(self, ask: Callable[[Log], Coroutine[Any, Any, T]]) -> T:
        async def asked() -> T:
            async with open_log(self.settings) as log:
                return await ask(log)

        return asyncio.run(asked())

    def indexed(self) -> int:
        """Return how many items there are."""
        alias = f"{self.settings.prefix}items"
        self.search.indices.refresh(index=alias, ignore_unavailable=True)
        found = self.search.count(index=alias, ignore_unavailable=True)
        return int(found["count"])

    def documents(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return id and document of everything behind an alias, as often as it is there."""
        alias = f"{self.settings.prefix}{kind}"
        self.search.indices.refresh(index=alias)
        return [(hit["_id"], hit["_source"]) for hit in scan(self.search, index=alias)]


MakeWorld = Callable[[str, str, str], World]


@pytest.fixture
def make_world(wirewatch: Wirewatch) -> Iterator[MakeWorld]:
    """Return what configures the command for a prefix, a Kafka and an Elasticsearch."""
    with ExitStack() as stack:

        def make(prefix: str, kafka: str, elasticsearch: str) -> World:
            file = wirewatch.folder / "wirewatch.toml"
            file.write_text(
                f'mode = "servers"\nprefix = "{prefix}"\n'
                f'[kafka]\nbootstrap = "{kafka}"\nsession_timeout_s = 6\n'
                f'[elasticsearch]\nurl = "{elasticsearch}"\n',
                "utf-8",
            )
            # A server that came back has closed the connections that we still hold.
            search = stack.enter_context(Elasticsearch(elasticsearch, max_retries=5))
            return World(wirewatch, configuration.load(file, environ={}), search)

        yield make


def entries(numbers: Iterable[int]) -> list[dict[str, str]]:
    """Return an item a number, each with its own text, from a few publishers."""
    return [_entry(n, random.Random(n)) for n in numbers]


def _entry(n: int, rng: random.Random) -> dict[str, str]:
    deed = rng.choice(DEEDS).format(n=rng.randint(2, 40), place=rng.choice(PLACES))
    rest = " ".join(rng.choices(WORDS, k=30))
    return {
        "id": f"item-{n}",
        "title": deed,
        "text": f"{deed} on Monday, said an official. The {rest}, number {n}.",
        "source": f"feed-{n % 9}",
        "publisher": f"paper-{n % 9}.example",
        "published": "2026-11-23T09:00:00Z",
    }


def changed(one: dict[str, str]) -> dict[str, str]:
    return one | {"text": one["text"] + " The number of the dead has risen."}


def until(holds: Callable[[], bool], workers: Sequence[Running]) -> None:
    """Return when it holds; servers tell of no event that could be awaited instead."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        said = "\n".join(worker.said[-3000:] for worker in workers)
        assert time.monotonic() < deadline, said
        time.sleep(LOOK_S)


async def snapshot(log: Log, topic: str) -> list[Record]:
    starts, ends = await log.starts(topic), await log.ends(topic)
    return [record async for record in log.read(topic, starts, ends)]


def test_two_workers_lose_nothing_when_one_is_killed(
    make_world: MakeWorld, prefix: str, kafka: str, elasticsearch: str
) -> None:
    at = make_world(prefix, kafka, elasticsearch)
    good = entries(range(1600))
    copies, revised = good[100:300], [changed(one) for one in good[300:500]]
    refused = good[0] | {"id": "huge", "text": "x" * (RAW_MAX_BYTES + 1)}
    broken = [b"\xff\xfe{", b"", b"[]", b'{"identities": 7}']
    # Small enough for the topic, too large once a stage has added to it.
    item = json.loads(at.wirewatch("inspect", "-", stdin=json.dumps(good[0])).stdout)
    item |= {"identities": [{"kind": "guid", "value": "large"}], "text": ""}
    room = RECORD_MAX_BYTES - len(json.dumps(item)) - 100
    broken.append(json.dumps(item | {"text": "x" * room}).encode())

    workers = [at.worker(), at.worker()]
    for worker in workers:
        worker.says("worker.ready")
    ingesting = at.ingest([*good, *copies, refused, *revised])
    at.on_log(lambda log: log.append([Output(RAW.name, b"bad", one) for one in broken]))
    until(lambda: at.indexed() >= 100, workers)
    workers[0].kill()
    assert at.indexed() < 1600, "killed too late to show anything"
    assert ingesting.wait(PATIENCE_S) == 1  # something was refused
    account = at.audited()
    until(lambda: not any(at.on_log(lags).values()), workers)
    workers[1].stop()

    fates = account["fates"]
    assert account["balanced"]
    assert account["total"] == 2000 + len(broken)
    assert fates["dead letter"] == len(broken)
    assert fates["indexed"] == 1600
    assert fates["superseded"] == 200
    assert fates["duplicate"] == 200
    assert [one["kind"] for one in account["at_door"]] == ["oversize"]
    found = at.documents("items")
    items = dict(found)
    assert len(found) == len(items) == 1600
    assert sum("has risen" in item["text"] for item in items.values()) == 200
    # Incidents and items refer to each other, and to nothing that is not there.
    shown = dict(at.documents("incidents"))
    told = at.on_log(partial(snapshot, topic=INCIDENTS.name))
    incidents = [msgspec.json.decode(r.value or b"", type=Incident) for r in told]
    assert {one.id for one in incidents} == set(shown)
    assert {report.item for one in incidents for report in one.reports} <= set(items)
    named = {ident for item in items.values() for ident in item.get("incidents", ())}
    assert named
    assert named <= set(shown)


def test_servers_that_come_late_or_die_are_waited_for(
    make_world: MakeWorld,
    own_kafka: Callable[[], KafkaServer],
    own_elasticsearch: Callable[[], ElasticsearchServer],
) -> None:
    with ThreadPoolExecutor() as starters:
        starting = starters.submit(own_elasticsearch)
        kafka, elasticsearch = own_kafka(), starting.result()
    at = make_world("late-", kafka.address, elasticsearch.url)
    for server in (kafka, elasticsearch):
        server.kill()

    worker = at.worker()
    worker.says("waiting", "topics", kafka.address)
    kafka.start()
    worker.says("waiting", "search index")
    elasticsearch.start()
    worker.says("worker.ready")

    fed = 0
    for server, words in (
        (elasticsearch, ("waiting", "stage=index")),
        (kafka, ("Unable connect to node", kafka.address.rpartition(":")[2])),
    ):
        ingesting = at.ingest(entries(range(fed, fed + 600)))
        until(lambda fed=fed: at.indexed() > fed, [worker])  # type: ignore[misc]
        server.kill()
        back = time.monotonic() + AWAY_S
        fed += 600
        if server is elasticsearch:
            # However fast the worker was, now there is something to wait with.
            assert ingesting.wait(PATIENCE_S) == 0
            assert at.ingest(entries(range(fed, fed + 50))).wait(PATIENCE_S) == 0
            fed += 50
        worker.says(*words)
        time.sleep(max(0.0, back - time.monotonic()))  # being away is the point
        server.start()
        assert ingesting.wait(PATIENCE_S) == 0
        account = at.audited()
        assert account["balanced"]
        assert account["fates"]["indexed"] == at.indexed() == fed
        assert worker.process.poll() is None, worker.said[-4000:]
    worker.stop()
