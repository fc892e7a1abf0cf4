"""A feed's entries -> raw items: which of their names can be trusted. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from connectors.identities import (
    GIVEN,
    content_scope,
    guid_identity,
    guid_value,
    text_identity,
)
from connectors.rss.document import Entry, FeedDocument
from connectors.rss.harmless import harmless
from connectors.rss.parse import parse
from connectors.rss.subscription import Subscription, claimed
from connectors.urls import canonical, public_url
from streams.records import Identity, RawItem
from streams.text import normalize


#: Claims outside are no dates of publication but mistakes: the web is from 1991, and a
#: clock or a time zone that is wrong is wrong by less than a day.
EARLIEST_YEAR = 1991
FUTURE_MAX = timedelta(days=1)


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
    document = harmless(document)
    about = subscription or claimed(document)
    source = about.source
    if not source.name:
        source = msgspec.structs.replace(source, name=document.title)
    home = canonical(document.link)
    kept = _undeleted(document.entries)
    entries = [(entry, _named(entry, source.id)) for entry in kept]
    shared = _shared(entries)
    found = tuple(
        RawItem(
            identities=tuple(_identities(names, home, shared)),
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
            point=entry.point,
        )
        for entry, names in entries
        if not _is_hollow(entry)
    )
    return FeedItems(found, tuple(_refused(document)))


def _is_hollow(entry: Entry) -> bool:
    said = entry.title or entry.text or entry.link or entry.enclosures
    return not (said or entry.withdrawn)


def _refused(document: FeedDocument) -> Iterator[str]:
    yield from document.omitted
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


def _undeleted(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return *entries* without those taken back, and without withdrawals taken back.

    Of an entry and its withdrawal the later counts; an entry without a date that a
    document also withdraws is withdrawn (RFC 6721 section 3).
    """
    taken: dict[str, Entry] = {}
    for entry in entries:
        name = guid_value(entry.guid)
        if entry.withdrawn and (name not in taken or _is_later(entry, taken[name])):
            taken[name] = entry
    if not taken:
        return tuple(entries)
    named = [(entry, guid_value(entry.guid)) for entry in entries]
    restored = {
        name
        for entry, name in named
        if name in taken and not entry.withdrawn and _is_later(entry, taken[name])
    }
    return tuple(
        entry
        for entry, name in named
        if name not in taken
        or (name in restored and not entry.withdrawn)
        or (name not in restored and entry is taken[name])
    )


def _is_later(entry: Entry, withdrawal: Entry) -> bool:
    written, taken = entry.updated or entry.published, withdrawal.updated
    return bool(written and taken and written > taken)


class _Names(NamedTuple):
    """What an entry may be called by, by itself."""

    guid: Identity | None
    link: Identity | None
    text: Identity | None


def _named(entry: Entry, source: str) -> _Names:
    scope = source
    if source == GIVEN and entry.guid:
        scope = content_scope(entry.title, entry.text)
    told = (entry.title or entry.text) and not entry.withdrawn
    return _Names(
        guid=guid_identity(entry.guid, scope) if entry.guid else None,
        link=_link(canonical(entry.link)) if entry.link else None,
        text=text_identity(entry.title, entry.text) if told else None,
    )


def _link(page: str) -> Identity | None:
    """Return a canonical address as a name: usable unless it is a host's own page."""
    is_within = any(sign in page.removeprefix("https://") for sign in "/?")
    return Identity(kind="link", value=page, usable=is_within) if page else None


def _shared(entries: Sequence[tuple[Entry, _Names]]) -> frozenset[Identity]:
    """Return the names that more than one entry of the document has.

    An entry that stands in it twice is one: under a guid with one link and title, under
    a link with one title. One text is another publication's where guid and date, or
    guid and files, are others: every hour's bulletin has that of the last.
    """
    owners: defaultdict[Identity, set[tuple[object, ...]]] = defaultdict(set)
    for entry, (guid, link, text) in entries:
        if entry.withdrawn:
            continue
        said = normalize(entry.title) or entry.text
        if guid is not None:
            owners[guid].add((link, said or entry.enclosures))
        if link is not None:
            owners[link].add((said or guid,))
        if text is not None:
            files = tuple(sorted(one.url for one in entry.enclosures))
            owners[text].add((guid, entry.published, files))
    return frozenset(name for name, who in owners.items() if _are_several(name, who))


def _are_several(name: Identity, who: set[tuple[object, ...]]) -> bool:
    if name.kind != "text":
        return len(who) > 1
    guids = {guid for guid, _, _ in who}
    marks = {(published, files) for _, published, files in who}
    return len(guids) > 1 and len(marks) > 1


def _identities(
    names: _Names, home: str, shared: frozenset[Identity]
) -> Iterator[Identity]:
    for name in names:
        if name is None:
            continue
        is_home = name.kind == "link" and name.value == home
        is_usable = name.usable and not is_home and name not in shared
        yield name if is_usable else msgspec.structs.replace(name, usable=False)


def _believable(moment: datetime | None, fetched: datetime) -> datetime | None:
    if moment is None or moment.year < EARLIEST_YEAR or moment > fetched + FUTURE_MAX:
        return None
    return moment
