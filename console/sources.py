"""What the log knows of the configured sources: when each gave something new. Pure.

A connector writes a source's cursor when the source has given something new, not at
each look. So an old cursor means a quiet source or one that fails: which of them, only
the connector's own log lines tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from connectors.rss.subscription import subscription
from console import wording
from streams.records import Cursor
from streams.settings import Settings


#: A source that gave nothing new for so long, and for so many of its intervals, is named.
QUIET_S = 86_400.0
QUIET_INTERVALS = 10


class Heard(NamedTuple):
    """When a configured source last gave something new; None for never."""

    kind: str
    id: str
    last: datetime | None
    #: Silence longer than this is worth a look.
    quiet_s: float

    def is_silent(self, now: datetime) -> bool:
        """Whether it never gave anything, or nothing for long."""
        return self.last is None or (now - self.last).total_seconds() > self.quiet_s


def heard(settings: Settings, cursors: Mapping[str, Cursor]) -> list[Heard]:
    """Return each feed and station with the time of its latest cursor."""
    rss = settings.rss
    found = []
    for feed in rss.feeds:
        ident = subscription(feed).source.id
        cursor = cursors.get(ident)
        interval_s = max(feed.interval_s or rss.interval_s, rss.interval_min_s)
        last = cursor.updated if cursor else None
        quiet_s = max(QUIET_S, QUIET_INTERVALS * interval_s)
        found.append(Heard("feed", ident, last, quiet_s))
    for station in settings.radio.stations:
        # A station's files have a cursor each.
        taken = (c.updated for name, c in cursors.items() if _of(name, station.id))
        found.append(Heard("station", station.id, max(taken, default=None), QUIET_S))
    return found


def summary(found: list[Heard], now: datetime) -> str:
    """Return how many sources there are, and how many gave something."""
    lasts = [one.last for one in found if one.last is not None]
    if not lasts:
        return (
            "none has given anything yet; whether they fail, the log lines of 'run' or "
            "'connect' tell"
        )
    age = wording.ago((now - max(lasts)).total_seconds())
    return f"{len(lasts):,} of them have given something, the latest {age}"


def silences(found: list[Heard], now: datetime) -> Iterator[str]:
    """Yield a line for each source that a person should look after."""
    for one in found:
        if not one.is_silent(now):
            continue
        role = "connect rss" if one.kind == "feed" else "connect radio"
        since = f"nothing new since {wording.moment(one.last)}"
        said = "nothing yet" if one.last is None else since
        yield (
            f"{one.kind} {one.id!r}: {said}; whether it fails, the log lines of 'run' "
            f"or '{role}' tell"
        )


def _of(cursor: str, station: str) -> bool:
    return cursor.startswith(f"{station}/")
