"""``wirewatch forget``: take a publication away everywhere, for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

import typer

from rich.text import Text

from console import escape, options, screen, waiting, wording
from console.archive import Share, erase_from_archive, find_in_archive
from console.context import Context, command
from console.exits import Exit
from console.flow import Transit
from console.hands import Hands
from console.options import JsonOption, TimeoutOption, YesOption
from mappings.face import SearchIndex
from mappings.opening import open_index
from mappings.query import Label, Query
from streams import clock, forget, topics
from streams.errors import AlreadyRunningError, IndexUnavailableError, TransientError
from streams.forget import Quoting
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log, Position
from streams.log.opening import open_log
from streams.records import Incident, Item, UniqueItem
from streams.topics import DECLARED, RAW


BECAUSE_MAX = 500
COPIES_LISTED = 20
STILL_SHOWN = (
    "while its feed shows it, the next fetch brings it back into the archive, and "
    "nowhere else: forget it again when it is out of the feed"
)
EXAMPLES = """\
Examples:

wirewatch forget i9c2... --because 'court order 12/26' --dry-run

wirewatch forget i9c2... i04d... --because 'a source is at risk' --yes
"""


class _Task(NamedTuple):
    """One publication that is asked for, and what was found of it."""

    ident: str
    told: Quoting
    #: Other publications that carry the same story; None if the index is away.
    copies: tuple[str, ...] | None

    @property
    def publication(self) -> UniqueItem:
        return self.told.publication

    @property
    def is_forgotten(self) -> bool:
        return self.publication.state == "forgotten"


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, "forget", epilog=EXAMPLES)(forget_items)


async def forget_items(  # noqa: PLR0913 - each is an option
    at: Context,
    idents: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Items, as search prints them.")
    ],
    *,
    because: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Who asked for it and why: kept, and shown. Nothing of the content!",
        ),
    ],
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be taken away.")
    ] = False,
    wait: Annotated[
        bool, typer.Option(help="Wait until it is out of the search, and erased.")
    ] = True,
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
) -> Exit:
    """Take items away everywhere and for ever: search, incidents, topics, memory.

    What stays is a record that it happened, which holds nothing of the content, and
    keeps the item out when its source sends it again. There is no way back. Done twice
    it erases what has come in since, and changes nothing else.
    """
    if not because.strip() or len(because) > BECAUSE_MAX:
        raise typer.BadParameter(f"--because takes 1 to {BECAUSE_MAX} characters")
    options.waits(wait=wait, timeout_s=timeout_s)
    at.demand_data()
    async with open_log(at.settings) as log, open_index(at.settings) as index:
        tasks = [await _found(log, index, ident) for ident in dict.fromkeys(idents)]
        found = [task for task in tasks if task is not None]
        if len(found) < len(tasks):
            return Exit.FAULT
        shares: Mapping[str, Share] = {}
        if dry_run or not yes:
            with screen.progress("looking through the archive"):
                publications = [task.publication for task in found]
                shares = await find_in_archive(at.settings.rss, log, publications)
        show = screen.tell if json else screen.show
        if not (json and (yes or dry_run)):
            for task in found:
                show(*_what_goes(task, shares.get(task.ident)))
        if dry_run:
            if json:
                _emit(found, shares, forgotten=False, gone=None)
            return Exit.OK
        many = wording.counted(len(found), "item")
        if not yes and not screen.agreed(f"Forget {many} for ever?"):
            return Exit.USAGE
        shares = await _carry_out(
            at, log, index, found, because, wait=wait, timeout_s=timeout_s
        )
    _report(at, found, shares, wait=wait, json=json)
    return Exit.OK


async def _found(log: Log, index: SearchIndex, ident: str) -> _Task | None:
    """Return what is known of *ident*; say so and return None if it is no item."""
    document, copies = None, None
    try:
        document = await index.get(ident)
        copies = await _copies(index, document) if isinstance(document, Item) else ()
    except IndexUnavailableError:
        pass  # perhaps nothing was ever written: the topics tell
    if isinstance(document, Incident):
        items = ", ".join(report.item for report in document.reports)
        screen.complain(
            f"wirewatch: {ident} is an incident, which is made of its reports: forget "
            f"its items ({items or 'it has none'}; search incident:{ident} finds all)"
        )
        return None
    publication = document or await forget.last_emission(log, ident)
    if publication is None:
        screen.complain(f"wirewatch: there is no item {ident!r}")
        return None
    incidents = await forget.quoting(log, ident)
    return _Task(ident, Quoting(publication, incidents), copies)


async def _copies(index: SearchIndex, item: Item) -> tuple[str, ...]:
    if item.story is None:
        return ()
    story = Query(Label("story", item.story.id))
    page = await index.search(story, sort="newest", size=COPIES_LISTED)
    return tuple(hit.document.id for hit in page.hits if hit.document.id != item.id)


def _what_goes(task: _Task, share: Share | None) -> Iterator[Text]:
    item = task.publication
    yield escape.shown(task.ident, "bold cyan")
    if item.forgetting is not None:
        asked = f"forgotten on {wording.moment(item.fetched)}"
        yield escape.shown(f"  {asked}: {item.forgetting.because}")
        yield from _of_archive(share)
        return
    yield escape.shown(f"  {wording.item_title(item)}")
    revisions = wording.counted(item.revision, "revision")
    yield escape.shown(
        f"  {wording.source_name(item.source)} ({item.publisher}), {revisions}, "
        f"first seen {wording.moment(item.first_seen)}"
    )
    for incident in task.told.incidents:
        leads = any(one.item == task.ident for one in incident.reports)
        what = "quotes it" if leads else "it was a report of it"
        yield escape.shown(f"  incident {incident.id} ({what})")
    if task.copies is None:
        yield escape.shown(
            "  whether others carry the same text is not known: the index is away",
            "yellow",
        )
    if task.copies:
        yield escape.shown(
            "  the same text is also in these, which stay unless you forget them too: "
            + ", ".join(task.copies),
            "yellow",
        )
    yield from _of_archive(share)
    if item.recording is not None:
        names = ", ".join(one.value for one in item.identities if one.kind == "guid")
        yield escape.shown(
            "  its transcript lies in the folder that is watched, and is yours to "
            f"delete: {item.source.url or names}",
            "yellow",
        )


def _of_archive(share: Share | None) -> Iterator[Text]:
    """Yield what of the archive goes with a publication."""
    if share is None or not share.fetches:
        return
    fetches = wording.counted(share.fetches, "fetch", "fetches")
    goes = "goes" if share.fetches == 1 else "go"
    others = wording.counted(len(share.others), "other entry", "other entries")
    told = f"  archive: {fetches} with {others} {goes} with it, whole"
    if share.unreadable:
        told += f"; {share.unreadable:,} cannot be read any more, and may hold it"
    yield escape.shown(told, "yellow")
    yield escape.shown(f"  {STILL_SHOWN}", "yellow")


async def _carry_out(
    at: Context,
    log: Log,
    index: SearchIndex,
    tasks: list[_Task],
    because: str,
    *,
    wait: bool,
    timeout_s: float | None,
) -> Mapping[str, Share]:
    """Ask for it and wait; return what went from the archive."""
    now = clock.now()
    requests = [
        forget.request(task.told, because=because, now=now)
        for task in tasks
        if not task.is_forgotten
    ]
    async with AsyncExitStack() as stack:
        hands = await stack.enter_async_context(Hands(at.settings)) if wait else None
        await log.create(DECLARED)
        positions = await log.append(requests, intake=False) if requests else []
        if len(requests) < len(tasks):  # killed earlier, it may be on its way still
            ends = await log.ends(RAW.name)
            positions += [Position(RAW.name, p, at - 1) for p, at in ends.items() if at]
        if hands is None:
            return {}
        tell = stack.enter_context(screen.progress("forgetting"))
        again = at.again("forget", *(one.ident for one in tasks), "--because", because)
        late = f"it is not out of the search; it is asked for, and '{again}' goes on"
        async with waiting.limited(timeout_s, late):
            await waiting.come_through(Transit(log, positions), hands, tell)
    await index.refresh()
    for task in tasks:
        await _erase(log, index, task.ident)
    publications = [task.publication for task in tasks]
    shares = await erase_from_archive(at.settings.rss, log, publications)
    try:
        await index.erase()
    except AlreadyRunningError as error:
        raise TransientError(
            f"it is out of the search, and not erased yet: {error}; then 'wirewatch "
            "forget' with the same words goes on"
        ) from error
    return shares


async def _erase(log: Log, index: SearchIndex, ident: str) -> None:
    """Delete from an embedded log what is left; on servers compaction and age do it."""
    if not isinstance(log, EmbeddedLog):
        return
    stub = await index.get(ident)
    if not isinstance(stub, Item) or stub.state != "forgotten":
        raise TransientError(f"the index does not know yet that {ident} is forgotten")
    gone = await forget.erasures(log, stub)
    await log.append(forget.notices(gone), intake=False)
    await log.erase(gone)


def _report(
    at: Context,
    tasks: list[_Task],
    shares: Mapping[str, Share],
    *,
    wait: bool,
    json: bool,
) -> None:
    servers = at.settings.mode != "embedded"
    gone = clock.now()
    if servers:
        gone += timedelta(seconds=topics.gone_after_s())
    if json:
        _emit(tasks, shares, forgotten=wait, gone=gone if wait or servers else None)
        return
    many = wording.counted(len(tasks), "item")
    if not wait:
        told = f"{many} will be forgotten"
        if not servers:
            told += "; the same command without --no-wait erases what the log holds"
    elif servers:
        told = f"{many} forgotten: gone from the search now, from every topic by "
        told += f"{gone:%Y-%m-%d}; the index is being merged"
    else:
        told = f"{many} forgotten: gone from the search and from the data folder"
    screen.show(escape.shown(told, "bold"))
    for ident, share in shares.items():
        if share.fetches:
            fetches = wording.counted(share.fetches, "fetch", "fetches")
            others = wording.counted(len(share.others), "other entry", "other entries")
            screen.show(
                escape.shown(f"{ident}: {fetches} with {others} out of the archive")
            )
    if any(share.fetches for share in shares.values()):
        screen.show(escape.shown(STILL_SHOWN, "yellow"))


def _emit(
    tasks: list[_Task],
    shares: Mapping[str, Share],
    *,
    forgotten: bool,
    gone: datetime | None,
) -> None:
    for task in tasks:
        copies = None if task.copies is None else list(task.copies)
        share = shares.get(task.ident)
        screen.emit(
            {
                "id": task.ident,
                "forgotten": forgotten,
                "incidents": [one.id for one in task.told.incidents],
                "copies": copies,
                "archive": share
                and {"fetches": share.fetches, "others": len(share.others)},
                "gone_from_topics": gone,
            }
        )
