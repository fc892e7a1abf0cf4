"""A record that a newer version wrote is handled by each stage of this one.

Its unknown fields stay where they are and go no further; what is written on says to be
of this version's schema, so that nobody takes it for whole.
"""

from __future__ import annotations

import json

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mappings.embedded import EmbeddedIndex
from streams import events
from streams.annotate.agent import tag
from streams.correlate.decide import decide as correlate
from streams.dedupe.decide import decide as dedupe
from streams.index.agent import stage as index_stage
from streams.log.face import Output, Record
from streams.records import (
    SCHEMA_VERSION,
    Identity,
    Incident,
    Item,
    RawItem,
    Source,
    TaggedItem,
    UniqueItem,
)
from streams.stage import Decision, Received


NEWER = SCHEMA_VERSION + 1
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RAW_ITEM = RawItem(
    identities=(Identity(kind="guid", value="1"),),
    publisher="example.org",
    source=Source(connector="rss", id="desk"),
    title="Gunmen attack a convoy near Kayes",
    text="Gunmen killed 12 drivers on Thursday, officials said.",
    published=NOON,
    fetched=NOON,
)


def newer(value: bytes | None) -> bytes:
    """Return a record as a version after this one might write it."""
    document: dict[str, Any] = json.loads(value or b"")
    document |= {"schema": NEWER, "mood": "grim"}
    document["source"] |= {"mood": "grim"}
    return json.dumps(document).encode()


def stored(output: Output) -> Record:
    return Record(output.topic, 0, 7, 1_772_366_400_000, output.key, output.value, ())


def received(output: Output, kind: type[msgspec.Struct]) -> Received:
    record = stored(output._replace(value=newer(output.value)))
    return Received(record, events.decode(kind, record.value))


def schema_of(output: Output) -> int:
    assert b"mood" not in (output.value or b"")
    return int(json.loads(output.value or b"")["schema"])


async def test_each_stage_handles_it_and_says_what_it_wrote(tmp_path: Path) -> None:
    (unique,) = dedupe(received(events.raw(RAW_ITEM), RawItem), {}).outputs
    (tagged,) = tag([received(unique, UniqueItem).record.value or b""])
    assert isinstance(tagged, Output)
    outputs = correlate(received(tagged, TaggedItem), {}).outputs
    kinds: dict[str, type[msgspec.Struct]] = {"items": Item, "incidents": Incident}
    assert {one.topic for one in outputs} == kinds.keys()
    assert {schema_of(one) for one in (unique, tagged, *outputs)} == {SCHEMA_VERSION}

    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        handle = index_stage(index).handle
        assert handle is not None
        (item,) = [one for one in outputs if one.topic == "items"]
        outcomes = await handle([received(item, Item)])
        held = await index.get((item.key or b"").decode())
    assert outcomes == [Decision()]
    assert held == events.decode(Item, item.value)


@pytest.mark.parametrize("schema", [0, 1])
def test_an_older_record_keeps_its_version(schema: int) -> None:
    value = json.loads(events.encode(RAW_ITEM)) | {"schema": schema}
    assert events.decode(RawItem, json.dumps(value).encode()).schema == schema
