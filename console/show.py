"""``wirewatch show``: one item or incident, whole."""

from __future__ import annotations

from typing import Annotated

import typer

from console import details, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.options import JsonOption
from mappings.face import SearchIndex
from mappings.opening import open_index
from mappings.query import Label, Query
from streams.records import Incident, Item


SIBLINGS_MAX = 10
PAGE = 100
EXAMPLES = """\
Examples:

wirewatch show n4b1e0c7d2a9f3e6b8c5d0a17

wirewatch show i9c2... --json | jq .events
"""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(show)


async def show(
    at: Context,
    ident: Annotated[
        str, typer.Argument(metavar="ID", help="As search prints it: i... or n...")
    ],
    *,
    json: JsonOption = False,
) -> Exit:
    """Show everything that is known of an item or an incident."""
    at.demand_data()
    async with open_index(at.settings) as index:
        # Bytes that are no text, from the command line, are in no id.
        document = await index.get(ident.encode("utf-8", "replace").decode())
        if document is None:
            screen.complain(f"wirewatch: there is no item or incident {ident!r}")
            return Exit.FAULT
        if json:
            screen.emit(document)
        elif isinstance(document, Incident):
            screen.show(
                *details.incident(document, await _source_names(index, document))
            )
        else:
            screen.show(*details.item(document, await _siblings(index, document)))
    return Exit.OK


async def _source_names(index: SearchIndex, incident: Incident) -> dict[str, str]:
    """Return what people call the source of each report, by the report's item."""
    names: dict[str, str] = {}
    query, after = Query(Label("incident", incident.id)), ""
    wanted = {report.item for report in incident.reports}
    while wanted - names.keys():
        page = await index.search(query, sort="oldest", size=PAGE, after=after)
        names |= {
            hit.document.id: wording.source_name(hit.document.source)
            for hit in page.hits
            if isinstance(hit.document, Item)
        }
        if not (after := page.after):
            break
    return names


async def _siblings(index: SearchIndex, item: Item) -> list[Item]:
    """Return other items of the same story, newest first."""
    if item.story is None:
        return []
    page = await index.search(
        Query(Label("story", item.story.id)), sort="newest", size=SIBLINGS_MAX + 1
    )
    found = [hit.document for hit in page.hits if isinstance(hit.document, Item)]
    return [one for one in found if one.id != item.id][:SIBLINGS_MAX]
