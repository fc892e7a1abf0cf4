"""Nothing is published twice: kill -9 between items and cursor, and two processes at once."""

from __future__ import annotations

import asyncio
import threading

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import msgspec
import pytest

from structlog.testing import capture_logs

from connectors.rss import recovery
from connectors.rss.healthbook import HealthBook
from connectors.rss.memory import unpack
from connectors.rss.reading import remembered
from connectors.rss.recovery import Checkpoint, Kept, Ledger, Once
from connectors.rss.shard import Shard
from streams import clock
from streams.errors import FatalError, NotStoredError
from streams.events import cursor as cursor_entry
from streams.events import decode, raw
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log, Output, Position, Record
from streams.log.kafka import KafkaLog
from streams.records import Cursor, RawItem
from streams.settings import SHARD_KEY, Kafka
from streams.settings import EmbeddedLog as EmbeddedLogSettings
from streams.topics import CURSORS, DECLARED, RAW
from tests.integration.connecting import (
    embedded_log,
    published,
    records,
    running,
    until,
)
from tests.integration.papers import (
    a_paper,
    a_site,
    connector_of,
    item,
    parse_in_process,
    reading,
)


class _Mortal:
    """A log whose process a test can kill at an append."""

    dies_at: Callable[[Sequence[Output]], bool] = staticmethod(lambda _: False)
    dead = False

    async def append(
        self, outputs: Sequence[Output], *, intake: bool = True
    ) -> list[Position]:
        """See the protocol."""
        if self.dead:
            raise NotStoredError("the process is dead")
        if self.dies_at(outputs):
            self.dead = True
            raise FatalError("killed")
        stored: list[Position] = await super().append(outputs, intake=intake)  # type: ignore[misc] # a mixin
        return stored


class MortalEmbedded(_Mortal, EmbeddedLog):
    """On one file."""


class MortalKafka(_Mortal, KafkaLog):
    """On brokers."""


Mortal = MortalEmbedded | MortalKafka


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    parse_in_process(monkeypatch)


ON_KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)
#: On the embedded log a cursor covers all there is: such a test has no subject there.
where_appends_are_not_atomic = pytest.mark.parametrize("log", [ON_KAFKA], indirect=True)


@pytest.fixture(params=["embedded", ON_KAFKA])
async def log(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Mortal]:
    """Yield a log of either kind, with what the connector needs."""
    opened: Mortal
    if request.param == "embedded":
        opened = MortalEmbedded(tmp_path, EmbeddedLogSettings())
    else:
        bootstrap = request.getfixturevalue("kafka")
        prefix = request.getfixturevalue("prefix")
        opened = MortalKafka(Kafka(bootstrap=bootstrap), prefix=prefix)
    async with opened:
        await opened.create(DECLARED)
        yield opened


def is_cursor_of(ident: str) -> Callable[[Sequence[Output]], bool]:
    """Return whether an append holds the cursor of feed *ident*."""
    return lambda outputs: any(
        one.topic == CURSORS.name and one.key == ident.encode() for one in outputs
    )


async def cursors_of(log: Log, ident: str) -> list[Record]:
    """Return what lies on the topic of cursors for feed *ident*."""
    stored = await records(log, CURSORS.name)
    return [one for one in stored if one.key == ident.encode()]


@asynccontextmanager
async def dying(
    log: Mortal, at: Callable[[Sequence[Output]], bool]
) -> AsyncIterator[None]:
    """Kill at the append that *at* names what runs inside; then the log is alive again."""
    log.dies_at = at
    with pytest.raises(FatalError, match="killed"):
        yield
    log.dies_at, log.dead = (lambda _: False), False


async def test_items_whose_cursor_a_killed_process_did_not_write_are_not_repeated(
    log: Mortal,
) -> None:
    async with a_paper() as paper:
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > 0)
        paper.items = [item(3), item(2, "edited"), item(1)]
        async with dying(log, is_cursor_of("paper")):
            await reading(paper, log).run(asyncio.Event())
        paper.items.insert(0, item(4))
        before = paper.not_modified
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > before)
        found = Counter((one.title, one.text) for one in await published(log))
    assert found == {
        ("Item 1", "as it was"): 1,
        ("Item 2", "as it was"): 1,
        ("Item 2", "edited"): 1,
        ("Item 3", "as it was"): 1,
        ("Item 4", "as it was"): 1,
    }


async def test_what_a_cursor_covers_is_not_recovered_nor_stored_again(
    log: Mortal,
) -> None:
    async with a_paper() as paper:
        connector = reading(paper, log)
        with suppress(asyncio.CancelledError):
            killed = asyncio.create_task(connector.run(asyncio.Event()))
            await until(lambda: paper.not_modified > 0)
            paper.items.insert(0, item(3))
            await until(lambda: connector.statuses()[0].published == 3)
            killed.cancel()
            log.dead = True
            await killed
        log.dead = False
        cursors = await cursors_of(log, "paper")
        with capture_logs() as lines:
            await Ledger(log, Shard()).open({"paper"})
        (opened,) = [one for one in lines if one["event"] == "rss.shard_opened"]
        assert opened["recovered"] == 0
        assert await cursors_of(log, "paper") == cursors


async def test_a_text_that_comes_again_after_a_kill_is_published_again(
    log: Mortal,
) -> None:
    async with a_paper() as paper:
        connector = reading(paper, log)
        killed = asyncio.create_task(connector.run(asyncio.Event()))
        await until(lambda: paper.not_modified > 0)
        paper.items = [item(2, "edited"), item(1)]
        await until(lambda: connector.statuses()[0].published == 3)
        async with dying(log, is_cursor_of("paper")):
            paper.items.insert(0, item(3))
            await killed
        paper.items[1] = item(2)
        before = paper.not_modified
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > before)
        found = [(one.title, one.text) for one in await published(log)]
    assert [text for title, text in found if title == "Item 2"] == [
        "as it was",
        "edited",
        "as it was",
    ]
    assert len(found) == 5


@where_appends_are_not_atomic
async def test_only_what_lies_behind_what_a_cursor_covers_is_added(
    log: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[list[str]] = []

    def noted(memory: bytes, items: Sequence[RawItem]) -> bytes:
        added.append([one.title for one in items])
        return remembered(memory, items)

    monkeypatch.setattr(recovery, "remembered", noted)
    async with a_paper() as paper:
        paper.items = [item(1)]
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > 0)
        (first,) = await published(log)
        paper.items = [item(2)]
        async with dying(log, is_cursor_of("paper")):
            await reading(paper, log).run(asyncio.Event())
        archived = msgspec.structs.replace(first, title="Archived", archived=True)
        await log.append([raw(archived)])
        # As if the checkpoint were old.
        monkeypatch.setattr(Ledger, "_at_risk", lambda *_: log.starts(RAW.name))
        await Ledger(log, Shard()).open({"paper"})
        assert added == [["Item 2"]]
        await Ledger(log, Shard()).open({"paper"})
        assert added == [["Item 2"]]


@where_appends_are_not_atomic
async def test_a_topic_that_was_made_anew_is_covered_by_no_cursor(
    log: Mortal,
) -> None:
    async with a_paper() as paper:
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > 0)
        (one, *_) = await published(log)
        item_of = msgspec.structs.replace(one, title="Other")
        ends = await log.ends(RAW.name)
        (partition,) = [at for at, end in ends.items() if end]
        far = Kept().cursor("paper", clock.now(), {partition: 1_000})
        checkpoint = Checkpoint(9, "gone", dict.fromkeys(ends, 1_000))
        await log.append(
            [
                cursor_entry(far),
                cursor_entry(checkpoint.cursor(f"{SHARD_KEY}1/1", clock.now())),
                raw(item_of),
            ]
        )
        kept = await Ledger(log, Shard()).open({"paper"})
    assert len(unpack(kept["paper"].entries).traces) == 3


async def test_a_document_of_several_appends_is_remembered_as_far_as_it_came(
    log: Mortal,
) -> None:
    appends = 0

    def at_the_second(outputs: Sequence[Output]) -> bool:
        nonlocal appends
        appends += any(one.topic == RAW.name for one in outputs)
        return appends == 2

    async with a_paper() as paper:
        paper.items = [item(number) for number in range(450)]
        async with dying(log, at_the_second):
            await reading(paper, log).run(asyncio.Event())
        assert len(await published(log)) == 200
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > 0)
        titles = Counter(one.title for one in await published(log))
    assert len(titles) == 450
    assert set(titles.values()) == {1}


async def test_a_long_document_is_remembered_off_the_loop_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[tuple[int, bool]] = []

    def watched(memory: bytes, items: Sequence[RawItem]) -> bytes:
        on_loop = threading.current_thread() is threading.main_thread()
        looked_at.append((len(items), on_loop))
        return remembered(memory, items)

    monkeypatch.setattr(recovery, "remembered", watched)
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        paper.items = [item(number) for number in range(1_100)]
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > 0)
        assert len(await published(log)) == 1_100
    assert [count for count, _ in looked_at] == [200] * 5
    assert not any(on_loop for _, on_loop in looked_at)


async def test_items_on_the_log_without_any_cursor_or_checkpoint_are_not_repeated(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > 0)
        items = await published(log)
        async with embedded_log(tmp_path / "other") as other:
            await other.append([raw(one) for one in items])
            paper.items.append(item(3))
            before = paper.not_modified
            async with running(reading(paper, other)):
                await until(lambda: paper.not_modified > before)
            titles = [one.title for one in await published(other)]
    assert titles == ["Item 1", "Item 2", "Item 3"]


async def test_a_start_that_the_log_interrupts_recovers_what_the_first_try_had_found(
    log: Mortal, tmp_path: Path
) -> None:
    is_away = True

    def away_once(outputs: Sequence[Output]) -> bool:
        nonlocal is_away
        if is_away and is_cursor_of("paper")(outputs):
            is_away = False
            raise NotStoredError("the log is away")
        return False

    async with a_paper() as paper, embedded_log(tmp_path / "other") as other:
        async with running(reading(paper, other)):
            await until(lambda: paper.not_modified > 0)
        await log.append([raw(one) for one in await published(other)])
    log.dies_at = away_once
    ledger = Ledger(log, Shard())
    with pytest.raises(NotStoredError):
        await ledger.open({"paper"})
    kept = await ledger.open({"paper"})
    assert len(unpack(kept["paper"].entries).traces) == 2


async def test_health_is_never_written_before_what_the_poll_gave_is_stored(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        with capture_logs() as lines:
            async with running(reading(paper, log)):
                await until(lambda: paper.not_modified > 0)
                log.away = True
                paper.items.append(item(3))
                await until(
                    lambda: any(
                        line["event"] == "connector.waiting_for_log" for line in lines
                    )
                )
        log.away = False
        health = (await HealthBook(log).load(["paper"])).get("paper")
        async with running(reading(paper, log)):
            before = paper.not_modified
            await until(lambda: paper.not_modified > before)
        titles = [one.title for one in await published(log)]
    assert health is None or health.published <= 2
    assert titles == ["Item 1", "Item 2", "Item 3"]


async def test_a_permanent_stop_writes_how_the_feeds_do(log: Mortal) -> None:
    async with a_site() as site:
        feeds = [site.feed(f"f{number}") for number in range(3)]
        connector = connector_of(*feeds, log=log)
        async with running(connector):
            await until(
                lambda: [one.state for one in connector.statuses()] == ["fresh"] * 3
            )
        ids = {one.id for one in feeds}
        healths = await HealthBook(log).load(ids)
    assert healths.keys() == ids
    assert {one.state for one in healths.values()} == {"good"}
    assert all(one.next_poll and one.published == 1 for one in healths.values())


async def test_a_restart_asks_nothing_that_is_not_due(log: Mortal) -> None:
    async with a_site() as site:
        feeds = [site.feed(f"f{number}") for number in range(3)]
        connector = connector_of(*feeds, log=log)
        async with running(connector):
            await until(lambda: sum(site.asked.values()) == 3)
            await until(
                lambda: [one.state for one in connector.statuses()] == ["fresh"] * 3
            )
        added = site.feed("added")
        connector = connector_of(*feeds, added, log=log)
        async with running(connector):
            await until(lambda: site.asked["/added"] == 1)
            dues = [one.due for one in connector.statuses()]
        assert site.asked == {"/f0": 1, "/f1": 1, "/f2": 1, "/added": 1}
        assert all(dues)


async def test_of_two_processes_with_one_shard_the_newer_one_wins(log: Mortal) -> None:
    older, newer = Ledger(log, Shard()), Ledger(log, Shard())
    await older.open(set())
    await older.look()
    await newer.open(set())
    with pytest.raises(FatalError, match=r"rss.shard 1/1 now \(.*stop it and start"):
        await older.look()
    await newer.look()
    assert older.lost
    assert not newer.lost
    await older.close()
    third = Ledger(log, Shard())
    await third.open(set())
    with pytest.raises(FatalError):
        await newer.look()


async def test_two_that_start_at_once_do_not_both_go_on_nor_both_stop(
    tmp_path: Path,
) -> None:
    async with embedded_log(tmp_path) as log:
        for _ in range(10):
            ledgers = [Ledger(log, Shard()), Ledger(log, Shard())]
            await asyncio.gather(*(one.open(set()) for one in ledgers))
            for one in (*ledgers, *ledgers):
                with suppress(FatalError):
                    await one.look()
            assert sorted(one.lost for one in ledgers) == [False, True]


async def test_a_process_that_was_paused_looks_before_it_publishes(
    tmp_path: Path,
) -> None:
    async with embedded_log(tmp_path) as log:
        paused, newer = Ledger(log, Shard(), checkpoint_s=0.01), Ledger(log, Shard())
        await paused.open(set())
        await newer.open(set())
        await asyncio.sleep(0.03)  # longer than a lease
        with pytest.raises(FatalError):
            await paused.publish(
                "paper",
                (),
                before=Kept(),
                after=Kept(b"memory"),
                stop=asyncio.Event(),
            )
        assert not await newer.kept({"paper"})


async def test_a_connector_whose_shard_is_taken_over_stops_and_says_by_whom(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        older = asyncio.create_task(
            connector_of(site.feed("f"), log=log, checkpoint_s=0.2).run(asyncio.Event())
        )
        await until(lambda: site.asked["/f"] == 1)
        async with running(connector_of(site.feed("f"), log=log)):
            async with asyncio.timeout(5):
                with pytest.raises(FatalError, match="another process reads the feeds"):
                    await older


async def test_shards_share_the_feeds_and_none_is_read_twice(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        hosts = ("127.0.0.1", "localhost")
        feeds = [
            site.feed(f"{host}-{number}", host=host)
            for host in hosts
            for number in range(3)
        ]
        first = connector_of(*feeds, log=log, shard="1/2")
        second = connector_of(*feeds, log=log, shard="2/2")
        async with running(first), running(second):
            await until(lambda: sum(site.asked.values()) == 6)
            read = [[one.id for one in each.statuses()] for each in (first, second)]
        assert sorted(read[0] + read[1]) == sorted(feed.id for feed in feeds)
        assert set(site.asked.values()) == {1}


async def test_what_another_number_of_shards_left_is_recovered_too(
    log: Mortal,
) -> None:
    async with a_paper() as paper:
        async with dying(log, is_cursor_of("paper")):
            await reading(paper, log).run(asyncio.Event())
        repeated = []
        for number in (1, 2):
            ledger = Ledger(log, Shard(number, 2))
            repeated.append((await ledger.open({"paper"})).get("paper", Kept()))
    if log.atomic:
        assert not await published(log)
    else:
        assert all(kept.entries for kept in repeated)


async def test_what_another_number_of_shards_left_is_looked_for_once(
    tmp_path: Path,
) -> None:
    async with embedded_log(tmp_path) as log:
        await Ledger(log, Shard()).open(set())  # killed
        await log.append([Output(RAW.name, b"key", b"value")])
        second = Ledger(log, Shard(1, 2))
        await second.open(set())
        assert (await checkpoint_of(log, "1/2")).ends != await log.ends(RAW.name)
        await second.look()
        await Ledger(log, Shard(1, 2)).open(set())
        assert (await checkpoint_of(log, "1/2")).ends == await log.ends(RAW.name)


async def checkpoint_of(log: Log, shard: str) -> Checkpoint:
    """Return the last checkpoint of *shard*."""
    record = (await cursors_of(log, f"{SHARD_KEY}{shard}"))[-1]
    checkpoint = Checkpoint.of(decode(Cursor, record.value))
    assert checkpoint is not None
    return checkpoint


async def test_what_expired_since_the_checkpoint_is_passed_over(log: Mortal) -> None:
    async with a_paper() as paper:
        async with dying(log, is_cursor_of("paper")):
            await reading(paper, log).run(asyncio.Event())
        await log.delete_before(RAW.name, await log.ends(RAW.name))
        async with asyncio.timeout(10):
            await Ledger(log, Shard()).open({"paper"})


class Flapping:
    """A log that stores, says that it did not, and counts what is read of it."""

    atomic = False

    def __init__(self, log: EmbeddedLog) -> None:
        self._log = log
        self.failures = 0
        self.read_records = 0
        self.ends = log.ends

    async def append(self, outputs: Sequence[Output]) -> list[Position]:
        positions = await self._log.append(outputs)
        if self.failures:
            self.failures -= 1
            raise NotStoredError("no acknowledgement came")
        return positions

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        async for record in self._log.read(topic, offsets, until):
            self.read_records += 1
            yield record


async def test_a_log_that_flaps_is_read_once_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    def entry(number: int) -> Output:
        return Output(RAW.name, b"%d" % number, b"value")

    async with embedded_log(tmp_path) as log:
        since = await log.ends(RAW.name)
        await log.append([entry(number) for number in range(1_000)])
        flapping = Flapping(log)
        once = Once(cast("Log", flapping), since)
        flapping.failures = 5
        mine: list[Position] = []
        for batch in (range(2_000, 2_003), range(2_003, 2_006)):
            outputs = [entry(number) for number in batch]
            while flapping.failures:
                with pytest.raises(NotStoredError):
                    await once.append(outputs)
                # Others write meanwhile.
                await log.append([entry(number) for number in range(100)])
            mine += await once.append(outputs)
            flapping.failures = 3
        stored = [
            one for one in await records(log, RAW.name) if len(one.key or b"") == 4
        ]
        at = {one.position: one.key for one in stored}
        assert [at[position] for position in mine] == [
            b"%d" % number for number in range(2_000, 2_006)
        ]
        assert len(stored) == 6
        assert flapping.read_records <= await _count(log)


async def _count(log: EmbeddedLog) -> int:
    return len(await records(log, RAW.name))
