"""The health records of the feeds: read at the start, written every few seconds."""

from __future__ import annotations

import asyncio

from collections.abc import Container
from contextlib import suppress

from connectors.face import APPEND_MAX_RECORDS, patiently
from streams.events import feed_health, read
from streams.log.face import Log
from streams.records import FeedHealth
from streams.topics import HEALTH


#: What a crash may take: then a feed is asked again, and nothing of it is new.
FLUSH_S = 5.0


class HealthBook:
    """Keeps what is to be written: of several records of a feed the last."""

    def __init__(self, log: Log, *, flush_s: float = FLUSH_S) -> None:
        self._log = log
        self._flush_s = flush_s
        self._unwritten: dict[str, FeedHealth] = {}
        self._due = asyncio.Event()

    def note(self, health: FeedHealth, *, soon: bool = False) -> None:
        """Let *health* be written with the next; what it tells of is stored.

        *soon*: at once, since no later poll could tell it again.
        """
        self._unwritten[health.source] = health
        if soon:
            self._due.set()

    async def load(self, feeds: Container[str]) -> dict[str, FeedHealth]:
        """Return the latest record of each of *feeds*, by source id."""
        found: dict[str, FeedHealth] = {}
        topic = HEALTH.name
        starts, ends = await self._log.starts(topic), await self._log.ends(topic)
        async for record in self._log.read(topic, starts, ends):
            source = (record.key or b"").decode("utf-8", "replace")
            if source not in feeds:
                continue
            if health := read(FeedHealth, record.value):
                found[source] = health
            else:
                found.pop(source, None)
        newer = {ident: one for ident, one in self._unwritten.items() if ident in feeds}
        return found | newer

    async def run(self, stop: asyncio.Event) -> None:
        """Write every few seconds until cancelled; the log being away is waited for."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._flush_s):
                    await self._due.wait()
            self._due.clear()
            await patiently(self.flush, stop, doing="writing how the feeds do")

    async def flush(self) -> None:
        """Write what is noted; what comes meanwhile is next."""
        waiting = list(self._unwritten.values())
        for first in range(0, len(waiting), APPEND_MAX_RECORDS):
            some = waiting[first : first + APPEND_MAX_RECORDS]
            await self._log.append([feed_health(health) for health in some])
            for health in some:
                if self._unwritten.get(health.source) is health:
                    del self._unwritten[health.source]
