"""The sample that ships with Wirewatch, read as if somebody had given it by hand."""

from __future__ import annotations

import asyncio

from collections import Counter
from datetime import datetime

from connectors.face import SourceStatus
from console.publishing import Given, give
from console.sample import paths, with_stations
from streams import clock
from streams.log.face import Log
from streams.records import Source
from streams.settings import Settings


class SampleFeed:
    """See :class:`connectors.face.Connector`; it ends when all has been read."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = with_stations(settings)
        self._log = log
        self._sources: dict[str, Source] = {}
        self._published: Counter[str] = Counter()
        self._read_at: datetime | None = None
        self.complete = False

    async def run(self, stop: asyncio.Event) -> None:
        """Publish the sample."""
        await give(
            self._log,
            [str(path) for path in paths()],
            self._settings,
            stop=stop,
            on_chunk=self._count,
        )
        self.complete = not stop.is_set()

    def statuses(self) -> list[SourceStatus]:
        """Return how each source of the sample does."""
        return [
            SourceStatus(
                connector=source.connector,
                id=ident,
                name=source.name,
                state="sample",
                last_good=self._read_at,
                published=self._published[ident],
                refused=0,
                last_error="",
            )
            for ident, source in self._sources.items()
        ]

    def _count(self, given: Given) -> None:
        self._read_at = clock.now()
        self._published = Counter(sent.source.id for sent in given.items)
        self._sources = {sent.source.id: sent.source for sent in given.items}
