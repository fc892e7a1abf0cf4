from __future__ import annotations

import re

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams import events, topics
from streams.errors import RecordError
from streams.log.face import Output, Record
from streams.records import (
    Classification,
    Cursor,
    Event,
    Identity,
    Incident,
    Item,
    Language,
    Place,
    RawItem,
    Source,
    TaggedItem,
    UniqueItem,
)
from streams.topics import Topic
from tests import strategies
from tests.strategies import HOSTILE


NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)
WRITERS: list[tuple[Callable[[Any], Output], type[msgspec.Struct], Topic]] = [
    (events.raw, RawItem, topics.RAW),
    (events.unique, UniqueItem, topics.UNIQUE),
    (events.tagged, TaggedItem, topics.TAGGED),
    (events.item, Item, topics.ITEMS),
    (events.incident, Incident, topics.INCIDENTS),
    (events.cursor, Cursor, topics.CURSORS),
]
each_writer = pytest.mark.parametrize(
    ("write", "kind", "topic"), WRITERS, ids=[topic.name for _, _, topic in WRITERS]
)
few = settings(max_examples=25)  # a record is large


def headers(output: Output) -> dict[str, str]:
    names = [name for name, _ in output.headers]
    assert len(names) == len(set(names)), "a header twice"
    return {name: value.decode() for name, value in output.headers}


RAW_ITEM = RawItem(
    identities=(Identity(kind="guid", value="g1"),),
    publisher="a.example",
    source=Source(connector="rss", id="a.example/feed"),
    fetched=NOON,
)
ITEM = Item(
    **msgspec.structs.asdict(RAW_ITEM),
    id="i1",
    revision=2,
    content_hash="h",
    first_seen=NOON,
    anchor=NOON,
    version=7,
)
RECORD = Record("items.raw", 3, 41, 0, b"k", b"v", ())


@each_writer
@few
@given(data=st.data())
def test_a_record_is_read_as_it_was_written(
    write: Callable[[Any], Output],
    kind: type[msgspec.Struct],
    topic: Topic,
    data: st.DataObject,
) -> None:
    record = data.draw(strategies.of(kind))
    output = write(record)
    assert output.topic == topic.name
    assert events.decode(kind, output.value) == record


@each_writer
@few
@given(data=st.data())
def test_a_record_has_the_headers_of_cloudevents(
    write: Callable[[Any], Output],
    kind: type[msgspec.Struct],
    topic: Topic,
    data: st.DataObject,
) -> None:
    """Kafka protocol binding 1.0.2, binary content mode; attributes of 1.0.2."""
    found = headers(write(data.draw(strategies.of(kind))))
    assert found["ce_specversion"] == "1.0"
    assert found["ce_id"]
    assert found["ce_type"] == f"wirewatch.{kind.__name__}"
    assert found["ce_dataschema"] == f"wirewatch:{topic.record.__name__}:1"  # type: ignore[union-attr] # has one
    assert found["content-type"] == "application/json"
    assert datetime.fromisoformat(found["ce_time"]).tzinfo is not None
    assert urlsplit(found["ce_source"]).path.startswith("/wirewatch/")
    assert re.fullmatch(r"[\w/:@!$&'()*+,;=~.%-]+", found["ce_source"], re.ASCII)


@pytest.mark.parametrize(
    ("output", "key"),
    [
        (events.raw(RAW_ITEM), b"a.example"),
        (events.item(ITEM), b"i1"),
        (
            events.cursor(Cursor(source="a.example/feed", updated=NOON)),
            b"a.example/feed",
        ),
    ],
)
def test_a_record_lies_under_the_key_that_its_topic_declares(
    output: Output, key: bytes
) -> None:
    assert output.key == key
    assert output.partition is None


def test_the_id_of_an_event_is_the_id_and_what_was_said_about_it() -> None:
    assert headers(events.unique(ITEM))["ce_id"] == "i1/r2"
    assert headers(events.item(ITEM))["ce_id"] == "i1/7"
    assert headers(events.item(ITEM))["ce_subject"] == "i1"


def test_two_fetches_of_one_entry_are_two_events() -> None:
    earlier, later = RAW_ITEM, replace(RAW_ITEM, fetched=NOON.replace(hour=13))
    assert headers(events.raw(earlier))["ce_id"] != headers(events.raw(later))["ce_id"]
    assert (
        headers(events.raw(earlier))["ce_subject"]
        == headers(events.raw(later))["ce_subject"]
    )


def test_an_identity_of_any_length_leaves_the_headers_small() -> None:
    guid = Identity(kind="guid", value="x" * 400_000)
    output = events.raw(replace(RAW_ITEM, identities=(guid,)))
    assert sum(len(value) for _, value in output.headers) < 10_000


def test_a_subscriber_can_filter_by_headers() -> None:
    found = headers(
        events.tagged(
            replace(
                ITEM,
                language=Language(code="fr"),
                events=(
                    Event(
                        incident_class=Classification(label="battle", confidence=0.5)
                    ),
                ),
                places=(
                    Place(name="Paris", country="FR"),
                    Place(name="Kayes", country="ML", role="scene"),
                ),
            )
        )
    )
    assert found["ww_class"] == "battle"
    assert found["ww_country"] == "ML"
    assert found["ww_language"] == "fr"


def test_text_that_is_not_unicode_is_refused_as_the_records_fault() -> None:
    with pytest.raises(RecordError, match=r"cannot be a RawItem: .*surrogates"):
        events.raw(replace(RAW_ITEM, title="\ud800"))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "a tombstone where a RawItem should be"),
        (b"", "not a RawItem: Input data was truncated"),
        (b"\xff", "not a RawItem: "),
        (b"[]", "not a RawItem: Expected `object`, got `array`"),
        (b"{}", "not a RawItem: Object missing required field `identities`"),
        (b'{"x":' + b"[" * 200_000, "not a RawItem: maximum recursion depth"),
    ],
)
def test_bad_bytes_are_the_records_fault(value: bytes | None, said: str) -> None:
    with pytest.raises(RecordError, match=re.escape(said)):
        events.decode(RawItem, value)


@given(st.binary())
def test_any_bytes_are_a_record_or_a_record_error(value: bytes) -> None:
    with pytest.raises(RecordError):
        events.decode(Item, value)


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=9)), max_size=3),
    HOSTILE,
)
def test_a_dead_letter_is_the_record_and_why(
    key: bytes | None,
    value: bytes | None,
    came_with: list[tuple[str, bytes]],
    reason: str,
) -> None:
    record = RECORD._replace(key=key, value=value, headers=tuple(came_with))
    letter = events.dead_letter(
        record, stage="dedupe", kind="RecordError", reason=reason, now=NOON
    )
    assert letter.topic == topics.DEADLETTERS.name
    assert (letter.key, letter.value) == (key, value)
    assert letter.headers[: len(came_with)] == tuple(came_with)
    added = dict(letter.headers[len(came_with) :])
    assert added[events.DEAD_REASON] == reason[:2000].encode("utf-8", "replace")
    assert added[events.DEAD_STAGE] == b"dedupe"
    assert added[events.DEAD_KIND] == b"RecordError"
    assert added[events.DEAD_POSITION] == b"items.raw/3/41"
    assert added[events.DEAD_TIME] == b"2024-05-17T12:00:00+00:00"


def test_a_dead_letter_keeps_the_origin_of_its_record() -> None:
    record = RECORD._replace(
        topic="items.unique", headers=(("ww_origin", b"items.raw/0/9"),)
    )
    letter = events.dead_letter(record, stage="s", kind="k", reason="r", now=NOON)
    assert headers(letter)["ww_origin"] == "items.raw/0/9"
    assert headers(letter)["ww_position"] == "items.unique/3/41"


def test_a_record_from_a_connector_is_its_own_origin() -> None:
    assert events.origin_of(RECORD) == "items.raw/3/41"


def test_a_header_without_a_value_is_empty() -> None:
    headers: Any = ((events.ORIGIN, None),)
    record = Record("items.raw", 3, 17, 0, None, b"", headers)
    assert events.origin_of(record) == "items.raw/3/17"


def test_a_dead_letter_that_dies_again_has_its_latest_reason_only() -> None:
    first = events.dead_letter(RECORD, stage="a", kind="k", reason="1", now=NOON)
    again = RECORD._replace(topic="items.raw", offset=99, headers=first.headers)
    second = events.dead_letter(again, stage="b", kind="k", reason="2", now=NOON)
    assert headers(second)["ww_reason"] == "2"
    assert headers(second)["ww_origin"] == "items.raw/3/41"


@given(HOSTILE, HOSTILE)
def test_what_is_refused_at_the_door_is_described(source: str, reason: str) -> None:
    letter = events.refused_at_door(
        stage="rss", source="s", kind="too large", reason="900 kB", document={"size": 1}
    )
    assert msgspec.json.decode(letter.value or b"") == {
        "source": "s",
        "reason": "900 kB",
        "size": 1,
    }
    assert headers(letter)["ww_kind"] == "too large"
    events.refused_at_door(
        stage="rss", source=source, kind="k", reason=reason, document={}
    )


def test_what_follows_from_a_replay_is_marked_as_the_replay() -> None:
    replay = (events.REPLAY, b"annotate-20261124T0915Z")
    record = RECORD._replace(headers=(*RECORD.headers, replay))

    assert events.thread_of(record)[1:] == (replay,)


def test_what_is_new_names_no_replay() -> None:
    assert [name for name, _ in events.thread_of(RECORD)] == [events.ORIGIN]
