"""``wiresqlite:////absolute/log.db``: Faust on the SQLite log.

The process opens the log first (:class:`streams.log.embedded.EmbeddedLog`) and makes the
topics; all its apps share it. One worker a log, any number of processes that append.
"""

from __future__ import annotations

import asyncio
import time

from functools import cached_property
from pathlib import Path
from typing import Any

import structlog

from faust.exceptions import ImproperlyConfigured
from faust.transport import base
from faust.types import TP, ConsumerMessage, RecordMetadata
from mode import Service

from streams.errors import NotStoredError, TopicMismatchError
from streams.log.delivery import MAX_BATCH, BatchConsumer, BatchTransport
from streams.log.face import Output
from streams.log.partitioner import partition_of
from streams.log.sqlite_log import Commit, Listener, SqliteLog


log = structlog.get_logger(__name__)

CHECKPOINT_S = 1.0
CLEAN_S = 30.0
#: Entries of a table that are read back at a time.
READ_BACK = 2000
#: So often a log is cleaned that takes nothing new: stages could fill what is left of it
#: with what others have yet to read, and then none could go on.
MAKE_ROOM_S = 1.0


class _Shared:
    """What consumer and producer both ask the log."""

    transport: Any
    app: Any

    @property
    def records(self) -> SqliteLog:
        return self.transport.log

    async def create_topic(self, topic: str, *_args: Any, **_options: Any) -> None:
        """Check that Faust's topic exists: ours are declared, and made beforehand."""
        if not self.records.partitions(topic):
            raise TopicMismatchError(f"there is no topic {topic!r}")


class Producer(_Shared, base.Producer):
    """Stores a batch's results in one transaction."""

    async def store(
        self, outputs: Any, entries: Any, finishing: Any, lease: Any
    ) -> None:
        """See :class:`streams.log.delivery.StoringProducer`."""
        await lease()
        done = self.app.consumer.finished_by(finishing)
        reader = self.app.conf.id
        commits = [
            Commit(reader, tp.topic, tp.partition, offset)
            for tp, offset in done.items()
        ]
        await self.records.append([*outputs, *entries], commits=commits)

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        **_options: Any,
    ) -> Any:
        """Send in Faust's own way; nothing of ours does."""
        pairs = headers.items() if hasattr(headers, "items") else headers or ()
        at = timestamp or time.time()
        output = Output(topic, key, value, tuple(pairs), partition, int(at * 1000))
        return asyncio.ensure_future(self._send(output))

    async def _send(self, output: Output) -> RecordMetadata:
        (at,) = await self.records.append([output])
        tp = TP(at.topic, at.partition)
        stamp = (output.timestamp_ms or 0) / 1000
        return RecordMetadata(at.topic, at.partition, tp, at.offset, stamp, 0)

    async def send_and_wait(self, *args: Any, **kwargs: Any) -> RecordMetadata:
        """Send and wait, in Faust's own way."""
        return await (await self.send(*args, **kwargs))

    async def flush(self) -> None:
        """Wait until everything is stored."""
        await self.buffer.flush()
        await self.records.flush()

    def key_partition(self, topic: str, key: bytes) -> TP:
        """Return the partition of *key*."""
        return TP(topic, partition_of(key, self.records.partitions(topic)))

    def supports_headers(self) -> bool:
        """Return True: every record has them."""
        return True


class Consumer(BatchConsumer, _Shared, base.Consumer):
    """Gives everything to this one worker; it rebalances when its subscription changes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assigned: set[TP] = set()
        self._positions: dict[TP, int] = {}
        self._generation = 0
        self._listener = Listener()

    async def on_start(self) -> None:
        """Take the worker's place at the log; AlreadyRunningError if it is taken."""
        self.records.work_here()
        self._listener = self.records.listen()

    async def on_shutdown(self) -> None:
        """Leave the worker's place."""
        await self.records.flush()
        self.records.unlisten(self._listener)
        self.records.stop_working()

    # -- assignment --------------------------------------------------------------------

    async def subscribe(self, topics: Any) -> None:
        """Subscribe; the assignment follows, because the conductor waits for this."""
        for topic in topics:
            await self.create_topic(topic)
        self.add_future(self._assign(set(topics)))

    async def _assign(self, topics: set[str]) -> None:
        records, app = self.records, self.app

        class Cluster:
            @staticmethod
            def partitions_for_topic(topic: str) -> set[int]:
                return set(range(records.partitions(topic)))

        tps = {TP(t, p) for t in topics for p in range(records.partitions(t))}
        sources = [tp for tp in tps if app.topics.acks_enabled_for(tp.topic)]
        await records.register(app.conf.id, sources)
        self._listener.topics = frozenset(tp.topic for tp in sources)
        self._generation += 1
        app.on_rebalance_start()
        await self.on_partitions_revoked(self._assigned - tps)
        metadata = app.assignor.metadata(topics)
        assignment = app.assignor.assign(Cluster, {"me": metadata})["me"]
        app.assignor.on_assignment(assignment)  # tables ask the assignor what is theirs
        self._assigned = {
            TP(topic, p) for topic, ps in assignment.assignment for p in ps
        }
        app.consumer_generation_id = self._generation
        await self.on_partitions_assigned(set(self._assigned), self._generation)

    def assignment(self) -> set[TP]:
        """Return what this worker reads."""
        return self._assigned

    def topic_partitions(self, topic: str) -> int | None:
        """Return the number of partitions."""
        return self.records.partitions(topic) or None

    def key_partition(
        self, topic: str, key: bytes, partition: int | None = None
    ) -> int | None:
        """Return the partition of *key*."""
        if partition is not None:
            return partition
        return partition_of(key, self.records.partitions(topic))

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    # -- positions ---------------------------------------------------------------------

    async def seek_to_committed(self) -> dict[TP, int]:
        """Go to the committed offsets."""
        offsets = self.records.committed(self.app.conf.id)
        committed = {
            TP(*at): offset
            for at, offset in offsets.items()
            if TP(*at) in self._assigned
        }
        self._positions.update(committed)
        return committed

    async def _seek(self, partition: TP, offset: int) -> None:
        self._positions[TP(*partition)] = offset

    async def seek_wait(self, partitions: dict[TP, int]) -> None:
        """Go to the given offsets."""
        for tp, offset in partitions.items():
            await self.seek(tp, offset)

    async def position(self, tp: TP) -> int | None:
        """Return the next offset to be read."""
        return self._positions.get(tp)

    def highwater(self, tp: TP) -> int:
        """Return the next offset to be written."""
        return self.records.end(*tp)

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        """Return the next offsets to be written."""
        self.records.look_again()
        return {tp: self.records.end(*tp) for tp in tps}

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        """Return the oldest kept offsets; of a table's changelog its end, once it is read.

        Faust asks for these when it is about to read its tables back, 15,000 entries a
        second, each an event. The file is at hand: read from it they are there at once,
        and nothing is left to be delivered.
        """
        tables = {t.changelog_topic_name: t for t in self.app.tables.values()}
        offsets = {}
        for tp in tps:
            table = tables.get(tp.topic)
            if table is None:
                offsets[tp] = self.records.start(*tp)
            else:
                offsets[tp] = await self._read_back(tp, table.data)
        return offsets

    async def _read_back(self, tp: TP, stored: Any) -> int:
        """Put what the changelog *tp* holds into the table; return its end."""
        partitions = stored._key_partition
        offset, end = self.records.start(*tp), self.records.end(*tp)
        while offset < end:
            records = self.records.read(tp.topic, tp.partition, offset, READ_BACK)
            if not records:
                break
            for record in records:
                if record.value is not None:
                    stored.data[record.key] = record.value
                    partitions[record.key] = tp.partition
            offset = records[-1].offset + 1
            await asyncio.sleep(0)  # heartbeats and other apps go on
        return end

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        try:
            await self.records.commit(self.app.conf.id, dict(offsets))
        except NotStoredError as error:  # the next interval tries again
            log.warning("commit postponed", error=str(error))
            return False
        self._stored.update(offsets)
        return True

    # -- fetching ----------------------------------------------------------------------

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        tps = self._assigned if active_partitions is None else active_partitions
        fetched = self._fetch(tps)
        if not fetched:
            try:
                await asyncio.wait_for(self._listener.grown.wait(), timeout)
            except TimeoutError:
                # The bell is a hint; this look is what makes it certain.
                self.records.look_again()
            self._listener.grown.clear()
            fetched = self._fetch(tps)
        return fetched

    def _fetch(self, tps: set[TP]) -> dict[TP, list[Any]]:
        fetched = {}
        for tp in list(tps):
            position = self._positions.get(tp, 0)
            if position < self.records.end(*tp):
                rows = self.records.read(tp.topic, tp.partition, position, MAX_BATCH)
                end = self.records.end(*tp)
                self._positions[tp] = rows[-1].offset + 1 if rows else end
                if rows:
                    fetched[tp] = rows
        return fetched

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.offset,
            record.timestamp_ms / 1000,
            0,
            record.headers,
            record.key,
            record.value,
            None,
            len(record.key or b""),
            len(record.value or b""),
            tp,
            # Without it streams skip the message silently.
            generation_id=self.app.consumer_generation_id,
        )

    @Service.task
    async def _checkpoints(self) -> None:
        async for _ in self.itertimer(CHECKPOINT_S, name="sqlite-checkpoint"):
            await self._whenever_possible(self.records.checkpoint())

    @Service.task
    async def _making_room(self) -> None:
        while not self.should_stop:
            await self.sleep(MAKE_ROOM_S)
            if self.records.is_full:
                await self._whenever_possible(self.records.clean(time.time()))

    @Service.task
    async def _housekeeping(self) -> None:
        async for _ in self.itertimer(CLEAN_S, name="sqlite-clean"):
            await self._whenever_possible(self.records.clean(time.time()))

    async def _whenever_possible(self, work: Any) -> None:
        try:
            await work
        except NotStoredError as error:
            log.warning("housekeeping postponed", error=str(error))


class Transport(BatchTransport, base.Transport):
    """Faust's entry point; the log at the URL's path must be open in this process."""

    Consumer = Consumer
    Producer = Producer
    default_port = 0
    driver_version = "wirewatch-sqlite"

    @cached_property
    def log(self) -> SqliteLog:
        """The open log."""
        path = Path(self.url[0].path)
        try:
            return SqliteLog.at(path)
        except KeyError:
            raise ImproperlyConfigured(f"the log {path} is not open") from None
