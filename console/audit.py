"""``wirewatch audit``: the fate of every raw record, and whether they add up."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated

import typer

from console import fates, screen
from console.context import Context, command
from console.exits import Exit
from console.hands import Hands
from console.options import JsonOption
from mappings.opening import open_index
from streams import audit as auditing
from streams.log.opening import open_log


EXAMPLES = """\
Examples:

wirewatch audit

wirewatch audit --wait --json | jq .fates
"""
WAIT_S = 300.0


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(audit)


async def audit(
    at: Context,
    *,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Wait until none is on its way; does the work if no worker runs on "
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
    """Give every raw record its fate: indexed, a duplicate, a dead letter, and so on.

    Reads the log, from the oldest record kept to its end as of now; keeps no counters.
    Exit code 1 when a record has no fate, or with --wait is still on its way.
    """
    at.demand_data()
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(at.settings))
        if wait:
            await stack.enter_async_context(Hands(at.settings))
        index = await stack.enter_async_context(open_index(at.settings))
        if wait:
            result = await auditing.wait(log, index, timeout_s=timeout_s)
        else:
            result = await auditing.audit(log, index)
    if json:
        screen.emit(fates.audit_as_json(result))
    else:
        screen.show(*fates.of_audit(result, waited=wait))
    well = result.balanced and not (wait and result.pending)
    return Exit.OK if well else Exit.FAULT
