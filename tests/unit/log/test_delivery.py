"""What a carrier holds, and that a full buffer leaves out no partition."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest

from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.log import kafka_transport, sqlite_transport
from streams.log.delivery import MAX_BATCH, MAX_BATCH_BYTES, BatchConsumer
from streams.log.face import Record


#: A value of each size, made once.
VALUES = {size: b"x" * size for size in (0, 100, 900_000, MAX_BATCH_BYTES + 1)}


def bare(kind: type[Any]) -> Any:
    """Return a consumer that no app has started."""
    consumer = object.__new__(kind)
    consumer.app = SimpleNamespace(in_recovery=False, consumer_generation_id=1)
    consumer._active_partitions = set()
    consumer._buffered_partitions = set()
    return consumer


def weight(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"")


@given(
    st.lists(st.lists(st.sampled_from(sorted(VALUES)), max_size=20), max_size=5),
    st.integers(0, 3),
)
def test_carriers_hold_every_record_in_order_within_their_limits(
    sizes: list[list[int]], runs: int
) -> None:
    batches = []
    for partition, ones in enumerate(sizes):
        values = [*ones, *[100] * (runs * MAX_BATCH)]
        records = [
            Record("t", partition, offset, 0, b"k", VALUES[size], ())
            for offset, size in enumerate(values)
        ]
        batches.append((TP("t", partition), records))
    carried: dict[TP, list[Record]] = defaultdict(list)
    for carrier in bare(sqlite_transport.Consumer)._carriers(batches, 0):
        inside = [record for part in carrier.value for record in part.records]
        assert 0 < len(inside) <= MAX_BATCH
        assert sum(map(weight, inside)) <= MAX_BATCH_BYTES or len(inside) == 1
        for part in carrier.value:
            carried[part.tp] += part.records
    assert dict(carried) == {tp: records for tp, records in batches if records}


@pytest.mark.parametrize("kind", [kafka_transport.Consumer, sqlite_transport.Consumer])
def test_a_full_buffer_leaves_no_partition_out_of_the_next_fetch(
    kind: type[BatchConsumer],
) -> None:
    consumer = bare(kind)
    consumer._active_partitions = {TP("t", 0), TP("t", 1)}
    consumer.on_buffer_full(TP("t", 0))
    assert consumer._get_active_partitions() == {TP("t", 0), TP("t", 1)}
