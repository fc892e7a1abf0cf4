"""Finds the feeds of a site: what its page names, else where feeds commonly lie.

A page's ``<link rel=alternate>`` (https://www.rssboard.org/rss-autodiscovery) come first,
then what it links to by a name that feeds have. Only where that gives no feed, a few
common paths are asked. One request at a time, as far apart as polls of a host are.
"""

from __future__ import annotations

import asyncio
import re

from collections.abc import Iterable
from html.parser import HTMLParser
from types import TracebackType
from typing import NamedTuple, Self

from connectors.http import Document, HttpClient, NotModified
from connectors.parsers import parsers
from connectors.rss.document import FeedDocument
from connectors.rss.parse import parse
from connectors.urls import canonical, joined
from streams.errors import PoolCallError, SourceError, SourceUnavailableError
from streams.settings import Settings


#: Of one page so many addresses are tried.
TRIED_MAX = 16
#: From the folder of the page, then from the root of its site.
COMMON = (
    "feed/",
    "rss.xml",
    "feed.xml",
    "atom.xml",
    "index.xml",
    "rss",
    "feed.json",
    "?feed=rss2",
)
_TYPES = frozenset(
    {
        "application/rss+xml",
        "application/atom+xml",
        "application/feed+json",
        "application/rdf+xml",
    }
)
_TOLD = re.compile(
    r"(?:^|[/._?=&-])(?:rss2?|atom|feeds?|rdf)(?:$|[/._?=&-])", re.IGNORECASE
)
_SIDE = re.compile(r"\bcomment|\bkommentar|\bcommentaire", re.IGNORECASE)


class Seen(NamedTuple):
    """What lies at an address."""

    #: As it was asked for.
    asked: str
    answer: Document
    #: None where it is no feed; then ``fault`` says what it is.
    document: FeedDocument | None
    fault: str = ""

    @property
    def moved_to(self) -> str:
        """Where it is to be asked from now on; '' if there."""
        return self.answer.moved_to

    @property
    def url(self) -> str:
        """Where to ask for it."""
        return self.moved_to or self.asked


class Discoverer:
    """Looks at addresses and finds feeds; use as an async context manager."""

    def __init__(self, settings: Settings, http: HttpClient) -> None:
        self._gap_s = settings.rss.host_gap_s
        self._http = http
        self._pool = parsers(settings.rss, name="discovery")

    async def __aenter__(self) -> Self:
        await self._pool.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pool.__aexit__(kind, error, trace)

    async def look(self, url: str) -> Seen:
        """Return what lies at *url*.

        Raises SourceError and SourceUnavailableError where nothing can be had.
        """
        answer = await self._http.get(url)
        assert not isinstance(answer, NotModified), "no validators were sent"
        try:
            document = await self._pool.run(
                parse,
                answer.body,
                content_type=answer.content_type,
                content_language=answer.content_language,
                url=answer.url,
            )
        except (SourceError, PoolCallError) as error:
            return Seen(url, answer, None, str(error))
        return Seen(url, answer, document)

    async def named_by(self, page: Seen) -> list[Seen]:
        """Return the feeds of *page*, which is none itself: the main ones first."""
        answer = page.answer
        try:
            found = await self._feeds(
                await self._pool.run(named, answer.body, answer.url)
            )
        except PoolCallError:
            found = []  # a page that cannot be read names nothing
        return sorted(found or await self._feeds(common(answer.url)), key=_is_side)

    async def _feeds(self, urls: Iterable[str]) -> list[Seen]:
        found: dict[str, Seen] = {}
        for url in list(urls)[:TRIED_MAX]:
            await asyncio.sleep(self._gap_s)
            try:
                seen = await self.look(url)
            except (SourceError, SourceUnavailableError):
                continue
            if seen.document is not None:
                found.setdefault(canonical(seen.answer.url), seen)
        return list(found.values())


def main(found: Iterable[Seen]) -> list[Seen]:
    """Return those of *found* that a person may mean.

    Comments are left out where there is something else, and so are other forms (Atom
    beside RSS) of what has the same title.
    """
    feeds = list(found)
    first = [one for one in feeds if not _is_side(one)] or feeds
    titles: dict[str, Seen] = {}
    for one in first:
        title = one.document.title if one.document else ""
        titles.setdefault(title or one.url, one)
    return list(titles.values())


def named(body: bytes, url: str) -> list[str]:
    """Return which addresses the page *body*, read at *url*, names as feeds."""
    page = _Page()
    page.feed(body.decode("utf-8", "replace"))
    base = joined(url, page.base)
    full = [joined(base, one) for one in (*page.alternates, *page.links)]
    by_page = {canonical(one): one for one in full if canonical(one)}
    by_page.pop(canonical(url), None)
    return list(by_page.values())


def common(url: str) -> list[str]:
    """Return where a feed of the site that *url* is of may lie."""
    folders = dict.fromkeys((joined(url, "."), joined(url, "/")))
    return [joined(folder, path) for folder in folders for path in COMMON]


class _Page(HTMLParser):
    """Gathers what a page says about feeds."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base = ""
        self.alternates: list[str] = []
        self.links: list[str] = []

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        """Look at an element."""
        values = {name: (value or "").strip() for name, value in attributes}
        href = values.get("href", "")
        if not href:
            return
        if tag == "base":
            self.base = self.base or href
        elif tag == "link":
            rels = values.get("rel", "").lower().split()
            kind = values.get("type", "").lower().partition(";")[0].strip()
            if ("alternate" in rels and kind in _TYPES) or "feed" in rels:
                self.alternates.append(href)
        elif tag == "a" and _TOLD.search(href):
            self.links.append(href)


def _is_side(seen: Seen) -> bool:
    """Whether it is a feed of what readers say."""
    title = seen.document.title if seen.document else ""
    return bool(_SIDE.search(f"{title} {seen.url}"))
