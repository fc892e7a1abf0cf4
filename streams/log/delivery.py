"""What the Kafka and the SQLite transport share: delivery, commit rule, storing.

Two mixins go in front of Faust's own classes, and one contract binds the producers::

    class Consumer(BatchConsumer, <a Faust consumer>)
    class Transport(BatchTransport, <a Faust transport>)
    class Producer(<a Faust producer>): async def store(...)   # see StoringProducer

1. *Batches.* Faust spends about 200 us on each message that it delivers. What was
   fetched of the topics in ``Transport.batch_topics``, from all partitions, therefore
   arrives as ONE message, the carrier: its value is a list of :class:`Part`, one a
   partition, each with its records in order. An ack of the carrier acks them all.
   Changelogs still arrive one by one, because Faust's recovery reads them.
2. *Commit rule.* A delivered part waits in a queue per partition; only an acked head
   leaves it, and the offset behind the last one that left is committed. Faust infers
   holes from a list of acked offsets and commits over a hole of one.
3. *Seeks.* A seek is the moment when "delivered" is forgotten. Faust resumes source
   partitions before it seeks them, so a fetch that overlaps a seek, or comes before the
   first one of a generation, is thrown away and read again. After the seek of a start
   it empties the streams' queues once more: what was delivered in between is void from
   then on, and sought again; else its partition would stand still, or what comes next
   would overtake it. Faust drops what lies below the highest
   offset that it has passed on, and notes that offset after the delivery, so also when
   a seek has gone back meanwhile: what came again was dropped, and what followed it
   committed over the hole. Here nothing is dropped, the seek's position alone counts.
4. *Linger.* While records trickle in, a fetch right after another waits a few
   milliseconds, so that it brings a batch and not one record; after a pause it does not.

Faust's private methods are overridden here, so faust-streaming is pinned and
``tests/integration/delivery/`` covers each rule: rule 1 ``getmany``; rule 2
``callback`` (wrapped), ``ack``, ``_new_offset``, ``_should_commit``,
``_filter_tps_with_pending_acks``, ``_add_gap``, ``_commit``; rule 3 ``perform_seek``,
``resume_flow``, ``getmany``, ``_read_offset``. Besides: ``on_buffer_full`` (Faust would
starve a partition) and ``wait_empty`` (Faust waits for ever); rule 4
``_wait_next_records``.
"""

from __future__ import annotations

import asyncio
import time

from collections import defaultdict, deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from typing import Any, Protocol

import structlog

from faust.types import TP
from mode.utils.futures import notify

from streams.log.face import Output


log = structlog.get_logger(__name__)

MAX_BATCH = 500  # records in one carrier
#: Keys and values in one carrier; a larger record travels alone.
MAX_BATCH_BYTES = 4 * 1024 * 1024
DRAIN_S = 3.0  # how long a stop or a rebalance waits for batches being worked on
LINGER_S = 0.005
#: A fetch of at least so many records needs no linger: batches are large already.
LINGER_RECORDS = 50


class Part:
    """Consecutive records of one partition, delivered, and done when ``acked``."""

    __slots__ = ("acked", "epoch", "records", "tp")

    def __init__(self, tp: TP, records: Sequence[Any], epoch: int) -> None:
        self.tp = tp
        self.records = records
        #: Between which seeks it was fetched.
        self.epoch = epoch
        self.acked = False

    @property
    def next(self) -> int:
        """The offset behind the last of them."""
        return int(self.records[-1].offset) + 1


_Batch = tuple[TP, Sequence[Any]]


class StoringProducer(Protocol):
    """What both transports' producers add to Faust's."""

    async def store(
        self,
        outputs: Sequence[Output],
        entries: Sequence[Output],
        finishing: Any,
        lease: Callable[[], Awaitable[None]],
    ) -> None:
        """Store all *outputs*, then the table *entries*; return when all are stored.

        Topics are names on the log. Order is kept within a partition. ``finishing`` is
        the carrier whose results these are: a transport that can (SQLite) stores its
        offsets in the same transaction, and a crash then repeats nothing; on the other
        the commit rule follows behind. ``lease`` is awaited before each send; it
        raises when the partition has moved to another worker. Raises NotStoredError
        (some may be stored all the same: repeat the call, or stop) or FatalError.
        """


class BatchTransport:
    """Mixin for a Faust transport; ``batch_topics`` are delivered in batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batch_topics: set[str] = set()


class _ReadOffsets(dict[TP, int | None]):
    """Faust's highest passed-on offsets; batches have none, so none of them is dropped."""

    def __init__(self, batch_topics: set[str]) -> None:
        super().__init__()
        self._batch_topics = batch_topics

    def __getitem__(self, tp: TP) -> int | None:
        return None if tp.topic in self._batch_topics else self.get(tp)


class BatchConsumer:
    """Mixin for a Faust consumer; the module's docstring has the rules."""

    app: Any
    transport: Any
    callback: Any
    flow_active: bool
    should_stop: bool
    _acked: dict[TP, Any]
    _acked_index: dict[TP, Any]
    _committed_offset: dict[TP, int]
    _unacked_messages: set[Any]
    _waiting_for_ack: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Delivered parts, in order.
        self._inflight: dict[TP, deque[Part]] = defaultdict(deque)
        #: Every record below is acked.
        self._finished: dict[TP, int] = {}
        #: The offset that the log holds for us.
        self._stored: dict[TP, int] = {}
        self._seeking = asyncio.Lock()
        self._seek_epoch = 0  # odd while a seek runs
        self._sought_generation: int | None = None
        self._queues_emptied = False
        self._last_small_fetch = 0.0
        self._read_offset = _ReadOffsets(self.transport.batch_topics)
        self._pass_on, self.callback = self.callback, self._deliver

    # -- the commit rule ---------------------------------------------------------------

    async def _deliver(self, message: Any) -> None:
        if not self.holds(message):
            return
        for part in self._parts(message):
            self._inflight[part.tp].append(part)
        await self._pass_on(message)

    def _parts(self, message: Any) -> Sequence[Part]:
        """Return what *message* carries; a changelog's carries nothing of ours."""
        batch = message.topic in self.transport.batch_topics
        return message.value if batch else ()

    def holds(self, message: Any) -> bool:
        """Whether *message* is still to be worked on: no seek has taken it back.

        From the moment on when a seek is known to be needed, so that nothing overtakes
        what the seek will bring again.
        """
        return all(part.epoch == self._seek_epoch for part in self._parts(message))

    def lease_is_fresh(self) -> bool:
        """Whether nobody else can have been given our partitions."""
        return True

    def lease_age_s(self) -> float | None:
        """Return how long ago it was confirmed that they are ours; None if it always is."""
        return None

    def ack(self, message: Any) -> bool:
        """Count what *message* carries as done."""
        if message.acked:
            return False
        message.acked = True
        for part in self._parts(message):
            part.acked = True
        self._unacked_messages.discard(message)
        notify(self._waiting_for_ack)
        return True

    def finished_by(self, message: Any) -> dict[TP, int]:
        """Return the offsets to commit when *message* is done.

        Of those partitions of which all that was delivered before it is done.
        """
        offsets = {}
        for part in self._parts(message):
            self._new_offset(part.tp)
            queue = self._inflight[part.tp]
            if queue and queue[0] is part:
                offsets[part.tp] = part.next
        return offsets

    def _new_offset(self, tp: TP) -> int | None:
        queue = self._inflight[tp]
        while queue and queue[0].acked:
            self._finished[tp] = queue.popleft().next
        # Faust's compiled streams go on filling these for plain agents.
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        return self._finished.get(tp)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return offset > self._stored.get(tp, -1)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        return [
            tp
            for tp in self._inflight
            if topics is None or tp in topics or tp.topic in topics
        ]

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        done: bool = await super()._commit(offsets)  # type: ignore[misc]
        if done:
            self._stored.update(offsets)
        return done

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: holes in the log are never delivered, so they hold up nothing."""

    async def wait_empty(self) -> None:
        """Wait for batches being worked on; what is not done in time comes again."""
        deadline = time.monotonic() + DRAIN_S
        while any(not message.acked for message in list(self._unacked_messages)):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.01)
        self._unacked_messages.clear()
        await self.commit()  # type: ignore[attr-defined]

    # -- seeks -------------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Go back to the committed offsets; a partition without one goes to its start."""
        async with self._seeking:
            self._seek_epoch += 1
            try:
                await super().perform_seek()  # type: ignore[misc]
                stored = {tp: at for tp, at in self._committed_offset.items() if at}
                unread = [
                    tp
                    for tp in self.assignment()  # type: ignore[attr-defined]
                    if self.app.topics.acks_enabled_for(tp.topic) and tp not in stored
                ]
                if unread:
                    starts = await self.earliest_offsets(*unread)  # type: ignore[attr-defined]
                    await self.seek_wait(starts)  # type: ignore[attr-defined]
                self._stored = stored
                self._inflight.clear()
                self._finished.clear()
                self._sought_generation = self.app.consumer_generation_id
            finally:
                self._seek_epoch += 1

    def resume_flow(self) -> None:
        """Note that Faust has emptied the queues of all streams just before this."""
        super().resume_flow()  # type: ignore[misc]
        if any(self._inflight.values()):
            self._queues_emptied = True
            self._seek_epoch += 2  # what was delivered so far is void, and comes again

    async def _seek_again(self) -> None:
        try:
            await self.perform_seek()
            self._queues_emptied = False
        except Exception as error:  # noqa: BLE001 - a rebalance under way ends with a seek of its own
            log.warning("seek postponed", error=repr(error))

    # -- fetching ----------------------------------------------------------------------

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: a full buffer holds up the delivery, and so the next fetch.

        Faust leaves *tp* out of the fetches until there is room. All partitions share
        one buffer here: the same one would be left out each time, and starve.
        """

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        await self._linger()
        fetched, active = await super()._wait_next_records(timeout)  # type: ignore[misc]
        if fetched and sum(map(len, fetched.values())) < LINGER_RECORDS:
            self._last_small_fetch = time.monotonic()
        return fetched, active

    async def _linger(self) -> None:
        wait_s = self._last_small_fetch + LINGER_S - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Yield what was fetched, unless a seek has made it void."""
        if self._queues_emptied:
            await self._seek_again()
        epoch = self._seek_epoch
        fetched, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if not fetched or self.should_stop:
            return
        overlapped = not self.flow_active or epoch != self._seek_epoch or epoch % 2
        too_early = overlapped or self._sought_generation != generation
        single, batches = self._sorted(fetched, active)
        for message in single:
            if not self.flow_active:
                break
            yield message.tp, message
        for carrier in self._carriers([] if too_early else batches, epoch):
            if not self.flow_active or epoch != self._seek_epoch:
                break
            yield carrier.tp, carrier
        if overlapped:
            await self._seek_again()

    def _sorted(
        self, fetched: Mapping[Any, Sequence[Any]], active: set[TP] | None
    ) -> tuple[list[Any], list[_Batch]]:
        """Return what is delivered one by one, and what is carried."""
        single: list[Any] = []
        batches: list[_Batch] = []
        for partition, records in fetched.items():
            tp = TP(partition.topic, partition.partition)
            if active is not None and tp not in active:
                continue
            if tp.topic in self.transport.batch_topics:
                batches.append((tp, records))
            else:
                single += [self._to_message(tp, one) for one in records]  # type: ignore[attr-defined]
        return single, batches

    def _carriers(self, batches: Sequence[_Batch], epoch: int) -> Iterator[Any]:
        """Yield messages that carry *batches*, each within the limits above."""
        load: list[Part] = []
        room, room_bytes = MAX_BATCH, MAX_BATCH_BYTES
        for tp, records in batches:
            rest = records
            while rest:
                count, size = _fitting(rest, room, room_bytes, at_least=not load)
                if count:
                    load.append(Part(tp, rest[:count], epoch))
                    rest = rest[count:]
                    room, room_bytes = room - count, room_bytes - size
                if rest or not room:
                    yield self._carrier(load)
                    load, room, room_bytes = [], MAX_BATCH, MAX_BATCH_BYTES
        if load:
            yield self._carrier(load)

    def _carrier(self, load: list[Part]) -> Any:
        last = load[-1]
        message = self._to_message(last.tp, last.records[-1])  # type: ignore[attr-defined]
        message.key, message.value = None, load
        return message


def _fitting(
    records: Sequence[Any], room: int, room_bytes: int, *, at_least: bool
) -> tuple[int, int]:
    """Return how many of *records* fit, and their bytes; *at_least* one if so told."""
    count = size = 0
    for record in records[:room]:
        weight = len(record.key or b"") + len(record.value or b"")
        if size + weight > room_bytes and (count or not at_least):
            break
        count, size = count + 1, size + weight
    return count, size
