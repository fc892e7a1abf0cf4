"""``wirewatch feeds import`` and ``feeds export``: lists, carried from reader to reader."""

from __future__ import annotations

import asyncio
import sys

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from connectors.http import HttpClient, NotModified
from connectors.rss import lists, opml
from connectors.rss.subscription import ident_of
from connectors.urls import public_url
from console import escape, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.feeds_edit import SOON, Additions, TagsOption, listed, tell
from console.feeds_known import Known, fits_tag, known
from streams.events import watched_feed
from streams.settings import Feed


STANDARD_INPUT = "-"
TITLE = "Feeds of Wirewatch"
IMPORT_EXAMPLES = """\
Examples:

wirewatch feeds import subscriptions.opml --dry-run

wirewatch feeds import https://example.org/radios.opml --tag Radio

cat addresses.txt | wirewatch feeds import -
"""
EXPORT_EXAMPLES = """\
Examples:

wirewatch feeds export > subscriptions.opml

wirewatch feeds export --format toml --tag Africa >> wirewatch.toml
"""


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(app, "import", epilog=IMPORT_EXAMPLES)(import_)
    command(app, epilog=EXPORT_EXAMPLES)(export)


async def import_(
    at: Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|URL|-", help="OPML, TOML, or an address (and a name) a line."
        ),
    ],
    *,
    tag: TagsOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")
    ] = False,
) -> Exit:
    """Add the feeds of a list; its folders become tags. No feed is fetched.

    What is watched already is passed over, also from http to https or to www. Exit code
    1 when entries were refused, each with its place and the reason.
    """
    found = lists.read(await _body(at, source))
    more = tuple(filter(None, map(lists.tag, tag or ())))
    async with listed(at) as (log, feeds):
        listing = Additions(feeds)
        for feed in found.feeds:
            tags = tuple(dict.fromkeys((*feed.tags, *more)))
            listing.take(msgspec.structs.replace(feed, tags=tags))
        if not dry_run:
            await tell(log, [watched_feed(one) for one in listing.added])
    refused = [*found.refused, *listing.refused]
    for reason in refused:
        screen.complain(f"refused: {reason}")
    if dry_run:
        for one in listing.added:
            told = f"would be added: {one.id} [{', '.join(one.tags)}]"
            screen.show(escape.shown(told.removesuffix(" []")))
    told = wording.counted(len(listing.added), "feed")
    screen.complain(
        f"wirewatch: {told} {'would be ' if dry_run else ''}added, "
        f"{len(listing.there):,} watched already, {len(refused):,} refused"
    )
    if listing.added and not dry_run:
        screen.complain(f"wirewatch: {SOON}")
    return Exit.FAULT if refused else Exit.OK


async def export(
    at: Context,
    *,
    form: Annotated[
        Literal["opml", "toml"], typer.Option("--format", help="opml or toml.")
    ] = "opml",
    tag: Annotated[str, typer.Option("--tag", help="Only those with this tag.")] = "",
) -> Exit:
    """Write the feeds to standard output, for another reader or the configuration file.

    In OPML the first tag of a feed is its folder. No credentials are written: a feed
    that has some is named on standard error.
    """
    chosen = [
        one for one in (await known(at)).values() if not tag or fits_tag(one, tag)
    ]
    for one in chosen:
        if lists.holds_credentials(one.feed.url):
            screen.complain(
                f"{one.id}: its credentials are left out: put them in again by hand"
            )
    feeds = [_bare(one) for one in chosen]
    text = lists.to_toml(feeds) if form == "toml" else opml.write(feeds, title=TITLE)
    sys.stdout.write(text)
    return Exit.OK


def _bare(one: Known) -> Feed:
    """Return the feed as it may be given away; its id only where its address has another."""
    feed = one.feed
    bare = msgspec.structs.replace(
        feed,
        id="",
        url=public_url(feed.url) if lists.holds_credentials(feed.url) else feed.url,
        tags=tuple(filter(None, map(lists.tag, feed.tags))),
    )
    if ident_of(bare) == one.id:
        return bare
    return msgspec.structs.replace(bare, id=one.id)


async def _body(at: Context, source: str) -> bytes:
    if source == STANDARD_INPUT:
        return await asyncio.to_thread(sys.stdin.buffer.read)
    if source.partition("://")[0].lower() not in {"http", "https"}:
        return await asyncio.to_thread(Path(source).read_bytes)
    async with HttpClient(at.settings.http) as http:
        answer = await http.get(source)
    assert not isinstance(answer, NotModified), "no validators were sent"
    return answer.body
