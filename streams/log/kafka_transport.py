"""``wirekafka://host:port``: Faust's aiokafka transport, made safe.

It has the delivery of :mod:`streams.log.delivery`, a lease on its partitions, and writes
that wait for the broker.
"""

from __future__ import annotations

import time

from collections.abc import Sequence
from typing import Any

import structlog

from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as faust_kafka

from streams.errors import TopicMismatchError
from streams.log.delivery import BatchConsumer, BatchTransport
from streams.log.face import Output
from streams.log.kafka import errors_named, send


log = structlog.get_logger(__name__)

#: The lease ends so long before the broker may give our partitions to another.
LEASE_MARGIN_S = 2.0


class ConsumerThread(faust_kafka.AIOKafkaConsumerThread):
    """Knows when the group coordinator heard of us last."""

    heard_at = 0.0

    async def on_start(self) -> None:
        """Start the consumer, and note each sign of life that the coordinator confirms."""
        await super().on_start()
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
        age_s = time.monotonic() - self._thread.heard_at
        return age_s < self.app.conf.broker_session_timeout - LEASE_MARGIN_S


class Producer(faust_kafka.Producer):
    """Writes batch by batch, and waits until all in-sync replicas have them."""

    def _settings_extra(self) -> dict[str, Any]:
        """Faust sets these for exactly_once only."""
        return {"acks": "all", "enable_idempotence": True}

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
                with errors_named("the log did not take the results"):
                    await self._send_batches(part)

    async def _send_batches(self, outputs: Sequence[Output]) -> None:
        producer = self._ensure_producer()
        counts = {
            t: await self._partitions(producer, t) for t in {o.topic for o in outputs}
        }
        await send(producer, outputs, counts)

    async def _partitions(self, producer: Any, topic: str) -> int:
        known = producer.client.cluster.partitions_for_topic(topic)
        if not known:
            await producer.client.add_topic(topic)
            await producer.client.force_metadata_update()
            known = producer.client.cluster.partitions_for_topic(topic)
        if not known and producer.client.cluster.brokers():
            raise TopicMismatchError(
                f"there is no topic {topic!r}: run 'wirewatch topics create'"
            )
        return len(known)


class Transport(BatchTransport, faust_kafka.Transport):
    """Faust's entry point."""

    Consumer = Consumer
    Producer = Producer
