"""What correlate remembers, and for how long.

Everything is an entry of one table: ``i`` + item id, ``s`` + story id, ``n`` + incident
id. An entry carries its *cause*: the offset of the record that changed it last
(``items.tagged`` has one partition). A change whose record is not younger than the cause
has been made already, so a replayed record repeats only what a crash has left out.

The order of age is in the table too: ``t`` + offset names the entries that this record
touched. A sweep goes along these places and forgets what nothing has touched for
:data:`REMEMBERED_MS`; :mod:`streams.forgetting` has the clock that it goes by. What is too
old and must stay all the same is *renewed*: touched again by the record that sweeps.

* A version is at least the append time of its record. What a clock that ran ahead has
  given one in the future is kept until that time has come: forgotten, the next revision
  would have a lower version than the index holds, and be lost on it.
* An item is kept while an incident that is remembered has a report of it (its copies
  keep an incident alive): its withdrawal must find that.

An item that an operator had forgotten is remembered for ever, by its version.
"""

from __future__ import annotations

import re

from collections.abc import Callable, Container, Iterable
from datetime import datetime
from typing import Literal, TypeVar, cast

import msgspec

from streams import events
from streams.forgetting import DAY_MS, Sweep, is_due, started, swept
from streams.log.face import Record
from streams.records import FORGOTTEN_VERSION, Incident, Report
from streams.stage import State


#: A later report of a story that is forgotten opens a new incident.
REMEMBERED_MS = 30 * DAY_MS
SWEEP_KEY = b"w"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all entries have."""

    #: Offset of the record that changed it last; :class:`Turn` sets it.
    cause: int = -1


class HeldItem(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided on an item, and what it left behind to go there."""

    version: int
    revision: int
    #: Of the item as annotate sent it: what is equal needs no second answer.
    digest: str
    #: As dedupe said it; a later one is of a dedupe that had lost its memory, and counts
    #: the revisions from 1 again.
    first_seen: datetime | None = None
    #: Offset of the raw record that it came from.
    origin: int = -1
    #: Of the first of these: an id never stands in two months of the index.
    anchor: datetime | None = None
    story: str = ""
    role: Literal["first", "copy"] = "first"
    incident: str = ""
    left_story: str = ""
    left_incident: str = ""


class HeldStory(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """A text that items carry."""

    first: str
    #: Items that carry it now; at 0 it is an empty place that remembers its cause.
    members: int
    #: The incident that its items report; '' while none does.
    incident: str = ""


class HeldIncident(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """An incident as it was issued last, and who could report it next."""

    incident: Incident
    story: str
    #: Reports of copies: one of them leads when the report before it is withdrawn.
    standby: tuple[Report, ...] = ()


class _Touched(msgspec.Struct, frozen=True, array_like=True):
    """What one record touched, and what the sweep's clock said then."""

    clock_ms: int
    keys: tuple[str, ...]


class _Sweep(Entry, frozen=True, kw_only=True, omit_defaults=True):
    """How far the sweep has come; see :class:`streams.forgetting.Sweep`."""

    place: int
    clock_ms: int = 0
    latest_ms: int = 0


E = TypeVar("E", bound=Entry)

_encode = msgspec.json.Encoder().encode
_DECODERS: dict[type[msgspec.Struct], Callable[[bytes], msgspec.Struct]] = {
    kind: msgspec.json.Decoder(kind).decode
    for kind in (HeldItem, HeldStory, HeldIncident, _Touched, _Sweep)
}


def item_key(ident: str) -> bytes:
    """Return the key of an item's entry."""
    return b"i" + ident.encode("utf-8", "surrogatepass")


def story_key(ident: str) -> bytes:
    """Return the key of a story's entry."""
    return b"s" + ident.encode()


def incident_key(ident: str) -> bytes:
    """Return the key of an incident's entry."""
    return b"n" + ident.encode()


class Turn:
    """One record's turn with the table: what it finds there, and what it leaves."""

    def __init__(self, record: Record, state: State) -> None:
        self.offset = record.offset
        self.appended_ms = record.timestamp_ms
        #: Whether it was read again on purpose, long after the first time perhaps.
        self.is_replay = bool(record.header(events.REPLAY))
        self.writes: dict[bytes, bytes | None] = {}
        self._state = state
        #: Keys of what the sweep had to keep.
        self._renewed: list[bytes] = []

    def find(self, key: bytes, kind: type[E]) -> E | None:
        """Return the entry at *key*, as this turn has left it so far."""
        value = self.writes[key] if key in self.writes else self._state.get(key)
        return None if value is None else cast(E, _DECODERS[kind](value))

    def change(
        self, key: bytes, kind: type[E], made: Callable[[E | None], E | None]
    ) -> E | None:
        """Put what *made* makes of the entry at *key* in its place, if it is anything.

        Returns the entry as it now stands. One that this record, or a younger one, has
        changed before stays as it is.
        """
        if self._is_settled(key, kind):
            return self.find(key, kind)
        entry = made(self.find(key, kind))
        return None if entry is None else self.put(key, entry)

    def put(self, key: bytes, entry: E) -> E:
        """Put *entry* at *key*, with this record as its cause."""
        entry = msgspec.structs.replace(entry, cause=self.offset)
        self.writes[key] = _encode(entry)
        return entry

    def _is_settled(self, key: bytes, kind: type[Entry]) -> bool:
        """Whether the table holds what this record, or a younger one, made of *key*."""
        value = self._state.get(key)
        if value is None:
            return False
        return cast(Entry, _DECODERS[kind](value)).cause >= self.offset

    def version_after(self, version: int) -> int:
        """Return the version that follows *version* (0: there is none)."""
        return max(version + 1, self.appended_ms)

    def touch(self, keys: Iterable[bytes]) -> None:
        """Note *keys* as touched by this record, and forget what is too old."""
        clock_ms = self._standing(self.find(SWEEP_KEY, _Sweep)).clock_ms
        # Before the old places go: whatever a crash cuts off, a renewed key has a place.
        self._note(keys, clock_ms)
        if is_due(self.offset) or self._state.get(SWEEP_KEY) is None:
            self.change(SWEEP_KEY, _Sweep, self._swept)
        self._note(self._renewed, clock_ms)

    def _note(self, keys: Iterable[bytes], clock_ms: int) -> None:
        """Add *keys* to this record's place; in a replay they stand there already."""
        place = _place_key(self.offset)
        value = self.writes.get(place) or self._state.get(place)
        before = _Touched(clock_ms, ()) if value is None else _touched(value)
        names = dict.fromkeys(key.decode("utf-8", "surrogatepass") for key in keys)
        if fresh := tuple(name for name in names if name not in before.keys):
            after = _Touched(before.clock_ms, (*before.keys, *fresh))
            self.writes[place] = _encode(after)

    def _standing(self, sweep: _Sweep | None) -> Sweep:
        if sweep is None:
            return started(self.offset, self.appended_ms)
        return Sweep(sweep.place, sweep.clock_ms, sweep.latest_ms)

    def _swept(self, sweep: _Sweep | None) -> _Sweep:
        after = swept(
            self._standing(sweep), self.offset, self.appended_ms, self._forget
        )
        return _Sweep(**after._asdict())

    def _forget(self, place: int, clock_ms: int) -> bool:
        """Forget what was touched at *place* last; False if it is too young for that."""
        key = _place_key(place)
        value = self._state.get(key)
        if value is None:
            return True
        touched = _touched(value)
        if clock_ms - touched.clock_ms <= REMEMBERED_MS:
            return False
        old = {}
        for name in touched.keys:
            at = name.encode("utf-8", "surrogatepass")
            entry = self.find(at, _KINDS[at[:1]])
            if entry is None or entry.cause > place:
                continue
            if _version(entry) != FORGOTTEN_VERSION:
                old[at] = entry
        for at in self._kept(old):
            self._renewed.append(at)
            del old[at]
        self.writes.update(dict.fromkeys(old))
        self.writes[key] = None
        return True

    def _kept(self, old: dict[bytes, Entry]) -> list[bytes]:
        """Return the keys of those of *old* that must not be forgotten yet."""
        if any(_version(entry) > self.appended_ms for entry in old.values()):
            return list(old)
        return [
            at
            for at, entry in old.items()
            if isinstance(entry, HeldItem) and self._is_named(at, entry.incident, old)
        ]

    def _is_named(self, item: bytes, incident: str, old: Container[bytes]) -> bool:
        """Whether *incident* has a report of the item at *item*, and is not in *old*."""
        key = incident_key(incident)
        held = None if key in old else self.find(key, HeldIncident)
        return held is not None and any(
            item_key(report.item) == item
            for report in (*held.incident.reports, *held.standby)
        )


_KINDS: dict[bytes, type[Entry]] = {b"i": HeldItem, b"s": HeldStory, b"n": HeldIncident}


def _place_key(offset: int) -> bytes:
    return b"t%d" % offset


def offset_in(key: bytes) -> int | None:
    """Return the offset of the record whose place *key* is; None for other keys."""
    found = re.fullmatch(rb"t(\d+)", key)
    return None if found is None else int(found[1])


def _touched(value: bytes) -> _Touched:
    return cast(_Touched, _DECODERS[_Touched](value))


def _version(entry: Entry) -> int:
    """Return the version that *entry*'s id has been given last; 0 if it has none."""
    if isinstance(entry, HeldItem):
        return entry.version
    return entry.incident.version if isinstance(entry, HeldIncident) else 0
