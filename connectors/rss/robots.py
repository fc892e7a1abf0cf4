"""What a site lets us fetch: its robots.txt (RFC 9309), by protego.

Read in a worker process each time it is asked about: a robots.txt is hostile input like
any other, and takes a parser the product of its agents and its rules (500 KiB of plain
rules: 0.4 s). The usual one costs a third of a millisecond.
"""

from __future__ import annotations

import asyncio
import time

from collections import OrderedDict
from typing import NamedTuple
from urllib.parse import urlsplit

import structlog

from protego import Protego

from connectors.failures import FailureKind, FetchFailedError, FetchRefusedError
from connectors.http import Document, HttpClient
from streams.errors import PoolCallError
from streams.pool import Pool


#: What RFC 9309 asks to be read at least (section 2.5); what comes after is not.
READ_BYTES = 500 * 1024
#: A copy is good for so long (section 2.4).
FRESH_S = 86_400.0
#: So long a site whose robots.txt cannot be had is left alone (section 2.3.1.4), or the
#: copy before goes on (section 2.4).
UNREACHABLE_S = 600.0
#: Of all copies together; the longest unused go first.
KEPT_BYTES = 64 * 1024 * 1024
#: What a copy costs beside its text.
COPY_BYTES = 512
#: The server has none for us (section 2.3.1.3), or hides it behind endless redirects
#: (section 2.3.1.2): then nothing is forbidden.
_HAS_NONE: frozenset[FailureKind] = frozenset(
    {"client", "not_found", "gone", "redirects"}
)

_log = structlog.get_logger()


class Leave(NamedTuple):
    """Whether a page may be fetched, and how far apart the site wants requests."""

    given: bool
    delay_s: float = 0.0


class _Copy(NamedTuple):
    #: None: it could not be had, and nothing may be fetched.
    text: bytes | None
    stale_s: float


class Robots:
    """Asks sites for their robots.txt, once a day each."""

    def __init__(self, http: HttpClient, pool: Pool, user_agent: str) -> None:
        self._http = http
        self._pool = pool
        self._token = product_token(user_agent)
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._kept_bytes = 0
        self._asking: dict[str, asyncio.Task[_Copy]] = {}

    async def leave(self, url: str) -> Leave:
        """Return what the site of *url* says about fetching it."""
        copy = await self._copy(_origin(url))
        if copy.text is None:
            return Leave(given=False)
        if not copy.text:
            return Leave(given=True)
        try:
            return await self._pool.run(judge, copy.text, self._token, url)
        except PoolCallError as error:
            # It takes a parser's time: who writes such a thing does not want us.
            _log.warning("rss.robots_unreadable", site=_origin(url), error=str(error))
            return Leave(given=False)

    async def _copy(self, origin: str) -> _Copy:
        copy = self._copies.get(origin)
        if copy is not None and time.monotonic() < copy.stale_s:
            self._copies.move_to_end(origin)
            return copy
        if origin not in self._asking:
            task = asyncio.create_task(self._ask(origin))
            self._asking[origin] = task
            task.add_done_callback(lambda _: self._asking.pop(origin, None))
        # Several pages wait for one answer; one that gives up leaves it to the others.
        return await asyncio.shield(self._asking[origin])

    async def _ask(self, origin: str) -> _Copy:
        text: bytes | None = b""
        good_s = FRESH_S
        try:
            answer = await self._http.get(f"{origin}/robots.txt")
            if isinstance(answer, Document):
                text = answer.body[:READ_BYTES]
        except (FetchRefusedError, FetchFailedError) as error:
            if error.failure.kind not in _HAS_NONE:
                _log.warning("rss.robots_unreachable", site=origin, error=str(error))
                before = self._copies.get(origin)
                text, good_s = before.text if before else None, UNREACHABLE_S
        copy = _Copy(text, time.monotonic() + good_s)
        self._keep(origin, copy)
        return copy

    def _keep(self, origin: str, copy: _Copy) -> None:
        if before := self._copies.pop(origin, None):
            self._kept_bytes -= _size(before)
        self._copies[origin] = copy
        self._kept_bytes += _size(copy)
        while self._kept_bytes > KEPT_BYTES:
            _, oldest = self._copies.popitem(last=False)
            self._kept_bytes -= _size(oldest)


def judge(robots: bytes, token: str, url: str) -> Leave:
    """Return what *robots* says to the crawler *token* about *url*. Pure."""
    rules = Protego.parse(robots.decode("utf-8-sig", "replace"))
    return Leave(rules.can_fetch(url, token), rules.crawl_delay(token) or 0.0)


def product_token(user_agent: str) -> str:
    """Return the name by which a robots.txt speaks to us, such as ``wirewatch``."""
    return user_agent.partition("/")[0].strip().lower()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}".lower()


def _size(copy: _Copy) -> int:
    return len(copy.text or b"") + COPY_BYTES
