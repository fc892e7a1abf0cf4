"""A feed as it was written, whatever the format: what every parser here returns."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from streams.records import Enclosure


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
