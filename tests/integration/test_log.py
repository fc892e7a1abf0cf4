"""One contract, two logs: what goes in is where it is said to be, until it may go."""

from __future__ import annotations

import asyncio
import itertools
import time

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams import clock
from streams.errors import (
    FatalError,
    NotStoredError,
    OversizeError,
    TopicMismatchError,
    TransientError,
)
from streams.log import access
from streams.log import kafka as kafka_log
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log, Output, Position, Record
from streams.log.kafka import KafkaLog, topic_config
from streams.log.opening import open_log
from streams.log.partitioner import partition_of
from streams.settings import Kafka, Settings
from streams.topics import (
    DAY_S,
    DEADLETTER_MAX_BYTES,
    DEADLETTERS,
    RECORD_MAX_BYTES,
    Topic,
)
from tests.servers.handles import KafkaServer


PATIENCE_S = 60.0
LOGS = ["embedded", pytest.param("servers", marks=pytest.mark.kafka)]


def topic(name: str = "records", **changes: Any) -> Topic:
    plain = Topic(
        name=name,
        key="",
        partitions=3,
        record=None,
        compacted=False,
        kept_s=30 * DAY_S,
        max_bytes=RECORD_MAX_BYTES,
        writers=(),
        about="",
    )
    return replace(plain, **changes)


RECORDS = topic()


class House:
    """Opens logs of one kind, all on the same file or broker."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self.settings = settings
        self._stack = stack

    @property
    def prefix(self) -> str:
        return self.settings.prefix

    async def open(self, *, more_prefix: str = "") -> Log:
        settings = msgspec.structs.replace(
            self.settings, prefix=self.prefix + more_prefix
        )
        return await self._stack.enter_async_context(open_log(settings))

    # -- what stages do, and only their transports can -----------------------------------

    async def commit(
        self, log: Log, group: str, name: str, offsets: Mapping[int, int]
    ) -> None:
        """Let consumer group *group* have read *offsets* of topic *name*."""
        group, name = self.prefix + group, self.prefix + name
        if isinstance(log, EmbeddedLog):
            stands = {(name, p): offset for p, offset in offsets.items()}
            await log.log.commit(group, stands)
            return
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka.bootstrap,
            group_id=group,
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            tps = {TopicPartition(name, p): offset for p, offset in offsets.items()}
            consumer.assign(list(tps))
            await consumer.commit(tps)
        finally:
            await consumer.stop()

    async def punch(self, log: Log, name: str) -> dict[int, bytes]:
        """Fill partition 0 of compacted topic *name*; return what is left, with holes.

        The holes are at the start, in the middle and at the end; compaction leaves them
        and, at once and without waiting, the marks of Kafka's transactions do too.
        """
        if isinstance(log, EmbeddedLog):
            keys = [b"a", b"b", b"a", b"c", b"d", b"c"]
            values = [Output(name, k, b"%d" % n, (), 0) for n, k in enumerate(keys)]
            await log.append(values)
            return {1: b"1", 2: b"2", 4: b"4", 5: b"5"}
        left: dict[int, bytes] = {}
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka.bootstrap,
            transactional_id=self.prefix + "punch",
        )
        await producer.start()
        try:
            for number in range(3):
                async with producer.transaction():
                    value = b"%d" % number
                    done = await producer.send_and_wait(
                        self.prefix + name, value, key=b"k", partition=0
                    )
                    left[done.offset] = value
        finally:
            await producer.stop()
        return left


@pytest.fixture(params=LOGS)
async def house(
    request: pytest.FixtureRequest, tmp_path: Path, prefix: str
) -> AsyncIterator[House]:
    """Both logs, one after the other."""
    mode = request.param
    bootstrap = request.getfixturevalue("kafka") if mode == "servers" else ""
    settings = Settings(
        mode=mode,
        data=str(tmp_path / "data"),
        prefix=prefix,
        kafka=Kafka(bootstrap=bootstrap),
    )
    async with AsyncExitStack() as stack:
        yield House(settings, stack)


@pytest.fixture
async def log(house: House) -> Log:
    """A log with the topic ``records``."""
    log = await house.open()
    await log.create([RECORDS])
    return log


def numbered(numbers: Iterable[int], name: str = "records") -> list[Output]:
    """Return a record a number, each with a key of its own."""
    return [Output(name, b"key %d" % n, b"%d" % n) for n in numbers]


async def everything(log: Log, name: str = "records") -> list[Record]:
    starts, ends = await log.starts(name), await log.ends(name)
    return [record async for record in log.read(name, starts, ends)]


async def taken(records: AsyncIterator[Record], count: int) -> list[Record]:
    """Return the next *count* of *records*."""
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(records) for _ in range(count)]


# -- appending -----------------------------------------------------------------------------


async def test_each_record_is_where_its_position_says(log: Log) -> None:
    outputs = numbered(range(500))

    positions = await log.append(outputs)

    found = {record.position: record.value for record in await everything(log)}
    assert [found[position] for position in positions] == [o.value for o in outputs]
    assert len(set(positions)) == len(outputs)


async def test_records_of_several_topics_go_in_one_append(log: Log) -> None:
    await log.create([topic("others", partitions=1)])
    outputs = [
        Output(name, b"k", b"%d" % n)
        for n, name in enumerate(["records", "others", "others", "records"])
    ]

    positions = await log.append(outputs)

    assert [p.topic for p in positions] == [o.topic for o in outputs]
    assert [r.value for r in await everything(log, "others")] == [b"1", b"2"]


async def test_records_of_a_partition_keep_their_order(log: Log) -> None:
    for start in range(0, 600, 100):
        await log.append(
            [
                Output("records", b"k%d" % (n % 7), b"%d" % n)
                for n in range(start, start + 100)
            ]
        )

    found = await everything(log)

    for partition in range(3):
        numbers = [int(r.value or b"") for r in found if r.partition == partition]
        assert numbers == sorted(numbers)
        assert numbers


async def test_appends_at_the_same_time_lose_nothing_and_keep_their_own_order(
    log: Log,
) -> None:
    async def writer(name: int) -> list[Position]:
        return [
            position
            for number in range(60)
            for position in await log.append(
                [Output("records", b"k", b"%d/%d" % (name, number), (), 1)]
            )
        ]

    positions = await asyncio.gather(*(writer(name) for name in range(8)))

    found = {record.position: record.value for record in await everything(log)}
    assert len(found) == 480
    for name, its in enumerate(positions):
        assert [found[p] for p in its] == [b"%d/%d" % (name, n) for n in range(60)]
        assert its == sorted(its)


async def test_a_key_goes_to_the_partition_that_kafkas_clients_choose(log: Log) -> None:
    keys = [
        b"",
        b"a",
        b"station/7",
        "Bamako \u2014 ɓ".encode(),
        bytes(range(256)),
        None,
    ]

    first = await log.append([Output("records", key, b"1") for key in keys])
    second = await log.append([Output("records", key, b"2") for key in keys])

    assert [p.partition for p in first] == [partition_of(key, 3) for key in keys]
    assert [p.partition for p in second] == [p.partition for p in first]


async def test_a_given_partition_is_taken_whatever_the_key(log: Log) -> None:
    (position,) = await log.append([Output("records", b"k", b"v", (), 2)])

    assert position == Position("records", 2, 0)


async def test_a_record_comes_back_as_it_was(log: Log) -> None:
    headers = (("ce_id", b"i1/3"), ("again", b""), ("again", "ɗaya".encode()))

    (at,) = await log.append([Output("records", b"\x00k", b"\xff", headers)])
    (record,) = await everything(log)

    assert record._replace(timestamp_ms=0) == Record(
        "records", at.partition, 0, 0, b"\x00k", b"\xff", headers
    )
    assert record.header("again") == "ɗaya"


async def test_a_record_has_the_time_of_its_append(log: Log) -> None:
    before = clock.to_ms(clock.now())
    await log.append([Output("records", b"k", b"v")])
    after = clock.to_ms(clock.now())

    (record,) = await everything(log)

    assert before <= record.timestamp_ms <= after


async def test_nothing_and_emptiness_are_told_apart(log: Log) -> None:
    """A tombstone is no empty value, a missing key no empty key."""
    given = [(b"k", None), (b"k", b""), (b"", b"v"), (None, b"v"), (None, None)]

    await log.append([Output("records", key, value, (), 0) for key, value in given])

    assert [(r.key, r.value) for r in await everything(log)] == given


async def test_an_append_of_nothing_stores_nothing(log: Log) -> None:
    assert await log.append([]) == []
    assert await log.ends("records") == {0: 0, 1: 0, 2: 0}


@pytest.mark.parametrize(
    ("declared", "size"),
    [(RECORDS, RECORD_MAX_BYTES), (DEADLETTERS, DEADLETTER_MAX_BYTES)],
)
async def test_the_largest_record_that_is_allowed_comes_through(
    log: Log, declared: Topic, size: int
) -> None:
    await log.create([declared])
    headers = tuple((f"ww_reason_{n}", b"r" * 1000) for n in range(20))
    value = bytes(size - 1)

    await log.append([Output(declared.name, b"k", value, headers)])

    (record,) = await everything(log, declared.name)
    assert (record.value, record.headers) == (value, headers)


async def test_a_record_over_the_limit_is_refused_and_nothing_of_the_call_stored(
    log: Log,
) -> None:
    large = Output("records", b"k", bytes(RECORD_MAX_BYTES))

    with pytest.raises(OversizeError, match="1048577 bytes, the limit is 1048576"):
        await log.append([*numbered(range(5)), large])

    assert await everything(log) == []


async def test_a_partition_that_does_not_exist_is_refused(log: Log) -> None:
    with pytest.raises(TopicMismatchError, match="3 partitions"):
        await log.append([Output("records", b"k", b"v", (), 3)])


# -- reading -------------------------------------------------------------------------------


async def test_a_read_gives_what_lies_between_the_offsets(log: Log) -> None:
    await log.append([Output("records", b"", b"%d" % n, (), n % 3) for n in range(300)])

    found = [r async for r in log.read("records", {0: 10, 2: 95}, {0: 20, 1: 5, 2: 98})]

    by_partition = {p: [r.offset for r in found if r.partition == p] for p in range(3)}
    assert by_partition == {0: list(range(10, 20)), 1: [], 2: [95, 96, 97]}


@pytest.mark.parametrize(
    ("begin", "until"),
    [({}, {}), ({0: 5}, {}), ({0: 5}, {0: 5}), ({0: 7}, {0: 3}), ({0: 50}, {0: 60})],
)
async def test_a_read_of_nothing_ends(
    log: Log, begin: dict[int, int], until: dict[int, int]
) -> None:
    await log.append([Output("records", b"", b"", (), 0) for _ in range(10)])

    async with asyncio.timeout(PATIENCE_S):
        assert [r async for r in log.read("records", begin, until)] == []


async def test_a_read_ends_at_the_end_even_if_asked_for_more(log: Log) -> None:
    await log.append([Output("records", b"", b"", (), 0) for _ in range(10)])

    async with asyncio.timeout(PATIENCE_S):
        found = [r.offset async for r in log.read("records", {0: 8}, {0: 1000})]

    assert found == [8, 9]


async def test_a_read_passes_over_what_is_gone(house: House) -> None:
    log = await house.open()
    await log.create([topic("kept", compacted=True, kept_s=None)])
    left = await house.punch(log, "kept")
    end = (await log.ends("kept"))[0]
    assert max(left) < end

    async with asyncio.timeout(PATIENCE_S):
        found = [r async for r in log.read("kept", {0: 0}, {0: end})]
        most = [r async for r in log.read("kept", {0: min(left) + 1}, {0: end})]

    assert {r.offset: r.value for r in found} == left
    assert [r.offset for r in most] == sorted(left)[1:]


async def test_what_is_deleted_is_gone_and_offsets_stay(log: Log) -> None:
    await log.append([Output("records", b"", b"%d" % n, (), 0) for n in range(5)])
    await log.append([Output("records", b"", b"x", (), 1)])

    await log.delete_before("records", {0: 3})

    assert (await log.starts("records"))[0] == 3
    read = log.read("records", {0: 0, 1: 0}, await log.ends("records"))
    left = [(one.partition, one.offset) async for one in read]
    assert sorted(left) == [(0, 3), (0, 4), (1, 0)]
    (after,) = await log.append([Output("records", b"", b"new", (), 0)])
    assert after.offset == 5


async def test_a_reader_that_stops_early_leaves_nothing_behind(log: Log) -> None:
    await log.append(numbered(range(3000)))
    starts, ends = await log.starts("records"), await log.ends("records")

    for _ in range(3):
        reading = cast("Any", log.read("records", starts, ends))
        async with aclosing(reading):
            await taken(reading, 5)

    assert len(await everything(log)) == 3000


async def test_a_follower_gets_what_is_there_and_then_what_comes(
    house: House, log: Log
) -> None:
    await log.append(numbered(range(50)))
    writer = await house.open()
    following = cast("Any", log.follow("records", {0: 0, 1: 0, 2: 0}))

    async with aclosing(following):
        there = await taken(following, 50)
        comes = []
        for number in range(50, 55):
            await writer.append(numbered([number]))
            comes += await taken(following, 1)

    assert sorted(int(r.value or b"") for r in there) == list(range(50))
    assert [int(r.value or b"") for r in comes] == list(range(50, 55))
    assert {r.topic for r in there} == {"records"}


async def test_a_follower_begins_where_it_is_told(log: Log) -> None:
    await log.append([Output("records", b"", b"%d" % n, (), 0) for n in range(20)])
    following = cast("Any", log.follow("records", {0: 15}))

    async with aclosing(following):
        assert [r.offset for r in await taken(following, 5)] == list(range(15, 20))


# -- where things stand --------------------------------------------------------------------


async def test_a_new_topic_has_its_partitions_and_is_empty(log: Log) -> None:
    nowhere = {0: 0, 1: 0, 2: 0}

    assert await log.partitions("records") == 3
    assert await log.starts("records") == nowhere
    assert await log.ends("records") == nowhere
    assert await log.committed("wirewatch-dedupe", "records") == {}
    assert await everything(log) == []


async def test_the_ends_are_those_of_everybodys_appends(house: House, log: Log) -> None:
    other = await house.open()
    await log.append([Output("records", b"", b"", (), 1)])

    await other.append(
        [Output("records", b"", b"", (), 1), Output("records", b"", b"", (), 2)]
    )

    assert await log.ends("records") == {0: 0, 1: 2, 2: 1}
    assert await log.starts("records") == {0: 0, 1: 0, 2: 0}


async def test_a_moment_is_the_offset_of_the_first_record_since(log: Log) -> None:
    for _ in range(4):
        await log.append([Output("records", b"", b"", (), 0)])
        await asyncio.sleep(0.01)  # for the clock that stamps them
    moments = [clock.from_ms(r.timestamp_ms) for r in await everything(log)]

    async def since(moment: datetime) -> dict[int, int]:
        return await log.offsets_at("records", moment)

    just_after = timedelta(milliseconds=1)
    assert await since(moments[2]) == {0: 2, 1: 0, 2: 0}
    assert await since(moments[2] + just_after) == {0: 3, 1: 0, 2: 0}
    assert await since(moments[3] + just_after) == {0: 4, 1: 0, 2: 0}
    assert await since(datetime(1900, 1, 1, tzinfo=UTC)) == {0: 0, 1: 0, 2: 0}


async def test_where_a_group_stands_is_told_of_what_it_has_read_only(
    house: House, log: Log
) -> None:
    await log.create([topic("others")])
    await log.append([Output("records", b"", b"", (), n % 2) for n in range(20)])
    await house.commit(log, "wirewatch-dedupe", "records", {0: 10, 1: 4})
    await house.commit(log, "wirewatch-index", "others", {2: 0})

    assert await log.committed("wirewatch-dedupe", "records") == {0: 10, 1: 4}
    assert await log.committed("wirewatch-dedupe", "others") == {}
    assert await log.committed("wirewatch-index", "others") == {2: 0}
    assert await log.committed("wirewatch-annotate", "records") == {}


# -- topics --------------------------------------------------------------------------------


async def test_a_topic_that_does_not_exist_is_named_with_the_remedy(
    house: House,
) -> None:
    log = await house.open()
    assert await log.partitions("nothing") == 0
    since = time.monotonic()

    async def first(records: AsyncIterator[Record]) -> Record:
        return await anext(records)

    for asked in (
        log.append([Output("nothing", b"k", b"v")]),
        log.starts("nothing"),
        log.ends("nothing"),
        log.offsets_at("nothing", clock.now()),
        first(log.read("nothing", {0: 0}, {0: 1})),
        first(log.follow("nothing", {0: 0})),
    ):
        with pytest.raises(TopicMismatchError, match="wirewatch topics create") as said:
            await asked
        assert f"{house.prefix}nothing" in str(said.value)
    assert time.monotonic() - since < PATIENCE_S
    assert await log.partitions("nothing") == 0


async def test_create_makes_what_is_missing_and_says_so_once(house: House) -> None:
    log = await house.open()
    wanted = [RECORDS, topic("kept", partitions=1, compacted=True, kept_s=None)]
    missing = await log.mismatches(wanted)

    made = await log.create(wanted)

    assert [line.split(":")[0] for line in missing] == [
        f"{house.prefix}records",
        f"{house.prefix}kept",
    ]
    assert all("missing; run 'wirewatch topics create'" in line for line in missing)
    assert made == [
        f"{house.prefix}records: made, 3 partitions",
        f"{house.prefix}kept: made, 1 partitions",
    ]
    assert await log.mismatches(wanted) == []
    assert await log.create(wanted) == []
    assert await log.partitions("kept") == 1


async def test_create_keeps_what_is_in_the_topics(log: Log) -> None:
    await log.append(numbered(range(10)))

    await log.create([RECORDS, topic("others")])

    assert len(await everything(log)) == 10


async def test_two_may_create_at_once(house: House) -> None:
    logs = [await house.open() for _ in range(4)]
    wanted = [topic(f"t{n}") for n in range(5)]

    await asyncio.gather(*(one.create(wanted) for one in logs))

    assert await logs[0].mismatches(wanted) == []
    await asyncio.gather(*(one.append(numbered(range(9), "t3")) for one in logs))
    assert sum((await logs[0].ends("t3")).values()) == 36


async def test_create_changes_how_long_a_topic_keeps_its_records(log: Log) -> None:
    longer = topic(kept_s=400 * DAY_S)
    for_ever = topic(kept_s=None)
    assert "'wirewatch topics create' changes it" in (await log.mismatches([longer]))[0]

    (said,) = await log.create([longer])

    assert str(400 * DAY_S) in said
    assert await log.mismatches([longer]) == []
    await log.create([for_ever])
    assert await log.mismatches([for_ever]) == []
    assert await log.create([for_ever]) == []


async def test_create_explains_what_it_may_not_mend_and_leaves_it(log: Log) -> None:
    await log.append(numbered(range(10)))
    await log.create([topic("kept", compacted=True)])

    with pytest.raises(TopicMismatchError) as said:
        await log.create([topic(partitions=5), topic("kept"), topic("others")])

    count, policy = str(said.value).splitlines()
    explained = ["has 3 partitions, needs 5", "keys would move", "prefix"]
    assert all(words in count for words in explained)
    assert all(words in policy for words in ["kept", "compact", "use", "prefix"])
    assert await log.mismatches([RECORDS]) == []
    assert len(await everything(log)) == 10
    assert await log.partitions("others") == 3


async def test_all_differences_are_told_at_once(log: Log) -> None:
    await log.create([topic("others")])

    said = await log.mismatches(
        [topic(partitions=9), topic("others", compacted=True, kept_s=5), topic("gone")]
    )

    assert len(said) == 4
    assert {line.split(":")[0].rpartition("-")[2] for line in said} == {
        "records",
        "others",
        "gone",
    }


async def test_prefixes_keep_two_systems_apart(house: House) -> None:
    one, two = (
        await house.open(more_prefix="one-"),
        await house.open(more_prefix="two-"),
    )
    await one.create([RECORDS])
    assert await two.partitions("records") == 0
    await two.create([topic(partitions=1)])

    await one.append(numbered(range(10)))
    positions = await two.append(numbered(range(3)))

    assert {p.topic for p in positions} == {"records"}
    assert len(await everything(one)) == 10
    assert len(await everything(two)) == 3


# -- Kafka alone: what an operator set, and brokers that are away --------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Shorten the time-out of requests; returns within what time a call must end."""
    for module in (kafka_log, access):
        monkeypatch.setattr(module, "REQUEST_TIMEOUT_MS", 2000)
    monkeypatch.setattr(access, "ASKING_MAX_MS", 1000)
    return 10.0


async def test_what_an_operator_set_on_a_topic_stays_when_ours_is_mended(
    kafka: str, prefix: str
) -> None:
    settings = Settings(mode="servers", prefix=prefix, kafka=Kafka(bootstrap=kafka))
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    config = topic_config(RECORDS) | {"flush.ms": "600000", "retention.ms": "1000"}
    await admin.create_topics(
        [NewTopic(prefix + "records", 3, 1, topic_configs=config)]
    )

    async with open_log(settings) as log:
        (said,) = await log.create([RECORDS])

    assert "retention.ms" in said
    resource = ConfigResource(ConfigResourceType.TOPIC, prefix + "records")
    (answer,) = await admin.describe_configs([resource])
    entries = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    await admin.close()
    assert entries["flush.ms"] == "600000"
    assert entries["retention.ms"] == str(30 * DAY_S * 1000)


async def test_a_topic_of_an_older_version_learns_to_compact_and_never_unlearns(
    kafka: str, prefix: str
) -> None:
    settings = Settings(mode="servers", prefix=prefix, kafka=Kafka(bootstrap=kafka))
    compacted = replace(RECORDS, compacted_after_s=DAY_S)

    async with open_log(settings) as log:
        await log.create([RECORDS])
        said = await log.create([compacted])
        assert any("cleanup.policy is compact,delete now" in line for line in said)
        assert await log.mismatches([compacted]) == []
        with pytest.raises(TopicMismatchError, match="another prefix"):
            await log.create([RECORDS])


async def test_a_topic_that_the_brokers_will_not_make_says_why(
    kafka: str, prefix: str
) -> None:
    kafka_settings = Kafka(bootstrap=kafka, replication=7)
    settings = Settings(mode="servers", prefix=prefix, kafka=kafka_settings)

    async with open_log(settings) as log:
        with pytest.raises(FatalError, match=r"(?i)replication"):
            await log.create([RECORDS])


def calls(log: Log) -> list[Callable[[], Awaitable[Any]]]:
    """Return every way to ask *log* for something."""

    async def read() -> list[Record]:
        begin, until = dict.fromkeys(range(3), 0), dict.fromkeys(range(3), 1)
        return [record async for record in log.read("records", begin, until)]

    return [
        lambda: log.append(numbered([1])),
        lambda: log.partitions("records"),
        lambda: log.starts("records"),
        lambda: log.ends("records"),
        lambda: log.offsets_at("records", clock.now()),
        lambda: log.committed("wirewatch-dedupe", "records"),
        lambda: log.create([RECORDS]),
        lambda: log.mismatches([RECORDS]),
        read,
    ]


@pytest.mark.usefixtures("kafka")  # none of it is asked; it says what the test is about
async def test_where_no_broker_listens_every_call_says_so_at_once() -> None:
    nowhere = Settings(mode="servers", kafka=Kafka(bootstrap="127.0.0.1:1"))

    async with open_log(nowhere) as log:
        for call in calls(log):
            since = time.monotonic()
            with pytest.raises(TransientError, match=r"127\.0\.0\.1:1"):
                await call()
            assert time.monotonic() - since < 5


async def test_brokers_that_go_away_are_said_to_be_away_and_are_found_again(
    own_kafka: Callable[[], KafkaServer], impatient: float
) -> None:
    """Killed, or hanging with their connections open: both, with all clients in use."""
    server = await asyncio.to_thread(own_kafka)
    settings = Settings(mode="servers", kafka=Kafka(bootstrap=server.address))
    async with open_log(settings) as log:
        await log.create([RECORDS])
        await asyncio.gather(*map(_once_it_can, calls(log)))
        for go_away, come_back in (
            (server.pause, server.resume),
            (server.kill, server.start),
        ):
            await asyncio.to_thread(go_away)
            async with open_log(settings) as other, asyncio.timeout(impatient):
                said = await asyncio.gather(
                    *(call() for call in calls(log) + calls(other)),
                    return_exceptions=True,
                )
            assert [one for one in said if not isinstance(one, TransientError)] == []
            await asyncio.to_thread(come_back)
            await asyncio.gather(*map(_once_it_can, calls(log)))
        # What was given up was not stored later, behind the back of who was told so.
        ends = await log.ends("records")
        await log.append(numbered([2]))
        assert sum((await log.ends("records")).values()) == sum(ends.values()) + 1


async def test_what_was_under_way_when_the_broker_died_is_stored_or_was_refused(
    own_kafka: Callable[[], KafkaServer],
) -> None:
    server = await asyncio.to_thread(own_kafka)
    settings = Settings(mode="servers", kafka=Kafka(bootstrap=server.address))
    acknowledged: dict[bytes, Position] = {}
    refused: list[bytes] = []
    numbers = itertools.count()
    enough = asyncio.Event()

    async def writer(log: Log) -> None:
        while not enough.is_set():
            outputs = numbered([next(numbers) for _ in range(50)])
            values = [o.value or b"" for o in outputs]
            try:
                positions = await log.append(outputs)
            except NotStoredError:
                refused.extend(values)
            else:
                acknowledged.update(zip(values, positions, strict=True))

    async with open_log(settings) as log, open_log(settings) as reader:
        assert isinstance(log, KafkaLog)
        await log.create([RECORDS])
        following = cast("Any", reader.follow("records", {0: 0, 1: 0, 2: 0}))
        async with aclosing(following):
            writing = [asyncio.create_task(writer(log)) for _ in range(3)]
            followed = await taken(following, 500)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            before = len(acknowledged)
            async for record in following:
                followed.append(record)
                if len(acknowledged) >= before + 500:
                    break
            enough.set()
            await asyncio.gather(*writing)
            stored = {r.position: r.value for r in await everything(log)}
            followed += await taken(following, len(stored) - len(followed))
    assert {stored.get(at): at for at in acknowledged.values()} == acknowledged
    assert set(stored.values()) <= {*acknowledged, *refused}
    assert [r.position for r in followed if r.position not in stored] == []
    assert len({r.position for r in followed}) == len(stored)


async def _once_it_can(call: Callable[[], Awaitable[Any]]) -> None:
    """Repeat *call* while it says that it can pass."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await call()
            except TransientError:
                await asyncio.sleep(0.1)
            else:
                return
