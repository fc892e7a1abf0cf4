"""What the connectors' tests share: a real log, and what lies on it."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from connectors.face import Connector
from streams.errors import NotStoredError
from streams.events import decode
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log, Output, Position, Record
from streams.records import RawItem
from streams.settings import EmbeddedLog as EmbeddedLogSettings
from streams.topics import DECLARED, RAW


PATIENCE_S = 20.0


class Interruptible(EmbeddedLog):
    """A real log whose connection a test can break."""

    #: Nothing reaches the log.
    away = False
    #: What is appended is stored, but its acknowledgement is lost.
    mute = False

    async def append(
        self, outputs: Sequence[Output], *, intake: bool = True
    ) -> list[Position]:
        """See the protocol."""
        if self.away:
            raise NotStoredError("the log is away")
        positions = await super().append(outputs, intake=intake)
        if self.mute:
            raise NotStoredError("no acknowledgement came")
        return positions


@asynccontextmanager
async def embedded_log(folder: Path) -> AsyncIterator[Interruptible]:
    """Yield a log in *folder* with all topics."""
    async with Interruptible(folder, EmbeddedLogSettings()) as log:
        await log.create(DECLARED)
        yield log


async def records(log: Log, topic: str) -> list[Record]:
    """Return what lies on *topic* now."""
    starts, ends = await log.starts(topic), await log.ends(topic)
    return [record async for record in log.read(topic, starts, ends)]


async def published(log: Log) -> list[RawItem]:
    """Return the raw items, in the order of their partitions."""
    return [decode(RawItem, record.value) for record in await records(log, RAW.name)]


@asynccontextmanager
async def running(connector: Connector) -> AsyncIterator[None]:
    """Run *connector* inside; it must end within 2 s of being told to."""
    stop = asyncio.Event()
    task = asyncio.create_task(connector.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(2):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Return when *condition* holds; TimeoutError if it never does."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)
