"""Where the stages stand, and whether topics still are what they were.

Brokers let anybody who may alter a topic add partitions to it or delete its records, and
tell nobody. Added partitions spread keys anew: the revisions of an id would lie in two of
them. Deleted records of a table are what its stage knew.
"""

from __future__ import annotations

import asyncio

from collections.abc import Iterable, Mapping

from streams.errors import TopicMismatchError, TransientError
from streams.log.face import Log
from streams.topics import Topic, group


LOOK_S = 5.0


async def stands(log: Log, stage: str, topic: str) -> dict[int, int]:
    """Return the offset that *stage* reads next in each partition of *topic*."""
    committed = await log.committed(group(stage), topic)
    starts = await log.starts(topic)
    return {p: max(committed.get(p, start), start) for p, start in starts.items()}


def lags(stands: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, int]:
    """Return how many offsets are left until *ends*, by partition."""
    return {p: max(0, end - stands.get(p, 0)) for p, end in ends.items()}


def wrong_count(name: str, count: int, wanted: int) -> str:
    """Return what to say of topic *name* that has *count* partitions, not *wanted*."""
    return (
        f"{name}: has {count} partitions, needs {wanted}; a count never changes in place: "
        "keys would move. Use another prefix, or delete the topic if its records may go"
    )


async def hold_counts(log: Log, topics: Iterable[Topic]) -> None:
    """Look at the numbers of partitions for ever; TopicMismatchError when one changes."""
    while True:
        for topic in topics:
            try:
                count = await log.partitions(topic.name)
            except (TransientError, OSError):
                break  # whoever works on the log says that it is away
            if count not in {0, topic.partitions}:
                raise TopicMismatchError(
                    wrong_count(topic.name, count, topic.partitions)
                )
        await asyncio.sleep(LOOK_S)


async def truncated(log: Log, topics: Iterable[Topic]) -> list[str]:
    """Return a line for each table on Kafka of which somebody has deleted records.

    Compaction leaves a partition's start where it was, only a deletion moves it. (The
    embedded log lets nobody else in, and there a start moves with its entries.)
    """
    lines = []
    for topic in topics:
        if not topic.compacted or topic.kept_s is not None:
            continue
        starts = await log.starts(topic.name)
        if lost := {p: start for p, start in starts.items() if start}:
            where = ", ".join(f"{p} below offset {at:,}" for p, at in lost.items())
            lines.append(
                f"{topic.name}: records were deleted (partition {where}), and with them "
                f"what {', '.join(topic.writers)} remembered. Ids stay the same, what is "
                "sent again may be taken for new. Once that is seen: stop the workers, "
                "delete this topic, 'wirewatch topics create', start them; records that "
                "the log still keeps can be replayed"
            )
    return lines
