"""Topics on Kafka that somebody has made wrongly, or deleted records of."""

from __future__ import annotations

import asyncio
import json

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from console.exits import Exit
from streams.log.opening import open_log
from streams.settings import Elasticsearch as Index
from streams.settings import Kafka, Settings
from streams.topics import CORRELATE_TABLE, DEDUPE_TABLE, RAW
from tests.tampering import delete, truncate


if TYPE_CHECKING:
    from tests.acceptance.conftest import Running, Wirewatch

COUNT = 60


class World(NamedTuple):
    """The command, set up for servers, and the index."""

    wirewatch: Wirewatch
    settings: Settings
    search: Elasticsearch

    def worker(self, *said: str) -> Running:
        """Return a worker that is ready, and has said these before."""
        worker = self.wirewatch.start("worker")
        for words in (*said, "worker.ready"):
            worker.errors_until(words)
        return worker

    def ingest(self, entries: list[dict[str, str]]) -> None:
        """Publish *entries*, and have each one accounted for."""
        lines = "".join(json.dumps(one) + "\n" for one in entries)
        self.wirewatch("ingest", "-", "--no-wait", stdin=lines)
        account = self.wirewatch.lines("audit", "--wait", "--json")[0]
        assert account["balanced"], account

    def texts(self) -> list[str]:
        """Return the texts in the index, a document each."""
        alias = f"{self.settings.prefix}items"
        self.search.indices.refresh(index=alias)
        return sorted(hit["_source"]["text"] for hit in scan(self.search, index=alias))


@pytest.fixture
def world(
    wirewatch: Wirewatch, prefix: str, kafka: str, elasticsearch: str
) -> Iterator[World]:
    settings = Settings(
        mode="servers",
        prefix=prefix,
        kafka=Kafka(bootstrap=kafka),
        elasticsearch=Index(url=elasticsearch),
    )
    wirewatch.settings = {
        "WIREWATCH_MODE": "servers",
        "WIREWATCH_PREFIX": prefix,
        "WIREWATCH_KAFKA_BOOTSTRAP": kafka,
        "WIREWATCH_ELASTICSEARCH_URL": elasticsearch,
    }
    with Elasticsearch(elasticsearch) as search:
        yield World(wirewatch, settings, search)


def test_a_worker_does_not_begin_on_a_topic_with_another_number_of_partitions(
    world: World,
) -> None:
    wrong = replace(RAW, partitions=RAW.partitions + 1)

    async def create() -> None:
        async with open_log(world.settings) as log:
            await log.create([wrong])

    asyncio.run(create())
    said = world.wirewatch("worker", code=Exit.UNAVAILABLE).stderr
    name = world.settings.prefix + RAW.name
    count = f"{name}: has {wrong.partitions} partitions, needs {RAW.partitions}"
    assert count in " ".join(said.split())


def test_tables_that_lost_records_are_named_and_a_source_made_anew_is_not_read(
    world: World,
) -> None:
    entries = [
        {
            "id": f"item-{n}",
            "title": f"Gunmen killed {n} drivers near Kayes",
            "text": f"Gunmen killed {n} drivers of a fuel convoy near Kayes. Number {n}.",
            "publisher": f"paper-{n % 5}.example",
            "published": "2026-11-23T09:00:00Z",
        }
        for n in range(COUNT)
    ]
    worker = world.worker()
    world.ingest(entries)
    for number, table in enumerate((DEDUPE_TABLE, CORRELATE_TABLE)):
        worker.end()
        asyncio.run(truncate(world.settings, table, share=0.5))
        worker = world.worker("a table is not whole")
        for at in range(number, COUNT, 3):
            entries[at]["text"] += f" Corrected {number}."
        world.ingest(entries)
        assert world.texts() == sorted(one["text"] for one in entries)
    worker.end()

    asyncio.run(delete(world.settings, RAW))
    said = " ".join(world.wirewatch("worker", code=Exit.UNAVAILABLE).stderr.split())
    assert "items.raw: was made anew, or is an older copy" in said
    assert f"and with it {DEDUPE_TABLE.name}" in said
