"""A feed's entries -> raw items: which of their names can be trusted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

import msgspec

from connectors.rss.document import Entry, FeedDocument
from connectors.rss.parse import parse
from connectors.rss.subscription import Subscription
from connectors.urls import canonical, public_url
from streams.records import Identity, RawItem
from streams.text import fingerprint, normalize


#: Shorter texts (normalised, title included) are the same by chance.
TEXT_IDENTITY_MIN = 40
#: Guids at least as long, or with a colon in them (an address, a URN, a tag), are taken
#: to be unique in the world; others ("4711") are unique in their feed at best.
GLOBAL_GUID_MIN = 20
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
    shared = _shared(document.entries)
    return tuple(
        RawItem(
            identities=tuple(_identities(entry, source.id, home, shared)),
            publisher=subscription.publisher,
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
        yield Identity(
            kind="guid",
            value=_guid(entry.guid, source),
            usable=("guid", entry.guid) not in shared,
        )
    if link := canonical(entry.link):
        usable = ("link", link) not in shared and link != home
        yield Identity(kind="link", value=link, usable=usable)
    title, text = normalize(entry.title), normalize(entry.text)
    if (title or text) and not entry.withdrawn:
        usable = len(title) + len(text) >= TEXT_IDENTITY_MIN
        yield Identity(kind="text", value=fingerprint(title, text), usable=usable)


def _guid(guid: str, source: str) -> str:
    if ":" in guid or len(guid) >= GLOBAL_GUID_MIN:
        return guid
    return f"{source}#{guid}"


def _believable(moment: datetime | None, fetched: datetime) -> datetime | None:
    if moment is None or moment.year < EARLIEST_YEAR or moment > fetched + FUTURE_MAX:
        return None
    return moment
