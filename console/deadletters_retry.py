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

from console import escape, fates, letters, options, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.hands import Hands
from console.letters import KindOption, SinceOption, StageOption, StateOption
from console.options import JsonOption, TimeoutOption
from console.putting_back import Done, Retry, put_all_back
from mappings.face import SearchIndex
from mappings.opening import open_index
from streams import audit as auditing
from streams.fates import Fate, Verdict
from streams.letters import Letter, goes_to_index, read
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
#: Unless --timeout says otherwise.
WAIT_S = 300.0
LOST = {Fate.DEAD_LETTER, Fate.UNACCOUNTED}


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
    state: StateOption = "open",
    everything: Annotated[
        bool, typer.Option("--all", help="Every letter, of that state.")
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
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
) -> Exit:
    """Put records back where they lay when they were refused; repeating it is harmless.

    A document that the index refused is written to the index. Numbers may name letters
    that were retried before. What was refused before it was published holds nothing to
    put back: unless named by number it is left out. Exit code 1 when one cannot be put
    back or, with --wait, is refused again; 3 when after --timeout (300 s unless given)
    one is still on its way.
    """
    choice = letters.choice(stage, kind, since, state)
    options.waits(wait=wait, timeout_s=timeout_s)
    if not (numbers or everything or str(choice)):
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
        chosen = letters.chosen(book, numbers, choice)
        problem = letters.missing(book, chosen, numbers, choice)
        problem = problem or (_cannot_mend(chosen[0]) if mended is not None else "")
        if problem:
            screen.complain(f"wirewatch: {problem}")
            return Exit.FAULT
        if not numbers:
            chosen = _without_door(at, chosen)
        if dry_run:
            return _only_say(chosen, json=json)
        index = await stack.enter_async_context(open_index(at.settings))
        done = await _put_back(log, index, chosen, mended)
        verdicts: dict[Position, Verdict] = {}
        if wait:
            await stack.enter_async_context(Hands(at.settings))
            stack.enter_context(screen.progress("waiting for the stages", quiet=json))
            limit_s = WAIT_S if timeout_s is None else timeout_s
            verdicts = await _outcome(log, index, done, limit_s)
    return _report(at, done, verdicts, waited=wait, json=json)


def _read(name: str) -> bytes:
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def _cannot_mend(letter: Letter) -> str:
    """Return why a mended value of *letter* goes nowhere; '' if it does."""
    if goes_to_index(letter):
        return (
            f"{letter.of} was made by correlate and lies on its topic as it is: a "
            "mended copy in the index would be gone with the next reindex"
        )
    return "" if letter.lay_at else letters.how_to_mend(letter)


def _without_door(at: Context, chosen: list[Letter]) -> list[Letter]:
    """Return *chosen* without what never was published; say how many were left out."""
    there = [one for one in chosen if one.lay_at]
    if left_out := len(chosen) - len(there):
        one = left_out == 1
        screen.complain(
            f"wirewatch: {wording.counted(left_out, 'letter')} left out that "
            f"{'was' if one else 'were'} refused before anything was published: mend the "
            f"cause and have the source read again; '{at.again('deadletters', 'purge')} "
            f"NUMBER' closes {'it' if one else 'each'}"
        )
    return there


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
    found = {verdict.fate for verdict in verdicts.values()}
    left = any(one.done in {Done.NOTHING, Done.REFUSED} for one in done)
    if left or LOST & found:
        return Exit.FAULT
    return Exit.UNAVAILABLE if Fate.PENDING in found else Exit.OK


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
