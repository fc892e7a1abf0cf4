"""How far the stages are behind, and how the log is doing: asked of the log itself.

What a stage has committed and where its topics end is on the log, also while nobody
works. So every process tells the same of a stage, whoever has its partitions: take the
highest, not the sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from streams import clock
from streams.letters import is_notice, letter_in, notice_in
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log, Position
from streams.topics import DEADLETTERS, INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE, group


READS: Mapping[str, tuple[str, ...]] = {
    "dedupe": (RAW.name,),
    "annotate": (UNIQUE.name,),
    "correlate": (TAGGED.name,),
    "index": (ITEMS.name, INCIDENTS.name),
}
#: A kind is an error's name; more than so many different ones are counted together.
KINDS_MAX = 100
OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stood when the log was looked at."""

    #: Records that a stage has yet to read: (stage, topic, partition).
    lags: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    #: Append time of the oldest of them: (stage, topic). A hole that compaction left
    #: where a stage stands hides it.
    oldest: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: Open ones, by stage and kind.
    letters: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: When the oldest of them was put aside.
    oldest_letter: datetime | None = None
    #: Of the embedded log; None on Kafka, which has its own monitoring.
    size_bytes: int | None = None
    limit_bytes: int | None = None


class _Letter(NamedTuple):
    """What is kept of an open dead letter: there may be many."""

    stage: str
    kind: str
    at: datetime


class Looker:
    """Looks at a log; remembers which dead letters are open."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._letters: dict[Position, _Letter] = {}
        self._read_until: Mapping[int, int] = {}

    async def look(self) -> Standing:
        """Return how things stand. Raises TransientError when the log cannot be reached."""
        lags: dict[tuple[str, str, int], int] = {}
        oldest: dict[tuple[str, str], datetime] = {}
        for stage, topics in READS.items():
            for topic in topics:
                behind = await self._look_at(stage, topic, lags)
                if (since := await self._oldest(topic, behind)) is not None:
                    oldest[stage, topic] = since
        await self._read_letters()
        size_bytes = limit_bytes = None
        if isinstance(self._log, EmbeddedLog):
            file = self._log.log
            size_bytes, limit_bytes = file.used_bytes(), file.max_bytes
        return Standing(
            lags=lags,
            oldest=oldest,
            letters=_counted(self._letters.values()),
            oldest_letter=min((one.at for one in self._letters.values()), default=None),
            size_bytes=size_bytes,
            limit_bytes=limit_bytes,
        )

    async def _look_at(
        self, stage: str, topic: str, lags: dict[tuple[str, str, int], int]
    ) -> dict[int, int]:
        """Note how far *stage* is behind; return where it stands where it is behind."""
        starts, ends = await self._log.starts(topic), await self._log.ends(topic)
        done = await self._log.committed(group(stage), topic)
        behind = {}
        for partition, end in ends.items():
            start = starts.get(partition, 0)
            stands = max(done.get(partition, start), start)
            lags[stage, topic, partition] = max(0, end - stands)
            if stands < end:
                behind[partition] = stands
        return behind

    async def _oldest(self, topic: str, offsets: Mapping[int, int]) -> datetime | None:
        """Return when the first of the records at *offsets* was appended."""
        until = {partition: offset + 1 for partition, offset in offsets.items()}
        found = [r.timestamp_ms async for r in self._log.read(topic, offsets, until)]
        return clock.from_ms(min(found)) if found else None

    async def _read_letters(self) -> None:
        """Take in what was put aside, retried or purged since the last look."""
        topic = DEADLETTERS.name
        starts, ends = await self._log.starts(topic), await self._log.ends(topic)
        since = {
            partition: max(self._read_until.get(partition, 0), start)
            for partition, start in starts.items()
        }
        async for record in self._log.read(topic, since, ends):
            if is_notice(record):
                self._close(notice_in(record).letter)
                continue
            letter = letter_in(record)
            self._letters[letter.position] = _Letter(
                letter.stage, letter.kind, letter.at
            )
            self._close(letter.retry_of)
        self._read_until = ends
        for position in list(self._letters):
            if position.offset < starts.get(position.partition, 0):
                del self._letters[position]

    def _close(self, letter: str) -> None:
        if (position := Position.parse(letter)) is not None:
            self._letters.pop(position, None)


def _counted(letters: Iterable[_Letter]) -> dict[tuple[str, str], int]:
    """Count *letters* by stage and kind, those of rare kinds together."""
    counts = Counter((one.stage, one.kind) for one in letters)
    told = dict(counts.most_common(KINDS_MAX))
    if rest := counts.total() - sum(told.values()):
        told[OTHER, OTHER] = rest
    return told
