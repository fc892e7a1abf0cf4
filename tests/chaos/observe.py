"""Read what the log and the index hold, as the invariant wants it."""

from __future__ import annotations

import json

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import msgspec

from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from mappings.opening import open_index
from streams import events
from streams.errors import RecordError
from streams.log.face import Log, Record
from streams.log.opening import open_log
from streams.records import Incident, Item, UniqueItem
from streams.settings import Settings
from streams.topics import DEADLETTERS, INCIDENTS, ITEMS, UNIQUE
from tests.chaos.invariant import Document, Emission, Letter, Observed
from tests.chaos.stories import Text


async def observe(settings: Settings, account: dict[str, Any]) -> Observed:
    """Return what is there; *account* is what ``wirewatch audit --json`` printed."""
    async with open_log(settings) as log:
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
        ]
    if settings.mode == "embedded":
        documents = await _embedded(settings, {one.id for one in (*unique, *items)})
    else:
        documents = list(_documents(settings))
    return Observed(
        balanced=account["balanced"],
        pending=account["fates"].get("pending", 0),
        unaccounted=account["unaccounted"],
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


async def _emissions(
    log: Log, topic: str, kind: type[UniqueItem]
) -> AsyncIterator[Emission]:
    async for record in _all(log, topic):
        try:
            item = events.decode(kind, record.value)
        except RecordError:  # malformed, by a fault
            continue
        yield Emission(
            str(record.position), item.id, _guid(item), item.revision, _text(item)
        )


async def _incidents(log: Log) -> dict[str, frozenset[str]]:
    named: dict[str, set[str]] = defaultdict(set)
    async for record in _all(log, INCIDENTS.name):
        try:
            incident = events.decode(Incident, record.value)
        except RecordError:
            continue
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


def _guid(item: UniqueItem) -> str:
    return item.identities[0].value if item.identities else ""


def _text(item: UniqueItem) -> Text | None:
    return None if item.state == "withdrawn" else Text(item.title, item.text)


def account_in(printed: str) -> dict[str, Any]:
    """Return the account that ``wirewatch audit --json`` *printed*."""
    account: dict[str, Any] = json.loads(printed)
    return account
