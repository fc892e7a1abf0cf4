"""The index stage: items and incidents into the search index, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.face import Refused, SearchIndex
from streams.stage import Decision, Outcome, Received, Refusal, Stage
from streams.topics import INCIDENTS, ITEMS


def stage(index: SearchIndex) -> Stage:
    """Return the stage that writes to *index*, which the caller opens and closes.

    Versions decide in the index, so a replay and an old record change nothing; an index
    that is away makes the batch wait (IndexUnavailableError is transient).
    """

    async def handle(batch: Sequence[Received]) -> Sequence[Outcome]:
        fates = await index.write([received.data for received in batch])
        return [
            Refusal(fate.kind, fate.reason) if isinstance(fate, Refused) else Decision()
            for fate in fates
        ]

    return Stage(name="index", sources=(ITEMS, INCIDENTS), handle=handle)
