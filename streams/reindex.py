"""Builds the search index anew from the topics behind it, beside the live one.

A bounded reader, with no consumer group: it reads ``items`` and ``incidents`` from the
start, again and again from where it was, until almost nothing is left; then the new
generation becomes the live one, and what came meanwhile is read last. That no record
can be missing rests on :meth:`mappings.face.SearchIndex.rebuild`, not on time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mappings.face import Kind, Refused, SearchIndex
from streams import events
from streams.errors import RecordError, WirewatchError
from streams.log.face import Log
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

    Raises AlreadyRunningError when somebody else builds one. Ended before the switch it
    leaves the live index as it was.
    """
    reader = _Reader(log, tell)
    async with index.rebuild() as rebuild:
        for _ in range(PASSES_MAX):
            if await reader.read_on(rebuild.fresh) < FEW:
                break
        await rebuild.fresh.refresh()
        before = await _counts(index)
        await rebuild.switch()
        # The ends as of now: all that the former generation was given lies before them.
        late = await reader.read_on(index)
        await index.refresh()
    return Reindexed(
        before=before,
        after=await index.counts(),
        written=reader.progress.written,
        late=late,
        refused=reader.progress.refused,
    )


async def _counts(index: SearchIndex) -> Mapping[Kind, int]:
    try:
        return await index.counts()
    except WirewatchError:
        return {}  # it is damaged: that may be why it is built anew


class _Reader:
    """Reads both topics on from where it was, into an index."""

    def __init__(self, log: Log, tell: Callable[[Progress], None]) -> None:
        self._log = log
        self._tell = tell
        self._stands: dict[str, dict[int, int]] = {}
        self.progress = Progress()

    async def read_on(self, index: SearchIndex) -> int:
        """Write what has come since the last call; how many documents that was."""
        before = self.progress.written
        ends = {topic: await self._log.ends(topic) for topic, _ in SOURCES}
        for topic, _ in SOURCES:
            starts = await self._log.starts(topic)
            known = self._stands.get(topic, {})
            self._stands[topic] = {
                p: max(known.get(p, 0), start) for p, start in starts.items()
            }
        self.progress.total = self.progress.done + sum(
            max(0, end - self._stands[topic].get(partition, 0))
            for topic, of_topic in ends.items()
            for partition, end in of_topic.items()
        )
        for topic, kind in SOURCES:
            await self._read_topic(topic, kind, ends[topic], index)
        return self.progress.written - before

    async def _read_topic(
        self,
        topic: str,
        kind: type[Item | Incident],
        ends: Mapping[int, int],
        index: SearchIndex,
    ) -> None:
        stands = self._stands[topic]
        batch: list[Item | Incident] = []
        async for record in self._log.read(topic, dict(stands), ends):
            self.progress.done += record.offset + 1 - stands[record.partition]
            stands[record.partition] = record.offset + 1
            if record.value is None:
                continue
            try:
                batch.append(events.decode(kind, record.value))
            except RecordError as error:
                self.progress.refused[type(error).__name__] += 1
            if len(batch) >= BATCH:
                await self._write(batch, index)
                batch = []
        await self._write(batch, index)
        for partition, end in ends.items():
            self.progress.done += max(0, end - stands[partition])
            stands[partition] = max(stands[partition], end)
        self._tell(self.progress)

    async def _write(
        self, batch: Sequence[Item | Incident], index: SearchIndex
    ) -> None:
        fates = await index.write(batch) if batch else []
        self.progress.refused.update(f.kind for f in fates if isinstance(f, Refused))
        self.progress.written += len(batch)
        self._tell(self.progress)
