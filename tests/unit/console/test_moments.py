"""Times, and places on a topic, as a person types them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from console import moments


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("-10m", datetime(2026, 11, 24, 8, 0, tzinfo=UTC)),
        ("2026-11-24T07:00Z", datetime(2026, 11, 24, 7, 0, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("latest", None),
        ("-99999999d", None),
    ],
)
def test_a_time_is_a_moment_or_how_long_ago(text: str, moment: datetime | None) -> None:
    assert moments.parse(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "-5y", "beginning", "latest", "12"])
def test_where_only_a_time_will_do_no_word_is_taken_or_offered(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="2026-11-24T08:00Z") as refused:
        moments.moment(text, "--since")
    assert "beginning" not in refused.value.message.removeprefix(repr(text))


def test_a_filter_that_is_not_given_has_no_time() -> None:
    assert moments.moment("", "--since") is None


@pytest.mark.parametrize("text", ["beginning", "latest"])
def test_a_place_may_be_a_word(text: str) -> None:
    assert moments.place(text, "--from") == text


def test_a_place_may_be_an_offset_or_a_time() -> None:
    assert moments.place("120", "--from") == 120
    at = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    assert moments.place("2026-11-24T08:00Z", "--from") == at


def test_a_place_that_is_none_is_refused_with_all_that_would_be_one() -> None:
    with pytest.raises(typer.BadParameter, match="beginning, latest, an offset"):
        moments.place("start", "--from")
