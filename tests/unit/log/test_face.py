from __future__ import annotations

import pytest

from hypothesis import given
from hypothesis import strategies as st

from streams.log.face import Position


@given(
    st.from_regex(r"[A-Za-z0-9._-]{1,30}", fullmatch=True),
    st.integers(0, 10**9 - 1),
    st.integers(0, 10**18 - 1),
)
def test_a_position_is_read_as_it_was_written(
    topic: str, partition: int, offset: int
) -> None:
    position = Position(topic, partition, offset)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "items.raw/x/y", "a/1", "/0/0", "a/-1/0", "a/1_0/0", "a/0/٣"),
        *("a b/0/0", " a/0/0", "a/0/0\n", f"a/0/{'9' * 5000}"),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_position_is_none(text: str) -> None:
    assert Position.parse(text) is None
