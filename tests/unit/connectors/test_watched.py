"""A feed as the connector holds it: what the user says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from connectors.rss.roster import Rolled
from connectors.rss.watched import watched
from streams.records import FeedHealth
from streams.settings import Feed


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)
FEED = Feed(url="https://a.example/", id="a")
LATER = NOW + timedelta(minutes=1)


def at_rest(state: Literal["parked", "gone"]) -> FeedHealth:
    return FeedHealth(
        source="a",
        url="https://a.example/",
        state=state,
        failures=30.0,
        failed_in_a_row=40,
        told=(state, "silent"),
        polled=NOW,
        next_poll=NOW + timedelta(days=7),
        updated=NOW,
    )


@pytest.mark.parametrize("state", ["parked", "gone"])
def test_a_parked_feed_that_is_resumed_is_asked_again_and_told_of_anew(
    state: Literal["parked", "gone"],
) -> None:
    one = watched("a", Rolled(FEED, paused=False, origin="added"), None, at_rest(state))
    assert one.health.state == state

    assert one.take_up(Rolled(FEED, paused=False, origin="added", said=LATER), LATER)

    assert (one.health.state, one.health.next_poll) == ("waiting", None)
    assert (one.health.failures, one.health.told) == (0.0, ("silent",))


def test_what_was_said_before_it_was_parked_revives_nothing() -> None:
    rolled = Rolled(FEED, paused=False, origin="added", said=NOW - timedelta(days=1))
    one = watched("a", rolled, None, at_rest("parked"))
    assert one.health.state == "parked"
    assert not one.take_up(rolled, LATER)


def test_a_resume_while_no_connector_ran_counts_when_it_starts() -> None:
    rolled = Rolled(FEED, paused=False, origin="file", said=LATER)
    assert watched("a", rolled, None, at_rest("parked")).health.state == "waiting"
