"""Topics that are not what the stages have read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import cast

import pytest

from streams.dedupe.publication import offset_in, publication_key, touch_key
from streams.errors import TopicMismatchError
from streams.log.face import Log, Record
from streams.log.standing import demand_ends, hold, wrong_count
from streams.topics import DEDUPE_TABLE, ITEMS, RAW, UNIQUE


class Copy:
    """A log whose source ends where a test says, and whose table holds these keys."""

    def __init__(self, *ends: int, committed: int = 0, keys: tuple[bytes, ...] = ()):
        #: One after the other; the last one stays.
        self.source_ends = list(ends)
        self.stand = committed
        self.keys = keys

    async def partitions(self, topic: str) -> int:
        return {RAW.name: RAW.partitions}.get(topic, 0)

    async def ends(self, topic: str) -> dict[int, int]:
        if topic == DEDUPE_TABLE.name:
            return {3: len(self.keys)}
        at = self.source_ends
        return {3: at.pop(0) if len(at) > 1 else at[0]}

    async def committed(self, _: str, topic: str) -> dict[int, int]:
        return {3: self.stand} if topic in {RAW.name, UNIQUE.name} else {}

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        assert topic == DEDUPE_TABLE.name
        for at in range(offsets[3], until[3]):
            yield Record(topic, 3, at, 1, self.keys[at], b"", ())


KEYS = (touch_key(3, 41), publication_key(b"i1"), b"a/1", touch_key(3, 40))


async def demand(log: Copy, stage: str = "dedupe") -> None:
    table = DEDUPE_TABLE if stage == "dedupe" else None
    await demand_ends(cast(Log, log), stage, table, offset_in)


async def test_a_source_that_goes_as_far_as_its_stage_is_good() -> None:
    await demand(Copy(42, committed=42, keys=KEYS))
    await demand(Copy(0))


async def test_a_source_that_ends_before_what_is_committed_stops_its_stage() -> None:
    with pytest.raises(TopicMismatchError, match=r"3 ends at 41, group wirewatch-ann"):
        await demand(Copy(41, committed=42), "annotate")


async def test_a_source_that_ends_before_what_its_table_knows_stops_its_stage() -> None:
    with pytest.raises(TopicMismatchError) as said:
        await demand(Copy(7, keys=KEYS))
    assert f"with it {DEDUPE_TABLE.name}" in str(said.value)
    assert f"3 ends at 7, {DEDUPE_TABLE.name} knows it to 42" in str(said.value)


async def test_a_topic_that_is_made_anew_under_a_worker_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.log.standing.LOOK_S", 0)
    with pytest.raises(TopicMismatchError, match="3 ends at 0, it ended at 7"):
        await hold(cast(Log, Copy(5, 7, 0)), [RAW])


async def test_a_topic_that_is_gone_at_two_looks_stops_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.log.standing.LOOK_S", 0)
    with pytest.raises(TopicMismatchError, match="items: there is no such topic"):
        await hold(cast(Log, Copy(5)), [ITEMS])


def test_the_words_on_a_topic_name_what_must_go_with_it() -> None:
    assert f"and with it x.{DEDUPE_TABLE.name}" in wrong_count("x.items.raw", 9, 8)
    assert "and with it" not in wrong_count("x.items", 9, 8)
