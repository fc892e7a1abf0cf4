"""``wirewatch inspect``: what a connector would publish, publishing nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from connectors import documents
from connectors.face import Refused
from connectors.http import HttpClient
from console import screen, wording
from console.context import Context, command
from console.exits import Exit


EXAMPLES = """\
Examples:

wirewatch inspect https://example.org/feed.xml | jq .title

wirewatch inspect morning-news.srt folder-of-feeds/
"""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(inspect)


async def inspect(
    at: Context,
    sources: Annotated[
        list[str], typer.Argument(metavar="PATH|URL|-...", help="What to read.")
    ],
) -> Exit:
    """Read feeds, transcripts or JSON lines; print the items, publish nothing.

    An item a line, as JSON; what would be refused is named on standard error, with the
    reason.
    """
    refused = False
    async with HttpClient(at.settings.http) as http:
        async for one in documents.read(sources, at.settings, http):
            if isinstance(one, Refused):
                refused = True
                screen.complain(f"refused: {wording.refusal(one)}")
            else:
                screen.emit(one)
    return Exit.FAULT if refused else Exit.OK
