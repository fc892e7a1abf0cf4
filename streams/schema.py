"""The topics for programs: JSON Schemas (draft 2020-12) and one AsyncAPI 3.0 document.

Everything here is derived from :mod:`streams.records` and :mod:`streams.topics`; the
description of a field is the ``#:`` comment above it. ``docs/`` holds copies, and a test
fails when they drift: ``python -m streams.schema docs`` writes them anew.
"""

from __future__ import annotations

import inspect
import json
import re
import sys

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams import events, records
from streams.log.kafka import topic_config
from streams.records import SCHEMA_VERSION
from streams.topics import ALL, INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE, Topic


Document = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KAFKA_BINDING = "0.5.0"

_ROLE = re.compile(r":\w+:`[~.]*([^`]+)`")
_FIELD = re.compile(r"(\w+):")
#: Topics whose records come from a raw record, and those that say what they tell of.
_DERIVED = (UNIQUE, TAGGED, ITEMS, INCIDENTS)
_LABELLED = (TAGGED, ITEMS, INCIDENTS)
_LABELS = ("ww_class", "ww_country", "ww_language")
#: Every dead letter has the first three; what was refused at the door has no others.
_DEAD = (
    events.DEAD_STAGE,
    events.DEAD_KIND,
    events.DEAD_REASON,
    events.DEAD_POSITION,
    events.DEAD_TIME,
)
#: What a notice says beside where the record lay, its origin, stage, kind and reason.
_NOTICE = (events.NOTICE_LETTER, events.NOTICE_STATE, events.NOTICE_TO)
_HEADERS = {
    events.ORIGIN: "`topic/partition/offset` of the raw record that this came from.",
    events.REPLAY: "Name of the replay that this follows from; absent on what is new.",
    "ww_class": "Class of the main event, or `none`.",
    "ww_country": "ISO 3166-1 alpha-2 of the scene; empty when not known.",
    "ww_language": "BCP 47; `und` when not known, empty on incidents.",
    events.DEAD_STAGE: "Who put the record aside.",
    events.DEAD_KIND: "Groups reasons; for programs.",
    events.DEAD_REASON: "Why; for a person.",
    events.DEAD_POSITION: "`topic/partition/offset` of the record as received.",
    events.DEAD_TIME: "When it was put aside, RFC 3339.",
    events.RETRY_OF: "Position of the dead letter that this was put back for; absent else.",
    events.NOTICE_LETTER: "On a notice alone, which has no value: the letter it is about.",
    events.NOTICE_STATE: "On a notice: `retried` or `purged`.",
    events.NOTICE_TO: "On a notice: where the record was put back; empty for the index.",
}


def json_schema(topic: Topic) -> Document:
    """Return the JSON Schema of *topic*'s values; ValueError if they are mere bytes."""
    if topic.record is None:
        raise ValueError(f"{topic.name} carries bytes as received, no record")
    name = topic.record.__name__
    return {
        "$schema": DIALECT,
        "$id": schema_id(topic.record),
        "$ref": f"#/$defs/{name}",
        "$defs": _components([topic.record], "#/$defs/{name}"),
    }


def schema_id(record: type[msgspec.Struct]) -> str:
    """Return the name of *record*'s schema, as the header ``ce_dataschema`` has it."""
    return f"wirewatch:{record.__name__}:{SCHEMA_VERSION}"


def asyncapi() -> Document:
    """Return the AsyncAPI 3.0 document of the public topics."""
    kinds = [topic.record for topic in ALL if topic.record is not None]
    return {
        "asyncapi": "3.0.0",
        "id": "urn:wirewatch",
        "info": {
            "title": "Wirewatch",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": (
                "Turns live news feeds and radio transcripts into searchable incident "
                "reports. The topics are its public interface. Names are without the "
                "configured prefix. Additive changes only: pass over unknown fields."
            ),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "channels": {_ident(topic): _channel(topic) for topic in ALL},
        "operations": _operations(),
        "components": {
            "messages": {_message_name(topic): _message(topic) for topic in ALL},
            "schemas": _components(kinds, "#/components/schemas/{name}"),
        },
    }


def documents() -> dict[str, Document]:
    """Return everything that stands under ``docs/``, by relative path."""
    schemas = {
        f"schemas/{topic.name}.json": json_schema(topic)
        for topic in ALL
        if topic.record is not None
    }
    return {"asyncapi.json": asyncapi(), **schemas}


def render(document: Document) -> str:
    """Return *document* as the text of a file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write all documents under the folder that is named."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    for name, document in documents().items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(document), "utf-8")


def _components(kinds: Sequence[type[msgspec.Struct]], ref: str) -> Document:
    """Return the schemas of *kinds* and of all they refer to, with descriptions."""
    _, components = msgspec.json.schema_components(kinds, ref_template=ref)
    for name, schema in components.items():
        record = getattr(records, name)
        schema["description"] = _plain(schema["description"])
        for field, text in _comments(record).items():
            schema["properties"][field]["description"] = text
    return components


def _comments(record: type[msgspec.Struct]) -> dict[str, str]:
    """Return field -> its ``#:`` comment, for *record* and what it grew from."""
    found: dict[str, str] = {}
    for kind in reversed(record.__mro__):
        if kind.__module__ != records.__name__:
            continue
        comment: list[str] = []
        for line in map(str.strip, inspect.getsource(kind).splitlines()):
            if line.startswith("#:"):
                comment.append(line.removeprefix("#:").strip())
                continue
            if comment and (field := _FIELD.match(line)):
                found[field[1]] = _plain(" ".join(comment))
            comment = []
    return found


def _plain(text: str) -> str:
    """Return *text* in CommonMark, without the roles of our docstrings."""
    return _ROLE.sub(r"`\1`", " ".join(text.split())).replace("``", "`")


def _ident(topic: Topic) -> str:
    """Return *topic*'s name as an AsyncAPI identifier: ``itemsRaw``."""
    first, *rest = topic.name.split(".")
    return first + "".join(word.title() for word in rest)


def _channel(topic: Topic) -> Document:
    config = topic_config(topic)
    name = _message_name(topic)
    return {
        "address": topic.name,
        "title": topic.name,
        "summary": topic.about,
        "description": f"Key: {topic.key}. Written by {', '.join(topic.writers)}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": config["cleanup.policy"].split(","),
                    "retention.ms": int(config["retention.ms"]),
                    "max.message.bytes": int(config["max.message.bytes"]),
                },
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }


def _operations() -> Document:
    """Return what Wirewatch does with each channel; readers do the opposite."""
    sends = {
        f"send{_ident(topic)[0].upper()}{_ident(topic)[1:]}": {
            "action": "send",
            "channel": {"$ref": f"#/channels/{_ident(topic)}"},
            "summary": topic.about,
        }
        for topic in ALL
    }
    receives = {
        "receiveItemsRaw": {
            "action": "receive",
            "channel": {"$ref": f"#/channels/{_ident(RAW)}"},
            "summary": "Publish here from a connector of your own.",
        }
    }
    return sends | receives


def _message_name(topic: Topic) -> str:
    return topic.record.__name__ if topic.record else "DeadLetter"


def _message(topic: Topic) -> Document:
    name = _message_name(topic)
    payload: Document = {"$ref": f"#/components/schemas/{name}"}
    if topic.record is None:
        payload = {
            "description": "The value as received, byte for byte; maybe no JSON. A "
            "notice (header `ww_letter`) has none: it tells what was done with a letter."
        }
    about = topic.about if topic.record is None else inspect.getdoc(topic.record) or ""
    message = {
        "name": name,
        "title": name,
        "summary": _plain(about),
        "headers": _headers(topic),
        "payload": payload,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": topic.key},
                "bindingVersion": KAFKA_BINDING,
            }
        },
    }
    if topic.record is None:
        return message | {"contentType": "application/octet-stream"}
    return message | {"contentType": "application/json"}


def _headers(topic: Topic) -> Document:
    """Return the schema of *topic*'s record headers, each of which is UTF-8 text."""
    if topic.record is None:
        named = (*_DEAD, events.ORIGIN, events.RETRY_OF, *_NOTICE)
        about = {name: _text(name) for name in named}
        return {"type": "object", "properties": about, "required": list(_DEAD[:3])}
    name = topic.record.__name__
    always: Document = {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "Id, and revision or version."},
        "ce_subject": {"type": "string", "description": "Id of what this tells of."},
        "ce_type": {"type": "string", "const": f"wirewatch.{name}"},
        "ce_source": {"type": "string", "format": "uri-reference"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_dataschema": {"type": "string", "const": schema_id(topic.record)},
        "content-type": {"type": "string", "const": "application/json"},
    }
    if topic in _DERIVED:
        always[events.ORIGIN] = _text(events.ORIGIN)
    if topic in _LABELLED:
        always |= {label: _text(label) for label in _LABELS}
    properties = dict(always)
    if topic in _DERIVED:
        properties[events.REPLAY] = _text(events.REPLAY)
    if topic is RAW:
        properties[events.ORIGIN] = _text(events.ORIGIN)
    if topic in {RAW, *_DERIVED}:
        properties[events.RETRY_OF] = _text(events.RETRY_OF)
    return {"type": "object", "properties": properties, "required": list(always)}


def _text(header: str) -> Document:
    return {"type": "string", "description": _HEADERS[header]}


if __name__ == "__main__":
    main()
