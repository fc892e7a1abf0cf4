"""Where the stages stand, and whether topics still are what they were.

Brokers let anybody who may alter a topic add partitions to it or delete its records, and
tell nobody. Added partitions spread keys anew: the revisions of an id would lie in two of
them. Deleted records of a table are what its stage knew. A topic that is deleted and made
anew, or restored from an older copy, counts its offsets again; a stage whose table knows
records of these offsets would take what comes for replays of them.
"""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Iterable, Mapping, Sequence

from streams.errors import TopicMismatchError, TransientError
from streams.log.face import Log
from streams.topics import CORRELATE_TABLE, DEDUPE_TABLE, SOURCES, Topic, group


LOOK_S = 5.0
#: Newest offsets of each partition of a table that are looked at.
TAIL = 500


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
        f"keys would move. Use another prefix, or {deletion(name)}"
    )


def deletion(name: str) -> str:
    """Return how to delete topic *name*, whatever its prefix, in a person's words."""
    told = "delete the topic if its records may go"
    for table in (DEDUPE_TABLE, CORRELATE_TABLE):
        for source in SOURCES[table.writers[0]]:
            if name.endswith(source.name):
                prefix = name.removesuffix(source.name)
                told += f", and with it {prefix}{table.name}, which knows its offsets"
    return told


async def hold(log: Log, topics: Sequence[Topic]) -> None:
    """Look at *topics* for ever; TopicMismatchError when one is not what it was.

    A number of partitions has changed, one ends before where it ended, or it is gone: at
    two looks, since brokers that have just begun may not have heard of it yet.
    """
    ended: dict[str, dict[int, int]] = {}
    missed: set[str] = set()
    while True:
        for topic in topics:
            try:
                count = await log.partitions(topic.name)
                ends = await log.ends(topic.name) if count else {}
            except (TransientError, OSError):
                break  # whoever works on the log says that it is away
            if not count and topic.name in missed:
                raise TopicMismatchError(
                    f"{topic.name}: there is no such topic any more; what else is gone? "
                    "'wirewatch topics create', or a start, makes it anew, empty"
                )
            missed = missed - {topic.name} if count else missed | {topic.name}
            if count not in {0, topic.partitions}:
                raise TopicMismatchError(
                    wrong_count(topic.name, count, topic.partitions)
                )
            _demand(topic, ends, ended.get(topic.name, {}), "it ended at")
            ended[topic.name] = ends or ended.get(topic.name, {})
        await asyncio.sleep(LOOK_S)


async def demand_ends(
    log: Log,
    stage: str,
    table: Topic | None,
    offset_in: Callable[[bytes], int | None],
) -> None:
    """Raise TopicMismatchError if *stage* has been further than its topics go.

    That is what its group has committed, and what the newest entries of *table* name:
    ``offset_in`` returns the offset of the source in a table's key, if there is one.
    """
    for topic in SOURCES[stage]:
        ends = await log.ends(topic.name)
        committed = await log.committed(group(stage), topic.name)
        _demand(topic, ends, committed, f"group {group(stage)} has committed")
    if table is not None:
        (source,) = SOURCES[stage]
        known = await _known(log, table, offset_in)
        _demand(source, await log.ends(source.name), known, f"{table.name} knows it to")


async def _known(
    log: Log, table: Topic, offset_in: Callable[[bytes], int | None]
) -> dict[int, int]:
    """Return the offset after the last that *table* names, by partition; about."""
    ends = await log.ends(table.name)
    tails = {p: max(0, end - TAIL) for p, end in ends.items()}
    known: dict[int, int] = {}
    async for record in log.read(table.name, tails, ends):
        offset = offset_in(record.key or b"")
        if offset is not None:
            known[record.partition] = max(known.get(record.partition, 0), offset + 1)
    return known


def _demand(
    topic: Topic, ends: Mapping[int, int], been: Mapping[int, int], who: str
) -> None:
    """Raise TopicMismatchError if *topic* ends before where *who* says it has *been*."""
    short = {p: at for p, at in been.items() if p in ends and ends[p] < at}
    if not short:
        return
    where = ", ".join(f"{p} ends at {ends[p]:,}, {who} {short[p]:,}" for p in short)
    readers = [stage for stage, sources in SOURCES.items() if topic in sources]
    groups = ", ".join(f"{group(stage)}" for stage in readers)
    raise TopicMismatchError(
        f"{topic.name}: was made anew, or is an older copy (partition {where}): what "
        "comes at offsets that are known would be lost. Stop the workers; bring back "
        f"what was there, or {deletion(topic.name)}, and what {groups} committed for "
        "it; 'wirewatch topics create'; start them. Ids stay the same, what is sent "
        "again may be taken for new"
    )


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
