"""Feeds from a real server onto a real log."""

import asyncio

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from connectors.face import load_cursors, publish
from connectors.rss.connector import RssConnector
from connectors.rss.healthbook import HealthBook
from streams.errors import SettingsError
from streams.records import RawItem, Source
from streams.settings import Feed, Rss, Settings
from streams.topics import CURSORS, DEADLETTERS, RAW_MAX_BYTES
from tests.integration.connecting import (
    embedded_log,
    published,
    records,
    running,
    until,
)
from tests.integration.papers import Paper, a_paper, item, parse_in_process, reading


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    parse_in_process(monkeypatch)


def of(connector: RssConnector, name: str) -> Callable[[], int]:
    """Return what asks for a number of the first feed; 0 until there is one."""
    return lambda: sum(int(getattr(one, name)) for one in connector.statuses()[:1])


def is_(connector: RssConnector, *states: str) -> Callable[[], bool]:
    """Return what asks whether the feeds do so, in order."""
    return lambda: tuple(one.state for one in connector.statuses()) == states


async def test_a_feed_is_published_once_and_then_asked_conditionally(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        connector = reading(paper, log)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: paper.not_modified >= 2)
        items = await published(log)
        assert [one.title for one in items] == ["Item 1", "Item 2"]
        assert {one.publisher for one in items} == {"paper.example"}
        status = connector.statuses()[0]
        assert (status.state, status.published, status.refused) == ("unchanged", 2, 0)
        assert status.last_good is not None
        (fetched,) = [line for line in lines if line["event"] == "rss.fetched"]
        counts = [
            fetched[name] for name in ("entries", "published", "known", "refused")
        ]
        assert counts == [2, 2, 0, 0]


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified >= 1)
        before = paper.not_modified
        async with running(reading(paper, log)):
            await until(lambda: paper.not_modified > before)
        assert len(await published(log)) == 2
        paper.etags, paper.status = False, 500
        connector = reading(paper, log)
        async with running(connector):
            await until(is_(connector, "failing"))
        health = (await HealthBook(log).load(["paper"]))["paper"]
        assert connector.statuses()[0].last_good == health.good


async def test_an_unchanged_body_is_known_though_the_server_has_no_validators(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        paper.etags = False
        async with running(reading(paper, log)):
            await until(lambda: paper.requests >= 3)
        assert len(await published(log)) == 2
        cursors = await records(log, CURSORS.name)
        assert [one.key for one in cursors if one.key == b"paper"] == [b"paper"]


async def test_only_what_is_new_or_changed_is_published_again(tmp_path: Path) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        connector = reading(paper, log)
        async with running(connector):
            await until(lambda: of(connector, "published")() == 2)
            paper.items = [item(3), item(2, "as it is now"), item(1)]
            await until(lambda: of(connector, "published")() == 4)
        items = await published(log)
        assert [one.title for one in items] == ["Item 1", "Item 2", "Item 3", "Item 2"]
        assert items[-1].text == "as it is now"


async def test_an_entry_with_nothing_in_it_is_a_dead_letter_once(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        paper.items.append("<item><guid isPermaLink='false'>hollow</guid></item>")
        connector = reading(paper, log)
        async with running(connector):
            await until(lambda: of(connector, "published")() == 2)
            paper.items.insert(0, item(3))
            await until(lambda: of(connector, "published")() == 3)
        assert connector.statuses()[0].refused == 1
        (letter,) = await records(log, DEADLETTERS.name)
        assert "entry 'hollow'" in letter.header("ww_reason")


async def test_an_oversized_item_is_a_dead_letter_once(tmp_path: Path) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        paper.items = [item(1, "é" * 480_000), item(2)]
        paper.etags = False
        connector = reading(paper, log)
        async with running(connector):
            await until(lambda: of(connector, "refused")() == 1)
            paper.items.append(item(3))
            await until(lambda: of(connector, "published")() == 2)
        (letter,) = await records(log, DEADLETTERS.name)
        assert letter.header("ww_stage") == "connectors.rss"
        assert letter.header("ww_kind") == "oversize"
        about = msgspec.json.decode(letter.value or b"")
        assert about["size_bytes"] > RAW_MAX_BYTES
        assert len(about["sha256"]) == 64
        assert "paper" in about["source"]


async def test_a_failing_feed_says_why_and_recovers(tmp_path: Path) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        paper.status = 404
        connector = reading(paper, log)
        async with running(connector):
            await until(is_(connector, "failing"))
            assert "answers 404" in connector.statuses()[0].last_error
            paper.status = 200
            await until(lambda: of(connector, "published")() == 2)
        assert connector.statuses()[0].last_error == ""


async def test_one_feed_that_is_no_feed_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        nowhere = Feed(url="http://127.0.0.1:9/feed", id="nowhere")
        inside = Feed(url="http://localhost:9/feed", id="inside")
        connector = reading(paper, log, nowhere, inside)
        async with running(connector):
            await until(lambda: of(connector, "published")() == 2)
            await until(is_(connector, "unchanged", "failing", "failing"))
        assert "not public" in connector.statuses()[2].last_error


async def test_credentials_reach_neither_log_nor_topic(tmp_path: Path) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        connector = reading(paper, log)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: of(connector, "published")() == 2)
                paper.status = 500
                paper.etags = False
                await until(is_(connector, "failing"))
        assert "sesame" not in str(lines)
        assert "sesame" not in str(connector.statuses())
        topics = ("items.raw", "connectors.cursors", "connectors.health", "deadletters")
        for topic in topics:
            assert "sesame" not in str(await records(log, topic))


def waits(lines: Sequence[Mapping[str, object]]) -> Callable[[], bool]:
    return lambda: any(line["event"] == "connector.waiting_for_log" for line in lines)


async def test_while_the_log_is_away_it_waits_visibly_and_loses_nothing(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        connector = reading(paper, log)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: of(connector, "published")() == 2)
                log.away = True
                paper.items.append(item(3))
                await until(waits(lines))
                assert of(connector, "published")() == 2
                log.away = False
                await until(lambda: of(connector, "published")() == 3)
        titles = [one.title for one in await published(log)]
        assert titles == ["Item 1", "Item 2", "Item 3"]


async def test_a_lost_acknowledgement_repeats_nothing_and_skips_nothing(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        connector = reading(paper, log)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: of(connector, "published")() == 2)
                log.mute = True
                paper.items.append(item(3))
                await until(waits(lines))
                log.mute = False
                await until(lambda: of(connector, "published")() == 3)
        titles = [one.title for one in await published(log)]
        assert titles == ["Item 1", "Item 2", "Item 3"]


async def test_told_to_stop_while_the_log_is_away_it_does_not_move_the_cursor(
    tmp_path: Path,
) -> None:
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        log.away = True
        with capture_logs() as lines:
            async with running(reading(paper, log)):
                await until(waits(lines))
        log.away = False
        assert await load_cursors(log) == {}
        connector = reading(paper, log)
        async with running(connector):
            await until(lambda: of(connector, "published")() == 2)


@pytest.mark.parametrize("hang", ["connect", "body"])
async def test_it_stops_at_once_in_the_middle_of_a_request(
    tmp_path: Path, hang: str
) -> None:
    asked = asyncio.Event()

    async def never(request: web.Request) -> web.StreamResponse:
        asked.set()
        response = web.StreamResponse()
        if hang == "body":
            await response.prepare(request)
        await asyncio.sleep(600)
        return response

    app = web.Application()
    app.router.add_get("/feed", never)
    async with (
        TestServer(app, shutdown_timeout=0) as server,
        embedded_log(tmp_path) as log,
    ):
        paper = Paper()
        paper.url = f"http://127.0.0.1:{server.port}/feed"
        async with running(reading(paper, log)):
            async with asyncio.timeout(10):
                await asked.wait()


async def test_two_feeds_that_differ_in_a_token_need_names(tmp_path: Path) -> None:
    feeds = tuple(Feed(url=f"https://paper.example/f?token={n}") for n in ("s1", "s2"))
    async with embedded_log(tmp_path) as log:
        connector = RssConnector(Settings(rss=Rss(feeds=feeds)), log)
        with pytest.raises(SettingsError, match="give each an id") as caught:
            await connector.run(asyncio.Event())
    assert "s1" not in str(caught.value)


async def test_an_item_whose_key_makes_it_too_large_is_refused(tmp_path: Path) -> None:
    large = RawItem(
        identities=(),
        publisher="p" * 430_000,
        source=Source(connector="ingest", id="s" * 40_000),
        text="t",
        fetched=datetime(2026, 11, 24, tzinfo=UTC),
    )
    fits = msgspec.structs.replace(large, publisher="p")
    async with embedded_log(tmp_path) as log:
        done = await publish(log, [large, fits], stage="x", stop=asyncio.Event())
        assert [one.kind for one in done.refused] == ["oversize"]
        assert len(done.refused[0].source) < 1000
        assert [item.publisher for item in await published(log)] == ["p"]
