"""Kafka behind the common face; agents use :mod:`streams.log.kafka_transport`."""

from __future__ import annotations

import asyncio
import ssl
import time

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from streams.clock import to_ms
from streams.errors import (
    FatalError,
    NotStoredError,
    TopicMismatchError,
    TransientError,
)
from streams.log.face import Headers, Output, Position, Record, check_size
from streams.log.partitioner import partition_of
from streams.settings import Kafka
from streams.topics import Topic


READ_WAIT_MS = 500
REQUEST_TIMEOUT_MS = 30_000
#: Over the largest record, so that one fits; batches are as large as this.
BATCH_BYTES = 512 * 1024
REQUEST_BYTES = 3 * 1024 * 1024
#: Brokers count a record's framing and headers too.
FRAMING_BYTES = 64 * 1024


def connection(settings: Kafka) -> dict[str, Any]:
    """Return what every aiokafka client needs to reach the brokers."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap,
        "security_protocol": settings.security,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
    }
    if settings.security.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password,
        }
    if context := ssl_context(settings):
        options["ssl_context"] = context
    return options


def ssl_context(settings: Kafka) -> ssl.SSLContext | None:
    """Return how brokers are verified; None without TLS."""
    if not settings.security.endswith("SSL"):
        return None
    return ssl.create_default_context(cafile=settings.ca_file or None)


def topic_config(topic: Topic) -> dict[str, str]:
    """Return the broker's settings for *topic*."""
    policy = "delete"
    if topic.compacted:
        policy = "compact" if topic.kept_s is None else "compact,delete"
    kept_ms = -1 if topic.kept_s is None else topic.kept_s * 1000
    return {
        "cleanup.policy": policy,
        "retention.ms": str(kept_ms),
        "max.message.bytes": str(topic.max_bytes + FRAMING_BYTES),
    }


@contextmanager
def errors_named(what: str) -> Iterator[None]:
    """Raise our errors for the client's: what can pass, and what a person must see."""
    try:
        yield
    except UnknownTopicOrPartitionError as error:
        raise TopicMismatchError(
            f"{what}: no such topic; run 'wirewatch topics create'"
        ) from error
    except KafkaError as error:
        if error.retriable or isinstance(error, ConnectionError):
            raise NotStoredError(f"{what}: {error!r}") from error
        raise FatalError(f"{what}: {error!r}") from error
    except (TimeoutError, OSError) as error:
        raise NotStoredError(f"{what}: {error!r}") from error


class KafkaLog:
    """See :class:`streams.log.face.Log`.

    The producer is idempotent and waits for all in-sync replicas. Clients are started
    when they are first needed, so that opening costs nothing and fails nowhere.
    """

    def __init__(self, settings: Kafka, *, prefix: str = "") -> None:
        self._settings = settings
        self._prefix = prefix
        self._producer: AIOKafkaProducer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        producer, self._producer = self._producer, None
        consumer, self._consumer = self._consumer, None
        admin, self._admin = self._admin, None
        if producer is not None:
            await producer.stop()
        if consumer is not None:
            await consumer.stop()
        if admin is not None:
            await admin.close()

    # -- clients -----------------------------------------------------------------------

    async def _producing(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                self._producer = await self._started(
                    AIOKafkaProducer(
                        **connection(self._settings),
                        acks="all",
                        enable_idempotence=True,
                        max_batch_size=BATCH_BYTES,
                        max_request_size=REQUEST_BYTES,
                    )
                )
            return self._producer

    async def _consuming(self) -> AIOKafkaConsumer:
        async with self._starting:
            if self._consumer is None:
                self._consumer = await self._started(self._new_consumer())
            return self._consumer

    def _new_consumer(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **connection(self._settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    async def _administering(self) -> AIOKafkaAdminClient:
        async with self._starting:
            if self._admin is None:
                admin = AIOKafkaAdminClient(**connection(self._settings))
                try:
                    with errors_named(f"Kafka at {self._settings.bootstrap}"):
                        await admin.start()
                except BaseException:
                    await admin.close()
                    raise
                self._admin = admin
            return self._admin

    async def _started(self, client: Any) -> Any:
        try:
            with errors_named(f"Kafka at {self._settings.bootstrap}"):
                await client.start()
        except BaseException:
            await client.stop()
            raise
        return client

    # -- appends -----------------------------------------------------------------------

    async def append(self, outputs: Sequence[Output]) -> list[Position]:
        """See the protocol."""
        for output in outputs:
            check_size(output)
        producer = await self._producing()
        if not outputs:
            return []
        with errors_named("the log did not take the records"):
            counts = {
                topic: len(await producer.partitions_for(self._prefix + topic))
                for topic in {o.topic for o in outputs}
            }
            sent: list[asyncio.Future[Any]] = [
                await producer.send(
                    self._prefix + o.topic,
                    o.value,
                    key=o.key,
                    partition=(
                        partition_of(o.key, counts[o.topic])
                        if o.partition is None
                        else o.partition
                    ),
                    headers=list(o.headers),
                    timestamp_ms=o.timestamp_ms,
                )
                for o in outputs
            ]
            # All are waited for, so that no answer is left behind when one fails.
            await asyncio.wait(sent)
            stored = [one.result() for one in sent]
        return [
            Position(o.topic, one.partition, one.offset)
            for o, one in zip(outputs, stored, strict=True)
        ]

    # -- where things stand --------------------------------------------------------------

    async def partitions(self, topic: str) -> int:
        """See the protocol."""
        admin = await self._administering()
        with errors_named(topic):
            found = await admin.describe_topics([self._prefix + topic])
        return len(found[0]["partitions"]) if not found[0]["error_code"] else 0

    async def _all(self, topic: str) -> list[TopicPartition]:
        count = await self.partitions(topic)
        if not count:
            raise TopicMismatchError(
                f"there is no topic {self._prefix + topic!r}: run 'wirewatch topics "
                "create'"
            )
        return [TopicPartition(self._prefix + topic, p) for p in range(count)]

    async def starts(self, topic: str) -> dict[int, int]:
        """See the protocol."""
        consumer, tps = await self._consuming(), await self._all(topic)
        with errors_named(topic):
            found = await consumer.beginning_offsets(tps)
        return {tp.partition: offset for tp, offset in found.items()}

    async def ends(self, topic: str) -> dict[int, int]:
        """See the protocol."""
        consumer, tps = await self._consuming(), await self._all(topic)
        with errors_named(topic):
            found = await consumer.end_offsets(tps)
        return {tp.partition: offset for tp, offset in found.items()}

    async def offsets_at(self, topic: str, moment: datetime) -> dict[int, int]:
        """See the protocol."""
        consumer, tps = await self._consuming(), await self._all(topic)
        with errors_named(topic):
            found = await consumer.offsets_for_times(dict.fromkeys(tps, to_ms(moment)))
        ends = await self.ends(topic)
        return {
            tp.partition: at.offset if at is not None else ends[tp.partition]
            for tp, at in found.items()
        }

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """See the protocol."""
        admin = await self._administering()
        deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        while True:
            with errors_named(group):
                try:
                    found = await admin.list_consumer_group_offsets(
                        self._prefix + group
                    )
                    break
                except GroupCoordinatorNotAvailableError:
                    # The first group on a broker: its offsets topic is being made.
                    if time.monotonic() > deadline:
                        raise
            await asyncio.sleep(0.1)
        name = self._prefix + topic
        return {
            tp.partition: at.offset
            for tp, at in found.items()
            if tp.topic == name and at.offset >= 0
        }

    # -- reads -------------------------------------------------------------------------

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """See the protocol."""
        name = self._prefix + topic
        open_until = {
            TopicPartition(name, p): until[p]
            for p, start in offsets.items()
            if start < until.get(p, 0)
        }
        if not open_until:
            return
        consumer = await self._started(self._new_consumer())
        try:
            with errors_named(topic):
                consumer.assign(list(open_until))
                for tp in open_until:
                    consumer.seek(tp, offsets[tp.partition])
            while open_until:
                with errors_named(topic):
                    fetched = await consumer.getmany(
                        *open_until, timeout_ms=READ_WAIT_MS
                    )
                for tp, records in fetched.items():
                    for record in records:
                        if record.offset < open_until[tp]:
                            yield _record(topic, record)
                # A hole at the end (compaction) is seen by the position alone.
                for tp in list(open_until):
                    if await consumer.position(tp) >= open_until[tp]:
                        del open_until[tp]
        finally:
            await consumer.stop()

    async def follow(
        self, topic: str, offsets: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """See the protocol."""
        name = self._prefix + topic
        consumer = await self._started(self._new_consumer())
        try:
            with errors_named(topic):
                consumer.assign([TopicPartition(name, p) for p in offsets])
                for p, offset in offsets.items():
                    consumer.seek(TopicPartition(name, p), offset)
            while True:
                with errors_named(topic):
                    fetched = await consumer.getmany(timeout_ms=READ_WAIT_MS)
                for records in fetched.values():
                    for record in records:
                        yield _record(topic, record)
        finally:
            await consumer.stop()

    # -- topics ------------------------------------------------------------------------

    async def create(self, topics: Iterable[Topic]) -> list[str]:
        """See the protocol."""
        admin = await self._administering()
        wanted = list(topics)
        made = []
        for topic in wanted:
            name = self._prefix + topic.name
            if await self.partitions(topic.name):
                made += await self._mend(topic)
                continue
            with errors_named(name):
                try:
                    await admin.create_topics(
                        [
                            NewTopic(
                                name,
                                topic.partitions,
                                self._settings.replication,
                                topic_configs=topic_config(topic),
                            )
                        ]
                    )
                except TopicAlreadyExistsError:
                    continue  # another process was quicker
            made.append(f"{name}: made, {topic.partitions} partitions")
        await self._until_known(wanted)
        if differing := await self.mismatches(wanted):
            raise TopicMismatchError("\n".join(differing))
        return made

    async def _until_known(self, topics: Sequence[Topic]) -> None:
        """Return when the brokers tell of all topics: creation is not at once everywhere."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        for topic in topics:
            while not await self.partitions(topic.name):
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"{self._prefix + topic.name} was made, but the brokers do not "
                        "tell of it"
                    )
                await asyncio.sleep(0.05)

    async def _mend(self, topic: Topic) -> list[str]:
        """Set what may change on an existing topic."""
        name = self._prefix + topic.name
        have = await self._config(name)
        wrong = {k: v for k, v in topic_config(topic).items() if have.get(k) != v}
        wrong.pop("cleanup.policy", None)
        if not wrong:
            return []
        admin = await self._administering()
        with errors_named(name):
            await admin.alter_configs(
                [
                    ConfigResource(
                        ConfigResourceType.TOPIC, name, configs=topic_config(topic)
                    )
                ]
            )
        return [f"{name}: {k} is {v} now, not {have.get(k)}" for k, v in wrong.items()]

    async def _config(self, name: str) -> dict[str, str]:
        admin = await self._administering()
        with errors_named(name):
            found = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name)]
            )
        entries = found[0].resources[0][4]
        return {entry[0]: entry[1] for entry in entries}

    async def mismatches(self, topics: Iterable[Topic]) -> list[str]:
        """See the protocol."""
        lines = []
        for topic in topics:
            name = self._prefix + topic.name
            count = await self.partitions(topic.name)
            if not count:
                lines.append(f"{name}: missing; run 'wirewatch topics create'")
                continue
            if count != topic.partitions:
                lines.append(
                    f"{name}: has {count} partitions, needs {topic.partitions}; a count "
                    "never changes in place: keys would move. Use another prefix, or "
                    "delete the topic if its records may go"
                )
            have = await self._config(name)
            lines += [
                f"{name}: {key} is {have.get(key)!r}, needs {value!r}; "
                + (
                    "delete the topic if its records may go, or use another prefix"
                    if key == "cleanup.policy"
                    else "'wirewatch topics create' changes it"
                )
                for key, value in topic_config(topic).items()
                if not _same(key, have.get(key), value)
            ]
        return lines


def _same(key: str, have: str | None, wanted: str) -> bool:
    if key == "cleanup.policy":
        return set((have or "").split(",")) == set(wanted.split(","))
    return have == wanted


def _record(topic: str, record: Any) -> Record:
    headers: Headers = tuple(record.headers)
    return Record(
        topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        headers,
    )
