"""What hostile servers do to the client, and what it lets them do: nothing much.

Each is a real socket server; names are those of a resolver of the test's own, and the
public internet is on loopback: a connection to :data:`PUBLIC` is led there after the
client has judged the address.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
import trustme

from aiohttp.abc import AbstractResolver, ResolveResult

from connectors import http as module
from connectors.failures import (
    Failure,
    FailureKind,
    FetchFailedError,
    FetchRefusedError,
)
from connectors.http import Document, HttpClient, NotModified
from connectors.redirects import REDIRECTS_MAX
from streams.settings import Http


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PUBLIC = "93.184.215.14"
ALLOWED = Http(allow_private=("127.0.0.1",), timeout_s=5, size_max_mb=1)
STRICT = Http(timeout_s=5, size_max_mb=1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def serving(
    serve: Serve, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Let *serve* answer on loopback; yield the port."""

    answering: set[asyncio.Task[None] | None] = set()

    async def answer(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        answering.add(asyncio.current_task())
        # The client hangs up in the middle: that is what most of these tests are about.
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(reader, to)
        to.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
        yield server.sockets[0].getsockname()[1]
        for task in filter(None, answering):
            task.cancel()
        await asyncio.gather(*filter(None, answering))
    await asyncio.sleep(0)


def saying(*answers: bytes) -> Serve:
    """Answer each request of a connection with the next of *answers*, then hang up."""

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            to.write(answer)
            await to.drain()
        to.close()
        await to.wait_closed()

    return serve


def pouring(head: bytes, drop: bytes, poured: list[int]) -> Serve:
    """Send *head*, then *drop* for ever; count in *poured* what the client took."""

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        to.write(head)
        while True:
            to.write(drop)
            await to.drain()
            poured.append(len(drop))

    return serve


async def failure_of(
    port: int, path: str = "/feed", settings: Http = ALLOWED
) -> tuple[FailureKind, str]:
    async with HttpClient(settings) as http:
        failure = await failing(http, f"http://127.0.0.1:{port}{path}")
    return failure.kind, failure.message


async def failing(http: HttpClient, url: str) -> Failure:
    try:
        answer = await http.get(url)
    except (FetchFailedError, FetchRefusedError) as error:
        return error.failure
    pytest.fail(f"it gave {answer}")


class Names(AbstractResolver):
    """Leads names where the test says, all others to loopback.

    Of several answers each is given once, the last for ever.
    """

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = answers

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        answers = self._answers.get(host.partition(".")[0], [["127.0.0.1"]])
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lead connections to PUBLIC to loopback; return where connections went."""
    connect = BaseSelectorEventLoop.sock_connect
    tried: list[str] = []

    async def sock_connect(
        loop: BaseSelectorEventLoop, sock: socket.socket, address: tuple[str, int]
    ) -> None:
        tried.append(address[0])
        here = "127.0.0.1" if address[0] == PUBLIC else address[0]
        await connect(loop, sock, (here, *address[1:]))

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", sock_connect)
    return tried


# --- Why it failed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        (b"HTTP/1.1 400 No", "client", 400),
        (b"HTTP/1.1 401 No", "client", 401),
        (b"HTTP/1.1 403 No", "client", 403),
        (b"HTTP/1.1 404 No", "not_found", 404),
        (b"HTTP/1.1 408 No", "timeout", 408),
        (b"HTTP/1.1 410 No", "gone", 410),
        (b"HTTP/1.1 425 No", "slow_down", 425),
        (b"HTTP/1.1 429 No", "slow_down", 429),
        (b"HTTP/1.1 500 No", "server", 500),
        (b"HTTP/1.1 503 No", "server", 503),
        (b"HTTP/1.1 503 No\r\nRetry-After: 120", "slow_down", 503),
        (b"HTTP/1.1 304 Unasked", "server", 304),
        (b"HTTP/1.1 300 Choose", "server", 300),
        (b"HTTP/1.1 302 Nowhere", "redirects", 302),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: compress", "encoding", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, br", "encoding", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nno brotli", "encoding", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999", "too_large", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", "connection", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1", "server", 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3", "server", 0),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz", "server", 0),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n99\r\nab",
            "connection",
            0,
        ),
        (b"HTTP/1.1 200 OK\r\nA\0B: c", "server", 0),
        (b"<rss>HTTP/0.9 had no header</rss>", "server", 0),
        (b"SSH-2.0-OpenSSH_9.2", "server", 0),
        (b"HTTP/9.9 999 ?", "server", 0),
        (b"", "connection", 0),
    ],
)
async def test_failures_are_graded(
    answer: bytes, kind: FailureKind, status: int
) -> None:
    said = answer and answer + b"\r\n\r\n"
    async with serving(saying(said)) as port, HttpClient(ALLOWED) as http:
        failure = await failing(http, f"http://127.0.0.1:{port}/feed?token=sesame")
    assert (failure.kind, failure.status) == (kind, status)
    assert f"127.0.0.1:{port}/feed" in failure.message
    assert "sesame" not in repr(failure)
    asked_for_patience = b"Retry-After" in answer
    assert failure.retry_after_s == (120 if asked_for_patience else 0)


async def test_a_page_that_was_not_modified_since_nothing_is_a_failure() -> None:
    said = saying(b"HTTP/1.1 304 Unasked\r\n\r\n")
    async with serving(said) as port, HttpClient(ALLOWED) as http:
        with pytest.raises(FetchFailedError, match="answers 304"):
            await http.get(f"http://127.0.0.1:{port}/", accept="text/html")


async def test_a_chunk_that_is_none_ends_a_body_at_once() -> None:
    hung_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        to.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        to.write(b"10000\r\n")
        for _ in range(0x10):
            to.write(bytes(0x1000))
            await to.drain()
            await asyncio.sleep(0.005)  # so that it is read before the rest is there
        to.write(b"\r\nnone\r\n")
        await reader.read()
        hung_up.set()

    async with serving(serve) as port, HttpClient(ALLOWED) as http:
        failure = await failing(http, f"http://127.0.0.1:{port}/")
        await hung_up.wait()
    assert failure.kind == "connection"


async def test_a_name_without_an_address_and_a_closed_port_are_told_apart() -> None:
    async with serving(saying()) as port:
        pass
    kind, message = await failure_of(port)
    assert kind == "connection"
    assert message.endswith("no connection: Connection refused")
    async with HttpClient(STRICT) as http:
        failure = await failing(http, "http://no-such.invalid/feed")
    assert failure.kind == "dns"


# --- Encrypted connections ----------------------------------------------------------


@pytest.mark.parametrize(
    ("trusted", "name", "ends", "said"),
    [
        (True, "paper.example", None, ""),
        (False, "paper.example", None, "unable to get local issuer certificate"),
        (True, "other.example", None, "Hostname mismatch"),
        (True, "paper.example", datetime(2020, 1, 1, tzinfo=UTC), "has expired"),
    ],
)
async def test_a_certificate_must_be_trusted_valid_and_of_that_host(
    *, trusted: bool, name: str, ends: datetime | None, said: str
) -> None:
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, not_after=ends).configure_cert(server)
    client = ssl.create_default_context()
    if trusted:
        authority.configure_trust(client)
    settings = Http(allow_private=("paper.example",), timeout_s=5)
    async with (
        serving(saying(OK), server) as port,
        HttpClient(settings, resolver=Names(paper=[["127.0.0.1"]]), tls=client) as http,
    ):
        if not said:
            assert isinstance(
                await http.get(f"https://paper.example:{port}/"), Document
            )
            return
        failure = await failing(http, f"https://paper.example:{port}/")
    assert failure.kind == "tls"
    assert said in failure.message


async def test_a_server_that_does_not_speak_tls_is_a_tls_failure() -> None:
    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        await reader.read(1)
        to.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(serve) as port, HttpClient(ALLOWED) as http:
        failure = await failing(http, f"https://127.0.0.1:{port}/")
    assert failure.kind == "tls"


# --- Where it may not go ------------------------------------------------------------

INSIDE = [
    "127.0.0.1",
    "localhost",
    "feed.sim.localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "0.0.0.0",  # noqa: S104 - where it may not go
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "[fe80::1%25eth0]",
    "10.0.0.1",
    "good.example@127.0.0.1",
    "127.0.0.1%00.good.example",
    "127。0。0。1",
    "①②⑦.0.0.1",
]


@pytest.mark.parametrize("host", INSIDE)
async def test_private_loopback_link_local_and_metadata_addresses_are_refused(
    host: str,
) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        to.write(OK)

    async with serving(serve) as port, HttpClient(STRICT) as http:
        failure = await failing(http, f"http://{host}:{port}/latest/meta-data/")
    assert asked == []
    assert failure.kind in {"forbidden", "dns"}


@pytest.mark.parametrize(
    "location",
    [
        *(f"http://{host}/" for host in INSIDE if host != "127.0.0.1"),
        "//localhost/",
        "file:///etc/passwd",
        "ftp://good.example/",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "data:text/xml,<rss/>",
        "javascript:alert(1)",
        "http://",
        "http://[bad",
        "http://good.example:99999/",
    ],
)
async def test_each_redirect_is_judged_like_the_first_address(location: str) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        to.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode())

    settings = Http(allow_private=("door.example",), timeout_s=5)
    names = Names(
        door=[["127.0.0.1"]],
        good=[["10.0.0.1"]],
    )
    async with serving(serve) as port, HttpClient(settings, resolver=names) as http:
        failure = await failing(http, f"http://door.example:{port}/feed")
    assert len(asked) == 1, "the door's redirect, and nothing after it"
    assert failure.kind in {"forbidden", "not_found", "redirects"}


async def test_a_name_that_changes_its_address_is_judged_at_each_connection(
    internet: list[str],
) -> None:
    """DNS rebinding: the first answer is public, the second is our own network."""
    names = Names(rebinds=[[PUBLIC], ["127.0.0.1"]])
    async with (
        serving(saying(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok")) as port,
        HttpClient(STRICT, resolver=names) as http,
    ):
        first = await http.get(f"http://rebinds.example:{port}/")
        assert isinstance(first, Document)
        with pytest.raises(FetchRefusedError, match="not public"):
            await http.get(f"http://rebinds.example:{port}/")
    assert internet == [PUBLIC]


@pytest.mark.parametrize(
    "private",
    ["127.0.0.1", "::1", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe"],
)
async def test_of_public_and_private_addresses_only_the_public_are_tried(
    private: str, internet: list[str]
) -> None:
    async with (
        serving(saying(OK)) as port,
        HttpClient(STRICT, resolver=Names(both=[[private, PUBLIC]])) as http,
    ):
        assert isinstance(await http.get(f"http://both.example:{port}/"), Document)
    assert internet == [PUBLIC]


@pytest.mark.parametrize(
    ("pattern", "reached"),
    [
        ("*.sim.localhost", True),
        ("a.sim.localhost", True),
        ("A.SIM.localhost:{port}", True),
        ("*.localhost:{port}", True),
        ("*.sim.localhost:1", False),
        ("*.a.sim.localhost", False),
        ("sim.localhost", False),
        ("127.0.0.1", False),
    ],
)
async def test_the_configuration_allows_hosts_by_name_pattern_and_port(
    pattern: str, *, reached: bool
) -> None:
    async with serving(saying(OK)) as port:
        allowed = pattern.format(port=port)
        settings = Http(allow_private=(allowed,), timeout_s=5)
        async with HttpClient(settings) as http:
            url = f"http://a.sim.localhost:{port}/"
            if reached:
                assert isinstance(await http.get(url), Document)
                return
            with pytest.raises(FetchRefusedError, match="not public"):
                await http.get(url)


# --- Redirects ----------------------------------------------------------------------


def moving(**hops: str) -> Serve:
    """Redirect by path: ``a="301 /b"``, PORT being ours; what is not named is found."""

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split()[1].partition("?")[0].strip("/")
            if path == "gone":
                to.write(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
            elif path in hops:
                port = head.partition("Host: ")[2].split()[0].rpartition(":")[2]
                status, location = hops[path].replace("PORT", port).split()
                to.write(
                    f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\n"
                    "Content-Length: 0\r\n\r\n".encode()
                )
            elif "If-None-Match" in head:
                to.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")
            else:
                to.write(OK)

    return serve


@pytest.mark.parametrize(
    ("path", "moved_to"),
    [
        ("/there", ""),
        ("/permanent", "/there"),
        ("/thrice", "/there"),
        ("/temporary", ""),
        ("/then_temporary", ""),
        ("/first_temporary", ""),
        ("/to_token", ""),
        ("/to_password", ""),
        ("/elsewhere", "http://b.sim.localhost:{port}/there"),
    ],
)
async def test_where_permanent_redirects_alone_lead_is_told(
    path: str, moved_to: str
) -> None:
    serve = moving(
        permanent="301 /there",
        thrice="308 /twice",
        twice="301 /permanent",
        temporary="302 /there",
        then_temporary="301 /temporary",
        first_temporary="307 /permanent",
        to_token="301 /there?token=sesame",  # noqa: S106 - a marker to look for
        to_password="301 http://me:sesame@a.sim.localhost:PORT/there",  # noqa: S106
        elsewhere="301 http://b.sim.localhost:PORT/there",
    )
    settings = Http(allow_private=("*.sim.localhost",), timeout_s=5)
    async with serving(serve) as port, HttpClient(settings) as http:
        at = f"http://a.sim.localhost:{port}"
        expected = moved_to.format(port=port)
        if expected.startswith("/"):
            expected = at + expected
        for etag in ("", '"1"'):
            answer = await http.get(at + path, etag=etag)
            assert isinstance(answer, NotModified if etag else Document)
            assert answer.moved_to == expected


async def test_a_move_from_the_public_into_our_network_is_not_remembered(
    internet: list[str],
) -> None:
    settings = Http(allow_private=("inside.example",), timeout_s=5)
    names = Names(outside=[[PUBLIC]], inside=[["127.0.0.1"]])
    async with (
        serving(moving(a="301 http://inside.example:PORT/b")) as port,
        HttpClient(settings, resolver=names) as http,
    ):
        answer = await http.get(f"http://outside.example:{port}/a")
    assert isinstance(answer, Document)
    assert answer.url == f"http://inside.example:{port}/b"
    assert answer.moved_to == ""
    assert internet == [PUBLIC, "127.0.0.1"]


async def test_a_move_that_ends_in_an_error_is_an_error() -> None:
    async with serving(moving(a="301 /gone")) as port:
        kind, message = await failure_of(port, "/a")
    assert kind == "gone"
    assert "it leads to" in message


async def test_endless_redirects_and_circles_end() -> None:
    counted = iter(range(1_000))

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            location = f"/{next(counted)}".encode()
            to.write(b"HTTP/1.1 301 On\r\nContent-Length: 0\r\nLocation: ")
            to.write(location + b"\r\n\r\n")

    async with serving(serve) as port:
        assert (await failure_of(port))[0] == "redirects"
    assert next(counted) == REDIRECTS_MAX + 1
    async with serving(moving(a="302 /b", b="302 /a")) as port:
        kind, message = await failure_of(port, "/a")
        assert kind == "redirects"
        assert message.endswith(
            f"leads to http://127.0.0.1:{port}/a: it redirects back to where it came from"
        )


async def test_a_form_is_not_sent_where_a_redirect_would_make_it_another() -> None:
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            bodies.append(await reader.readexactly(len("hub.mode=subscribe")))
            path = head.split()[1]
            answers = {
                b"/307": b"307 Go\r\nLocation: /x",
                b"/302": b"302 Go\r\nLocation: /x",
            }
            status = answers.get(path, b"202 Accepted")
            to.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

    async with serving(serve) as port, HttpClient(ALLOWED) as http:
        at = f"http://127.0.0.1:{port}"
        answer = await http.post(f"{at}/307", {"hub.mode": "subscribe"})
        assert (answer.status, answer.url) == (202, f"{at}/x")
        with pytest.raises(FetchRefusedError, match="to a form"):
            await http.post(f"{at}/302", {"hub.mode": "subscribe"})
    assert bodies == [b"hub.mode=subscribe"] * 3


# --- What never ends, or is not what it says ----------------------------------------


@pytest.mark.parametrize(
    ("head", "drop", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536, "too_large"),
        (b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 10_000, "server"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 65_536, "server"),
        (b"HTTP/1.1 200 ", b"y" * 65_536, "server"),
        (b"", b"\0" * 65_536, "server"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n" * 10_000,
            "too_large",
        ),
    ],
)
async def test_endless_headers_and_bodies_are_cut_off(
    head: bytes, drop: bytes, kind: FailureKind
) -> None:
    poured: list[int] = []
    async with serving(pouring(head, drop, poured)) as port:
        assert (await failure_of(port))[0] == kind
    assert sum(poured) < 20_000_000, "what the kernel holds, and a megabyte of ours"


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
            b"zz\r\n" * 10_000,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"y" * 65_536),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            b"X-Trailer: y\r\n" * 1_000,
        ),
    ],
)
async def test_what_fills_the_line_and_says_nothing_ends_with_the_time(
    head: bytes, drop: bytes
) -> None:
    settings = Http(allow_private=("127.0.0.1",), timeout_s=0.5)
    async with serving(pouring(head, drop, [])) as port:
        began = time.monotonic()
        kind, _ = await failure_of(port, settings=settings)
        assert kind in {"timeout", "server"}
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
    ],
)
async def test_slow_drip_servers_do_not_hold_the_slots(
    head: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BODY_GRACE_S", 0.3)

    async def drip(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        to.write(head)
        while True:
            to.write(b"H")
            await to.drain()
            await asyncio.sleep(0.05)

    in_body = head.endswith(b"\r\n\r\n")
    settings = Http(allow_private=("127.0.0.1",), timeout_s=30 if in_body else 0.3)
    async with (
        serving(drip) as slow,
        serving(saying(OK)) as quick,
        HttpClient(settings, parallel=64) as http,
    ):
        began = time.monotonic()
        evil = [
            asyncio.create_task(http.get(f"http://127.0.0.1:{slow}/"))
            for _ in range(64)
        ]
        await asyncio.sleep(0)
        assert isinstance(await http.get(f"http://127.0.0.1:{quick}/"), Document)
        assert time.monotonic() - began < 3
        for one in await asyncio.gather(*evil, return_exceptions=True):
            assert isinstance(one, FetchFailedError)
            assert one.failure.kind == "timeout"


async def test_a_second_answer_that_nobody_asked_for_is_not_taken_for_the_next() -> (
    None
):
    """Response splitting: what follows the body is no answer to the next request."""
    answers = iter([OK + OK.replace(b"ok", b"no"), OK])

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            to.write(next(answers))

    async with serving(serve) as port, HttpClient(ALLOWED) as http:
        for _ in range(2):
            answer = await http.get(f"http://127.0.0.1:{port}/")
            assert isinstance(answer, Document)
            assert answer.body == b"ok"


async def test_a_validator_cannot_carry_a_second_request() -> None:
    async with serving(saying(OK)) as port, HttpClient(ALLOWED) as http:
        with pytest.raises(FetchRefusedError):
            await http.get(f"http://127.0.0.1:{port}/", etag='"1"\r\nX-Evil: 1')


async def test_many_hosts_do_not_leave_many_connections_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OPEN_MAX", 4)
    now_open: set[asyncio.StreamWriter] = set()
    most = 0

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        nonlocal most
        now_open.add(to)
        most = max(most, len(now_open))
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                to.write(OK)
        finally:
            now_open.discard(to)

    settings = Http(allow_private=("*.sim.localhost",), timeout_s=5)
    async with serving(serve) as port:
        async with HttpClient(settings, parallel=2) as http:
            for _ in range(2):
                await asyncio.gather(
                    *(http.get(f"http://h{n}.sim.localhost:{port}/") for n in range(30))
                )
        assert 4 <= most <= 4 + 2 * 2, "those kept, those at work, those just closed"


# --- What is kept of an answer ------------------------------------------------------


async def test_what_an_answer_says_of_itself_is_kept_but_for_secrets() -> None:
    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        to.write(
            b"HTTP/1.1 200 OK\r\nCache-Control: max-age=900\r\nSet-Cookie: id=1\r\n"
            b"Content-Type: text/xml\r\nContent-Location: /feed?token=sesame\r\n"
            b'ETag: W/"a b"\r\nLast-Modified: never, really\r\n'
            b'Link: <https://hub.example/>; rel="hub"\r\n'
            b"Link: </feed>; rel=self\r\nContent-Length: 2\r\n\r\nok"
        )

    async with serving(serve) as port, HttpClient(ALLOWED) as http:
        at = f"http://127.0.0.1:{port}"
        url = f"http://me:secret@127.0.0.1:{port}/feed?token=sesame"
        answer = await http.get(url)
    assert isinstance(answer, Document)
    assert (answer.etag, answer.last_modified) == ('W/"a b"', "never, really")
    assert (answer.max_age_s, answer.status) == (900, 200)
    assert (answer.hub, answer.topic) == ("https://hub.example/", f"{at}/feed")
    assert [name for name, _ in answer.headers] == [
        "Cache-Control",
        "Content-Type",
        "Etag",
        "Last-Modified",
        "Link",
        "Link",
        "Content-Length",
    ]
    assert "sesame" not in repr(answer)
    assert "secret" not in repr(answer)


async def test_a_validator_that_is_not_repeated_still_holds() -> None:
    said = b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=60\r\n"
    async with (
        serving(saying(said + b"\r\n", said + b'ETag: "2"\r\n\r\n')) as port,
        HttpClient(ALLOWED) as http,
    ):
        url = f"http://127.0.0.1:{port}/"
        first = await http.get(url, etag='"1"', last_modified="Monday")
        assert first == NotModified('"1"', "Monday", 60, "")
        second = await http.get(url, etag='"1"')
        assert second == NotModified('"2"', "", 60, "")


async def test_who_asks_is_told_with_an_address_to_write_to() -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        to.write(OK)

    settings = Http(allow_private=("127.0.0.1",), contact="https://station.example/bot")
    async with serving(serve) as port, HttpClient(settings) as http:
        await http.get(f"http://127.0.0.1:{port}/")
    (head,) = asked
    assert (
        "User-Agent: wirewatch/0.3 (news monitoring) (+https://station.example/bot)"
        in (head)
    )
    assert "Accept-Encoding: gzip, deflate, br, zstd" in head
