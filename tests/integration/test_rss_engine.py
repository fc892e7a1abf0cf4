"""Many feeds in one process: polite to hosts, fair, bounded, taken up and let go while it runs."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from structlog.testing import capture_logs

from connectors.http import Document
from connectors.rss import connector as rss
from connectors.rss import roster
from connectors.rss.connector import RssConnector
from connectors.rss.health import after
from connectors.rss.outage import HOSTS_MIN
from connectors.rss.poll import Question
from connectors.rss.shard import Shard
from connectors.rss.watched import Watched, due_in_s
from streams import clock
from streams.errors import PoolBrokenError
from streams.events import feed_health, watched_feed
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log, Output, Record
from streams.records import FeedHealth, WatchedFeed
from streams.settings import EmbeddedLog as EmbeddedLogSettings
from streams.settings import Feed
from streams.topics import CURSORS, DECLARED, FEEDS
from tests.integration.connecting import (
    embedded_log,
    published,
    records,
    running,
    until,
)
from tests.integration.papers import InProcess, a_site, connector_of, parse_in_process


def states(connector: RssConnector) -> list[str]:
    return [one.state for one in connector.statuses()]


def idents(connector: RssConnector) -> list[str]:
    return [one.id for one in connector.statuses()]


def all_are(connector: RssConnector, state: str, count: int) -> Callable[[], bool]:
    return lambda: states(connector) == [state] * count


async def say(log: Log, feed: Feed, *, paused: bool = False) -> None:
    """Add *feed* at run time, or pause or resume it."""
    await log.append([told(feed, paused=paused)])


def told(feed: Feed, *, paused: bool = False) -> Output:
    return watched_feed(
        WatchedFeed(
            id=feed.id, url=feed.url, paused=paused, added=clock.now(), interval_s=0.1
        )
    )


def delivered(guid: bytes) -> Document:
    body = b"<rss version='2.0'><channel><title>f</title><item><guid>%s</guid>"
    body += b"<title>delivered</title></item></channel></rss>"
    return Document(body % guid, "", "application/rss+xml", "", "", "")


def has_said(lines: Sequence[Mapping[str, Any]], event: str) -> bool:
    return any(line["event"] == event for line in lines)


def is_overdue(connector: RssConnector) -> bool:
    return any(one.due and one.due < clock.now() for one in connector.statuses())


async def forget(log: Log, ident: str) -> None:
    await log.append([Output(FEEDS.name, ident.encode(), None)])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changes of the list be taken up at once, and no parsers be waited for."""
    parse_in_process(monkeypatch)
    monkeypatch.setattr(roster, "LOOK_S", 0.02)


class Gated(EmbeddedLog):
    """A log that keeps whoever reads ``connectors.cursors`` waiting while a test wants it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, EmbeddedLogSettings())
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """See the protocol."""
        async for record in super().read(topic, offsets, until):
            yield record
        if topic == CURSORS.name and not self.gate.is_set():
            self.waiting.set()
            await self.gate.wait()


async def test_one_connection_at_a_time_per_host(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        site.slowness_s = 0.02
        feeds = [
            site.feed(f"{host}-{number}", host=host)
            for number in range(8)
            for host in ("127.0.0.1", "localhost")
        ]
        connector = connector_of(*feeds, log=log)
        async with running(connector):
            await until(all_are(connector, "fresh", len(feeds)))
    assert site.at_once_most == {"127.0.0.1": 1, "localhost": 1}


async def test_a_polite_rate_per_host(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{number}") for number in range(4)]
        connector = connector_of(*feeds, log=log, gap_s=0.2)
        async with running(connector):
            await until(all_are(connector, "fresh", len(feeds)))
    times = [moment for moment, _ in site.times]
    assert all(b - a >= 0.19 for a, b in pairwise(times))


@pytest.mark.parametrize("status", [404, 500])
async def test_a_failure_of_one_feed_never_blocks_its_whole_domain(
    tmp_path: Path, status: int
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{number}") for number in range(4)]
        site.statuses["/f1"] = status
        connector = connector_of(*feeds, log=log)
        async with running(connector):
            await until(
                lambda: states(connector) == ["fresh", "failing", "fresh", "fresh"]
            )


async def test_a_host_that_asks_for_a_pause_is_left_alone_and_no_other(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        site.statuses["/busy"] = 429
        site.headers["Retry-After"] = "600"
        busy = site.feed("busy", host="localhost")
        beside = site.feed("beside", host="localhost")
        elsewhere = [site.feed(f"f{number}") for number in range(3)]
        connector = connector_of(busy, log=log, interval_s=0.1)
        async with running(connector):
            await until(all_are(connector, "failing", 1))
            for feed in (beside, *elsewhere):
                await say(log, feed)
            await until(lambda: all(site.asked[f"/{one.id}"] for one in elsewhere))
            await until(lambda: site.asked["/f0"] > 2)
            assert site.asked["/busy"] == 1
            assert site.asked["/beside"] == 0
            resting = [one for one in connector.statuses() if one.resting]
            assert {one.id for one in resting} == {busy.id, beside.id}
            later = clock.now() + timedelta(seconds=500)
            assert all(one.due and one.due > later for one in resting), "not overdue"


async def test_a_week_s_pause_is_one_feed_s_and_an_hour_s_its_host_s(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        site.statuses["/busy"] = 429
        site.headers["Retry-After"] = str(7 * 86_400)
        busy, beside = site.feed("busy"), site.feed("beside")
        connector = connector_of(busy, log=log, interval_s=0.1)
        with capture_logs() as lines:
            async with running(connector):
                await until(all_are(connector, "failing", 1))
                await say(log, beside)
                await until(lambda: len(connector.statuses()) == 2)
                due = {one.id: one.due for one in connector.statuses()}
        (rests,) = [one for one in lines if one["event"] == "rss.host_rests"]
        until_when = datetime.fromisoformat(rests["until"])
        hour, now = timedelta(hours=1), clock.now()
        assert now + 0.9 * hour < until_when < now + hour
        assert (rests["host"], rests["source"]) == ("127.0.0.1", "busy")
        week = timedelta(days=6.9)
        longest = {ident: when and when - now for ident, when in due.items()}
        assert (longest[beside.id] or week) < hour
        assert (longest[busy.id] or hour) > week


async def test_a_shard_without_a_feed_says_so_once(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        feed = site.feed("f")
        (empty,) = [
            shard
            for shard in ("1/2", "2/2")
            if not Shard.parse(shard).holds("127.0.0.1")
        ]
        connector = connector_of(feed, log=log, shard=empty)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: has_said(lines, "rss.no_feeds"))
                await say(log, site.feed("another"))
                await say(log, site.feed("mine", host="localhost"))
                await until(all_are(connector, "fresh", 1))
        (told,) = [one for one in lines if one["event"] == "rss.no_feeds"]
        assert (told["shard"], told["listed"]) == (empty, 1)


async def test_feeds_that_hang_keep_no_other_host_waiting(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        site.hanging = {"/h0"}
        feeds = [site.feed("h0", host="localhost"), site.feed("h1", host="localhost")]
        feeds += [site.feed(f"f{number}") for number in range(5)]
        connector = connector_of(*feeds, log=log)
        async with running(connector):
            await until(lambda: states(connector)[2:] == ["fresh"] * 5)
            await until(lambda: site.asked["/h0"] == 1)
            assert states(connector)[0] == "waiting"


async def test_feeds_are_added_paused_resumed_and_removed_without_a_restart(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        first, second = site.feed("first"), site.feed("second")
        connector = connector_of(log=log, interval_s=0.1)
        async with running(connector):
            await say(log, first)
            await until(lambda: site.asked["/first"] > 1)
            await say(log, second)
            await until(lambda: site.asked["/second"] > 1)
            await say(log, first, paused=True)
            await until(lambda: states(connector) == ["paused", "unchanged"])
            before = site.asked["/first"]
            await until(lambda: site.asked["/second"] > 5)
            assert site.asked["/first"] == before
            await say(log, first)
            await until(lambda: site.asked["/first"] > before)
            await forget(log, "second")
            await until(lambda: idents(connector) == ["first"])
        titles = [one.title for one in await published(log)]
    assert sorted(titles) == ["first", "second"]


async def test_a_feed_whose_address_changes_is_asked_there_without_old_validators(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        site.headers["ETag"] = '"same-everywhere"'
        paper = site.feed("old")
        connector = connector_of(log=log, interval_s=0.1)
        async with running(connector):
            await say(log, paper)
            await until(lambda: site.validators["/old"] == ["", '"same-everywhere"'])
            moved = msgspec.structs.replace(site.feed("new"), id="old")
            await say(log, moved)
            await until(lambda: len(site.validators["/new"]) > 1)
        assert site.validators["/new"][0] == ""
        connector = connector_of(paper, log=log, interval_s=0.1)
        before = site.asked["/old"]
        async with running(connector):
            await say(log, paper)
            await until(lambda: site.asked["/old"] > before)
        assert site.validators["/old"][before] == ""
        titles = [one.title for one in await published(log)]
    assert titles == ["old", "new"]


async def test_a_feed_removed_while_it_is_polled_publishes_nothing_more(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        leaving, staying = site.feed("leaving"), site.feed("staying", host="localhost")
        site.hanging = {"/leaving"}
        connector = connector_of(log=log, interval_s=0.1)
        async with running(connector):
            await log.append([told(leaving), told(staying)])
            await until(lambda: site.asked["/leaving"] == 1)
            await forget(log, "leaving")
            await until(lambda: idents(connector) == ["staying"])
            site.go_on.set()
            await until(lambda: not site.at_once["127.0.0.1"])
            before = site.asked["/staying"]
            await until(lambda: site.asked["/staying"] > before + 1)
            assert [one.title for one in await published(log)] == ["staying"]
            # And it may come back, also while that poll is still under way.
            site.go_on.clear()
            await say(log, leaving)
            await until(lambda: site.asked["/leaving"] == 2)
            await forget(log, "leaving")
            await until(lambda: idents(connector) == ["staying"])
            await say(log, leaving)
            await until(lambda: len(idents(connector)) == 2)
            site.go_on.set()
            await until(lambda: site.asked["/leaving"] > 2)
        assert len(await published(log)) == 2


async def test_a_feed_may_come_back_just_when_its_last_poll_ends(
    tmp_path: Path,
) -> None:
    async with a_site() as site, Gated(tmp_path) as log:
        await log.create(DECLARED)
        connector = connector_of(log=log, interval_s=0.1)
        async with running(connector):
            await say(log, site.feed("staying"))
            await until(lambda: site.asked["/staying"] == 1)
            site.hanging = {"/leaving"}
            await say(log, site.feed("leaving"))
            await until(lambda: site.asked["/leaving"] == 1)
            await forget(log, "leaving")
            await until(lambda: idents(connector) == ["staying"])
            # While what is known of another one is read, that poll ends.
            log.gate.clear()
            await log.append([told(site.feed("leaving")), told(site.feed("joining"))])
            await log.waiting.wait()
            site.hanging = set()
            site.go_on.set()
            await until(lambda: not site.at_once["127.0.0.1"])
            before = site.asked["/staying"]
            await until(lambda: site.asked["/staying"] > before + 1)
            log.gate.set()
            await until(lambda: site.asked["/leaving"] > 2 < site.asked["/joining"])
        titles = [one.title for one in await published(log)]
    assert sorted(titles) == ["joining", "leaving", "staying"]


async def test_a_feed_that_left_and_came_back_beside_a_delivery_and_a_poll_is_kept(
    tmp_path: Path,
) -> None:
    async with (
        a_site() as site,
        embedded_log(tmp_path) as log,
        embedded_log(tmp_path) as beside,
    ):
        connector = connector_of(log=log, interval_s=0.1)
        async with running(connector):
            await say(beside, site.feed("f"))
            await until(lambda: site.asked["/f"] > 1)
            log.away = True
            delivery = asyncio.create_task(connector.deliver("f", delivered(b"1")))
            # A poll waits for the delivery, which waits for the log.
            await until(lambda: is_overdue(connector))
            await forget(beside, "f")
            await until(lambda: not connector.statuses())
            site.hanging = {"/f"}
            before = site.asked["/f"]
            log.away = False
            await delivery
            await until(lambda: site.asked["/f"] > before)
            await say(beside, site.feed("f"))
            await until(lambda: len(connector.statuses()) == 1)
            site.hanging = set()
            site.go_on.set()
            await until(lambda: site.asked["/f"] > before + 3)
            assert len(connector.statuses()) == 1
        titles = [one.title for one in await published(log)]
    assert titles == ["f", "delivered"]


async def test_told_to_stop_while_a_long_log_is_read_it_stops_and_claims_nothing(
    tmp_path: Path,
) -> None:
    async with a_site() as site, Gated(tmp_path) as log:
        await log.create(DECLARED)
        log.gate.clear()
        async with running(connector_of(site.feed("f"), log=log)):
            await log.waiting.wait()
        log.gate.set()
        assert not await records(log, CURSORS.name)


async def test_a_fault_of_ours_costs_the_feed_that_it_is_about_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = "sesame"  # noqa: S105 - not one

    def stumbling(health: FeedHealth, *others: Any) -> FeedHealth:
        if health.source == "f1":
            raise ZeroDivisionError(password)
        return after(health, *others)

    monkeypatch.setattr(rss, "after", stumbling)
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{number}") for number in range(3)]
        connector = connector_of(*feeds, log=log, interval_s=0.1)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: min(site.asked[f"/f{n}"] for n in (0, 2)) > 3)
                assert states(connector) == ["unchanged", "failing", "unchanged"]
                assert "a fault of ours" in connector.statuses()[1].last_error
        assert site.asked["/f1"] == 1
        (stumbled,) = [line for line in lines if line["event"] == "rss.stumbled"]
        assert (stumbled["source"], stumbled["log_level"]) == ("f1", "error")
        assert "stumbling" in stumbled["at"]
        assert "sesame" not in str(lines)


async def test_a_fault_of_ours_before_a_feed_is_asked_leaves_its_host_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = Watched.question

    def stumbling(one: Watched, now: datetime) -> Question:
        if one.ident == "f1":
            raise ZeroDivisionError
        return question(one, now)

    monkeypatch.setattr(Watched, "question", stumbling)
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{number}") for number in range(3)]
        connector = connector_of(*feeds, log=log, interval_s=0.1)
        async with running(connector):
            await until(lambda: states(connector)[1:2] == ["failing"])
            before = site.asked["/f0"]
            await until(lambda: site.asked["/f0"] > before + 2)


async def test_faults_of_ours_at_all_feeds_stop_the_connector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbling(*_: object) -> FeedHealth:
        raise ZeroDivisionError

    monkeypatch.setattr(rss, "after", stumbling)
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{number}") for number in range(rss.STUMBLES_MAX)]
        with capture_logs() as lines, pytest.raises(ZeroDivisionError):
            await connector_of(*feeds, log=log).run(asyncio.Event())
        assert len([1 for line in lines if line["event"] == "rss.stumbled"]) > 10


async def test_an_outage_of_ours_is_told_and_when_it_is_over(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        names = [f"h{number}" for number in range(HOSTS_MIN)]
        feeds = [site.feed(name, host=f"{name}.localhost") for name in names]
        connector = connector_of(*feeds, log=log, interval_s=0.2)
        with capture_logs() as lines:
            async with running(connector):
                await until(all_are(connector, "unchanged", len(feeds)))
                site.statuses = {f"/{name}": 500 for name in names}
                await until(lambda: has_said(lines, "rss.nothing_answers"))
                site.statuses = {}
                await until(lambda: has_said(lines, "rss.answered_again"))


async def test_a_first_start_without_a_network_is_told_once_and_soon_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rss, "SOUND_S", 0.1)
    async with a_site() as site, embedded_log(tmp_path) as log:
        names = [f"h{number}" for number in range(3 * HOSTS_MIN)]
        feeds = [site.feed(name, host=f"{name}.localhost") for name in names]
        site.statuses = {f"/{name}": 500 for name in names}
        connector = connector_of(*feeds, log=log)
        with capture_logs() as lines:
            async with running(connector):
                await until(all_are(connector, "failing", len(feeds)))
                site.statuses = {}
                await until(all_are(connector, "fresh", len(feeds)))
    warned = [one for one in lines if one["log_level"] == "warning"]
    told = [one["event"] for one in warned if one["event"] != "rss.failed"]
    assert told == ["rss.nothing_answers", "rss.answered_again"]
    assert "network" in next(one["hint"] for one in warned if "hint" in one)
    assert len(warned) - len(told) < HOSTS_MIN


async def test_after_an_outage_of_ours_no_feed_waits_as_long_as_it_has_lasted(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        names = [f"h{number}" for number in range(HOSTS_MIN + 1)]
        feeds = [site.feed(name, host=f"{name}.localhost") for name in names]
        friday, now = clock.now() - timedelta(days=3), clock.now()
        await log.append(
            [
                feed_health(
                    FeedHealth(
                        source=feed.id,
                        url=feed.url,
                        state="failing",
                        failure="dns",
                        good=friday,
                        polled=now,
                        next_poll=now + timedelta(hours=6),
                        updated=now,
                    )
                )
                for feed in feeds[1:]
            ]
        )
        connector = connector_of(*feeds, log=log)
        async with running(connector):
            await until(all_are(connector, "fresh", len(feeds)))


async def test_overdue_feeds_are_spread_at_the_start(tmp_path: Path) -> None:
    long_ago = clock.now() - timedelta(days=1)
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{number}") for number in range(50)]
        await log.append(
            [
                feed_health(
                    FeedHealth(
                        source=feed.id,
                        url=feed.url,
                        polled=long_ago,
                        next_poll=long_ago + timedelta(minutes=5),
                        updated=long_ago,
                    )
                )
                for feed in feeds
            ]
        )
        began = asyncio.get_running_loop().time()
        async with running(connector_of(*feeds, log=log)):
            await until(lambda: len(site.asked) == len(feeds))
    assert all(
        moment - began >= place / rss.OVERDUE_PER_S
        for place, (moment, _) in enumerate(site.times)
    )


@pytest.mark.parametrize("jump", [timedelta(days=30), timedelta(days=-30)])
async def test_a_jump_of_the_clock_neither_stalls_nor_stampedes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    true_now = clock.now
    async with a_site() as site, embedded_log(tmp_path) as log:
        connector = connector_of(site.feed("f"), log=log, interval_s=0.1)
        async with running(connector):
            await until(lambda: site.asked["/f"] > 2)
            monkeypatch.setattr(clock, "now", lambda: true_now() + jump)
            before = site.asked["/f"]
            await until(lambda: site.asked["/f"] >= before + 5)
    moments = [moment for moment, _ in site.times]
    pauses = [b - a for a, b in pairwise(moments)]
    assert min(pauses) > 0.05
    assert max(pauses) < 1.5


def test_after_a_restart_no_feed_waits_longer_than_was_meant() -> None:
    now = clock.now()
    polled = now + timedelta(days=30)  # by a clock that was wrong
    health = FeedHealth(
        source="f", polled=polled, next_poll=polled + timedelta(seconds=60), updated=now
    )
    assert due_in_s(health, now) == 60
    honest = msgspec.structs.replace(
        health, polled=now, next_poll=now + timedelta(seconds=40)
    )
    assert due_in_s(honest, now + timedelta(seconds=10)) == 30
    assert due_in_s(honest, now + timedelta(seconds=50)) == 0


async def test_while_the_log_is_away_the_workers_wait_and_hold_no_more(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        feeds = [site.feed(f"f{number}") for number in range(12)]
        connector = connector_of(*feeds, log=log, parallel=4)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: site.asked["/f0"] + len(site.asked) > 0)
                log.away = True
                await until(
                    lambda: (
                        sum(
                            line["event"] == "connector.waiting_for_log"
                            for line in lines
                        )
                        >= 4
                    )
                )
                stored = len(await published(log))
                assert sum(site.asked.values()) <= stored + 4
                log.away = False
                await until(all_are(connector, "fresh", len(feeds)))
        assert len(await published(log)) == len(feeds)


async def test_a_pool_that_is_broken_stops_the_connector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise PoolBrokenError("a worker does not start")

    monkeypatch.setattr(InProcess, "run", broken)
    async with a_site() as site, embedded_log(tmp_path) as log:
        with pytest.raises(PoolBrokenError):
            await connector_of(site.feed("f"), log=log).run(asyncio.Event())


async def test_a_feed_that_is_gone_tells_the_user_once(tmp_path: Path) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        site.statuses["/f"] = 410
        with capture_logs() as lines:
            for _ in range(2):
                connector = connector_of(site.feed("f"), log=log, interval_s=0.1)
                async with running(connector):
                    await until(all_are(connector, "gone", 1))
        told = [line for line in lines if line["event"] == "rss.feed"]
        assert [(line["source"], line["log_level"]) for line in told] == [
            ("f", "warning")
        ]
        assert "gone" in told[0]["said"]


async def test_what_a_hub_delivers_is_published_as_if_it_were_polled(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        connector = connector_of(site.feed("f"), log=log)
        async with running(connector):
            await until(all_are(connector, "fresh", 1))
            for guid in (b"1", b"1", b"2"):
                await connector.deliver("f", delivered(guid))
            await connector.deliver("unknown", Document(b"", "", "", "", "", ""))
            await connector.deliver("f", Document(b"no feed", "", "", "", "", ""))
            assert connector.statuses()[0].last_error == ""
        assert site.asked["/f"] == 1
        titles = [one.title for one in await published(log)]
    assert titles == ["f", "delivered", "delivered"]


async def test_feeds_whose_pages_are_waited_for_leave_workers_to_the_others(
    tmp_path: Path,
) -> None:
    async with a_site() as site, embedded_log(tmp_path) as log:
        slow = [
            msgspec.structs.replace(
                site.feed(f"slow{number}", host=f"s{number}.localhost"), full_text=True
            )
            for number in range(6)
        ]
        site.hanging = {f"/{feed.id}" for feed in slow}
        plain = [site.feed(f"f{number}") for number in range(3)]
        connector = connector_of(*slow, *plain, log=log, parallel=4)
        async with running(connector):
            await until(lambda: sum(site.asked[f"/{one.id}"] for one in plain) == 3)
            await until(lambda: sum(site.asked[path] for path in site.hanging) >= 2)
            assert sum(site.asked[path] for path in site.hanging) == 2
            site.go_on.set()
