from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from hypothesis import given
from hypothesis import strategies as st

from streams.clock import from_ms, now, to_ms


YEAR_1_MS = -62_135_596_800_000
YEAR_9999_MS = 253_402_300_799_999


@given(st.integers(YEAR_1_MS, YEAR_9999_MS))
def test_milliseconds_survive_the_way_there_and_back(milliseconds: int) -> None:
    assert to_ms(from_ms(milliseconds)) == milliseconds


@given(st.integers(YEAR_1_MS, YEAR_9999_MS - 1))
def test_a_millisecond_later_is_a_millisecond_later(milliseconds: int) -> None:
    later = from_ms(milliseconds + 1) - from_ms(milliseconds)
    assert later == timedelta(milliseconds=1)


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.timezones())  # noqa: DTZ001 - bounds of what is drawn
)
def test_the_zone_does_not_matter(moment: datetime) -> None:
    assert to_ms(moment) == to_ms(moment.astimezone(UTC))


def test_a_fraction_of_a_millisecond_is_left_out() -> None:
    just_before = datetime(1970, 1, 1, 0, 0, 1, 999, tzinfo=UTC)
    assert to_ms(just_before) == 1000


def test_the_epoch_is_zero() -> None:
    assert from_ms(0) == datetime(1970, 1, 1, tzinfo=UTC)
    bamako_and_paris = datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert to_ms(bamako_and_paris) == 0


def test_a_time_without_a_zone_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="no time zone"):
        to_ms(datetime(2024, 1, 1))  # noqa: DTZ001 - that is the point


def test_now_is_in_utc() -> None:
    assert now().tzinfo is UTC
