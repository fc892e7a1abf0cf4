"""Kafka behind the common face; agents use :mod:`streams.log.kafka_transport`."""

from __future__ import annotations

import asyncio
import time

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    BrokerNotAvailableError,
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    InvalidProducerEpoch,
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    NodeNotReadyError,
    NoError,
    NotCoordinatorForGroupError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    ReplicaNotAvailableError,
    TopicAlreadyExistsError,
    UnknownProducerId,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.producer.sender import Sender, SendProduceReqHandler
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from streams import clock
from streams.clock import to_ms
from streams.errors import (
    AccessRefusedError,
    FatalError,
    NotStoredError,
    TopicMismatchError,
    TransientError,
)
from streams.log import leniency
from streams.log.access import (
    FORBIDDEN,
    REQUEST_TIMEOUT_MS,
    UNKNOWN_USER,
    ask_why,
    connection,
    explain,
)
from streams.log.face import Headers, Output, Position, Record, check_size
from streams.log.partitioner import partition_of
from streams.log.standing import deletion, wrong_count
from streams.settings import Kafka
from streams.topics import COMPACTED_WITHIN_S, SEGMENT_S, Topic, declared_count


READ_WAIT_MS = 500
#: Over the largest record, so that one fits; batches are as large as this.
BATCH_BYTES = 512 * 1024
REQUEST_BYTES = 3 * 1024 * 1024
#: Brokers count a record's framing and headers too.
FRAMING_BYTES = 64 * 1024
#: What aiokafka does not call retriable, and passes all the same.
PASSING = (
    BrokerNotAvailableError,
    KafkaTimeoutError,
    KafkaUnavailableError,
    ReplicaNotAvailableError,
)
#: What passes when a new producer takes over.
SPENT = (
    InvalidProducerEpoch,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)
COORDINATOR_MOVES = (
    GroupCoordinatorNotAvailableError,  # the first group on a broker, too
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
POLICY = "cleanup.policy"
#: In a description of a topic: set for this topic, not a default.
_SET_FOR_TOPIC = 1

T = TypeVar("T")

leniency.install()


def topic_config(topic: Topic) -> dict[str, str]:
    """Return the broker's settings for *topic*."""
    policy = "delete"
    if topic.compacted or topic.compacted_after_s is not None:
        policy = "compact" if topic.kept_s is None else "compact,delete"
    kept_ms = -1 if topic.kept_s is None else topic.kept_s * 1000
    after_s = topic.compacted_after_s or 0
    return {
        "segment.ms": str(SEGMENT_S * 1000),
        "min.compaction.lag.ms": str(after_s * 1000),
        "max.compaction.lag.ms": str((after_s + COMPACTED_WITHIN_S) * 1000),
        POLICY: policy,
        # The brokers' clock counts, not that of whoever writes.
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(kept_ms),
        "max.message.bytes": str(topic.max_bytes + FRAMING_BYTES),
    }


@contextmanager
def errors_named(
    what: str, *, passing: tuple[type[KafkaError], ...] = PASSING
) -> Iterator[None]:
    """Raise our errors for the client's: what can pass, and what a person must see.

    That one broker does not know a topic can pass: it may be new, or the broker be late.
    Whether there is none is what :meth:`KafkaLog.partitions` says.
    """
    try:
        yield
    except (*FORBIDDEN, *UNKNOWN_USER) as error:
        raise AccessRefusedError(f"{what}: {explain(error)}") from error
    except InvalidTimestampError as error:
        raise NotStoredError(
            f"{what}: its time is not believed by the brokers: the clocks of this "
            f"machine ({clock.now():%Y-%m-%d %H:%M:%S} UTC) and of the brokers "
            "differ; set them right, or run 'wirewatch topics create', which lets the "
            "brokers' clock count"
        ) from error
    except KafkaConnectionError as error:
        # Its own text lists address families of sockets.
        raise NotStoredError(f"{what}: no connection") from error
    except KafkaError as error:
        if error.retriable or isinstance(error, passing):
            raise NotStoredError(f"{what}: {error!r}") from error
        raise FatalError(f"{what}: {error!r}") from error
    except (TimeoutError, OSError) as error:
        raise NotStoredError(f"{what}: {error!r}") from error


class _BoundedHandler(SendProduceReqHandler):  # type: ignore[misc] # has no types
    def _can_retry(self, error: Any, batch: Any) -> bool:
        return not batch.expired() and bool(super()._can_retry(error, batch))


class _BoundedSender(Sender):  # type: ignore[misc] # has no types
    async def _send_produce_req(self, node_id: Any, batches: Any) -> None:
        await _BoundedHandler(self, batches).do(node_id)
        self._in_flight.remove(node_id)
        self._muted_partitions.difference_update(batches)


class BoundedProducer(AIOKafkaProducer):  # type: ignore[misc] # has no types
    """Idempotent, waits for all in-sync replicas, and gives up after a time.

    aiokafka's idempotent producer repeats for ever what a broker does not take, and
    cannot even be stopped meanwhile. A batch given up leaves a hole in the numbers by
    which the broker tells repeats, so after a failure a new producer must take over.
    """

    def __init__(self, **options: Any) -> None:
        safe = {
            "acks": "all",
            "enable_idempotence": True,
            "max_batch_size": BATCH_BYTES,
            "max_request_size": REQUEST_BYTES,
        }
        super().__init__(**options | safe)
        usual: Any = self._sender  # type: ignore[has-type] # has no types
        self._sender = _BoundedSender(
            self.client,
            acks=usual._acks,  # noqa: SLF001 - as it was made
            txn_manager=self._txn_manager,
            message_accumulator=self._message_accumulator,
            retry_backoff_ms=usual._retry_backoff * 1000,  # noqa: SLF001 - as it was made
            request_timeout_ms=self._request_timeout_ms,
        )


class _Packed(NamedTuple):
    """A batch, and which of the outputs are in it."""

    topic: str
    partition: int
    batch: Any
    members: list[int]


async def send(
    producer: Any, outputs: Sequence[Output], counts: Mapping[str, int]
) -> list[tuple[int, int]]:
    """Store *outputs*; return partition and offset of each, when all are stored.

    Topics are named as on the broker, ``counts`` has their numbers of partitions.
    """
    packed = _pack(producer, outputs, counts)
    answers: list[asyncio.Future[Any]] = []
    try:
        for topic, partition, batch, _ in packed:
            answers.append(await _queued(producer, batch, topic, partition))
    finally:
        # All are waited for, so that no answer is left behind when one fails.
        results = await asyncio.gather(*answers, return_exceptions=True)
    places = [(0, 0)] * len(outputs)
    for (_, partition, _, members), result in zip(packed, results, strict=True):
        if isinstance(result, BaseException):
            raise result
        for number, index in enumerate(members):
            places[index] = (partition, result.offset + number)
    return places


async def _queued(
    producer: Any, batch: Any, topic: str, partition: int
) -> asyncio.Future[Any]:
    """Give *batch* to the producer, once that has no other for the partition.

    While it waits for that, aiokafka takes the time since the beginning off the time
    left, again at each turn: with a few writers 30 s were over in 0.2 s.
    """
    patience_s = producer._request_timeout_ms / 1000  # noqa: SLF001 - as it was made
    deadline = time.monotonic() + patience_s
    while True:
        try:
            answer: asyncio.Future[Any] = await producer.send_batch(
                batch, topic, partition=partition
            )
        except KafkaTimeoutError:
            if time.monotonic() >= deadline:
                raise
        else:
            return answer


def _pack(
    producer: Any, outputs: Sequence[Output], counts: Mapping[str, int]
) -> list[_Packed]:
    """Fill batches: a future a batch, not one a record, is a fifth of the CPU."""
    now_ms = int(time.time() * 1000)
    packed: list[_Packed] = []
    filling: dict[tuple[str, int], _Packed] = {}
    for index, output in enumerate(outputs):
        count = counts[output.topic]
        partition = (
            partition_of(output.key, count)
            if output.partition is None
            else output.partition
        )
        if not 0 <= partition < count:
            raise TopicMismatchError(
                f"{output.topic}/{partition} does not exist: the topic has {count} "
                "partitions"
            )
        at = (output.topic, partition)
        one = filling.get(at)
        if one is None or not _add(one.batch, output, now_ms):
            one = filling[at] = _Packed(*at, producer.create_batch(), [])
            packed.append(one)
            assert _add(one.batch, output, now_ms), "an empty batch takes one"
        one.members.append(index)
    return packed


def _add(batch: Any, output: Output, now_ms: int) -> bool:
    added = batch.append(
        timestamp=output.timestamp_ms or now_ms,
        key=output.key,
        value=output.value,
        headers=list(output.headers),
    )
    return added is not None


class KafkaLog:
    """See :class:`streams.log.face.Log`.

    Clients are started when they are first needed, so that opening costs nothing and
    fails nowhere. A call on brokers that do not answer raises TransientError within two
    request time-outs.
    """

    #: Partitions store on their own, and one may fail.
    atomic = False

    def __init__(self, settings: Kafka, *, prefix: str = "") -> None:
        self._settings = settings
        self._prefix = prefix
        self._producer: BoundedProducer | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()
        #: When a client could not be started, and why.
        self._failure = (0.0, "")
        #: Of topics that exist; a count never changes in place.
        self._counts: dict[str, int] = {}

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

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let one caller start a client; those who wait meanwhile share its failure."""
        arrived = time.monotonic()
        async with self._starting:
            failed, why = self._failure
            if failed > arrived:
                raise TransientError(why)
            try:
                yield
            except TransientError as error:
                self._failure = (time.monotonic(), str(error))
                raise

    async def _producing(self) -> BoundedProducer:
        async with self._turn():
            if self._producer is None:
                self._producer = await self._started(
                    BoundedProducer(**connection(self._settings))
                )
            return self._producer

    async def _discard(self, producer: BoundedProducer) -> None:
        """Let the next append make a new one."""
        if self._producer is producer:
            self._producer = None
        await producer.stop()

    async def _consuming(self) -> AIOKafkaConsumer:
        async with self._turn():
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
        async with self._turn():
            if self._admin is None:
                admin = AIOKafkaAdminClient(**connection(self._settings))
                self._admin = await self._started(admin, admin.close)
            return self._admin

    async def _started(
        self, client: Any, stop: Callable[[], Awaitable[None]] | None = None
    ) -> Any:
        where = f"Kafka at {self._settings.bootstrap}"
        try:
            with errors_named(where):
                # Once they have answered, aiokafka waits for brokers without end.
                async with asyncio.timeout(REQUEST_TIMEOUT_MS / 1000):
                    await client.start()
        except NotStoredError:
            await (stop or client.stop)()
            await self._raise_refusal(where)
            raise
        except BaseException:
            await (stop or client.stop)()
            raise
        return client

    async def _raise_refusal(self, where: str) -> None:
        """Raise why there is no connection, if a broker is there and tells."""
        reason = await ask_why(self._settings)
        if reason is not None and (mending := explain(reason)):
            raise AccessRefusedError(f"{where}: {mending}") from None
        if isinstance(reason, KafkaConnectionError):
            raise NotStoredError(
                f"{where}: the broker ends the connection: it is stopping, or expects "
                "another kafka.security, or wants a certificate (kafka.cert_file)"
            ) from None

    # -- appends -----------------------------------------------------------------------

    async def append(
        self,
        outputs: Sequence[Output],
        *,
        intake: bool = True,  # noqa: ARG002 - brokers have no such limit
    ) -> list[Position]:
        """See the protocol."""
        for output in outputs:
            check_size(output)
        named = [o._replace(topic=self._prefix + o.topic) for o in outputs]
        counts = {name: await self._count(name) for name in {o.topic for o in named}}
        producer = await self._producing()
        try:
            with errors_named(
                "the log did not take the records", passing=PASSING + SPENT
            ):
                places = await send(producer, named, counts)
            if any(offset < 0 for _, offset in places):
                raise NotStoredError(
                    "the brokers have the records, but no longer know where"
                )
        except TransientError:
            await self._discard(producer)
            for name in counts:
                self._counts.pop(name, None)  # it may be gone: the next call looks
            raise
        return [
            Position(output.topic, partition, offset)
            for output, (partition, offset) in zip(outputs, places, strict=True)
        ]

    # -- where things stand --------------------------------------------------------------

    async def partitions(self, topic: str) -> int:
        """See the protocol.

        Missing is what no broker knows that answers: of a new topic the one hears
        sooner than the other.
        """
        admin = await self._administering()
        name = self._prefix + topic
        with errors_named(name):
            if count := await _partitions(admin, name, None):
                return count
            for broker in admin._client.cluster.brokers():  # noqa: SLF001 - no other way
                try:
                    count = await _partitions(admin, name, broker.nodeId)
                except (KafkaConnectionError, NodeNotReadyError):
                    continue
                if count:
                    return count
        return 0

    async def _count(self, name: str) -> int:
        """Return the partitions of the topic that brokers call *name*."""
        if name not in self._counts:
            count = await self.partitions(name.removeprefix(self._prefix))
            if not count:
                raise TopicMismatchError(
                    f"there is no topic {name!r}: run 'wirewatch topics create'"
                )
            wanted = declared_count(name.removeprefix(self._prefix)) or count
            if count != wanted:
                raise TopicMismatchError(wrong_count(name, count, wanted))
            self._counts[name] = count
        return self._counts[name]

    async def _all(self, topic: str) -> list[TopicPartition]:
        name = self._prefix + topic
        return [TopicPartition(name, p) for p in range(await self._count(name))]

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
            moment_ms = max(0, to_ms(moment))
            found = await consumer.offsets_for_times(dict.fromkeys(tps, moment_ms))
        ends = await self.ends(topic)
        return {
            tp.partition: at.offset if at is not None else ends[tp.partition]
            for tp, at in found.items()
        }

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """See the protocol."""
        with errors_named(group):
            found = await _repeated(
                lambda: self._group_offsets(self._prefix + group), COORDINATOR_MOVES
            )
        return {
            partition: offset
            for name, partitions in found
            for partition, offset, *_ in partitions
            if name == self._prefix + topic and offset >= 0
        }

    async def _group_offsets(self, group: str) -> list[Any]:
        """Return topic, [(partition, offset, ...)] of each topic that *group* reads.

        aiokafka's own method takes a coordinator's refusal (it is just starting) for
        a group without offsets.
        """
        admin = await self._administering()
        answer = await admin._send_request(  # noqa: SLF001 - see above
            OffsetFetchRequest(group, None), await admin.find_coordinator(group)
        )
        if answer.error_code:
            raise for_code(answer.error_code)(group)
        return list(answer.topics)

    # -- reads -------------------------------------------------------------------------

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """See the protocol."""
        ends = await self.ends(topic)
        open_until = {
            TopicPartition(self._prefix + topic, p): end
            for p, start in offsets.items()
            if start < (end := min(until.get(p, 0), ends.get(p, 0)))
        }
        if not open_until:
            return
        consumer = await self._started(self._new_consumer())
        try:
            with errors_named(topic):
                consumer.assign(list(open_until))
                for tp in open_until:
                    consumer.seek(tp, offsets[tp.partition])
            moved = time.monotonic()
            while open_until:
                with errors_named(topic):
                    fetched = await consumer.getmany(
                        *open_until, timeout_ms=READ_WAIT_MS
                    )
                for tp, records in fetched.items():
                    for record in records:
                        if record.offset < open_until[tp]:
                            yield _record(topic, record)
                for tp in await _ended(consumer, open_until):
                    del open_until[tp]
                if fetched:
                    moved = time.monotonic()
                elif time.monotonic() - moved > REQUEST_TIMEOUT_MS / 1000:
                    raise TransientError(
                        f"{self._prefix + topic}: the brokers at "
                        f"{self._settings.bootstrap} have sent nothing for "
                        f"{REQUEST_TIMEOUT_MS / 1000:g} s"
                    )
        finally:
            await consumer.stop()

    async def follow(
        self, topic: str, offsets: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """See the protocol."""
        begin = {
            tp: offsets[tp.partition]
            for tp in await self._all(topic)
            if tp.partition in offsets
        }
        consumer = await self._started(self._new_consumer())
        try:
            with errors_named(topic):
                consumer.assign(list(begin))
                for tp, offset in begin.items():
                    consumer.seek(tp, offset)
            # While the brokers are away this waits, and goes on when they are back.
            while True:
                with errors_named(topic):
                    fetched = await consumer.getmany(timeout_ms=READ_WAIT_MS)
                for records in fetched.values():
                    for record in records:
                        yield _record(topic, record)
        finally:
            await consumer.stop()

    async def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """See the protocol."""
        admin = await self._administering()
        bounds = {
            TopicPartition(self._prefix + topic, p): RecordsToDelete(offset)
            for p, offset in offsets.items()
        }
        with errors_named(topic):
            await admin.delete_records(bounds)

    # -- topics ------------------------------------------------------------------------

    async def create(self, topics: Iterable[Topic]) -> list[str]:
        """See the protocol."""
        wanted = list(topics)
        made = []
        for topic in wanted:
            if await self.partitions(topic.name):
                made += await self._mend(topic)
            elif await self._make(topic):
                made.append(
                    f"{self._prefix + topic.name}: made, {topic.partitions} partitions"
                )
        await self._until_known(wanted)
        if differing := await self.mismatches(wanted):
            raise TopicMismatchError("\n".join(differing))
        return made

    async def _make(self, topic: Topic) -> bool:
        """Make *topic*; False when another process was quicker."""
        name = self._prefix + topic.name
        admin = await self._administering()
        new = NewTopic(
            name,
            topic.partitions,
            self._settings.replication,
            topic_configs=topic_config(topic),
        )
        with errors_named(name):
            answer = await admin.create_topics([new])
            for _, code, *why in answer.topic_errors:
                error = for_code(code)
                if error is TopicAlreadyExistsError:
                    return False
                if error is not NoError:
                    raise error(*why)
        return True

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
        config = await self._config(name)
        have = {setting: value for setting, (value, _) in config.items()}
        wanted = topic_config(topic)
        wrong = {k: v for k, v in wanted.items() if not _same(k, have.get(k), v)}
        if not _may_become(have.get(POLICY), wrong.get(POLICY)):
            del wrong[POLICY]
        if not wrong:
            return []
        # Altering replaces everything: what somebody has set beside ours must stay.
        kept = {
            k: value
            for k, (value, source) in config.items()
            if source == _SET_FOR_TOPIC
        }
        admin = await self._administering()
        with errors_named(name):
            (answer,) = await admin.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name, configs=kept | wrong)]
            )
            for code, why, *_ in answer.resources:
                if for_code(code) is not NoError:
                    raise for_code(code)(why)
        await self._until_set(name, wrong)
        return [f"{name}: {k} is {v} now, not {have.get(k)}" for k, v in wrong.items()]

    async def _until_set(self, name: str, wanted: Mapping[str, str]) -> None:
        """Return when the brokers tell of *wanted*: an alteration is not at once seen."""
        deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
        while True:
            have = await self._config(name)
            if all(have[key][0] == value for key, value in wanted.items()):
                return
            if time.monotonic() > deadline:
                raise TransientError(f"{name} was altered, but the brokers do not tell")
            await asyncio.sleep(0.05)

    async def _config(self, name: str) -> dict[str, tuple[str, int]]:
        """Return the value of each setting of topic *name*, and who has set it."""
        admin = await self._administering()

        async def described() -> list[Any]:
            (answer,) = await admin.describe_configs(
                [ConfigResource(ConfigResourceType.TOPIC, name)]
            )
            ((code, why, _, _, entries),) = answer.resources
            if for_code(code) is not NoError:
                raise for_code(code)(why)
            return list(entries)

        with errors_named(name):
            entries = await _repeated(described, (UnknownTopicOrPartitionError,))
        return {entry[0]: (entry[1], entry[3]) for entry in entries}

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
                lines.append(wrong_count(name, count, topic.partitions))
            have = {k: value for k, (value, _) in (await self._config(name)).items()}
            lines += [
                f"{name}: {key} is {have.get(key)!r}, needs {value!r}; "
                + (
                    "'wirewatch topics create' changes it"
                    if key != POLICY or _may_become(have.get(key), value)
                    else f"use another prefix, or {deletion(name)}"
                )
                for key, value in topic_config(topic).items()
                if not _same(key, have.get(key), value)
            ]
        return lines


async def _partitions(admin: Any, name: str, node: int | None) -> int:
    """Return how many partitions broker *node*, or any, knows of topic *name*."""
    # Not admin.describe_topics: with brokers' defaults, to ask would make it.
    request = MetadataRequest([name], allow_auto_topic_creation=False)
    answer = await admin._send_request(request, node)  # noqa: SLF001 - see above
    (found,) = answer.to_object()["topics"]
    error = for_code(found["error_code"])
    if error is UnknownTopicOrPartitionError:
        return 0
    if error is not NoError:
        raise error(name)
    return len(found["partitions"])


async def _repeated(
    ask: Callable[[], Awaitable[T]], passing: tuple[type[KafkaError], ...]
) -> T:
    """Return what *ask* returns, once what it may raise at first has passed."""
    deadline = time.monotonic() + REQUEST_TIMEOUT_MS / 1000
    while True:
        try:
            return await ask()
        except passing:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


async def _ended(
    consumer: AIOKafkaConsumer, until: Mapping[TopicPartition, int]
) -> list[TopicPartition]:
    """Return what has been read: a hole at the end is seen by the position alone."""
    return [tp for tp, end in until.items() if await consumer.position(tp) >= end]


def _same(key: str, have: str | None, wanted: str) -> bool:
    if key == POLICY:
        return _policies(have) == _policies(wanted)
    return have == wanted


def _policies(setting: str | None) -> set[str]:
    return set((setting or "").split(","))


def _may_become(have: str | None, wanted: str | None) -> bool:
    """Whether a policy may change in place: what is to be kept by key has keys anyway.

    Ending compaction, or expiry, would keep what should go, or lose what should stay.
    """
    return wanted is None or _policies(have) <= _policies(wanted)


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
