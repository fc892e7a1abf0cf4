"""What the log knows of the sources, as ``check`` tells it: no source is asked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from connectors.rss.roster import Rolled, twins
from connectors.urls import public_url
from console import feeds_lines, wording
from console.feeds_known import Known
from streams.records import Cursor
from streams.settings import Station


#: So many sources are named; the others are counted.
NAMED_MAX = 10
#: So many feeds that all fail alike have one cause.
ALL_MIN = 3
#: A station that gave nothing for so long is named.
QUIET = timedelta(days=1)
#: Kinds of failure that a network which is away gives.
_OUT_OF_REACH = frozenset({"dns", "connection", "timeout"})
#: Flags of a feed that somebody has to look after.
_ALARMING = frozenset({"silent", "lying_validators", "full_of_gaps"})


class Note(NamedTuple):
    """A line about sources, and whether a person should look after them."""

    text: str
    look: bool = False


def of_feeds(
    feeds: Collection[Known], again: str, *, unwatched: str = "", gap_s: float = 0.0
) -> Iterator[Note]:
    """Yield how the feeds do: all together, then those that are worth a look.

    ``again`` begins the command that lists them, ``unwatched`` says that nobody asks
    them, ``gap_s`` lies between two requests to a host.
    """
    yield Note(feeds_lines.summary(feeds, gap_s))
    if unwatched:
        yield Note(unwatched, look=True)
    shared = in_common(feeds)
    if shared:
        yield Note(shared, look=True)
    named = [
        told
        for one in feeds_lines.ordered(feeds, "worst")
        if (told := trouble(one))
        and not (shared and one.health.failure in _OUT_OF_REACH)
    ]
    yield from (Note(told, look=True) for told in named[:NAMED_MAX])
    if (left := len(named) - NAMED_MAX) > 0:
        yield Note(f"and {left:,} more: '{again}' lists them", look=True)
    rolled = {one.id: Rolled(one.feed, one.paused, "file") for one in feeds}
    if found := twins(rolled):
        such = " and ".join(map(repr, found[0]))
        counted = wording.counted(len(found), "address", "addresses")
        yield Note(f"{counted} watched more than once, such as {such}", look=True)


def in_common(feeds: Collection[Known]) -> str:
    """Return why every feed that was asked fails, where that is one cause; '' if not."""
    asked = [one.health for one in feeds if one.health.polled and not one.paused]
    kinds = {one.failure for one in asked}
    if len(asked) < ALL_MIN or not kinds <= _OUT_OF_REACH:
        return ""
    counted = wording.counted(len(asked), "feed")
    if kinds == {"dns"}:
        return (
            f"not one name of {counted} can be looked up: is there a network, and a "
            "name server?"
        )
    return f"none of {counted} can be reached: is there a network, or a proxy between?"


def trouble(one: Known) -> str:
    """Return what a person should know of a feed; '' if it does well, or rests."""
    health = one.health
    if one.state == "paused":
        return ""
    if one.state in feeds_lines.BAD:
        good = f", good last {wording.moment(health.good)}" if health.good else ""
        return f"feed {one.id!r} is {one.state}{good}: {wording.cause(health.because)}"
    for flag in health.flags:
        if flag in _ALARMING:
            return f"feed {one.id!r}: {flag}: {feeds_lines.FLAGS[flag]}"
    if one.url != public_url(one.feed.url):
        return f"feed {one.id!r} has moved for good and is asked at {one.url}"
    return ""


def of_stations(
    stations: Collection[Station], cursors: Mapping[str, Cursor], now: datetime
) -> Iterator[Note]:
    """Yield how many stations there are, and which are silent.

    A station's files have a cursor each, written when they were read.
    """
    yield Note(wording.counted(len(stations), "station"))
    latest: dict[str, datetime] = {}
    for name, cursor in cursors.items():
        station = name.partition("/")[0]
        latest[station] = max(cursor.updated, latest.get(station, cursor.updated))
    silent = [
        one.id
        for one in stations
        if one.id not in latest or now - latest[one.id] > QUIET
    ]
    for ident in silent[:NAMED_MAX]:
        last = latest.get(ident)
        said = f"nothing new since {wording.moment(last)}" if last else "nothing yet"
        told = (
            f"station {ident!r}: {said}; whether it fails, the log lines of 'run' or "
            "'connect radio' tell"
        )
        yield Note(told, look=True)
    if (left := len(silent) - NAMED_MAX) > 0:
        yield Note(f"and {left:,} more that gave nothing new for a day", look=True)
