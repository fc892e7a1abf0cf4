"""The one guarded client through which every outbound request goes.

What a feed, a page or a redirect names is hostile input: it may point into our own
network, never end, or unpack to gigabytes. Limits: http and https only, public addresses
only (judged at connect time, at each redirect, unless the host is in
``http.allow_private``), 10 redirects, the whole answer within ``http.timeout_s`` and its
body no slower than :data:`RATE_LEAST`, its body as decompressed within
``http.size_max_mb``, 128 header fields of 8 kB. No proxy and no credentials from the
environment, no cookies. Errors never show credentials.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from aiohttp.abc import AbstractResolver

from connectors.addresses import PrivateHosts
from connectors.decompression import ACCEPTED, BoundedBody
from connectors.failures import (
    FailureKind,
    FetchFailedError,
    FetchRefusedError,
    fetch_error,
)
from connectors.headers import links, max_age_s, retry_after_s
from connectors.redirects import REDIRECTS, Way
from connectors.resolver import DaemonResolver
from connectors.sockets import AddressRefusedError, Sockets
from connectors.urls import public_url
from streams import clock
from streams.settings import Http


__all__ = [
    "Document",
    "FetchFailedError",
    "FetchRefusedError",
    "HttpClient",
    "NotModified",
]

#: Connections at once, if the caller does not say how many.
PARALLEL = 100
#: A host that does not take the connection by then is taken for absent.
CONNECT_MAX_S = 10.0
#: From the head on a body has so long, and a second more for each so many bytes of it.
BODY_GRACE_S = 5.0
RATE_LEAST = 1_000
#: A connection is kept for the next feed of the same host,
KEEP_ALIVE_S = 3.0
#: unless so many are open: then the next ones are for one request.
OPEN_MAX = 256
#: A validator is kept for each feed: longer ones are not taken.
VALIDATOR_MAX = 1_024

_NOT_MODIFIED = 304
_VALIDATORS = frozenset({"If-None-Match", "If-Modified-Since"})
_UNASKABLE = "not an address that can be asked"


class NotModified(NamedTuple):
    """The server says that what we have is what it has."""

    #: As it says now, or as they were sent.
    etag: str
    last_modified: str
    #: How long the answer holds: asking earlier is of no use.
    max_age_s: float
    #: Where permanent redirects (301, 308) alone lead; '' where none do.
    moved_to: str


class Document(NamedTuple):
    """What an address gave."""

    #: Without what repeats a credential of the address.
    body: bytes
    #: Where it was found in the end, without credentials.
    url: str
    content_type: str
    content_language: str
    etag: str
    last_modified: str
    #: How long the answer holds: asking earlier is of no use.
    max_age_s: float = 0.0
    #: Where permanent redirects (301, 308) alone lead; '' where none do, where they
    #: lead from the public into our own network or from https to http, and where the
    #: address holds a credential.
    moved_to: str = ""
    #: Who tells of changes, and of what (Link: rel=hub, rel=self); '' for none.
    hub: str = ""
    topic: str = ""
    status: int = 200
    #: Each redirect on the way: its status, and where it led, without credentials.
    turns: tuple[tuple[int, str], ...] = ()
    #: As received, but for cookies and what repeats a credential of the address.
    headers: tuple[tuple[str, str], ...] = ()


class HttpClient:
    """Use as an async context manager; one a process is enough.

    ``parallel`` requests are under way at once; others wait, and their time runs only
    when it is their turn. ``resolver`` says where names lead (the system), ``tls`` whose
    certificates count (those that the system trusts).
    """

    def __init__(
        self,
        settings: Http,
        *,
        parallel: int = PARALLEL,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._size_max = round(settings.size_max_mb * 1_000_000)
        self._private = PrivateHosts(settings.allow_private)
        self._room = asyncio.Semaphore(parallel)
        self._sockets = Sockets()
        self._resolver = resolver or DaemonResolver()
        self._tls = tls or True

    async def __aenter__(self) -> Self:
        #: By whether the host may be private, and whether its connection is kept.
        self._sessions = {
            (private, keep): self._session(private=private, keep=keep)
            for private in (False, True)
            for keep in (False, True)
        }
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    async def get(
        self, url: str, *, etag: str = "", last_modified: str = "", accept: str = ""
    ) -> NotModified | Document:
        """Return the document at *url*, or NotModified if the validators still hold.

        *accept* names the media types that are wanted: feeds, if none. Raises
        FetchFailedError (asking later may help) and FetchRefusedError (it will not: too
        large, not public, 4xx), with the failure's kind.
        """
        sent = {
            "If-None-Match": etag,
            "If-Modified-Since": last_modified,
            "Accept": accept,
        }
        return await self._ask(
            Way(url), {name: value for name, value in sent.items() if value}
        )

    async def post(self, url: str, form: Mapping[str, str]) -> Document:
        """Return what *url* answers to *form*; raises as :meth:`get` does."""
        answer = await self._ask(Way(url, form), {})
        assert isinstance(answer, Document), "a 304 that was not asked for is a failure"
        return answer

    async def _ask(self, way: Way, headers: dict[str, str]) -> NotModified | Document:
        timeout_s = self._settings.timeout_s
        async with self._room:
            try:
                async with asyncio.timeout(timeout_s) as limit:
                    return await self._follow(way, headers, limit)
            except TimeoutError as error:
                raise way.failed("timeout", _waited_for(error, timeout_s)) from None
            except (FetchFailedError, FetchRefusedError) as error:
                failure = error.failure
                message = way.told(failure.message)
                raise type(error)(failure._replace(message=message)) from None
            # Their messages may hold the address with its credentials: neither text nor
            # chain goes on from here.
            except (aiohttp.ClientError, OSError) as error:
                raise way.failed(*_judged(error)) from None
            except ValueError:
                raise way.failed("forbidden", _UNASKABLE) from None

    async def _follow(
        self, way: Way, headers: dict[str, str], limit: asyncio.Timeout
    ) -> NotModified | Document:
        way.start(self._private)
        while True:
            keep = len(self._sockets) < OPEN_MAX
            session = self._sessions[way.private, keep]
            async with session.request(
                "GET" if way.form is None else "POST",
                way.at,
                headers=headers,
                data=way.form,
                allow_redirects=False,
            ) as answer:
                if answer.status not in REDIRECTS:
                    return await self._read(answer, way, headers, limit)
                way.turn(answer.status, answer.headers.get("Location", ""))

    async def _read(
        self,
        answer: aiohttp.ClientResponse,
        way: Way,
        sent: dict[str, str],
        limit: asyncio.Timeout,
    ) -> NotModified | Document:
        now = clock.now()
        if answer.status == _NOT_MODIFIED and not _VALIDATORS.isdisjoint(sent):
            etag, last_modified = (
                _field(answer, "ETag"),
                _field(answer, "Last-Modified"),
            )
            return NotModified(
                etag=etag or sent.get("If-None-Match", ""),
                last_modified=last_modified or sent.get("If-Modified-Since", ""),
                max_age_s=max_age_s(answer.headers, now),
                moved_to=way.moved_to(),
            )
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - RFC 9110 section 15.3
            patience_s = retry_after_s(answer.headers.get("Retry-After", ""), now)
            raise fetch_error(
                _kind(answer.status, asks_for_patience="Retry-After" in answer.headers),
                f"the server answers {answer.status}",
                status=answer.status,
                retry_after_s=patience_s,
            )
        body = way.without_secrets(await self._body(answer, limit))
        hub, topic = links(answer.headers.getall("Link", ()), str(answer.url))
        return Document(
            body=body,
            url=public_url(str(answer.url)),
            content_type=_field(answer, "Content-Type"),
            content_language=_field(answer, "Content-Language"),
            etag=_field(answer, "ETag"),
            last_modified=_field(answer, "Last-Modified"),
            max_age_s=max_age_s(answer.headers, now),
            moved_to=way.moved_to(),
            hub=hub,
            topic=topic,
            status=answer.status,
            turns=tuple(way.turns),
            headers=way.kept(answer),
        )

    async def _body(
        self, answer: aiohttp.ClientResponse, limit: asyncio.Timeout
    ) -> bytes:
        body = BoundedBody(answer.headers.get("Content-Encoding", ""), self._size_max)
        body.expect(answer.content_length or 0)
        clock_s = asyncio.get_running_loop().time
        end_s, grace_ends_s = limit.when(), clock_s() + BODY_GRACE_S
        assert end_s is not None, "it was given"
        received = 0
        limit.reschedule(min(end_s, grace_ends_s))
        with _ending_with_its_connection(answer):
            async for chunk in answer.content.iter_any():
                body.feed(chunk)
                received += len(chunk)
                limit.reschedule(min(end_s, grace_ends_s + received / RATE_LEAST))
        return body.finish()

    def _session(self, *, private: bool, keep: bool) -> aiohttp.ClientSession:
        sockets = self._sockets
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=self._resolver,
                use_dns_cache=False,  # the resolver has one
                socket_factory=sockets.to_any if private else sockets.to_public,
                ssl=self._tls,
                limit=0,  # the room has one
                force_close=not keep,
                keepalive_timeout=KEEP_ALIVE_S if keep else None,
            ),
            headers={
                "User-Agent": _user_agent(self._settings),
                "Accept-Encoding": ACCEPTED,
                "Accept": "application/atom+xml, application/rss+xml, "
                "application/feed+json, application/xml;q=0.9, */*;q=0.8",
            },
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_MAX_S),
            trust_env=False,
        )


@contextmanager
def _ending_with_its_connection(answer: aiohttp.ClientResponse) -> Iterator[None]:
    """See to it that a body ends when its connection does.

    The library closes the connection where a chunk is none, and does not tell who has
    begun to read.
    """

    def end(_: object) -> None:
        if not answer.content.is_eof() and answer.content.exception() is None:
            answer.content.set_exception(aiohttp.ClientPayloadError())

    protocol = answer.connection.protocol if answer.connection else None
    closed = None if protocol is None else protocol.closed
    if closed is None:
        end(closed)
        yield
        return
    closed.add_done_callback(end)
    try:
        yield
    finally:
        closed.remove_done_callback(end)


def _user_agent(settings: Http) -> str:
    """Return who we are, and where to complain (RFC 9110 section 10.1.5)."""
    contact = f" (+{settings.contact})" if settings.contact else ""
    return f"{settings.user_agent}{contact}"


def _field(answer: aiohttp.ClientResponse, name: str) -> str:
    """Return a header, an opaque text; '' where there is none that can be sent again."""
    value = answer.headers.get(name, "")
    fit = value.isascii() and value.isprintable() and len(value) <= VALIDATOR_MAX
    return value if fit else ""


def _kind(status: int, *, asks_for_patience: bool) -> FailureKind:
    """Return what a status that is no success means (RFC 9110 section 15)."""
    match status:
        case 404:
            return "not_found"
        case 410:
            return "gone"
        case 408:
            return "timeout"
        case 425 | 429:
            return "slow_down"
        case 503 if asks_for_patience:
            return "slow_down"
    return "client" if 400 <= status < 500 else "server"  # noqa: PLR2004


def _judged(  # noqa: PLR0911 - a table
    error: aiohttp.ClientError | OSError,
) -> tuple[FailureKind, str]:
    """Return what an error of the library is, without its own words on addresses."""
    match error:
        case aiohttp.InvalidURL():
            return "forbidden", _UNASKABLE
        case aiohttp.ClientConnectorDNSError():
            return "dns", f"its name has no address: {_cause(error.os_error)}"
        case ssl.SSLCertVerificationError() | aiohttp.ClientConnectorCertificateError():
            return "tls", f"its certificate is not valid: {_certificate(error)}"
        case ssl.SSLError() | aiohttp.ClientSSLError():
            return "tls", "no encrypted connection can be agreed on"
        case aiohttp.ClientConnectorError(os_error=AddressRefusedError()):
            return "forbidden", (
                "it leads to an address that is not public; if that is right, "
                "add the host to http.allow_private"
            )
        case aiohttp.ClientConnectorError():
            return "connection", f"no connection: {_cause(error.os_error)}"
        case aiohttp.ClientResponseError():
            return "server", "its answer is not HTTP, or its header is too large"
        case aiohttp.ClientPayloadError():
            return "connection", "the answer was cut short"
    return "connection", f"the connection broke: {_cause(error)}"


def _cause(error: BaseException) -> str:
    """Return the system's words for *error*: asyncio's own tell of sockets."""
    if not isinstance(error, OSError):
        return type(error).__name__
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def _certificate(error: BaseException) -> str:
    inner = getattr(error, "certificate_error", error)
    return str(getattr(inner, "verify_message", "")) or type(inner).__name__


def _waited_for(error: TimeoutError, timeout_s: float) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {CONNECT_MAX_S:g} s"
    return f"no whole answer within {timeout_s:g} s, or too little of it at a time"
