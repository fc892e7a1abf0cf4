"""``wirewatch audit``: the fate of every raw record, and whether they add up."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated

import typer

from console import fates, options, screen
from console.context import Context, command
from console.exits import Exit
from console.hands import Hands
from console.options import JsonOption, TimeoutOption
from mappings.opening import open_index
from streams import audit as auditing
from streams.log.opening import open_log


EXAMPLES = """\
Examples:

wirewatch audit

wirewatch audit --wait --json | jq .fates
"""
#: Unless --timeout says otherwise.
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
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
) -> Exit:
    """Give every raw record its fate: indexed, a duplicate, a dead letter, and so on.

    Reads the log, from the oldest record kept to its end as of now; keeps no counters.
    Exit code 1 when a record has no fate; 3 when with --wait one is still on its way
    after --timeout (300 s unless given).
    """
    options.waits(wait=wait, timeout_s=timeout_s)
    at.demand_data()
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(at.settings))
        if wait:
            await stack.enter_async_context(Hands(at.settings))
        index = await stack.enter_async_context(open_index(at.settings))
        if wait:
            stack.enter_context(screen.progress("waiting for the stages", quiet=json))
            limit_s = WAIT_S if timeout_s is None else timeout_s
            result = await auditing.wait(log, index, timeout_s=limit_s)
        else:
            result = await auditing.audit(log, index)
    if json:
        screen.emit(fates.audit_as_json(result))
    else:
        screen.show(*fates.of_audit(result, waited=wait))
    if not result.balanced:
        return Exit.FAULT
    return Exit.UNAVAILABLE if wait and result.pending else Exit.OK
