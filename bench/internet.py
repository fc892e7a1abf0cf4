"""A simulated internet: up to 100,000 feeds on a server of some ports of this machine.

``python -m bench.internet --seed 1 --feeds 10000 --speed 144 --begins EPOCH --truth FILE``;
prints its ports when it listens, and serves until SIGTERM. What a feed shows is
:mod:`bench.world`'s to say; how a server says it, well or badly, is said here. For each
answered request a fixed-size record goes to the file of truth (:func:`polls` reads it).
HTTP is spoken by hand: the server must not take the cores from what it measures.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import signal
import struct
import sys
import time

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from enum import IntEnum
from hashlib import blake2b
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple, get_args

from bench.figures import ended
from bench.rendering import MEDIA_TYPES, Clock, render
from bench.world import BEGIN, DAY_S, Fault, Feed, Manner, World


PORTS = 8
REQUEST_MAX = 64 * 1024
FLUSH_S = 0.5
GZIP_LEVEL = 1
#: Of the feeds, how many are sent without compression.
PLAIN_EVERY = 7
#: A slow server thinks for so long, in our seconds; one that drips never ends.
SLOW_S = 0.7
DRIP_S = 0.2
#: Virtual: what an overloaded server asks for, and for how long an answer is fresh.
RETRY_AFTER_S = 1_800.0
MAX_AGE_S = 600.0

PAGE = b"<!DOCTYPE html><html><head><title>Domain for sale</title></head><body/></html>"


_STATUS: Mapping[Fault, int] = {
    "server": 500,
    "unavailable": 503,
    "slow_down": 429,
    "not_found": 404,
    "gone": 410,
    "not_a_feed": 200,
    "empty": 200,
    "moved": 301,
    "found": 302,
}


class Said(IntEnum):
    """What a request was answered with."""

    #: All entries that the feed showed at the time, whole.
    SHOWN = 1
    #: Not modified, rightly.
    UNCHANGED = 2
    #: Not modified, although it was.
    LIE = 3
    REDIRECT = 4
    #: No feed, or no answer.
    FAULT = 5


class Poll(NamedTuple):
    """An answered request."""

    #: The day (:mod:`bench.world`) as of which it was answered.
    day: float
    feed: int
    said: Said


_POLL = struct.Struct("<dIB")


def polls(truth: Path) -> Iterator[Poll]:
    """Yield what was answered, in order; a torn last record is passed over."""
    written = truth.read_bytes()
    whole = len(written) - len(written) % _POLL.size
    for day, feed, said in _POLL.iter_unpack(written[:whole]):
        yield Poll(day, feed, Said(said))


def _origin(host: int, ports: list[int]) -> str:
    return f"http://h{host}.sim.localhost:{ports[host % len(ports)]}"


def answered(truth: Path) -> int:
    """Return how many requests were answered until half a second ago."""
    return truth.stat().st_size // _POLL.size


class Request(NamedTuple):
    """What a client asks for."""

    path: str
    headers: dict[str, str]


class Answer(NamedTuple):
    """What a server says, and how."""

    said: Said
    status: int
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    delay_s: float = 0.0
    #: The answer stops in the middle: reset, or for ever dripping.
    manner: Fault = ""


class Site:
    """What the servers of *world* answer."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world, self.clock = world, clock
        self.ports: list[int] = []

    def answer(self, request: Request, day: float) -> tuple[Feed, Answer] | None:
        """Return who answers what at *day*; None for an address that there never was."""
        kind, number = request.path[1:2], request.path[2:]
        if kind not in {"f", "m"} or not number.isdecimal():
            return None
        if int(number) >= self.world.feeds:
            return None
        feed = self.world.feed(int(number))
        fault = self.world.fault(feed, day)
        if fault in {"moved", "found"} and kind != "f":
            fault = ""  # where it leads to, it is
        return feed, self._faulty(feed, fault) or self._feed(request, feed, day, fault)

    def _faulty(self, feed: Feed, fault: Fault) -> Answer | None:
        """Return an answer that has no feed in it."""
        if fault in {"reset", "drip"}:
            return Answer(Said.FAULT, 200, manner=fault)
        if fault not in _STATUS:
            return None
        if fault in {"moved", "found"}:
            elsewhere = _origin((feed.host + 1) % self.world.hosts, self.ports)
            to = f"{elsewhere}/m{feed.number}"
            return Answer(Said.REDIRECT, _STATUS[fault], {"Location": to})
        headers = {"Content-Type": "text/html"}
        if fault in {"unavailable", "slow_down"}:
            headers["Retry-After"] = str(_ours_s(RETRY_AFTER_S, self.clock))
        body = b"" if fault == "empty" else PAGE
        return Answer(Said.FAULT, _STATUS[fault], headers, body)

    def _feed(self, request: Request, feed: Feed, day: float, fault: Fault) -> Answer:
        shown = self.world.shown(feed, day)
        delay_s = SLOW_S if fault == "slow" else 0.0
        headers = {"Content-Type": MEDIA_TYPES[feed.format]}
        headers |= self.validators(feed, day)
        if feed.number % 3 == 0:
            headers["Cache-Control"] = f"max-age={_ours_s(MAX_AGE_S, self.clock)}"
        if _validated(request, headers):
            lie = feed.validators == "lying"
            return Answer(
                Said.LIE if lie else Said.UNCHANGED, 304, headers, b"", delay_s
            )
        body = render(self.world, feed, shown, day, self.clock)
        if fault == "broken" and feed.format != "json":
            body = body.replace(b"<title>Feed", b"<title>R&D &unknown; <b>Feed", 1)
        if feed.number % PLAIN_EVERY and "gzip" in request.headers.get(
            "accept-encoding", ""
        ):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Answer(Said.SHOWN, 200, headers, body, delay_s)

    def validators(self, feed: Feed, day: float) -> dict[str, str]:
        """Return the headers by which *feed* tells what it shows at *day* from before."""
        if feed.validators == "lying":
            return {"ETag": '"always"'}
        said: dict[str, str] = {}
        if feed.validators in {"both", "etag"}:
            shown = repr(self.world.shown(feed, day)).encode()
            said["ETag"] = f'"{blake2b(shown, digest_size=8).hexdigest()}"'
        if feed.validators in {"both", "last_modified"}:
            # To a virtual second, or two changes would have one date; never to come.
            days = self.world.changed(feed, day) - BEGIN - 1
            said["Last-Modified"] = formatdate(
                self.clock.begins + days * DAY_S, usegmt=True
            )
        return said


def _ours_s(virtual_s: float, clock: Clock) -> int:
    """Return virtual seconds as whole ones of ours, at least one."""
    return max(1, round(virtual_s / clock.speed))


def _validated(request: Request, headers: dict[str, str]) -> bool:
    """Whether what the client has is what there is (RFC 9110 section 13.2.2)."""
    if (tag := request.headers.get("if-none-match")) and "ETag" in headers:
        return tag == headers["ETag"]
    since = request.headers.get("if-modified-since")
    return bool(since) and since == headers.get("Last-Modified")


class Connection(asyncio.Protocol):
    """One connection of a client; requests one after another."""

    def __init__(self, site: Site, truth: BinaryIO) -> None:
        self._site, self._truth = site, truth
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._respond(_request(head))
        if len(self._received) > REQUEST_MAX:
            self._transport.abort()

    def _respond(self, request: Request) -> None:
        day = self._site.clock.day(time.time())
        found = self._site.answer(request, day)
        if found is None:
            self._transport.write(_head(Answer(Said.FAULT, 404)))
            return
        feed, answer = found
        if answer.delay_s:
            self._later(answer.delay_s, lambda: self._send(answer, day, feed))
        else:
            self._send(answer, day, feed)

    def _send(self, answer: Answer, day: float, feed: Feed) -> None:
        self._truth.write(_POLL.pack(day, feed.number, answer.said))
        if answer.manner:
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n<rss>"
            )
            if answer.manner == "reset":
                self._transport.abort()
            else:
                self._drip()
            return
        self._transport.write(_head(answer) + answer.body)

    def _drip(self) -> None:
        self._transport.write(b" ")
        self._later(DRIP_S, self._drip)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, call)


def _request(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    return Request(first.split(" ")[1], headers)


def _head(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status != HTTPStatus.NOT_MODIFIED:
        lines.append(f"Content-Length: {len(answer.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def serve(site: Site, truth: Path) -> None:
    """Answer on :data:`PORTS` ports until SIGTERM; print which, once they are open."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    with truth.open("wb") as file:
        servers = [
            await loop.create_server(
                lambda: Connection(site, file), "127.0.0.1", port, backlog=1024
            )
            for port in site.ports or [0] * PORTS
        ]
        site.ports = [server.sockets[0].getsockname()[1] for server in servers]
        print(*site.ports, flush=True)
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), FLUSH_S)
            file.flush()
        for server in servers:
            server.close()


class Internet(NamedTuple):
    """A simulated internet that runs in a process of its own."""

    process: asyncio.subprocess.Process
    world: World
    clock: Clock
    ports: list[int]
    truth: Path

    def address(self, number: int) -> str:
        """Return where a feed is to be found, as its subscribers know it."""
        feed = self.world.feed(number)
        return f"{_origin(feed.host, self.ports)}/f{number}"


@asynccontextmanager
async def internet(world: World, speed: float, truth: Path) -> AsyncIterator[Internet]:
    """Run one, from now on, and end it; its truth is whole afterwards."""
    clock = Clock(time.time(), speed)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.internet", str(truth)),
        *(
            f"--{name}={value}"
            for name, value in vars(world).items()
            if name in _OPTIONS
        ),
        f"--begins={clock.begins}",
        f"--speed={speed}",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ports = [int(port) for port in (await process.stdout.readline()).split()]
    try:
        yield Internet(process, world, clock, ports, truth)
    finally:
        await ended(process)


_OPTIONS = ("seed", "feeds", "faults", "manner")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("truth", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--feeds", type=int, default=1_000)
    parser.add_argument("--faults", type=float, default=1.0)
    parser.add_argument("--manner", choices=get_args(Manner), default="mixed")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--begins", type=float, default=time.time())
    given = parser.parse_args()
    world = World(given.seed, given.feeds, faults=given.faults, manner=given.manner)
    gc.freeze()
    asyncio.run(serve(Site(world, Clock(given.begins, given.speed)), given.truth))


if __name__ == "__main__":
    main()
