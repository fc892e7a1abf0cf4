"""How feeds read to a person: states, lines, hosts, summaries, names."""

from __future__ import annotations

import time

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args, get_type_hints

import msgspec
import pytest
import typer

from connectors.rss.roster import merged
from connectors.rss.shard import Shard
from console import feeds_known, feeds_lines
from console.context import Context
from console.feeds_edit import Additions
from console.feeds_known import Known, demand, joined, unwatched
from streams.records import FeedHealth, WatchedFeed
from streams.settings import Feed


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)


def feed(
    ident: str, *, tags: tuple[str, ...] = (), paused: bool = False, **health: object
) -> Known:
    url = f"https://{ident}"
    values = {"source": ident, "url": url, "updated": NOW} | health
    return Known(
        ident,
        Feed(url=url, id=ident, tags=tags),
        paused,
        "added",
        FeedHealth(**values),  # type: ignore[arg-type]
    )


def test_a_feed_is_a_line_with_state_times_rate_lateness_gaps_flags_and_reason() -> (
    None
):
    one = feed(
        "a.example/feed",
        state="parked",
        because="https://a.example/feed: the server answers 404",
        good=NOW - timedelta(days=9),
        interval_s=300.0,
        daily=12.34,
        lateness_s=700.0,
        gaps=3,
        flags=("silent",),
        title="The A",
    )
    text = feeds_lines.line(one, NOW).plain
    assert " ".join(text.split()) == (
        "parked 9d - 5m 12.3 12m 3 a.example/feed The A [silent] the server answers 404"
    )


def test_the_summary_counts_states_polls_and_what_they_bring() -> None:
    told = feeds_lines.summary(
        [
            feed("a", state="good", interval_s=60.0, polls=30, polls_new=9),
            feed("b", state="parked", interval_s=60.0, polls=10, polls_new=1),
            feed("c", state="good", interval_s=120.0, paused=True),
        ]
    )
    assert told == (
        "3 feeds: 1 good, 1 paused, 1 parked · 60 polls an hour · "
        "25% of 40 polls so far brought something new"
    )


def test_polls_an_hour_are_no_more_than_hosts_and_waits_allow() -> None:
    feeds = [feed(f"a.example/{n}", state="good", interval_s=5.0) for n in range(9)]
    feeds = [one._replace(health=_at(one.health, "a.example")) for one in feeds]
    assert "6,480 polls an hour" in feeds_lines.summary(feeds)
    assert "3,600 polls an hour" in feeds_lines.summary(feeds, gap_s=1.0)
    assert feeds_lines.hosts(feeds, gap_s=1.0)[0].polls_an_hour == 3600.0
    hours = NOW + timedelta(hours=6)
    ill = feed("b", state="failing", interval_s=60.0, polled=NOW, next_poll=hours)
    assert feeds_lines.polls_an_hour([ill], 0.0) == pytest.approx(1 / 6)


def _at(health: FeedHealth, host: str) -> FeedHealth:
    return msgspec.structs.replace(health, url=f"https://{host}/")


def test_of_a_feed_that_never_answered_no_rate_is_shown() -> None:
    ill = feed("a", state="failing", daily=4.0, polls=3)
    assert "4.0" not in feeds_lines.line(ill, NOW).plain
    assert not any("a day" in one.plain for one in feeds_lines.page(ill, "f", NOW))


def test_a_feed_at_rest_is_asked_again_and_shows_when() -> None:
    week = NOW + timedelta(days=7)
    for state in ("parked", "gone"):
        one = feed("a", state=state, next_poll=week)
        assert " 7d " in feeds_lines.line(one, NOW).plain
        assert any("in 7d" in line.plain for line in feeds_lines.page(one, "f", NOW))


def test_a_feed_tells_which_shard_reads_it() -> None:
    one = feed("a.example/feed")
    lines = [line.plain for line in feeds_lines.page(one, "f", NOW, 8)]
    (shard,) = [line.split()[1] for line in lines if line.split()[0] == "shard"]
    assert Shard.parse(shard).total == 8
    assert Shard.parse(shard).holds("a.example")


def test_on_servers_feeds_that_nobody_asks_are_told_by_what_is_overdue(
    tmp_path: Path,
) -> None:
    file = tmp_path / "wirewatch.toml"
    file.write_text('mode = "servers"\n')
    at = Context(config=file)
    long_ago = NOW - timedelta(hours=3)
    late = feed("a", state="good", polled=long_ago, next_poll=long_ago)
    assert unwatched(at, [late], NOW) == (
        "1 feed overdue, and the latest was asked 3 h ago: does 'connect rss' run?"
    )
    assert not unwatched(at, [late, feed("b", polled=NOW)], NOW)
    assert not unwatched(at, [feed("a", polled=long_ago, next_poll=NOW)], NOW)
    assert "none was ever asked" in unwatched(at, [feed("a")], NOW)
    assert not unwatched(at, [feed("a", paused=True)], NOW)


def test_the_worst_come_first() -> None:
    states = ("good", "failing", "gone", "waiting", "parked")
    feeds = [feed(state, state=state) for state in states]
    feeds.append(feed("silent", state="good", flags=("silent",)))
    found = [one.id for one in feeds_lines.ordered(feeds, "worst")]
    assert found == ["gone", "parked", "failing", "waiting", "silent", "good"]


def test_hosts_tell_how_many_of_their_feeds_fail_and_why_last() -> None:
    found = feeds_lines.hosts(
        [
            feed("well.example/1", state="good", interval_s=60.0),
            feed("ill.example/1", state="failing", because="a", polled=NOW),
            feed("ill.example/2", state="gone", because="b", polled=None),
        ]
    )
    assert [
        (one.host, one.feeds, one.failing, one.parked, one.gone) for one in found
    ] == [
        ("ill.example", 2, 1, 0, 1),
        ("well.example", 1, 0, 0, 0),
    ]
    assert (found[0].because, found[0].failed) == ("a", NOW)


def test_every_flag_of_a_feeds_health_is_explained() -> None:
    flags = get_args(get_args(get_type_hints(FeedHealth)["flags"])[0])
    assert feeds_lines.FLAGS.keys() == set(flags)


def test_what_a_person_said_last_is_its_state() -> None:
    record = WatchedFeed(id="a", paused=True, added=NOW)
    rolled = merged({"a": Feed(url="https://a.example/")}, {"a": record})
    health = {"a": FeedHealth(source="a", state="failing", updated=NOW)}
    assert joined(rolled, health, NOW)["a"].state == "paused"
    resumed = merged({"a": Feed(url="https://a.example/")}, {})
    health = {"a": FeedHealth(source="a", state="paused", updated=NOW)}
    assert joined(resumed, health, NOW)["a"].state == "waiting"


def test_history_outlives_a_removal() -> None:
    health = {"a": FeedHealth(source="a", published=7, updated=NOW)}
    assert joined({}, health, NOW) == {}
    assert joined({}, health, NOW, removed=True)["a"].health.published == 7


def test_credentials_are_in_no_output() -> None:
    secret = Feed(url="https://me:pw1@a.example/?token=pw2")
    one = feed("a")._replace(feed=secret)
    page = "\n".join(line.plain for line in feeds_lines.page(one, "f.toml", NOW))
    assert "pw" not in page + str(feeds_lines.as_json(one))


def test_a_tag_means_what_is_within_it_and_a_host_what_is_below() -> None:
    one = feed("radio.example.org/feed", tags=("Africa/Mali",))
    assert feeds_known.fits_tag(one, "Africa")
    assert not feeds_known.fits_tag(one, "Afri")
    assert feeds_known.fits_host(one, "example.org")
    assert not feeds_known.fits_host(one, "ample.org")


def test_a_feed_is_found_by_its_id_or_its_address() -> None:
    feeds = {"paper": feed("paper")._replace(feed=Feed(url="https://a.example/rss"))}
    for name in ("paper", "http://www.a.example/rss/"):
        assert demand(feeds, [name])[0].id == "paper"


def test_an_unknown_feed_among_many_is_answered_soon_with_the_nearest() -> None:
    feeds = {f"h{n}.example/feed": feed(f"h{n}.example/feed") for n in range(20_000)}
    began = time.monotonic()
    with pytest.raises(typer.BadParameter, match=r"mean 'h77\.example/feed'"):
        demand(feeds, ["77.example/feed"])
    assert time.monotonic() - began < 5


def test_of_one_address_or_id_a_second_feed_is_not_added() -> None:
    listing = Additions({"a": feed("a")._replace(feed=Feed(url="https://a.example/"))})
    listing.take(Feed(url="http://www.a.example/?utm_source=x"))
    listing.take(Feed(url="https://b.example/", id="a"))
    listing.take(Feed(url="https://b.example/"))
    listing.take(Feed(url="https://b.example"))
    assert [one.id for one in listing.added] == ["b.example/"]
    assert len(listing.there) == 2
    assert "another feed is called 'a'" in listing.refused[0]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "-"), (45, "45s"), (700, "12m"), (9_000, "2h"), (200_000, "2d")],
)
def test_lengths_of_time_are_short(seconds: float, told: str) -> None:
    assert feeds_lines.short(seconds) == told
