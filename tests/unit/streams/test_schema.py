from __future__ import annotations

import json
import re

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from streams import events, records, schema
from streams.log.face import Output, Record
from streams.topics import ALL, DEADLETTERS, DEDUPE_TABLE, Topic


DOCS = Path(__file__).parents[3] / "docs"
REGENERATE = "run: python -m streams.schema docs"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WITH_RECORD = [topic for topic in ALL if topic.record is not None]


def by_name(topic: Topic) -> str:
    return topic.name


def an_item() -> records.Item:
    span = records.Span(field="text", start=0, end=5)
    place = records.Place(name="Kayes", lat=14.4, lon=-11.4, country="ML", role="scene")
    return records.Item(
        identities=(records.Identity(kind="guid", value="g", usable=False),),
        publisher="example.org",
        source=records.Source(connector="rss", id="world", country="ML"),
        title="Convoy stopped",
        text="Fifteen drivers were killed near Kayes.",
        published=NOON,
        fetched=NOON,
        authors=("A. Reporter",),
        enclosures=(records.Enclosure(url="https://example.org/a.mp3"),),
        recording=records.Recording(
            recorded=NOON,
            recorded_from="name",
            segments=(records.Segment(start_s=0, end_s=2.5, text="Fifteen"),),
            recognizer=records.Recognizer(engine="e", confidence=0.5),
            marks=("invented",),
        ),
        id="i" + "0" * 24,
        revision=2,
        content_hash="f" * 24,
        first_seen=NOON,
        anchor=NOON,
        seen_in=(records.Sighting(source="africa", same_text=True),),
        language=records.Language(code="en", confidence=0.9, script="Latn"),
        events=(
            records.Event(
                incident_class=records.Classification(
                    label="violence_against_civilians", confidence=0.8, why=(span,)
                ),
                when=records.When(start=NOON, end=NOON, precision="day"),
                tolls=records.Tolls(killed=records.Toll(min=15, max=15, best=15)),
                actors=(records.Actor(name="drivers", role="victim"),),
                place=0,
            ),
        ),
        places=(place,),
        models={"language": "1"},
        version=7,
        story=records.Story(id="s" + "0" * 24),
        incidents=("n" + "0" * 24,),
    )


def an_incident() -> records.Incident:
    return records.Incident(
        id="n" + "0" * 24,
        version=7,
        incident_class="battle",
        first_seen=NOON,
        last_seen=NOON,
        reports=(
            records.Report(item="i", story="s", source="x", publisher="p", seen=NOON),
        ),
        changes=(records.Change(version=7, field="status", after="reported"),),
    )


def entries() -> Iterator[Output]:
    """An entry for every topic, as the code that publishes makes it."""
    item = an_item()
    yield events.raw(item)
    yield events.unique(item)
    yield events.tagged(item)
    yield events.item(item)
    yield events.incident(an_incident())
    yield events.cursor(records.Cursor(source="world", updated=NOON))
    yield events.watched_feed(records.WatchedFeed(id="world", added=NOON))
    yield events.feed_health(records.FeedHealth(source="world", updated=NOON))
    record = Record("items.raw", 0, 1, 0, b"example.org", b"{", ())
    yield events.dead_letter(record, stage="dedupe", kind="k", reason="r", now=NOON)
    yield events.refused_at_door(
        stage="rss", source="world", kind="k", reason="r", document={"size_bytes": 9}
    )


def validator(document: Any) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        document, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


@pytest.mark.parametrize("topic", WITH_RECORD, ids=by_name)
def test_each_schema_is_a_schema(topic: Topic) -> None:
    document = schema.json_schema(topic)
    jsonschema.Draft202012Validator.check_schema(document)
    assert document["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]


def test_what_is_published_is_valid_by_its_topics_schema() -> None:
    seen = set()
    for entry in entries():
        if entry.topic == DEADLETTERS.name:
            continue
        topic = next(topic for topic in ALL if topic.name == entry.topic)
        assert entry.value is not None
        validator(schema.json_schema(topic)).validate(json.loads(entry.value))
        seen.add(topic.name)
    assert seen == {topic.name for topic in WITH_RECORD}


@pytest.mark.parametrize(
    ("field", "value"),
    [("state", "gone"), ("publisher", 7), ("fetched", None), ("identities", {})],
)
def test_what_no_reader_would_decode_is_not_valid(field: str, value: object) -> None:
    topic = WITH_RECORD[0]
    document = json.loads(events.encode(an_item())) | {field: value}
    with pytest.raises(jsonschema.ValidationError):
        validator(schema.json_schema(topic)).validate(document)


def test_an_unknown_field_of_a_newer_version_is_valid() -> None:
    document = json.loads(events.encode(an_item())) | {"newer": True}
    validator(schema.json_schema(WITH_RECORD[0])).validate(document)


@pytest.mark.parametrize("topic", [DEADLETTERS, DEDUPE_TABLE], ids=by_name)
def test_a_topic_of_mere_bytes_has_no_schema(topic: Topic) -> None:
    with pytest.raises(ValueError, match="bytes as received"):
        schema.json_schema(topic)


def test_fields_are_described_by_the_comments_above_them() -> None:
    item = schema.json_schema(WITH_RECORD[0])["$defs"]["RawItem"]
    assert item["properties"]["fetched"]["description"] == "When the connector read it."
    tagged = schema.json_schema(WITH_RECORD[2])["$defs"]["TaggedItem"]
    assert "fetched" in tagged["properties"]
    assert tagged["properties"]["fetched"] == item["properties"]["fetched"]


def test_descriptions_carry_no_markup_of_our_docstrings() -> None:
    assert not re.search(r":\w+:`|``", schema.render(schema.asyncapi()))


def test_every_public_topic_is_a_channel() -> None:
    channels = schema.asyncapi()["channels"].values()
    assert [channel["address"] for channel in channels] == [t.name for t in ALL]
    for topic, channel in zip(ALL, channels, strict=True):
        assert channel["bindings"]["kafka"]["partitions"] == topic.partitions


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    document = schema.asyncapi()

    def references(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    yield value
                else:
                    yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert found
    for reference in found:
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_headers_are_as_the_asyncapi_document_says() -> None:
    document = schema.asyncapi()
    for entry in entries():
        channel = next(
            c for c in document["channels"].values() if c["address"] == entry.topic
        )
        (name,) = channel["messages"]
        described = document["components"]["messages"][name]["headers"]
        headers = {key: value.decode() for key, value in entry.headers}
        headers[events.ORIGIN] = "items.raw/0/1"  # the stage loop adds it
        validator(described).validate(headers)
        assert headers.keys() <= described["properties"].keys() | {events.ORIGIN}


@pytest.mark.parametrize("name", schema.documents())
def test_the_copy_under_docs_has_not_drifted(name: str) -> None:
    text = (DOCS / name).read_text("utf-8")
    assert text == schema.render(schema.documents()[name]), REGENERATE


def test_docs_hold_no_schema_of_a_topic_that_is_no_more() -> None:
    files = {f"schemas/{path.name}" for path in (DOCS / "schemas").iterdir()}
    assert files == schema.documents().keys() - {"asyncapi.json"}, REGENERATE


def test_the_command_writes_every_document(tmp_path: Path) -> None:
    schema.main([str(tmp_path)])
    for name, document in schema.documents().items():
        assert (tmp_path / name).read_text("utf-8") == schema.render(document)
