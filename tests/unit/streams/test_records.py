from __future__ import annotations

import json

from typing import Any

import msgspec
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.records import (
    SCHEMA_VERSION,
    Classification,
    Cursor,
    Event,
    Incident,
    Item,
    RawItem,
    TaggedItem,
    UniqueItem,
)
from tests import strategies


#: The least that each record of version 1 holds: what a reader must be content with for
#: ever. A new field gets a default; then nothing here changes.
RAW_1: dict[str, Any] = {
    "identities": [{"kind": "guid", "value": "g"}],
    "publisher": "a.example",
    "source": {"connector": "rss", "id": "a.example/feed"},
    "fetched": "2024-05-17T12:00:00Z",
}
UNIQUE_1 = RAW_1 | {
    "id": "i1",
    "revision": 1,
    "content_hash": "h",
    "first_seen": "2024-05-17T12:00:00Z",
    "anchor": "2024-05-17T12:00:00Z",
}
VERSION_1: list[tuple[type[msgspec.Struct], dict[str, Any]]] = [
    (RawItem, RAW_1),
    (UniqueItem, UNIQUE_1),
    (TaggedItem, UNIQUE_1),
    (Item, UNIQUE_1 | {"version": 1}),
    (
        Incident,
        {
            "id": "n1",
            "version": 1,
            "incident_class": "battle",
            "first_seen": "2024-05-17T12:00:00Z",
            "last_seen": "2024-05-17T12:00:00Z",
        },
    ),
    (Cursor, {"source": "a.example/feed", "updated": "2024-05-17T12:00:00Z"}),
]
each_record = pytest.mark.parametrize(
    ("kind", "least"), VERSION_1, ids=[kind.__name__ for kind, _ in VERSION_1]
)


def decode(kind: type[msgspec.Struct], document: object) -> msgspec.Struct:
    return msgspec.json.decode(json.dumps(document), type=kind)


@each_record
def test_the_oldest_record_is_still_read(
    kind: type[msgspec.Struct], least: dict[str, Any]
) -> None:
    record = decode(kind, least)
    for field in msgspec.structs.fields(kind):
        if field.name not in least:
            assert getattr(record, field.name) == _default(field), field.name


@each_record
def test_no_more_is_required_than_was_at_first(
    kind: type[msgspec.Struct], least: dict[str, Any]
) -> None:
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    assert required == set(least)


@each_record
def test_what_a_newer_version_adds_is_passed_over(
    kind: type[msgspec.Struct], least: dict[str, Any]
) -> None:
    newer = least | {"schema": SCHEMA_VERSION + 1, "mood": {"of": ["the", "day"]}}
    assert decode(kind, newer) == msgspec.structs.replace(
        decode(kind, least), schema=SCHEMA_VERSION + 1
    )


def test_what_a_newer_version_adds_deeper_down_is_passed_over() -> None:
    newer = RAW_1 | {"source": RAW_1["source"] | {"mood": "good"}}
    assert decode(RawItem, newer) == decode(RawItem, RAW_1)


@settings(max_examples=25)
@given(strategies.of(Item))
def test_every_earlier_stage_can_read_what_a_later_one_wrote(item: Item) -> None:
    written = msgspec.json.encode(item)
    for earlier in (RawItem, UniqueItem, TaggedItem):
        read = msgspec.json.decode(written, type=earlier)
        for name in earlier.__struct_fields__:
            assert getattr(read, name) == getattr(item, name)


@each_record
@settings(max_examples=25)
@given(data=st.data())
def test_the_same_record_is_the_same_bytes(
    kind: type[msgspec.Struct], least: dict[str, Any], data: st.DataObject
) -> None:
    assert least
    record = data.draw(strategies.of(kind))
    written = msgspec.json.encode(record)
    assert msgspec.json.encode(msgspec.json.decode(written, type=kind)) == written


@pytest.mark.parametrize(
    "wrong",
    [
        {"fetched": "2024-05-17T12:00:00"},  # no zone: which noon?
        {"fetched": 1715947200.5},
        {"state": "gone"},
        {"publisher": None},
        {"recording": {"segments": [{"start_s": -1, "end_s": 2, "text": ""}]}},
        {"source": {"connector": "fax", "id": "x"}},
    ],
)
def test_what_a_field_does_not_allow_is_not_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        decode(RawItem, RAW_1 | wrong)


@each_record
def test_a_record_does_not_change(
    kind: type[msgspec.Struct], least: dict[str, Any]
) -> None:
    record = decode(kind, least)
    with pytest.raises(AttributeError, match="immutable"):
        record.schema = 2  # type: ignore[attr-defined] # that is the point


def test_the_main_class_is_that_of_the_first_event() -> None:
    item = decode(TaggedItem, UNIQUE_1)
    assert isinstance(item, TaggedItem)
    assert item.main_class == "none"
    told = tuple(
        Event(incident_class=Classification(label=label, confidence=1))
        for label in ("riot", "protest")
    )
    assert msgspec.structs.replace(item, events=told).main_class == "riot"


@each_record
def test_every_record_carries_its_schema_version(
    kind: type[msgspec.Struct], least: dict[str, Any]
) -> None:
    written = json.loads(msgspec.json.encode(decode(kind, least)))
    assert written == least | {"schema": 1}


def _default(field: Any) -> object:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory()
