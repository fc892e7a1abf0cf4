"""What the log knows of the feeds: the list of them, and how each of them does."""

from __future__ import annotations

import difflib

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import typer

from connectors.places import is_taken
from connectors.rss.roster import Rolled, added, by_id, merged
from connectors.urls import canonical, host_of, public_url
from console import wording
from console.context import Context
from streams import clock
from streams.events import read
from streams.log.embedded import FILE_NAME
from streams.log.face import Log
from streams.log.opening import open_log
from streams.records import FeedHealth
from streams.settings import Feed
from streams.topics import HEALTH


State = Literal["waiting", "good", "failing", "parked", "gone", "paused"]
#: To find what a name is like takes long among more names than these.
COMPARED_MAX = 2_000
#: A name that is less like another than this is not taken for it.
ALIKE_LEAST = 0.7
#: What is due is asked within a minute, unless its host rests.
OVERDUE_MAX = timedelta(minutes=5)


class Known(NamedTuple):
    """One feed; of one that was removed, ``origin`` says so."""

    id: str
    feed: Feed
    paused: bool
    origin: Literal["file", "added", "removed"]
    health: FeedHealth

    @property
    def state(self) -> State:
        """Its state; paused as soon as somebody said so."""
        if self.paused:
            return "paused"
        return "waiting" if self.health.state == "paused" else self.health.state

    @property
    def name(self) -> str:
        """What people call it: as configured, else as it calls itself; '' if unknown."""
        return self.feed.name or self.health.title

    @property
    def url(self) -> str:
        """Where it is asked, without credentials."""
        return self.health.url or public_url(self.feed.url)

    @property
    def host(self) -> str:
        """The host that is asked."""
        return host_of(self.url)


async def known(at: Context, *, removed: bool = False) -> dict[str, Known]:
    """Return the feeds by id: also those that were *removed*, or only the watched ones.

    Works beside a running connector, and on a data folder where nothing ever ran.
    """
    settings = at.settings
    if settings.mode == "embedded" and not (settings.data_folder / FILE_NAME).exists():
        return joined(merged(by_id(settings.rss.feeds), {}), {}, clock.now())
    async with open_log(settings) as log:
        return await known_on(log, at, removed=removed)


async def known_on(log: Log, at: Context, *, removed: bool = False) -> dict[str, Known]:
    """Return the feeds by id, as *log* has them."""
    rolled = merged(by_id(at.settings.rss.feeds), await added(log))
    return joined(rolled, await healths(log), clock.now(), removed=removed)


async def healths(log: Log) -> dict[str, FeedHealth]:
    """Return how each feed does, as it was written last."""
    topic = HEALTH.name
    if not await log.partitions(topic):
        return {}
    latest: dict[bytes, bytes | None] = {}
    starts, ends = await log.starts(topic), await log.ends(topic)
    async for record in log.read(topic, starts, ends):
        if record.key is not None:
            latest[record.key] = record.value
    found = {key: read(FeedHealth, value) for key, value in latest.items() if value}
    return {
        key.decode("utf-8", "replace"): health
        for key, health in found.items()
        if health is not None
    }


def joined(
    rolled: Mapping[str, Rolled],
    health: Mapping[str, FeedHealth],
    now: datetime,
    *,
    removed: bool = False,
) -> dict[str, Known]:
    """Return what both tell of each feed."""
    found = {
        ident: Known(
            ident,
            one.feed,
            one.paused,
            one.origin,
            health.get(ident) or FeedHealth(source=ident, updated=now),
        )
        for ident, one in rolled.items()
    }
    if removed:
        for ident, of_it in health.items():
            if ident not in found:
                gone = Feed(url=of_it.url, id=ident)
                found[ident] = Known(ident, gone, False, "removed", of_it)
    return found


def demand(feeds: Mapping[str, Known], asked: Iterable[str]) -> list[Known]:
    """Return the feeds with those ids or addresses; BadParameter for one that is none."""
    by_address: dict[str, str] = {}
    found = []
    for name in dict.fromkeys(asked):
        if name not in feeds and not by_address:
            by_address = {canonical(one.feed.url): one.id for one in feeds.values()}
        ident = name if name in feeds else by_address.get(canonical(name), "")
        if not ident:
            raise typer.BadParameter(
                f"there is no feed {public_url(name)!r}: {_alike(name, feeds)}"
            )
        found.append(feeds[ident])
    return found


def idle(at: Context) -> str:
    """Return that no process asks the feeds, if that is known whatever the feeds say.

    It is on the embedded log, where who asks them holds a lock.
    """
    if at.settings.mode != "embedded" or is_taken(at.settings, "rss"):
        return ""
    return f"no connector runs: '{at.again('run')}' starts one"


def unwatched(at: Context, feeds: Iterable[Known], now: datetime) -> str:
    """Return that nobody seems to ask *feeds*; '' if somebody does, or none is to be."""
    asked = [one.health for one in feeds if not one.paused]
    if not asked:
        return ""
    if at.settings.mode == "embedded":
        return idle(at)
    latest = max((one.polled for one in asked if one.polled), default=None)
    does = "does 'connect rss' run?"
    if latest is None:
        return f"none was ever asked: {does}"
    due = [one for one in asked if one.next_poll and one.next_poll < now - OVERDUE_MAX]
    if not due or now - latest < OVERDUE_MAX:
        return ""
    ago = wording.ago((now - latest).total_seconds())
    late = wording.counted(len(due), "feed")
    return f"{late} overdue, and the latest was asked {ago}: {does}"


def _alike(name: str, ids: Collection[str]) -> str:
    within = [one for one in ids if name.lower() in one.lower()]
    near = difflib.get_close_matches(
        name, (within or [*ids])[:COMPARED_MAX], 1, ALIKE_LEAST
    )
    likely = (near or within)[:1]
    return f"did you mean {likely[0]!r}?" if likely else "'wirewatch feeds' lists them"


def fits_tag(one: Known, tag: str) -> bool:
    """Whether the feed has *tag*, or one in it: ``Africa`` means ``Africa/Mali`` too."""
    return any(f"{own}/".startswith(f"{tag}/") for own in one.feed.tags)


def fits_host(one: Known, host: str) -> bool:
    """Whether the feed is asked at *host*, or at one within it."""
    return f".{one.host}".endswith(f".{host.lower().removeprefix('www.')}")
