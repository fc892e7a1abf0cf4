"""What others may do to topics: write nonsense, add partitions, delete a table's records."""

from __future__ import annotations

import struct

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from streams import events
from streams.log.face import Output
from streams.log.standing import truncated
from streams.topics import (
    DECLARED,
    DEDUPE_TABLE,
    INCIDENTS,
    ITEMS,
    RAW,
    TAGGED,
    UNIQUE,
    group,
)
from tests.integration.delivery.harness import (
    Bench,
    errands,
    in_order,
    item,
    open_bench,
    settings_for,
)
from tests.tampering import add_partition, truncate


READ_BY = {RAW: "dedupe", UNIQUE: "annotate", TAGGED: "correlate"}
READ_BY |= {ITEMS: "index", INCIDENTS: "index"}
#: Of a record batch on Kafka, version 2: its checksum, and what that is of.
CRC_AT, CHECKED_FROM = 17, 21


@pytest.fixture
async def on_kafka(tmp_path: Path, prefix: str, kafka: str) -> AsyncIterator[Bench]:
    settings = settings_for("servers", tmp_path, kafka=kafka, prefix=prefix)
    bench = await open_bench(settings, tmp_path)
    await bench.create()
    yield bench
    await bench.end()
    await bench.log.__aexit__(None, None, None)


@pytest.mark.elasticsearch
async def test_malformed_bytes_on_any_topic_cost_one_dead_letter_each(
    bench: Bench, request: pytest.FixtureRequest
) -> None:
    environ = {}
    if bench.settings.mode == "servers":
        url = request.getfixturevalue("elasticsearch")
        environ = {"WIREWATCH_ELASTICSEARCH_URL": url}
    await bench.create()
    header = ("ce_id", b"\xff\xfe")
    for topic in READ_BY:
        await bench.log.append([Output(topic.name, b"\xff", b"\xff\x00{", (header,))])
    await bench.feed(errands([0]))
    await bench.work("all", **environ)
    await bench.until(lambda: _read_to_the_end(bench))
    letters = await bench.dead()
    assert sorted(letter.header(events.DEAD_STAGE) for letter in letters) == sorted(
        READ_BY.values()
    )
    assert {letter.value for letter in letters} == {b"\xff\x00{"}
    good = [r for r in await bench.records(ITEMS) if r.value != b"\xff\x00{"]
    assert len(good) == 1


async def test_a_header_name_that_is_not_utf_8_holds_up_no_partition(
    on_kafka: Bench,
) -> None:
    (first, odd, last) = errands(range(3), keys=1)
    await on_kafka.feed([first])
    await _append_oddly(on_kafka, item(odd), partition=await _partition(on_kafka))
    await on_kafka.feed([last])
    on_kafka.fed += 1
    await on_kafka.work()
    await on_kafka.until_drained()
    assert await on_kafka.by_key() == in_order(range(3), keys=1)


async def test_a_topic_that_is_given_more_partitions_stops_the_worker(
    on_kafka: Bench,
) -> None:
    worker = await on_kafka.work()
    await on_kafka.ready(worker)
    await add_partition(on_kafka.settings, UNIQUE)
    assert await worker.ends() != 0
    assert "TopicMismatchError" in worker.said
    assert "has 9 partitions, needs 8; a count never changes in place" in worker.said


async def test_a_table_whose_records_were_deleted_is_named_and_the_stage_goes_on(
    on_kafka: Bench,
) -> None:
    await on_kafka.feed(errands(range(50)))
    worker = await on_kafka.work("table")
    await on_kafka.until_drained()
    await worker.stop()
    assert await truncated(on_kafka.log, DECLARED) == []
    await truncate(on_kafka.settings, DEDUPE_TABLE)
    (line,) = await truncated(on_kafka.log, DECLARED)
    assert DEDUPE_TABLE.name in line
    await on_kafka.feed(errands(range(50)))
    await on_kafka.work("table")
    await on_kafka.until_drained()
    assert sorted(await on_kafka.numbers()) == sorted([*range(50), *range(50)])


async def _read_to_the_end(bench: Bench) -> bool:
    for topic, stage in READ_BY.items():
        ends = await bench.log.ends(topic.name)
        done = await bench.log.committed(group(stage), topic.name)
        if any(done.get(p, 0) < end for p, end in ends.items()):
            return False
    return len(await bench.dead()) >= len(READ_BY)


async def _partition(bench: Bench) -> int:
    return (await bench.records(RAW))[0].partition


class _Oddly:
    """Builds a batch whose header name is no UTF-8, which no client does by itself."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)

    def build(self) -> bytearray:
        raw = bytearray(self._builder.build().replace(b"ODDNAME", b"\xff\xfe\xfdNAME"))
        checksum = calc_crc32c(bytes(raw[CHECKED_FROM:]))
        struct.pack_into(">I", raw, CRC_AT, checksum)
        return raw


async def _append_oddly(bench: Bench, value: bytes, *, partition: int) -> None:
    """Append *value* under such a header name."""
    kafka = bench.settings.kafka.bootstrap
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=b"k0", value=value, headers=[("ODDNAME", b"")])
        batch._builder = _Oddly(batch._builder)
        name = bench.settings.prefix + RAW.name
        await (await producer.send_batch(batch, name, partition=partition))
