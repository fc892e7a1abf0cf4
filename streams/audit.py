"""The audit: what became of every raw record. It keeps no counters; it reads the log.

Each record of ``items.raw`` that lies before the end as of the start gets one fate.
Nothing is lost if none is :attr:`~streams.fates.Fate.UNACCOUNTED`.

Stages go on while this reads. So the order of reading is the proof: where a stage stands
is asked *before* what it wrote is read, since what it has committed it has stored; a
record that moves meanwhile is pending at worst. A copy is believed to be one only if
dedupe's table holds what it says.

A dead letter that was retried has the fate of its retry. What is put back onto
``items.raw`` is no raw record of its own: it and the one that it is a retry of are one,
with one fate, and are counted once; also when only the retry is still kept.
"""

from __future__ import annotations

import asyncio

from collections import Counter, defaultdict
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from mappings.face import Held, SearchIndex
from streams import clock, events, letters
from streams.dedupe.decide import look
from streams.dedupe.publication import Publication, ident_in, load, names_of
from streams.errors import RecordError
from streams.fates import (
    Emission,
    Evidence,
    Fate,
    PutAside,
    Reason,
    Silence,
    Standing,
    Verdict,
    judge,
    judge_emission,
    judge_silence,
)
from streams.log.face import Log, Position, Record
from streams.log.standing import lags, stands
from streams.records import RawItem
from streams.topics import (
    DAY_S,
    DEDUPE_TABLE,
    INCIDENTS,
    INDEX_KEPT_S,
    ITEMS,
    RAW,
    TAGGED,
    UNIQUE,
    Topic,
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
    # Retries first: where they were put back is then below every end that is asked for.
    book = await letters.read(log)
    scope = await _scope(log, only, _retries(book))
    dedupe = await _stand(log, "dedupe", RAW, scope.ends, deadline)
    sent = await log.ends(UNIQUE.name)
    annotate = await _stand(log, "annotate", UNIQUE, sent, deadline)
    behind = await _behind(log, deadline)
    await letters.read_more(log, book)
    aside = _put_aside(book)
    oldest = now() - timedelta(seconds=INDEX_KEPT_S)
    emissions = await _emissions(log, scope, sent, oldest)
    evidence = Evidence(
        standing=Standing(
            dedupe=dedupe,
            annotate=annotate,
            annotated=not any(lags(annotate, sent).values()),
            behind=behind,
        ),
        emissions=emissions,
        refused=aside.by_dedupe,
        letters=aside.later,
        held=await _held(index, {one.ident for one in emissions.values()}),
        oldest=oldest,
    )
    account = _Account(listed=only is not None)
    async for position, verdict in _verdicts(log, index, scope, evidence):
        account.enter(position, verdict)
    return account.closed(Counter() if only is not None else _grouped(aside.at_door))


@dataclass(frozen=True, kw_only=True)
class _Scope:
    """Which raw records are asked about."""

    starts: Mapping[int, int]
    ends: Mapping[int, int]
    positions: frozenset[Position] | None
    #: When the first of them was appended.
    since: datetime | None


async def _scope(
    log: Log, only: Collection[Position] | None, retries: Mapping[str, Position]
) -> _Scope:
    starts, ends = await log.starts(RAW.name), await log.ends(RAW.name)
    if only is not None:
        by_partition: dict[int, list[int]] = defaultdict(list)
        again = (retries[str(one)] for one in only if str(one) in retries)
        for position in (*only, *again):
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
        at = await stands(log, stage, topic.name)
        left_s = deadline - asyncio.get_running_loop().time()
        if left_s <= 0 or not any(lags(at, goal).values()):
            return at
        await asyncio.sleep(min(LOOK_S, left_s))


async def _behind(log: Log, deadline: float) -> str:
    """Return the first stage after annotate that has not read all; '' if they have."""
    for stage, topic in (("correlate", TAGGED), ("index", ITEMS)):
        goal = await log.ends(topic.name)
        at = await _stand(log, stage, topic, goal, deadline)
        if any(lags(at, goal).values()):
            return stage
    return ""


@dataclass(frozen=True, kw_only=True)
class _PutAside:
    """The dead letters that stand: not retried, or refused again."""

    by_dedupe: dict[str, PutAside] = field(default_factory=dict)
    later: dict[str, PutAside] = field(default_factory=dict)
    at_door: list[Reason] = field(default_factory=list)


def _put_aside(book: letters.Book) -> _PutAside:
    aside = _PutAside()
    there = [(one, book.state(one)) for one in book.letters.values()]
    standing: list[tuple[letters.Letter | letters.Notice, bool]] = [
        *((one, True) for one in book.gone() if one.state == "purged"),
        *((one, state == "purged") for one, state in there if state != "retried"),
    ]
    for one, purged in standing:
        reason = Reason(one.stage, one.kind, one.reason)
        topic = one.lay_at.rpartition("/")[0].rpartition("/")[0]
        if not one.lay_at:
            aside.at_door.append(reason)
        elif topic == RAW.name:
            aside.by_dedupe[one.lay_at] = PutAside(reason, purged)
        elif topic != INCIDENTS.name:
            aside.later[one.origin] = PutAside(reason, purged)
    return aside


def _retries(book: letters.Book) -> dict[str, Position]:
    """Return where raw records were put back last, by where they first lay."""
    found = {}
    for notice in (one for noted in book.notices.values() for one in noted):
        if notice.to is not None and notice.to.topic == RAW.name:
            found[notice.origin] = notice.to
    return found


class _Sent(msgspec.Struct, frozen=True):
    """What the audit needs of a :class:`~streams.records.UniqueItem`."""

    id: str
    revision: int
    first_seen: datetime
    anchor: datetime


_decode_sent = msgspec.json.Decoder(_Sent).decode


def _sent_in(value: bytes | None) -> _Sent | None:
    """Return what *value* says; None for what dedupe never wrote (annotate refuses it)."""
    try:
        return None if value is None else _decode_sent(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


async def _emissions(
    log: Log, scope: _Scope, ends: Mapping[int, int], oldest: datetime
) -> dict[str, Emission]:
    """Return what dedupe sent on, by origin: the first time, or the last retry."""
    if scope.since is None:
        return {}
    starts = await log.offsets_at(UNIQUE.name, scope.since - CLOCKS_APART)
    emissions: dict[str, Emission] = {}
    async for record in log.read(UNIQUE.name, starts, ends):
        origin = events.origin_of(record)
        again = origin in emissions and events.retry_of(record) is None
        sent = _sent_in(record.value)
        if again or sent is None:
            continue
        emissions[origin] = Emission(
            ident=sent.id,
            first_seen=sent.first_seen,
            revision=sent.revision,
            place=(record.partition, record.offset),
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
    log: Log, index: SearchIndex, scope: _Scope, evidence: Evidence
) -> AsyncIterator[tuple[Position, Verdict]]:
    """Yield the fate of each raw record in *scope*."""
    waiting: dict[Position, Verdict | Silence] = {}
    retried: dict[str, Verdict | Silence] = {}
    found: set[Position] = set()
    async for record in log.read(RAW.name, scope.starts, scope.ends):
        position, is_retry = record.position, _is_retry(record)
        asked = scope.positions is None or position in scope.positions
        if not (asked or is_retry):
            continue
        found.add(position)
        judged = judge(record, evidence) or _silence(record)
        if is_retry:
            retried[events.origin_of(record)] = judged
            if scope.positions is None or not asked:
                continue
        if isinstance(judged, Verdict) and not _may_have_been_retried(judged):
            yield position, judged
        else:
            waiting[position] = judged
    waiting |= {
        position: retried[str(position)]
        for position in _only_as_retries(retried, scope, found)
    }
    fates = {at: retried.get(str(at), judged) for at, judged in waiting.items()}
    silent = [one for one in fates.values() if isinstance(one, Silence)]
    by_name = await _remembered(log, silent)
    further = {ident for known in by_name.values() for ident in known}
    held = await _held(index, further - evidence.held.keys())
    known = replace(evidence, held={**evidence.held, **held})
    for position, judged in fates.items():
        yield position, _settled(judged, by_name, known)
    for position in (scope.positions or frozenset()) - found - fates.keys():
        yield position, await _missing(log, position, evidence)


def _is_retry(record: Record) -> bool:
    """Whether a raw record was put back; one that only says so is its own origin."""
    elsewhere = events.origin_of(record) != str(record.position)
    return elsewhere and events.retry_of(record) is not None


def _may_have_been_retried(verdict: Verdict) -> bool:
    return verdict.fate in {Fate.DEAD_LETTER, Fate.UNACCOUNTED}


def _only_as_retries(
    retried: Collection[str], scope: _Scope, found: Collection[Position]
) -> Iterator[Position]:
    """Yield where records lay that are in *scope* and kept as retries alone."""
    for name in retried:
        position = Position.parse(name)
        if position is None or position.topic != RAW.name or position in found:
            continue
        if scope.positions is None or position in scope.positions:
            yield position


def _settled(
    judged: Verdict | Silence,
    by_name: Mapping[bytes, Mapping[str, Publication]],
    evidence: Evidence,
) -> Verdict:
    if isinstance(judged, Verdict):
        return judged
    known = {i: p for name in judged.names for i, p in by_name.get(name, {}).items()}
    return judge_silence(judged, known, evidence)


def _silence(record: Record) -> Silence | Verdict:
    try:
        item = events.decode(RawItem, record.value)
    except RecordError:
        return Verdict(Fate.UNACCOUNTED)
    sight = look(record, item)
    names = tuple(names_of(item, sight.content_hash))
    return Silence(sight=sight, names=names, is_retry=_is_retry(record))


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


async def _missing(log: Log, position: Position, evidence: Evidence) -> Verdict:
    """Return the fate of a record that was asked for and is not there.

    What came of it may still be: a dead letter is kept for longer.
    """
    origin = str(position)
    if (emission := evidence.emissions.get(origin)) is not None:
        return judge_emission(emission, origin, evidence)
    aside = evidence.refused.get(origin) or evidence.letters.get(origin)
    if aside is not None:
        return aside.verdict()
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
