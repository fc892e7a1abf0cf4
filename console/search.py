"""``wirewatch search``: full text, over items or incidents."""

from __future__ import annotations

import re

from itertools import pairwise
from typing import Annotated

import typer

from rich.text import Text
from typer.core import TyperCommand

from console import cards, escape, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.options import JsonOption
from mappings import query as language
from mappings.face import Kind, Page, Sort
from mappings.opening import open_index
from streams import clock
from streams.errors import QueryError


SYNTAX = """\
Examples:

wirewatch search 'convoi Kayes'  (both words, in any form: 'attaques' finds 'attaque')

wirewatch search '"convoi de carburant" OR tanker' --sort newest

wirewatch search 'attack* -drill class:battle after:-7d lang:fr'

wirewatch search --incidents 'class:disaster after:2026-11' --facets

Words are joined by AND; OR and NOT (or -) in capitals; parentheses group; word* finds
what begins so (3 letters or more). Fields: lang: class: source: publisher: station:
story: incident: after: before: seen-after: (times in UTC: 2026-11-24, 2026-11, -24h).
"""
LIMIT_MAX = 500
#: A dash and a word, and neither -v as often as it is wanted nor -n with its number.
_LEFT_OUT = re.compile(r"-(?!v+$)[^\W\d_-]{2,}.*")


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=SYNTAX, cls=_Query)(search)


class _Query(TyperCommand):
    """Says what to do about a query that begins like an option."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Read the arguments; see the base class."""
        before = args[: args.index("--")] if "--" in args else args
        for value_of, word in pairwise(["", *before]):
            if _LEFT_OUT.fullmatch(word) and not value_of.startswith("-"):
                raise typer.BadParameter(
                    f"{word} is read as options: for a word to be left out, put -- before "
                    "the query, after all options"
                )
        return super().parse_args(ctx, args)


async def search(  # noqa: PLR0913 - a command's options are its parameters
    at: Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY...",
            help="What to find; '' finds everything. Several words are one query; "
            "-- before one that begins with -.",
        ),
    ],
    *,
    incidents: Annotated[
        bool, typer.Option("--incidents", help="Search incidents, not items.")
    ] = False,
    sort: Annotated[
        Sort | None,
        typer.Option(
            help="In which order; by default relevance, for '' newest.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=LIMIT_MAX, help="How many.")
    ] = 10,
    after: Annotated[
        str, typer.Option(metavar="TOKEN", help="Go on after an earlier page.")
    ] = "",
    facets: Annotated[
        bool,
        typer.Option("--facets", help="Count by class, language, source and day too."),
    ] = False,
    json: JsonOption = False,
) -> Exit:
    """Find what was reported, in full text."""
    query = " ".join(words)
    order: Sort = sort or ("relevance" if query.strip() else "newest")
    try:
        wanted = language.parse(query, now=clock.now())
    except QueryError as error:
        _point(query, error)
        return Exit.USAGE
    at.demand_data()
    kind: Kind = "incidents" if incidents else "items"
    async with open_index(at.settings) as index:
        page = await index.search(
            wanted, kind=kind, sort=order, size=limit, after=after
        )
        counts = await index.facets(wanted, kind=kind) if facets else {}
    if json:
        for hit in page.hits:
            screen.emit(cards.as_json(hit))
        end = {"type": "page", "total": page.total, "after": page.after}
        screen.emit({**end, "facets": counts} if facets else end)
        return Exit.OK
    styled = screen.out().is_terminal
    for number, hit in enumerate(page.hits, 1):
        screen.show(*cards.card(hit, number, styled=styled))
    if counts:
        screen.show(cards.facets(counts), cards.narrowing(counts), "")
    noun = "incident" if incidents else "item"
    screen.show(_summary(page, noun, at, _again(query, kind, sort, limit)))
    return Exit.OK


def _point(query: str, error: QueryError) -> None:
    """Show the query with a caret under the place that is wrong."""
    screen.complain(f"wirewatch: {error}")
    before = Text(escape.line(query[: error.position]))
    caret = Text(" " * (2 + before.cell_len) + "^", "bold red")
    for line in (Text("  " + escape.line(query)), caret):
        screen.err().print(line, soft_wrap=True)


def _again(query: str, kind: Kind, sort: Sort | None, limit: int) -> list[str]:
    # A space before it, and a dash begins no option.
    words = ["search", f" {query}" if query.startswith("-") else query]
    words += ["--incidents"] if kind == "incidents" else []
    words += ["--sort", sort] if sort else []
    return [*words, "--limit", str(limit)]


def _summary(page: Page, noun: str, at: Context, words: list[str]) -> Text:
    if not page.total:
        return Text(f"No {noun} matches.", style="dim")
    text = Text(f"{len(page.hits):,} of {wording.counted(page.total, noun)}", "bold")
    if page.after:
        more = at.again(*words, "--after", page.after)
        text.append("\nMore: ", style="dim").append(escape.line(more), style="cyan")
    return text
