"""Which records of ``items.unique`` are the last word on their id, by little memory.

Most ids have one record. A first reading marks, in one bit for each slot that ids fall
into, which slots came twice; a second one keeps the last word of the ids in these alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import NamedTuple
from zlib import crc32

import msgspec

from streams import events
from streams.log.face import Log, Position, Record
from streams.topics import UNIQUE


#: 16 MiB of bits: of 5 million ids one in 30 shares its slot with another, and is held.
SLOTS = 2**27


class _Said(msgspec.Struct, frozen=True):
    """What is needed of an item to know when it was said."""

    id: str
    revision: int
    first_seen: datetime


_decode = msgspec.json.Decoder(_Said).decode


class Last(NamedTuple):
    """The last words on all ids, as of a reading of the topic."""

    #: How many there are.
    total: int
    #: Where they lie, of ids that may have several records.
    places: Mapping[str, Position]

    def has(self, record: Record) -> bool:
        """Whether *record*, which was read, is the last word on its id."""
        said = _said_in(record)
        if said is None:
            return False
        return self.places.get(said.id, record.position) == record.position


async def last_words(
    log: Log, begin: Mapping[int, int], ends: Mapping[int, int], *, slots: int = SLOTS
) -> Last:
    """Return which records in [begin, ends) are the last word on their id."""
    count, shared = await _shared(log, begin, ends, slots)
    latest: dict[str, tuple[events.Saying, Position]] = {}
    async for record, one in _read(log, begin, ends):
        if _slot(one.id, slots) not in shared:
            continue
        origin = events.origin_of(record)
        said = events.saying(one.first_seen, one.revision, origin)
        before = latest.get(one.id)
        count -= before is not None
        if before is None or before[0] <= said:
            latest[one.id] = said, record.position
    return Last(count, {ident: place for ident, (_, place) in latest.items()})


async def _shared(
    log: Log, begin: Mapping[int, int], ends: Mapping[int, int], slots: int
) -> tuple[int, set[int]]:
    """Return how many records there are, and the slots that more than one falls into."""
    seen, shared, count = bytearray(slots // 8), set(), 0
    async for _, one in _read(log, begin, ends):
        slot = _slot(one.id, slots)
        byte, bit = slot >> 3, 1 << (slot & 7)
        if seen[byte] & bit:
            shared.add(slot)
        seen[byte] |= bit
        count += 1
    return count, shared


def _slot(ident: str, slots: int) -> int:
    return crc32(ident.encode("utf-8", "surrogatepass")) % slots


async def _read(
    log: Log, begin: Mapping[int, int], ends: Mapping[int, int]
) -> AsyncIterator[tuple[Record, _Said]]:
    async for record in log.read(UNIQUE.name, begin, ends):
        if (said := _said_in(record)) is not None:
            yield record, said


def _said_in(record: Record) -> _Said | None:
    """Return what *record* says; None for what annotate has put aside."""
    try:
        return _decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
