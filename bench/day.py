"""A day of a simulated internet, with all that goes wrong in it, and two kill -9.

``python -m bench.day [--feeds N] [--speed X] [--kills K] [--seed S] [--mode M]``: runs
``wirewatch connect rss`` over N feeds for a virtual day, which is made X times shorter by
dividing all times in ``[rss]``, kills the process K times, and then holds what is on
``items.raw`` against what the feeds showed. Exit code 1 if a text that was shown is not
there, or is there twice.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import shutil
import sys
import tempfile
import time

from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.figures import cpu_s, fresh, modes, quantile
from bench.internet import Internet, Said, internet, polls
from bench.judging import Arrived, News, Verdict, judge, news
from bench.rendering import REFERENCE, Clock
from bench.subscriber import Subscriber, configure, records
from bench.world import BEGIN, DAY_S, Shown, World
from streams.events import decode
from streams.log.face import Log
from streams.log.opening import open_log
from streams.records import FeedHealth, RawItem
from streams.topics import HEALTH, RAW


SHOWN_MAX = 20
#: What the connector said, line by line.
SAID = "connector.log"
_NAME = re.compile(r"[:/]f(\d+)[:/]e(\d+)\b")


class _Fetched(msgspec.Struct):
    """A line of the connector's."""

    time: datetime
    source: str


_FETCHED = msgspec.json.Decoder(_Fetched)


class Plan(NamedTuple):
    """A day."""

    feeds: int
    speed: float
    kills: int
    seed: int
    mode: str
    #: Virtual: how often a feed is asked, on average.
    interval_s: float
    #: In our seconds: an answer that came so shortly before an end may have died with it.
    under_way_s: float = 5.0

    @property
    def lasts_s(self) -> float:
        """How long it takes, in our seconds."""
        return DAY_S / self.speed


class Result(NamedTuple):
    """What a day gave."""

    verdict: Verdict
    news: News
    polls: int
    polls_s: float
    cpu_share: float
    #: Days from publication to the log, of what was published in the day.
    delays: list[float]


async def day(plan: Plan, folder: Path) -> Result:
    """Live through *plan*; *folder* keeps the truth and what the connector said."""
    world = World(plan.seed, plan.feeds)
    truth = folder / "truth"
    async with fresh(plan.mode) as settings:
        async with internet(world, plan.speed, truth) as net:
            with (folder / SAID).open("wb") as said:
                config = configure(
                    net, folder / "wirewatch.toml", interval_s=plan.interval_s
                )
                subscriber = Subscriber(settings, config, said)
                interrupted, cpu = await _live(plan, net, subscriber)
        async with open_log(settings) as log:
            arrived, delays = await _arrived(log, net.clock)
            gaps = await _gaps(log)
    seen = list(polls(truth))
    day_of = net.clock.day
    ends = day_of(interrupted[-1][0])
    spans = [
        (day_of(told - plan.under_way_s), day_of(gone)) for told, gone in interrupted
    ]
    verdict = judge(
        world,
        seen,
        arrived,
        gaps,
        ends=ends,
        interrupted=spans,
        stored=_stored(folder / SAID, net.clock),
    )
    asked = sum(poll.said != Said.REDIRECT for poll in seen)
    return Result(
        verdict=verdict,
        news=news(world, seen, ends=ends),
        polls=asked,
        polls_s=asked / plan.lasts_s,
        cpu_share=cpu / plan.lasts_s,
        delays=delays,
    )


async def _live(
    plan: Plan, net: Internet, subscriber: Subscriber
) -> tuple[list[tuple[float, float]], float]:
    """Return when the connector was ended, for good at last, and its CPU seconds.

    That is when it was told to, and when it was gone.
    """
    rng = random.Random(plan.seed)
    # Not at once, and not at the very end: there is to be something to lose.
    moments = sorted(rng.uniform(0.2, 0.9) for _ in range(plan.kills))
    interrupted: list[tuple[float, float]] = []
    cpu = 0.0
    await subscriber.start()
    for share in [*moments, 1.0]:
        until = net.clock.begins + share * plan.lasts_s
        await asyncio.sleep(max(0.0, until - time.time()))
        subscriber.check()
        cpu += cpu_s(subscriber.process.pid)
        told = time.time()
        await (subscriber.kill() if share < 1 else subscriber.stop())
        interrupted.append((told, time.time()))
        if share < 1:
            await subscriber.start()
    return interrupted, cpu


async def _arrived(log: Log, clock: Clock) -> tuple[Arrived, list[float]]:
    arrived, delays = Arrived(), []
    async for record in records(log, RAW):
        item = decode(RawItem, record.value)
        if item.state == "withdrawn":
            feed, entry = _named(item)
            arrived.withdrawn[feed][entry] += 1
            continue
        feed, entry, revision = map(int, _reference(item))
        arrived.texts[feed][Shown(entry, revision)] += 1
        if revision == 0 and item.published:
            published = clock.day(item.published.timestamp())
            if published > BEGIN:
                delays.append(clock.day(record.timestamp_ms / 1e3) - published)
    return arrived, delays


def _reference(item: RawItem) -> tuple[str, ...]:
    match = REFERENCE.search(item.text)
    if match is None:
        raise SystemExit(f"an item of {item.source.id} that nobody wrote: {item!r}")
    return match.groups()


def _named(item: RawItem) -> tuple[int, int]:
    for identity in item.identities:
        if match := _NAME.search(identity.value):
            return int(match[1]), int(match[2])
    raise SystemExit(f"{item.source.id} withdrew what nobody wrote: {item!r}")


def _stored(said: Path, clock: Clock) -> dict[int, list[float]]:
    """Return when the connector said of each feed that a poll of it is over and stored."""
    stored: defaultdict[int, list[float]] = defaultdict(list)
    for line in said.read_bytes().splitlines():
        if b'"rss.fetched"' not in line:
            continue
        with suppress(msgspec.DecodeError):  # the last one before a kill is cut off
            told = _FETCHED.decode(line)
            day = clock.day(told.time.timestamp())
            stored[int(told.source.removeprefix("f"))].append(day)
    return stored


async def _gaps(log: Log) -> dict[int, int]:
    counted: dict[int, int] = {}
    async for record in records(log, HEALTH):
        if record.value is not None:
            health = decode(FeedHealth, record.value)
            counted[int(health.source.removeprefix("f"))] = health.gaps
    return counted


def report(plan: Plan, result: Result) -> str:
    """Return what there is to say of it."""
    it = result.verdict
    minutes = [delay * DAY_S / 60 for delay in result.delays] or [0.0]
    text = f"""\
{plan.mode}: {plan.feeds:,} feeds for a day at {plan.speed:g}x, {plan.kills} \
kill -9, seed {plan.seed}: {result.polls:,} polls, {result.polls_s:.0f} a second, \
{result.cpu_share:.0%} of a core; {result.news.found:.0%} of them brought something \
new, at one interval for all it would have been {result.news.at_one_interval:.0%}
  published {it.published:,}, on items.raw {it.arrived:,}; publication to items.raw p50 \
{quantile(minutes, 0.5):.0f} min, p99 {quantile(minutes, 0.99):.0f} min (virtual)
  shown by no answer: {it.out_of_reach:,} before the first or after the last answer of \
their feed, {it.overwritten:,} edited again or taken back before the next, {it.missed:,} \
had left it, {it.missed_counted:,} of these in feeds whose every gap was counted
  gaps: {it.gaps:,}, of which the connector counted {it.gaps_found:,}; it counted \
{it.gaps_counted - it.gaps_found:,} that were none ({it.alike:,} could not be told from one)
  withdrawn {it.withdrawals:,}; shown only to a process that was ended {len(it.died):,}, at \
most {max(it.died, default=0.0) * DAY_S / plan.speed:.1f} s before (not virtual)
  lost {len(it.lost)}, twice {len(it.twice)}, invented {len(it.invented)}"""
    for name in ("lost", "twice", "invented"):
        if wrong := getattr(it, name):
            text += f"\n  {name}: {', '.join(wrong[:SHOWN_MAX])}"
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--feeds", type=int, default=10_000)
    parser.add_argument("--speed", type=float, default=144.0)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--mode", choices=["embedded", "servers"], default="embedded")
    parser.add_argument(
        "--interval", type=float, default=7_200.0, help="virtual seconds"
    )
    parser.add_argument(
        "--keep", type=Path, help="folder for the truth and the log lines"
    )
    given = parser.parse_args()
    if given.mode not in modes():
        return 2
    plan = Plan(
        given.feeds, given.speed, given.kills, given.seed, given.mode, given.interval
    )
    folder = given.keep or Path(tempfile.mkdtemp(prefix="wirewatch-day-"))
    folder.mkdir(parents=True, exist_ok=True)
    result = asyncio.run(day(plan, folder))
    print(report(plan, result), flush=True)
    if result.verdict.is_clean and not given.keep:
        shutil.rmtree(folder)
    else:
        print(f"  kept in {folder}")
    return 0 if result.verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
