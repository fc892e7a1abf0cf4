"""What the benches hold the connector against must itself be right."""

from __future__ import annotations

import math

from collections import Counter
from datetime import UTC, datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from bench.internet import Poll, Request, Said, Site
from bench.judging import Arrived, Verdict, judge, news
from bench.rendering import REFERENCE, Clock, render
from bench.world import BEGIN, Shown, World
from connectors.rss.reading import look_into
from connectors.rss.subscription import subscription
from streams.settings import Feed


WORLD = World(7, 400)
CLOCK = Clock(1_790_000_000.0, 144.0)
days = st.floats(BEGIN, BEGIN + 1)
numbers = st.integers(0, WORLD.feeds - 1)


@given(numbers, days)
def test_entries_come_one_after_another(number: int, day: float) -> None:
    feed = WORLD.feed(number)
    newest = WORLD.newest(feed, day)
    moments = [WORLD.published(feed, max(0, newest) + more) for more in range(-9, 9)]
    assert moments == sorted(moments)
    assert WORLD.published(feed, newest + 1) > day
    assert newest < 0 or WORLD.published(feed, newest) <= day


@given(numbers, days)
def test_another_process_says_the_same_of_a_feed(number: int, day: float) -> None:
    other = World(7, 400)
    assert other.feed(number) == WORLD.feed(number)
    assert other.shown(other.feed(number), day) == WORLD.shown(WORLD.feed(number), day)


def test_most_feeds_post_less_than_once_a_day_and_a_few_a_hundred_times() -> None:
    rates = [World(1, 5_000).feed(number).rate for number in range(5_000)]
    assert sum(rate < 1 for rate in rates) > len(rates) / 2
    assert sum(rate > 100 for rate in rates) > 5


@pytest.mark.parametrize("format_", ["rss", "atom", "json", "rdf"])
def test_what_a_feed_shows_is_what_the_connector_reads(format_: str) -> None:
    feed = next(
        feed
        for feed in map(WORLD.feed, range(WORLD.feeds))
        if (feed.format, feed.habit) == (format_, "")
    )
    day = BEGIN + 0.5
    shown = WORLD.shown(feed, day)
    reading = look_into(
        render(WORLD, feed, shown, day, CLOCK),
        subscription(Feed(url="https://e.example/feed")),
        datetime.fromtimestamp(CLOCK.moment(day), UTC),
        b"",
    )
    found = [REFERENCE.search(item.text) for item in reading.items]
    references = {tuple(map(int, match.groups())) for match in found if match}
    assert references == {(feed.number, *one) for one in shown}


@given(numbers, days, days)
def test_validators_that_do_not_lie_change_with_what_is_shown(
    number: int, one: float, other: float
) -> None:
    feed, site = WORLD.feed(number), Site(WORLD, CLOCK)
    if feed.validators not in {"both", "etag"}:
        return
    same = WORLD.shown(feed, one) == WORLD.shown(feed, other)
    tags = {site.validators(feed, day)["ETag"] for day in (one, other)}
    assert (len(tags) == 1) == same


def test_a_server_that_knows_what_the_client_has_says_so() -> None:
    world = World(1, 50, faults=0.0, manner="unmodified")
    site = Site(world, CLOCK)
    tag = site.validators(world.feed(3), BEGIN)["ETag"]
    asked = Request("/f3", {"if-none-match": tag})
    found = site.answer(asked, BEGIN)
    assert found is not None
    assert (found[1].status, found[1].said) == (304, Said.UNCHANGED)


# The judge


def feed_of(**like: object) -> int:
    return next(
        number
        for number in range(WORLD.feeds)
        if all(getattr(WORLD.feed(number), name) == it for name, it in like.items())
        and 5 < WORLD.feed(number).rate < 50
    )


def judged(
    number: int,
    asked: list[float],
    texts: Counter[Shown],
    *,
    gaps: int = 0,
    interrupted: tuple[tuple[float, float], ...] = (),
    stored: tuple[float, ...] = (),
) -> Verdict:
    arrived = Arrived()
    arrived.texts[number] = texts
    return judge(
        WORLD,
        [Poll(day, number, Said.SHOWN) for day in asked],
        arrived,
        {number: gaps},
        ends=BEGIN + 1,
        interrupted=interrupted,
        stored={number: stored},
    )


def shown(number: int, asked: list[float]) -> Counter[Shown]:
    feed = WORLD.feed(number)
    return Counter({one for day in asked for one in WORLD.shown(feed, day)})


ASKED = [BEGIN + 0.1, BEGIN + 0.6]
NUMBER = feed_of(complete=False, edits=0.0)


def test_what_was_shown_and_is_there_once_is_clean() -> None:
    verdict = judged(NUMBER, ASKED, shown(NUMBER, ASKED))
    assert verdict.is_clean
    assert verdict.arrived == len(shown(NUMBER, ASKED))


def test_what_was_shown_and_is_not_there_is_lost() -> None:
    texts = shown(NUMBER, ASKED)
    del texts[max(texts)]
    assert len(judged(NUMBER, ASKED, texts).lost) == 1


def test_what_is_there_twice_is_told() -> None:
    texts = shown(NUMBER, ASKED)
    texts[max(texts)] += 1
    assert len(judged(NUMBER, ASKED, texts).twice) == 1


def test_what_nobody_showed_is_invented() -> None:
    texts = shown(NUMBER, ASKED)
    texts[Shown(max(texts).number + 1_000, 0)] = 1
    assert len(judged(NUMBER, ASKED, texts).invented) == 1


def test_what_only_a_killed_process_was_shown_is_told_apart() -> None:
    texts = shown(NUMBER, ASKED[:1])
    only = shown(NUMBER, ASKED).keys() - texts.keys()
    span = (BEGIN + 0.55, BEGIN + 0.65)
    verdict = judged(NUMBER, ASKED, texts, interrupted=(span,))
    assert verdict.is_clean
    assert len(verdict.died) == len(only) > 0


@pytest.mark.parametrize(
    ("asked_again", "stored"),
    [((BEGIN + 0.64,), ()), ((), (BEGIN + 0.61,))],
    ids=["asked again", "said to be stored"],
)
def test_what_a_killed_process_had_stored_for_sure_is_lost(
    asked_again: tuple[float, ...], stored: tuple[float, ...]
) -> None:
    texts = shown(NUMBER, ASKED[:1])
    span = (BEGIN + 0.55, BEGIN + 0.65)
    asked = [*ASKED, *asked_again]
    verdict = judged(NUMBER, asked, texts, interrupted=(span,), stored=stored)
    assert set(verdict.lost) >= {
        f"f{NUMBER}/e{one.number}/r{one.revision}"
        for one in shown(NUMBER, ASKED).keys() - texts.keys()
    }


def test_entries_that_left_their_feed_unseen_are_missed_before_a_gap() -> None:
    busy = max(
        (n for n in range(WORLD.feeds) if not WORLD.feed(n).complete),
        key=lambda n: WORLD.feed(n).rate / WORLD.feed(n).window,
    )
    asked = [BEGIN + 0.01, BEGIN + 0.99]
    verdict = judged(busy, asked, shown(busy, asked), gaps=1)
    assert verdict.is_clean
    assert (verdict.gaps, verdict.gaps_found) == (1, 1)
    assert verdict.missed == verdict.missed_counted > 0


def test_what_is_taken_back_must_be_withdrawn() -> None:
    number, entry = next(
        (number, entry)
        for number in range(WORLD.feeds)
        if (feed := WORLD.feed(number)).complete
        for entry in range(
            max(0, WORLD.newest(feed, BEGIN)), WORLD.newest(feed, BEGIN + 1)
        )
        if WORLD.retracted(feed, entry) < BEGIN + 0.95
    )
    feed = WORLD.feed(number)
    gone = WORLD.retracted(feed, entry)
    assert gone < math.inf
    asked = [(WORLD.published(feed, entry) + gone) / 2, gone + 0.001]
    lost = judged(number, asked, shown(number, asked)).lost
    assert f"f{number}/e{entry} withdrawn" in lost


def test_polls_that_follow_the_news_are_worth_more_than_those_at_one_interval() -> None:
    feeds = [feed for feed in map(WORLD.feed, range(WORLD.feeds)) if feed.rate > 1]
    polls = [
        Poll(WORLD.published(feed, newest + 1) + 1e-6, feed.number, Said.SHOWN)
        for feed in feeds
        for newest in [WORLD.newest(feed, BEGIN)]
    ]
    first = [Poll(BEGIN, feed.number, Said.SHOWN) for feed in feeds]
    found = news(WORLD, first + polls, ends=BEGIN + 1)
    assert found.found == 1.0
    assert 0.1 < found.at_one_interval < 1.0
