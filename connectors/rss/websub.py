"""Hubs that deliver feeds as they change: a subscriber of W3C WebSub (2018).

What a hub delivers is an extra, like what a mirror says: feeds are polled all the same,
only more rarely while a hub has shown that it delivers. So an answer of 2xx may come
before what was delivered is stored: if we die in between, the next poll finds it.

Whoever knows a callback's path (24 random bytes) may speak, and only who knows the
subscription's secret (32 random bytes) is listened to. Neither outlives the process: at
a new start each feed is subscribed and asked anew, and old callbacks answer 410. The secret goes to
hubs without https too (section 5.1 advises against it): better weak than none.
"""

from __future__ import annotations

import asyncio
import hmac
import random
import secrets
import time

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Literal, NamedTuple
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import structlog

from aiohttp import web

from connectors.decompression import BoundedBody
from connectors.face import until_stopped
from connectors.failures import FetchFailedError, FetchRefusedError
from connectors.http import Document, HttpClient
from connectors.urls import HIDDEN, host_of, public_url
from streams import clock
from streams.errors import AddressError, FatalError, WirewatchError
from streams.settings import Settings


#: Takes what a hub delivered of the feed with this source id; raises FatalError alone.
Deliver = Callable[[str, Document], Awaitable[None]]

SETTING = "rss.websub_listen"
HEALTH = "healthz"
#: Section 8 (signatures) of the specification; the first is what most hubs use.
METHODS = frozenset({"sha1", "sha256", "sha384", "sha512"})
#: A longer lease is renewed as if it were this: hubs forget.
LEASE_MAX_S = 864_000.0
#: Requests a second that anybody may make, and how many at once after a pause.
RATE = 100.0
BURST = 500.0
#: Bodies on their way in, a subscription's share of them; those that wait for the
#: connector, and a subscription's share.
RECEIVING_MAX = 16
RECEIVING_EACH = 2
HELD_MAX_BYTES = 64_000_000
INBOX_MAX = 8
BODY_TIMEOUT_S = 30.0
BUSY_S = 60
DOUBLINGS_MAX = 16
#: Polls in a row that found something new while the hub said nothing.
MISSES_MAX = 2

_LATER = frozenset({"busy", "too_many"})

_log = structlog.get_logger()


class Pace(NamedTuple):
    """How patient we are with hubs; in seconds."""

    #: From a subscription's request to its verification.
    verify_s: float = 600.0
    #: After a failure; doubled with each that follows, up to the second.
    retry_s: float = 300.0
    retry_max_s: float = 86_400.0
    #: However short a lease is.
    renew_least_s: float = 60.0
    #: Between two requests to a hub.
    gap_s: float = 0.1


PACE = Pace()


class Hubs:
    """Subscribes at hubs and takes what they deliver; one a connector.

    Feeds of the same topic and hub share a subscription.
    """

    def __init__(
        self,
        settings: Settings,
        http: HttpClient,
        deliver: Deliver,
        *,
        pace: Pace = PACE,
    ) -> None:
        self._callback = settings.rss.websub_callback.rstrip("/")
        self._listen = settings.rss.websub_listen
        self._lease_s = settings.rss.websub_lease_s
        self._size_max = round(settings.http.size_max_mb * 1_000_000)
        self._http = http
        self._deliver = deliver
        self._pace = pace
        self._rng = random.Random()  # noqa: S311 - spreads requests
        self._of_feed: dict[str, _Subscription] = {}
        self._of_topic: dict[tuple[str, str], _Subscription] = {}
        self._of_path: dict[str, _Subscription] = {}
        self._wanted: asyncio.Queue[_Subscription] = asyncio.Queue()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._bucket = _Bucket(RATE, BURST)
        self._receiving = 0
        self._held_bytes = 0
        #: What came in: delivered, unsigned, unreadable, unknown, busy, too_many, ...
        self.counts: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Listen and subscribe until *stop* is set, if ``rss.websub_callback`` is.

        Raises AddressError if that or ``rss.websub_listen`` cannot be used.
        """
        if not self._callback:
            await stop.wait()
            return
        if not _is_public(self._callback):
            raise AddressError(
                "rss.websub_callback must be an http or https address without user or "
                "token, such as https://wire.example.org/websub"
            )
        async with self._listening():
            await until_stopped(stop, [self._tend_all()])

    def offer(self, ident: str, topic: str, hub: str) -> None:
        """Take note that *hub* delivers *topic*, which is the feed *ident*; '': no hub.

        To be called after each poll: what is known already costs nothing.
        """
        before = self._of_feed.get(ident)
        if before is not None and (before.hub, before.topic) == (hub, topic):
            return
        self.drop(ident)
        if not self._callback or not (_is_public(topic) and _is_public(hub)):
            return
        one = self._of_topic.get((hub, topic))
        if one is None:
            one = _Subscription(topic, hub)
            self._of_topic[hub, topic] = self._of_path[one.path] = one
            self._wanted.put_nowait(one)
        one.feeds.add(ident)
        self._of_feed[ident] = one

    def drop(self, ident: str) -> None:
        """Let the feed *ident* go; the last of its topic takes the subscription along."""
        one = self._of_feed.pop(ident, None)
        if one is None:
            return
        one.feeds.discard(ident)
        if not one.feeds:
            del self._of_topic[one.hub, one.topic]
            one.left.set()

    def missed(self, ident: str) -> None:
        """Take note that a poll of *ident* found something new: the hub did not tell."""
        one = self._of_feed.get(ident)
        if one is None or not one.trusted:
            return
        one.misses += 1
        if one.misses >= MISSES_MAX:
            one.trusted = False
            _log.warning("rss.hub_silent", hub=public_url(one.hub), source=ident)

    def subscription(self, ident: str) -> tuple[str, str]:
        """Return the topic and the hub of the feed *ident*; '' and '' for none."""
        one = self._of_feed.get(ident)
        return (one.topic, one.hub) if one else ("", "")

    def until(self, ident: str) -> datetime | None:
        """Return until when a hub delivers the feed *ident*; None: nobody does.

        A hub is believed once it has delivered, until polls find what it kept back:
        some verify every subscription and deliver nothing.
        """
        one = self._of_feed.get(ident)
        if one is None or not one.trusted or one.until is None:
            return None
        return one.until if one.until > clock.now() else None

    async def _tend_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    one = await self._wanted.get()
                    group.create_task(self._tend(one))
                    group.create_task(self._hand_over(one))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _tend(self, one: _Subscription) -> None:
        """Subscribe and renew until no feed wants it any more, then unsubscribe."""
        failures = 0
        while not one.left.is_set():
            wait_s = await self._subscribe(one)
            if wait_s is None:
                wait_s = min(self._pace.retry_s * 2**failures, self._pace.retry_max_s)
                failures = min(failures + 1, DOUBLINGS_MAX)
            else:
                failures = 0
            await _within(one.left, wait_s * self._rng.uniform(0.8, 1))
        if one.asked:
            await self._ask(one, "unsubscribe")
        await one.inbox.put(None)
        del self._of_path[one.path]

    async def _subscribe(self, one: _Subscription) -> float | None:
        """Ask for a subscription; return when to ask again (None: it failed)."""
        failure = await self._ask(one, "subscribe")
        if failure is None and one.denied is None and one.answered.is_set():
            _log.info(
                "rss.subscribed",
                topic=public_url(one.topic),
                hub=public_url(one.hub),
                lease_s=one.lease_s,
            )
            return max(0.9 * one.lease_s, self._pace.renew_least_s)
        because = failure or "it does not verify"
        if one.denied is not None:
            because = f"denied: {one.denied}"
        _log.warning(
            "rss.not_subscribed",
            topic=public_url(one.topic),
            hub=public_url(one.hub),
            because=str(because),
        )
        if one.denied is not None or isinstance(failure, FetchRefusedError):
            return self._pace.retry_max_s
        retry_after_s = failure.failure.retry_after_s if failure else 0.0
        return retry_after_s or None

    async def _ask(
        self, one: _Subscription, mode: Literal["subscribe", "unsubscribe"]
    ) -> FetchFailedError | FetchRefusedError | None:
        """Send a request and wait for the hub to verify it; return why it failed."""
        one.asked, one.denied = mode, None
        one.answered.clear()
        form = {
            "hub.mode": mode,
            "hub.topic": one.topic,
            "hub.callback": f"{self._callback}/{one.path}",
        }
        if mode == "subscribe":
            form["hub.lease_seconds"] = f"{self._lease_s:.0f}"
            form["hub.secret"] = one.secret
        try:
            async with self._turns.setdefault(host_of(one.hub), asyncio.Lock()):
                await self._http.post(one.hub, form)
                await asyncio.sleep(self._pace.gap_s)
        except (FetchFailedError, FetchRefusedError) as error:
            return error
        await _within(one.answered, self._pace.verify_s)
        return None

    async def _hand_over(self, one: _Subscription) -> None:
        """Give the connector what comes in, in order, a document at a time."""
        while (document := await one.inbox.get()) is not None:
            for ident in tuple(one.feeds):
                try:
                    await self._deliver(ident, document)
                except FatalError:
                    raise
                except WirewatchError as error:
                    _log.warning("rss.push_failed", source=ident, error=str(error))
            self._held_bytes -= len(document.body)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        host, port = _host_and_port(self._listen)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=0.5,
            keepalive_timeout=BODY_TIMEOUT_S,
            # A signature is of what was sent; what it unpacks to has a limit of ours.
            auto_decompress=False,
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                why = error.strerror or error
                raise AddressError(f"{SETTING}: {self._listen}: {why}") from None
            host, port = runner.addresses[0][:2]
            _log.info(
                "rss.websub_ready", listen=f"{host}:{port}", callback=self._callback
            )
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        # A proxy may or may not take the callback's own path away.
        path = request.path.rpartition("/")[2]
        one = self._of_path.get(path)
        # Who knows a path is a hub: strangers cannot use up its share.
        if one is None and not self._bucket.take(time.monotonic()):
            return self._refuse("too_many", HTTPStatus.TOO_MANY_REQUESTS)
        if request.method == "POST":
            return await self._take(one, request)
        if request.method != "GET":
            return self._refuse("other", HTTPStatus.METHOD_NOT_ALLOWED)
        if path == HEALTH:
            return web.Response(text="ok\n")
        return self._verify(one, request)

    async def _take(
        self, one: _Subscription | None, request: web.Request
    ) -> web.Response:
        if one is None or one.left.is_set():
            return self._refuse("unknown", HTTPStatus.GONE)
        held = self._held_bytes >= HELD_MAX_BYTES or one.inbox.full()
        # Who sends slowly, and often, holds up itself alone.
        full = self._receiving >= RECEIVING_MAX or one.receiving >= RECEIVING_EACH
        if held or full:
            return self._refuse("busy", HTTPStatus.SERVICE_UNAVAILABLE)
        self._receiving += 1
        one.receiving += 1
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                sent = await self._body(request)
        except TimeoutError:
            return self._refuse("slow", HTTPStatus.REQUEST_TIMEOUT)
        finally:
            self._receiving -= 1
            one.receiving -= 1
        if sent is None:
            return self._refuse("too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self._accept(one, request, sent)

    def _verify(self, one: _Subscription | None, request: web.Request) -> web.Response:
        """Confirm what we asked for, and nothing else (section 5.3)."""
        mode = request.query.get("hub.mode", "")
        if one is None or request.query.get("hub.topic") != one.topic:
            return self._refuse("unknown", HTTPStatus.NOT_FOUND)
        if mode == "denied":
            one.denied = request.query.get("hub.reason", "")[:200]
            one.until, one.trusted = None, False
            one.answered.set()
            return web.Response()
        challenge = request.query.get("hub.challenge", "")
        if not challenge or mode != one.asked:
            return self._refuse("unknown", HTTPStatus.NOT_FOUND)
        if mode == "subscribe":
            lease_s = _lease(request.query.get("hub.lease_seconds", ""), self._lease_s)
            one.lease_s, one.denied = lease_s, None
            one.until = clock.now() + timedelta(seconds=lease_s)
        one.answered.set()
        self.counts["verified"] += 1
        return web.Response(
            text=challenge, headers={"X-Content-Type-Options": "nosniff"}
        )

    def _accept(
        self, one: _Subscription, request: web.Request, sent: bytes
    ) -> web.Response:
        """Take a delivery; what is not from the hub is passed over (section 8)."""
        if not is_signed(sent, request.headers.get("X-Hub-Signature", ""), one.secret):
            return self._pass_over("unsigned", one)
        try:
            body = BoundedBody(
                request.headers.get("Content-Encoding", ""), self._size_max
            )
            body.feed(sent)
            document = _document(body.finish(), one, request)
        except (FetchRefusedError, FetchFailedError):
            return self._pass_over("unreadable", one)
        one.trusted, one.misses = True, 0
        if one.left.is_set() or one.inbox.full():
            return self._refuse("busy", HTTPStatus.SERVICE_UNAVAILABLE)
        one.inbox.put_nowait(document)
        self._held_bytes += len(document.body)
        self.counts["delivered"] += 1
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def _body(self, request: web.Request) -> bytes | None:
        """Return what was sent; None if that is too much."""
        if (request.content_length or 0) > self._size_max:
            return None
        parts: list[bytes] = []
        size = 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > self._size_max:
                return None
            parts.append(chunk)
        return b"".join(parts)

    def _pass_over(self, kind: str, one: _Subscription) -> web.Response:
        self.counts[kind] += 1
        _log.warning(
            f"rss.push_{kind}", topic=public_url(one.topic), hub=public_url(one.hub)
        )
        return web.Response(status=HTTPStatus.ACCEPTED)

    def _refuse(self, kind: str, status: HTTPStatus) -> web.Response:
        self.counts[kind] += 1
        later = {"Retry-After": str(BUSY_S)} if kind in _LATER else {}
        return web.Response(status=status, headers=later)


@dataclass(eq=False)
class _Subscription:
    """A topic at a hub, and the feeds that it is."""

    topic: str
    hub: str
    path: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    secret: str = field(default_factory=lambda: secrets.token_hex(32))
    feeds: set[str] = field(default_factory=set)
    asked: Literal["", "subscribe", "unsubscribe"] = ""
    #: The hub verified what was asked, or denied it.
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    #: Why it was denied; None: it was not.
    denied: str | None = None
    #: No feed wants it any more.
    left: asyncio.Event = field(default_factory=asyncio.Event)
    until: datetime | None = None
    lease_s: float = 0.0
    #: It has delivered, and kept nothing back since.
    trusted: bool = False
    misses: int = 0
    #: Bodies on their way in.
    receiving: int = 0
    #: None: nothing more comes.
    inbox: asyncio.Queue[Document | None] = field(
        default_factory=lambda: asyncio.Queue(INBOX_MAX)
    )


class _Bucket:
    """Lets so many through a second, and *burst* of them at once after a pause."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = self._left = burst
        self._at_s = 0.0

    def take(self, now_s: float) -> bool:
        """Return whether one more may pass."""
        gained = (now_s - self._at_s) * self._rate
        self._left, self._at_s = min(self._burst, self._left + gained), now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether *signature* (X-Hub-Signature: method=hex) of *body* is by *secret*."""
    method, _, given = signature.strip().partition("=")
    if method.lower() not in METHODS or not given.isascii():
        return False
    ours = hmac.new(secret.encode("ascii"), body, method.lower()).hexdigest()
    return hmac.compare_digest(ours, given.lower())


def _document(body: bytes, one: _Subscription, request: web.Request) -> Document:
    return Document(
        body=body,
        url=public_url(one.topic),
        content_type=_field(request, "Content-Type"),
        content_language=_field(request, "Content-Language"),
        etag="",
        last_modified="",
        hub=one.hub,
        topic=one.topic,
    )


def _field(request: web.Request, name: str) -> str:
    value = request.headers.get(name, "")
    return value if value.isascii() and value.isprintable() else ""


def _lease(given: str, asked_s: float) -> float:
    """Return the lease that a hub grants; what it does not say is what was asked."""
    granted = given.isascii() and given.isdecimal() and len(given) < len("1000000000")
    return min(float(given) if granted else asked_s, LEASE_MAX_S)


def _is_public(url: str) -> bool:
    """Whether *url* is one of the web that holds no secret."""
    try:
        scheme = urlsplit(url).scheme.lower()
    except ValueError:
        return False
    named = scheme in {"http", "https"} and bool(host_of(url))
    return named and HIDDEN not in url and public_url(url) == url


def _host_and_port(listen: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        raise AddressError(f"{SETTING} must be HOST:PORT, such as 127.0.0.1:8089")
    return host, port


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for *event*, so long at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
