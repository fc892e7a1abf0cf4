"""A newspaper's site for the RSS connector's tests: real requests, feeds that a test changes."""

from __future__ import annotations

import asyncio

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self, TypeVar

import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.rss import connector
from connectors.rss.connector import RssConnector
from connectors.rss.recovery import CHECKPOINT_S
from streams.log.face import Log
from streams.settings import Feed, Http, Rss, Settings


T = TypeVar("T")


def item(number: int, text: str = "as it was") -> str:
    return (
        f"<item><guid>https://paper.example/{number}</guid>"
        f"<link>https://paper.example/{number}</link>"
        f"<title>Item {number}</title><description>{text}</description></item>"
    )


class InProcess:
    """Parsers for tests that are not about them: no process has to start for each test."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(
        self, work: Callable[..., T], *arguments: object, **named: object
    ) -> T:
        return work(*arguments, **named)


def parse_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connector, "parsers", lambda *_, **__: InProcess())


class Paper:
    """One feed that a test can change."""

    def __init__(self) -> None:
        self.items = [item(1), item(2)]
        self.etags = True
        self.status = 200
        self.requests = 0
        self.not_modified = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        body = (
            "<rss version='2.0'><channel><title>Paper</title>"
            f"<link>https://paper.example/</link>{''.join(self.items)}</channel></rss>"
        )
        etag = f'"{hash(body)}"'
        if self.etags and request.headers.get("If-None-Match") == etag:
            self.not_modified += 1
            return web.Response(status=304)
        headers = {"ETag": etag} if self.etags else {}
        return web.Response(text=body, status=self.status, headers=headers)


@asynccontextmanager
async def a_paper(paper: Paper | None = None) -> AsyncIterator[Paper]:
    paper = paper or Paper()
    app = web.Application()
    app.router.add_get("/feed", paper.answer)
    async with TestServer(app) as server:
        paper.url = f"http://reader:sesame@127.0.0.1:{server.port}/feed"
        yield paper


def reading(
    paper: Paper, log: Log, *more: Feed, interval_s: float = 0.1
) -> RssConnector:
    feeds = (Feed(url=paper.url, id="paper", publisher="paper.example"), *more)
    settings = Settings(
        http=Http(allow_private=("127.0.0.1",), timeout_s=5),
        rss=Rss(
            interval_s=interval_s,
            interval_min_s=interval_s,
            interval_max_s=interval_s,
            hint_max_s=interval_s,
            host_gap_s=0,
            feeds=feeds,
        ),
    )
    return RssConnector(settings, log)


@dataclass
class Site:
    """Many feeds on one server, each with one item; what was asked of it."""

    #: By path.
    statuses: dict[str, int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    #: What each path was asked by (If-None-Match), request by request.
    validators: defaultdict[str, list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    #: When each request came, by the loop's clock, and its host.
    times: list[tuple[float, str]] = field(default_factory=list)
    at_once: Counter[str] = field(default_factory=Counter)
    at_once_most: Counter[str] = field(default_factory=Counter)
    slowness_s: float = 0.0
    #: Paths that do not answer before a test lets them go on.
    hanging: set[str] = field(default_factory=set)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the test wants."""
        host = request.url.host or ""
        self.asked[request.path] += 1
        self.validators[request.path].append(request.headers.get("If-None-Match", ""))
        self.times.append((asyncio.get_running_loop().time(), host))
        self.at_once[host] += 1
        self.at_once_most[host] = max(self.at_once_most[host], self.at_once[host])
        try:
            if request.path in self.hanging:
                await self.go_on.wait()
            await asyncio.sleep(self.slowness_s)
        finally:
            self.at_once[host] -= 1
        name = request.path.strip("/")
        body = (
            f"<rss version='2.0'><channel><title>{name}</title><item><guid>{name}</guid>"
            f"<title>{name}</title></item></channel></rss>"
        )
        status = self.statuses.get(request.path, 200)
        return web.Response(text=body, status=status, headers=self.headers)

    def feed(self, name: str, *, host: str = "127.0.0.1") -> Feed:
        """Return a feed of the site."""
        return Feed(url=f"http://{host}:{self.port}/{name}", id=name)


@asynccontextmanager
async def a_site() -> AsyncIterator[Site]:
    """Serve a site."""
    site = Site()
    app = web.Application()
    app.router.add_get("/{name}", site.answer)
    async with TestServer(app, shutdown_timeout=0) as server:
        assert server.port is not None
        site.port = server.port
        yield site


def connector_of(
    *feeds: Feed,
    log: Log,
    interval_s: float = 3600.0,
    gap_s: float = 0.0,
    shard: str = "",
    parallel: int = 16,
    parsers: int = 1,
    checkpoint_s: float = CHECKPOINT_S,
) -> RssConnector:
    """Return a connector of *feeds*."""
    settings = Settings(
        http=Http(allow_private=("127.0.0.1", "localhost", "*.localhost"), timeout_s=5),
        rss=Rss(
            interval_s=interval_s,
            interval_min_s=interval_s,
            interval_max_s=interval_s,
            hint_max_s=interval_s,
            host_gap_s=gap_s,
            parsers=parsers,
            parallel=parallel,
            shard=shard,
            feeds=feeds,
        ),
    )
    return RssConnector(settings, log, checkpoint_s=checkpoint_s)
