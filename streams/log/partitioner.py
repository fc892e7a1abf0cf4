"""Which partition a key belongs to: the same on both logs, and as Kafka's clients say."""

from __future__ import annotations

import struct


_SEED = 0x9747B28C
_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF


def partition_of(key: bytes | None, partitions: int) -> int:
    """Return the partition of *key*; one without a key goes to partition 0.

    Kafka's default partitioner: murmur2, sign bit cleared, modulo the count
    (``org.apache.kafka.common.utils.Utils.murmur2``). aiokafka has the same in twice
    the time, and this runs once for each output.
    """
    return 0 if key is None else (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    length = len(data)
    words = length >> 2
    h = _SEED ^ length
    for k in struct.unpack_from(f"<{words}I", data):
        k = k * _MIX & _WORD  # noqa: PLW2901 - the algorithm's own names and shape
        k ^= k >> 24  # noqa: PLW2901
        h = (h * _MIX ^ k * _MIX) & _WORD
    tail = data[words << 2 :]
    for index, byte in enumerate(tail):
        h ^= byte << (8 * index)
    if tail:
        h = h * _MIX & _WORD
    h ^= h >> 13
    h = h * _MIX & _WORD
    return h ^ h >> 15
