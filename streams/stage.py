"""The one safe loop that every agent runs in; the only place that touches Faust's events.

A stage reads topics in batches, hands each batch to its handler, stores what comes back,
and only then moves on: a crash at any moment repeats work, it never skips work.

What can go wrong, and what the loop does:

* the bytes do not decode, the decision refuses the record, an output is too large: a
  dead letter with the reason, and on with the next one;
* a decision fails in a way that nobody foresaw: a dead letter too, since a decision is a
  function of the record (after a mended bug it can be brought back);
* more than ``stages.refusals_max`` of these in a row: then it is not the records, and
  the stage stops before it puts more of them aside;
* the log, the index or the system is in trouble (TransientError, OSError): the same
  batch again after a pause, visibly, for as long as it takes;
* the partition has moved to another worker: the batch is dropped, its new owner has it;
* anything else stops the process (:class:`~streams.errors.FatalError`), with nothing
  committed that is not stored.
"""

from __future__ import annotations

import asyncio
import time
import traceback

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import faust
import structlog

from faust.events import Event

from streams import clock, events
from streams.errors import (
    FatalError,
    OversizeError,
    PermanentError,
    RefusalRunError,
    TransientError,
)
from streams.log.delivery import Part
from streams.log.face import Output, Record, check_size
from streams.settings import REFUSALS_MAX
from streams.tally import Tally
from streams.topics import RECORD_MAX_BYTES, Topic


log = structlog.get_logger(__name__)

PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 5.0
LEASE_LOOK_S = 0.1
LEASE_SAY_S = 60.0
#: Of the seconds that a batch took, waiting included.
BATCH_BOUNDS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
#: What can pass by waiting: our own word for it, and the system's.
PASSING = (TransientError, OSError, MemoryError)

T = TypeVar("T")


class Received(NamedTuple):
    """A record as it lay on the log, and what it says."""

    record: Record
    data: Any


class Decision(NamedTuple):
    """What one record leads to: records to publish, and entries for the stage's table.

    Both are data. The loop applies them when the record has succeeded, never earlier:
    ``writes`` (key -> value, None deletes) are seen by later records of the same batch.
    ``outcome`` is a word for what the record was taken for, which is counted.
    """

    outputs: Sequence[Output] = ()
    writes: Mapping[bytes, bytes | None] = {}
    outcome: str = ""


class Refusal(NamedTuple):
    """The record is at fault itself: it becomes a dead letter."""

    kind: str
    reason: str


Outcome = Decision | Refusal
#: The stage's table as of the record: what is stored, and what the batch added.
State = Mapping[bytes, bytes]
#: Decides on one record; raises PermanentError for one that is at fault itself.
Decide = Callable[[Received, State], Decision]
#: Works on a whole batch; one outcome a record, in order. Raises TransientError to
#: have the batch repeated, after a pause, for as long as it takes.
Handle = Callable[[Sequence[Received]], Awaitable[Sequence[Outcome]]]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage: give either ``decide`` (pure, with a table) or ``handle`` (a batch)."""

    name: str
    sources: Sequence[Topic]
    decide: Decide | None = None
    handle: Handle | None = None
    #: The changelog behind ``decide``'s table, if it has one.
    table: Topic | None = None
    #: The offset of the source that a key of that table names, if it does.
    offset_in: Callable[[bytes], int | None] = lambda _: None
    #: Entered before the first record, left after the last: pools, clients.
    resources: Sequence[AbstractAsyncContextManager[Any]] = field(default=())


@dataclass(kw_only=True)
class Progress:
    """How a stage is doing, for whoever watches."""

    handled: int = 0
    outputs: int = 0
    #: By kind.
    refusals: Counter[str] = field(default_factory=Counter)
    #: By what records were taken for, where the stage tells.
    outcomes: Counter[str] = field(default_factory=Counter)
    #: By what was tried again.
    retries: Counter[str] = field(default_factory=Counter)
    batches_s: Tally = field(default_factory=lambda: Tally(BATCH_BOUNDS_S))
    #: The slowest batch since it was last asked for; who asks sets it back.
    slowest_s: float = 0.0
    #: Since when it has been at a batch, on the monotonic clock; None while it has none.
    busy_since_s: float | None = None
    #: Why it waits; '' while it works.
    waiting: str = ""
    #: On the monotonic clock; of use while it waits.
    waiting_since_s: float = 0.0
    refusals_in_a_row: int = 0
    #: How many entries its table holds; None without a table.
    entries: Callable[[], int] | None = None
    #: Seconds since the group's coordinator was heard; None on a log without a lease.
    lease_age_s: Callable[[], float | None] = lambda: None

    def count(
        self, handled: int, outputs: int, refused: Sequence[str], took_s: float
    ) -> None:
        """Count a batch that is stored; ``refused`` has the kind of each refusal."""
        self.handled += handled
        self.outputs += outputs
        self.refusals.update(refused)
        self.batches_s.add(took_s)
        self.slowest_s = max(self.slowest_s, took_s)

    def waits(self, reason: str) -> None:
        """Note that it waits, and why; the time counts from when it began to."""
        if not self.waiting:
            self.waiting_since_s = time.monotonic()
        self.waiting = reason


class Overlay(Mapping[bytes, bytes]):
    """A table, and over it what the current batch has decided."""

    def __init__(self, stored: Mapping[bytes, bytes]) -> None:
        self._stored = stored
        self.added: dict[bytes, bytes | None] = {}
        #: Every write (partition of its record, key, value), in order, as the changelog
        #: gets them. Were a key's writes made one, then of a batch that a crash cuts
        #: off the table could have what a late record made of one entry without what
        #: an early one made of another.
        self.written: list[tuple[int, bytes, bytes | None]] = []

    def add(self, partition: int, writes: Mapping[bytes, bytes | None]) -> None:
        """Put *writes*, of a record in *partition*, over what is there."""
        self.added.update(writes)
        self.written += [(partition, key, value) for key, value in writes.items()]

    def clear(self) -> None:
        """Forget what was added."""
        self.added.clear()
        self.written.clear()

    def __getitem__(self, key: bytes) -> bytes:
        if key in self.added:
            value = self.added[key]
            if value is None:
                raise KeyError(key)
            return value
        return self._stored[key]

    def __iter__(self) -> Iterator[bytes]:
        yield from (key for key, value in self.added.items() if value is not None)
        yield from (key for key in self._stored if key not in self.added)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Abandoned(Exception):  # noqa: N818 - not an error: the partition has moved
    """The partition moved to another worker while we were working on it."""


def attach(
    app: faust.App,
    stage: Stage,
    *,
    prefix: str,
    on_fatal: Callable[[BaseException], None],
    refusals_max: int = REFUSALS_MAX,
    now: Callable[[], datetime] = clock.now,
) -> Progress:
    """Register *stage* as an agent of *app*; return its progress, which it keeps.

    ``on_fatal`` is called once, when the stage can neither go on nor wait: the process
    must then stop. The agent does nothing more.
    """
    loop = _Loop(app, stage, prefix=prefix, refusals_max=refusals_max, now=now)
    names = [prefix + topic.name for topic in stage.sources]
    app.transport.batch_topics.update(names)
    topic = app.topic(*names, schema=_Undecoded(), key_type=bytes, value_type=bytes)

    async def agent(stream: Any) -> None:
        stream = stream.noack()
        async for event in stream.events():
            loop.progress.busy_since_s = time.monotonic()
            try:
                await loop.work_on(event.value, event.message)
                await stream.ack(event)
            except Abandoned:
                loop.progress.waiting = ""  # whoever has the partition now may wait
                log.info("batch abandoned", stage=stage.name, at=str(event.message.tp))
            except Exception as error:  # noqa: BLE001 - Faust would restart the agent over a hole
                log.critical("stage stops", stage=stage.name, error=repr(error))
                on_fatal(error)
                await asyncio.Event().wait()  # until the process has stopped us
            finally:
                loop.progress.busy_since_s = None

    agent.__name__ = stage.name
    app.agent(topic, name=stage.name)(agent)
    return loop.progress


class _Undecoded(faust.Schema):
    """Hands the list of records through untouched; decoding is the stage's business."""

    def compile(self, app: faust.App, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Event:
            del propagate
            return Event(app, None, message.value, (), message)

        return decode


class _Loop:
    """The work on one batch after another."""

    def __init__(
        self,
        app: faust.App,
        stage: Stage,
        *,
        prefix: str,
        refusals_max: int = REFUSALS_MAX,
        now: Callable[[], datetime],
    ) -> None:
        assert (stage.decide is None) != (stage.handle is None), stage.name
        self._app = app
        self._stage = stage
        self._prefix = prefix
        self._refusals_max = refusals_max
        self._now = now
        self._kinds = {topic.name: topic.record for topic in stage.sources}
        self.progress = Progress(lease_age_s=self._lease_age_s)
        self._table: Any = None
        if stage.table is not None:
            table = stage.table.name.removesuffix("-changelog").rsplit("-", 1)[1]
            self._table = app.Table(
                table,
                partitions=stage.table.partitions,
                key_type=bytes,
                value_type=bytes,
            )
            changelog = self._table.changelog_topic_name
            assert changelog == prefix + stage.table.name, changelog
            self.progress.entries = lambda: len(self._table.data)

    async def work_on(self, parts: Sequence[Part], message: Any) -> None:
        """Handle a batch and store what comes of it; then it may be acked."""
        if not self._app.consumer.holds(message):
            raise Abandoned
        started = time.monotonic()
        records = [self._record(one) for part in parts for one in part.records]
        overlay = Overlay(self._table.data if self._table is not None else {})
        outcomes = await self._retried(
            "the batch", lambda: self._decide_all(records, overlay), message
        )
        outputs = self._outputs(records, outcomes)
        entries = self._entries(overlay)
        if outputs or entries:
            await self._retried(
                "storing",
                lambda: self._app.producer.store(
                    outputs, entries, message, lambda: self._lease(message)
                ),
                message,
            )
        if self._table is not None:
            _apply(overlay, self._table.data)
        kinds = [one.kind for one in outcomes if isinstance(one, Refusal)]
        taken_for = (one.outcome for one in outcomes if isinstance(one, Decision))
        self.progress.outcomes.update(filter(None, taken_for))
        took_s = time.monotonic() - started
        self.progress.count(len(records), len(outputs) - len(kinds), kinds, took_s)
        log.debug(
            "batch",
            stage=self._stage.name,
            upto=[str(self._record(part.records[-1]).position) for part in parts],
            records=len(records),
            outputs=len(outputs) - len(kinds),
            refused=len(kinds),
            ms=round(took_s * 1000, 1),
        )

    def _record(self, raw: Any) -> Record:
        if isinstance(raw, Record):  # the embedded log's own
            if not self._prefix:
                return raw
            return raw._replace(topic=raw.topic.removeprefix(self._prefix))
        return Record(
            raw.topic.removeprefix(self._prefix),
            raw.partition,
            raw.offset,
            raw.timestamp,
            raw.key,
            raw.value,
            tuple(raw.headers),
        )

    # -- deciding ----------------------------------------------------------------------

    async def _decide_all(
        self, records: Sequence[Record], overlay: Overlay
    ) -> list[Outcome]:
        overlay.clear()  # a repeated batch starts anew
        if self._stage.decide is not None:
            return [self._decide(record, overlay) for record in records]
        outcomes: list[Outcome | None] = [None] * len(records)
        good: list[tuple[int, Received]] = []
        for index, record in enumerate(records):
            try:
                good.append((index, self._decode(record)))
            except PermanentError as error:
                outcomes[index] = _refusal(error)
        if good:
            handled = await self._handle([received for _, received in good])
            for (index, _), outcome in zip(good, handled, strict=True):
                outcomes[index] = _checked(outcome)
        return [outcome for outcome in outcomes if outcome is not None]

    def _decide(self, record: Record, overlay: Overlay) -> Outcome:
        assert self._stage.decide is not None
        try:
            decision = self._stage.decide(self._decode(record), overlay)
        except PASSING:
            raise
        except PermanentError as error:
            return _refusal(error)
        except Exception as error:  # noqa: BLE001 - a decision is a function of the record
            return self._unforeseen(record, error)
        outcome = _checked(decision)
        if isinstance(outcome, Decision):
            overlay.add(record.partition, outcome.writes)
        return outcome

    async def _handle(self, batch: Sequence[Received]) -> Sequence[Outcome]:
        """Handle *batch*; one record whose handling fails unforeseen is found alone."""
        assert self._stage.handle is not None
        try:
            return await self._stage.handle(batch)
        except (*PASSING, FatalError):
            raise
        except Exception as error:  # noqa: BLE001 - which record it was is seen below
            if len(batch) == 1:
                return [self._unforeseen(batch[0].record, error)]
            halves = (batch[: len(batch) // 2], batch[len(batch) // 2 :])
            return [one for half in halves for one in await self._handle(half)]

    def _decode(self, record: Record) -> Received:
        kind = self._kinds[record.topic]
        assert kind is not None, record.topic
        return Received(record, events.decode(kind, record.value))

    def _unforeseen(self, record: Record, error: Exception) -> Refusal:
        where = traceback.extract_tb(error.__traceback__)[-1]
        log.error(
            "unforeseen failure",
            stage=self._stage.name,
            at=str(record.position),
            exc_info=error,
        )
        place = f"{where.filename.rpartition('/')[2]}:{where.lineno}"
        return Refusal(type(error).__name__, f"{error} (at {place})")

    # -- storing -----------------------------------------------------------------------

    def _outputs(
        self, records: Sequence[Record], outcomes: Sequence[Outcome]
    ) -> list[Output]:
        outputs = []
        prefix = self._prefix
        for record, outcome in zip(records, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                self._count_refusal(record, outcome)
                letter = events.dead_letter(
                    record,
                    stage=self._stage.name,
                    kind=outcome.kind,
                    reason=outcome.reason,
                    now=self._now(),
                )
                outputs.append(letter._replace(topic=prefix + letter.topic))
                continue
            self.progress.refusals_in_a_row = 0
            thread = events.thread_of(record)
            outputs += [
                Output(prefix + topic, key, value, (*headers, *thread), at, stamp)
                for topic, key, value, headers, at, stamp in outcome.outputs
            ]
        return outputs

    def _count_refusal(self, record: Record, refusal: Refusal) -> None:
        # What was refused before and is put back says nothing about other records.
        self.progress.refusals_in_a_row += events.retry_of(record) is None
        log.warning(
            "refused",
            stage=self._stage.name,
            at=str(record.position),
            origin=events.origin_of(record),
            id=record.header("ce_subject"),
            kind=refusal.kind,
            reason=refusal.reason,
        )
        if self.progress.refusals_in_a_row > self._refusals_max:
            raise RefusalRunError(
                f"{self._stage.name}: {self.progress.refusals_in_a_row} records in a "
                f"row were refused, the last at {record.position}: {refusal.reason}; "
                "if it is the records all the same, start once with a higher "
                "stages.refusals_max: then they are put aside"
            )

    def _entries(self, overlay: Overlay) -> list[Output]:
        if self._table is None:
            return []
        changelog = self._table.changelog_topic_name
        return [
            Output(changelog, key, value, partition=partition)
            for partition, key, value in overlay.written
        ]

    def _lease_age_s(self) -> float | None:
        age_s: float | None = self._app.consumer.lease_age_s()
        return age_s

    async def _lease(self, message: Any) -> None:
        """Return while the partition is ours for certain; wait until that is known."""
        consumer = self._app.consumer
        said_at = -LEASE_SAY_S
        while True:
            if (
                message.generation_id != self._app.consumer_generation_id
                or not consumer.holds(message)
            ):
                raise Abandoned
            if consumer.lease_is_fresh():
                if said_at > -LEASE_SAY_S:
                    self.progress.waiting = ""
                return
            self.progress.waits("the brokers have not heard of us lately")
            if time.monotonic() - said_at >= LEASE_SAY_S:
                said_at = time.monotonic()
                log.warning(
                    "waiting", stage=self._stage.name, reason=self.progress.waiting
                )
            await asyncio.sleep(LEASE_LOOK_S)

    async def _retried(
        self, what: str, step: Callable[[], Awaitable[T]], message: Any
    ) -> T:
        """Return what *step* returns, once what can pass has passed."""
        pause_s = PAUSE_FIRST_S
        while True:
            try:
                result = await step()
            except PASSING as error:
                reason = f"{what}: {str(error) or type(error).__name__}"
            else:
                self.progress.waiting = ""
                return result
            if message.generation_id != self._app.consumer_generation_id:
                raise Abandoned
            self.progress.waits(reason)
            self.progress.retries[what] += 1
            log.warning(
                "waiting", stage=self._stage.name, reason=reason, again_in_s=pause_s
            )
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)


def _apply(overlay: Overlay, stored: Any) -> None:
    """Put what a batch has decided into the table.

    With the partition of each key, as a restore notes it too: by it Faust's store drops
    what belongs to a partition that has gone, and which its new owner will change.
    """
    partitions = stored._key_partition  # noqa: SLF001 - Faust notes what it restores only
    for partition, key, value in overlay.written:
        if value is None:
            stored.pop(key, None)
            partitions.pop(key, None)
        else:
            stored[key] = value
            partitions[key] = partition


def _refusal(error: PermanentError) -> Refusal:
    return Refusal(type(error).__name__, str(error))


def _checked(outcome: Outcome) -> Outcome:
    """Refuse a decision whose outputs or entries the log would not take."""
    if isinstance(outcome, Decision):
        try:
            for output in outcome.outputs:
                check_size(output)
            for key, value in outcome.writes.items():
                _check_entry(key, value)
        except OversizeError as error:
            return _refusal(error)
    return outcome


def _check_entry(key: bytes, value: bytes | None) -> None:
    """Raise OversizeError for an entry that the changelog would never take."""
    size = len(key) + len(value or b"")
    if size > RECORD_MAX_BYTES:
        raise OversizeError(
            f"an entry of the stage's table has {size} bytes, the limit is "
            f"{RECORD_MAX_BYTES}"
        )
