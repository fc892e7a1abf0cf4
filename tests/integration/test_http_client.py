"""The guarded client against real servers on loopback."""

import asyncio
import gzip
import time

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.http import (
    Document,
    FetchFailedError,
    HttpClient,
    NotModified,
)
from streams.errors import SourceError, SourceUnavailableError
from streams.settings import Http


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ALLOWED = Http(allow_private=("127.0.0.1",), timeout_s=5, size_max_mb=1)


@asynccontextmanager
async def server(**handlers: Handler) -> AsyncIterator[str]:
    """Serve each handler under its name; yield the address of them all."""
    app = web.Application()
    for name, handler in handlers.items():
        app.router.add_get(f"/{name}", handler)
    async with TestServer(app) as running:
        yield f"http://127.0.0.1:{running.port}"


async def feed(request: web.Request) -> web.Response:
    if request.headers.get("If-None-Match") == '"1"':
        return web.Response(status=304)
    return web.Response(
        body=b"<rss/>",
        headers={"ETag": '"1"', "Last-Modified": "yes", "Content-Type": "text/xml"},
    )


async def test_a_second_request_is_conditional() -> None:
    async with server(feed=feed) as at, HttpClient(ALLOWED) as http:
        first = await http.get(f"{at}/feed")
        assert isinstance(first, Document)
        assert (first.body, first.etag, first.last_modified) == (
            b"<rss/>",
            '"1"',
            "yes",
        )
        assert first.content_type == "text/xml"
        second = await http.get(f"{at}/feed", etag=first.etag)
        assert isinstance(second, NotModified)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"]
)
async def test_no_name_of_loopback_is_reached_unless_it_is_allowed(host: str) -> None:
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response()

    async with server(secret=note) as at, HttpClient(Http(timeout_s=5)) as http:
        url = at.replace("127.0.0.1", host) + "/secret"
        with pytest.raises((SourceError, SourceUnavailableError)) as caught:
            await http.get(url)
    assert asked == []
    if host in {"127.0.0.1", "localhost"}:
        assert "not public" in str(caught.value)
        assert "http.allow_private" in str(caught.value)


async def test_a_redirect_is_judged_like_the_first_address() -> None:
    async def away(request: web.Request) -> web.Response:
        del request
        return web.Response(
            status=302, headers={"Location": f"http://localhost:{port}/s"}
        )

    async with server(away=away) as at, HttpClient(ALLOWED) as http:
        port = at.rpartition(":")[2]
        with pytest.raises(SourceError, match="not public"):
            await http.get(f"{at}/away")


@pytest.mark.parametrize(
    "location",
    ["file:///etc/passwd", "ftp://127.0.0.1/", "javascript:1", "http://[bad"],
)
async def test_a_redirect_leads_to_the_web_or_nowhere(location: str) -> None:
    async def away(request: web.Request) -> web.Response:
        del request
        return web.Response(status=302, headers={"Location": location})

    async with server(away=away) as at, HttpClient(ALLOWED) as http:
        with pytest.raises(SourceError):
            await http.get(f"{at}/away")


async def test_ten_redirects_are_followed_and_no_more() -> None:
    async def hop(request: web.Request) -> web.Response:
        left = int(request.query["left"])
        if not left:
            return web.Response(body=b"there")
        location = f"/hop?left={left - 1}"
        return web.Response(status=301, headers={"Location": location})

    async with server(hop=hop) as at, HttpClient(ALLOWED) as http:
        answer = await http.get(f"{at}/hop?left=10")
        assert isinstance(answer, Document)
        assert answer.body == b"there"
        assert answer.url == f"{at}/hop?left=0"
        with pytest.raises(SourceError, match="more than 10 redirects"):
            await http.get(f"{at}/hop?left=11")


async def test_credentials_go_to_their_origin_and_nowhere_else() -> None:
    seen: list[str | None] = []

    async def here(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(status=302, headers={"Location": f"{elsewhere}/there"})

    async def there(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=b"x")

    async with (
        server(there=there) as elsewhere,
        server(here=here) as at,
        HttpClient(ALLOWED) as http,
    ):
        await http.get(at.replace("http://", "http://user:secret@") + "/here")
    assert seen == ["Basic dXNlcjpzZWNyZXQ=", None]


@pytest.mark.parametrize("status", [404, 500, 200])
async def test_credentials_do_not_show_in_errors(status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        del request
        return web.Response(status=status, body=bytes(2_000_000))

    async with server(x=answer) as at, HttpClient(ALLOWED) as http:
        url = at.replace("http://", "http://user:sesame@") + "/x?token=sesame"
        for address in (url, "http://user:sesame@[bad/", "ftp://u:sesame@h/"):
            with pytest.raises((SourceError, SourceUnavailableError)) as caught:
                await http.get(address)
            error: BaseException | None = caught.value
            assert "sesame" not in str(error)
            assert caught.value.__suppress_context__


async def test_a_body_over_the_limit_is_refused_also_when_it_unpacks_to_it() -> None:
    async def plain(request: web.Request) -> web.Response:
        del request
        return web.Response(body=bytes(1_000_001))

    async def bomb(request: web.Request) -> web.Response:
        del request
        packed = gzip.compress(bytes(200_000_000), 1)
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    async with server(plain=plain, bomb=bomb) as at, HttpClient(ALLOWED) as http:
        for name in ("plain", "bomb"):
            with pytest.raises(SourceError, match="larger than 1,000,000 bytes"):
                await http.get(f"{at}/{name}")


async def test_a_slow_drip_is_cut_off() -> None:
    gone = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.05)
        finally:
            gone.set()

    settings = Http(allow_private=("127.0.0.1",), timeout_s=0.5)
    async with server(drip=drip) as at, HttpClient(settings) as http:
        began = time.monotonic()
        with pytest.raises(SourceUnavailableError, match=r"within 0\.5 s"):
            await http.get(f"{at}/drip")
        assert time.monotonic() - began < 2
        async with asyncio.timeout(5):
            await gone.wait()


async def test_endless_headers_are_refused() -> None:
    async def many(request: web.Request) -> web.Response:
        del request
        return web.Response(headers={f"X-{n}": "y" for n in range(500)})

    async def long(request: web.Request) -> web.Response:
        del request
        return web.Response(headers={"X": "y" * 100_000})

    async with server(many=many, long=long) as at, HttpClient(ALLOWED) as http:
        for name in ("many", "long"):
            with pytest.raises(SourceUnavailableError):
                await http.get(f"{at}/{name}")


async def test_a_server_that_asks_for_patience_is_heard() -> None:
    async def busy(request: web.Request) -> web.Response:
        del request
        return web.Response(status=503, headers={"Retry-After": "120"})

    async with server(busy=busy) as at, HttpClient(ALLOWED) as http:
        with pytest.raises(FetchFailedError, match="answers 503") as caught:
            await http.get(f"{at}/busy")
        assert caught.value.failure.retry_after_s == 120


async def test_nobody_at_home_is_a_passing_fault() -> None:
    async with server() as at:
        pass
    async with HttpClient(ALLOWED) as http:
        with pytest.raises(SourceUnavailableError, match="no connection"):
            await http.get(at)


async def test_the_environments_proxy_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with server(feed=feed) as at, HttpClient(ALLOWED) as http:
        assert isinstance(await http.get(f"{at}/feed"), Document)


@pytest.mark.parametrize(
    "retry_after",
    [
        "Mon, 99999999999999999999999 Jan 2026 00:00:00 GMT",
        "Mon, 05 Jan 2026 00:00:00 +99999999999999999999",
        "9" * 5000,
    ],
)
async def test_a_plea_that_makes_no_sense_is_still_a_plea(retry_after: str) -> None:
    async def busy(request: web.Request) -> web.Response:
        del request
        return web.Response(status=429, headers={"Retry-After": retry_after})

    async with server(busy=busy) as at, HttpClient(ALLOWED) as http:
        with pytest.raises(FetchFailedError, match="answers 429"):
            await http.get(f"{at}/busy")


async def test_a_validator_that_is_no_text_is_not_kept() -> None:
    async def answer(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        to.write(b'HTTP/1.1 200 OK\r\nETag: "\xff"\r\nLast-Modified: \xe9\r\n')
        to.write(b"Content-Type: \xff\r\nContent-Length: 2\r\n\r\nok")
        to.close()

    async with (
        await asyncio.start_server(answer, "127.0.0.1", 0) as raw,
        HttpClient(ALLOWED) as http,
    ):
        port = raw.sockets[0].getsockname()[1]
        document = await http.get(f"http://127.0.0.1:{port}/")
    assert isinstance(document, Document)
    assert document.body == b"ok"
    assert (document.etag, document.last_modified, document.content_type) == ("",) * 3
