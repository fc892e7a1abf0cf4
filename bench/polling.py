"""What it is worth to ask lively feeds more often: a simulation, without a network.

``python -m bench.polling [N]``: N feeds over three days of virtual time, the first to
learn from. Their rates are heavy-tailed, as Sia, Cho and Cho found those of 10,000 feeds
(IEEE TKDE 19(7), 2007); they sleep at night, each in its own time zone; one in four posts
in batches, one in ten wakes up or falls silent on the second day; half wish to be asked
hourly, as WordPress says of every site, and one interval for all ignores that. The share of polls that
brought something new, and the time from publication to its discovery: adaptive, and at
one interval for all with the same number of polls; and what share any schedule could
reach, since a poll brings nothing new if nothing was published. Then what the agenda and
the policy cost, at 100,000 feeds on 20,000 hosts.
"""

from __future__ import annotations

import heapq
import math
import random
import sys
import time

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from bench.figures import quantile
from connectors.rss.agenda import Agenda
from connectors.rss.health import after, fresh
from connectors.rss.look import Hints, Look
from connectors.rss.schedule import DAY_S, HOUR_S, limits, pace
from streams.records import FeedHealth
from streams.settings import Rss


START = datetime(2026, 11, 5, tzinfo=UTC)
DAYS = 3
#: A feed shows its last entries.
WINDOW = 20
#: Entries a day: the median, and the standard deviation of the logarithm.
MEDIAN_DAILY = 3.0
SPREAD = 1.8
MOST_DAILY = 500.0
BATCH = 5
PACE_EVERY_S = 600.0
WISH = Hints(update_s=HOUR_S)

Policy = Callable[[int, float, Look], float]


class Result(NamedTuple):
    """What a policy came to, after the first day."""

    polls: int
    with_news: int
    delays: list[float]
    missed: int


def entries(rng: random.Random) -> list[float]:
    """Return when one feed publishes, in seconds; from a window before the start."""
    daily = min(rng.lognormvariate(math.log(MEDIAN_DAILY), SPREAD), MOST_DAILY)
    batch = BATCH if rng.random() < 0.25 else 1
    zone_s = rng.uniform(0, DAY_S)
    turn = rng.random()
    moments: list[float] = []
    moment = -30 * DAY_S
    while moment < DAYS * DAY_S:
        moment += rng.expovariate(2 * daily / batch / DAY_S)
        awake = 0.5 * (1 - math.cos(2 * math.pi * (moment + zone_s) / DAY_S))
        if turn < 0.05 and moment > 1.5 * DAY_S:
            continue
        if turn > 0.95 and moment < 1.5 * DAY_S:
            awake *= 0.02
        if rng.random() < awake:
            moments += [moment] * batch
    return moments


def run(feeds: list[list[float]], policy: Policy, rng: random.Random) -> Result:
    """Poll *feeds* as *policy* says when; it starts them spread over an hour."""
    due = [(rng.uniform(0, HOUR_S), which) for which in range(len(feeds))]
    heapq.heapify(due)
    read = [-math.inf] * len(feeds)
    polls = with_news = missed = 0
    delays: list[float] = []
    while due[0][0] < DAYS * DAY_S:
        at, which = due[0]
        new, gone = _new(feeds[which], read[which], at)
        if at >= DAY_S:
            polls += 1
            with_news += bool(new)
            missed += gone
            delays += [at - moment for moment in new]
        look = _look(at, new, gap=bool(gone), entries=min(len(feeds[which]), WINDOW))
        if new or read[which] == -math.inf:
            look = look._replace(
                outcome="new" if new else "known", hints=WISH if which % 2 else Hints()
            )
        read[which] = at
        heapq.heapreplace(due, (policy(which, at, look), which))
    return Result(polls, with_news, delays, missed)


def _new(feed: list[float], since: float, at: float) -> tuple[list[float], int]:
    first, last = bisect_right(feed, since), bisect_right(feed, at)
    gone = 0 if since == -math.inf else max(last - first - WINDOW, 0)
    return feed[max(first, last - WINDOW) : last], gone


def _look(at: float, new: list[float], *, gap: bool, entries: int) -> Look:
    moment = _at(at)
    return Look(
        "new" if new else "unmodified",
        moment,
        moment,
        entries=entries,
        new=len(new),
        published=tuple(_at(one) for one in new),
        gap=gap,
    )


def _at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Adaptive:
    """The connector's policy."""

    def __init__(self, count: int, rss: Rss) -> None:
        self.healths: list[FeedHealth] = [
            fresh(str(which), "", START) for which in range(count)
        ]
        self._limits = limits(rss)
        self._paced = -math.inf
        self._rng = random.Random(2)

    def __call__(self, which: int, at: float, look: Look) -> float:
        if at - self._paced >= PACE_EVERY_S:
            self._paced = at
            self._limits = self._limits._replace(pace=pace(self.healths, self._limits))
        health = after(self.healths[which], look, self._limits, self._rng)
        self.healths[which] = health
        assert health.next_poll is not None
        return (health.next_poll - START).total_seconds()


def fixed(interval_s: float) -> Policy:
    """Return the policy that asks every feed after the same time."""
    return lambda _which, at, _look: at + interval_s


def turn_us(feeds: int = 100_000, hosts: int = 20_000, turns: int = 200_000) -> float:
    """Return what it takes to take a feed, say that it is done and put it back, in us."""
    rng = random.Random(4)
    agenda = Agenda()
    host = {f"f{number}": f"h{rng.randrange(hosts)}" for number in range(feeds)}
    for ident, name in host.items():
        agenda.put(ident, name, rng.uniform(0, 300))
    now_s = 0.0
    started = time.perf_counter()
    for _ in range(turns):
        now_s = max(now_s, agenda.next_at() or 0.0)
        taken = agenda.take(now_s)
        assert taken is not None
        agenda.done(taken, now_s, gap_s=1.0)
        agenda.put(taken, host[taken], now_s + 300)
    return (time.perf_counter() - started) / turns * 1e6


def pace_ms(feeds: int = 100_000) -> float:
    """Return what it takes to find the pace of so many feeds, in ms."""
    rng = random.Random(5)
    healths = [
        msgspec.structs.replace(fresh("", "", START), daily=rng.lognormvariate(1, 2))
        for _ in range(feeds)
    ]
    started = time.perf_counter()
    pace(healths, limits(Rss()))
    return (time.perf_counter() - started) * 1e3


def figures(name: str, result: Result) -> str:
    delays = result.delays
    return (
        f"polling: {name}: {result.polls:,} polls, {result.with_news / result.polls:.1%} "
        f"brought something new; publication to discovery mean "
        f"{sum(delays) / len(delays):.0f} s, median {quantile(delays, 0.5):.0f} s, p95 "
        f"{quantile(delays, 0.95):.0f} s; {result.missed:,} of "
        f"{len(delays) + result.missed:,} entries missed"
    )


def most_with_news(feeds: list[list[float]]) -> int:
    """Return how many polls after the first day could bring something new at most."""
    return sum(
        len({moment for moment in feed if DAY_S <= moment < DAYS * DAY_S})
        for feed in feeds
    )


def main(count: int = 2_000) -> None:
    rng = random.Random(1)
    feeds = [entries(rng) for _ in range(count)]
    rss = Rss()
    started = time.process_time()
    adaptive = run(feeds, Adaptive(count, rss), random.Random(3))
    print(figures(f"{count:,} feeds, adaptive", adaptive), flush=True)
    cost_us = (time.process_time() - started) / adaptive.polls * 1e6
    interval_s = count * (DAYS - 1) * DAY_S / adaptive.polls
    same = run(feeds, fixed(interval_s), random.Random(3))
    print(figures(f"every {interval_s:.0f} s", same), flush=True)
    print(
        f"polling: no schedule of {adaptive.polls:,} polls brings something new with more "
        f"than {most_with_news(feeds) / adaptive.polls:.1%} of them"
    )
    print(
        f"polling: the policy {cost_us:.0f} us a poll; the agenda {turn_us():.1f} us; the "
        f"pace of 100,000 feeds {pace_ms():.0f} ms, every few minutes"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
