"""``wirewatch feeds import`` and ``feeds export``: lists, carried from reader to reader."""

from __future__ import annotations

import sys

from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import typer

from connectors.http import HttpClient, NotModified
from connectors.rss import lists, opml
from connectors.rss.subscription import ident_of
from connectors.urls import public_url
from console import escape, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.feeds_edit import Additions, TagsOption, listed, soon, tell
from console.feeds_known import Known, fits_tag, known
from streams.errors import SourceError
from streams.events import watched_feed
from streams.settings import Feed


STANDARD_INPUT = "-"
#: A hundred thousand feeds take some 30 MB of OPML.
LIST_MAX_BYTES = 100_000_000
Tags = tuple[str, ...]
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


def import_(
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
) -> Coroutine[Any, Any, Exit]:
    """Add the feeds of a list; its folders become tags. No feed is fetched.

    What is watched already is passed over, also from http to https or to www. Exit code
    1 when entries were refused, each with its place and the reason.
    """
    is_remote = source.partition("://")[0].lower() in {"http", "https"}
    # Read before there is a loop: what waits for somebody to type ends with Ctrl-C.
    body = None if is_remote else _local(source)
    more = tuple(filter(None, map(lists.tag, tag or ())))
    return _import(at, source, body, more, dry_run=dry_run)


async def _import(
    at: Context, source: str, body: bytes | None, more: Tags, *, dry_run: bool
) -> Exit:
    found = lists.read(await _fetched(at, source) if body is None else body)
    if not (found.feeds or found.refused):
        raise SourceError("it lists no feed")
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
        screen.complain(f"wirewatch: {soon(at)}")
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


async def _fetched(at: Context, url: str) -> bytes:
    async with HttpClient(at.settings.http) as http:
        answer = await http.get(url)
    assert not isinstance(answer, NotModified), "no validators were sent"
    return answer.body


def _local(source: str) -> bytes:
    """Return what a file or standard input holds; SourceError if that is no list."""
    if source == STANDARD_INPUT:
        body = sys.stdin.buffer.read(LIST_MAX_BYTES + 1)
    else:
        with Path(source).open("rb") as file:
            body = file.read(LIST_MAX_BYTES + 1)
    if len(body) > LIST_MAX_BYTES:
        size = f"{LIST_MAX_BYTES // 1_000_000} MB"
        raise SourceError(f"it is larger than {size}: no list of feeds is")
    return body
