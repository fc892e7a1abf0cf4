"""A feed as configured, with everything filled in that has a default."""

from __future__ import annotations

from typing import NamedTuple

from connectors.urls import public_url, registrable_domain
from streams.records import Source
from streams.settings import Feed


class Subscription(NamedTuple):
    """What becomes of a feed's entries: their source, and their publisher."""

    source: Source
    publisher: str


def subscription(feed: Feed) -> Subscription:
    """Return what *feed* means; its id and publisher default to what its URL says."""
    url = public_url(feed.url)
    ident = feed.id or url.partition("://")[2] or url
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
