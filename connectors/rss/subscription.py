"""Whose a feed is: as configured, or as it says itself where nobody configured it."""

from __future__ import annotations

from typing import NamedTuple

from connectors.identities import GIVEN, is_worldwide
from connectors.rss.document import FeedDocument
from connectors.urls import public_url, registrable_domain
from streams.records import Source
from streams.settings import Feed


#: So much of a feed's title tells it from others of its site.
TITLE_MAX = 100


class Subscription(NamedTuple):
    """What becomes of a feed's entries: their source, and their publisher."""

    source: Source
    publisher: str


def ident_of(feed: Feed) -> str:
    """Return the source id of *feed*: as given, else what its URL says."""
    return feed.id or _bare(public_url(feed.url))


def subscription(feed: Feed) -> Subscription:
    """Return what *feed* means; its id and publisher default to what its URL says."""
    url = public_url(feed.url)
    ident = ident_of(feed)
    return Subscription(
        Source(
            connector="rss",
            id=ident,
            name=feed.name,
            url=url,
            country=feed.country,
            language=feed.language,
        ),
        feed.publisher or registrable_domain(feed.url) or ident,
    )


def claimed(document: FeedDocument) -> Subscription:
    """Return whose *document* is by what it says: never by where it was read.

    The publisher is the site's domain, else the feed's, else the one that all entries
    link to, else what the feed calls itself, else :data:`~connectors.identities.GIVEN`.
    """
    return Subscription(
        Source(connector="ingest", id=_ident(document)),
        registrable_domain(document.link)
        or registrable_domain(document.address)
        or _linked(document)
        or _called(document)
        or GIVEN,
    )


def _ident(document: FeedDocument) -> str:
    """Return what tells the feed from others, also from those of the same site."""
    if registrable_domain(document.address):
        return f"{GIVEN}/{_bare(public_url(document.address))}"
    if is_worldwide(document.ident):
        return f"{GIVEN}/{_bare(public_url(document.ident))}"
    if registrable_domain(document.link):
        site = _bare(public_url(document.link))
        return f"{GIVEN}/{site} {document.title[:TITLE_MAX]}".rstrip()
    return GIVEN


def _linked(document: FeedDocument) -> str:
    domains = {registrable_domain(entry.link) for entry in document.entries}
    domains.discard("")
    return domains.pop() if len(domains) == 1 else ""


def _called(document: FeedDocument) -> str:
    if not is_worldwide(document.ident):
        return ""
    return registrable_domain(document.ident) or document.ident


def _bare(url: str) -> str:
    return url.partition("://")[2] or url
