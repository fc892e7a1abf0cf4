"""Speed of the search indices.

``python -m bench.index [N]`` fills an embedded index with N documents (default 100,000)
of some 1.5 kB, and asks it the usual questions. With ``WIRETEST_ELASTICSEARCH`` (a URL)
in the environment it also measures bulk writes there, under a prefix of its own that it
deletes afterwards.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec

from elasticsearch import AsyncElasticsearch

from mappings.elastic import ElasticIndex
from mappings.embedded import EmbeddedIndex
from mappings.face import SearchIndex, Sort
from mappings.query import parse
from streams.records import Classification, Event, Identity, Item, Language, Source
from streams.settings import Elasticsearch
from streams.text import fingerprint


BATCH = 500
SINGLES = 200
REPEATS = 100
ELASTIC_MAX = 20_000
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

QUESTIONS: tuple[tuple[str, str, Sort], ...] = (
    ("a word, newest", "convoy", "newest"),
    ("a word, relevance", "convoy", "relevance"),
    ("a rare word", "kayes", "relevance"),
    ("two words", "convoy kayes", "relevance"),
    ("a phrase", '"fuel convoy"', "relevance"),
    ("a prefix", "attac*", "relevance"),
    ("boolean and filters", "(convoy OR flood) -strike lang:fr after:-7d", "relevance"),
    ("filters alone", "lang:fr class:protest", "newest"),
    ("nothing, newest", "", "newest"),
)

#: Words of news in their stems; the rest of the vocabulary is made up.
_NEWS = [
    "attack",
    "fuel",
    "convoy",
    "flood",
    "strike",
    "road",
    "village",
    "official",
    "quoted",
    "market",
    "hospital",
    "attacked",
    "attacking",
    "strikes",
    "floods",
    "protest",
    "march",
    "union",
    "teacher",
    "border",
    "patrol",
]


@cache
def _vocabulary() -> list[str]:
    rng = random.Random(0)
    letters = "aeioubdfgklmnprst"
    words = [
        "".join(rng.choice(letters) for _ in range(rng.randint(3, 10)))
        for _ in range(40_000)
    ]
    words[300:300] = _NEWS  # as frequent as such words are: in some 5 % of items
    return words


def documents(count: int, seed: int = 1) -> Iterator[Item]:
    """Yield items of about 200 words, whose word frequencies follow the law of Zipf and Mandelbrot."""
    rng = random.Random(seed)
    vocabulary = _vocabulary()
    weights = [1 / (rank + 2.7) for rank in range(len(vocabulary))]
    for number in range(count):
        words = rng.choices(vocabulary, weights, k=200)
        if number % 300 == 0:
            words[100:103] = ["fuel", "convoy", "Kayes"]
        moment = NOW - timedelta(seconds=number * 20)
        yield Item(
            identities=(Identity(kind="guid", value=str(number)),),
            publisher=f"paper{number % 40}.example",
            source=Source(connector="rss", id=f"paper{number % 40}.example/rss"),
            link=f"https://paper{number % 40}.example/{number}",
            title=" ".join(words[:10]),
            text=" ".join(words[10:]),
            published=moment,
            fetched=moment,
            id="i" + fingerprint(str(number)),
            revision=1,
            content_hash=fingerprint("text", str(number)),
            first_seen=moment,
            anchor=moment,
            language=Language(code=rng.choice(("en", "fr", "es", "ar", "ha"))),
            events=(
                Event(
                    incident_class=Classification(
                        label=rng.choice(("protest", "battle", "disaster")),
                        confidence=0.5,
                    )
                ),
            ),
            version=1,
        )


async def filled(index: SearchIndex, items: Sequence[Item]) -> float:
    """Write *items* in batches; documents a second."""
    started = time.perf_counter()
    for start in range(0, len(items), BATCH):
        await index.write(items[start : start + BATCH])
    return len(items) / (time.perf_counter() - started)


async def latencies_ms(index: SearchIndex, text: str, sort: Sort) -> list[float]:
    """Ask one question again and again; milliseconds each time, sorted."""
    query = parse(text, now=NOW)
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        await index.search(query, sort=sort)
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)


def shown(name: str, taken: Sequence[float]) -> None:
    """Print median and 99th percentile."""
    high = taken[min(len(taken) - 1, len(taken) * 99 // 100)]
    print(f"  {name:<24} p50 {statistics.median(taken):7.2f} ms   p99 {high:7.2f} ms")


async def embedded(count: int, folder: Path) -> None:
    """Measure the embedded index."""
    async with EmbeddedIndex(folder) as index:
        await index.prepare()
        rate, done = 0.0, 0
        started = time.perf_counter()
        while done < count:  # never all in memory at once
            part = list(documents(min(20_000, count - done), seed=done + 1))
            part = [_renumbered(item, done + at) for at, item in enumerate(part)]
            rate = await filled(index, part)
            done += len(part)
            print(f"  {done:>9,} documents: {rate:7,.0f} docs/s")
        print(f"  filled in {time.perf_counter() - started:.0f} s, generation included")
        singles: list[float] = []
        for item in documents(SINGLES, seed=0):
            one = _renumbered(item, count + len(singles))
            started = time.perf_counter()
            await index.write([one])
            singles.append((time.perf_counter() - started) * 1000)
        shown("one document, durable", sorted(singles))
        for name, text, sort in QUESTIONS:
            taken = await latencies_ms(index, text, sort)
            page = await index.search(parse(text, now=NOW), sort=sort)
            shown(f"{name} ({page.total:,})", taken)


def _renumbered(item: Item, number: int) -> Item:
    return msgspec.structs.replace(item, id="i" + fingerprint("bench", str(number)))


async def elastic(url: str, count: int) -> None:
    """Measure Elasticsearch, and delete what was written."""
    prefix = "bench-index-"
    async with (
        ElasticIndex(Elasticsearch(url=url), prefix) as index,
        AsyncElasticsearch(url) as client,
    ):
        await index.prepare()
        try:
            items = list(documents(count))
            print(f"  bulk: {await filled(index, items):,.0f} docs/s")
            await index.refresh()
            for name, text, sort in QUESTIONS:
                shown(name, await latencies_ms(index, text, sort))
        finally:
            for kind in ("items", "incidents"):
                for name in await client.indices.get(index=f"{prefix}{kind}-*"):
                    await client.indices.delete(index=name)
                await client.indices.delete_index_template(
                    name=f"{prefix}wirewatch-{kind}"
                )


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"embedded index, {count:,} documents of some 1.5 kB")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(embedded(count, Path(folder)))
        size_bytes = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"  {size_bytes / count / 1000:.1f} kB a document on disk")
    if url := os.environ.get("WIRETEST_ELASTICSEARCH"):
        print("Elasticsearch")
        asyncio.run(elastic(url, min(count, ELASTIC_MAX)))


if __name__ == "__main__":
    main()
