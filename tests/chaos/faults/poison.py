"""Records that are none of ours, records of a newer version, items that are too large.

What is malformed makes a dead letter; what is newer and compatible is read; what is too
large is refused at the door. All is a function of the generator that is passed.
"""

from __future__ import annotations

import json

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape

from streams import events
from streams.log.face import Headers, Log, Output, Position
from streams.records import RawItem
from streams.topics import Topic


HUGE_BYTES = 50 << 20
_HUGE_TEXT = "a very long report "
_DEEP = 200_000

#: Kind -> a value that is no record of ours.
MALFORMED: Mapping[str, Callable[[Random], bytes | None]] = {
    "not UTF-8": lambda rng: b'{"id":"' + rng.randbytes(20) + b'\xff"}',
    "random bytes": lambda rng: b"\x00" + rng.randbytes(rng.randint(1, 4000)),
    "truncated JSON": lambda rng: b'{"schema":1,"identities":[{"kind":"gu'[
        : rng.randint(1, 36)
    ],
    "wrong types": lambda _: b'{"schema":"one","identities":7,"id":[],"reports":{}}',
    "not an object": lambda rng: rng.choice((b"[]", b"7", b'"item"', b"true")),
    "JSON null": lambda _: b"null",
    "null": lambda _: None,
    "deep nesting": lambda _: b'{"x":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
    "huge numbers": lambda _: b'{"schema":1' + b"0" * 5000 + b',"id":1e99999}',
    "empty": lambda _: b"",
}


def malformed(rng: Random, kind: str) -> tuple[bytes | None, Headers]:
    """Return the value and headers of a record of this *kind* of malformation."""
    headers: Headers = ()
    if rng.random() < 0.5:
        headers = (
            ("ww_origin", b"\xff\xfe" + rng.randbytes(3)),
            ("ce_id", b"\xc3\x28"),
            ("ce_subject", rng.randbytes(12)),
            ("ww_country", b"\x1b[2J"),
        )
    return MALFORMED[kind](rng), headers


async def poison(log: Log, topic: Topic, rng: Random, kind: str) -> Position:
    """Append a malformed record to *topic*; return where it lies."""
    value, headers = malformed(rng, kind)
    key = b"poison-" + rng.randbytes(4)
    (position,) = await log.append([Output(topic.name, key, value, headers)])
    return position


def newer(item: RawItem) -> Output:
    """Return *item* as a newer version would write it: with fields unknown to us."""
    return _as_schema_2(item, _with_news)


def incompatible(item: RawItem) -> Output:
    """Return *item* as a newer version would write it that broke the rules."""
    return _as_schema_2(item, _broken)


def _as_schema_2(item: RawItem, change: Callable[[Any], Any]) -> Output:
    output = events.raw(item)
    record = json.loads(output.value or b"") | {"schema": 2}
    headers = tuple(
        (name, value.replace(b":1", b":2") if name == "ce_dataschema" else value)
        for name, value in output.headers
    )
    return output._replace(value=json.dumps(change(record)).encode(), headers=headers)


def _with_news(record: dict[str, Any]) -> dict[str, Any]:
    source = record["source"] | {"trust": {"level": 3}}
    news = {"tone": [0.1, None], "translations": {"fr": {"title": "…"}}}
    return record | news | {"source": source}


def _broken(record: dict[str, Any]) -> dict[str, Any]:
    known_as = {one["kind"]: one["value"] for one in record["identities"]}
    return record | {"identities": known_as}


def huge_entry(guid: str, size_bytes: int = HUGE_BYTES) -> Iterator[bytes]:
    """Yield an Atom entry whose text has *size_bytes*."""
    yield f"<entry><id>{escape(guid)}</id><title>huge</title><content>".encode()
    chunk = (_HUGE_TEXT * (1 << 12)).encode()
    for _ in range(size_bytes // len(chunk) + 1):
        yield chunk
    yield b"</content></entry>"


def huge_transcript(path: Path, size_bytes: int = HUGE_BYTES) -> None:
    """Write an SRT file of *size_bytes*: one cue."""
    with path.open("w", encoding="ascii") as file:
        file.write("1\n00:00:00,000 --> 01:00:00,000\n")
        _write_text(file.write, size_bytes)
        file.write("\n")


def huge_line(path: Path, guid: str, size_bytes: int = HUGE_BYTES) -> None:
    """Write a file of JSON lines, one, whose text has *size_bytes*."""
    with path.open("w", encoding="ascii") as file:
        file.write(f'{{"id":{json.dumps(guid)},"publisher":"huge.example","text":"')
        _write_text(file.write, size_bytes)
        file.write('"}\n')


def _write_text(write: Callable[[str], object], size_bytes: int) -> None:
    chunk = _HUGE_TEXT * (1 << 12)
    for _ in range(size_bytes // len(chunk) + 1):
        write(chunk)
