"""``wirewatch deadletters``: what could not be handled, and why."""

from __future__ import annotations

import json as text_json

from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Any

import typer

from rich.table import Table
from rich.text import Text

from console import escape, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.options import JsonOption
from console.tail import as_json
from streams import clock
from streams.events import DEAD_KIND, DEAD_POSITION, DEAD_REASON, DEAD_STAGE, ORIGIN
from streams.log.face import Log, Position, Record
from streams.log.opening import open_log
from streams.topics import DEADLETTERS


VALUE_CHARACTERS = 4000

deadletters = typer.Typer(
    no_args_is_help=True, help="What could not be handled, and why."
)


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(
        deadletters, "list", epilog="Example: wirewatch deadletters list --stage index"
    )(list_)
    command(deadletters, epilog="Example: wirewatch deadletters show 12")(show)
    app.add_typer(deadletters, name="deadletters")


async def list_(
    at: Context,
    *,
    stage: Annotated[
        str, typer.Option(metavar="STAGE", help="Only those that it put aside.")
    ] = "",
    kind: Annotated[
        str, typer.Option(metavar="KIND", help="Only those of this kind of reason.")
    ] = "",
    json: JsonOption = False,
) -> Exit:
    """List the dead letters, oldest first: what each is of, and the reason.

    Exit code 1 when there are dead letters, but none of the stage and kind asked for.
    """
    at.demand_data()
    kinds: Counter[str] = Counter()
    others: Counter[str] = Counter()
    async with open_log(at.settings) as log:
        async for record in _all(log):
            found = record.header(DEAD_STAGE), record.header(DEAD_KIND)
            if (stage and found[0] != stage) or (kind and found[1] != kind):
                others[": ".join(found)] += 1
                continue
            kinds[": ".join(found)] += 1
            if json:
                screen.emit(_as_json(record))
            else:
                screen.show(_line(record))
    if others and not kinds:
        screen.complain(f"wirewatch: none of that stage and kind; {_counted(others)}")
        return Exit.FAULT
    if not json:
        screen.show(_summary(kinds))
    return Exit.OK


async def show(
    at: Context,
    which: Annotated[
        str,
        typer.Argument(
            metavar="NUMBER|POSITION",
            help="As the list gives it, such as 12 or deadletters/0/12.",
        ),
    ],
    *,
    json: JsonOption = False,
) -> Exit:
    """Show one dead letter: its reason, where it came from, and what it holds."""
    at.demand_data()
    async with open_log(at.settings) as log:
        record = await _one(log, which)
    if record is None:
        screen.complain(f"wirewatch: there is no dead letter {which!r}")
        return Exit.FAULT
    if json:
        screen.emit(_as_json(record))
    else:
        screen.show(_details(record), "", Text(escape.block(_value(record))))
    return Exit.OK


async def _all(log: Log) -> AsyncIterator[Record]:
    topic = DEADLETTERS.name
    async for record in log.read(topic, await log.starts(topic), await log.ends(topic)):
        yield record


async def _one(log: Log, which: str) -> Record | None:
    topic = DEADLETTERS.name
    try:
        at = (
            Position(topic, 0, int(which))
            if which.isdecimal()
            else Position.parse(which)
        )
    except ValueError:
        return None
    if at.topic != topic:
        return None
    starts, ends = await log.starts(topic), await log.ends(topic)
    if not starts.get(at.partition, 0) <= at.offset < ends.get(at.partition, 0):
        return None
    start, until = {at.partition: at.offset}, {at.partition: at.offset + 1}
    async for record in log.read(topic, start, until):
        return record
    return None


def _line(record: Record) -> Table:
    of = document_of(record)
    reason = record.header(DEAD_REASON).removeprefix(f"{of}: ")
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", min_width=5, style="dim")
    table.add_column(min_width=21, no_wrap=True, style="dim")
    table.add_column(min_width=11, no_wrap=True)
    table.add_column(min_width=12, no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(
        str(record.offset),
        wording.moment(clock.from_ms(record.timestamp_ms)),
        escape.shown(record.header(DEAD_STAGE), "cyan"),
        escape.shown(record.header(DEAD_KIND), "yellow"),
        Text("\n").join([escape.shown(of), escape.shown(reason)]),
    )
    return table


def document_of(record: Record) -> str:
    """Return what a dead letter is of: what was read, or whose record lay where.

    Not escaped.
    """
    key = (record.key or b"").decode("utf-8", "replace")
    if not (lay_at := record.header(DEAD_POSITION)):
        return key  # refused at the door: it is called by what was read
    whose = record.header("ce_source") or key
    return f"{whose} · {lay_at}" if whose else lay_at


def _summary(kinds: Counter[str]) -> Text:
    if not kinds:
        return Text("No dead letters.", style="dim")
    return escape.shown(_counted(kinds), "bold")


def _counted(kinds: Counter[str]) -> str:
    counts = ", ".join(f"{name} {count:,}" for name, count in kinds.most_common())
    return f"{wording.counted(kinds.total(), 'dead letter')} ({counts})"


def _details(record: Record) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    for name, value in (
        ("position", str(record.position)),
        ("put aside", wording.moment(clock.from_ms(record.timestamp_ms))),
        ("by", record.header(DEAD_STAGE)),
        ("kind", record.header(DEAD_KIND)),
        ("reason", record.header(DEAD_REASON)),
        (
            "it lay at",
            record.header(DEAD_POSITION) or "refused before it was published",
        ),
        ("origin", record.header(ORIGIN)),
        ("key", (record.key or b"").decode("utf-8", "replace")),
        ("size", wording.counted(len(record.value or b""), "byte")),
    ):
        if value:
            table.add_row(name, escape.shown(value))
    return table


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


def _as_json(record: Record) -> dict[str, Any]:
    return as_json(record) | {
        "stage": record.header(DEAD_STAGE),
        "kind": record.header(DEAD_KIND),
        "reason": record.header(DEAD_REASON),
        "origin": record.header(ORIGIN),
    }
