"""Reads Kafka records whose header names are not UTF-8.

Brokers take such a record, and aiokafka's parser fails on it before it has moved on: one
record would hold up its partition for ever. Here the batch that holds it is read again by
aiokafka's own parser in Python, over a buffer that escapes what is not UTF-8
(``backslashreplace``). Other batches keep to the fast parser.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy


class _Escaping(bytearray):
    """Bytes whose slices decode whatever they hold."""

    def __getitem__(self, at: Any) -> Any:
        found: Any = super().__getitem__(at)
        return _Escaping(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "") -> str:
        del errors
        return super().decode(encoding, "backslashreplace")


class _Batch:
    """A batch as the fetcher reads it."""

    def __init__(self, data: Any, fast: Any) -> None:
        self._data = data
        self._fast = fast

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fast, name)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._fast:
                yield record
                read += 1
        except UnicodeDecodeError:
            yield from islice(self._escaped(), read, None)

    def _escaped(self) -> Iterator[Any]:
        batch: Any = iter(_DefaultRecordBatchPy(self._data))
        batch._buffer = _Escaping(batch._buffer)  # noqa: SLF001 - no other seam
        return iter(batch)


class Records(_MemoryRecordsPy):  # type: ignore[misc] # has no types
    """What a fetch brought of one partition, cut into batches."""

    def next_batch(self) -> Any:
        """Return the next batch; None behind the last."""
        whole = self._next_slice
        batch = super().next_batch()
        return _Batch(whole, batch) if isinstance(batch, DefaultRecordBatch) else batch


def install() -> None:
    """Let every consumer of this process read so: the fetcher offers no other seam."""
    fetcher.MemoryRecords = Records
