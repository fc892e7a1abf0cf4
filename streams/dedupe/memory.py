"""Forgetting: what nobody has sent for long leaves dedupe's table.

Every publication stands in the table once more, under the record that touched it last
(``t/PARTITION/OFFSET``), which is an order of age that needs no list. Every few records
the sweep looks at the oldest of these; :mod:`streams.forgetting` has the clock that it
goes by.

A publication that is still sent, though it never changes, is touched from time to time:
it must not be taken for a new one when its feed outlives the memory. One that an operator
had forgotten (:class:`~streams.records.Forgetting`) is remembered for ever, by its names.
"""

from __future__ import annotations

import msgspec

from streams.dedupe.publication import (
    Publication,
    Sight,
    clock_key,
    load,
    publication_key,
    sweep_key,
    touch_key,
)
from streams.forgetting import DAY_MS, Sweep, is_due, started, swept
from streams.stage import State
from streams.topics import INDEX_KEPT_S


#: As long as the index may hold an item (its month ends up to 31 days later, and an
#: anchor may lie a day ahead). Forgotten earlier, a publication that returns would get a
#: new anchor, and so stand in two monthly indices under one id.
REMEMBERED_MS = INDEX_KEPT_S * 1000 + 40 * DAY_MS
#: A copy of something that was touched longer ago than this touches it again.
FADING_MS = 30 * DAY_MS


def is_fading(publication: Publication, sight: Sight, state: State) -> bool:
    """Whether *publication* was touched so long ago that a copy should renew it."""
    partition, _, touched_ms = publication.touched
    if partition != sight.partition:
        return True  # each partition has a clock of its own
    return _stands(sight, state).clock_ms - touched_ms > FADING_MS


def touched(publication: Publication, sight: Sight, state: State) -> Publication:
    """Return *publication* as last touched by *sight*'s record."""
    place = (sight.partition, sight.offset, _stands(sight, state).clock_ms)
    return msgspec.structs.replace(publication, touched=place)


def is_touched_by(publication: Publication, sight: Sight) -> bool:
    """Whether *sight*'s record touched *publication* last: now, or before a crash."""
    return publication.touched[:2] == (sight.partition, sight.offset)


def places(
    ident: bytes, after: Publication, before: Publication | None
) -> dict[bytes, bytes | None]:
    """Return the entries that put *ident* into the order of age, and out of its old place."""
    moved: dict[bytes, bytes | None] = {}
    if before is not None:
        moved[touch_key(*before.touched[:2])] = None
    moved[touch_key(*after.touched[:2])] = ident
    return moved


def sweep(sight: Sight, state: State, writes: dict[bytes, bytes | None]) -> None:
    """Add to *writes* what *sight*'s record makes dedupe forget.

    Names go before the publication, and that before its place in the order: whatever
    part of this is stored when a worker dies, the next sweep can go on from it.
    """
    begun = clock_key(sight.partition) in state
    if begun and not is_due(sight.offset):
        return
    before = _stands(sight, state)
    after = swept(
        before,
        sight.offset,
        sight.appended_ms,
        lambda place, clock_ms: _forget(place, clock_ms, sight, state, writes),
    )
    if not begun or after.place != before.place:
        writes[sweep_key(sight.partition)] = b"%d" % after.place
    if not begun or after[1:] != before[1:]:
        writes[clock_key(sight.partition)] = b"%d %d" % after[1:]


def _stands(sight: Sight, state: State) -> Sweep:
    """Return where the sweep of *sight*'s partition stands."""
    begun = started(sight.offset, sight.appended_ms)
    place = state.get(sweep_key(sight.partition))
    clock = state.get(clock_key(sight.partition))
    if place is not None:
        begun = begun._replace(place=int(place))
    if clock is not None:
        clock_ms, latest_ms = map(int, clock.split())
        begun = begun._replace(clock_ms=clock_ms, latest_ms=latest_ms)
    return begun


def _forget(
    place: int,
    clock_ms: int,
    sight: Sight,
    state: State,
    writes: dict[bytes, bytes | None],
) -> bool:
    """Forget what was touched at *place* last; False if it is too young for that."""
    key = touch_key(sight.partition, place)
    ident = state.get(key) if key not in writes else writes[key]
    if ident is None:
        return True
    value = state.get(publication_key(ident))
    if value is not None:
        publication = load(value)
        if publication.touched[:2] == (sight.partition, place):
            if publication.state == "forgotten":
                return True
            if clock_ms - publication.touched[2] <= REMEMBERED_MS:
                return False
            for name in publication.names:
                if state.get(name) == ident:
                    writes[name] = None
            writes[publication_key(ident)] = None
    writes[key] = None
    return True
