"""A feed's entries -> raw items: which of their names can be trusted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from connectors.identities import guid_identity, text_identity
from connectors.rss.document import Entry, FeedDocument
from connectors.rss.parse import parse
from connectors.rss.subscription import Subscription
from connectors.urls import canonical, public_url, registrable_domain
from streams.records import Identity, RawItem


#: Claims outside are no dates of publication but mistakes: the web is from 1991.
EARLIEST_YEAR = 1991
FUTURE_MAX = timedelta(days=366)


def read(
    body: bytes,
    subscription: Subscription,
    fetched: datetime,
    *,
    content_type: str = "",
    content_language: str = "",
    url: str = "",
) -> tuple[RawItem, ...]:
    """Return the items of the feed in *body*, in its order.

    What a process pool calls. Raises SourceError if it is no feed.
    """
    document = parse(
        body, content_type=content_type, content_language=content_language, url=url
    )
    return items(document, subscription, fetched)


def items(
    document: FeedDocument, subscription: Subscription, fetched: datetime
) -> tuple[RawItem, ...]:
    """Return an item for each entry of *document*.

    A guid or link that several entries share names none of them, nor does the link of
    the site itself.
    """
    source = subscription.source
    if not source.name:
        source = msgspec.structs.replace(source, name=document.title)
    home = canonical(document.link)
    publisher = subscription.publisher or registrable_domain(document.link) or source.id
    shared = _shared(document.entries)
    return tuple(
        RawItem(
            identities=tuple(_identities(entry, source.id, home, shared)),
            publisher=publisher,
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
    )


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
        yield guid_identity(entry.guid, source, usable=unique)
    if link := canonical(entry.link):
        usable = ("link", link) not in shared and link != home
        yield Identity(kind="link", value=link, usable=usable)
    if (entry.title or entry.text) and not entry.withdrawn:
        yield text_identity(entry.title, entry.text)


def _believable(moment: datetime | None, fetched: datetime) -> datetime | None:
    if moment is None or moment.year < EARLIEST_YEAR or moment > fetched + FUTURE_MAX:
        return None
    return moment
