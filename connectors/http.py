"""The one guarded client through which every outbound request goes.

What a feed, a page or a redirect names is hostile input: it may point into our own
network, never end, or unpack to gigabytes. Limits: http and https only, public addresses
only (judged at connect time, at each redirect, unless the host is in
``http.allow_private``), 10 redirects, the whole answer within ``http.timeout_s``, its body
as decompressed within ``http.size_max_mb``, 128 header fields of 8 kB. No proxy and no
credentials from the environment, no cookies. Errors never show credentials.
"""

from __future__ import annotations

import asyncio
import email.utils
import errno
import socket

from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from aiohttp.connector import AddrInfoType
from yarl import URL

from connectors.addresses import is_public
from connectors.decompression import ACCEPTED, BoundedBody
from connectors.resolver import DaemonResolver
from connectors.urls import public_url
from streams import clock
from streams.errors import SourceError, SourceUnavailableError
from streams.settings import Http


REDIRECTS_MAX = 10
#: Longer pleas for patience are taken for this one.
RETRY_AFTER_MAX_S = 86_400.0

_NOT_MODIFIED = 304
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Too early, too many, time-outs: our request may be right at another time.
_PASSING = frozenset({408, 425, 429})


class NotModified(NamedTuple):
    """The server says that what we have is what it has."""


class Document(NamedTuple):
    """What an address gave."""

    body: bytes
    #: Where it was found in the end, without credentials.
    url: str
    content_type: str
    content_language: str
    etag: str
    last_modified: str


class SlowDownError(SourceUnavailableError):
    """The server asks for a pause of ``retry_after_s`` (0: it does not say how long)."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AddressRefusedError(OSError):
    """A name leads to an address that is not of the public internet."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "not a public address")


class HttpClient:
    """Use as an async context manager; one a process is enough."""

    def __init__(self, settings: Http) -> None:
        self._settings = settings
        self._size_max = round(settings.size_max_mb * 1_000_000)
        self._private = {host.lower() for host in settings.allow_private}

    async def __aenter__(self) -> Self:
        self._guarded = self._session(_public_socket)
        self._open = self._session(_any_socket)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._guarded.close()
        await self._open.close()

    async def get(
        self, url: str, *, etag: str = "", last_modified: str = ""
    ) -> NotModified | Document:
        """Return the document at *url*, or NotModified if the validators still hold.

        Raises SourceUnavailableError (trying later may help: SlowDownError when the
        server says so) and SourceError (it will not: too large, refused, 4xx).
        """
        headers = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        shown = public_url(url)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._follow(url, {k: v for k, v in headers.items() if v})
        except TimeoutError:
            raise SourceUnavailableError(
                f"{shown}: no whole answer within {self._settings.timeout_s:g} s"
            ) from None
        except SlowDownError as error:
            raise SlowDownError(f"{shown}: {error}", error.retry_after_s) from None
        except SourceUnavailableError as error:
            raise SourceUnavailableError(f"{shown}: {error}") from None
        except SourceError as error:
            raise SourceError(f"{shown}: {error}") from None
        # Their messages may hold the address with its credentials: neither text nor
        # chain goes on from here.
        except (aiohttp.ClientError, OSError) as error:
            raise _judged(error, shown) from None
        except ValueError:
            raise SourceError(f"{shown}: not an address that can be asked") from None

    async def _follow(
        self, url: str, headers: dict[str, str]
    ) -> NotModified | Document:
        at = URL(url)
        for _ in range(REDIRECTS_MAX + 1):
            if at.scheme not in {"http", "https"} or not at.host:
                raise SourceError(
                    f"only http and https are followed, not {at.scheme!r}"
                )
            session = self._open if at.host.lower() in self._private else self._guarded
            async with session.get(
                at, headers=headers, allow_redirects=False
            ) as answer:
                if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                    return await self._read(answer)
                at = _next(at, answer.headers["Location"])
        raise SourceError(f"more than {REDIRECTS_MAX} redirects")

    async def _read(self, answer: aiohttp.ClientResponse) -> NotModified | Document:
        if answer.status == _NOT_MODIFIED:
            return NotModified()
        if answer.status in _PASSING or answer.status >= 500:  # noqa: PLR2004 - RFC 9110
            raise SlowDownError(
                f"the server answers {answer.status}",
                _seconds(answer.headers.get("Retry-After", ""), clock.now()),
            )
        if not answer.ok:
            raise SourceError(f"the server answers {answer.status}")
        body = BoundedBody(answer.headers.get("Content-Encoding", ""), self._size_max)
        async for chunk in answer.content.iter_any():
            body.feed(chunk)
        return Document(
            body=body.finish(),
            url=public_url(str(answer.url)),
            content_type=_field(answer, "Content-Type"),
            content_language=_field(answer, "Content-Language"),
            etag=_field(answer, "ETag"),
            last_modified=_field(answer, "Last-Modified"),
        )

    def _session(
        self, socket_factory: aiohttp.SocketFactoryType
    ) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=DaemonResolver(), socket_factory=socket_factory
            ),
            headers={
                "User-Agent": self._settings.user_agent,
                "Accept-Encoding": ACCEPTED,
                "Accept": "application/atom+xml, application/rss+xml, "
                "application/feed+json, application/xml;q=0.9, */*;q=0.8",
            },
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
            trust_env=False,
        )


def _public_socket(info: AddrInfoType) -> socket.socket:
    """Return a socket for the address it will be connected to, if that is public."""
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise AddressRefusedError
    return socket.socket(family, kind, protocol)


def _any_socket(info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = info
    return socket.socket(family, kind, protocol)


def _field(answer: aiohttp.ClientResponse, name: str) -> str:
    """Return a header; '' where there is none, or none that can be sent again."""
    value = answer.headers.get(name, "")
    return value if value.isascii() and value.isprintable() else ""


def _next(at: URL, location: str) -> URL:
    """Return where a redirect leads; credentials stay with their origin."""
    target = at.join(URL(location)).with_fragment(None)
    bare = target.user is None and target.password is None
    if bare and at.user is not None and target.origin() == at.origin():
        return target.with_user(at.user).with_password(at.password)
    return target


def _judged(
    error: aiohttp.ClientError | OSError, shown: str
) -> SourceError | SourceUnavailableError:
    if isinstance(error, aiohttp.InvalidURL):
        return SourceError(f"{shown}: not an address that can be asked")
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, AddressRefusedError):
            return SourceError(
                f"{shown}: it leads to an address that is not public; if that is right, "
                "add the host to http.allow_private"
            )
        cause = error.os_error.strerror or type(error.os_error).__name__
        return SourceUnavailableError(f"{shown}: no connection: {cause}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return SourceUnavailableError(f"{shown}: the answer was cut short")
    return SourceUnavailableError(f"{shown}: {type(error).__name__}")


def _seconds(retry_after: str, now: datetime) -> float:
    """Return the pause that a Retry-After header asks for (RFC 9110 section 10.2.3)."""
    if retry_after.strip().isdecimal():
        seconds = float(retry_after)
    else:
        try:
            until = email.utils.parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return 0.0
        if until.tzinfo is None:
            return 0.0
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
