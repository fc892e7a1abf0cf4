"""What the sweep's clock makes of append times, true and false."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from streams.forgetting import (
    DAY_MS,
    REPLAYED_MAX,
    STEP_MAX_MS,
    SWEEP_EVERY,
    SWEEP_PLACES,
    Sweep,
    started,
    swept,
)


YEAR_MS = 365 * DAY_MS


def aged_ms(stamps: Sequence[int]) -> int:
    """Return by how much the clock has moved after records with these append times."""
    sweep = started(0, stamps[0])
    for number, stamp in enumerate(stamps):
        sweep = swept(sweep, number * SWEEP_EVERY, stamp, lambda *_: False)
    return sweep.clock_ms - stamps[0]


@given(st.lists(st.integers(0, STEP_MAX_MS), min_size=1))
def test_a_true_clock_is_followed(gaps: list[int]) -> None:
    stamps = [sum(gaps[:n]) for n in range(len(gaps))]
    assert aged_ms(stamps) == stamps[-1]


@given(
    st.lists(st.integers(0, 60_000), min_size=2, max_size=50),
    st.integers(-YEAR_MS, YEAR_MS),
    st.data(),
)
def test_a_false_clock_moves_it_by_two_steps_at_most(
    gaps: list[int], error_ms: int, data: st.DataObject
) -> None:
    stamps = [YEAR_MS + sum(gaps[:n]) for n in range(len(gaps))]
    first = data.draw(st.integers(1, len(stamps)))
    last = data.draw(st.integers(first, len(stamps)))
    false = [stamp + error_ms * (first <= n < last) for n, stamp in enumerate(stamps)]
    assert abs(aged_ms(false) - aged_ms(stamps)) <= 2 * STEP_MAX_MS


@given(st.lists(st.integers(0, 2 * YEAR_MS), min_size=1))
def test_it_never_goes_back(stamps: list[int]) -> None:
    moved = [aged_ms(stamps[:n]) for n in range(1, len(stamps) + 1)]
    assert moved == sorted(moved)


@given(st.integers(0, 1000), st.integers(-1000, 1000))
def test_writers_whose_clocks_differ_make_it_no_faster(gap: int, apart: int) -> None:
    stamps = [YEAR_MS + n * gap + apart * (n % 2) for n in range(100)]
    assert aged_ms(stamps) <= 100 * gap + 2 * abs(apart)


def test_a_record_that_is_replayed_moves_nothing() -> None:
    once = swept(Sweep(0, 0, 0), REPLAYED_MAX + 16, DAY_MS, lambda *_: False)
    assert swept(once, REPLAYED_MAX + 16, DAY_MS, lambda *_: False) == once


def test_it_stops_at_what_is_too_young_and_before_what_may_come_again() -> None:
    start = Sweep(0, 0, 0)
    end = REPLAYED_MAX + 1000
    assert swept(start, end, 1, lambda *_: True).place == SWEEP_PLACES
    assert swept(start, end, 1, lambda place, _: place < 3).place == 3
    assert swept(start, REPLAYED_MAX + 5, 1, lambda *_: True).place == 5
