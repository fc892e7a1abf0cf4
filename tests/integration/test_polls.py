"""One poll: what reaches a parser, what moves a feed, what shows that a server lies."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import psutil
import pytest

from aiohttp import web
from structlog.testing import capture_logs

from connectors.failures import FetchFailedError
from connectors.http import Document, HttpClient, NotModified
from connectors.rss.fulltext import Pages
from connectors.rss.health import fresh
from connectors.rss.healthbook import HealthBook
from connectors.rss.poll import Question, Reader, digest
from connectors.rss.subscription import subscription
from connectors.rss.watched import now_s
from streams import clock
from streams.events import feed_health
from streams.pool import Pool
from streams.settings import Feed, Settings
from tests.integration.connecting import embedded_log, published, running, until
from tests.integration.papers import Paper, a_paper, a_site, connector_of, item, reading


def feed(*items: str, head: str = "") -> bytes:
    channel = f"<channel><title>T</title>{head}{''.join(items)}</channel>"
    return f"<rss version='2.0'>{channel}</rss>".encode()


def question(body: bytes = b"") -> Question:
    url = "https://paper.example/feed"
    about = subscription(Feed(url=url))
    return Question(url, about, b"", '"1"', "", digest(body), clock.now())


def document(body: bytes) -> Document:
    url = "https://paper.example/feed"
    return Document(body, url, "application/rss+xml", "", '"1"', "")


@asynccontextmanager
async def a_reader() -> AsyncIterator[tuple[Reader, Pool]]:
    settings = Settings()
    pool = Pool(1, timeout_s=20.0, name="polls")
    async with HttpClient(settings.http) as http:
        yield Reader(pool, Pages(http, pool, settings)), pool


async def test_304_and_an_unchanged_body_do_not_reach_the_parser() -> None:
    body = feed(item(1))
    async with a_reader() as (reader, _):  # whose pool is not open: a call would wait
        for answer in (NotModified('"1"', "", 0.0, ""), document(body)):
            async with asyncio.timeout(5):
                found = await reader.read(question(body), answer, clock.now())
            assert found.look.outcome in {"unmodified", "same"}
            assert found.items == ()


async def test_what_a_body_says_of_its_address_moves_no_feed() -> None:
    # Nobody has seen that a feed is there; and it may be in our own network.
    new = "<itunes:new-feed-url>http://10.0.0.1/feed</itunes:new-feed-url>"
    async with a_reader() as (reader, pool), pool:
        body = feed(item(1), head=new)
        found = await reader.read(question(), document(body), clock.now())
    assert found.look.new == 1
    assert found.look.moved_to == ""


async def test_an_answer_without_content_is_empty_and_no_empty_feed() -> None:
    async with a_reader() as (reader, _):
        with pytest.raises(FetchFailedError) as raised:
            await reader.read(question(), document(b" \n"), clock.now())
    assert raised.value.failure.kind == "empty"


class Liar(Paper):
    """Says that nothing has changed to whoever shows a validator."""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests += 1
        if "If-None-Match" in request.headers:
            self.not_modified += 1
            return web.Response(status=304)
        return web.Response(body=feed(*self.items), headers={"ETag": '"always"'})


async def test_a_server_whose_etag_lies_is_noticed(tmp_path: Path) -> None:
    async with a_paper(Liar()) as paper, embedded_log(tmp_path) as log:
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > 0)
        paper.items.append(item(3))
        book = HealthBook(log)
        health = (await book.load(["paper"]))["paper"]
        yesterday = clock.now() - timedelta(days=2)
        untried = msgspec.structs.replace(health, probed=yesterday, next_poll=yesterday)
        await log.append([feed_health(untried)])
        with capture_logs() as lines:
            async with running(reading(paper, log)):
                await until(lambda: "rss.feed" in [line["event"] for line in lines])
                asked, told = paper.requests, paper.not_modified
                await until(lambda: paper.requests > asked + 2)
        assert paper.not_modified == told
        assert (await book.load(["paper"]))["paper"].flags == ("lying_validators",)
        assert [one.title for one in await published(log)][-1] == "Item 3"


async def test_the_pool_uses_as_many_processes_as_it_is_given(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        here = psutil.Process()
        before = {one.pid for one in here.children(recursive=True)}
        connector = connector_of(site.feed("f"), log=log, parsers=3)
        async with running(connector):
            await until(
                lambda: [one.state for one in connector.statuses()] == ["fresh"]
            )
            begun = {one.pid for one in here.children(recursive=True)} - before
    assert len(begun) >= 3


async def test_one_process_polls_more_than_fifty_feeds_a_second(tmp_path: Path) -> None:
    # 180,000 feeds an hour; python -m bench.feeds says how many it is on a machine.
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{n}", host=f"h{n}.localhost") for n in range(60)]
        connector = connector_of(*feeds, log=log, interval_s=0.4)
        async with running(connector):
            await until(lambda: len(site.asked) == len(feeds))
            began_s, before = now_s(), site.asked.total()
            await until(lambda: site.asked.total() >= before + 200)
        assert now_s() - began_s < 200 / 50


async def test_what_no_later_poll_can_tell_again_is_written_at_once(
    tmp_path: Path,
) -> None:
    async with embedded_log(tmp_path) as log:
        book = HealthBook(log, flush_s=3_600)
        writing = asyncio.create_task(book.run(asyncio.Event()))
        now = clock.now()
        book.note(fresh("calm", "https://calm.example/", now))
        book.note(fresh("gap", "https://gap.example/", now), soon=True)
        async with asyncio.timeout(5):
            while not await HealthBook(log).load(["gap"]):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
        writing.cancel()


async def test_a_move_that_comes_to_nothing_is_undone(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        feed = site.feed("f")
        connector = connector_of(feed, log=log)
        async with running(connector):
            await until(
                lambda: [one.state for one in connector.statuses()] == ["fresh"]
            )
        book = HealthBook(log)
        health = (await book.load(["f"]))["f"]
        site.statuses["/new"] = 410
        moved = msgspec.structs.replace(
            health, url=site.feed("new").url, next_poll=clock.now()
        )
        await log.append([feed_health(moved)])
        connector = connector_of(feed, log=log)
        with capture_logs() as lines:
            async with running(connector):
                await until(
                    lambda: [one.state for one in connector.statuses()] == ["unchanged"]
                )
        (told,) = [line for line in lines if line["event"] == "rss.feed"]
        assert "at the address that you gave" in told["said"]
        assert site.asked["/new"] == 1
        back = (await book.load(["f"]))["f"]
        assert (back.url, back.state) == (feed.url, "good")


async def test_a_gap_is_noted_before_anything_can_kill_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HealthBook.__init__, "__kwdefaults__", {"flush_s": 3_600.0})
    dated = "<pubDate>Thu, 05 Nov 2026 {:02}:00:00 GMT</pubDate></item>"
    paper = Paper()
    paper.items = [item(n).replace("</item>", dated.format(n)) for n in range(1, 5)]
    async with (
        a_paper(paper) as paper,
        embedded_log(tmp_path) as log,
        running(reading(paper, log)),
    ):
        await until(lambda: paper.not_modified > 0)
        paper.items = [
            item(n).replace("</item>", dated.format(n)) for n in range(11, 15)
        ]
        async with asyncio.timeout(5):
            while not await HealthBook(log).load(["paper"]):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
        assert (await HealthBook(log).load(["paper"]))["paper"].gaps == 1
