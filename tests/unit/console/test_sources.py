"""What ``check`` tells of sources: no more than the log knows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console import sources
from streams.records import Cursor
from streams.settings import Feed, Radio, Rss, Settings, Station


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)
SETTINGS = Settings(
    rss=Rss(
        feeds=(
            Feed(url="https://example.org/feed"),
            Feed(id="slow", url="https://example.org/slow", interval_s=86_400),
            Feed(id="never", url="https://example.org/never"),
        )
    ),
    radio=Radio(stations=(Station(id="r", folder="r"),)),
)


def cursors(**ages: timedelta) -> dict[str, Cursor]:
    return {
        name: Cursor(source=name, position={}, updated=NOW - age)
        for name, age in ages.items()
    }


def test_a_source_that_gave_something_lately_is_not_named() -> None:
    two_hours, two_days = timedelta(hours=2), timedelta(days=2)
    known = cursors(
        **{
            "example.org/feed": two_hours,
            "slow": two_days,
            "r/old": two_days,
            "r/new": two_hours,
        }
    )

    found = sources.heard(SETTINGS, known)

    assert [one.id for one in found if one.is_silent(NOW)] == ["never"]
    assert sources.summary(found, NOW) == (
        "3 of them have given something, the latest 2 h ago"
    )


def test_silence_is_told_as_silence_and_where_to_look_for_its_cause() -> None:
    found = sources.heard(SETTINGS, cursors(**{"example.org/feed": timedelta(days=3)}))

    first, *_ = sources.silences(found, NOW)

    assert "'example.org/feed': nothing new since 21 Nov 2026 08:10 UTC" in first
    assert "'connect rss'" in first


def test_where_nothing_was_read_no_source_is_said_to_do_well() -> None:
    found = sources.heard(SETTINGS, {})

    assert sources.summary(found, NOW).startswith("none has given anything yet")
    assert all(one.is_silent(NOW) for one in found)
