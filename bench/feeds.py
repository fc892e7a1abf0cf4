"""How many feeds one ``wirewatch connect rss`` can read, and what each costs.

``python -m bench.feeds [--feeds N] [--seconds S]``: first what it can do when everything
is overdue, for polls that give "not modified", the same body, and something new; then N
feeds (100,000) that it knows already, asked once an hour each, for S seconds: start,
memory, lateness against its own schedule, how small hosts fare beside those of thousands,
from an answer to ``items.raw``; then a restart. The simulated internet is a process of its
own on the same machine; its CPU is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time

from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from bench.figures import cpu_s, fresh, quantile
from bench.internet import Internet, Said, Site, answered, internet, polls
from bench.rendering import MEDIA_TYPES, render
from bench.subscriber import Subscriber, configure, records
from bench.world import HUGE_HOSTS, Manner, World
from connectors.rss import schedule
from connectors.rss.health import after
from connectors.rss.health import fresh as never_asked
from connectors.rss.look import Look
from connectors.rss.poll import digest
from connectors.rss.reading import look_into
from connectors.rss.recovery import Kept
from connectors.rss.schedule import Limits
from connectors.rss.subscription import subscription
from streams import events
from streams import settings as configuration
from streams.log.face import Log, Output
from streams.log.opening import open_log
from streams.records import FeedHealth
from streams.settings import Feed, Settings
from streams.text import fingerprint
from streams.topics import DECLARED, RAW


HOUR_S = 3_600.0
#: What starting may take.
START_S = 60.0
#: Feeds for what a poll costs, and how long they are asked.
HOT_FEEDS, HOT_S = 600, 10.0
RESTARTED_S = 10.0
LOOK_S = 0.1
PATIENCE_S = 240.0
CHUNK = 500
#: For the slope of memory: so many times fewer feeds, in a process of their own.
FEWER = 10
MB = 1 << 20


class Running(NamedTuple):
    """A connector that reads a simulated internet."""

    net: Internet
    settings: Settings
    subscriber: Subscriber

    def polled(self) -> int:
        """Return how many requests were answered until now."""
        return answered(self.net.truth)

    def asked(self) -> set[int]:
        """Return which feeds were asked until now."""
        return {poll.feed for poll in polls(self.net.truth)}

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds."""
        since = time.monotonic()
        while not condition():
            if time.monotonic() - since > PATIENCE_S:
                raise SystemExit(f"it did not come to that in {PATIENCE_S:.0f} s")
            await asyncio.sleep(LOOK_S)

    def memory(self) -> tuple[int, int]:
        """Return the bytes in use: of the connector itself, and of its parsers."""
        process = psutil.Process(self.subscriber.process.pid)
        rest = process.children(recursive=True)
        return process.memory_info().rss, sum(one.memory_info().rss for one in rest)


@asynccontextmanager
async def reading(world: World, *, interval_s: float) -> AsyncIterator[Running]:
    """Prepare a connector for *world*; whoever asked starts and ends it."""
    with tempfile.TemporaryDirectory(prefix="wirewatch-bench-") as folder:
        async with (
            fresh("embedded") as settings,
            internet(world, 1.0, Path(folder) / "truth") as net,
        ):
            config = configure(
                net, Path(folder) / "wirewatch.toml", interval_s=interval_s
            )
            with (Path(folder) / "said").open("wb") as said:
                yield Running(net, settings, Subscriber(settings, config, said))


async def hot(manner: Manner) -> str:
    """Return what a poll costs that gives *manner*, and how many can be made."""
    world = World(1, HOT_FEEDS, faults=0.0, manner=manner)
    async with reading(world, interval_s=0.06) as it:
        await it.subscriber.start()
        await it.until(lambda: len(it.asked()) == HOT_FEEDS)
        pid = it.subscriber.process.pid
        count, used_s, since = it.polled(), cpu_s(pid), time.monotonic()
        await asyncio.sleep(HOT_S)
        count, used_s = it.polled() - count, cpu_s(pid) - used_s
        lasted_s = time.monotonic() - since
        await it.subscriber.stop()
    name = {"unmodified": "not modified", "same": "the same body", "new": "news"}[
        manner
    ]
    return (
        f"all overdue, polls that give {name}: {count / lasted_s:,.0f} a second, "
        f"{used_s / max(count, 1) * 1e3:.2f} ms CPU each"
    )


class Known(NamedTuple):
    """What a connector keeps of a feed that it has read."""

    kept: Kept
    health: FeedHealth


async def introduce(it: Running, log: Log, seconds: float) -> list[float]:
    """Let the connector know all feeds, as if it had read them an hour before.

    They are due evenly over the hour from now on; returns when, by feed. What those have
    shown that are due within *seconds* is known exactly; of the others, which are only
    held, what is known of one of those.
    """
    count = it.net.world.feeds
    site = Site(it.net.world, it.net.clock)
    limits = schedule.limits(configuration.load(it.subscriber.config).rss)
    begins = time.time()
    due = [begins + place * HOUR_S / count for place in _scattered(count)]
    example: Known | None = None
    outputs: list[Output] = []
    for number, at in enumerate(due):
        polled = datetime.fromtimestamp(at - HOUR_S, UTC)
        if example is None or at < begins + seconds:
            example = _read(it.net, site, number, polled, limits)
        health = msgspec.structs.replace(
            example.health,
            source=f"f{number}",
            url=it.net.address(number),
            polled=polled,
            next_poll=datetime.fromtimestamp(at, UTC),
        )
        kept = example.kept._replace(url=fingerprint(health.url))
        outputs.append(events.feed_health(health))
        outputs.append(events.cursor(kept.cursor(health.source, polled, {})))
        if len(outputs) >= CHUNK or number == count - 1:
            await log.append(outputs)
            outputs = []
    return due


def _scattered(count: int) -> list[int]:
    """Return the numbers below *count*, neighbours far apart."""
    places = list(range(count))
    random.Random(1).shuffle(places)
    return places


def _read(
    net: Internet, site: Site, number: int, polled: datetime, limits: Limits
) -> Known:
    """Return what the connector would keep had it read the feed at *polled*."""
    feed, day = net.world.feed(number), net.clock.day(polled.timestamp())
    url = net.address(number)
    body = render(net.world, feed, net.world.shown(feed, day), day, net.clock)
    reading = look_into(
        body,
        subscription(Feed(url=url, id=f"f{number}")),
        polled,
        b"",
        content_type=MEDIA_TYPES[feed.format],
        url=url,
    )
    validators = site.validators(feed, day)
    look = Look(
        outcome="new",
        at=polled,
        due=polled,
        hints=reading.hints,
        entries=reading.entries,
        new=reading.new,
        published=reading.published,
        habits=reading.habits,
        title=reading.title,
        etag=validators.get("ETag", ""),
        last_modified=validators.get("Last-Modified", ""),
        body=digest(body),
    )
    health = after(
        never_asked(f"f{number}", url, polled), look, limits, random.Random(1)
    )
    return Known(Kept(reading.memory, url=fingerprint(url)), health)


async def held(feeds: int) -> int:
    """Return the bytes in use with *feeds* known feeds, when the first is asked."""
    async with reading(World(1, feeds), interval_s=HOUR_S) as it:
        async with open_log(it.settings) as log:
            await log.create(DECLARED)
            await introduce(it, log, 1.0)
        await _started(it)
        own, _ = it.memory()
        await it.subscriber.stop()
    return own


async def at_scale(feeds: int, seconds: float) -> AsyncIterator[str]:
    """Yield what there is to say of *feeds* feeds that are known."""
    fewer = feeds // FEWER
    least = await held(fewer)
    world = World(1, feeds)
    async with reading(world, interval_s=HOUR_S) as it, open_log(it.settings) as log:
        await log.create(DECLARED)
        due = await introduce(it, log, seconds + START_S)
        start_s = await _started(it)
        own, parsers = it.memory()
        yield (
            f"{feeds:,} known feeds: first poll {start_s:.1f} s after the start; memory "
            f"{own / MB:.0f} MB, {(own - least) / (feeds - fewer) / 1024:.1f} kB a feed, "
            f"and {parsers / MB:.0f} MB of parsers"
        )
        yield await _at_its_pace(it, seconds)
        for line in _punctual(it, due, time.time() - seconds, time.time()):
            yield line
        yield await _to_the_log(it, log)
        await it.subscriber.stop()
        start_s, count = await _started(it), it.polled()
        await asyncio.sleep(RESTARTED_S)
        rate = (it.polled() - count) / RESTARTED_S
        await it.subscriber.stop()
        yield (
            f"  restart: first poll after {start_s:.1f} s, then {rate:.0f} polls a second"
        )


async def _at_its_pace(it: Running, seconds: float) -> str:
    pid, since = it.subscriber.process.pid, time.monotonic()
    used_s, count = cpu_s(pid), it.polled()
    await asyncio.sleep(seconds)
    lasted_s = time.monotonic() - since
    share = (cpu_s(pid) - used_s) / lasted_s
    own, _ = it.memory()
    return (
        f"  {(it.polled() - count) / lasted_s:.0f} polls a second with {share:.0%} of a "
        f"core; memory after {lasted_s:.0f} s {own / MB:.0f} MB"
    )


async def _started(it: Running) -> float:
    """Start the connector; return the seconds until it asks the first feed."""
    count, since = it.polled(), time.monotonic()
    await it.subscriber.start()
    await it.until(lambda: it.polled() > count)
    return time.monotonic() - since


def _punctual(
    it: Running, due: list[float], since: float, until: float
) -> Iterator[str]:
    """Say how late the feeds were asked that were due in [since, until)."""
    asked: dict[int, float] = {}
    for poll in polls(it.net.truth):
        asked.setdefault(poll.feed, it.net.clock.moment(poll.day))
    late_s: defaultdict[str, list[float]] = defaultdict(list)
    for number, at in enumerate(due):
        if since <= at < until:
            is_huge = it.net.world.feed(number).host < HUGE_HOSTS
            kind = "hosts of thousands" if is_huge else "other hosts"
            late_s[kind].append(max(0.0, asked.get(number, until) - at))
    for kind, some in sorted(late_s.items(), reverse=True):
        yield (
            f"  later than due, {kind}: median {quantile(some, 0.5):.2f} s, p99 "
            f"{quantile(some, 0.99):.2f} s of {len(some):,} feeds"
        )


async def _to_the_log(it: Running, log: Log) -> str:
    """Say how long it took from an answer to what it brought on ``items.raw``."""
    shown: defaultdict[str, list[float]] = defaultdict(list)
    answers = news = 0
    for poll in polls(it.net.truth):
        answers += poll.said != Said.REDIRECT
        if poll.said == Said.SHOWN:
            shown[f"f{poll.feed}"].append(it.net.clock.moment(poll.day))
    took_s, brought = [], set()
    async for record in records(log, RAW):
        source, stored = events.named_source(record), record.timestamp_ms / 1e3
        place = bisect_right(shown[source], stored) - 1
        if place >= 0:
            took_s.append(stored - shown[source][place])
            brought.add((source, place))
    news = len(brought)
    took_s = took_s or [0.0]
    return (
        f"  {news / max(answers, 1):.0%} of the polls brought something new; from answer "
        f"to items.raw p50 {quantile(took_s, 0.5) * 1e3:.0f} ms, p99 "
        f"{quantile(took_s, 0.99) * 1e3:.0f} ms"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--feeds", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=90.0)
    given = parser.parse_args()
    for manner in ("unmodified", "same", "new"):
        print(await hot(manner), flush=True)
    async for line in at_scale(given.feeds, given.seconds):
        print(line, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
