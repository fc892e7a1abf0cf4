"""``wirewatch feeds add``, ``remove``, ``pause``, ``resume``: the list, changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
import typer

from connectors.http import HttpClient
from connectors.rss import lists
from connectors.rss.discover import Discoverer, Seen, main
from connectors.rss.subscription import ident_of
from connectors.urls import canonical, public_url
from console import escape, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.feeds_known import Known, demand, fits_host, fits_tag, idle, known_on
from console.feeds_lines import AT_REST
from streams import clock
from streams.errors import SourceError, SourceUnavailableError
from streams.events import watched_feed
from streams.log.face import Log, Output
from streams.log.opening import open_log
from streams.records import WatchedFeed
from streams.settings import Feed
from streams.topics import DECLARED, FEEDS


#: Records of one append.
BATCH = 500
#: So much of a feed's own title names it.
NAME_MAX = 200
ADD_EXAMPLES = """\
Examples:

wirewatch feeds add https://example.org/feed.xml --tag Africa/Mali --language fr

wirewatch feeds add https://example.org/  (a site: its feed is looked for)
"""

SET_EXAMPLES = """\
Examples:

wirewatch feeds set example.org/feed.xml --interval 120 --tag Africa/Mali

wirewatch feeds set example.org/feed.xml --interval 0 --tag ''  (no tags, as it is worth)
"""


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(app, epilog=ADD_EXAMPLES)(add)
    command(app, "set", epilog=SET_EXAMPLES)(set_)
    command(app, epilog="Example: wirewatch feeds remove example.org/feed.xml")(remove)
    command(app, epilog="Example: wirewatch feeds pause --host example.org")(pause)
    command(app, epilog="Example: wirewatch feeds resume --tag Africa/Mali")(resume)


TagsOption = Annotated[
    list[str] | None,
    typer.Option("--tag", help="To find it by; a/b is b within a; repeatable."),
]
OfTagOption = Annotated[str, typer.Option("--tag", help="All with this tag.")]
OfHostOption = Annotated[str, typer.Option("--host", help="All of this host.")]
IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID...", help="Ids or addresses, as 'feeds' lists them."),
]


async def add(  # noqa: PLR0913 - a command's options are its parameters
    at: Context,
    urls: Annotated[
        list[str], typer.Argument(metavar="URL...", help="Feeds, or sites with one.")
    ],
    *,
    ident: Annotated[
        str, typer.Option("--id", help="Its name for good; else its address.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="What people call it.")] = "",
    publisher: Annotated[
        str, typer.Option("--publisher", help="Whose it is; else its domain.")
    ] = "",
    country: Annotated[
        str, typer.Option("--country", help="Two letters, such as ML.")
    ] = "",
    language: Annotated[
        str, typer.Option("--language", help="BCP 47, such as fr.")
    ] = "",
    interval: Annotated[
        float,
        typer.Option(
            "--interval", min=0, help="Seconds between polls; else as it is worth."
        ),
    ] = 0.0,
    tag: TagsOption = None,
    full_text: Annotated[
        bool, typer.Option("--full-text", help="Read the pages that it links to, too.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Do not fetch it first.")
    ] = False,
) -> Exit:
    """Add feeds; each is fetched first, and of a site its feed is looked for.

    A running connector takes them up within seconds. Refused are those that are watched
    already, and addresses with credentials. Exit code 1 when any was refused.
    """
    if len(urls) > 1 and (ident or name):
        raise typer.BadParameter(
            "several feeds cannot have one id or name", param_hint="--id/--name"
        )
    wish = Feed(
        url="",
        id=ident,
        name=name,
        publisher=publisher,
        country=country.upper(),
        language=language,
        interval_s=interval,
        tags=_tags(tag or ()),
        full_text=full_text,
    )
    async with listed(at) as (log, feeds), HttpClient(at.settings.http) as http:
        async with Discoverer(at.settings, http) as discoverer:
            listing = Additions(feeds)
            for url in urls:
                feed = msgspec.structs.replace(wish, url=lists.address(url))
                why = lists.fault(feed)
                if not (why or no_check or listing.holder(feed.url)):
                    feed, why = await _checked(feed, discoverer, listing)
                listing.take(feed, why)
        await tell(log, [watched_feed(one) for one in listing.added])
    refused = [*listing.refused, *listing.there]
    for reason in refused:
        screen.complain(f"refused: {reason}")
    for one in listing.added:
        screen.show(escape.shown(f"added: {one.id} ({one.name or one.url})"))
    _warn_of(interval, at.settings.rss.interval_min_s)
    if listing.added:
        screen.complain(f"wirewatch: {soon(at)}")
    return Exit.FAULT if refused else Exit.OK


async def set_(  # noqa: PLR0913 - a command's options are its parameters
    at: Context,
    ident: Annotated[
        str, typer.Argument(metavar="ID", help="Its id or address, as 'feeds' lists.")
    ],
    *,
    name: Annotated[str | None, typer.Option("--name", help="'' for its own.")] = None,
    publisher: Annotated[
        str | None, typer.Option("--publisher", help="Whose it is; '' for its domain.")
    ] = None,
    country: Annotated[
        str | None, typer.Option("--country", help="Two letters, such as ML.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="BCP 47, such as fr.")
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("--interval", min=0, help="Seconds; 0: as it is worth."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="In place of its tags; repeatable; '' for none."),
    ] = None,
    full_text: Annotated[
        bool | None, typer.Option("--full-text/--no-full-text", help="Read its pages.")
    ] = None,
) -> Exit:
    """Change what was said of a feed when it was added; what is not given stays.

    One that is parked or gone is asked again. One of the configuration file is changed
    there. Exit code 1 when it is refused.
    """
    given = {
        "name": name,
        "publisher": publisher,
        "country": country.upper() if country is not None else None,
        "language": language,
        "interval_s": interval,
        "tags": None if tag is None else _tags(tag),
        "full_text": full_text,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise typer.BadParameter("set what? See --help", param_hint="ID")
    async with listed(at) as (log, feeds):
        (one,) = demand(feeds, [ident])
        feed = msgspec.structs.replace(one.feed, **changes)
        why = lists.fault(feed)
        if one.origin == "file":
            why = f"it stands in {at.file_to_edit}: change it there"
        if why:
            screen.complain(f"refused: {one.id}: {why}")
            return Exit.FAULT
        record = _with(one._replace(feed=feed), paused=one.paused)
        await tell(log, [watched_feed(record)])
    screen.show(escape.shown(f"set: {one.id}: {', '.join(changes)}"))
    _warn_of(feed.interval_s, at.settings.rss.interval_min_s)
    screen.complain(f"wirewatch: {soon(at)}")
    return Exit.OK


async def remove(at: Context, which: IdsArgument = None) -> Exit:
    """Take feeds off the list; what was published of them, and their history, stay."""
    if not which:
        raise typer.BadParameter("which?", param_hint="ID...")
    code = Exit.OK
    async with listed(at) as (log, feeds):
        outputs = []
        for one in demand(feeds, which):
            if one.origin == "file":
                code = Exit.FAULT
                screen.complain(
                    f"refused: {one.id}: it stands in {at.file_to_edit}: take it out "
                    f"there, or '{at.again('feeds', 'pause', one.id)}'"
                )
                continue
            outputs.append(Output(FEEDS.name, one.id.encode(), None))
        await tell(log, outputs)
    for output in outputs:
        screen.show(escape.shown(f"removed: {(output.key or b'').decode()}"))
    if outputs:
        screen.complain(f"wirewatch: {soon(at)}")
    return code


async def pause(
    at: Context,
    which: IdsArgument = None,
    *,
    tag: OfTagOption = "",
    host: OfHostOption = "",
) -> Exit:
    """Ask feeds no more until they are resumed."""
    return await _set(at, which or [], tag, host, paused=True)


async def resume(
    at: Context,
    which: IdsArgument = None,
    *,
    tag: OfTagOption = "",
    host: OfHostOption = "",
) -> Exit:
    """Ask feeds again that were paused, or that are parked or gone."""
    return await _set(at, which or [], tag, host, paused=False)


def _warn_of(interval_s: float, least_s: float) -> None:
    if 0 < interval_s < least_s:
        screen.complain(
            f"wirewatch: it is asked every {least_s:g} s, no oftener: that is "
            "rss.interval_min_s"
        )


def soon(at: Context) -> str:
    """Return when a change of the list counts."""
    return idle(at) or "a running connector takes it up within seconds"


class Additions:
    """Feeds that are about to be added: each address and each id once."""

    def __init__(self, feeds: dict[str, Known]) -> None:
        self._ids = set(feeds)
        self._holders = {canonical(one.feed.url): one.id for one in feeds.values()}
        self._holders |= {canonical(one.url): one.id for one in feeds.values()}
        self.added: list[WatchedFeed] = []
        #: Which, and why.
        self.refused: list[str] = []
        #: Which are watched already, and as what.
        self.there: list[str] = []

    def holder(self, url: str) -> str:
        """Return the id of the feed that is asked at *url*; '' if none is."""
        return self._holders.get(canonical(url), "")

    def take(self, feed: Feed, why: str = "") -> None:
        """Add *feed*; refuse it if there is a reason *why*, or if it is there already."""
        ident = ident_of(feed)
        shown = public_url(feed.url)
        if not why and (held := self.holder(feed.url)):
            self.there.append(f"{shown}: it is watched already, as {held!r}")
            return
        if not why and ident in self._ids:
            why = f"another feed is called {ident!r}: give it an id of its own"
        if why:
            self.refused.append(f"{shown}: {why}")
            return
        self._ids.add(ident)
        self._holders[canonical(feed.url)] = ident
        values = msgspec.structs.asdict(feed) | {"id": ident, "added": clock.now()}
        self.added.append(WatchedFeed(**values))


@asynccontextmanager
async def listed(at: Context) -> AsyncIterator[tuple[Log, dict[str, Known]]]:
    """Open the log, with its topics there, and give the feeds as they are listed."""
    async with open_log(at.settings) as log:
        await log.create(DECLARED)
        yield log, await known_on(log, at)


async def tell(log: Log, outputs: Sequence[Output]) -> None:
    """Append changes of the list; let in also where the log takes no items."""
    for first in range(0, len(outputs), BATCH):
        await log.append(outputs[first : first + BATCH], intake=False)


async def _checked(
    feed: Feed, discoverer: Discoverer, listing: Additions
) -> tuple[Feed, str]:
    """Return *feed* at the address where it was found, or why it cannot be added."""
    shown = public_url(feed.url)
    try:
        seen = await discoverer.look(feed.url)
        if seen.document is None:
            found = main(await discoverer.named_by(seen))
            if len(found) != 1 or not seen.answer.body.strip():
                return feed, _which(seen, found)
            seen = found[0]
    except (SourceError, SourceUnavailableError) as error:
        told = str(error).removeprefix(f"{shown}: ")
        return feed, f"{told} (--no-check adds it all the same)"
    if held := listing.holder(seen.answer.url):
        return feed, f"it leads to {seen.answer.url}, which is watched as {held!r}"
    title = seen.document.title[:NAME_MAX] if seen.document else ""
    feed = msgspec.structs.replace(feed, url=seen.url, name=feed.name or title)
    return feed, lists.fault(feed)


def _which(seen: Seen, found: Sequence[Seen]) -> str:
    """Return what lies there instead of a feed, and which *found* ones may be meant."""
    if not found:
        return seen.fault
    what = seen.fault.partition(";")[0]
    there = ", ".join(public_url(one.url) for one in found)
    return f"{what}; its site has these feeds, add one of them: {there}"


def _tags(written: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(lists.tag, written))))


async def _set(
    at: Context, which: Sequence[str], tag: str, host: str, *, paused: bool
) -> Exit:
    if not (which or tag or host):
        raise typer.BadParameter("which? Ids, --tag or --host", param_hint="ID...")
    async with listed(at) as (log, feeds):
        chosen = {one.id: one for one in demand(feeds, which)}
        if tag or host:
            chosen |= {
                ident: one
                for ident, one in feeds.items()
                if (not tag or fits_tag(one, tag))
                and (not host or fits_host(one, host))
            }
        if not chosen:
            screen.complain("wirewatch: there are no such feeds")
            return Exit.FAULT
        meant = [one for one in chosen.values() if _may_be(one, paused=paused)]
        records = [_with(one, paused=paused) for one in meant]
        await tell(log, [watched_feed(record) for record in records])
    did = "paused" if paused else "resumed"
    for record in records:
        screen.show(escape.shown(f"{did}: {record.id}"))
    for ident in which:
        if (one := chosen.get(ident)) and one not in meant:
            screen.complain(f"as it was: {one.id}: it is {one.state}")
    told = f"{wording.counted(len(records), 'feed')} {did}"
    if others := len(chosen) - len(meant):
        were = "were paused already" if paused else "were not at rest"
        told += f", {others:,} {were}"
    screen.complain(f"wirewatch: {told}" + (f"; {soon(at)}" if records else ""))
    return Exit.OK


def _may_be(one: Known, *, paused: bool) -> bool:
    """Whether there is something to pause or resume."""
    return not one.paused if paused else one.state in AT_REST


def _with(one: Known, *, paused: bool) -> WatchedFeed:
    """Return the record that pauses or resumes a feed; a configured one by its id alone."""
    if one.origin == "file":
        return WatchedFeed(id=one.id, paused=paused, added=clock.now())
    values = msgspec.structs.asdict(one.feed)
    return WatchedFeed(
        **values | {"id": one.id, "paused": paused, "added": clock.now()}
    )
