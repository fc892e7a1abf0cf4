"""Records of the log as a person names them, and as a program reads them."""

from __future__ import annotations

import base64
import json as text_json

from typing import Any

from streams import clock
from streams.log.face import Log, Position, Record
from streams.topics import DEADLETTERS


def named(text: str) -> Position | None:
    """Return the position that *text* is, a number being a dead letter's; None for none."""
    return Position.parse(f"{DEADLETTERS.name}/0/{text}") or Position.parse(text)


async def at(log: Log, position: Position) -> Record | None:
    """Return the record at *position*; None if there is none, or no longer."""
    topic, partition, offset = position
    starts, ends = await log.starts(topic), await log.ends(topic)
    if not starts.get(partition, 0) <= offset < ends.get(partition, 0):
        return None
    async for record in log.read(topic, {partition: offset}, {partition: offset + 1}):
        return record
    return None


def as_json(record: Record) -> dict[str, Any]:
    """Return *record* for programs: its value as JSON where it is JSON."""
    line: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": clock.from_ms(record.timestamp_ms),
        "key": None if record.key is None else record.key.decode("utf-8", "replace"),
        "headers": {k: v.decode("utf-8", "replace") for k, v in record.headers},
    }
    if record.value is None:
        return line | {"value": None}
    try:
        value = text_json.loads(record.value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return line | {"value_base64": base64.b64encode(record.value).decode()}
    return line | {"value": value}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
