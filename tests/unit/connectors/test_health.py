"""How a feed does after each poll: failures graded, redirects believed, flags raised."""

from __future__ import annotations

import random

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import get_args

import msgspec
import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.failures import Failure, FailureKind
from connectors.rss.health import (
    BACKOFF_MAX_S,
    GRADES,
    NOT_FOUND_MAX,
    OUTAGES,
    PARKED_AT,
    PROBE_S,
    after,
    fresh,
    tidings,
    wants_probe,
)
from connectors.rss.look import Look
from connectors.rss.schedule import DAY_S, HOUR_S, JITTER, limits
from streams.records import FeedHealth
from streams.settings import Rss


NOW = datetime(2026, 11, 5, tzinfo=UTC)
LIMITS = limits(Rss(hint_max_s=3600.0))
URL = "https://a.example/feed"
KINDS = get_args(FailureKind)


def good(**changes: object) -> FeedHealth:
    """Return a feed that has done well for weeks: 24 entries a day, an hour apart."""
    health = msgspec.structs.replace(
        fresh("a", URL, NOW),
        state="good",
        good=NOW,
        fresh=NOW,
        daily=24.0,
        interval_s=300.0,
        polls=5_000,
        polls_new=500,
        etag='"1"',
        body="old",
        probed=NOW,
    )
    habit = msgspec.structs.replace(health.habit, days=14.0, recent=24.0, gap_s=3_600.0)
    return msgspec.structs.replace(health, habit=habit, **changes)


def look(outcome: str = "unmodified", at: datetime = NOW, **facts: object) -> Look:
    return Look(outcome, at, at, **facts)  # type: ignore[arg-type]  # by name


def failed(kind: FailureKind, at: datetime = NOW, **facts: object) -> Look:
    return look("failed", at, failure=Failure(kind, f"{kind}!", **facts))  # type: ignore[arg-type]  # by name


def step(health: FeedHealth, seen: Look) -> FeedHealth:
    return after(health, seen, LIMITS, random.Random(1))


def failing(
    health: FeedHealth, kind: FailureKind, times: int
) -> Iterator[tuple[FeedHealth, list[str]]]:
    """Fail *times* in a row, each when the feed is due; give health and tidings."""
    now = NOW
    for _ in range(times):
        was, health = health, step(health, failed(kind, now))
        yield health, tidings(was, health)
        assert health.next_poll is not None
        now = health.next_poll


@pytest.mark.parametrize("kind", KINDS)
def test_failures_are_graded(kind: FailureKind) -> None:
    health = step(good(), failed(kind))
    assert (
        health.failures == {"hard": 1.0, "soft": 0.5, "temporary": 0.25}[GRADES[kind]]
    )
    assert (health.failure, health.because) == (kind, f"{kind}!")
    assert health.failed_in_a_row == 1


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gone", "not_found"}))
def test_a_feed_is_parked_at_30_points_and_the_user_told_once(
    kind: FailureKind,
) -> None:
    points = step(good(), failed(kind)).failures
    run = list(failing(good(), kind, int(PARKED_AT / points) + 3))
    states = [health.state for health, _ in run]
    first = states.index("parked")
    assert first + 1 == PARKED_AT / points
    assert [bool(told) for _, told in run] == [at == first for at in range(len(run))]


@pytest.mark.parametrize("kind", KINDS)
def test_backoff_grows_to_its_grade_s_bound_and_no_further(kind: FailureKind) -> None:
    now, waits = NOW, []
    for health, _ in failing(good(), kind, 20):
        assert health.next_poll is not None
        if health.state == "failing":
            waits.append((health.next_poll - now).total_seconds())
        now = health.next_poll
    assert all(wait <= BACKOFF_MAX_S[GRADES[kind]] * (1 + JITTER) for wait in waits)
    assert all(b > a * 0.8 for a, b in pairwise(waits))


@given(
    kinds=st.lists(st.sampled_from(sorted(OUTAGES)), min_size=1, max_size=60),
    own_s=st.sampled_from([0.0, 15.0, 600.0, 7_200.0]),
    since_s=st.floats(1.0, 3 * DAY_S),
    seed=st.integers(0, 9),
)
def test_no_wait_in_an_outage_is_longer_than_a_quarter_of_it_or_the_interval(
    kinds: list[FailureKind], own_s: float, since_s: float, seed: int
) -> None:
    rng, limits = random.Random(seed), LIMITS._replace(own_s=own_s)
    health, now = good(), NOW + timedelta(seconds=since_s)
    for kind in kinds:
        health = after(health, failed(kind, now), limits, rng)
        if health.state != "failing":
            return
        assert health.next_poll is not None
        wait_s = (health.next_poll - now).total_seconds()
        lasted_s = (now - NOW).total_seconds()
        assert wait_s <= max(lasted_s / 4, health.interval_s) * (1 + JITTER)
        now = health.next_poll


@pytest.mark.parametrize("kind", sorted(OUTAGES))
def test_a_feed_that_never_answered_waits_a_minute_then_twice_as_long(
    kind: FailureKind,
) -> None:
    health, now, waits = fresh("a", URL, NOW), NOW, []
    for _ in range(12):
        health = step(health, failed(kind, now))
        assert health.next_poll is not None
        waits.append((health.next_poll - now).total_seconds())
        now = health.next_poll
    for number, wait in enumerate(waits):
        usual = min(60.0 * 2**number, BACKOFF_MAX_S[GRADES[kind]])
        assert usual * (1 - JITTER) <= wait <= usual * (1 + JITTER)


def test_a_feed_that_never_answered_is_asked_no_more_often_than_was_told() -> None:
    limits = LIMITS._replace(own_s=3_600.0)
    health = after(fresh("a", URL, NOW), failed("dns"), limits, random.Random(1))
    assert health.next_poll is not None
    assert (health.next_poll - NOW).total_seconds() >= 3_600.0 * (1 - JITTER)


def test_an_outage_of_ours_parks_nobody_however_long_it_lasts() -> None:
    health, now = good(), NOW
    while now < NOW + timedelta(days=60):
        health = step(health, failed("dns", now)._replace(ours=True))
        assert health.next_poll is not None
        now = health.next_poll
    assert (health.state, health.failures) == ("failing", 0.0)


@pytest.mark.parametrize("kind", ["dns", "connection", "timeout", "server"])
def test_after_an_outage_a_feed_is_asked_within_a_quarter_of_its_time(
    kind: FailureKind,
) -> None:
    for health, _ in failing(good(), kind, 40):
        assert health.next_poll is not None
        assert health.polled is not None
        wait_s = (health.next_poll - health.polled).total_seconds()
        lasted_s = (health.polled - NOW).total_seconds()
        assert wait_s <= max(lasted_s / 4, health.interval_s) * (1 + JITTER)


def test_410_is_gone_at_once_and_never_deleted() -> None:
    run = list(failing(good(), "gone", 5))
    assert [health.state for health, _ in run] == ["gone"] * 5
    assert [len(told) for _, told in run] == [1, 0, 0, 0, 0]
    health, _ = run[-1]
    assert health.next_poll is not None


def test_repeated_404_is_gone_and_one_is_not() -> None:
    run = list(failing(good(), "not_found", NOT_FOUND_MAX))
    assert [health.state for health, _ in run] == ["failing"] * 11 + ["gone"]
    health, told = run[-1]
    assert "not_found!" in told[0]
    assert health.polled is not None
    assert health.polled - NOW > timedelta(days=1)


@pytest.mark.parametrize("kind", ["gone", "dns"])
def test_what_is_parked_is_asked_once_a_week_and_comes_back_by_itself(
    kind: FailureKind,
) -> None:
    *_, (health, _) = failing(good(), kind, 70)
    assert health.state in {"parked", "gone"}
    assert health.polled is not None
    assert health.next_poll is not None
    wait_s = (health.next_poll - health.polled).total_seconds()
    assert wait_s == pytest.approx(PROBE_S, rel=JITTER)
    back = step(health, look("new", health.next_poll, new=1, entries=20))
    assert back.state == "good"
    assert tidings(health, back) == [
        "it answers again, and is asked as often as before"
    ]
    again = list(failing(back, kind, 70))
    assert sum(len(told) for _, told in again) == 1


def test_success_resets_the_score() -> None:
    *_, (health, _) = failing(good(), "server", 5)
    back = step(health, look())
    assert (back.state, back.failures, back.failed_in_a_row) == ("good", 0.0, 0)
    assert (back.because, back.failure) == ("", "")


@given(st.sampled_from(KINDS), st.floats(0, 6 * DAY_S), st.integers(0, 40))
def test_retry_after_is_respected(
    kind: FailureKind, asked_s: float, before: int
) -> None:
    health = good(failed_in_a_row=before)
    answered = step(health, failed(kind, retry_after_s=asked_s))
    assert answered.next_poll is not None
    assert answered.next_poll >= NOW + timedelta(seconds=asked_s)


def test_a_server_cannot_send_us_away_for_ever() -> None:
    answered = step(good(), failed("slow_down", retry_after_s=1e9))
    assert answered.next_poll == NOW + timedelta(seconds=PROBE_S)


def moves(
    health: FeedHealth, to: str, times: int, every_s: float
) -> Iterator[tuple[FeedHealth, list[str]]]:
    for number in range(times):
        at = NOW + timedelta(seconds=number * every_s)
        was, health = health, step(health, look(at=at, moved_to=to))
        yield health, tidings(was, health)


def test_a_permanent_redirect_is_remembered_after_it_repeats_for_a_day() -> None:
    run = list(moves(good(), "https://b.example/f", 4, 10 * HOUR_S))
    assert [health.url for health, _ in run] == [URL] * 3 + ["https://b.example/f"]
    assert [len(told) for _, told in run] == [0, 0, 0, 1]
    assert "https://b.example/f" in run[-1][1][0]


def test_a_permanent_redirect_of_an_hour_is_not_believed() -> None:
    *_, (health, _) = moves(good(), "https://login.example/", 12, 300.0)
    assert health.url == URL
    back = step(health, look(at=NOW + timedelta(hours=1)))
    assert (back.moved_to, back.moved_times, back.moved_since) == ("", 0, None)


def test_redirects_that_change_their_target_are_never_believed() -> None:
    health = good()
    for number in range(20):
        at = NOW + timedelta(hours=10 * number)
        health = step(health, look(at=at, moved_to=f"https://b.example/{number % 2}"))
    assert health.url == URL


def test_a_failure_says_nothing_of_a_redirect() -> None:
    *_, (health, _) = moves(good(), "https://b.example/f", 2, 10 * HOUR_S)
    later = step(health, failed("timeout", NOW + timedelta(hours=20)))
    assert later.moved_times == 2


def test_a_server_whose_etag_lies_is_noticed() -> None:
    at = NOW + timedelta(days=1)
    quiet = good()
    assert wants_probe(quiet, at)
    seen = step(
        quiet, look("new", at, new=1, entries=20, probe=True, etag='"1"', body="x")
    )
    assert "lying_validators" in seen.flags
    assert len(tidings(quiet, seen)) == 1
    # From then on it is asked without validators, and the user is not told again.
    assert wants_probe(seen, at)
    more = step(
        seen, look("new", at, new=1, entries=20, probe=True, etag='"1"', body="y")
    )
    assert "lying_validators" in more.flags
    assert not tidings(seen, more)


@pytest.mark.parametrize(
    ("outcome", "etag", "probe"),
    [
        ("new", '"2"', True),  # the validator changed with the body
        ("known", '"1"', True),  # nothing new in it: the time of the request
        ("same", '"1"', True),
        ("new", '"1"', False),  # asked with it, and told
    ],
)
def test_a_server_whose_validators_are_true_enough_is_no_liar(
    outcome: str, etag: str, probe: bool
) -> None:
    new = int(outcome == "new")
    seen = step(good(), look(outcome, new=new, entries=9, probe=probe, etag=etag))
    assert "lying_validators" not in seen.flags


def test_last_modified_lies_too() -> None:
    health = good(etag="", last_modified="Thu, 05 Nov 2026 00:00:00 GMT")
    seen = step(
        health,
        look("new", new=1, probe=True, last_modified="Thu, 05 Nov 2026 00:00:00 GMT"),
    )
    assert "lying_validators" in seen.flags


def test_validators_are_tried_once_a_day_and_only_where_news_has_not_shown_them_true() -> (
    None
):
    health = good()
    assert not wants_probe(health, NOW + timedelta(hours=23))
    told = step(health, look("new", NOW + timedelta(hours=23), new=1, etag='"2"'))
    assert not wants_probe(told, NOW + timedelta(hours=46))
    same = step(health, look("same", NOW + timedelta(hours=25), probe=True, etag='"1"'))
    assert not wants_probe(same, NOW + timedelta(hours=48))
    assert not wants_probe(good(etag=""), NOW + timedelta(days=9))


def quiet(health: FeedHealth, days: int) -> Iterator[tuple[FeedHealth, list[str]]]:
    for hour in range(24 * days):
        was, health = health, step(health, look(at=NOW + timedelta(hours=hour + 1)))
        yield health, tidings(was, health)


def test_a_feed_that_is_alive_but_silent_for_far_longer_than_its_habit_is_flagged() -> (
    None
):
    run = list(quiet(good(), 5))
    first = next(at for at, (health, _) in enumerate(run) if "silent" in health.flags)
    assert first == 3 * 24
    assert sum(len(told) for _, told in run) == 1
    health, _ = run[-1]
    spoke = step(health, look("new", NOW + timedelta(days=6), new=1))
    assert "silent" not in spoke.flags
    assert "silent" not in spoke.told


def test_an_outage_is_no_silence() -> None:
    health = good()
    for day in range(30):
        health = step(health, failed("connection", NOW + timedelta(days=day)))
    back = step(health, look(at=NOW + timedelta(days=30)))
    assert "silent" not in back.flags
    # Nor is it when we were not there to ask.
    late = step(good(), look(at=NOW + timedelta(days=30)))
    assert "silent" not in late.flags


def test_a_feed_that_speaks_once_a_week_is_not_silent_after_two() -> None:
    health = good()
    habit = msgspec.structs.replace(health.habit, gap_s=7 * DAY_S)
    *_, (later, _) = quiet(msgspec.structs.replace(health, habit=habit), 14)
    assert not later.flags


def test_a_feed_that_never_gave_anything_is_flagged_too() -> None:
    empty = fresh("a", URL, NOW)
    states = [health for health, _ in quiet(empty, 14)]
    assert "silent" not in states[24 * 6].flags
    assert "silent" in states[-1].flags


def test_gaps_are_counted_shown_and_the_interval_shortened() -> None:
    health = step(good(), look("new", NOW + timedelta(hours=1), new=20, gap=True))
    assert health.gaps == 1
    assert health.interval_s <= good().interval_s / 2


def test_a_feed_is_full_of_gaps_when_one_in_five_polls_with_news_has_one() -> None:
    once = step(good(), look("new", new=20, gap=True))
    assert "full_of_gaps" not in once.flags
    often = step(good(gaps=99), look("new", new=20, gap=True))
    assert "full_of_gaps" not in often.flags
    full = step(good(gaps=100), look("new", new=20, gap=True))
    assert "full_of_gaps" in full.flags


def test_what_guids_and_dates_do_is_flagged_until_a_reading_says_otherwise() -> None:
    seen = step(good(), look("known", entries=5, habits=frozenset({"guids_change"})))
    assert seen.flags == ("guids_change",)
    assert step(seen, look()).flags == ("guids_change",)
    assert step(seen, look("known", entries=5)).flags == ()


def test_lateness_is_the_median_from_the_claimed_publication_to_its_reading() -> None:
    rng = random.Random(1)
    health, lateness = good(), []
    for number in range(2_000):
        at = NOW + timedelta(minutes=number)
        late_s = rng.lognormvariate(5, 1)
        lateness.append(late_s)
        moment = at - timedelta(seconds=late_s)
        health = step(health, look("new", at, new=1, published=(moment,)))
    median_s = sorted(lateness)[1_000]
    assert health.lateness_s == pytest.approx(median_s, rel=0.35)


def test_old_future_and_bumped_dates_do_not_count_as_lateness() -> None:
    old = (NOW - timedelta(days=90),)
    first = step(fresh("a", URL, NOW), look("new", new=1, published=old))
    assert first.lateness_s == 0
    future = (NOW + timedelta(days=1), None)
    assert step(good(), look("new", new=2, published=future)).lateness_s == 0
    bumped = look("new", new=1, published=old, habits=frozenset({"dates_bumped"}))
    assert step(good(), bumped).lateness_s == 0


def test_counters_count_what_each_poll_gave() -> None:
    seen = step(
        good(),
        look("new", new=3, edited=2, withdrawn=1, refused=4, title="A", body="b"),
    )
    counted = (seen.published, seen.edited, seen.withdrawn, seen.refused)
    assert counted == (3, 2, 1, 4)
    assert (seen.polls, seen.polls_new) == (5_001, 501)
    assert (seen.title, seen.body) == ("A", "b")


def test_what_a_hub_delivers_is_no_poll() -> None:
    until = NOW + timedelta(days=5)
    seen = step(good(hub_until=until), look("new", new=1, pushed=True))
    assert (seen.polls, seen.polls_new, seen.published) == (5_000, 500, 1)
    assert seen.next_poll is not None
    wait_s = (seen.next_poll - NOW).total_seconds()
    assert wait_s == pytest.approx(LIMITS.max_s, rel=JITTER)


def test_a_hub_that_is_over_brings_the_usual_interval_back() -> None:
    seen = step(good(hub_until=NOW - timedelta(seconds=1)), look())
    assert seen.next_poll is not None
    assert (seen.next_poll - NOW).total_seconds() < LIMITS.max_s / 2


def test_304_keeps_the_validators_of_the_body_that_was_read() -> None:
    seen = step(good(), look())
    assert (seen.etag, seen.body) == ('"1"', "old")


MOMENTS = st.floats(-1e9, 1e9).map(lambda seconds: NOW + timedelta(seconds=seconds))
LOOKS = st.builds(
    look,
    st.sampled_from(["new", "known", "same", "unmodified"]),
    MOMENTS,
    entries=st.integers(0, 100),
    new=st.integers(0, 100),
    published=st.lists(st.none() | MOMENTS, max_size=3).map(tuple),
    gap=st.booleans(),
    probe=st.booleans(),
    pushed=st.booleans(),
) | st.builds(failed, st.sampled_from(KINDS), MOMENTS, retry_after_s=st.floats(0, 1e12))


@given(st.lists(LOOKS, max_size=8))
def test_any_polls_in_any_order_of_time_end_in_a_next_poll_within_bounds(
    looks: list[Look],
) -> None:
    health = fresh("a", URL, NOW)
    for seen in looks:
        before, health = health, step(health, seen)
        assert health.next_poll is not None
        wait_s = (health.next_poll - seen.at).total_seconds()
        assert LIMITS.min_s * (1 - JITTER) <= wait_s <= PROBE_S * (1 + JITTER)
        assert len(set(health.told)) == len(health.told)
        assert all(tidings(before, health))
        assert health.daily >= 0


def test_a_feed_that_moves_to_and_fro_is_told_of_each_time_and_remembers_one() -> None:
    health, said = good(url="https://a.example/"), list[str]()
    for day in range(40):
        at = NOW + timedelta(days=day)
        to = "https://b.example/" if day // 10 % 2 == 0 else "https://a.example/"
        was, health = health, step(health, look(at=at, moved_to=to))
        said += tidings(was, health)
    assert len([one for one in said if "moved" in one]) == 4
    assert [one for one in health.told if "moved" in one] == [
        "moved https://a.example/"
    ]
