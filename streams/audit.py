"""The audit: what became of every raw record. It keeps no counters; it reads the log.

Each record of ``items.raw`` that lies before the end as of the start gets one fate.
Nothing is lost if none is :attr:`~streams.fates.Fate.UNACCOUNTED`.

Stages go on while this reads. So the order of reading is the proof: where a stage stands
is asked *before* what it wrote is read, since what it has committed it has stored; a
record that moves meanwhile is pending at worst. A copy is believed to be one only if
dedupe's table holds what it says.
"""

from __future__ import annotations

import asyncio

from collections import Counter, defaultdict
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Mapping,
)
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from mappings.face import Held, SearchIndex
from streams import clock, events
from streams.dedupe.decide import look
from streams.dedupe.publication import Publication, ident_in, load, names_of
from streams.errors import RecordError
from streams.fates import (
    Emission,
    Evidence,
    Fate,
    Reason,
    Silence,
    Standing,
    Verdict,
    judge,
    judge_silence,
)
from streams.log.face import Log, Position, Record
from streams.records import RawItem
from streams.topics import (
    DAY_S,
    DEADLETTERS,
    DEDUPE_TABLE,
    INCIDENTS,
    INDEX_KEPT_S,
    ITEMS,
    RAW,
    TAGGED,
    UNIQUE,
    Topic,
    group,
)


__all__ = ["Audit", "Fate", "Reason", "Verdict", "audit", "wait"]

UNACCOUNTED_MAX = 100
HELD_CHUNK = 500
LOOK_S = 0.1
#: Clocks of workers and connectors differ by less than this.
CLOCKS_APART = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """The result; ``fates`` only of the records that were asked for by position."""

    counts: Mapping[Fate, int]
    #: At most :data:`UNACCOUNTED_MAX` of them.
    unaccounted: tuple[Position, ...]
    #: By stage and kind, with the first one's words.
    refused: Mapping[Reason, int]
    #: Refused by connectors: these never were on ``items.raw``, and are not counted.
    at_door: Mapping[Reason, int]
    fates: Mapping[Position, Verdict]

    @property
    def total(self) -> int:
        """Records that were looked at."""
        return sum(self.counts.values())

    @property
    def balanced(self) -> bool:
        """Whether every record has a fate."""
        return not self.counts.get(Fate.UNACCOUNTED)

    @property
    def pending(self) -> int:
        """Records that are on their way."""
        return self.counts.get(Fate.PENDING, 0)


async def audit(
    log: Log,
    index: SearchIndex,
    *,
    only: Collection[Position] | None = None,
    now: Callable[[], datetime] = clock.now,
) -> Audit:
    """Return what became of every raw record, or of those in *only*, as of now."""
    return await wait(log, index, only=only, timeout_s=0, now=now)


async def wait(
    log: Log,
    index: SearchIndex,
    *,
    only: Collection[Position] | None = None,
    timeout_s: float,
    now: Callable[[], datetime] = clock.now,
) -> Audit:
    """Like :func:`audit`, once nothing is pending or *timeout_s* have passed.

    Only what is there when it begins is waited for: it ends while new records come.
    """
    deadline = asyncio.get_running_loop().time() + timeout_s
    scope = await _scope(log, only)
    dedupe = await _stand(log, "dedupe", RAW, scope.ends, deadline)
    sent = await log.ends(UNIQUE.name)
    annotate = await _stand(log, "annotate", UNIQUE, sent, deadline)
    behind = await _behind(log, deadline)
    letters, at_door = await _letters(log)
    emissions = await _emissions(log, scope, sent, now())
    evidence = Evidence(
        standing=Standing(dedupe=dedupe, annotate=annotate, behind=behind),
        emissions=emissions,
        letters=letters,
        held=await _held(index, {one.ident for one in emissions.values()}),
    )
    account = _Account(listed=only is not None)
    async for position, verdict in _verdicts(log, scope, evidence):
        account.enter(position, verdict)
    return account.closed(Counter() if only is not None else at_door)


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """Which raw records are asked about."""

    starts: Mapping[int, int]
    ends: Mapping[int, int]
    positions: frozenset[Position] | None
    #: When the first of them was appended.
    since: datetime | None


async def _scope(log: Log, only: Collection[Position] | None) -> _Scope:
    starts, ends = await log.starts(RAW.name), await log.ends(RAW.name)
    if only is not None:
        by_partition: dict[int, list[int]] = defaultdict(list)
        for position in only:
            by_partition[position.partition].append(position.offset)
        starts = {p: max(starts.get(p, 0), min(o)) for p, o in by_partition.items()}
        ends = {p: min(ends.get(p, 0), max(o) + 1) for p, o in by_partition.items()}
    since = None
    for partition in starts:
        appended = await _first_appended(log, partition, starts, ends)
        since = min((one for one in (since, appended) if one), default=None)
    positions = None if only is None else frozenset(only)
    return _Scope(starts=starts, ends=ends, positions=positions, since=since)


async def _first_appended(
    log: Log, partition: int, starts: Mapping[int, int], ends: Mapping[int, int]
) -> datetime | None:
    begin, end = ({partition: one.get(partition, 0)} for one in (starts, ends))
    async for record in log.read(RAW.name, begin, end):
        return clock.from_ms(record.timestamp_ms)
    return None


async def _stand(
    log: Log, stage: str, topic: Topic, goal: Mapping[int, int], deadline: float
) -> dict[int, int]:
    """Return where *stage* stands, once that is *goal* or time is up."""
    while True:
        committed = await log.committed(group(stage), topic.name)
        starts = await log.starts(topic.name)
        stands = {p: max(committed.get(p, 0), starts.get(p, 0)) for p in goal}
        left_s = deadline - asyncio.get_running_loop().time()
        if left_s <= 0 or all(stands[p] >= end for p, end in goal.items()):
            return stands
        await asyncio.sleep(min(LOOK_S, left_s))


async def _behind(log: Log, deadline: float) -> str:
    """Return the first stage after annotate that has not read all; '' if they have."""
    for stage, topic in (("correlate", TAGGED), ("index", ITEMS)):
        goal = await log.ends(topic.name)
        stands = await _stand(log, stage, topic, goal, deadline)
        if any(stands[p] < end for p, end in goal.items()):
            return stage
    return ""


async def _letters(log: Log) -> tuple[dict[str, Reason], Counter[Reason]]:
    """Return why records were put aside, and what was refused at the door."""
    letters: dict[str, Reason] = {}
    at_door: list[Reason] = []
    topic = DEADLETTERS.name
    async for record in log.read(topic, await log.starts(topic), await log.ends(topic)):
        reason = Reason(
            record.header(events.DEAD_STAGE),
            record.header(events.DEAD_KIND),
            record.header(events.DEAD_REASON),
        )
        position = record.header(events.DEAD_POSITION)
        if not position:
            at_door.append(reason)
            continue
        letters[position] = reason
        source = position.rsplit("/", 2)[0]
        if source not in {RAW.name, INCIDENTS.name}:
            letters[record.header(events.ORIGIN)] = reason
    return letters, _grouped(at_door)


class _Sent(msgspec.Struct, frozen=True):
    """What the audit needs of a :class:`~streams.records.UniqueItem`."""

    id: str
    revision: int
    anchor: datetime


_decode_sent = msgspec.json.Decoder(_Sent).decode


async def _emissions(
    log: Log, scope: _Scope, ends: Mapping[int, int], now: datetime
) -> dict[str, Emission]:
    """Return what dedupe sent on, by origin; the first time if it did so again."""
    if scope.since is None:
        return {}
    starts = await log.offsets_at(UNIQUE.name, scope.since - CLOCKS_APART)
    oldest = now - timedelta(seconds=INDEX_KEPT_S)
    emissions: dict[str, Emission] = {}
    async for record in log.read(UNIQUE.name, starts, ends):
        origin = events.origin_of(record)
        if origin in emissions or record.value is None:
            continue
        sent = _decode_sent(record.value)
        emissions[origin] = Emission(
            ident=sent.id,
            revision=sent.revision,
            partition=record.partition,
            offset=record.offset,
            expired=sent.anchor < oldest,
        )
    return emissions


async def _held(index: SearchIndex, idents: Collection[str]) -> dict[str, Held]:
    held: dict[str, Held] = {}
    ordered = sorted(idents)
    for start in range(0, len(ordered), HELD_CHUNK):
        held |= await index.held(ordered[start : start + HELD_CHUNK])
    return held


async def _verdicts(
    log: Log, scope: _Scope, evidence: Evidence
) -> AsyncIterator[tuple[Position, Verdict]]:
    """Yield the fate of each raw record in *scope*."""
    silent: dict[Position, Silence] = {}
    refused: dict[Position, Verdict] = {}
    retried: dict[str, Verdict] = {}
    found: set[Position] = set()
    async for record in log.read(RAW.name, scope.starts, scope.ends):
        position = record.position
        if scope.positions is not None:
            if position not in scope.positions:
                continue
            found.add(position)
        verdict = judge(record, evidence)
        if verdict is None and (silence := _silence(record)) is not None:
            silent[position] = silence
            continue
        verdict = verdict or Verdict(Fate.UNACCOUNTED)
        if verdict.fate is Fate.DEAD_LETTER:
            refused[position] = verdict
            continue
        yield position, verdict
    by_name = await _remembered(log, silent.values())
    for position, silence in silent.items():
        known = {
            i: p for name in silence.names for i, p in by_name.get(name, {}).items()
        }
        verdict = judge_silence(silence, known)
        retried[silence.origin] = verdict
        yield position, verdict
    for position, verdict in refused.items():
        yield position, retried.get(str(position), verdict)
    for position in (scope.positions or frozenset()) - found:
        yield position, await _missing(log, position)


def _silence(record: Record) -> Silence | None:
    try:
        item = events.decode(RawItem, record.value)
    except RecordError:
        return None
    sight = look(record, item)
    names = tuple(names_of(item, sight.content_hash))
    return Silence(origin=events.origin_of(record), sight=sight, names=names)


async def _remembered(
    log: Log, silent: Collection[Silence]
) -> dict[bytes, dict[str, Publication]]:
    """Return the publications that *silent* may be of, by name, from dedupe's table."""
    if not silent:
        return {}
    names = {name for silence in silent for name in silence.names}
    found: dict[str, Publication] = {}
    topic = DEDUPE_TABLE.name
    async for record in log.read(topic, await log.starts(topic), await log.ends(topic)):
        ident = ident_in(record.key or b"")
        if ident is None:
            continue
        known = None if record.value is None else load(record.value)
        if known is not None and not names.isdisjoint(known.names):
            found[ident] = known
        else:
            found.pop(ident, None)
    by_name: dict[bytes, dict[str, Publication]] = defaultdict(dict)
    for ident, known in found.items():
        for name in names.intersection(known.names):
            by_name[name][ident] = known
    return by_name


async def _missing(log: Log, position: Position) -> Verdict:
    """Return the fate of a record that was asked for and is not there."""
    starts = await log.starts(RAW.name)
    if position.offset < starts.get(position.partition, 0):
        kept = f"{RAW.name} keeps records {(RAW.kept_s or 0) // DAY_S} days"
        return Verdict(Fate.EXPIRED, because=kept)
    return Verdict(Fate.UNACCOUNTED)


@dataclass(kw_only=True)
class _Account:
    """Adds verdicts up."""

    #: Whether each one is kept, too.
    listed: bool
    counts: Counter[Fate] = field(default_factory=Counter)
    unaccounted: list[Position] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    fates: dict[Position, Verdict] = field(default_factory=dict)

    def enter(self, position: Position, verdict: Verdict) -> None:
        self.counts[verdict.fate] += 1
        if verdict.reason is not None:
            self.reasons.append(verdict.reason)
        if verdict.fate is Fate.UNACCOUNTED and len(self.unaccounted) < UNACCOUNTED_MAX:
            self.unaccounted.append(position)
        if self.listed:
            self.fates[position] = verdict

    def closed(self, at_door: Mapping[Reason, int]) -> Audit:
        return Audit(
            counts=self.counts,
            unaccounted=tuple(self.unaccounted),
            refused=_grouped(self.reasons),
            at_door=at_door,
            fates=self.fates,
        )


def _grouped(reasons: Iterable[Reason]) -> Counter[Reason]:
    """Count *reasons* by stage and kind; the first one's words stand for all."""
    first: dict[tuple[str, str], Reason] = {}
    return Counter(
        first.setdefault((reason.stage, reason.kind), reason) for reason in reasons
    )
