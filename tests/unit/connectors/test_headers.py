"""What a header says, and that nothing in it can do harm."""

from datetime import UTC, datetime, timedelta

import pytest

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from connectors.headers import (
    AGE_MAX_S,
    RETRY_AFTER_MAX_S,
    Links,
    links,
    max_age_s,
    retry_after_s,
)


NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
BASE = "https://paper.example/news/feed"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "public, max-age=600"}, 600),
        ({"Cache-Control": 'MAX-AGE="600"'}, 600),
        ({"Cache-Control": "max-age=600", "Age": "100"}, 500),
        ({"Cache-Control": "max-age=600", "Age": "900"}, 0),
        ({"Cache-Control": "max-age=600, no-cache"}, 0),
        ({"Cache-Control": "no-store, max-age=600"}, 0),
        ({"Cache-Control": "max-age=600, max-age=60"}, 60),
        ({"Cache-Control": "max-age=600, max-age=never"}, 0),
        ({"Cache-Control": "max-age=" + "9" * 5_000}, AGE_MAX_S),
        ({"Cache-Control": "max-age=-5"}, 0),
        ({"Cache-Control": "s-maxage=600"}, 0),  # for shared caches
        ({"Expires": "Tue, 24 Nov 2026 08:10:00 GMT"}, 600),
        (
            {
                "Expires": "Mon, 23 Nov 2026 00:10:00 GMT",
                "Date": "Mon, 23 Nov 2026 00:00:00 GMT",
            },
            600,
        ),
        ({"Expires": "0"}, 0),
        ({"Expires": "-1"}, 0),
        ({"Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        (
            {
                "Cache-Control": "max-age=60",
                "Expires": "Tue, 24 Nov 2026 08:10:00 GMT",
            },
            60,
        ),
    ],
)
def test_how_long_an_answer_holds(headers: dict[str, str], seconds: float) -> None:
    assert max_age_s(CIMultiDict(headers), NOW) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("Tue, 24 Nov 2026 08:02:00 GMT", 120),
        ("Tue, 24 Nov 2026 07:00:00 GMT", 0),
        ("soon", 0),
        ("", 0),
        ("-5", 0),
        ("9" * 5_000, RETRY_AFTER_MAX_S),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_S),
    ],
)
def test_how_long_a_server_asks_us_to_stay_away(value: str, seconds: float) -> None:
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (
            ['<https://hub.example/>; rel="hub"', f'<{BASE}>; rel="self"'],
            Links("https://hub.example/", BASE),
        ),
        (
            [
                "<https://hub.example/>;rel=hub, </news/feed>; title=\"a, b\"; rel='self'"
            ],
            Links("https://hub.example/", ""),
        ),
        (['</hub>; REL="alternate HUB"'], Links("https://paper.example/hub", "")),
        (
            ["<https://a.example/>; rel=hub, <https://b.example/>; rel=hub"],
            Links("https://a.example/", ""),
        ),
        (['<https://hub.example/>; rel=hub; anchor="/other"'], Links()),
        (['<https://hub.example/>; rel="next"; rel="hub"'], Links()),
        (["<javascript:alert(1)>; rel=hub", "<file:///x>; rel=self"], Links()),
        (["<https://me:sesame@hub.example/>; rel=hub"], Links()),
        (["<https://hub.example/?token=sesame>; rel=hub"], Links()),
        (["<http://[bad/>; rel=hub", "<", "rel=hub", ""], Links()),
    ],
)
def test_hub_and_topic_of_a_document(fields: list[str], found: Links) -> None:
    assert links(fields, BASE) == found


def test_a_field_that_is_made_to_be_slow_is_not() -> None:
    for evil in ("<" * 8_000, "<a>" + ";" * 8_000, '<a>;a="' * 1_000, "<a>; " * 1_600):
        assert links([evil] * 100, BASE) == Links()
        max_age_s(CIMultiDict({"Cache-Control": evil}), NOW)


@given(st.text(max_size=60))
def test_no_text_is_too_odd(value: str) -> None:
    assert 0 <= retry_after_s(value, NOW) <= RETRY_AFTER_MAX_S
    for name in ("Cache-Control", "Expires", "Date", "Age"):
        headers = CIMultiDict({"Expires": "Tue, 24 Nov 2026 08:10:00 GMT"})
        headers[name] = value
        assert 0 <= max_age_s(headers, NOW) <= AGE_MAX_S
    assert isinstance(links([value, f"<{value}>; rel=hub"], BASE), Links)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_pause_until_a_date_is_never_longer_than_a_week(date: datetime) -> None:
    value = date.strftime("%a, %d %b %Y %H:%M:%S GMT")
    expected = min(
        max(date.replace(microsecond=0) - NOW, timedelta()), timedelta(days=7)
    )
    if date.year > 999:
        assert retry_after_s(value, NOW) == expected.total_seconds()
