"""The index stage: items and incidents into the search index, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.face import Fate, Refused, SearchIndex, Stored
from streams import clock, events
from streams.records import Item
from streams.stage import Decision, Outcome, Received, Refusal, Stage
from streams.tally import Tally
from streams.topics import SOURCES


#: Of the seconds from a source's reading to the index.
DELAY_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 3600)


def delays() -> Tally:
    """Return where a stage counts how long items were on their way."""
    return Tally(DELAY_BOUNDS_S)


def stage(index: SearchIndex, delays_s: Tally | None = None) -> Stage:
    """Return the stage that writes to *index*, which the caller opens and closes.

    Versions decide in the index, so a replay and an old record change nothing; an index
    that is away makes the batch wait (IndexUnavailableError is transient).
    """

    async def handle(batch: Sequence[Received]) -> Sequence[Outcome]:
        fates = await index.write([received.data for received in batch])
        if delays_s is not None:
            _count(batch, fates, delays_s)
        return [
            Refusal(fate.kind, fate.reason) if isinstance(fate, Refused) else Decision()
            for fate in fates
        ]

    return Stage(name="index", sources=SOURCES["index"], handle=handle)


def _count(batch: Sequence[Received], fates: Sequence[Fate], delays_s: Tally) -> None:
    """Count how long ago what the index now has was read from its source.

    Not of what a replay brings: that was read long ago. What was decided anew since (a
    later incident of an old item) counts as slow.
    """
    now = clock.now()
    for received, fate in zip(batch, fates, strict=True):
        item = received.data
        if fate is not Stored.STORED or not isinstance(item, Item):
            continue
        if not received.record.header(events.REPLAY):
            delays_s.add((now - item.fetched).total_seconds())
