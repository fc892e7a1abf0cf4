"""The last words on ids, found with little memory, against a naive account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec

from hypothesis import given
from hypothesis import strategies as st

from streams import events
from streams.log.face import Log, Record
from streams.revisions import last_words
from streams.topics import UNIQUE


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: Id, days until its first sight, revision, offset of its raw record.
Said = tuple[str, int, int, int]
ENDS = {0: 100}


class Lane:
    """As much of a log as is read."""

    def __init__(self, sayings: list[Said], *strays: bytes | None) -> None:
        self.records = [record(n, *one) for n, one in enumerate(sayings)]
        self.records += [
            Record(UNIQUE.name, 0, len(sayings) + n, 1, b"i", value, ())
            for n, value in enumerate(strays)
        ]

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        assert (topic, offsets, until) == (UNIQUE.name, {}, ENDS)
        for one in self.records:
            yield one

    async def last(self, *, slots: int) -> list[int]:
        """Return the offsets of the last words."""
        last = await last_words(cast(Log, self), {}, ENDS, slots=slots)
        found = [one.offset for one in self.records if last.has(one)]
        assert last.total == len(found)
        return found


def record(offset: int, ident: str, days: int, revision: int, raw: int) -> Record:
    value = msgspec.json.encode(
        {
            "id": ident,
            "revision": revision,
            "first_seen": NOON + timedelta(days=days),
            "text": "and more",
        }
    )
    origin = ((events.ORIGIN, b"items.raw/3/%d" % raw),)
    return Record(UNIQUE.name, 0, offset, 1, ident.encode(), value, origin)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("i1", "i2", "i3", "i4")),
            st.integers(0, 1),
            st.integers(1, 3),
            st.integers(0, 2),
        )
    ),
    st.sampled_from((8, 2**10)),
)
async def test_the_last_words_are_those_that_were_said_latest(
    sayings: list[Said], slots: int
) -> None:
    latest: dict[str, tuple[tuple[int, int, int], int]] = {}
    for offset, (ident, *said) in enumerate(sayings):
        key = (said[0], said[1], said[2])
        if ident not in latest or latest[ident][0] <= key:
            latest[ident] = key, offset
    expected = sorted(offset for _, offset in latest.values())
    assert await Lane(sayings).last(slots=slots) == expected


async def test_a_dedupe_that_lost_its_memory_is_followed() -> None:
    assert await Lane([("i1", 0, 5, 7), ("i1", 40, 1, 9)]).last(slots=8) == [1]


async def test_a_retried_shorter_text_is_not_the_last_word() -> None:
    assert await Lane([("i1", 0, 1, 7), ("i1", 0, 1, 2)]).last(slots=8) == [0]


async def test_what_is_no_record_is_passed_over() -> None:
    strays = (None, b"{", b"\xff", b"[" * 200_000)
    assert await Lane([("i1", 0, 1, 0)], *strays).last(slots=8) == [0]
