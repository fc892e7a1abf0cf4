"""``wirekafka://host:port``: Faust's aiokafka transport, made safe.

It has the delivery of :mod:`streams.log.delivery`, a lease on its partitions, and writes
that wait for the broker.
"""

from __future__ import annotations

import asyncio
import time

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as faust_kafka
from mode.threads import WorkerThread

from streams.errors import NotStoredError, TopicMismatchError, TransientError
from streams.log.delivery import BatchConsumer, BatchTransport
from streams.log.face import Output
from streams.log.kafka import PASSING, SPENT, BoundedProducer, errors_named, send
from streams.log.standing import wrong_count


log = structlog.get_logger(__name__)

#: The lease ends so long before the broker may give our partitions to another.
LEASE_MARGIN_S = 2.0
#: Brokers that went away while a worker starts are asked again after so long.
START_PAUSE_S = 0.5


async def _reached(
    start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
) -> None:
    """Do *start*, a client's first word to the brokers, until one answers.

    They were there when the topics were looked at, and may be gone since. *stop* ends
    the client of a start that failed. Raises what does not pass.
    """
    while True:
        try:
            with errors_named("no broker answers the start"):
                return await start()
        except TransientError as error:
            await stop()
            log.warning(
                "waiting",
                what="brokers",
                reason=str(error),
                again_in_s=START_PAUSE_S,
            )
        except BaseException:
            await stop()
            raise
        await asyncio.sleep(START_PAUSE_S)


class _Bystander(WorkerThread):
    """A thread that the end of the process does not wait for.

    Its client may wait for brokers that do not answer; what it has not committed by the
    time that a stop takes comes again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.daemon = True


class ConsumerThread(faust_kafka.AIOKafkaConsumerThread):
    """Knows when the group coordinator heard of us last."""

    Worker = _Bystander
    heard_at = 0.0

    async def on_start(self) -> None:
        """Start the consumer, and note each sign of life that the coordinator confirms."""
        await _reached(super().on_start, self._end)
        coordinator = self._ensure_consumer()._coordinator
        heartbeat, join = coordinator._do_heartbeat, coordinator._on_join_complete

        async def noted_heartbeat() -> bool:
            asked_at = time.monotonic()
            confirmed: bool = await heartbeat()
            if confirmed:
                self.heard_at = asked_at
            return confirmed

        async def noted_join(*args: Any, **kwargs: Any) -> Any:
            self.heard_at = time.monotonic()
            return await join(*args, **kwargs)

        coordinator._do_heartbeat = noted_heartbeat
        coordinator._on_join_complete = noted_join

    async def _end(self) -> None:
        await self._ensure_consumer().stop()

    async def on_thread_stop(self) -> None:
        """Stop the consumer, also when it is just waiting after a fetch that failed.

        aiokafka's close lets the CancelledError of that wait through. It would end the
        thread before that has said that it ends, for which the app waits for ever.
        """
        try:
            await super().on_thread_stop()
        except asyncio.CancelledError:
            log.info("a fetch was under way at the end")

    async def _commit(self, offsets: Any) -> bool:
        """Commit; a broker's error waits for the next interval (Faust's own crashes)."""
        assigned = self.assignment()
        wanted = {
            TopicPartition(*tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        try:
            if wanted:
                await self._ensure_consumer().commit(wanted)
        except (CommitFailedError, IllegalStateError) as error:
            # We lost the partition: its new owner delivers again.
            log.info("commit refused", error=repr(error))
            return False
        except (KafkaError, TimeoutError) as error:
            log.warning("commit postponed", error=repr(error))
            return False
        # Feeds Faust's livelock detector.
        self.tp_last_committed_at.update(dict.fromkeys(offsets, time.monotonic()))
        return True


class Consumer(BatchConsumer, faust_kafka.Consumer):
    """Faust's Kafka consumer with our delivery."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def lease_is_fresh(self) -> bool:
        """Whether the coordinator heard of us so lately that it cannot have let us go."""
        limit_s = self.app.conf.broker_session_timeout - LEASE_MARGIN_S
        return self.lease_age_s() < limit_s

    def lease_age_s(self) -> float:
        """Return how long ago the coordinator heard of us."""
        return time.monotonic() - self._thread.heard_at


class Producer(faust_kafka.Producer):
    """Writes batch by batch, and waits until all in-sync replicas have them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What it failed with leaves holes in its numbers: a new one must take over.
        self._spent = False
        #: Partitions of topics, as they were when it wrote to them first.
        self._counts: dict[str, int] = {}

    @property
    def _producer_type(self) -> type[BoundedProducer]:
        """Faust's own would repeat for ever what the brokers do not take."""
        return BoundedProducer

    async def on_start(self) -> None:
        """Start the producer; brokers that are away are waited for."""
        await _reached(super().on_start, self._end)

    async def _end(self) -> None:
        await self._ensure_producer().stop()

    async def store(
        self, outputs: Any, entries: Any, finishing: Any, lease: Any
    ) -> None:
        """See :class:`streams.log.delivery.StoringProducer`.

        Outputs first: a table that is ahead of its outputs would hide them from the
        replay after a crash, one that is behind only lets it say the same again.
        """
        del finishing  # the commit rule follows behind
        for part in (outputs, entries):
            if part:
                await lease()
                await self._send_batches(part)

    async def _send_batches(self, outputs: Sequence[Output]) -> None:
        what = "the log did not take the results"
        try:
            with errors_named(what, passing=PASSING + SPENT):
                producer = await self._fresh()
                counts = {
                    topic: await self._partitions(producer, topic)
                    for topic in {output.topic for output in outputs}
                }
                await send(producer, outputs, counts)
        except NotStoredError:
            self._spent = True
            raise

    async def _fresh(self) -> Any:
        """Return the producer; a new one in place of one that has failed."""
        producer = self._ensure_producer()
        if self._spent:
            await producer.stop()
            producer = self._new_producer()
            self._producer = producer
            async with asyncio.timeout(self.request_timeout):
                await producer.start()
            self._spent = False
        return producer

    async def _partitions(self, producer: Any, topic: str) -> int:
        known = producer.client.cluster.partitions_for_topic(topic)
        if not known:
            await producer.client.add_topic(topic)
            await producer.client.force_metadata_update()
            known = producer.client.cluster.partitions_for_topic(topic)
        if not known:
            # It was there when the worker began: a new one not every broker knows yet.
            raise NotStoredError(
                f"no broker tells of topic {topic!r}; if it was deleted, 'wirewatch "
                "topics create' makes it again"
            )
        count = self._counts.setdefault(topic, len(known))
        if len(known) != count:
            raise TopicMismatchError(wrong_count(topic, len(known), count))
        return count


class Transport(BatchTransport, faust_kafka.Transport):
    """Faust's entry point."""

    Consumer = Consumer
    Producer = Producer
