"""Builds the search index anew from the topics behind it, beside the live one.

A bounded reader, with no consumer group: it reads ``items`` and ``incidents`` from the
start, again and again from where it was, until almost nothing is left; then the new
generation becomes the live one, and what came meanwhile is read last. That no record
can be missing rests on :meth:`mappings.face.SearchIndex.rebuild`, not on time.

What can pass is waited for. What the former generation holds in a higher version than
the topics is taken over from it: a stale record of a worker that was paused may have
come last, and compaction have kept that alone.
"""

from __future__ import annotations

import asyncio

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from mappings.face import Kind, Refused, SearchIndex
from streams import events
from streams.errors import LogDamagedError, RecordError, WirewatchError
from streams.log.face import Log, Record
from streams.patience import patiently
from streams.records import Incident, Item
from streams.topics import INCIDENTS, ITEMS


BATCH = 500
#: Records that came during a pass; with fewer the switch is made.
FEW = 50
#: Passes at most before the switch: a log that grows as fast as it is read is caught up
#: with by the last one.
PASSES_MAX = 20
SOURCES: tuple[tuple[str, type[Item | Incident]], ...] = (
    (ITEMS.name, Item),
    (INCIDENTS.name, Incident),
)


@dataclass(kw_only=True)
class Progress:
    """How far it is, in offsets: a compacted topic has fewer records than these."""

    done: int = 0
    total: int = 0
    written: int = 0
    #: By kind of refusal; the live index has refused these documents too.
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Reindexed:
    """What came of it. ``before`` is empty where the former generation is damaged."""

    before: Mapping[Kind, int]
    after: Mapping[Kind, int]
    written: int
    #: Read after the switch: what had come while it was made.
    late: int
    refused: Mapping[str, int]


async def reindex(
    log: Log, index: SearchIndex, *, tell: Callable[[Progress], None]
) -> Reindexed:
    """Build and switch; *tell* is called after each batch.

    Raises AlreadyRunningError when somebody else builds one, and FatalError when it was
    abandoned. Ended before the switch it leaves the live index as it was.
    """
    async with index.rebuild() as rebuild:
        reader = _Reader(log, rebuild.former, tell)
        for _ in range(PASSES_MAX):
            if await reader.read_on(rebuild.fresh) < FEW:
                break
        await _patiently(rebuild.fresh.refresh)
        before = await _counts(index)
        await _patiently(rebuild.switch)
        # The ends as of now: all that the former generation was given lies before them.
        late = await reader.read_on(index)
        await _patiently(index.refresh)
    return Reindexed(
        before=before,
        after=await index.counts(),
        written=reader.progress.written,
        late=late,
        refused=reader.progress.refused,
    )


async def _patiently(step: Callable[[], Awaitable[None]]) -> None:
    await patiently("reindex", step, asyncio.Event())


async def _counts(index: SearchIndex) -> Mapping[Kind, int]:
    try:
        return await index.counts()
    except WirewatchError:
        return {}  # it is damaged: that may be why it is built anew


class _Reader:
    """Reads both topics on from where it was, into an index."""

    def __init__(
        self,
        log: Log,
        former: SearchIndex | None,
        tell: Callable[[Progress], None],
    ) -> None:
        self._log = log
        self._former = former
        self._tell = tell
        #: By topic: up to where it is written, and where it ended at the last look.
        self._stands: dict[str, dict[int, int]] = {}
        self._ends: dict[str, dict[int, int]] = {}
        self.progress = Progress()

    async def read_on(self, index: SearchIndex) -> int:
        """Write what has come since the last call; how many documents that was."""
        before = self.progress.written
        await _patiently(self._look)
        for topic, kind in SOURCES:
            await _patiently(partial(self._read_topic, topic, kind, index))
        return self.progress.written - before

    async def _look(self) -> None:
        """See where the topics end now."""
        for topic, _ in SOURCES:
            self._ends[topic] = await self._log.ends(topic)
            starts = await self._log.starts(topic)
            known = self._stands.get(topic, {})
            self._stands[topic] = {
                p: max(known.get(p, 0), start) for p, start in starts.items()
            }
        self.progress.total = self.progress.done + sum(
            max(0, end - self._stands[topic].get(partition, 0))
            for topic, of_topic in self._ends.items()
            for partition, end in of_topic.items()
        )

    async def _read_topic(
        self, topic: str, kind: type[Item | Incident], index: SearchIndex
    ) -> None:
        """Read to where *topic* ended; called again, from behind what was written."""
        ends = self._ends[topic]
        batch: list[Record] = []
        async for record in self._log.read(topic, dict(self._stands[topic]), ends):
            batch.append(record)
            if len(batch) >= BATCH:
                await self._write(batch, kind, index)
                batch = []
        await self._write(batch, kind, index)
        for partition, end in ends.items():
            self._pass(topic, partition, end)
        self._tell(self.progress)

    async def _write(
        self,
        batch: Sequence[Record],
        kind: type[Item | Incident],
        index: SearchIndex,
    ) -> None:
        documents: list[Item | Incident] = []
        refused: list[str] = []
        for record in batch:
            if record.value is None:
                continue
            try:
                documents.append(events.decode(kind, record.value))
            except RecordError as error:
                refused.append(type(error).__name__)
        documents = await self._newest(documents)
        fates = await index.write(documents) if documents else []
        refused += [fate.kind for fate in fates if isinstance(fate, Refused)]
        self.progress.refused.update(refused)
        self.progress.written += len(documents)
        for record in batch:
            self._pass(record.topic, record.partition, record.offset + 1)
        self._tell(self.progress)

    async def _newest(self, documents: list[Item | Incident]) -> list[Item | Incident]:
        """Return of each the version of the former generation where that is higher."""
        if self._former is None:
            return documents
        try:
            newer = await self._former.newer(documents)
        except LogDamagedError:
            return documents  # that may be why it is built anew
        return [
            max(one, newer.get(one.id, one), key=lambda known: known.version)
            for one in documents
        ]

    def _pass(self, topic: str, partition: int, offset: int) -> None:
        stands = self._stands[topic]
        self.progress.done += max(0, offset - stands[partition])
        stands[partition] = max(stands[partition], offset)
