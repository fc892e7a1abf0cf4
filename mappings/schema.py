"""The Elasticsearch templates, derived from :mod:`streams.records`.

``mappings/templates/*.json`` is what is sent to the server; ``python -m
mappings.schema`` writes the files anew, and a test fails when they are not what the
records say. Nothing in them needs more than the open core of Elasticsearch 8 or 9.

A document is the record itself, every field mapped by its type, plus one object
``search``: what is searched (:class:`mappings.fields.Searchable`), the text once for
every language (``any``) and once under the language that it is in.
"""

from __future__ import annotations

import json

from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from mappings import analysis
from mappings.face import Kind
from mappings.fields import LABEL_MAX
from mappings.overrides import OVERRIDES
from mappings.query import FIELDS
from streams.records import Incident, Item
from streams.text import fingerprint


#: Counts changes of the templates; a server that has a higher one is left alone.
TEMPLATE_VERSION = 3

#: Stands for the configured prefix.
PREFIX = "{prefix}"
RECORDS: Mapping[Kind, type[msgspec.Struct]] = {"items": Item, "incidents": Incident}

#: Record fields that are kept but not searched on their own: text is under ``search``.
_STORED_ONLY: dict[str, Any] = {
    "title": {"type": "text", "index": False},
    "text": {"type": "text", "index": False},
    "summary": {"type": "text", "index": False},
    "quote": {"type": "text", "index": False},
    "before": {"type": "text", "index": False},
    "after": {"type": "text", "index": False},
    "segments": {"type": "object", "enabled": False},
    "models": {"type": "object", "enabled": False},
    "why": {"type": "object", "enabled": False},
    "span": {"type": "object", "enabled": False},
}
_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": "keyword", "ignore_above": LABEL_MAX},
    int: {"type": "long"},
    float: {"type": "double"},
    bool: {"type": "boolean"},
    datetime: {"type": "date"},
}


def template(kind: Kind) -> dict[str, Any]:
    """Return the composable index template of *kind*, with PREFIX where it goes."""
    alias = f"{PREFIX}{kind}"
    return {
        "index_patterns": [f"{alias}-*"],
        # Over the templates that Elasticsearch brings (100) and a user's catch-all.
        "priority": 500,
        "version": TEMPLATE_VERSION,
        # A writer that wakes up late must not bring a deleted generation back.
        "allow_auto_create": False,
        "template": {
            "settings": {
                "number_of_shards": 1,
                "codec": "best_compression",
                "refresh_interval": "1s",
                "analysis": _analysis(),
            },
            "mappings": {
                "dynamic": False,
                "properties": {
                    **_properties(RECORDS[kind]),
                    "search": {"dynamic": False, "properties": _search()},
                },
            },
        },
        "_meta": {"of": "wirewatch", "record": RECORDS[kind].__name__},
    }


def load(kind: Kind, *, prefix: str, replicas: int) -> dict[str, Any]:
    """Return the template of *kind* as it ships, ready to be sent.

    ``_meta`` of the template and of its mappings hold a digest of each, by which a
    server that is up to date is told from one that is not.
    """
    file = resources.files("mappings").joinpath("templates", f"{kind}.json")
    text = file.read_text("utf-8").replace(PREFIX, prefix)
    shipped: dict[str, Any] = json.loads(text)
    inner = shipped["template"]
    inner["settings"]["number_of_replicas"] = replicas
    inner["mappings"]["_meta"] = {"digest": digest(inner["mappings"])}
    shipped["_meta"]["digest"] = digest(shipped)
    return shipped


def digest(document: dict[str, Any]) -> str:
    """Return a name for the content of *document*."""
    return fingerprint(json.dumps(document, sort_keys=True))


def _properties(record: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        field.encode_name: _STORED_ONLY.get(field.name) or _mapping(field.type)
        for field in msgspec.structs.fields(record)
    }


def _mapping(declared: Any) -> dict[str, Any]:
    """Return the field type for a record's annotation; lists are as their members."""
    origin, inner = get_origin(declared), get_args(declared)
    if origin is Annotated:
        return _mapping(inner[0])
    if origin is Literal:
        return _mapping(type(inner[0]))
    if origin in (Union, UnionType):
        (only,) = (one for one in inner if one is not NoneType)
        return _mapping(only)
    if origin is tuple:
        return _mapping(inner[0])
    if isinstance(declared, type) and issubclass(declared, msgspec.Struct):
        return {"properties": _properties(declared)}
    return _SCALARS[declared]


def _search() -> dict[str, Any]:
    """Return the fields of ``search``."""
    labels = {
        name: {"type": "keyword", "ignore_above": LABEL_MAX}
        for name in FIELDS
        if name not in ("after", "before", "seen-after")
    }
    languages = {code: f"stem_{code}" for code in analysis.STEMMERS}
    return {
        **labels,
        "findable": {"type": "boolean"},
        "moment": {"type": "date", "format": "epoch_millis"},
        "seen": {"type": "date", "format": "epoch_millis"},
        "day": {"type": "keyword"},
        **{
            name: {
                "properties": {
                    part: {"type": "text", "analyzer": analyzer}
                    for part in ("title", "text")
                }
            }
            for name, analyzer in {"any": "folded", **languages}.items()
        },
    }


def _analysis() -> dict[str, Any]:
    """Return the analyzers: natively what :mod:`mappings.analysis` does in Python."""
    return {
        "char_filter": {
            "unified": {"type": "mapping", "mappings": _rules(analysis.UNIFIED)},
            "folds": {"type": "mapping", "mappings": _rules(analysis.FOLDED)},
        },
        "tokenizer": {
            "words": {"type": "pattern", "pattern": analysis.java_pattern(), "group": 0}
        },
        "filter": {
            f"snowball_{code}": {"type": "snowball", "language": name}
            for code, name in analysis.STEMMERS.items()
        }
        | {
            f"newer_{code}": {
                "type": "stemmer_override",
                "rules": [f"{words.replace(' ', ', ')} => {s}" for s, words in rules],
            }
            for code, rules in OVERRIDES.items()
        },
        "analyzer": {
            "folded": {
                "type": "custom",
                "char_filter": ["unified", "folds"],
                "tokenizer": "words",
                "filter": ["lowercase", "asciifolding", "lowercase"],
            }
        }
        | {
            f"stem_{code}": {
                "type": "custom",
                "char_filter": ["unified"],
                "tokenizer": "words",
                "filter": [
                    "lowercase",
                    *([f"newer_{code}"] if code in OVERRIDES else []),
                    f"snowball_{code}",
                    "asciifolding",
                    "lowercase",
                ],
            }
            for code in analysis.STEMMERS
        },
    }


def _rules(table: Mapping[str, str]) -> list[str]:
    """Return rules of a mapping char filter, in escapes that any editor shows alike."""
    return [f"{_escaped(a)} => {_escaped(b)}".rstrip() for a, b in table.items()]


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(letter):04X}" for letter in text)


def main() -> None:
    """Write the templates that ship."""
    folder = Path(__file__).parent / "templates"
    folder.mkdir(exist_ok=True)
    for kind in RECORDS:
        text = json.dumps(template(kind), indent=1, sort_keys=True)
        (folder / f"{kind}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
