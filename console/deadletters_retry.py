"""``wirewatch deadletters retry``: what was put aside comes back, after a bug fix."""

from __future__ import annotations

import sys

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from rich.table import Table
from rich.text import Text

from console import escape, fates, letters, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.hands import Hands
from console.letters import Choice, KindOption, SinceOption, StageOption
from console.options import JsonOption
from console.putting_back import Done, Retry, put_all_back
from console.tail import moment_in
from mappings.face import SearchIndex
from mappings.opening import open_index
from streams import audit as auditing
from streams.fates import Fate, Verdict
from streams.letters import Book, Letter, goes_to_index, read
from streams.log.doorbell import worker_runs
from streams.log.embedded import FILE_NAME
from streams.log.face import Log, Position, Record
from streams.log.opening import open_log
from streams.topics import DEADLETTERS, RAW


EXAMPLES = """\
Examples:

wirewatch deadletters retry --stage annotate --wait  (after a bug fix)

wirewatch deadletters retry 12 --value mended.json

wirewatch deadletters retry --all --dry-run
"""
#: Put back in one append, and noted in the next; they may be 2 MiB each.
CHUNK_RECORDS = 50
CHUNK_BYTES = 16 << 20
LISTED = 20
WAIT_S = 300.0
LOST = {Fate.DEAD_LETTER, Fate.PENDING, Fate.UNACCOUNTED}


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(retry)


async def retry(  # noqa: PLR0913 - a command's options are its parameters
    at: Context,
    numbers: Annotated[
        list[int] | None,
        typer.Argument(metavar="[NUMBER]...", min=0, help="As the list gives them."),
    ] = None,
    *,
    stage: StageOption = "",
    kind: KindOption = "",
    since: SinceOption = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Every open letter.")
    ] = False,
    value: Annotated[
        str,
        typer.Option(metavar="FILE|-", help="A mended value, for one letter."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be put back.")
    ] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait for what becomes of them; does the work if no worker runs on "
            "the data folder.",
        ),
    ] = False,
    timeout_s: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0, help="With --wait: no longer."
        ),
    ] = WAIT_S,
    json: JsonOption = False,
) -> Exit:
    """Put records back where they lay when they were refused; repeating it is harmless.

    A document that the index refused is written to the index. Numbers may name letters
    that were retried before; the filters choose among open ones. Exit code 1 when one
    cannot be put back or, with --wait, is refused again.
    """
    choice = Choice(stage=stage, kind=kind, since=moment_in(since, "--since"))
    if not (numbers or everything or choice != Choice()):
        raise typer.BadParameter("which ones? Give numbers, --stage, --kind or --all")
    if value and len(numbers or ()) != 1:
        raise typer.BadParameter(
            "it is for one letter: give its number", param_hint="--value"
        )
    at.demand_data()
    mended = _read(value) if value else None
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(at.settings))
        book = await read(log)
        chosen = _chosen(book, numbers, choice)
        if problem := _problem(book, chosen, numbers, mended=mended is not None):
            screen.complain(f"wirewatch: {problem}")
            return Exit.FAULT
        if dry_run:
            return _only_say(chosen, json=json)
        index = await stack.enter_async_context(open_index(at.settings))
        done = await _put_back(log, index, chosen, mended)
        verdicts: dict[Position, Verdict] = {}
        if wait:
            await stack.enter_async_context(Hands(at.settings))
            verdicts = await _outcome(log, index, done, timeout_s)
    return _report(at, done, verdicts, waited=wait, json=json)


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _chosen(book: Book, numbers: list[int] | None, choice: Choice) -> list[Letter]:
    topic = DEADLETTERS.name
    if numbers:
        names = dict.fromkeys(str(Position(topic, 0, number)) for number in numbers)
        named = [book.letters[name] for name in names if name in book.letters]
        return [one for one in named if choice.fits(one)]
    return [one for one in book.open() if choice.fits(one)]


def _problem(
    book: Book, chosen: list[Letter], numbers: list[int] | None, *, mended: bool
) -> str:
    """Return why nothing can be done; '' if something can."""
    there = {one.position.offset for one in chosen}
    if missing := [number for number in numbers or () if number not in there]:
        return f"there is no such dead letter: {', '.join(map(str, missing))}"
    if mended and goes_to_index(chosen[0]):
        return (
            f"{chosen[0].of} was made by correlate and lies on its topic as it is: a "
            "mended copy in the index would be gone with the next reindex"
        )
    if mended and not chosen[0].lay_at:
        return letters.how_to_mend(chosen[0])
    if not chosen and (others := list(book.open())):
        return f"none of those asked for; open are {letters.counted(others)}"
    return ""


def _only_say(chosen: list[Letter], *, json: bool) -> Exit:
    for one in chosen:
        to = "the index" if goes_to_index(one) else one.topic
        if json:
            screen.emit({"letter": str(one.position), "of": one.of, "to": to})
        elif to:
            screen.show(escape.shown(f"{one.position.offset}: {one.of} → {to}"))
        else:
            screen.show(
                escape.shown(f"{one.position.offset}: {letters.how_to_mend(one)}")
            )
    return Exit.OK


async def _put_back(
    log: Log, index: SearchIndex, chosen: Sequence[Letter], mended: bytes | None
) -> list[Retry]:
    done: list[Retry] = []
    async for chunk in _chunks(log, chosen):
        done += await put_all_back(log, index, chunk, value=mended)
    return done


async def _chunks(log: Log, chosen: Sequence[Letter]) -> AsyncIterator[list[Record]]:
    """Yield the letters *chosen*, with what they hold, a few at a time."""
    if not chosen:
        return
    wanted = {one.position for one in chosen}
    offsets = [one.offset for one in wanted]
    chunk: list[Record] = []
    size = 0
    begin, end = {0: min(offsets)}, {0: max(offsets) + 1}
    async for record in log.read(DEADLETTERS.name, begin, end):
        if record.position not in wanted:
            continue
        chunk.append(record)
        size += len(record.value or b"")
        if len(chunk) == CHUNK_RECORDS or size > CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


async def _outcome(
    log: Log, index: SearchIndex, done: Sequence[Retry], timeout_s: float
) -> dict[Position, Verdict]:
    """Return the fate of what was put back, by the letter, when it has one."""
    origins: dict[Position, Position] = {}
    for one in done:
        if one.done is Done.PUT_BACK:
            origin = Position.parse(one.letter.origin)
            if origin is not None and origin.topic == RAW.name:
                origins[one.letter.position] = origin
    result = await auditing.wait(
        log, index, only=list(origins.values()), timeout_s=timeout_s
    )
    await index.refresh()
    return {letter: result.fates[origin] for letter, origin in origins.items()}


def _report(
    at: Context,
    done: Sequence[Retry],
    verdicts: dict[Position, Verdict],
    *,
    waited: bool,
    json: bool,
) -> Exit:
    if json:
        for one in done:
            screen.emit(_as_json(one, verdicts.get(one.letter.position)))
    else:
        _show(done, verdicts)
        embedded = at.settings.mode == "embedded"
        if not waited and embedded and any(one.to for one in done):
            path = at.settings.data_folder / FILE_NAME
            if not worker_runs(path):
                screen.complain(
                    "wirewatch: no worker runs on this data folder: the next 'run' or "
                    "'audit --wait' handles them"
                )
    lost = any(verdict.fate in LOST for verdict in verdicts.values())
    left = any(one.done in {Done.NOTHING, Done.REFUSED} for one in done)
    return Exit.FAULT if lost or left else Exit.OK


def _as_json(one: Retry, verdict: Verdict | None) -> dict[str, object]:
    return {
        "letter": str(one.letter.position),
        "of": one.letter.of,
        "done": one.done.value,
        "to": str(one.to) if one.to else "",
        "fate": verdict.fate.value if verdict else "",
        "id": verdict.ident if verdict else "",
        "reason": verdict.reason.reason if verdict and verdict.reason else "",
    }


def _show(done: Sequence[Retry], verdicts: dict[Position, Verdict]) -> None:
    if len(done) <= LISTED:
        table = Table.grid(padding=(0, 1))
        table.add_column(justify="right", min_width=5, style="dim")
        table.add_column(min_width=12, no_wrap=True)
        table.add_column(overflow="fold")
        for one in done:
            number = str(one.letter.position.offset)
            table.add_row(number, *_told(one, verdicts.get(one.letter.position)))
        screen.show(table)
    counts = Counter(
        verdicts[one.letter.position].fate.value
        if one.letter.position in verdicts
        else one.done.value
        for one in done
    )
    told = ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
    tried = f"{wording.counted(len(done), 'dead letter')} retried"
    screen.show(
        escape.shown(f"{tried}: {told}" if told else "No dead letters.", "bold")
    )


def _told(one: Retry, verdict: Verdict | None) -> tuple[Text, Text]:
    if one.done is Done.NOTHING:
        return Text(one.done.value, "red"), escape.shown(
            letters.how_to_mend(one.letter)
        )
    if verdict is None:
        where = f" → {one.to}" if one.to else ""
        return Text(one.done.value), escape.shown(f"{one.letter.of}{where}")
    reason = verdict.reason.reason if verdict.reason else verdict.ident
    return fates.name(verdict.fate), escape.shown(f"{one.letter.of} · {reason}")
