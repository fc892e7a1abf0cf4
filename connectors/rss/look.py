"""What one poll of a feed gave: the facts that its health and its next poll go by."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from connectors.failures import Failure


class Hints(NamedTuple):
    """How often a feed wants to be asked: what its headers and its elements say."""

    #: ``Cache-Control: max-age`` or ``Expires``.
    max_age_s: float = 0.0
    #: RSS ``ttl``.
    ttl_s: float = 0.0
    #: ``sy:updatePeriod`` / ``sy:updateFrequency``.
    update_s: float = 0.0
    #: In UTC, 0 to 23.
    skip_hours: frozenset[int] = frozenset()
    #: Monday is 0.
    skip_days: frozenset[int] = frozenset()


class Look(NamedTuple):
    """One poll, or one delivery by a hub, that is over and stored."""

    #: new: something was published. known: read, and nothing new in it. same: the body
    #: of the last time. unmodified: 304.
    outcome: Literal["new", "known", "same", "unmodified", "failed"]
    at: datetime
    #: When it was due.
    due: datetime
    failure: Failure | None = None
    #: It failed in an outage of ours, which is no fault of the feed.
    ours: bool = False
    hints: Hints = Hints()
    entries: int = 0
    #: First seen, and when each of them says that it was published, or else updated
    #: (None: it says neither).
    new: int = 0
    published: tuple[datetime | None, ...] = ()
    edited: int = 0
    withdrawn: int = 0
    refused: int = 0
    #: All entries were new to us though some had been known: some were probably missed.
    gap: bool = False
    #: What the guids and dates of the feed do (``FeedHealth.flags``).
    habits: frozenset[str] = frozenset()
    #: Asked without validators, to see whether they lie.
    probe: bool = False
    #: Where a chain of permanent redirects (301, 308) alone leads; '' where none does.
    moved_to: str = ""
    #: Delivered by a hub.
    pushed: bool = False
    title: str = ""
    etag: str = ""
    last_modified: str = ""
    body: str = ""
