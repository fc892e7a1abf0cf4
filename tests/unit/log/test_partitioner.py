"""Keys go where Kafka's own clients send them."""

from __future__ import annotations

import pytest

from aiokafka.partitioner import DefaultPartitioner, murmur2
from hypothesis import given
from hypothesis import strategies as st

from streams.log.partitioner import partition_of


#: From Kafka's own UtilsTest, which calls the Java code; as unsigned numbers.
JAVA = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("key", "hashed"), JAVA.items())
def test_a_key_goes_where_the_java_client_sends_it(key: bytes, hashed: int) -> None:
    positive = hashed & 0x7FFFFFFF

    assert partition_of(key, 2**31) == positive
    assert partition_of(key, 8) == positive % 8


@given(st.binary(max_size=70), st.integers(1, 1000))
def test_a_key_goes_where_aiokafka_sends_it(key: bytes, partitions: int) -> None:
    everywhere = list(range(partitions))

    assert partition_of(key, partitions) == DefaultPartitioner()(key, everywhere, [])
    assert partition_of(key, 2**31) == murmur2(key) & 0x7FFFFFFF


def test_what_has_no_key_goes_to_the_first_partition() -> None:
    assert partition_of(None, 8) == 0
