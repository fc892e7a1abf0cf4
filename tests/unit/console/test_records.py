"""A record, as a person names it and as a line of JSON."""

from __future__ import annotations

import base64
import json

import pytest

from hypothesis import given
from hypothesis import strategies as st

from console import escape
from console.records import as_json, named
from streams.log.face import Position, Record


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
    ("text", "position"),
    [
        ("12", Position("deadletters", 0, 12)),
        ("items.raw/3/7", Position("items.raw", 3, 7)),
        ("-1", None),
        ("x", None),
    ],
)
def test_a_number_is_a_dead_letter_and_all_else_a_position(
    text: str, position: Position | None
) -> None:
    assert named(text) == position
