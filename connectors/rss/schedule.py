"""How often a feed is asked: a decision from what was learned of it. Pure.

Entries are read late by half an interval on average, so all feeds together lose
``sum(rate_i * T_i / 2)`` a second. For a given number of polls, ``sum(1 / T_i)``, that is
least at ``T_i`` proportional to ``1 / sqrt(rate_i)`` (Sia, Cho and Cho, *Efficient
Monitoring Algorithm for Fast News Alerts*, IEEE TKDE 19(7), 2007). The factor is the
*pace*, which :func:`pace` finds from all feeds, so that they are asked every
``rss.interval_s`` on average.

The rate is learned in two ways. ``daily`` is the mean of a gamma distribution over a
Poisson rate, which forgets within weeks; ``Habit.recent`` forgets within hours, and
notices a feed that wakes up, or sleeps at night, within a few polls. Together they are
the intensity of a self-exciting (Hawkes) process with an exponential kernel.
``python -m bench.polling`` prints what that is worth.
"""

from __future__ import annotations

import math
import random

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import NamedTuple

import msgspec

from connectors.rss.look import Hints, Look
from streams.records import FeedHealth, Habit
from streams.settings import Rss


DAY_S = 86_400.0
HOUR_S = 3_600.0
#: A feed of which nothing is known; it counts as if it had been watched for so long.
PRIOR_DAILY = 4.0
PRIOR_DAYS = 0.25
#: Within which what was seen counts less by a factor of e.
MEMORY_DAYS = 14.0
RECENT_DAYS = 0.25
#: What the last hours count in the rate by which the interval is chosen.
RECENT_SHARE = 0.5
#: Intervals differ by so much either way, within their bounds.
JITTER = 0.1
#: A gap halves the interval; each poll that brings news without one lets it grow again.
GAP_FACTOR = 0.5
RELAX_FACTOR = 1.25
#: An interval lets at most this share of what the feed holds be replaced meanwhile.
TURNOVER = 0.5
#: A feed's ``ttl`` and ``updatePeriod`` count up to this share of the time between two of
#: its entries. Where half of the feeds wish an hour, as WordPress does of every site, and
#: that counts in full up to a quarter of one, entries wait 277 s instead of 126 s.
WISH_GAPS = 0.1
#: Entries of one hour are one burst.
BURST_S = HOUR_S
#: Bursts over which :attr:`Habit.gap_s` is an average.
GAP_MEMORY = 10
#: A pace is found from so many feeds: 45 ms, of the event loop's time.
PACE_SAMPLE = 4_000
#: Halvings of the range in which the pace lies: to one part in ten thousand.
PACE_STEPS = 18


class Limits(NamedTuple):
    """Between what intervals lie."""

    #: On average over all feeds.
    mean_s: float
    min_s: float
    max_s: float
    #: Up to which a server's wish for fewer polls counts.
    hint_max_s: float
    #: The feed's own interval, as configured; 0: it has none.
    own_s: float = 0.0
    #: Seconds times the root of entries a day; 0: what suits a feed without a history.
    pace: float = 0.0


def limits(rss: Rss) -> Limits:
    """Return what the settings say of all feeds: ``_replace`` own_s and pace in it."""
    least_s = rss.interval_min_s
    return Limits(
        mean_s=max(rss.interval_s, least_s),
        min_s=least_s,
        max_s=max(rss.interval_max_s, least_s),
        hint_max_s=rss.hint_max_s,
    )


def rate(health: FeedHealth) -> float:
    """Return the entries a day that are expected of the feed now."""
    return (1 - RECENT_SHARE) * health.daily + RECENT_SHARE * health.habit.recent


def interval_s(health: FeedHealth, limits: Limits, hints: Hints = Hints()) -> float:  # noqa: B008 - immutable
    """Return how long after a good poll the feed is asked again, without jitter."""
    if limits.own_s:
        return max(limits.own_s, limits.min_s)
    pace = limits.pace or limits.mean_s * math.sqrt(PRIOR_DAILY)
    return _interval_s(health, limits, pace, hints)


def _wish_s(health: FeedHealth, limits: Limits, hints: Hints) -> float:
    """Return what the server wishes, as far as that costs no entries, and is meant.

    Earlier than ``max-age`` there may be nothing but a copy to have; the rest is mostly a
    program's default.
    """
    default_s = max(health.habit.wish_s, hints.ttl_s, hints.update_s)
    expected = rate(health)
    if expected > 0:
        default_s = min(default_s, WISH_GAPS * DAY_S / expected)
    wish_s = max(default_s, hints.max_age_s)
    return min(wish_s, limits.hint_max_s, _ceiling_s(health))


def _interval_s(health: FeedHealth, limits: Limits, pace: float, hints: Hints) -> float:
    expected = rate(health)
    best_s = pace / math.sqrt(expected) if expected > 0 else limits.max_s
    ceiling_s = min(_ceiling_s(health), limits.max_s)
    wish_s = _wish_s(health, limits, hints)
    return max(min(best_s, ceiling_s), limits.min_s, wish_s)


def _ceiling_s(health: FeedHealth) -> float:
    """Return the interval above which entries would be missed."""
    habit, expected = health.habit, rate(health)
    turned_s = math.inf
    if expected > 0 and habit.entries > 1:
        turned_s = TURNOVER * habit.entries / expected * DAY_S
    return min(turned_s, habit.ceiling_s or math.inf)


def after_good(
    at: datetime,
    health: FeedHealth,
    limits: Limits,
    rng: random.Random,
    *,
    wait_s: float,
    hints: Hints,
) -> datetime:
    """Return when a feed that has answered is asked again: about *wait_s* from *at*.

    Never sooner than it wishes, nor in the hours and days in which it says that it is
    not to be asked, unless they end later than ``hint_max_s`` from *at*.
    """
    if limits.own_s:
        return at + jittered(wait_s, rng, least_s=limits.min_s)
    least_s = max(limits.min_s, _wish_s(health, limits, hints))
    most_s = max(limits.max_s, least_s)
    moment = at + jittered(wait_s, rng, least_s=least_s, most_s=most_s)
    latest = max(moment, at + timedelta(seconds=limits.hint_max_s))
    while moment < latest and _skipped(moment, health.habit):
        whole = moment.replace(minute=0, second=0, microsecond=0)
        moment = whole + timedelta(hours=1, seconds=rng.uniform(0, limits.min_s))
    return min(moment, latest)


def jittered(
    wait_s: float, rng: random.Random, *, least_s: float = 0.0, most_s: float = math.inf
) -> timedelta:
    """Return about *wait_s*, so that feeds of one interval are not asked at once."""
    low_s = min(max(wait_s * (1 - JITTER), least_s), most_s)
    high_s = max(min(wait_s * (1 + JITTER), most_s), low_s)
    return timedelta(seconds=rng.uniform(low_s, high_s))


def _skipped(moment: datetime, habit: Habit) -> bool:
    return moment.hour in habit.skip_hours or moment.weekday() in habit.skip_days


def pace(healths: Iterable[FeedHealth], limits: Limits) -> float:
    """Return the pace at which *healths* together take a poll every ``mean_s`` each.

    Give those that are asked by their rate: without an interval of their own, neither
    parked nor delivered by a hub. Where the limits leave no such pace, the nearest.
    """
    known = list(healths)
    some = list(islice(known, 0, None, 1 + len(known) // PACE_SAMPLE))
    least, most = 1e-3, limits.max_s * 1e3
    if not some:
        return limits.mean_s * math.sqrt(PRIOR_DAILY)
    wanted, wishes = len(some) / limits.mean_s, Hints()
    for _ in range(PACE_STEPS):
        middle = math.sqrt(least * most)
        polls = sum(1 / _interval_s(one, limits, middle, wishes) for one in some)
        least, most = (middle, most) if polls > wanted else (least, middle)
    return most


def learned(health: FeedHealth, look: Look) -> FeedHealth:
    """Return *health* with the rates and the ways that a good *look* teaches."""
    if health.good is None:
        return _introduced(health, look)
    days = max((look.at - health.good).total_seconds(), 1.0) / DAY_S
    kept, watched = math.exp(-days / MEMORY_DAYS), _remembered(days, MEMORY_DAYS)
    recently = _remembered(days, RECENT_DAYS)
    old, before = health.habit, health.habit.days or PRIOR_DAYS
    # They may have appeared at any time since the feed was read before.
    came = look.new / days
    exposure = before * kept + watched
    habit = msgspec.structs.replace(
        _read(old, look),
        days=exposure,
        recent=old.recent * math.exp(-days / RECENT_DAYS)
        + came * recently / RECENT_DAYS,
        gap_s=_usual_gap_s(health, look),
        quiet_s=_quiet_s(health, look, days * DAY_S),
        ceiling_s=_relaxed_s(health, look),
    )
    daily = (health.daily * before * kept + came * watched) / exposure
    return msgspec.structs.replace(health, daily=daily, habit=habit)


def _introduced(health: FeedHealth, look: Look) -> FeedHealth:
    """Return what the first look teaches: when its entries say that they appeared."""
    ages = sorted(
        age
        for moment in look.published
        if moment is not None
        and (age := (look.at - moment).total_seconds() / DAY_S) >= 0
    )
    habit = _read(health.habit, look)
    # All of one moment are dates of the document, not of its entries.
    if len(set(ages)) < 2 or "dates_bumped" in look.habits:  # noqa: PLR2004 - a span has two ends
        return msgspec.structs.replace(health, habit=habit)
    # The oldest opens the span in which the others appeared.
    span, within = ages[-1], ages[:-1]
    watched = _remembered(span, MEMORY_DAYS)
    seen = sum(math.exp(-age / MEMORY_DAYS) for age in within)
    exposure = PRIOR_DAYS + watched
    return msgspec.structs.replace(
        health,
        daily=(PRIOR_DAILY * PRIOR_DAYS + seen) / exposure,
        habit=msgspec.structs.replace(
            habit,
            days=exposure,
            recent=sum(math.exp(-age / RECENT_DAYS) for age in within) / RECENT_DAYS,
            gap_s=span * DAY_S / _bursts(ages),
        ),
    )


def _remembered(days: float, memory: float) -> float:
    """Return what the last *days* count, where what is *memory* ago counts 1/e."""
    return memory * (1 - math.exp(-days / memory))


def _bursts(ages: Sequence[float]) -> int:
    """Return in how many bursts entries of these *ages* in days, sorted, appeared."""
    pauses = (older - younger for younger, older in pairwise(ages))
    return 1 + sum(pause * DAY_S > BURST_S for pause in pauses)


def _read(habit: Habit, look: Look) -> Habit:
    """Return *habit* with what the body says, where one was read."""
    if look.outcome not in {"new", "known"}:
        return habit
    return msgspec.structs.replace(
        habit,
        entries=look.entries,
        wish_s=max(look.hints.ttl_s, look.hints.update_s),
        skip_hours=tuple(sorted(look.hints.skip_hours)),
        skip_days=tuple(sorted(look.hints.skip_days)),
    )


def _usual_gap_s(health: FeedHealth, look: Look) -> float:
    usual_s = health.habit.gap_s
    if not look.new or health.fresh is None:
        return usual_s
    gap_s = max((look.at - health.fresh).total_seconds(), 0.0)
    return usual_s + (gap_s - usual_s) / GAP_MEMORY if usual_s else gap_s


def _quiet_s(health: FeedHealth, look: Look, elapsed_s: float) -> float:
    """Return for how long the feed is quiet; an outage, theirs or ours, is no silence."""
    if look.new:
        return 0.0
    quiet_s = health.habit.quiet_s
    if health.failed_in_a_row or health.good is None:
        return quiet_s
    planned_s = HOUR_S
    if health.next_poll is not None:
        planned_s = max(planned_s, (health.next_poll - health.good).total_seconds())
    return quiet_s + min(elapsed_s, 2 * planned_s)


def _relaxed_s(health: FeedHealth, look: Look) -> float:
    """Return the ceiling after *look*: lower after a gap, else a little higher."""
    ceiling_s = health.habit.ceiling_s
    if look.gap:
        return health.interval_s * GAP_FACTOR
    relaxed_s = ceiling_s * RELAX_FACTOR if look.new else ceiling_s
    return relaxed_s if relaxed_s < DAY_S else 0.0
