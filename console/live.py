"""Feeds the live view and draws it; or, without a terminal, writes lines."""

from __future__ import annotations

import asyncio
import time

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import structlog

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from connectors.face import Connector, pause, until_stopped
from console import flow, logs, screen
from console.board import Board, incident_line, render
from streams import clock
from streams.errors import RecordError, TransientError
from streams.events import decode
from streams.log.face import Log
from streams.records import Incident
from streams.stage import Progress
from streams.topics import INCIDENTS, RAW


#: How often the screen is drawn anew; a look at the log takes some milliseconds.
LOOK_S = 0.5
#: Of the time, for looking at the sources.
SOURCES_SHARE = 0.05
#: Without a terminal a line says so often how things stand.
REPORT_S = 60.0
#: So many records of each partition are shown that were there before.
BEFORE = 20

_log = structlog.get_logger()


class Watcher:
    """Looks at a log and at what feeds it, and keeps a :class:`Board` up to date."""

    def __init__(
        self,
        log: Log,
        connectors: Sequence[Connector],
        progress: dict[str, Progress],
        *,
        began: Mapping[int, int],
        hint: Callable[[Board], Text],
    ) -> None:
        self._log = log
        self._connectors = connectors
        self._progress = progress
        self._began = began
        self._hint = hint
        self._sources_next = 0.0
        self.board = Board(reading=bool(connectors))

    async def draw(self, stop: asyncio.Event, console: Console) -> None:
        """Draw the live view until *stop* is set; warnings appear in it."""
        following = self._follow(lambda _: None)
        with (
            logs.into(self.board.notices.append),
            Live(console=console, auto_refresh=False, vertical_overflow="crop") as live,
        ):
            await until_stopped(stop, [following, self._drawing(live, console)])
            await self._look()
            live.update(self._view(console), refresh=True)

    async def write(self, stop: asyncio.Event, *, json: bool) -> None:
        """Write a line for each incident until *stop* is set, and how things stand."""
        tell = screen.emit if json else lambda one: screen.show(incident_line(one))
        await until_stopped(stop, [self._follow(tell), self._reporting(stop)])

    async def _drawing(self, live: Live, console: Console) -> None:
        while True:
            await self._look()
            live.update(self._view(console), refresh=True)
            await asyncio.sleep(LOOK_S)

    async def _reporting(self, stop: asyncio.Event) -> None:
        while not await pause(stop, REPORT_S):
            await self._look()
            lags = {f"{stage}_behind": lag for stage, lag in self.board.lags.items()}
            _log.info("standing", raw_records=self.board.raw, **lags)

    async def _follow(self, tell: Callable[[Incident], object]) -> None:
        async for incident, earlier in _incidents(self._log, self._began):
            if self.board.add(incident, earlier=earlier) and not earlier:
                tell(incident)

    async def _look(self) -> None:
        board = self.board
        self._look_at_sources()
        board.waiting = {
            stage: progress.waiting for stage, progress in self._progress.items()
        }
        try:
            board.lags = await flow.lags(self._log)
            board.count(sum((await self._log.ends(RAW.name)).values()), clock.now())
        except TransientError as error:
            _log.warning("the log cannot be looked at", reason=str(error))
        board.footer = self._hint(board)

    def _look_at_sources(self) -> None:
        """Ask how the sources do: of very many rarely, so that it takes little time."""
        began = time.monotonic()
        if began < self._sources_next:
            return
        self.board.see(s for one in self._connectors for s in one.statuses())
        ended = time.monotonic()
        self._sources_next = ended + (ended - began) / SOURCES_SHARE

    def _view(self, console: Console) -> RenderableType:
        width, height = console.size
        return render(self.board, width=width, height=height, now=clock.now())


async def incidents_end(log: Log) -> dict[int, int]:
    """Return where the next incidents will lie; {} on a log that has never been used."""
    topic = INCIDENTS.name
    return await log.ends(topic) if await log.partitions(topic) else {}


async def _incidents(
    log: Log, began: Mapping[int, int]
) -> AsyncIterator[tuple[Incident, bool]]:
    """Yield what comes after *began*, and shortly before it; then what comes.

    With each incident, whether it is from before.
    """
    topic = INCIDENTS.name
    starts = await log.starts(topic)
    begin = {p: max(start, began.get(p, 0) - BEFORE) for p, start in starts.items()}
    async for record in log.follow(topic, begin):
        try:
            incident = decode(Incident, record.value)
        except RecordError as error:
            _log.warning("an incident that cannot be read", reason=str(error))
            continue
        yield incident, record.offset < began.get(record.partition, 0)
