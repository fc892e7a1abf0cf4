from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console import letters
from streams import events
from streams.letters import Book
from streams.log.face import Record
from streams.topics import DEADLETTERS, RAW


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LETTER = events.dead_letter(
    Record(RAW.name, 0, 7, 0, b"example.org", b"\xff\x1b[31m", ()),
    stage="dedupe",
    kind="RecordError",
    reason="not a RawItem",
    now=NOON,
)


def book() -> tuple[Record, Book]:
    at_ms = int(NOON.timestamp() * 1000)
    record = Record(DEADLETTERS.name, 0, 3, at_ms, *LETTER[1:4])
    book = Book({0: 4})
    book.enter(record)
    return record, book


def test_a_warning_says_how_many_when_and_what_keeps_them() -> None:
    _, there = book()
    assert not letters.warning(there, NOON + timedelta(days=75), "wirewatch d")
    assert letters.warning(there, NOON + timedelta(days=77), "wirewatch d") == (
        "1 open dead letter will expire, the first on 30 May 2026 12:00 UTC: "
        "'wirewatch d retry --all' brings them back, 'wirewatch d export FILE' keeps them"
    )


def test_an_exported_letter_has_its_bytes_and_its_state() -> None:
    record, there = book()
    line = letters.exported(record, there)
    assert line["value_base64"] == "/xtbMzFt"
    assert (line["state"], line["tries"]) == ("open", 1)
    text = letters.exported(record._replace(value=b'{"a": 1}'), there)
    assert text["value"] == '{"a": 1}'
