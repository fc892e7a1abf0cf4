"""Puts back what dead letters hold: a record where it lay, a document into the index.

The record first, then the notice about it. Killed in between, the letter is still open,
and the next retry puts the record back a second time, which changes nothing: dedupe
takes it for a replay, correlate and the index know the revision and the version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import NamedTuple

import msgspec

from mappings.face import Held, Refused, SearchIndex, Stored
from streams import clock, events
from streams.errors import RecordError
from streams.letters import Letter, goes_to_index, letter_in, put_back, retried
from streams.log.face import Log, Output, Position, Record
from streams.records import Incident, Item
from streams.topics import ITEMS, RAW, TAGGED, UNIQUE


class Done(Enum):
    """What a retry did with a letter."""

    PUT_BACK = "put back"  #: Its record lies on its topic again.
    INDEXED = "indexed"  #: Its document is in the index now.
    SUPERSEDED = "superseded"  #: The index has it, or something later of its id.
    REFUSED = "refused again"  #: By the index; the new letter says why.
    NOTHING = "nothing to put back"  #: Refused before it was published.


class Retry(NamedTuple):
    """One letter, and what was done with it."""

    letter: Letter
    done: Done
    to: Position | None = None


class _Revision(msgspec.Struct, frozen=True):
    id: str
    revision: int
    first_seen: datetime


_decode_revision = msgspec.json.Decoder(_Revision).decode


async def put_all_back(
    log: Log,
    index: SearchIndex,
    records: Sequence[Record],
    *,
    value: bytes | None = None,
    now: Callable[[], datetime] = clock.now,
) -> list[Retry]:
    """Put back what *records* (dead letters) hold, and note it; in order.

    ``value`` is a mended one, for all of them. Raises OversizeError if it is too large.
    """
    late = await _superseded(index, records)
    retries: dict[Position, Retry] = {}
    for record in records:
        letter = letter_in(record)
        if goes_to_index(letter):
            retries[record.position] = await _into_index(log, index, record, now)
        elif letter.topic not in {RAW.name, UNIQUE.name, TAGGED.name}:
            retries[record.position] = Retry(letter, Done.NOTHING)
        elif record.position in late:
            retries[record.position] = Retry(letter, Done.SUPERSEDED)
    rest = [record for record in records if record.position not in retries]
    places = await log.append([put_back(record, value=value) for record in rest])
    for record, place in zip(rest, places, strict=True):
        retries[record.position] = Retry(letter_in(record), Done.PUT_BACK, place)
    ordered = [retries[record.position] for record in records]
    await log.append(list(_notices(ordered)), intake=False)
    return ordered


def _notices(retries: Iterable[Retry]) -> Iterable[Output]:
    return (
        retried(one.letter, one.to) for one in retries if one.done is not Done.NOTHING
    )


async def _superseded(index: SearchIndex, records: Sequence[Record]) -> set[Position]:
    """Return where letters lie of which the index holds what was said later.

    Correlate remembers 30 days, letters are kept for longer: an old text must not come
    after the one that has replaced it, or after what was forgotten.
    """
    found: dict[Position, tuple[str, events.Saying]] = {}
    for record in records:
        letter = letter_in(record)
        if letter.topic in {UNIQUE.name, TAGGED.name}:
            try:
                one = _decode_revision(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            said = events.saying(one.first_seen, one.revision, letter.origin)
            found[record.position] = one.id, said
    held = await index.held(sorted({ident for ident, _ in found.values()}))
    return {
        position
        for position, (ident, said) in found.items()
        if ident in held and _is_later(held[ident], said)
    }


def _is_later(held: Held, said: events.Saying) -> bool:
    if held.state == "forgotten":
        return True
    return events.saying(held.first_seen, held.revision, held.origin) > said


async def _into_index(
    log: Log, index: SearchIndex, record: Record, now: Callable[[], datetime]
) -> Retry:
    letter = letter_in(record)
    try:
        document = (
            events.decode(Item, record.value)
            if letter.topic == ITEMS.name
            else events.decode(Incident, record.value)
        )
        (fate,) = await index.write([document])
    except RecordError as error:
        fate = Refused(type(error).__name__, str(error))
    if isinstance(fate, Refused):
        lay_at = Position.parse(letter.lay_at) or letter.position
        again = events.dead_letter(
            record._replace(**lay_at._asdict()),
            stage=letter.stage,
            kind=fate.kind,
            reason=fate.reason,
            now=now(),
        )
        kept = tuple(one for one in again.headers if one[0] != events.RETRY_OF)
        named = (events.RETRY_OF, str(letter.position).encode())
        await log.append([again._replace(headers=(*kept, named))])
        return Retry(letter, Done.REFUSED)
    done = Done.INDEXED if fate is Stored.STORED else Done.SUPERSEDED
    return Retry(letter, done)
