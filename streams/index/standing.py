"""Whether the search index is the one that the log's records went into."""

from __future__ import annotations

from typing import Final

from mappings.face import SearchIndex
from streams.log.face import Log
from streams.topics import INCIDENTS, ITEMS, group


LOST: Final = (
    "the search index is gone, and what was written to it is on the log still: build it "
    "anew: wirewatch reindex; until then nothing is found, and the index stage waits"
)


async def lost(index: SearchIndex, log: Log) -> bool:
    """Tell whether *index* is gone that had been given records which the log keeps.

    An empty one in its place would never get them: the stage has passed them.
    """
    if await index.exists():
        return False
    for topic in (ITEMS.name, INCIDENTS.name):
        if not await log.partitions(topic):
            continue
        starts = await log.starts(topic)
        passed = await log.committed(group("index"), topic)
        if any(offset > starts.get(p, 0) for p, offset in passed.items()):
            return True
    return False
