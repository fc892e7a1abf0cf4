"""From a feed's server, its pages and its hub onto the log."""

import asyncio
import time

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.rss.connector import RssConnector
from streams.log.face import Log
from streams.settings import Feed, Http, Rss, Settings
from tests.integration.connecting import (
    PATIENCE_S,
    embedded_log,
    published,
    running,
    until,
)
from tests.integration.hub import Hub, a_hub
from tests.integration.test_websub import free_port, subscribed
from tests.unit.connectors.newspages import FLOOD, MARKET, MOPTI, Story, wordpress


class Paper:
    """A feed that names a hub, and the pages of its entries."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.stories = {"mopti": MOPTI}
        self.polls = 0
        self.pages: list[str] = []
        self.url = ""

    def entry(self, name: str, story: Story) -> str:
        return (
            f"<item><guid>{name}</guid><link>{self.url}/{name}</link><title>{story.title}"
            f"</title><description>{story.summary}</description></item>"
        )

    def feed(self, stories: dict[str, Story] | None = None) -> str:
        entries = (self.entry(*one) for one in (stories or self.stories).items())
        return (
            "<rss version='2.0' xmlns:a='http://www.w3.org/2005/Atom'><channel>"
            f"<title>Paper</title><a:link rel='hub' href='{self.hub.url}'/>"
            f"<a:link rel='self' href='{self.url}/feed'/>{''.join(entries)}"
            "</channel></rss>"
        )

    async def answer(self, request: web.Request) -> web.Response:
        name = request.path.removeprefix("/")
        if name == "feed":
            self.polls += 1
            return web.Response(text=self.feed(), content_type="application/rss+xml")
        if name not in self.stories:
            return web.Response(status=404)
        self.pages.append(name)
        return web.Response(
            text=wordpress(self.stories[name]), content_type="text/html"
        )


@asynccontextmanager
async def a_paper(hub: Hub) -> AsyncIterator[Paper]:
    paper = Paper(hub)
    app = web.Application()
    app.router.add_get("/{path:.*}", paper.answer)
    async with TestServer(app) as server:
        paper.url = f"http://127.0.0.1:{server.port}"
        yield paper


def settings(paper: Paper, *, full_text: bool = False) -> Settings:
    feed = Feed(
        url=f"{paper.url}/feed", id="paper", interval_s=3600, full_text=full_text
    )
    listen = f"127.0.0.1:{free_port()}"
    return Settings(
        http=Http(allow_private=("127.0.0.1",), timeout_s=5),
        rss=Rss(
            feeds=(feed,),
            host_gap_s=0,
            parsers=1,
            websub_callback=f"http://{listen}/websub",
            websub_listen=listen,
        ),
    )


async def arrived(log: Log, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(await published(log)) < count:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)


async def test_what_a_hub_delivers_is_on_the_log_without_a_poll(tmp_path: Path) -> None:
    async with a_hub() as hub, a_paper(hub) as paper, embedded_log(tmp_path) as log:
        async with running(RssConnector(settings(paper), log)):
            await subscribed(hub, f"{paper.url}/feed")
            # The new entry alone, as many hubs have it: the other was not taken away.
            pushed = paper.feed({"flood": FLOOD}).encode()
            began_s = time.monotonic()
            assert await hub.publish(f"{paper.url}/feed", pushed) == [202]
            await arrived(log, 2)
            took_s = time.monotonic() - began_s
            # Delivered again it is known.
            assert await hub.publish(f"{paper.url}/feed", pushed) == [202]
            assert await hub.publish(f"{paper.url}/feed", b"not a feed") == [202]
        items = await published(log)
    assert [(item.title, item.state) for item in items] == [
        (MOPTI.title, "present"),
        (FLOOD.title, "present"),
    ]
    assert took_s < 1
    assert paper.polls == 1


async def test_after_a_restart_a_hub_is_subscribed_anew_though_the_feed_is_unchanged(
    tmp_path: Path,
) -> None:
    async with a_hub() as hub, a_paper(hub) as paper, embedded_log(tmp_path) as log:
        topic = f"{paper.url}/feed"
        given = settings(paper)
        async with running(RssConnector(given, log)):
            await subscribed(hub, topic)
            await hub.publish(topic, paper.feed({"flood": FLOOD}).encode())
            await arrived(log, 2)
        async with running(RssConnector(given, log)):
            await until(lambda: len(hub.requests) == 2)
            await until(lambda: len(hub.subscribers[topic]) == 2)
            # What a hub said while nobody listened is asked for.
            await until(lambda: paper.polls == 2)
            market = paper.feed({"market": MARKET}).encode()
            assert await hub.publish(topic, market) == [410, 202]
            await arrived(log, 3)
        assert len({form["hub.callback"] for form in hub.requests}) == 2


async def test_what_was_acknowledged_and_not_stored_is_found_by_a_poll(
    tmp_path: Path,
) -> None:
    async with a_hub() as hub, a_paper(hub) as paper, embedded_log(tmp_path) as log:
        given, topic = settings(paper), f"{paper.url}/feed"
        async with running(RssConnector(given, log)):
            await subscribed(hub, topic)
            await hub.publish(topic, paper.feed().encode())
            log.away = True
            paper.stories["flood"] = FLOOD
            assert await hub.publish(topic, paper.feed().encode()) == [202]
        assert len(await published(log)) == 1
        log.away = False
        async with running(RssConnector(given, log)):
            await arrived(log, 2)
            await until(lambda: len(hub.subscribers[topic]) == 2)
            assert await hub.publish(topic, paper.feed().encode()) == [410, 202]
        items = await published(log)
    assert [item.title for item in items] == [MOPTI.title, FLOOD.title]


async def test_the_article_s_text_is_on_the_log_once(tmp_path: Path) -> None:
    async with a_hub() as hub, a_paper(hub) as paper, embedded_log(tmp_path) as log:
        async with running(RssConnector(settings(paper, full_text=True), log)):
            await subscribed(hub, f"{paper.url}/feed")
            edited = MOPTI._replace(summary=MOPTI.summary.replace("douze", "treize"))
            paper.stories["mopti"] = edited
            await hub.publish(f"{paper.url}/feed", paper.feed().encode())
            await until(lambda: len(paper.pages) == 2)
            await hub.publish(f"{paper.url}/feed", paper.feed().encode())
            await arrived(log, 2)
        first, second = await published(log)
    assert first.text == second.text == "\n\n".join(MOPTI.paragraphs)
    assert (first.summary, second.summary) == (MOPTI.summary, edited.summary)
    assert second.changed == ("text",)
    assert paper.pages == ["mopti", "mopti"], "an edit of the feed's text asks again"
