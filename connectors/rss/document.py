"""A feed as it was written, whatever the format: what every parser here returns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from connectors.rss.look import Hints
from streams.records import Enclosure, Point


#: A feed of more entries is read no further; what was left out is told.
ENTRIES_MAX = 10_000
#: Lists longer than this are somebody's mistake; an item must stay a record.
LIST_MAX = 100


class Entry(NamedTuple):
    """One entry; every string is plain text and tidy, '' where there is none."""

    guid: str = ""
    link: str = ""
    title: str = ""
    text: str = ""
    #: As claimed, in UTC.
    published: datetime | None = None
    updated: datetime | None = None
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()
    language: str = ""
    #: Where it is set (GeoRSS); the middle of a line, box or polygon.
    point: Point | None = None
    #: The publisher takes the entry back (RFC 6721).
    withdrawn: bool = False


class FeedDocument(NamedTuple):
    """One feed."""

    title: str
    #: The site that the feed belongs to.
    link: str
    language: str
    entries: tuple[Entry, ...]
    #: Where the feed itself lies, as it says.
    address: str = ""
    #: What the feed calls itself (Atom's ``id``).
    ident: str = ""
    #: The document ends before its markup does.
    cut_off: bool = False
    #: Its XML is not well-formed, and was read as well as can be.
    broken: bool = False
    #: How often it wants to be asked, by its elements.
    hints: Hints = Hints()
    #: The hub that delivers it (WebSub), and the name by which the hub knows it.
    hub: str = ""
    topic: str = ""
    #: It holds all that there is: what is no longer in it was taken back (RFC 5005).
    complete: bool = False
    #: What the bounds of the parser kept out, in words.
    omitted: tuple[str, ...] = ()


def left_out(entries: int) -> Iterator[str]:
    """Yield what is to be said of *entries* beyond :data:`ENTRIES_MAX`, if there are any."""
    if entries > 0:
        yield f"entries beyond the first {ENTRIES_MAX:,} were not read: {entries:,}"
