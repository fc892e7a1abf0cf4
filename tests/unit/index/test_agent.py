from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from mappings.face import Fate, Refused, SearchIndex, Stored
from streams.errors import IndexUnavailableError
from streams.index.agent import stage
from streams.log.face import Record
from streams.stage import Decision, Received, Refusal
from streams.topics import INCIDENTS, ITEMS


class _Index:
    """Answers with the fates it was given, or not at all."""

    def __init__(self, fates: Sequence[Fate] | None) -> None:
        self._fates = fates
        self.documents: list[Any] = []

    async def write(self, documents: Sequence[Any]) -> list[Fate]:
        if self._fates is None:
            raise IndexUnavailableError("no answer")
        self.documents += documents
        return list(self._fates)


def _batch(count: int) -> list[Received]:
    return [
        Received(Record(ITEMS.name, 0, at, 0, b"", b"", ()), f"document {at}")
        for at in range(count)
    ]


async def _handle(index: _Index, batch: Sequence[Received]) -> Sequence[object]:
    made = stage(cast(SearchIndex, index))
    assert made.handle is not None
    return await made.handle(batch)


async def test_a_whole_batch_is_written_at_once_and_each_gets_its_fate() -> None:
    index = _Index([Stored.STORED, Stored.STALE, Refused("mapper", "too deep")])
    outcomes = await _handle(index, _batch(3))
    assert outcomes == [Decision(), Decision(), Refusal("mapper", "too deep")]
    assert index.documents == ["document 0", "document 1", "document 2"]


async def test_an_index_that_is_away_makes_the_batch_wait() -> None:
    with pytest.raises(IndexUnavailableError):
        await _handle(_Index(None), _batch(1))


def test_it_reads_both_topics() -> None:
    made = stage(cast(SearchIndex, _Index([])))
    assert made.sources == (ITEMS, INCIDENTS)
