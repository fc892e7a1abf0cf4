"""What became of a raw record, told from the evidence: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from mappings.face import Held
from streams import events
from streams.dedupe.publication import Publication, Sequence, Sight
from streams.log.face import Position, Record
from streams.topics import DAY_S, INDEX_KEPT_S, RAW


PURGED = "purged"


class Fate(Enum):
    """What became of a raw record."""

    INDEXED = "indexed"  #: What it says is what the index holds.
    #: A later revision, or a fuller text, is indexed; or it is older, from an archive.
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"  #: A copy of a publication that is known.
    WITHDRAWN = "withdrawn"  #: Its publication was taken back; a stub is indexed.
    FORGOTTEN = "forgotten"  #: An operator had its publication taken away everywhere.
    DEAD_LETTER = "dead letter"  #: Put aside, and not since retried with success.
    EXPIRED = "expired"  #: Kept as long as its retention says.
    PENDING = "pending"  #: On its way.
    UNACCOUNTED = "unaccounted"  #: Lost, as far as the log and the index tell.


class Reason(NamedTuple):
    """Why a record was put aside: by whom, a word for programs, words for a person."""

    stage: str
    kind: str
    reason: str


class Verdict(NamedTuple):
    """The fate of one record: which publication it is of, and why it is so."""

    fate: Fate
    ident: str = ""
    #: The record that a copy is of, the stage that is awaited, the retention, or that
    #: a dead letter was purged.
    because: str = ""
    #: Of a dead letter.
    reason: Reason | None = None


class PutAside(NamedTuple):
    """A dead letter that was not retried, or whose retry is another one."""

    reason: Reason
    purged: bool

    def verdict(self, ident: str = "") -> Verdict:
        """Return the fate of the raw record that it is of."""
        because = PURGED if self.purged else ""
        return Verdict(Fate.DEAD_LETTER, ident, because=because, reason=self.reason)


class Emission(NamedTuple):
    """What dedupe made of a raw record, and where it put that."""

    ident: str
    first_seen: datetime
    revision: int
    #: Partition and offset of ``items.unique``; None: a full log has let it go, which
    #: annotate had read.
    place: tuple[int, int] | None
    #: Its index month is older than the index keeps.
    expired: bool


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far the stages had come, each asked before what it wrote was read."""

    #: Offsets of ``items.raw`` and ``items.unique``, by partition.
    dedupe: Mapping[int, int]
    annotate: Mapping[int, int]
    #: Whether annotate had read all that was there then.
    annotated: bool
    #: The first later stage that has not read all; '' if they have.
    behind: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything that a verdict is made from, except dedupe's table."""

    standing: Standing
    emissions: Mapping[str, Emission]
    #: What dedupe put aside, by its position.
    refused: Mapping[str, PutAside]
    #: What later stages put aside, by its origin.
    letters: Mapping[str, PutAside]
    held: Mapping[str, Held]
    #: The index keeps no item whose anchor is before this.
    oldest: datetime


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A record that dedupe has passed, and of which ``items.unique`` holds nothing.

    A copy, or lost; or a full log has let go what was made of it.
    """

    sight: Sight
    names: tuple[bytes, ...]
    #: Whether the record was put back for a dead letter.
    is_retry: bool


def judge(record: Record, evidence: Evidence) -> Verdict | None:
    """Return the fate of a raw *record*; None if only dedupe's table can tell it."""
    origin = events.origin_of(record)
    if (emission := evidence.emissions.get(origin)) is not None:
        return judge_emission(emission, origin, evidence)
    if record.offset >= evidence.standing.dedupe.get(record.partition, 0):
        return Verdict(Fate.PENDING, because="dedupe")
    if (aside := evidence.refused.get(str(record.position))) is not None:
        return aside.verdict()
    return None


def judge_emission(emission: Emission, origin: str, evidence: Evidence) -> Verdict:
    """Return the fate of a record that dedupe has sent on."""
    ident = emission.ident
    held = evidence.held.get(ident)
    if held is not None and _is_as_late(held, emission, origin):
        return _by_what_is_held(held, emission, origin)
    if (aside := evidence.letters.get(origin)) is not None:
        return aside.verdict(ident)
    if emission.expired and held is None:
        kept = f"the index keeps items {INDEX_KEPT_S // DAY_S} days"
        return Verdict(Fate.EXPIRED, ident, because=kept)
    if stage := _awaited(emission, evidence.standing):
        return Verdict(Fate.PENDING, ident, because=stage)
    return Verdict(Fate.UNACCOUNTED, ident)


def _by_what_is_held(held: Held, emission: Emission, origin: str) -> Verdict:
    if held.state == "forgotten":
        return Verdict(Fate.FORGOTTEN, emission.ident, because=held.origin)
    if held.state == "withdrawn":
        return Verdict(Fate.WITHDRAWN, emission.ident, because=held.origin)
    if _last(held) > _one(emission, origin) or held.origin != origin:
        return Verdict(Fate.SUPERSEDED, emission.ident, because=held.origin)
    return Verdict(Fate.INDEXED, emission.ident)


def _awaited(emission: Emission, standing: Standing) -> str:
    """Return the stage that *emission* may be waiting for; '' if all have passed it."""
    if emission.place is None:
        return standing.behind if standing.annotated else "annotate"
    partition, offset = emission.place
    if offset >= standing.annotate.get(partition, 0):
        return "annotate"
    return standing.behind


def judge_silence(
    silence: Silence, publications: Mapping[str, Publication], evidence: Evidence
) -> Verdict:
    """Return the fate of a record that dedupe was silent about, by what it remembers."""
    sight = silence.sight
    for ident, known in publications.items():
        if known.state == "forgotten":
            asked_at = str(Position(RAW.name, *known.cause))
            return Verdict(Fate.FORGOTTEN, ident, because=asked_at)
        if known.cause == (sight.partition, sight.offset):
            emission = Emission(
                ident=ident,
                first_seen=known.first_seen,
                revision=known.revision,
                place=None,
                expired=known.anchor < evidence.oldest,
            )
            return judge_emission(
                emission, str(Position(RAW.name, *known.cause)), evidence
            )
        own = known.sequence(sight.source)
        if own is not None and _is_overruled(sight, known, own):
            later = str(Position(RAW.name, own.partition, own.offset))
            return Verdict(Fate.SUPERSEDED, ident, because=later)
        if not known.accounts_for(sight):
            if silence.is_retry and own is not None and own.offset > sight.offset:
                later = str(Position(RAW.name, own.partition, own.offset))
                return Verdict(Fate.SUPERSEDED, ident, because=later)
            continue
        at = known.cause
        if own is not None and own.mark == sight.mark and own.offset < sight.offset:
            at = (own.partition, own.offset)
        return Verdict(Fate.DUPLICATE, ident, because=str(Position(RAW.name, *at)))
    return Verdict(Fate.UNACCOUNTED)


def _is_overruled(sight: Sight, known: Publication, own: Sequence) -> bool:
    """Whether *sight*, from an archive, had been overtaken by its source before it came."""
    was_there = (own.partition, own.offset) < (sight.partition, sight.offset)
    return was_there and own.mark != sight.mark and known.overrules(sight)


def _is_as_late(held: Held, emission: Emission, origin: str) -> bool:
    """Whether what the index holds is this emission, or one that came after it."""
    return held.state == "forgotten" or _last(held) >= _one(emission, origin)


def _last(held: Held) -> events.Saying:
    return events.saying(held.first_seen, held.revision, held.origin)


def _one(emission: Emission, origin: str) -> events.Saying:
    return events.saying(emission.first_seen, emission.revision, origin)
