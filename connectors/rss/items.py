"""A feed's entries -> raw items: which of their names can be trusted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from connectors.identities import (
    GIVEN,
    content_scope,
    guid_identity,
    text_identity,
)
from connectors.rss.document import Entry, FeedDocument
from connectors.rss.parse import parse
from connectors.rss.subscription import Subscription, claimed
from connectors.urls import canonical, public_url
from streams.records import Identity, RawItem


#: Claims outside are no dates of publication but mistakes: the web is from 1991.
EARLIEST_YEAR = 1991
FUTURE_MAX = timedelta(days=366)


class FeedItems(NamedTuple):
    """What a feed gave."""

    items: tuple[RawItem, ...]
    #: Why others of its entries are no items: which, and what is wrong.
    refused: tuple[str, ...]


def read(
    body: bytes,
    subscription: Subscription | None,
    fetched: datetime,
    *,
    content_type: str = "",
    content_language: str = "",
    url: str = "",
) -> FeedItems:
    """Return the items of the feed in *body*, in its order.

    Without a *subscription* the feed is whose it says. What a process pool calls.
    Raises SourceError if it is no feed.
    """
    document = parse(
        body, content_type=content_type, content_language=content_language, url=url
    )
    return items(document, subscription, fetched)


def items(
    document: FeedDocument, subscription: Subscription | None, fetched: datetime
) -> FeedItems:
    """Return an item for each entry of *document* that has something in it.

    A guid or link that several entries share names none of them, nor does the link of
    the site itself.
    """
    about = subscription or claimed(document)
    source = about.source
    if not source.name:
        source = msgspec.structs.replace(source, name=document.title)
    home = canonical(document.link)
    shared = _shared(document.entries)
    found = tuple(
        RawItem(
            identities=tuple(_identities(entry, source.id, home, shared)),
            publisher=about.publisher,
            source=msgspec.structs.replace(
                source,
                language=source.language or entry.language or document.language,
            ),
            state="withdrawn" if entry.withdrawn else "present",
            link=public_url(entry.link) if entry.link else "",
            title=entry.title,
            text=entry.text,
            published=_believable(entry.published, fetched),
            updated=_believable(entry.updated, fetched),
            fetched=fetched,
            authors=entry.authors,
            categories=entry.categories,
            enclosures=entry.enclosures,
        )
        for entry in document.entries
        if not _is_hollow(entry)
    )
    return FeedItems(found, tuple(_refused(document)))


def _is_hollow(entry: Entry) -> bool:
    said = entry.title or entry.text or entry.link or entry.enclosures
    return not (said or entry.withdrawn)


def _refused(document: FeedDocument) -> Iterator[str]:
    written = [entry for entry in document.entries if not entry.withdrawn]
    for number, entry in enumerate(written, 1):
        if not _is_hollow(entry):
            continue
        if document.cut_off and number == len(written):
            yield f"entry {number:,}: the document ends inside it"
        else:
            # Its place in the document changes with each new entry before it.
            which = repr(entry.guid) if entry.guid else f"{number:,}"
            yield f"entry {which}: it has neither title nor text nor link"


def _shared(entries: Sequence[Entry]) -> frozenset[tuple[str, str]]:
    """Return the guids and links that more than one entry of the document has."""
    present = [entry for entry in entries if not entry.withdrawn]
    counts = Counter(
        [("guid", entry.guid) for entry in present]
        + [("link", canonical(entry.link)) for entry in present]
    )
    return frozenset(name for name, count in counts.items() if count > 1)


def _identities(
    entry: Entry, source: str, home: str, shared: frozenset[tuple[str, str]]
) -> Iterator[Identity]:
    if entry.guid:
        unique = ("guid", entry.guid) not in shared
        scope = source if source != GIVEN else content_scope(entry.title, entry.text)
        yield guid_identity(entry.guid, scope, usable=unique)
    if link := canonical(entry.link):
        usable = ("link", link) not in shared and link != home
        yield Identity(kind="link", value=link, usable=usable)
    if (entry.title or entry.text) and not entry.withdrawn:
        yield text_identity(entry.title, entry.text)


def _believable(moment: datetime | None, fetched: datetime) -> datetime | None:
    if moment is None or moment.year < EARLIEST_YEAR or moment > fetched + FUTURE_MAX:
        return None
    return moment
