"""The articles behind a feed's entries: their pages fetched, their text taken out.

A page is an extra: whatever goes wrong with it costs its item nothing but the article.
An item is published once, with what was there in time; nothing is looked up later.
"""

from __future__ import annotations

import asyncio
import re
import time

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
import structlog

from connectors.failures import FailureKind, FetchFailedError, FetchRefusedError
from connectors.http import Document, HttpClient
from connectors.rss.article import article
from connectors.rss.robots import Robots
from connectors.urls import HIDDEN, host_of
from streams.errors import FatalError, PoolCallError
from streams.pool import Pool
from streams.records import RawItem
from streams.settings import Settings


#: For all pages of one document of a feed; what comes later is not waited for.
DOCUMENT_TIMEOUT_S = 60.0
#: Pages under way at once, over all sites; one at a time per site.
PARALLEL = 16
#: Of these, what one document may take: its links may lead to thousands of sites.
PARALLEL_EACH = 4
#: A larger page is no article.
PAGE_MAX_BYTES = 3_000_000
#: A site that asks for longer pauses gets these.
DELAY_MAX_S = 10.0
#: So many failures in a row, and a site is left alone for a while.
FAILURES_MAX = 3
REST_S = 600.0
#: Beyond so many sites, those that wait for nothing are forgotten.
SITES_MAX = 10_000

#: Failures that say nothing about the site's other pages.
_OF_THE_PAGE: frozenset[FailureKind] = frozenset(
    {"not_found", "gone", "redirects", "too_large", "encoding"}
)
#: What is asked for: some servers give feeds to whoever takes them.
PAGE = "text/html, application/xhtml+xml, */*;q=0.5"
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.IGNORECASE)
_FILE = re.compile(
    r"\.(?:pdf|docx?|xlsx?|pptx?|odt|epub|zip|gz|jpe?g|png|gif|webp|svg|mp[34]|m4[av]|aac"
    r"|og[agv]|opus|wav|webm|mov|avi|m3u8)",
    re.IGNORECASE,
)

_log = structlog.get_logger()


class Pages:
    """Reads the pages that items link to; one a connector.

    By ``rss.host_gap_s`` one request at a time per host, or as its robots.txt asks.
    """

    def __init__(self, http: HttpClient, pool: Pool, settings: Settings) -> None:
        self._http = http
        self._pool = pool
        self._gap_s = settings.rss.host_gap_s
        self._robots = Robots(http, pool, settings.http.user_agent)
        self._room = asyncio.Semaphore(PARALLEL)
        self._sites: dict[str, _Site] = {}

    async def read(
        self, items: Sequence[RawItem], *, timeout_s: float = DOCUMENT_TIMEOUT_S
    ) -> tuple[RawItem, ...]:
        """Return *items*, in order, with the article as ``text`` where it can be had.

        What the feed said is their ``summary`` then. Newest first, while *timeout_s*
        lasts. Raises FatalError alone, never for a page's fault.
        """
        newest = sorted(
            (at for at, item in enumerate(items) if _has_page(item)),
            key=lambda at: items[at].published or items[at].fetched,
            reverse=True,
        )
        if not newest:
            return tuple(items)
        share = asyncio.Semaphore(PARALLEL_EACH)
        tasks = {at: asyncio.create_task(self._read(items[at], share)) for at in newest}
        try:
            await asyncio.wait(tasks.values(), timeout=timeout_s)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        pages = {
            at: _Page("late") if task.cancelled() else task.result()
            for at, task in tasks.items()
        }
        _say(items[0].source.id, list(pages.values()))
        return tuple(
            _with_article(item, pages[at].text)
            if at in pages and pages[at].text
            else item
            for at, item in enumerate(items)
        )

    async def _read(self, item: RawItem, share: asyncio.Semaphore) -> _Page:
        async with share, (site := self._site(host_of(item.link))).turn:
            if site.resting:
                return _Page("resting")
            try:
                page = await self._visit(item, site)
            except (FetchFailedError, FetchRefusedError) as error:
                if error.failure.kind not in _OF_THE_PAGE:
                    site.failed(error.failure.retry_after_s)
                return _Page("failed", because=str(error))
            except PoolCallError as error:
                site.failed(0.0)
                return _Page("unreadable", because=f"{item.link}: {error}")
            except FatalError:
                raise
            except Exception as error:  # noqa: BLE001 - extraction is a function of the page
                return _Page("unreadable", because=f"{item.link}: {error!r}"[:300])
            site.failures = 0
            return page

    async def _visit(self, item: RawItem, site: _Site) -> _Page:
        async with self._room:
            leave = await self._robots.leave(item.link)
        if not leave.given:
            return _Page("robots")
        await asyncio.sleep(site.free_s - time.monotonic())
        try:
            async with self._room:
                answer = await self._http.get(item.link, accept=PAGE)
        finally:
            gap_s = max(self._gap_s, min(leave.delay_s, DELAY_MAX_S))
            site.free_s = time.monotonic() + gap_s
        assert isinstance(answer, Document), "it was asked for without validators"
        if not _is_html(answer):
            return _Page("no_page")
        if len(answer.body) > PAGE_MAX_BYTES:
            return _Page("too_long")
        led_away = host_of(answer.url) != host_of(item.link)
        if led_away and not (await self._robots.leave(answer.url)).given:
            return _Page("robots")
        named = _CHARSET.search(answer.content_type)
        found = await self._pool.run(
            article, answer.body, named[1] if named else "", item.title, item.text
        )
        return _Page(found.verdict, found.text)

    def _site(self, host: str) -> _Site:
        if host not in self._sites and len(self._sites) >= SITES_MAX:
            busy = {name: site for name, site in self._sites.items() if site.matters}
            self._sites = busy
        return self._sites.setdefault(host, _Site())


@dataclass
class _Page:
    """What became of one."""

    #: A verdict of :mod:`connectors.rss.article`, or why there was none to make.
    outcome: str
    text: str = ""
    because: str = ""


@dataclass
class _Site:
    """When a host may be asked again."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    free_s: float = 0.0
    failures: int = 0
    rests_until_s: float = 0.0

    @property
    def resting(self) -> bool:
        return time.monotonic() < self.rests_until_s

    @property
    def matters(self) -> bool:
        return self.turn.locked() or self.resting or time.monotonic() < self.free_s

    def failed(self, retry_after_s: float) -> None:
        self.failures += 1
        if self.failures >= FAILURES_MAX or retry_after_s:
            self.failures = 0
            self.rests_until_s = time.monotonic() + (retry_after_s or REST_S)


def _has_page(item: RawItem) -> bool:
    if item.state != "present" or not item.link or HIDDEN in item.link:
        return False
    parts = urlsplit(item.link)
    is_file = _FILE.fullmatch(f".{parts.path.rpartition('.')[2]}")
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not is_file


def _is_html(document: Document) -> bool:
    named = document.content_type.partition(";")[0].strip().lower()
    return named in _HTML or (not named and document.body.lstrip()[:1] == b"<")


def _with_article(item: RawItem, text: str) -> RawItem:
    return msgspec.structs.replace(item, text=text, summary=item.text)


def _say(source: str, pages: Sequence[_Page]) -> None:
    """Write the one line of a document's pages; what is not an article is the feed's."""
    outcomes = Counter(page.outcome for page in pages)
    articles = outcomes.pop("article", 0)
    because = next((page.because for page in pages if page.because), "")
    _log.info(
        "rss.pages",
        source=source,
        pages=len(pages),
        articles=articles,
        **outcomes,
        **({"because": because} if because else {}),
    )
