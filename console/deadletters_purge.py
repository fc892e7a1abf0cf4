"""``wirewatch deadletters purge``: what nobody will mend is given up, on record."""

from __future__ import annotations

from typing import Annotated

import typer

from console import letters, moments, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.letters import KindOption, SinceOption, StageOption
from console.options import YesOption
from streams import clock
from streams.letters import Book, Letter, purged, read, to_purge
from streams.log.face import Log
from streams.log.opening import open_log
from streams.topics import DEADLETTERS


EXAMPLES = """\
Examples:

wirewatch deadletters purge 12 14  (closes these; nothing is deleted)

wirewatch deadletters purge --stage connectors.ingest

wirewatch deadletters purge --before -30d --yes  (deletes all that is older)
"""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(purge)


async def purge(
    at: Context,
    numbers: Annotated[
        list[int] | None,
        typer.Argument(metavar="[NUMBER]...", min=0, help="As the list gives them."),
    ] = None,
    *,
    stage: StageOption = "",
    kind: KindOption = "",
    since: SinceOption = "",
    before: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|TIME",
            help="Everything with a lower number, or put aside earlier: -30d, 2026-11-24.",
        ),
    ] = "",
    yes: YesOption = False,
) -> Exit:
    """Give dead letters up for good: by number or filter, or all of before, on record.

    Chosen by number or filter they are closed, and their bytes stay until they expire.
    With --before everything older is deleted, open or not: to have the bytes again
    later, 'deadletters export' first. For the audit all stay dead letters, 'purged'.
    """
    choice = letters.choice(stage, kind, since)
    if bool(before) == bool(numbers or str(choice)):
        raise typer.BadParameter(
            "which ones? Give numbers, --stage, --kind or --since; or else --before"
        )
    cut = _cut(before) if before else None
    at.demand_data()
    async with open_log(at.settings) as log:
        book = await read(log)
        if cut is not None:
            return await _delete(log, book, await _offset(log, book, cut), yes=yes)
        chosen = letters.chosen(book, numbers, choice)
        if problem := letters.missing(book, chosen, numbers, choice):
            screen.complain(f"wirewatch: {problem}")
            return Exit.FAULT
        return await _close(log, book, chosen, yes=yes)


async def _close(log: Log, book: Book, chosen: list[Letter], *, yes: bool) -> Exit:
    """Write of each that it is given up; an old notice more changes nothing."""
    left = [one for one in chosen if book.state(one) != "purged"]
    if not yes and left and not screen.agreed(f"Give up {letters.counted(left)}?"):
        return Exit.USAGE
    await log.append([purged(one) for one in left], intake=False)
    screen.show(f"{wording.counted(len(left), 'dead letter')} given up")
    return Exit.OK


async def _delete(log: Log, book: Book, cut: int, *, yes: bool) -> Exit:
    there = [one for one in book.letters.values() if one.position.offset < cut]
    if not there:
        screen.complain("wirewatch: no dead letter lies before that")
        return Exit.OK
    still_open = [one for one in there if book.state(one) == "open"]
    told = f"{letters.counted(there)}, {len(still_open):,} of them open"
    if not yes and not screen.agreed(f"Delete {told}?"):
        return Exit.USAGE
    # Notices first: killed in between, the letters are there and count as purged.
    await log.append(to_purge(book, cut, clock.now()), intake=False)
    await log.delete_before(DEADLETTERS.name, {0: cut})
    screen.show(f"{wording.counted(len(there), 'dead letter')} deleted")
    return Exit.OK


def _cut(before: str) -> moments.Place:
    place = moments.place(before, "--before")
    if isinstance(place, str):
        raise typer.BadParameter("give a number or a time", param_hint="--before")
    return place


async def _offset(log: Log, book: Book, cut: moments.Place) -> int:
    end = max(book.ends.values(), default=0)
    if isinstance(cut, int):
        return min(cut, end)
    return min((await moments.offsets(log, DEADLETTERS.name, cut)).get(0, 0), end)
