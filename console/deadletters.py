"""``wirewatch deadletters``: what could not be handled, and why."""

from __future__ import annotations

import os
import sys
import tempfile

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, TextIO

import typer

from rich.text import Text

from console import deadletters_purge, deadletters_retry, escape, letters, screen
from console.context import Context, command
from console.exits import Exit
from console.letters import KindOption, SinceOption, StageOption, StateOption
from console.options import JsonOption
from console.records import at as record_at
from console.records import named
from streams import clock
from streams.letters import (
    Book,
    Letter,
    grouped,
    is_notice,
    letter_in,
    read,
    records,
)
from streams.log.opening import open_log
from streams.topics import DEADLETTERS


deadletters = typer.Typer(
    no_args_is_help=True, help="What could not be handled, why, and how it comes back."
)
LIST_EXAMPLES = """\
Examples:

wirewatch deadletters list --group

wirewatch deadletters list --stage annotate --since -1d --json
"""
SHOW_EXAMPLES = """\
Examples:

wirewatch deadletters show 12

wirewatch deadletters show 12 --raw > mended.json  (mend it, then: deadletters retry 12
--value mended.json)
"""


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(deadletters, "list", epilog=LIST_EXAMPLES)(list_)
    command(deadletters, epilog=SHOW_EXAMPLES)(show)
    deadletters_retry.mount(deadletters)
    command(deadletters, epilog="Example: wirewatch deadletters export letters.jsonl")(
        export
    )
    deadletters_purge.mount(deadletters)
    app.add_typer(deadletters, name="deadletters")


async def list_(
    at: Context,
    *,
    stage: StageOption = "",
    kind: KindOption = "",
    since: SinceOption = "",
    state: StateOption = "open",
    group: Annotated[
        bool, typer.Option("--group", help="Alike ones together, most first.")
    ] = False,
    json: JsonOption = False,
) -> Exit:
    """List the dead letters, oldest first: what each is of, and the reason.

    One whose retry was refused again is listed once, as that. Exit code 1 when there are
    dead letters, but none of the stage, kind, time and state asked for.
    """
    choice = letters.choice(stage, kind, since, state)
    at.demand_data()
    async with open_log(at.settings) as log:
        book = await read(log)
        chosen = [one for one in book.last() if choice.fits(one, book)]
        if group:
            _show_groups(chosen, json=json)
        elif json:
            names = {one.position for one in chosen}
            async for record in records(log):
                if record.position in names:
                    screen.emit(letters.letter_as_json(record, book))
        else:
            for one in chosen:
                tries = len(book.tries(one))
                screen.show(letters.line(one, tries=tries, state=book.state(one)))
    return _end_list(at, book, chosen, json=json)


def _show_groups(chosen: list[Letter], *, json: bool) -> None:
    for group in grouped(chosen):
        if json:
            screen.emit(letters.group_as_json(group))
        else:
            screen.show(letters.group_line(group))


def _end_list(at: Context, book: Book, chosen: list[Letter], *, json: bool) -> Exit:
    again = at.again("deadletters")
    if soon := letters.warning(book, clock.now(), again):
        screen.complain(f"wirewatch: {soon}")
    if not chosen and (others := list(book.open())):
        told = letters.counted(others)
        screen.complain(f"wirewatch: none of those asked for; open are {told}")
        return Exit.FAULT
    if not json:
        none = Text("No dead letters.", style="dim")
        counted = letters.counted(chosen)
        screen.show(escape.shown(counted, "bold") if chosen else none)
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
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="Only the value, byte for byte: to a file, to be mended."
        ),
    ] = False,
    json: JsonOption = False,
) -> Exit:
    """Show one dead letter: its reason, what was tried, and the record it is of."""
    if raw and json:
        raise typer.BadParameter("give one of --raw and --json")
    position = named(which)
    at.demand_data()
    async with open_log(at.settings) as log:
        of_ours = position is not None and position.topic == DEADLETTERS.name
        record = await record_at(log, position) if position and of_ours else None
        book = await read(log)
    if record is None or is_notice(record):
        screen.complain(f"wirewatch: there is no dead letter {which!r}")
        return Exit.FAULT
    if raw:
        return _write_raw(record.value or b"")
    if json:
        screen.emit(letters.letter_as_json(record, book))
        return Exit.OK
    letter = letter_in(record)
    size_bytes = len(record.value or b"")
    screen.show(letters.details(letter, size_bytes, book.state(letter)))
    screen.show(*letters.history(book, letter), *letters.original(record))
    if not letter.lay_at:
        screen.show("", escape.shown(letters.how_to_mend(letter), "dim"))
    return Exit.OK


def _write_raw(value: bytes) -> Exit:
    if sys.stdout.isatty():
        screen.complain(
            "wirewatch: the bytes are a stranger's, and this is a terminal: --raw > FILE"
        )
        return Exit.USAGE
    sys.stdout.buffer.write(value)
    sys.stdout.buffer.flush()
    return Exit.OK


async def export(
    at: Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="Written anew; without: standard output."
        ),
    ] = None,
    *,
    stage: StageOption = "",
    kind: KindOption = "",
    since: SinceOption = "",
    state: StateOption = "open",
) -> Exit:
    """Write dead letters whole, a line of JSON each: headers, and the value as received.

    The value is text (``value``) if it is UTF-8, else base64 (``value_base64``). FILE
    is there when it is whole, for its owner alone to read.
    """
    choice = letters.choice(stage, kind, since, state)
    at.demand_data()
    written = 0
    async with open_log(at.settings) as log:
        book = await read(log)
        chosen = {
            one.position for one in book.letters.values() if choice.fits(one, book)
        }
        with _whole(file) if file is not None else nullcontext(sys.stdout) as lines:
            async for record in records(log):
                if record.position in chosen:
                    line = escape.dumps(letters.exported(record, book))
                    lines.write(line + "\n")
                    written += 1
    if file is not None:
        screen.show(escape.shown(f"{written:,} written to {file}", "bold"))
    return Exit.OK


@contextmanager
def _whole(file: Path) -> Iterator[TextIO]:
    """Write *file* anew, mode 0600: it is there when all is written, or as it was."""
    if file.exists() and not file.is_file():
        with file.open("w", encoding="utf-8") as there:  # a pipe, /dev/stdout
            yield there
        return
    target = file.resolve()  # a link stays one
    number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    beside = Path(name)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as lines:
            yield lines
            lines.flush()
            os.fsync(number)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
