"""``wirewatch feeds``: which feeds are watched, and how each of them does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Annotated

import typer

from rich.text import Text
from typer.core import TyperGroup

from connectors.rss.shard import Shard
from connectors.urls import host_of
from console import (
    feeds_check,
    feeds_edit,
    feeds_lines,
    feeds_transfer,
    options,
    screen,
    wording,
)
from console.context import Context, command
from console.exits import Exit
from console.feeds_known import Known, demand, fits_host, fits_tag, known, unwatched
from console.options import JsonOption
from streams import clock
from streams.errors import SettingsError


#: More than a person reads; --limit 0 shows all.
LIMIT = 200
LIST = "list"


class _Listing(TyperGroup):
    """Takes options without a command's name for those of the list."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Read the arguments; see the base class."""
        if not args or (args[0].startswith("-") and args[0] not in {"-h", "--help"}):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


feeds = typer.Typer(
    cls=_Listing,
    help="Which feeds are watched, how each does, and changes of the list. Without a "
    "command: the list, with its options (--state, --flag, --tag, --host, --shard, "
    "--sort, --limit, --json: 'feeds list --help').",
)
LIST_EXAMPLES = """\
Examples:

wirewatch feeds  (the worst first)

wirewatch feeds --state failing --state parked --host example.org

wirewatch feeds list radio --tag Africa --sort lateness --json | jq .url

STATE is waiting, good, failing, parked, gone or paused; GOOD: since the last good answer;
NEXT: until the next poll; EVERY: between two; A DAY: new entries, as it is estimated; LATE:
from publication to reading; GAPS: polls before which entries were probably missed. FLAG is
silent, lying_validators, guids_change, guids_shared, dates_bumped, restless or
full_of_gaps.
"""


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(feeds, LIST, epilog=LIST_EXAMPLES)(list_)
    command(feeds, epilog="Example: wirewatch feeds show example.org/feed.xml")(show)
    command(feeds, epilog="Example: wirewatch feeds hosts --limit 20")(hosts)
    feeds_edit.mount(feeds)
    feeds_check.mount(feeds)
    feeds_transfer.mount(feeds)
    app.add_typer(feeds, name="feeds")


LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        min=0,
        help=f"Show no more than so many; 0: all. {LIMIT} if not given, all with --json.",
    ),
]


async def list_(  # noqa: PLR0913 - a command's options are its parameters
    at: Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS", help="In its id, name, address or tags."),
    ] = None,
    *,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help="In this state; repeatable."),
    ] = None,
    flag: Annotated[
        list[str] | None,
        typer.Option("--flag", metavar="FLAG", help="Flagged so; repeatable."),
    ] = None,
    tag: Annotated[
        str, typer.Option("--tag", help="With this tag, or one within it.")
    ] = "",
    host: Annotated[
        str, typer.Option("--host", help="At this host, or one within it.")
    ] = "",
    shard: Annotated[
        str,
        typer.Option("--shard", metavar="N/M", help="Read by this of M connectors."),
    ] = "",
    sort: Annotated[
        str,
        typer.Option(
            "--sort", metavar="ORDER", help=f"By {', '.join(feeds_lines.ORDERS)}."
        ),
    ] = "worst",
    limit: LimitOption = None,
    json: JsonOption = False,
) -> Exit:
    """List the feeds: state, last good answer, next poll, interval, lateness, gaps, flags.

    What the log knows of them, beside a running connector or without one; nobody is
    asked. Exit code 1 when there are feeds, but none of those asked for.
    """
    for one in state or ():
        options.nearest(one, feeds_lines.STATES, "state", "--state")
    for one in flag or ():
        options.nearest(one, feeds_lines.FLAGS, "flag", "--flag")
    options.nearest(sort, feeds_lines.ORDERS, "order", "--sort")
    share = _share(shard)
    everyone = (await known(at)).values()
    chosen = [
        feed
        for feed in everyone
        if (not state or feed.state in state)
        and (not flag or set(flag) & set(feed.health.flags))
        and (not tag or fits_tag(feed, tag))
        and (not host or fits_host(feed, host))
        and share.holds(host_of(feed.feed.url))
        and _has(feed, words or [])
    ]
    chosen = feeds_lines.ordered(chosen, sort)
    now = clock.now()
    gap_s = at.settings.rss.host_gap_s
    if json:
        for feed in chosen[: limit or None]:
            screen.emit(feeds_lines.as_json(feed))
    elif chosen:
        lines = (feeds_lines.line(one, now) for one in chosen)
        screen.show(*_limited(feeds_lines.HEAD, lines, len(chosen), limit))
        screen.show(Text(feeds_lines.summary(chosen, gap_s), style="bold"))
    elif not everyone:
        screen.show(_none(at))
    if told := unwatched(at, everyone, now):
        screen.complain(f"wirewatch: {told}")
    if everyone and not chosen:
        there = feeds_lines.summary(everyone, gap_s)
        screen.complain(f"wirewatch: none of those asked for, among {there}")
        return Exit.FAULT
    return Exit.OK


def _share(shard: str) -> Shard:
    try:
        return Shard.parse(shard)
    except SettingsError:
        raise typer.BadParameter(
            f"{shard!r} must be such as 2/8, the second of eight", param_hint="--shard"
        ) from None


def _none(at: Context) -> Text:
    return Text(f"No feeds. '{at.again('feeds', 'add', 'URL')}' adds one.", style="dim")


def _limited(
    head: str, lines: Iterator[Text], count: int, limit: int | None
) -> Iterator[Text]:
    """Yield the first of *count* lines under a heading, and how many are left."""
    shown = (LIMIT if limit is None else limit) or count
    yield Text(head, style="bold")
    yield from islice(lines, shown)
    if (left := count - shown) > 0:
        yield Text(f"and {left:,} more: --limit 0 shows all", style="dim")


async def show(
    at: Context,
    which: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Its id or its address.")
    ],
    *,
    json: JsonOption = False,
) -> Exit:
    """Show everything that is known of a feed, also of one that was removed."""
    now = clock.now()
    for one in demand(await known(at, removed=True), which):
        if json:
            screen.emit(feeds_lines.as_json(one))
        else:
            shards = _share(at.settings.rss.shard).total
            screen.show(*feeds_lines.page(one, str(at.file_to_edit), now, shards))
    return Exit.OK


async def hosts(
    at: Context, *, limit: LimitOption = None, json: JsonOption = False
) -> Exit:
    """List the hosts that feeds are asked at, those with most failing feeds first."""
    gap_s = at.settings.rss.host_gap_s
    found = feeds_lines.hosts((await known(at)).values(), gap_s)
    if json:
        for one in found[: limit or None]:
            screen.emit(one._asdict())
        return Exit.OK
    if not found:
        screen.show(_none(at))
        return Exit.OK
    now = clock.now()
    lines = (feeds_lines.host_line(one, now) for one in found)
    screen.show(*_limited(feeds_lines.HOSTS_HEAD, lines, len(found), limit))
    screen.show(Text(wording.counted(len(found), "host"), style="bold"))
    return Exit.OK


def _has(one: Known, words: list[str]) -> bool:
    about = " ".join((one.id, one.name, one.url, *one.feed.tags)).lower()
    return all(word.lower() in about for word in words)
