"""How often a feed is asked: by what it is worth, within bounds, as its server wishes."""

from __future__ import annotations

import math
import random

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.rss.health import after, fresh
from connectors.rss.look import Hints, Look
from connectors.rss.schedule import (
    DAY_S,
    HOUR_S,
    JITTER,
    WISH_GAPS,
    Limits,
    interval_s,
    limits,
    pace,
)
from streams.records import FeedHealth
from streams.settings import Rss


NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)  # a Thursday
LIMITS = limits(Rss(hint_max_s=3600.0))
DAILY = st.floats(0, 5_000)


def feed(daily: float, **habit: object) -> FeedHealth:
    health = msgspec.structs.replace(
        fresh("a", "", NOW), daily=daily, good=NOW, fresh=NOW
    )
    known = {"recent": daily, "days": 14.0} | habit
    return msgspec.structs.replace(
        health, habit=msgspec.structs.replace(health.habit, **known)
    )


def step(health: FeedHealth, at: datetime, **facts: object) -> FeedHealth:
    outcome = "new" if facts.get("new") else "unmodified"
    seen = Look(**{"outcome": outcome, "at": at, "due": at} | facts)  # type: ignore[arg-type]  # by name
    return after(health, seen, LIMITS, random.Random(1))


@given(DAILY, st.floats(0, 1e7), st.floats(0, 1e6))
def test_intervals_lie_between_their_bounds(
    daily: float, pace_: float, wish_s: float
) -> None:
    health = feed(daily, wish_s=wish_s)
    found = interval_s(health, LIMITS._replace(pace=pace_), Hints(max_age_s=wish_s))
    assert LIMITS.min_s <= found <= LIMITS.max_s


@given(st.floats(0.2, 500), st.floats(1.1, 10))
def test_the_interval_goes_with_the_root_of_the_rate(daily: float, more: float) -> None:
    wide = LIMITS._replace(min_s=1e-9, max_s=1e9, pace=600.0)
    slow, quick = interval_s(feed(daily), wide), interval_s(feed(daily * more), wide)
    assert slow / quick == pytest.approx(math.sqrt(more))


@given(st.lists(st.floats(0.01, 5_000), min_size=1, max_size=50))
def test_all_feeds_are_asked_every_interval_s_on_average(rates: list[float]) -> None:
    healths = [feed(daily) for daily in rates]
    found = LIMITS._replace(pace=pace(healths, LIMITS))
    polls = sum(1 / interval_s(health, found) for health in healths)
    assert len(healths) / polls == pytest.approx(LIMITS.mean_s, rel=0.01)


def test_no_other_split_of_the_polls_finds_entries_sooner() -> None:
    rng = random.Random(1)
    healths = [feed(rng.lognormvariate(1, 1.5)) for _ in range(200)]
    found = LIMITS._replace(pace=pace(healths, LIMITS))
    best = [interval_s(health, found) for health in healths]

    def late_s(intervals: list[float]) -> float:
        return sum(
            one.daily * each / 2 for one, each in zip(healths, intervals, strict=True)
        )

    even = [LIMITS.mean_s] * 200
    assert late_s(best) < 0.75 * late_s(even)
    for _ in range(50):
        a, b = rng.sample(range(200), 2)
        moved = list(best)
        share = rng.uniform(-0.3, 0.3) * min(1 / best[a], 1 / best[b])
        moved[a], moved[b] = 1 / (1 / best[a] + share), 1 / (1 / best[b] - share)
        if all(LIMITS.min_s <= moved[one] <= LIMITS.max_s for one in (a, b)):
            assert late_s(moved) >= late_s(best) * (1 - 1e-9)


def test_a_feed_s_own_interval_fixes_it() -> None:
    own = LIMITS._replace(own_s=900.0)
    assert interval_s(feed(500.0, wish_s=7_200.0, ceiling_s=90.0), own) == 900.0
    assert interval_s(feed(0.1), LIMITS._replace(own_s=5.0)) == LIMITS.min_s


WISHES: dict[str, Callable[[float], Hints]] = {
    "max-age": lambda wish_s: Hints(max_age_s=wish_s),
    "ttl": lambda wish_s: Hints(ttl_s=wish_s),
    "sy:updatePeriod": lambda wish_s: Hints(update_s=wish_s),
}


@pytest.mark.parametrize("name", WISHES)
def test_max_age_ttl_and_update_period_are_respected_within_bounds(name: str) -> None:
    usual, wish = feed(2.0), WISHES[name]
    assert interval_s(usual, LIMITS, wish(1_800.0)) == 1_800.0
    assert interval_s(usual, LIMITS, wish(1e6)) == LIMITS.hint_max_s
    assert interval_s(usual, LIMITS, wish(1.0)) == interval_s(usual, LIMITS)


@pytest.mark.parametrize("name", ["ttl", "sy:updatePeriod"])
def test_an_hourly_wish_of_a_feed_that_publishes_by_the_minute_is_a_default(
    name: str,
) -> None:
    wish = WISHES[name](HOUR_S)
    assert interval_s(feed(960.0), LIMITS, wish) == interval_s(feed(960.0), LIMITS)
    assert interval_s(feed(100.0), LIMITS, wish) == pytest.approx(864 * WISH_GAPS)


def test_what_a_feed_wishes_holds_while_it_answers_304() -> None:
    first = step(feed(1.0), NOW, new=1, hints=Hints(ttl_s=1_800.0))
    later = step(first, NOW + timedelta(minutes=30))
    assert later.interval_s == 1_800.0


def test_skip_hours_and_days_are_respected_within_bounds() -> None:
    hints = Hints(skip_hours=frozenset({12, 13}))
    seen = step(feed(500.0), NOW.replace(minute=50), new=1, hints=hints)
    assert seen.next_poll is not None
    # The hour that hint_max_s allows ends before the skipped hours do.
    assert seen.next_poll == NOW.replace(minute=50) + timedelta(seconds=HOUR_S)
    only = Hints(skip_hours=frozenset({12}))
    soon = step(feed(500.0), NOW.replace(minute=50), new=1, hints=only)
    assert soon.next_poll is not None
    assert 0 <= (soon.next_poll - NOW.replace(hour=13)).total_seconds() <= LIMITS.min_s
    days = Hints(skip_days=frozenset({3}))
    thursday = step(feed(500.0), NOW, new=1, hints=days)
    assert thursday.next_poll == NOW + timedelta(seconds=LIMITS.hint_max_s)


def test_a_gap_halves_the_interval_and_lets_it_grow_slowly() -> None:
    before = step(feed(1.0), NOW + timedelta(hours=1))
    at = NOW + timedelta(hours=2)
    gap = step(before, at, new=1, entries=20, gap=True)
    assert gap.interval_s <= before.interval_s / 2
    intervals = []
    health = gap
    for _ in range(12):
        at += timedelta(hours=12)
        health = step(health, at, new=1)
        intervals.append(health.habit.ceiling_s)
    assert intervals[0] == pytest.approx(gap.habit.ceiling_s * 1.25)
    assert intervals == sorted(intervals)


def test_an_interval_is_too_short_for_half_of_what_the_feed_holds_to_be_replaced() -> (
    None
):
    lively = feed(960.0, entries=10)  # replaced in a quarter of an hour
    wide = LIMITS._replace(pace=1e6)
    assert interval_s(lively, wide) == pytest.approx(10 / 960 * DAY_S / 2)


def test_what_a_server_wishes_costs_no_entries() -> None:
    wish = Hints(max_age_s=HOUR_S)
    lively = feed(960.0, entries=10)  # replaced in a quarter of an hour
    assert interval_s(lively, LIMITS, wish) == pytest.approx(10 / 960 * DAY_S / 2)
    before = step(feed(24.0), NOW, new=1, hints=wish)
    assert before.interval_s == HOUR_S
    gap = step(before, NOW + timedelta(hours=1), new=1, gap=True, hints=wish)
    assert gap.interval_s == HOUR_S / 2
    assert gap.next_poll is not None
    assert gap.next_poll <= NOW + timedelta(hours=1.5 + JITTER)


def test_a_feed_that_wakes_up_is_noticed_within_a_few_polls() -> None:
    health = feed(0.2)
    at = NOW
    asleep = step(health, at + timedelta(hours=1)).interval_s
    for _ in range(3):
        at += timedelta(hours=1)
        health = step(health, at, new=4)
    assert health.interval_s < asleep / 4


def test_a_feed_that_falls_asleep_is_asked_more_rarely() -> None:
    health = feed(100.0)
    awake = step(health, NOW + timedelta(minutes=2)).interval_s
    for hour in range(24):
        health = step(health, NOW + timedelta(hours=hour + 1))
    assert health.interval_s > awake * 1.3


def test_the_first_look_learns_from_the_entries_own_times() -> None:
    published = tuple(NOW - timedelta(minutes=61 * number) for number in range(1, 21))
    seen = step(fresh("a", "", NOW), NOW, new=20, entries=20, published=published)
    assert seen.daily == pytest.approx(24, rel=0.25)
    assert seen.habit.gap_s == pytest.approx(HOUR_S, rel=0.1)
    rare = tuple(NOW - timedelta(days=number) for number in range(1, 21))
    quiet = step(fresh("a", "", NOW), NOW, new=20, entries=20, published=rare)
    assert quiet.daily == pytest.approx(1, rel=0.25)
    assert quiet.interval_s > 2 * seen.interval_s


@pytest.mark.parametrize(
    "published",
    [
        (),
        (None, None),
        (NOW + timedelta(days=1),) * 3,
        (NOW - timedelta(days=1),),
        (NOW - timedelta(minutes=1),) * 30,
    ],
)
def test_a_first_look_without_dates_that_can_be_true_leaves_the_prior(
    published: tuple[datetime | None, ...],
) -> None:
    unknown = fresh("a", "", NOW)
    seen = step(unknown, NOW, new=3, entries=3, published=published)
    assert seen.daily == unknown.daily


@given(st.floats(0.5, 200), st.integers(0, 2**32))
def test_the_learned_rate_comes_near_the_true_one(daily: float, seed: int) -> None:
    rng = random.Random(seed)
    health = fresh("a", "", NOW)
    health = step(health, NOW)
    coming = rng.expovariate(daily)
    for hour in range(1, 24 * 20):
        new = 0
        while coming < hour / 24:
            new += 1
            coming += rng.expovariate(daily)
        health = step(health, NOW + timedelta(hours=hour), new=new)
    # Five standard deviations of a Poisson count over the memory of two weeks.
    assert abs(health.daily - daily) < 5 * math.sqrt(daily / 14) + 0.1 * daily + 0.2


@given(st.integers(0, 2**32))
def test_jitter_spreads_feeds_of_one_interval(seed: int) -> None:
    rng = random.Random(seed)
    look = Look("unmodified", NOW, NOW)
    moments = [after(feed(1.0), look, LIMITS, rng).next_poll for _ in range(50)]
    waits = [(moment - NOW).total_seconds() for moment in moments if moment]
    usual = interval_s(after(feed(1.0), look, LIMITS, rng), LIMITS)
    assert len(set(waits)) == 50
    assert all(abs(wait / usual - 1) <= JITTER + 1e-9 for wait in waits)


@given(DAILY, st.floats(0, 1e5), st.integers(0, 2**32))
def test_jitter_asks_neither_sooner_than_wished_nor_later_than_the_longest_interval(
    daily: float, wish_s: float, seed: int
) -> None:
    look = Look("unmodified", NOW, NOW, hints=Hints(max_age_s=wish_s))
    seen = after(feed(daily), look, LIMITS, random.Random(seed))
    assert seen.next_poll is not None
    wait_s = (seen.next_poll - NOW).total_seconds()
    least_s = max(LIMITS.min_s, min(wish_s, LIMITS.hint_max_s))
    assert least_s - 1e-3 <= wait_s <= LIMITS.max_s + 1e-3


def test_settings_that_contradict_each_other_are_taken_in_order() -> None:
    odd = limits(Rss(interval_s=10.0, interval_min_s=60.0, interval_max_s=30.0))
    assert (odd.mean_s, odd.min_s, odd.max_s) == (60.0, 60.0, 60.0)
    assert isinstance(odd, Limits)
    assert pace([], odd) > 0
