"""What the live view shows, and how: sources, stages, incidents. Pure."""

from __future__ import annotations

import heapq

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from connectors.face import SourceStatus
from console import escape, wording
from streams.monitor.sources import FAILING, STATES, state_of
from streams.records import Incident


RATE_WINDOW_S = 60.0
INCIDENTS_KEPT = 100
NOTICES_KEPT = 3
#: Two panels stand side by side from this width on.
WIDE_CELLS = 100
#: Sources take no more than this part of the screen.
SOURCES_SHARE = 3
#: No screen shows more.
SOURCES_KEPT = 100
#: What a person has to see comes first; the others as they gave something.
_RANKS = dict.fromkeys(FAILING, 0) | {"paused": 2}
_RANK = 1
#: Lines that are not incidents: borders, headings, the footer.
FRAME_LINES = 6
INCIDENT_LINES = 2


@dataclass
class Board:
    """The state of the live view; the edge feeds it, :func:`render` shows it."""

    #: Whether anything is to be read; what, is known when its reading has begun.
    reading: bool = False
    #: Those that are most worth a look, of all.
    sources: Sequence[SourceStatus] = ()
    states: Counter[str] = field(default_factory=Counter)
    lags: Mapping[str, int] = field(default_factory=dict)
    #: Why a stage waits, by stage.
    waiting: Mapping[str, str] = field(default_factory=dict)
    footer: Text = field(default_factory=Text)
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=NOTICES_KEPT))
    #: Raw records on the log in all, as they were counted in the last minute.
    _counts: deque[tuple[datetime, int]] = field(default_factory=deque)
    _incidents: dict[str, Incident] = field(default_factory=dict)
    #: Those that nothing was said of since the start.
    _earlier: set[str] = field(default_factory=set)

    def see(self, sources: Iterable[SourceStatus]) -> None:
        """Take in how the sources do; what fails comes first, then what is fresh."""
        everyone = list(sources)
        self.states = Counter(map(state_of, everyone))
        self.sources = heapq.nsmallest(SOURCES_KEPT, everyone, key=_worth)

    def count(self, raw: int, now: datetime) -> None:
        """Note that the log has had *raw* raw records in all."""
        self._counts.append((now, raw))
        while (now - self._counts[0][0]).total_seconds() > RATE_WINDOW_S:
            self._counts.popleft()

    @property
    def raw_a_minute(self) -> int:
        """How many raw records came in the last minute."""
        if not self._counts:
            return 0
        return self._counts[-1][1] - self._counts[0][1]

    @property
    def raw(self) -> int:
        """How many raw records there are in all."""
        return self._counts[-1][1] if self._counts else 0

    def add(self, incident: Incident, *, earlier: bool = False) -> bool:
        """Take in a version of an incident; return whether it is news.

        What is of an *earlier* run is shown dimmed, until something new is said of it.
        """
        held = self._incidents.pop(incident.id, None)
        if held is not None and held.version >= incident.version:
            self._incidents[incident.id] = held
            return False
        self._incidents[incident.id] = incident
        if earlier:
            self._earlier.add(incident.id)
        else:
            self._earlier.discard(incident.id)
        while len(self._incidents) > INCIDENTS_KEPT:
            oldest = next(iter(self._incidents))
            del self._incidents[oldest]
            self._earlier.discard(oldest)
        return incident.material

    def newest(self, count: int) -> list[Incident]:
        """Return the incidents that changed last, the last first."""
        shown = [i for i in self._incidents.values() if not i.merged_into]
        return shown[::-1][:count]

    def is_earlier(self, incident: Incident) -> bool:
        """Whether nothing was said of *incident* since the start."""
        return incident.id in self._earlier


def render(board: Board, *, width: int, height: int, now: datetime) -> RenderableType:
    """Return the view for a screen of so many cells and lines."""
    room = max(3, height // SOURCES_SHARE)
    sources, stages = _sources(board, room, now), _stages(board)
    if width >= WIDE_CELLS:
        top: RenderableType = Table.grid(expand=True, padding=(0, 1, 0, 0))
        assert isinstance(top, Table)
        top.add_column(ratio=3)
        top.add_column(ratio=2)
        top.add_row(sources, stages)
        taken = max(_lines(board, room), len(board.lags) + 2) + 2
    else:
        top = Group(sources, stages)
        taken = _lines(board, room) + len(board.lags) + 6
    left = height - taken - FRAME_LINES - len(board.notices)
    return Group(
        top,
        _incidents(board, max(1, left // INCIDENT_LINES), now),
        *(escape.shown(notice, "yellow") for notice in board.notices),
        board.footer,
    )


def incident_line(incident: Incident) -> Text:
    """Return an incident on one line, for output that is no terminal."""
    parts = [
        escape.shown(wording.title(incident)),
        wording.facts(incident),
        Text(wording.sources(incident)),
    ]
    head = Text(f"{incident.id}  ").append_text(
        wording.class_name(incident.incident_class)
    )
    return Text("  ").join([head, *(part for part in parts if part)])


def _lines(board: Board, room: int) -> int:
    return max(1, min(board.states.total(), room + 1))


def _sources(board: Board, room: int, now: datetime) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(width=1)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis", style="dim")
    table.add_column(justify="right", no_wrap=True)
    for status in board.sources[:room]:
        table.add_row(
            _health(status),
            escape.shown(status.name or status.id),
            escape.shown(wording.cause(status.last_error) or _since(status, now)),
            f"{status.published:,}",
        )
    total = board.states.total()
    if (left := total - room) > 0:
        table.add_row("", Text(f"and {left:,} more", style="dim"), "", "")
    if not board.sources:
        none = "begins to read …" if board.reading else "no sources configured"
        table.add_row("", Text(none, style="dim"), "", "")
    return Panel(
        table,
        title=_title(board, crowded=total > room),
        title_align="left",
        subtitle="raw records since start" if board.sources else None,
        subtitle_align="right",
        border_style="dim",
    )


def _title(board: Board, *, crowded: bool) -> str:
    """Return the heading; of more sources than there is room for, how they do."""
    if not crowded:
        return "Sources"
    counts = (f"{board.states[s]:,} {s}" for s in STATES if board.states[s])
    return f"Sources: {', '.join(counts)}"


def _worth(status: SourceStatus) -> tuple[int, float]:
    """Return the place of a source among others: what fails, what gave something last."""
    good = status.last_good.timestamp() if status.last_good else 0.0
    rank = 0 if status.last_error else _RANKS.get(state_of(status), _RANK)
    return rank, -good


def _health(status: SourceStatus) -> Text:
    if status.last_error:
        return Text("✗", style="bold red")
    if status.last_good is None:
        return Text("·", style="dim")
    return Text("●", style="green")


def _since(status: SourceStatus, now: datetime) -> str:
    if status.last_good is None:
        return status.state
    return f"{status.state}, {wording.ago((now - status.last_good).total_seconds())}"


def _stages(board: Board) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(ratio=1, no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for stage, lag in board.lags.items():
        if reason := board.waiting.get(stage, ""):
            state = escape.shown(f"waits: {reason}", "yellow")
            state.truncate(30, overflow="ellipsis")
        elif lag:
            state = Text(f"{lag:,} to go", style="yellow")
        else:
            state = Text("up to date", style="green")
        table.add_row(stage, state)
    total = wording.counted(board.raw, "raw record")
    table.add_row(Text(total, "bold"), Text(f"{board.raw_a_minute:,} a minute", "bold"))
    return Panel(table, title="Stages", title_align="left", border_style="dim")


def _incidents(board: Board, room: int, now: datetime) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True, style="dim")
    for incident in board.newest(room):
        label = wording.class_name(incident.incident_class)
        about = [label, wording.facts(incident), Text(wording.sources(incident), "dim")]
        line = Text(" · ", style="dim").join(part for part in about if part)
        age = wording.ago((now - incident.last_seen).total_seconds())
        style = "dim" if board.is_earlier(incident) else "bold"
        table.add_row(escape.shown(wording.title(incident), style), age)
        table.add_row(Text("  ").append_text(line), incident.id)
    if not board.newest(1):
        table.add_row(Text("none yet", style="dim"), "")
    return Panel(table, title="Incidents", title_align="left", border_style="dim")
