"""``wirewatch deadletters purge``: what nobody will mend is given up, on record."""

from __future__ import annotations

from typing import Annotated

import typer

from console import letters, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.tail import parse_moment
from streams import clock
from streams.letters import read, to_purge
from streams.log.face import Log
from streams.log.opening import open_log
from streams.topics import DEADLETTERS


EXAMPLES = """\
Examples:

wirewatch deadletters purge --before 120

wirewatch deadletters purge --before -30d --yes
"""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(purge)


async def purge(
    at: Context,
    *,
    before: Annotated[
        str,
        typer.Option(
            metavar="NUMBER|TIME",
            help="Everything with a lower number, or put aside earlier: -30d, 2026-11-24.",
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> Exit:
    """Delete old dead letters for good; a notice of each stays for the audit.

    Their records stay dead letters there, 'purged'. To have their bytes again later,
    'deadletters export' first.
    """
    at.demand_data()
    async with open_log(at.settings) as log:
        book = await read(log)
        cut = min(await _cut(log, before), max(book.ends.values(), default=0))
        there = [one for one in book.letters.values() if one.position.offset < cut]
        if not there:
            screen.complain("wirewatch: no dead letter lies before that")
            return Exit.OK
        still_open = [one for one in there if book.state(one) == "open"]
        told = f"{letters.counted(there)}, {len(still_open):,} of them open"
        if not yes and not typer.confirm(f"Delete {told}?", err=True):
            return Exit.FAULT
        # Notices first: killed in between, the letters are there and count as purged.
        await log.append(to_purge(book, cut, clock.now()), intake=False)
        await log.delete_before(DEADLETTERS.name, {0: cut})
    screen.show(f"{wording.counted(len(there), 'dead letter')} deleted")
    return Exit.OK


async def _cut(log: Log, before: str) -> int:
    if before.isdecimal():
        return int(before)
    moment = parse_moment(before, now=clock.now(), option="--before")
    if moment is None:
        raise typer.BadParameter("give a number or a time", param_hint="--before")
    return (await log.offsets_at(DEADLETTERS.name, moment)).get(0, 0)
