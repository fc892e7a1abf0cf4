"""What ``check`` tells of sources: no more than the log knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console import sources
from console.feeds_known import Known
from streams.records import Cursor, FeedHealth
from streams.settings import Feed, Station


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)


def feed(ident: str, *, paused: bool = False, **health: object) -> Known:
    url = f"https://{ident}.example/feed"
    values = {"source": ident, "url": url, "updated": NOW, "polled": NOW} | health
    return Known(
        ident,
        Feed(url=url, id=ident),
        paused,
        "added",
        FeedHealth(**values),  # type: ignore[arg-type]
    )


def told(*feeds: Known) -> list[str]:
    return [one.text for one in sources.of_feeds(feeds, "wirewatch feeds")]


def test_check_names_failing_parked_and_silent_feeds_with_the_reason() -> None:
    lines = told(
        feed("well", state="good"),
        feed("slow", state="failing", because="no whole answer within 30 s"),
        feed("dead", state="gone", because="the server answers 410", good=NOW),
        feed("mute", state="good", flags=("silent",)),
    )
    assert lines[0].startswith("4 feeds: 2 good, 1 failing, 1 gone")
    assert lines[1:] == [
        "feed 'dead' is gone, good last 24 Nov 2026 08:10 UTC: the server answers 410",
        "feed 'slow' is failing: no whole answer within 30 s",
        "feed 'mute': silent: nothing new for far longer than its habit",
    ]


def test_a_feed_that_has_moved_is_told_with_its_new_address() -> None:
    (_, line) = told(feed("a", state="good", url="https://new.example/"))
    assert line == "feed 'a' has moved for good and is asked at https://new.example/"


def test_a_paused_feed_is_no_trouble() -> None:
    assert len(told(feed("a", paused=True, state="failing"))) == 1


def test_many_that_fail_are_counted_not_listed() -> None:
    lines = told(*(feed(f"f{n}", state="failing", because="x") for n in range(500)))
    assert len(lines) == sources.NAMED_MAX + 2
    assert lines[-1] == "and 490 more: 'wirewatch feeds' lists them"


def test_that_nobody_asks_the_feeds_is_said() -> None:
    notes = list(sources.of_feeds([feed("a")], "wirewatch feeds", unwatched="nobody"))
    assert notes[1] == sources.Note("nobody", look=True)


def test_a_network_that_is_away_is_one_sentence() -> None:
    ill = [feed(f"f{n}", state="failing", failure="dns", because="x") for n in range(9)]
    (line,) = told(*ill)[1:]
    assert line.startswith(
        "not one name of 9 feeds can be looked up: is there a network"
    )
    ill[0] = feed("f0", state="failing", failure="connection", because="refused")
    assert told(*ill)[1:] == [
        "none of 9 feeds can be reached: is there a network, or a proxy between?"
    ]
    ill[0] = feed("f0", state="good")
    assert len(told(*ill)) == 9, "one that answers shows that the network is there"


def test_feeds_of_one_address_are_reported() -> None:
    one, other = feed("a", state="good"), feed("b", state="good")
    (*_, line) = told(one, other._replace(feed=Feed(url="http://www.a.example/feed")))
    assert "watched more than once, such as 'a' and 'b'" in line


def test_a_station_is_silent_when_none_of_its_files_is_new() -> None:
    def read(ago: timedelta) -> Cursor:
        return Cursor(source="", position={}, updated=NOW - ago)

    cursors = {
        "well/old": read(timedelta(days=9)),
        "well/new": read(timedelta(hours=1)),
        "mute/old": read(timedelta(days=3)),
    }
    stations = [Station(id=ident, folder=ident) for ident in ("well", "mute", "never")]
    notes = [one.text for one in sources.of_stations(stations, cursors, NOW)]
    assert notes[0] == "3 stations"
    assert notes[1].startswith("station 'mute': nothing new since 21 Nov 2026 08:10")
    assert notes[2].startswith("station 'never': nothing yet")
