"""The index is away while news comes in: memory, disk, and how fast it catches up.

``python -m bench.outage [N]``: publishes N items (100,000: a quarter of an hour at 110 a
second) as fast as the stages take them while the index answers nobody, then lets it
answer. The embedded index is held by a foreign write lock; Elasticsearch stands behind a
door of ours that refuses. Memory is the worker's and its child processes', each second.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import psutil

from bench.figures import fresh, modes
from bench.path import CHUNK, SETTLE_S, working
from bench.texts import items
from streams import events
from streams.errors import NotStoredError
from streams.log.face import Log
from streams.log.opening import open_log
from streams.settings import Settings
from streams.topics import DECLARED, INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE, Topic, group


LOOK_S = 1.0
READ_BYTES = 1 << 16
MB = 1 << 20
READERS = {"dedupe": RAW, "annotate": UNIQUE, "correlate": TAGGED}


@dataclass
class Door:
    """A way to Elasticsearch that can be shut."""

    host: str
    port: int
    url: str = ""
    shut: bool = False
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def let_in(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass one connection on, while the door is open."""
        if self.shut:
            writer.close()
            return
        there, back = await asyncio.open_connection(self.host, self.port)
        self._open |= {writer, back}
        try:
            await asyncio.gather(_pass(reader, back), _pass(there, writer))
        finally:
            self._open -= {writer, back}

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Keep it shut meanwhile, also for who is inside."""
        self.shut = True
        for writer in self._open:
            writer.transport.abort()
        yield
        self.shut = False


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(READ_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def door(url: str) -> AsyncIterator[Door]:
    """Open a door to the Elasticsearch at *url*."""
    parts = urlsplit(url)
    it = Door(parts.hostname or "localhost", parts.port or 9200)
    server = await asyncio.start_server(it.let_in, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield it


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep everybody else from writing to the embedded index in *folder*."""
    (file,) = folder.glob("index-*.db")
    with sqlite3.connect(file, isolation_level=None, timeout=30) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")
    db.close()


@dataclass
class Watch:
    """The worker's memory, looked at each second."""

    pid: int
    seen: list[int] = field(default_factory=list)

    def look(self) -> int:
        """Return the bytes in use now."""
        process = psutil.Process(self.pid)
        family = [process, *process.children(recursive=True)]
        self.seen.append(sum(one.memory_info().rss for one in family))
        return self.seen[-1]

    def peak(self) -> int:
        """Return the most since this was last asked."""
        most, self.seen = max(self.seen), []
        return most


async def outage(mode: str, settings: Settings, count: int) -> str:
    """Return a line of figures."""
    if mode == "embedded":
        return await _outage(settings, count, lambda: held(settings.data_folder))
    async with door(settings.elasticsearch.url) as way:
        search = msgspec.structs.replace(settings.elasticsearch, url=way.url)
        behind = msgspec.structs.replace(settings, elasticsearch=search)
        return await _outage(behind, count, way.closed)


async def _outage(
    settings: Settings, count: int, away: Callable[[], AbstractContextManager[None]]
) -> str:
    async with open_log(settings) as log:
        await log.create(DECLARED)
        async with working(settings) as (process, _):
            watch = Watch(process.pid)
            await asyncio.sleep(SETTLE_S)
            at_rest, disk = watch.look(), _size_bytes(settings)
            since = time.monotonic()
            with away():
                await _publish(log, count, watch)
                for stage, topic in READERS.items():
                    await _until_read(log, stage, (topic,), watch)
                away_s, during = time.monotonic() - since, watch.peak()
                disk = _size_bytes(settings) - disk
                waiting = sum((await log.ends(ITEMS.name)).values())
            since = time.monotonic()
            await _until_read(log, "index", (ITEMS, INCIDENTS), watch)
            caught_up_s, after = time.monotonic() - since, watch.peak()
    per_item = f"{disk / count / 1024:.1f} kB of log an item, " if disk else ""
    return (
        f"index away while {count:,} items came ({away_s:.0f} s): memory "
        f"{at_rest / MB:.0f} MB at rest, at most {during / MB:.0f} MB meanwhile, "
        f"{after / MB:.0f} MB afterwards; {per_item}{waiting:,} documents waited and "
        f"were caught up in {caught_up_s:.1f} s ({waiting / caught_up_s:,.0f}/s)"
    )


async def _publish(log: Log, count: int, watch: Watch) -> None:
    """Publish *count* items as fast as the log takes them."""
    coming = items(count)
    while chunk := [events.raw(one) for one in islice(coming, CHUNK)]:
        while True:
            try:
                await log.append(chunk)
                break
            except NotStoredError as error:
                print(f"  intake waits: {error}", flush=True)
                await asyncio.sleep(LOOK_S)
        watch.look()


async def _until_read(
    log: Log, stage: str, topics: tuple[Topic, ...], watch: Watch
) -> None:
    for topic in topics:
        while _behind(
            await log.ends(topic.name), await log.committed(group(stage), topic.name)
        ):
            watch.look()
            await asyncio.sleep(LOOK_S)


def _behind(ends: Mapping[int, int], stands: Mapping[int, int]) -> bool:
    return any(stands.get(partition, 0) < end for partition, end in ends.items())


def _size_bytes(settings: Settings) -> int:
    """Return what the embedded log takes on disk; 0 where brokers have it."""
    if settings.mode == "servers":
        return 0
    return sum(file.stat().st_size for file in settings.data_folder.glob("log.db*"))


async def main(count: int = 100_000) -> None:
    for mode in modes():
        async with fresh(mode) as settings:
            print(f"{mode}: {await outage(mode, settings, count)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:2])))
