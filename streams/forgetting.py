"""When a table may forget: one order of age, and a clock that no false date can move far.

Entries stand in order of age under the record that touched them last. A *sweep* goes
along these places, a few at a time, and stops at the first that is too young.

Its clock is its own. It adds up the time that passes, as the append times of the records
tell it, and counts at most :data:`STEP_MAX_MS` from one sweep to the next. So a clock of
a broker that is a year ahead for an hour makes a table one step older, and nothing has to
be put right when it is set back. The log alone decides: the same log gives the same
table. Time in which nothing came counts little, and costs no memory either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


DAY_MS = 86_400_000
#: One record in so many sweeps so many places: faster than records come.
SWEEP_EVERY = 16
SWEEP_PLACES = 64
#: What a crash may send through a stage again is never forgotten: that is less than this
#: many records of a partition.
REPLAYED_MAX = 50_000
#: Counted from one sweep to the next. What comes more slowly than 16 records a day and
#: partition is remembered for longer.
STEP_MAX_MS = DAY_MS


class Sweep(NamedTuple):
    """Where the sweep of one partition stands."""

    #: Everything below has been looked at.
    place: int
    #: By which ages are counted; in milliseconds.
    clock_ms: int
    #: The latest append time so far, since the last time that clocks were set back.
    latest_ms: int


def is_due(offset: int) -> bool:
    """Whether the record at *offset* is one that sweeps."""
    return offset % SWEEP_EVERY == 0


def started(offset: int, appended_ms: int) -> Sweep:
    """Return the sweep as it is before the first."""
    return Sweep(offset, appended_ms, appended_ms)


def swept(
    sweep: Sweep, offset: int, appended_ms: int, forget: Callable[[int, int], bool]
) -> Sweep:
    """Return *sweep* after the record at *offset*.

    ``forget(place, clock_ms)`` forgets what was touched at *place* last; it returns False
    if that is too young, and all that follows with it.
    """
    passed_ms = min(max(0, appended_ms - sweep.latest_ms), STEP_MAX_MS)
    clock_ms = sweep.clock_ms + passed_ms
    set_back = sweep.latest_ms - appended_ms > STEP_MAX_MS
    latest_ms = appended_ms if set_back else max(sweep.latest_ms, appended_ms)
    place = sweep.place
    last = min(place + SWEEP_PLACES, offset - REPLAYED_MAX)
    while place < last and forget(place, clock_ms):
        place += 1
    return Sweep(place, clock_ms, latest_ms)
