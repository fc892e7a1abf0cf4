"""The way of an item through the stages: what was found of it, put in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from console import escape, wording
from console.fates import FATE_STYLE
from streams import clock, events
from streams.errors import RecordError
from streams.fates import Verdict
from streams.letters import is_notice, notice_in
from streams.log.face import Position, Record
from streams.records import RawItem
from streams.topics import DEADLETTERS, INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE


HOUR_S = 3600.0
#: What is written to each topic, in the words of the one who wrote it.
SAID: Mapping[str, str] = {
    RAW.name: "appended",
    UNIQUE.name: "unique",
    TAGGED.name: "tagged",
    ITEMS.name: "correlated",
    INCIDENTS.name: "incident",
    DEADLETTERS.name: "dead letter",
}


class Step(NamedTuple):
    """Something that happened to an item, and when; ``position`` is '' off the log."""

    at: datetime
    what: str
    position: str = ""
    detail: str = ""


class Passage(NamedTuple):
    """What became of one raw record; ``verdict`` is None when nothing tells."""

    origin: Position
    verdict: Verdict | None
    #: In the order of time.
    steps: tuple[Step, ...]


class Journey(NamedTuple):
    """One item: a passage for each raw record that something came of."""

    ident: str
    title: str
    passages: tuple[Passage, ...]
    #: What the index holds; '' for nothing.
    held: str
    incidents: tuple[str, ...]
    #: What is no longer, or not yet, there to be told.
    gone: tuple[str, ...]


def passages(
    records: Iterable[Record], verdicts: Mapping[Position, Verdict]
) -> tuple[Passage, ...]:
    """Return what *records* tell, by the raw record that each came from."""
    by_origin: dict[Position, list[Step]] = {origin: [] for origin in verdicts}
    for record in records:
        origin = Position.parse(events.origin_of(record)) or record.position
        by_origin.setdefault(origin, []).extend(_steps(record))
    found = [
        Passage(origin, verdicts.get(origin), tuple(sorted(steps)))
        for origin, steps in by_origin.items()
    ]
    return tuple(sorted(found, key=lambda one: (_began(one), one.origin)))


def _began(passage: Passage) -> float:
    return passage.steps[0].at.timestamp() if passage.steps else 0.0


def _steps(record: Record) -> Iterable[Step]:
    if record.topic == RAW.name:
        yield from _before(record)
    yield Step(
        clock.from_ms(record.timestamp_ms),
        "notice" if is_notice(record) else SAID[record.topic],
        str(record.position),
        _detail(record),
    )


def _before(record: Record) -> Iterable[Step]:
    """Yield what a raw record says of the time before it was appended."""
    try:
        item = events.decode(RawItem, record.value)
    except RecordError:
        return  # its dead letter tells
    if item.published is not None:
        yield Step(item.published, "published", "", "as the source says")
    yield Step(item.fetched, "fetched", "", item.source.id)


def _detail(record: Record) -> str:
    """Return what the headers say beside the time; they are there on every topic."""
    if record.topic == DEADLETTERS.name:
        if is_notice(record):
            notice = notice_in(record)
            return f"{notice.letter} was {notice.state}" + (
                f" to {notice.to}" if notice.to else ""
            )
        names = (events.DEAD_STAGE, events.DEAD_KIND, events.DEAD_REASON)
        return ": ".join(filter(None, map(record.header, names)))
    parts = []
    if record.topic != RAW.name:
        number = record.header("ce_id").rpartition("/")[2].lstrip("r")
        word = "version" if record.topic == ITEMS.name else "revision"
        parts.append(f"{word} {number}")
        parts.append(record.header("ww_class"))
    for name, word in ((events.REPLAY, "replay"), (events.RETRY_OF, "retry of")):
        if value := record.header(name):
            parts.append(f"{word} {value}")
    return ", ".join(filter(None, parts))


def as_json(journey: Journey) -> dict[str, Any]:
    """Return *journey* for a program; times in RFC 3339, delays in seconds."""
    return {
        "id": journey.ident,
        "title": journey.title,
        "held": journey.held,
        "incidents": list(journey.incidents),
        "gone": list(journey.gone),
        "records": [_passage_as_json(one) for one in journey.passages],
    }


def _passage_as_json(passage: Passage) -> dict[str, Any]:
    verdict = passage.verdict
    return {
        "origin": str(passage.origin),
        "fate": verdict.fate.value if verdict else "",
        "because": verdict.because if verdict else "",
        "steps": [
            step._asdict() | {"at": step.at.isoformat(), "after_s": after_s}
            for step, after_s in _delays(passage.steps)
        ],
    }


def _delays(steps: Sequence[Step]) -> Iterable[tuple[Step, float | None]]:
    """Yield each step with the seconds since the one before."""
    before: Step | None = None
    for step in steps:
        yield step, None if before is None else (step.at - before.at).total_seconds()
        before = step


def render(journey: Journey) -> list[RenderableType]:
    """Return *journey* for a person."""
    heading = escape.shown(journey.ident or "not an item yet", "bold")
    parts: list[RenderableType] = [
        heading.append("  ").append_text(escape.shown(journey.title))
    ]
    for passage in journey.passages:
        parts += [_heading(passage), _table(passage)]
    parts.append(escape.shown(f"index: {journey.held or 'holds nothing of it'}"))
    if journey.incidents:
        parts.append(escape.shown(f"incidents: {', '.join(journey.incidents)}"))
    parts += [escape.shown(line, "yellow") for line in journey.gone]
    return [*parts, ""]


def _heading(passage: Passage) -> Text:
    text = escape.shown(str(passage.origin), "cyan").append(": ")
    if passage.verdict is None:
        return text.append("nothing tells its fate", "dim")
    fate, because = passage.verdict.fate, passage.verdict.because
    text.append(fate.value, FATE_STYLE[fate])
    return text.append_text(escape.shown(f" ({because})")) if because else text


def _table(passage: Passage) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, min_width=9)
    table.add_column(no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for step, after_s in _delays(passage.steps):
        table.add_row(
            step.at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00"),
            "" if after_s is None else _after(after_s),
            step.what,
            step.position,
            escape.shown(step.detail),
        )
    return table


def _after(seconds: float) -> str:
    """Return a delay; of hours where a source said something long before."""
    if abs(seconds) < HOUR_S:
        return f"{seconds:+.3f} s"
    return f"{seconds / HOUR_S:+,.1f} h"


def held_as_text(version: int, revision: int, state: str, origin: str) -> str:
    """Return what the index holds, in words."""
    stub = ", a stub" if state != "present" else ""
    at = wording.moment(clock.from_ms(version))
    return f"revision {revision}, version {version} ({at}), from {origin}{stub}"
