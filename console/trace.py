"""``wirewatch trace``: an item's way through all stages, with times."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

import typer

from connectors.rss.subscription import subscription
from connectors.urls import canonical, registrable_domain
from console import journey, records, screen
from console.context import Context, command
from console.exits import Exit
from console.journey import Gone, Journey
from console.options import JsonOption
from mappings.face import SearchIndex
from mappings.opening import open_index
from streams import audit as auditing
from streams import clock, events
from streams.audit import CLOCKS_APART, Fate, Verdict
from streams.dedupe.publication import ident_in, load, names_of
from streams.errors import WirewatchError
from streams.letters import is_notice, letter_in, notice_in
from streams.log.face import Log, Position, Record
from streams.log.opening import open_log
from streams.log.partitioner import partition_of
from streams.records import Identity, Incident, Item, RawItem, Source
from streams.settings import Settings
from streams.topics import (
    DEADLETTERS,
    DECLARED,
    DEDUPE_TABLE,
    ITEMS,
    RAW,
    TAGGED,
    UNIQUE,
    Topic,
)


ITEMS_MAX = 20
TOPICS = frozenset(topic.name for topic in DECLARED)
EXAMPLES = """\
Examples:

wirewatch trace i9c2b1e0c7d2a9f3e6b8c5d0a

wirewatch trace items.raw/3/12  (or a dead letter's number, as its list gives it)

wirewatch trace https://example.org/news/1 --json | jq .records
"""


class NotFoundError(WirewatchError):
    """Nothing on the log or in the index goes by what was asked for."""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(trace)


async def trace(
    at: Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|POSITION|URL",
            help="An item, an incident (its items are traced), a record as topic/"
            "partition/offset, a dead letter's number, or the address of a page.",
        ),
    ],
    *,
    json: JsonOption = False,
) -> Exit:
    """Show an item's way through all stages: when, how long each took, what came of it.

    Reads the log from the item's first record on, in the partitions of its key. What
    has expired there is said. Exit code 1 when nothing goes by that name.
    """
    at.demand_data()
    async with open_log(at.settings) as log, open_index(at.settings) as index:
        tracer = _Tracer(at.settings, log, index)
        for one in await tracer.find(what):
            if json:
                screen.emit(journey.as_json(one))
            else:
                screen.show(*journey.render(one))
    return Exit.OK


class _Tracer:
    """Follows items on one log and index."""

    def __init__(self, settings: Settings, log: Log, index: SearchIndex) -> None:
        self._settings = settings
        self._log = log
        self._index = index

    async def find(self, what: str) -> list[Journey]:
        """Return the way of each item that *what* names; raises NotFoundError."""
        if "://" in what:
            idents = await self._by_address(what)
            return [await self._of_item(ident) for ident in idents]
        position = records.named(what)
        if position is not None and position.topic in TOPICS:
            return [await self._of_record(position)]
        document = await self._index.get(what.encode("utf-8", "replace").decode())
        if isinstance(document, Incident):
            reports = [report.item for report in document.reports[:ITEMS_MAX]]
            return [await self._of_item(ident) for ident in reports]
        return [await self._of_item(what)]

    async def _by_address(self, url: str) -> list[str]:
        """Return the ids of publications at *url*, from dedupe's table."""
        link = canonical(url)
        publishers = {registrable_domain(url)} | {
            subscription(feed).publisher for feed in self._settings.rss.feeds
        }
        names = {name for one in publishers for name in _names(one, link)}
        count = DEDUPE_TABLE.partitions
        partitions = {partition_of(one.encode(), count) for one in publishers}
        found: dict[str, None] = {}
        async for record in self._read(DEDUPE_TABLE, partitions=partitions):
            ident = ident_in(record.key or b"")
            if ident is None or record.value is None:
                continue
            if names.intersection(load(record.value).names):
                found[ident] = None
        if not found:
            raise NotFoundError(f"no publication is known at {url!r}")
        return list(found)[:ITEMS_MAX]

    async def _of_record(self, position: Position) -> Journey:
        """Return the way of the item that the record at *position* belongs to."""
        record = await records.at(self._log, position)
        if record is None and position.topic != RAW.name:
            raise NotFoundError(f"there is no record at {position}, or no longer")
        origin = position
        if record is not None:
            origin = _origin(record)
            if origin.topic != RAW.name:
                raise NotFoundError(_why_no_origin(record))
        result = await auditing.audit(self._log, self._index, only=[origin])
        verdict = result.fates[origin]
        if verdict.ident:
            return await self._of_item(verdict.ident, {origin: verdict})
        if verdict.fate is Fate.UNACCOUNTED and record is None:
            raise NotFoundError(f"there is no record at {position} yet")
        steps = (
            [raw] if (raw := await records.at(self._log, origin)) is not None else []
        )
        steps += [one async for one in self._letters({origin})]
        return Journey(
            ident="",
            title="",
            passages=journey.passages(steps, {origin: verdict}),
            held=None,
            incidents=(),
            gone=tuple(_gone([origin], steps)),
        )

    async def _of_item(
        self, ident: str, known: dict[Position, Verdict] | None = None
    ) -> Journey:
        """Return the way of every revision of *ident*, and of the records in *known*."""
        held = (await self._index.held([ident])).get(ident)
        document = await self._index.get(ident)
        item = document if isinstance(document, Item) else None
        since = item.first_seen - CLOCKS_APART if item is not None else None
        found = [one async for one in self._of_key(UNIQUE, ident, since)]
        if not found and held is None:
            raise NotFoundError(f"there is no item {ident!r}, nor an incident")
        origins = {_origin(one) for one in found} | set(known or ())
        if held is not None and (last := Position.parse(held.origin)) is not None:
            origins.add(last)
        origins = {origin for origin in origins if origin.topic == RAW.name}
        if found:
            since = clock.from_ms(found[0].timestamp_ms) - timedelta(seconds=1)
        found += [one async for one in self._of_key(TAGGED, ident, since)]
        found += [one async for one in self._of_key(ITEMS, ident, since)]
        raws = [await records.at(self._log, origin) for origin in sorted(origins)]
        found += [raw for raw in raws if raw is not None]
        found += [one async for one in self._letters(origins)]
        result = await auditing.audit(self._log, self._index, only=origins)
        return Journey(
            ident=ident,
            title=item.title if item is not None else "",
            passages=journey.passages(found, {**result.fates, **(known or {})}),
            held=held,
            incidents=item.incidents if item is not None else (),
            gone=(*_gone(origins, found), *_replaced(found)),
        )

    async def _of_key(
        self, topic: Topic, ident: str, since: datetime | None
    ) -> AsyncIterator[Record]:
        key = ident.encode("utf-8", "replace")
        partition = partition_of(key, topic.partitions)
        async for record in self._read(topic, partitions=[partition], since=since):
            if record.key == key:
                yield record

    async def _letters(self, origins: Collection[Position]) -> AsyncIterator[Record]:
        """Yield the dead letters of what came from *origins*."""
        wanted = {str(origin) for origin in origins}
        async for record in self._read(DEADLETTERS):
            if record.header(events.ORIGIN) in wanted and letter_in(record).lay_at:
                yield record

    async def _read(
        self,
        topic: Topic,
        *,
        partitions: Iterable[int] | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[Record]:
        """Yield what lies in *partitions* (all) of *topic*, from *since* (the start) on."""
        starts = await self._log.starts(topic.name)
        if since is not None:
            at = await self._log.offsets_at(topic.name, since)
            starts = {p: max(start, at.get(p, start)) for p, start in starts.items()}
        wanted = starts if partitions is None else {p: starts[p] for p in partitions}
        ends = await self._log.ends(topic.name)
        async for record in self._log.read(topic.name, wanted, ends):
            yield record


def _origin(record: Record) -> Position:
    return Position.parse(events.origin_of(record)) or record.position


def _why_no_origin(record: Record) -> str:
    """Return why a record leads to no raw record. Not escaped."""
    at = str(record.position)
    if record.topic != DEADLETTERS.name:
        return f"{at} does not say which record of {RAW.name} it came from"
    if is_notice(record):
        notice = notice_in(record)
        at = f"{at} notes that {notice.letter} was {notice.state}, which"
    letter = letter_in(record)
    if letter.lay_at:
        return f"{at} is of {letter.of}, and does not say what that came from"
    return f"{at} was refused at the door: it never was on {RAW.name}"


def _names(publisher: str, link: str) -> list[bytes]:
    """Return the names by which dedupe knows a page of *publisher*."""
    page = RawItem(
        identities=(Identity(kind="link", value=link),),
        publisher=publisher,
        source=Source(connector="rss", id=publisher),
        fetched=clock.from_ms(0),
    )
    return names_of(page, "")


def _gone(origins: Iterable[Position], records: Collection[Record]) -> Iterator[Gone]:
    """Yield what of *origins* should be on the log and is not."""
    there = {record.position for record in records}
    for origin in sorted(origins):
        if origin not in there:
            yield Gone(origin, "expired")


def _replaced(records: Iterable[Record]) -> Iterator[Gone]:
    """Yield what led to a version that a compacted topic no longer has."""
    seen: dict[str, set[Position]] = {TAGGED.name: set(), ITEMS.name: set()}
    for record in records:
        seen.get(record.topic, set()).add(_origin(record))
    if seen[ITEMS.name]:
        for origin in sorted(seen[TAGGED.name] - seen[ITEMS.name]):
            yield Gone(origin, "replaced")
