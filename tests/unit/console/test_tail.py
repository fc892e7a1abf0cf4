"""A topic as JSON lines."""

from __future__ import annotations

import base64
import json

from datetime import UTC, datetime

import pytest
import typer

from hypothesis import given
from hypothesis import strategies as st

from console import escape
from console.tail import as_json, parse_moment
from streams.log.face import Record


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)


def record(value: bytes | None, key: bytes | None = b"k") -> Record:
    return Record("items", 2, 7, 1_000, key, value, (("ce_id", b"x\xff"),))


def test_a_record_is_given_with_its_place_time_key_headers_and_value() -> None:
    line = json.loads(escape.dumps(as_json(record(b'{"title": "A"}'))))

    assert line == {
        "topic": "items",
        "partition": 2,
        "offset": 7,
        "timestamp": "1970-01-01T00:00:01Z",
        "key": "k",
        "headers": {"ce_id": "x\ufffd"},
        "value": {"title": "A"},
    }


def test_a_tombstone_has_the_value_null() -> None:
    assert as_json(record(None, None))["value"] is None


@pytest.mark.parametrize("value", [b"\xff\x00", b"{", b"NaN", b"[" * 100_000])
def test_bytes_that_are_no_json_are_given_as_base64(value: bytes) -> None:
    assert base64.b64decode(as_json(record(value))["value_base64"]) == value


@given(st.binary(), st.binary())
def test_any_bytes_make_a_line_that_a_program_can_read(
    key: bytes, value: bytes
) -> None:
    line = escape.dumps(as_json(record(value, key)))

    assert "\n" not in line
    assert json.loads(line)["offset"] == 7


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("latest", None),
        ("beginning", None),
        ("-10m", datetime(2026, 11, 24, 8, 0, tzinfo=UTC)),
        ("2026-11-24T07:00Z", datetime(2026, 11, 24, 7, 0, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_where_to_begin_is_a_word_a_time_or_how_long_ago(
    text: str, moment: datetime | None
) -> None:
    assert parse_moment(text, now=NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "-99999999d", "-5y", ""])
def test_what_is_no_time_is_an_error_that_shows_what_would_be(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="2026-11-24T08:00Z"):
        parse_moment(text, now=NOW)
