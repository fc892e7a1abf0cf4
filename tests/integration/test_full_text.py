"""The articles behind entries, from real servers through real worker processes."""

import asyncio

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from connectors.http import HttpClient
from connectors.rss.fulltext import FAILURES_MAX, PARALLEL_EACH, Pages
from connectors.rss.robots import Robots
from streams.pool import Pool
from streams.records import Identity, RawItem, Source
from streams.settings import Http, Rss, Settings
from tests.integration.connecting import until
from tests.unit.connectors.newspages import FLOOD, MOPTI, paywall, wordpress


pytestmark = pytest.mark.asyncio(loop_scope="module")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Site:
    """A news site that a test can change."""

    def __init__(self) -> None:
        self.robots = "User-agent: *\nDisallow: /private/\n"
        self.robots_status = 200
        self.asked: list[str] = []
        self.accepted: dict[str, str] = {}
        self.at: list[float] = []
        self.hold = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.accepted[request.path] = request.headers["Accept"]
        match request.path:
            case "/robots.txt":
                return web.Response(text=self.robots, status=self.robots_status)
            case "/elsewhere":
                raise web.HTTPFound(f"http://localhost:{request.url.port}/private/x")
            case "/slow":
                await self.hold.wait()
            case "/missing":
                raise web.HTTPNotFound
            case "/broken":
                raise web.HTTPInternalServerError
            case "/deep":
                body = "<div>" * 19_000
                return web.Response(text=body, content_type="text/html")
            case "/film":
                return web.Response(body=b"\0\0", content_type="video/mp4")
            case "/paid":
                return web.Response(text=paywall(MOPTI), content_type="text/html")
        self.at.append(asyncio.get_running_loop().time())
        return web.Response(text=wordpress(MOPTI), content_type="text/html")

    def item(self, path: str, *, age_h: float = 0, **fields: object) -> RawItem:
        plain = {
            "identities": (Identity(kind="guid", value=path),),
            "publisher": "paper.example",
            "source": Source(connector="rss", id="paper"),
            "link": self.url + path,
            "title": MOPTI.title,
            "text": MOPTI.summary,
            "published": NOW - timedelta(hours=age_h),
            "fetched": NOW,
        }
        return RawItem(**(plain | fields))  # type: ignore[arg-type]


@asynccontextmanager
async def a_site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{path:.*}", site.answer)
    async with TestServer(app) as server:
        site.url = f"http://127.0.0.1:{server.port}"
        yield site
        site.hold.set()


HTTP = Http(allow_private=("127.0.0.1", "localhost", "*.localhost"), timeout_s=5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[Pool]:
    """Worker processes take longer to start than all else here."""
    async with Pool(1, timeout_s=20, name="pages") as started:
        yield started


@asynccontextmanager
async def reading(pool: Pool, *, gap_s: float = 0.0) -> AsyncIterator[Pages]:
    settings = Settings(http=HTTP, rss=Rss(host_gap_s=gap_s))
    async with HttpClient(HTTP) as http:
        yield Pages(http, pool, settings)


async def test_the_article_is_the_text_and_what_the_feed_said_the_summary(
    pool: Pool,
) -> None:
    async with a_site() as site, reading(pool) as pages:
        before = site.item("/a")
        (item,) = await pages.read([before])
    assert item.text == "\n\n".join(MOPTI.paragraphs)
    assert item.summary == MOPTI.summary
    assert item.identities == before.identities


async def test_what_is_no_article_leaves_the_item_as_the_feed_gave_it(
    pool: Pool,
) -> None:
    async with a_site() as site, reading(pool) as pages:
        items = [
            site.item("/paid"),
            site.item("/film"),
            site.item("/report.PDF"),
            site.item("/other", title=FLOOD.title, text=FLOOD.summary),
            site.item("/gone", state="withdrawn"),
            site.item("/none", link=""),
            site.item("/key", link=f"{site.url}/a?token=***"),
        ]
        assert await pages.read(items) == tuple(items)
    assert sorted(site.asked) == ["/film", "/other", "/paid", "/robots.txt"]


async def test_robots_txt_is_respected_and_asked_once(pool: Pool) -> None:
    async with a_site() as site, reading(pool) as pages:
        items = [site.item("/private/a"), site.item("/b"), site.item("/private/c")]
        with capture_logs() as lines:
            read = await pages.read(items)
        await pages.read([site.item("/private/d")])
    assert [bool(item.summary) for item in read] == [False, True, False]
    assert site.asked == ["/robots.txt", "/b"]
    (said,) = [line for line in lines if line["event"] == "rss.pages"]
    assert (said["pages"], said["articles"], said["robots"]) == (3, 1, 2)


async def test_robots_txt_of_where_a_redirect_ends_is_respected_too(pool: Pool) -> None:
    async with a_site() as site, reading(pool) as pages:
        item = site.item("/elsewhere")
        assert await pages.read([item]) == (item,)
    assert site.asked.count("/robots.txt") == 2


@pytest.mark.parametrize(("status", "given"), [(404, True), (403, True), (500, False)])
async def test_a_missing_robots_txt_allows_and_an_unreachable_forbids(
    pool: Pool, status: int, given: bool
) -> None:
    async with a_site() as site, reading(pool) as pages:
        site.robots, site.robots_status = "User-agent: *\nDisallow: /\n", status
        (item,) = await pages.read([site.item("/a")])
    assert bool(item.summary) == given


async def test_a_page_is_asked_for_as_a_page(pool: Pool) -> None:
    async with a_site() as site, reading(pool) as pages:
        await pages.read([site.item("/a")])
    assert site.accepted["/a"].startswith("text/html")


async def test_the_robots_txt_of_before_holds_while_none_can_be_had(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.rss.robots.FRESH_S", 0.0)
    async with a_site() as site, HttpClient(HTTP) as http:
        robots = Robots(http, pool, "wirewatch/1.0 (news)")
        assert (await robots.leave(f"{site.url}/a")).given
        site.robots_status = 503
        assert (await robots.leave(f"{site.url}/a")).given
        assert not (await robots.leave(f"{site.url}/private/a")).given
    assert len(site.asked) == 2


async def test_a_document_that_leads_to_thousands_of_sites_leaves_room_for_others(
    pool: Pool,
) -> None:
    async with a_site() as site, reading(pool) as pages:
        port = site.url.rpartition(":")[2]
        site.robots = ""
        far = [f"http://h{n}.localhost:{port}/slow" for n in range(1_000)]
        greedy = asyncio.create_task(
            pages.read([site.item("/a", link=link) for link in far], timeout_s=2.0)
        )
        await until(lambda: site.asked.count("/slow") == PARALLEL_EACH)
        (item,) = await pages.read([site.item("/a")])
        await greedy
    assert item.summary
    assert site.asked.count("/slow") == PARALLEL_EACH
    assert site.asked.count("/robots.txt") == PARALLEL_EACH + 1


async def test_many_who_wait_for_a_robots_txt_ask_once(pool: Pool) -> None:
    async with (
        a_site() as site,
        HttpClient(HTTP) as http,
    ):
        robots = Robots(http, pool, "wirewatch/1.0 (news)")
        given = await asyncio.gather(
            *(robots.leave(f"{site.url}/{n}") for n in range(5)),
            robots.leave(f"{site.url}/private/x"),
        )
    assert [leave.given for leave in given] == [True] * 5 + [False]
    assert site.asked == ["/robots.txt"]


@pytest.mark.parametrize(("gap_s", "delay_s"), [(0.1, 0), (0, 0.1)])
async def test_pages_of_a_host_are_asked_one_by_one_with_a_gap(
    pool: Pool, gap_s: float, delay_s: float
) -> None:
    async with a_site() as site, reading(pool, gap_s=gap_s) as pages:
        site.robots = f"User-agent: wirewatch\nCrawl-delay: {delay_s}\n"
        await pages.read([site.item("/1"), site.item("/2"), site.item("/3")])
    first, second, third = site.at
    assert min(second - first, third - second) > 0.09


async def test_a_slow_site_holds_nothing_up_and_the_newest_come_first(
    pool: Pool,
) -> None:
    async with a_site() as site, reading(pool) as pages:
        items = [site.item("/old-one", age_h=9), site.item("/slow", age_h=5)]
        items += [site.item("/new-one", age_h=1)]
        with capture_logs() as lines:
            read = await pages.read(items, timeout_s=1.0)
    assert [bool(item.summary) for item in read] == [False, False, True]
    assert [item.link for item in read] == [item.link for item in items]
    (said,) = [line for line in lines if line["event"] == "rss.pages"]
    assert (said["articles"], said["late"]) == (1, 2)


async def test_a_site_that_fails_again_and_again_is_left_alone(pool: Pool) -> None:
    async with a_site() as site, reading(pool) as pages:
        items = [site.item("/broken") for _ in range(FAILURES_MAX + 3)]
        with capture_logs() as lines:
            assert await pages.read(items) == tuple(items)
    assert site.asked.count("/broken") == FAILURES_MAX
    (said,) = [line for line in lines if line["event"] == "rss.pages"]
    assert (said["failed"], said["resting"]) == (FAILURES_MAX, 3)
    assert "500" in said["because"]


async def test_pages_that_are_gone_say_nothing_about_the_others(pool: Pool) -> None:
    async with a_site() as site, reading(pool) as pages:
        items = [site.item("/missing") for _ in range(FAILURES_MAX + 1)]
        *_, last = await pages.read([*items, site.item("/a")])
    assert last.summary == MOPTI.summary


async def test_a_page_that_keeps_a_parser_busy_costs_its_own_article_alone() -> None:
    settings = Settings(http=HTTP, rss=Rss(host_gap_s=0))
    async with (
        a_site() as site,
        HttpClient(HTTP) as http,
        Pool(1, timeout_s=0.7, name="pages") as pool,
    ):
        items = [site.item("/deep", age_h=1), site.item("/a", age_h=2)]
        with capture_logs() as lines:
            deep, plain = await Pages(http, pool, settings).read(items)
    assert (deep, bool(plain.summary)) == (items[0], True)
    (said,) = [line for line in lines if line["event"] == "rss.pages"]
    assert (said["articles"], said["unreadable"]) == (1, 1)


async def test_a_page_in_a_private_network_is_not_fetched(pool: Pool) -> None:
    settings = Settings(http=Http(timeout_s=5), rss=Rss(host_gap_s=0))
    async with (
        a_site() as site,
        HttpClient(settings.http) as http,
    ):
        item = site.item("/a")
        assert await Pages(http, pool, settings).read([item]) == (item,)
    assert site.asked == []
