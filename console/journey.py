"""The way of an item through the stages: what was found of it, put in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from console import escape, wording
from console.fates import FATE_STYLE
from console.moments import is_number
from mappings.face import Held
from streams import clock, events
from streams.fates import Verdict
from streams.letters import is_notice, letter_in, notice_in
from streams.log.face import Position, Record
from streams.records import FORGOTTEN_VERSION, RawItem
from streams.topics import DAY_S, DEADLETTERS, INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE


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
    #: What else is known of it, by name.
    facts: Mapping[str, str | int] = MappingProxyType({})


class Passage(NamedTuple):
    """What became of one raw record; ``verdict`` is None when nothing tells."""

    origin: Position
    verdict: Verdict | None
    #: In the order of time.
    steps: tuple[Step, ...]


class Gone(NamedTuple):
    """What is no longer there to be told, of what came from one raw record."""

    origin: Position
    #: Its raw record has expired, or a later version replaced what it led to.
    why: Literal["expired", "replaced"]


class Journey(NamedTuple):
    """One item: a passage for each raw record that something came of."""

    ident: str
    title: str
    passages: tuple[Passage, ...]
    #: What the index holds.
    held: Held | None
    incidents: tuple[str, ...]
    gone: tuple[Gone, ...]


def passages(
    records: Iterable[Record], verdicts: Mapping[Position, Verdict]
) -> tuple[Passage, ...]:
    """Return what *records* tell, by the raw record that each came from."""
    by_origin: dict[Position, list[Step]] = {origin: [] for origin in verdicts}
    for record in records:
        origin = Position.parse(events.origin_of(record)) or record.position
        by_origin.setdefault(origin, []).extend(_steps(record))
    found = [
        Passage(origin, verdicts.get(origin), tuple(sorted(steps, key=_order)))
        for origin, steps in by_origin.items()
    ]
    return tuple(sorted(found, key=lambda one: (_began(one), one.origin)))


def _order(step: Step) -> tuple[datetime, str, str]:
    return step.at, step.what, step.position


def _began(passage: Passage) -> float:
    return passage.steps[0].at.timestamp() if passage.steps else 0.0


def _steps(record: Record) -> Iterable[Step]:
    if record.topic == RAW.name:
        yield from _before(record)
    yield Step(
        clock.from_ms(record.timestamp_ms),
        "notice" if is_notice(record) else SAID[record.topic],
        str(record.position),
        _facts(record),
    )


def _before(record: Record) -> Iterable[Step]:
    """Yield what a raw record says of the time before it was appended."""
    item = events.read(RawItem, record.value)
    if item is None:
        return  # its dead letter tells
    if item.published is not None:
        yield Step(item.published, "published")
    yield Step(item.fetched, "fetched", facts={"source": item.source.id})


def _facts(record: Record) -> Mapping[str, str | int]:
    """Return what the headers say beside the time; they are there on every topic."""
    if record.topic == DEADLETTERS.name:
        if is_notice(record):
            notice = notice_in(record)
            told = {"letter": notice.letter, "state": notice.state}
            return told | ({"to": str(notice.to)} if notice.to else {})
        letter = letter_in(record)
        return {"stage": letter.stage, "kind": letter.kind, "reason": letter.reason}
    facts: dict[str, str | int] = {}
    if record.topic != RAW.name:
        number = record.header("ce_id").rpartition("/")[2].lstrip("r")
        word = "version" if record.topic == ITEMS.name else "revision"
        facts[word] = int(number) if is_number(number) else number
    named = {
        "class": "ww_class" if record.topic != RAW.name else "",
        "replay": events.REPLAY,
        "retry_of": events.RETRY_OF,
    }
    values = ((name, record.header(header)) for name, header in named.items())
    return facts | {name: value for name, value in values if value}


def _told(step: Step) -> str:
    """Return the facts of *step* in words. Not escaped."""
    facts = step.facts
    if step.what == "published":
        return "as the source says"
    if step.what == "notice":
        where = f" to {facts['to']}" if "to" in facts else ""
        return f"{facts['letter']} was {facts['state']}{where}"
    if step.what == "dead letter":
        return ": ".join(str(value) for value in facts.values() if value)
    return ", ".join(
        str(value)
        if name in {"class", "source"}
        else f"{name.replace('_', ' ')} {value}"
        for name, value in facts.items()
    )


def as_json(journey: Journey) -> dict[str, Any]:
    """Return *journey* for a program; times in RFC 3339, delays in seconds."""
    return {
        "id": journey.ident,
        "title": journey.title,
        "held": _held_as_json(journey.held) if journey.held else None,
        "incidents": list(journey.incidents),
        "gone": [one._asdict() | {"origin": str(one.origin)} for one in journey.gone],
        "records": [_passage_as_json(one) for one in journey.passages],
    }


def _passage_as_json(passage: Passage) -> dict[str, Any]:
    verdict = passage.verdict
    return {
        "origin": str(passage.origin),
        "fate": verdict.fate.value if verdict else "",
        "because": verdict.because if verdict else "",
        "steps": [
            {
                "at": step.at,
                "what": step.what,
                "position": step.position,
                "after_s": after_s,
                **step.facts,
            }
            for step, after_s in _delays(passage.steps)
        ],
    }


def _held_as_json(held: Held) -> dict[str, Any]:
    return {
        "version": held.version,
        "revision": held.revision,
        "state": held.state,
        "origin": held.origin,
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
    held = _held_in_words(journey.held) if journey.held else "holds nothing of it"
    parts.append(escape.shown(f"index: {held}"))
    if journey.incidents:
        parts.append(escape.shown(f"incidents: {', '.join(journey.incidents)}"))
    parts += [escape.shown(_gone_in_words(one), "yellow") for one in journey.gone]
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
            escape.shown(_told(step)),
        )
    return table


def _after(seconds: float) -> str:
    """Return a delay; of hours where a source said something long before."""
    if abs(seconds) < HOUR_S:
        return f"{seconds:+.3f} s"
    return f"{seconds / HOUR_S:+,.1f} h"


def _held_in_words(held: Held) -> str:
    stub = ", a stub" if held.state != "present" else ""
    at = f"{held.version} ({_version_in_words(held.version)})"
    return f"revision {held.revision}, version {at}, from {held.origin}{stub}"


def _version_in_words(version: int) -> str:
    """Return the time that a version is of; that of what is forgotten is of none."""
    if version == FORGOTTEN_VERSION:
        return "the last, for ever"
    try:
        return wording.moment(clock.from_ms(version))
    except OverflowError:
        return "of no time"


def _gone_in_words(gone: Gone) -> str:
    if gone.why == "replaced":
        later = f"{ITEMS.name} has a later version in place of what it led to"
        return f"{gone.origin}: {later}"
    kept = (RAW.kept_s or 0) // DAY_S
    return f"{gone.origin} has expired: {RAW.name} keeps records {kept} days"
