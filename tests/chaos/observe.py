"""Read what the log and the index hold, as the invariant wants it."""

from __future__ import annotations

import json

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, TypeVar

import msgspec

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from mappings.opening import open_index
from streams import events
from streams.errors import RecordError
from streams.log.face import Log, Record
from streams.log.opening import open_log
from streams.records import Cursor, Incident, Item, RawItem, UniqueItem
from streams.settings import Settings
from streams.topics import CURSORS, DEADLETTERS, INCIDENTS, ITEMS, RAW, UNIQUE
from tests.chaos.invariant import Document, Emission, Letter, Observed
from tests.chaos.stories import Text


T = TypeVar("T", bound=msgspec.Struct)


async def taken_transcripts(settings: Settings) -> list[str]:
    """Return the hashes of the transcripts that the radio connector has published."""
    async with open_log(settings) as log:
        cursors = [_decoded(Cursor, record) async for record in _all(log, CURSORS.name)]
    return [one.position.get("sha256", "") for one in cursors if one is not None]


async def observe(settings: Settings, account: dict[str, Any]) -> Observed:
    """Return what is there; *account* is what ``wirewatch audit --json`` printed."""
    async with open_log(settings) as log:
        raw = await _raw(log)
        unique = [one async for one in _emissions(log, UNIQUE.name, UniqueItem)]
        items = [one async for one in _emissions(log, ITEMS.name, Item)]
        incidents = await _incidents(log)
        letters = [
            Letter(
                record.header(events.DEAD_POSITION),
                record.header(events.DEAD_STAGE),
                f"{record.header(events.DEAD_KIND)} {record.header(events.DEAD_REASON)}",
            )
            async for record in _all(log, DEADLETTERS.name)
            if record.header(events.DEAD_POSITION)  # else refused by a connector
        ]
    if settings.mode == "embedded":
        documents = await _embedded(settings, {one.id for one in (*unique, *items)})
    else:
        documents = list(_documents(settings))
    return Observed(
        balanced=account["balanced"],
        pending=account["fates"].get("pending", 0),
        unaccounted=account["unaccounted"],
        raw=raw,
        documents=documents,
        unique=unique,
        items=items,
        incidents=incidents,
        letters=letters,
    )


async def _all(log: Log, topic: str) -> AsyncIterator[Record]:
    starts, ends = await log.starts(topic), await log.ends(topic)
    async for record in log.read(topic, starts, ends):
        yield record


def _decoded(kind: type[T], record: Record) -> T | None:
    """Return what *record* says; None if it is malformed, which a fault has made it."""
    try:
        return events.decode(kind, record.value)
    except RecordError:
        return None


async def _raw(log: Log) -> dict[str, set[Text]]:
    texts: dict[str, set[Text]] = defaultdict(set)
    async for record in _all(log, RAW.name):
        item = _decoded(RawItem, record)
        if item is not None and (text := _text(item)) is not None:
            texts[_guid(item)].add(text)
    return texts


async def _emissions(
    log: Log, topic: str, kind: type[UniqueItem]
) -> AsyncIterator[Emission]:
    async for record in _all(log, topic):
        item = _decoded(kind, record)
        if item is not None:
            yield Emission(
                str(record.position), item.id, _guid(item), item.revision, _text(item)
            )


async def _incidents(log: Log) -> dict[str, frozenset[str]]:
    named: dict[str, set[str]] = defaultdict(set)
    async for record in _all(log, INCIDENTS.name):
        incident = _decoded(Incident, record)
        if incident is not None:
            named[incident.id] |= {report.item for report in incident.reports}
    return {ident: frozenset(items) for ident, items in named.items()}


def _documents(settings: Settings) -> Iterator[Document]:
    alias = f"{settings.prefix}items"
    with Elasticsearch(settings.elasticsearch.url, max_retries=5) as search:
        search.indices.refresh(index=alias)
        for hit in scan(search, index=alias):
            hit["_source"].pop("search", None)
            item = _as_item(hit["_source"])
            yield Document(
                hit["_index"], hit["_id"], _guid(item), item.revision, _text(item)
            )


async def _embedded(settings: Settings, idents: set[str]) -> list[Document]:
    """Return what the embedded index holds; there an id stands once by its schema."""
    async with open_index(settings) as index:
        found = [await index.get(ident) for ident in sorted(idents)]
    return [
        Document("index", one.id, _guid(one), one.revision, _text(one))
        for one in found
        if isinstance(one, Item)
    ]


_as_item = partial(msgspec.convert, type=Item, strict=False)


def _guid(item: RawItem) -> str:
    return item.identities[0].value if item.identities else ""


def _text(item: RawItem) -> Text | None:
    return None if item.state == "withdrawn" else Text(item.title, item.text)


def account_in(printed: str) -> dict[str, Any]:
    """Return the account that ``wirewatch audit --json`` *printed*."""
    account: dict[str, Any] = json.loads(printed)
    return account
