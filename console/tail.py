"""``wirewatch tail``: a topic as JSON lines."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, cast

import typer

from console import moments, options, records, screen
from console.context import Context, command
from console.exits import Exit
from streams.log.face import Record
from streams.log.opening import open_log
from streams.topics import ALL, DECLARED


EXAMPLES = """\
Examples:

wirewatch tail incidents  (from now on; Ctrl-C ends it)

wirewatch tail items --from beginning --count 10 | jq .value.title

wirewatch tail items.raw --from -1h

wirewatch tail deadletters --from 2026-11-24T08:00Z
"""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(tail)


async def tail(
    at: Context,
    topic: Annotated[
        str,
        typer.Argument(
            metavar="TOPIC", help=f"One of {', '.join(topic.name for topic in ALL)}."
        ),
    ],
    *,
    since: Annotated[
        str,
        typer.Option(
            "--from",
            metavar=moments.PLACES,
            help="Where to begin: all that is kept, what comes, a time in UTC (-1h is "
            "one), or an offset of each partition.",
        ),
    ] = moments.LATEST,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, help="End after so many records."),
    ] = None,
) -> Exit:
    """Follow a topic, a JSON line for each record.

    From the beginning it is a snapshot first, then what follows; in order within each
    partition. A value that is no JSON is given as base64.
    """
    options.nearest(topic, [one.name for one in DECLARED], "topic", "TOPIC")
    place = moments.place(since, "--from")
    at.demand_data()
    async with open_log(at.settings) as log:
        begin = await moments.offsets(log, topic, place)
        left = count
        following = cast(AsyncGenerator[Record, None], log.follow(topic, begin))
        async with aclosing(following) as coming:
            async for record in coming:
                screen.emit(records.as_json(record))
                if left is not None:
                    left -= 1
                    if not left:
                        break
    return Exit.OK
