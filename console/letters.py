"""Dead letters as a person chooses and reads them. Pure."""

from __future__ import annotations

import base64
import json as text_json

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import typer

from rich.console import RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from connectors.face import OVERSIZE
from console import escape, moments, options, wording
from console.cards import indented
from console.records import as_json
from streams import events
from streams.errors import RecordError
from streams.letters import (
    KEPT,
    Book,
    Group,
    Letter,
    expiring,
    letter_in,
)
from streams.log.face import Position, Record
from streams.records import Incident, RawItem
from streams.topics import DEADLETTERS, by_name
from streams.topics import STAGES as WORKING


VALUE_CHARACTERS = 4000

#: Whoever puts letters aside: the stages, and what stands at the door.
STAGES = (
    *WORKING,
    "connectors.rss",
    "connectors.radio",
    "connectors.ingest",
)

StageOption = Annotated[
    str, typer.Option(metavar="STAGE", help="Only those that it put aside.")
]
KindOption = Annotated[
    str, typer.Option(metavar="KIND", help="Only those of this kind of reason.")
]
SinceOption = Annotated[
    str,
    typer.Option(metavar="TIME", help="Only those put aside since: -1d, 2026-11-24."),
]
StateOption = Annotated[
    Literal["open", "retried", "purged", "all"],
    typer.Option(help="Only those of this state."),
]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which letters a command is about."""

    stage: str = ""
    kind: str = ""
    since: datetime | None = None
    state: str = "open"

    def fits(self, letter: Letter, book: Book) -> bool:
        """Whether *letter* is one of them."""
        return self.state in {"all", book.state(letter)} and self.matches(letter)

    def matches(self, letter: Letter) -> bool:
        """Whether *letter* is one of them but for its state."""
        return (
            self.stage in {"", letter.stage}
            and self.kind in {"", letter.kind}
            and (self.since is None or letter.at >= self.since)
        )

    def __str__(self) -> str:
        """Return the filters as they were typed."""
        told = {"stage": self.stage, "kind": self.kind}
        told["since"] = self.since.isoformat() if self.since else ""
        return " ".join(f"--{name} {value}" for name, value in told.items() if value)


def choice(stage: str, kind: str, since: str, state: str = "open") -> Choice:
    """Return which letters the options choose; raises BadParameter."""
    if stage:
        options.nearest(stage, STAGES, "stage", "--stage")
    moment = moments.moment(since, "--since")
    return Choice(stage=stage, kind=kind, since=moment, state=state)


def chosen(book: Book, numbers: list[int] | None, choice: Choice) -> list[Letter]:
    """Return the letters with those *numbers*, whatever their state; or of *choice*."""
    if not numbers:
        return [one for one in book.letters.values() if choice.fits(one, book)]
    names = dict.fromkeys(str(Position(DEADLETTERS.name, 0, one)) for one in numbers)
    named = [book.letters[name] for name in names if name in book.letters]
    return [one for one in named if choice.matches(one)]


def missing(
    book: Book, chosen: list[Letter], numbers: list[int] | None, choice: Choice
) -> str:
    """Return what was asked for and is not *chosen*; '' if nothing. Not escaped."""
    there = {one.position.offset for one in chosen}
    if absent := [number for number in numbers or () if number not in there]:
        which = f" of {choice}" if str(choice) else ""
        return f"there is no such dead letter{which}: {', '.join(map(str, absent))}"
    if not chosen and (others := list(book.open())):
        return f"none of those asked for; open are {counted(others)}"
    return ""


def line(letter: Letter, *, tries: int, state: str) -> Table:
    """Return *letter* on a row; how often it was tried, and its state unless open."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", min_width=5, style="dim")
    table.add_column(min_width=21, no_wrap=True, style="dim")
    table.add_column(min_width=11, no_wrap=True)
    table.add_column(min_width=12, no_wrap=True)
    table.add_column(overflow="fold")
    notes = [] if state == "open" else [state]
    notes += [f"refused {tries} times"] if tries > 1 else []
    reason = letter.reason.removeprefix(f"{letter.of}: ")
    table.add_row(
        str(letter.position.offset),
        wording.moment(letter.at),
        escape.shown(letter.stage, "cyan"),
        escape.shown(letter.kind, "yellow"),
        Text("\n").join(
            escape.shown(part)
            for part in (letter.of, reason, " · ".join(notes))
            if part
        ),
    )
    return table


def group_line(group: Group) -> Table:
    """Return a group of alike letters on a row."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", min_width=5, style="bold")
    table.add_column(min_width=11, no_wrap=True)
    table.add_column(min_width=12, no_wrap=True)
    table.add_column(overflow="fold")
    when = wording.moment(group.first)
    if group.size > 1:
        when = f"{when} to {wording.moment(group.last)}"
    table.add_row(
        f"{group.size:,}",
        escape.shown(group.stage, "cyan"),
        escape.shown(group.kind, "yellow"),
        Text("\n").join(
            [
                escape.shown(group.reason),
                Text(f"{when} · e.g. {group.example.offset}", "dim"),
            ]
        ),
    )
    return table


def group_as_json(group: Group) -> dict[str, Any]:
    """Return a group for programs."""
    return group._asdict() | {"example": str(group.example)}


def counted(letters: Iterable[Letter]) -> str:
    """Return how many they are, by stage and kind. Not escaped."""
    kinds = Counter(f"{one.stage}: {one.kind}" for one in letters)
    counts = ", ".join(f"{name} {count:,}" for name, count in kinds.most_common())
    return f"{wording.counted(kinds.total(), 'dead letter')} ({counts})"


def warning(book: Book, now: datetime, again: str) -> str:
    """Return what to say of open letters that expire soon; '' if there are none.

    ``again`` is the command line that begins ``deadletters``.
    """
    soon = expiring(book, now)
    if not soon:
        return ""
    first = min(one.at for one in soon) + KEPT
    return (
        f"{wording.counted(len(soon), 'open dead letter')} will expire, the first on "
        f"{wording.moment(first)}: '{again} retry --all' brings them back, "
        f"'{again} export FILE' keeps them"
    )


def details(letter: Letter, size_bytes: int, state: str) -> Table:
    """Return what is known of *letter*, a line each."""
    lay_at = letter.lay_at or "refused before it was published"
    return _table(
        (
            ("position", str(letter.position)),
            ("state", state),
            ("put aside", wording.moment(letter.at)),
            ("expires", wording.moment(letter.at + KEPT)),
            ("by", letter.stage),
            ("kind", letter.kind),
            ("reason", letter.reason),
            ("it lay at", lay_at),
            ("origin", letter.origin),
            ("key", (letter.key or b"").decode("utf-8", "replace")),
            ("size", wording.counted(size_bytes, "byte")),
        )
    )


def history(book: Book, letter: Letter) -> list[RenderableType]:
    """Return each try of what *letter* is of, and what came of it; [] if none."""
    tries = [*book.tries(letter), *_followers(book, letter)]
    rows = []
    for one in tries:
        about = f"refused by {one.stage}: {one.kind} ({one.position.offset})"
        rows.append((wording.moment(one.at), about))
        for notice in book.notices.get(str(one.position), ()):
            where = f"put back at {notice.to}" if notice.to else "written to the index"
            done = where if notice.state == "retried" else "purged"
            rows.append((wording.moment(notice.at), done))
    return [*_section("history"), indented(_table(rows))] if len(rows) > 1 else []


def _followers(book: Book, letter: Letter) -> Iterator[Letter]:
    name = str(letter.position)
    while (name := book.followers.get(name, "")) in book.letters:
        yield book.letters[name]


def original(record: Record) -> list[RenderableType]:
    """Return the record that was put aside: its fields if it can be read, and its value."""
    parts: list[RenderableType] = []
    if (document := _document(record)) is not None:
        parts += [*_section("the original"), indented(_table(_fields(document)))]
    return [
        *parts,
        *_section("as received"),
        indented(Text(escape.block(_value(record)))),
    ]


def _document(record: Record) -> msgspec.Struct | None:
    """Return what lay there as a record; None if it cannot be read as one."""
    topic = letter_in(record).topic
    try:
        kind = by_name(topic).record if topic else None
        return events.decode(kind, record.value) if kind is not None else None
    except (KeyError, RecordError):
        return None


def _fields(document: msgspec.Struct) -> Iterator[tuple[str, str]]:
    if isinstance(document, RawItem):
        source = document.source
        yield "title", wording.item_title(document)
        yield "source", f"{wording.source_name(source)} ({source.connector})"
        yield "publisher", document.publisher
        yield "link", document.link
        yield "published", wording.moment(document.published)
        yield "fetched", wording.moment(document.fetched)
        yield "state", "" if document.state == "present" else document.state
        yield "text", wording.counted(len(document.text), "character")
    if isinstance(document, Incident):
        yield "title", wording.title(document)
        yield "class", document.incident_class
        yield "reports", f"{document.item_count:,}"
    for name in ("id", "revision", "version"):
        yield name, str(getattr(document, name, ""))


def _value(record: Record) -> str:
    """Return what the letter holds, indented if it is JSON, cut for a screen."""
    value = record.value or b""
    try:
        text = text_json.dumps(text_json.loads(value), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = value.decode("utf-8", "backslashreplace")
    if len(text) <= VALUE_CHARACTERS:
        return text
    left = len(text) - VALUE_CHARACTERS
    return (
        f"{text[:VALUE_CHARACTERS]}\n… and {left:,} characters more: --json shows all"
    )


def letter_as_json(record: Record, book: Book) -> dict[str, Any]:
    """Return the letter in *record* for programs."""
    letter = letter_in(record)
    return as_json(record) | {
        "stage": letter.stage,
        "kind": letter.kind,
        "reason": letter.reason,
        "origin": letter.origin,
        "state": book.state(letter),
        "tries": len(book.tries(letter)),
    }


def exported(record: Record, book: Book) -> dict[str, Any]:
    """Return the letter in *record* whole: its value as text, else as base64."""
    line = letter_as_json(record, book)
    line.pop("value", None)
    line.pop("value_base64", None)
    value = record.value or b""
    try:
        return line | {"value": value.decode()}
    except UnicodeDecodeError:
        return line | {"value_base64": base64.b64encode(value).decode()}


def how_to_mend(letter: Letter) -> str:
    """Return what becomes of a letter that holds no record. Not escaped."""
    mend = "make it smaller" if letter.kind == OVERSIZE else "mend the cause"
    return (
        f"{letter.of} was refused before it was published, so there is nothing to put "
        f"back: {mend} and have it read again ('ingest', or its connector), then "
        f"'deadletters purge {letter.position.offset}' closes this"
    )


def _section(name: str) -> list[RenderableType]:
    return ["", Rule(Text(name, style="bold"), align="left", style="dim")]


def _table(rows: Iterable[tuple[str, str]] | Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    for name, value in rows:
        if value:
            table.add_row(name, escape.shown(value))
    return table
