"""Forgetting a publication: what must be asked for, and where its content still lies.

``forget`` is the one exception to 'nothing is lost'. The request is a raw record of
state ``forgotten``, in the publication's own partition: dedupe closes the publication,
correlate takes its words out of its incidents, the index keeps a stub. What older
records hold is then gone by compaction and age on servers, by :func:`erasures` on the
embedded log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

from streams import events
from streams.dedupe.publication import (
    Publication,
    content_of,
    first_name,
    load,
    names_of,
    publication_key,
)
from streams.letters import is_notice
from streams.log.face import Headers, Log, Output, Position, Record
from streams.log.sqlite_log import Erased
from streams.records import Forgetting, Incident, Item, RawItem, Source, UniqueItem
from streams.topics import (
    DEADLETTERS,
    DEDUPE_TABLE,
    INCIDENTS,
    RAW,
    TAGGED,
    UNIQUE,
    Topic,
)


#: The source of a request: the operator, and no feed.
OPERATOR = Source(connector="ingest", id="wirewatch forget")


class Quoting(NamedTuple):
    """What is known of a publication that is to be forgotten."""

    publication: UniqueItem
    incidents: tuple[Incident, ...]


async def last_emission(log: Log, ident: str) -> UniqueItem | None:
    """Return what dedupe said last of *ident*, for one that is not in the index."""
    found = None
    async for record in _all(log, UNIQUE):
        if record.key == ident.encode():
            found = events.read(UniqueItem, record.value) or found
    return found


async def quoting(log: Log, ident: str) -> tuple[Incident, ...]:
    """Return the incidents that *ident* reports, or has changed; the latest of each."""
    found: dict[str, Incident] = {}
    sought = ident.encode()
    async for record in _all(log, INCIDENTS):
        if record.value is None or sought not in record.value:
            continue
        incident = events.read(Incident, record.value)
        if incident is None:
            continue
        before = found.get(incident.id)
        if before is None or incident.version > before.version:
            found[incident.id] = incident
    return tuple(found.values())


def request(told: Quoting, *, because: str, now: datetime) -> Output:
    """Return the record that has a publication forgotten; nothing of it is in there."""
    publication = told.publication
    return events.raw(
        RawItem(
            identities=(),
            publisher=publication.publisher,
            source=OPERATOR,
            state="forgotten",
            fetched=now,
            forgetting=Forgetting(
                id=publication.id,
                because=because,
                revision=publication.revision,
                anchor=publication.anchor,
                incidents=tuple(one.id for one in told.incidents),
            ),
        )
    )


async def erasures(log: Log, stub: Item) -> list[Erased]:
    """Return what is left on the topics of the publication that *stub* closes.

    A raw record becomes a copy of the request: read again it says the same, and the
    audit sees what became of it. A dead letter becomes a notice that it was purged.
    """
    assert stub.forgetting is not None, stub.id
    raw = await _raw_records(log, stub)
    blank = events.encode(_request_of(stub))
    gone = [Erased(*at, blank) for at in raw]
    origins = {str(at) for at in raw}
    for topic in (UNIQUE, TAGGED):
        gone += [
            Erased(*record.position, deleted=True)
            async for record in _all(log, topic)
            if record.key == stub.id.encode() and _is_older(record)
        ]
    subjects = {stub.id, *stub.forgetting.incidents}
    called = await names(log, stub.id)
    async for record in _all(log, DEADLETTERS):
        if not is_notice(record) and _is_of(record, origins, subjects, called):
            gone.append(Erased(*record.position, headers=_purged(record)))
    return gone


def notices(gone: Iterable[Erased]) -> list[Output]:
    """Return what to append before dead letters are erased.

    Whoever counts those that are open has read the topic beyond where they lay.
    """
    return [
        Output(one.topic, None, None, one.headers)
        for one in gone
        if one.topic == DEADLETTERS.name
    ]


async def names(log: Log, ident: str) -> frozenset[bytes]:
    """Return the names that dedupe knows the publication *ident* by, forgotten or not."""
    key = publication_key(ident.encode())
    known: Publication | None = None
    async for record in _all(log, DEDUPE_TABLE):
        if record.key == key:
            known = None if record.value is None else load(record.value)
    return frozenset(known.names if known else [first_name(ident.encode())])


def is_called(item: RawItem, names: AbstractSet[bytes]) -> bool:
    """Whether *item* goes by one of *names*."""
    return not names.isdisjoint(names_of(item, content_of(item)[0]))


def _request_of(stub: Item) -> RawItem:
    fields = {name: getattr(stub, name) for name in RawItem.__struct_fields__}
    return RawItem(**fields)


def _is_older(record: Record) -> bool:
    item = events.read(RawItem, record.value)
    return item is None or item.state != "forgotten"


def _purged(letter: Record) -> Headers:
    told = {
        events.NOTICE_LETTER: str(letter.position),
        events.NOTICE_STATE: "purged",
    } | {
        name: letter.header(name)
        for name in (
            events.DEAD_POSITION,
            events.ORIGIN,
            events.DEAD_STAGE,
            events.DEAD_KIND,
        )
    }
    return tuple((name, text.encode()) for name, text in told.items())


def _is_of(
    letter: Record,
    origins: AbstractSet[str],
    subjects: AbstractSet[str],
    names: AbstractSet[bytes],
) -> bool:
    if letter.header("ce_subject") in subjects:
        return True
    if origins & {letter.header(events.DEAD_POSITION), letter.header(events.ORIGIN)}:
        return True
    return not names.isdisjoint(_names_in(letter))


async def _raw_records(log: Log, stub: Item) -> list[Position]:
    """Return where the raw records of the publication lie that hold something of it."""
    called = await names(log, stub.id)
    candidates: dict[Position, list[bytes]] = {}
    async for record in _all(log, RAW):
        found = _names_in(record)
        if not called.isdisjoint(found):
            candidates[record.position] = found
    wanted = {name for found in candidates.values() for name in found}
    owners = await _owners(log, wanted)
    return [
        at
        for at, found in candidates.items()
        if next((owners[name] for name in found if name in owners), b"")
        == stub.id.encode()
    ]


def _names_in(record: Record) -> list[bytes]:
    """Return the names that a raw record goes by; none if it is a request, or no item."""
    item = events.read(RawItem, record.value)
    if item is None or item.state == "forgotten":
        return []
    return names_of(item, content_of(item)[0])


async def _owners(log: Log, names: AbstractSet[bytes]) -> Mapping[bytes, bytes]:
    """Return the publication that each of *names* belongs to."""
    owners: dict[bytes, bytes] = {}
    async for record in _all(log, DEDUPE_TABLE):
        if record.key in names and record.key is not None:
            if record.value is None:
                owners.pop(record.key, None)
            else:
                owners[record.key] = record.value
    return owners


async def _all(log: Log, topic: Topic) -> AsyncIterator[Record]:
    name = topic.name
    async for record in log.read(name, await log.starts(name), await log.ends(name)):
        yield record
