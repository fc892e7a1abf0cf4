"""The worker: which stages there are, and what they need before they can run."""

from __future__ import annotations

import asyncio

from collections.abc import Sequence
from contextlib import AsyncExitStack

import structlog

from mappings.face import SearchIndex
from mappings.opening import open_index
from streams.annotate import agent as annotate
from streams.apps import serve
from streams.correlate import agent as correlate
from streams.dedupe import agent as dedupe
from streams.errors import FatalError
from streams.expiry import expiry_watched
from streams.index import agent as index
from streams.index.standing import LOST, lost
from streams.log.face import Log
from streams.log.opening import open_log
from streams.log.standing import demand_ends, hold, truncated
from streams.monitor.summary import summed_up
from streams.patience import patiently
from streams.settings import Settings
from streams.stage import Progress, Stage
from streams.topics import DECLARED, STAGES


log = structlog.get_logger(__name__)


class Worker:
    """Some or all stages, in this process."""

    def __init__(self, settings: Settings, *, stages: Sequence[str] = STAGES) -> None:
        if unknown := set(stages) - set(STAGES):
            raise FatalError(
                f"there is no stage {min(unknown)!r}: choose from {', '.join(STAGES)}"
            )
        self._settings = settings
        self._names = tuple(stages)
        #: How each stage is doing, by its name; filled when ``run`` has started them.
        self.progress: dict[str, Progress] = {}
        #: Seconds from a source's reading of an item to the index.
        self.delays_s = index.delays()

    async def run(
        self, stop: asyncio.Event, *, ready: asyncio.Event | None = None
    ) -> None:
        """Run until *stop* is set, then finish what is under way.

        Makes or checks the topics and the index first, and waits, visibly, for servers
        that are away. Sets *ready* when the stages take records. Raises FatalError when
        it must not go on; nothing is committed then that is not stored.
        """
        settings = self._settings
        async with AsyncExitStack() as stack:
            records = await stack.enter_async_context(open_log(settings))
            await patiently("topics", lambda: records.create(DECLARED), stop)
            await patiently("tables", lambda: self._look_at_tables(records), stop)
            stages = [
                await self._stage(name, records, stack, stop) for name in self._names
            ]
            await patiently(
                "sources", lambda: self._look_at_sources(records, stages), stop
            )
            if not stop.is_set():
                async with summed_up(self.progress):
                    await serve(
                        settings,
                        stages,
                        stop=stop,
                        ready=ready,
                        progress=self.progress,
                        watches=[hold(records, DECLARED)],
                    )

    async def _look_at_tables(self, records: Log) -> None:
        if self._settings.mode == "servers":
            for line in await truncated(records, DECLARED):
                log.error("a table is not whole", reason=line)

    async def _look_at_sources(self, records: Log, stages: Sequence[Stage]) -> None:
        if self._settings.mode == "servers":
            for one in stages:
                await demand_ends(records, one.name, one.table, one.offset_in)

    async def _stage(
        self, name: str, records: Log, stack: AsyncExitStack, stop: asyncio.Event
    ) -> Stage:
        if name == "dedupe":
            return dedupe.stage()
        if name == "annotate":
            return annotate.stage(self._settings)
        if name == "correlate":
            return correlate.stage()
        search = await stack.enter_async_context(open_index(self._settings))
        await patiently("search index", lambda: _prepared(search, records), stop)
        # By one role of them.
        await stack.enter_async_context(expiry_watched(records, search))
        return index.stage(search, self.delays_s)


async def _prepared(search: SearchIndex, records: Log) -> None:
    """Prepare the index, unless an empty one would hide that the former is gone."""
    if await lost(search, records):
        log.error("no search index", reason=LOST)
    else:
        await search.prepare()
