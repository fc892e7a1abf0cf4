"""Documents given by hand, onto the log: what ``ingest`` and the sample go through."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors import documents
from connectors.documents import STAGE
from connectors.face import Refused, publish
from connectors.http import HttpClient
from console import wording
from streams.errors import AccessRefusedError
from streams.log.face import Log, Position
from streams.records import RawItem, Source
from streams.settings import Settings


CHUNK_RECORDS = 200
TITLE_MAX = 200


class Sent(NamedTuple):
    """An item that is on the log: only so much of it, as there may be millions."""

    position: Position
    title: str
    source: Source


@dataclass
class Given:
    """What came of some documents."""

    #: In the order read.
    items: list[Sent] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    #: False when it was stopped before everything was acknowledged.
    complete: bool = True


async def give(
    log: Log,
    sources: Iterable[str],
    settings: Settings,
    *,
    stop: asyncio.Event,
    on_chunk: Callable[[Given], None] = lambda _: None,
) -> Given:
    """Read *sources* and publish their items, a chunk at a time, each acknowledged.

    Waits while the log cannot take them, until *stop* is set; a log that may not be
    written to raises AccessRefusedError. Killed in between, it can
    run again: dedupe knows what came before. ``on_chunk`` is told after each chunk.
    """
    given = Given()
    chunk: list[RawItem | Refused] = []
    async with HttpClient(settings.http) as http:
        async for one in documents.read(sources, settings, http):
            chunk.append(one)
            if len(chunk) == CHUNK_RECORDS:
                await _publish(log, chunk, given, stop)
                on_chunk(given)
                chunk = []
            if not given.complete:
                return given
    if chunk:
        await _publish(log, chunk, given, stop)
        on_chunk(given)
    return given


async def _publish(
    log: Log, chunk: list[RawItem | Refused], given: Given, stop: asyncio.Event
) -> None:
    items = [one for one in chunk if isinstance(one, RawItem)]
    refused = [one for one in chunk if isinstance(one, Refused)]
    # Of what could not be read there is nothing to keep: the caller is told.
    unread = [one for one in refused if one.kind in documents.UNREAD]
    done = await publish(
        log,
        items,
        stage=STAGE,
        stop=stop,
        refused=[one for one in refused if one not in unread],
        raising=(AccessRefusedError,),
    )
    given.complete = done.complete
    given.refused += (*unread, *done.refused)
    if done.complete:
        sources: dict[Source, Source] = {}  # equal ones are kept once a chunk
        given.items += [
            Sent(
                at,
                wording.item_title(item)[:TITLE_MAX],
                sources.setdefault(item.source, item.source),
            )
            for at, item in zip(done.positions, items, strict=True)
            if at is not None
        ]
