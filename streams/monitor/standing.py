"""How far the stages are behind, and how the log is doing: asked of the log itself.

What a stage has committed and where its topics end is on the log. So every process that
runs a stage tells the same of it, whoever has the partitions: take the highest, not the
sum. No process asks for what only another program may read (:mod:`streams.acls`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import structlog

from streams import clock
from streams.errors import AccessRefusedError
from streams.letters import is_notice, letter_in, notice_in
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log, Position
from streams.log.standing import lags, stands
from streams.topics import DEADLETTERS, SOURCES


#: The stage whose program may read the dead letters.
COUNTS_LETTERS = "index"
#: A kind is an error's name; more than so many different ones are counted together.
KINDS_MAX = 100
OTHER = "other"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How things stood when the log was looked at."""

    #: Records that a stage has yet to read: (stage, topic, partition).
    lags: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    #: Append time of the oldest of them: (stage, topic). A hole that compaction left
    #: where a stage stands hides it.
    oldest: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    #: Of the embedded log; None on Kafka, which has its own monitoring.
    size_bytes: int | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class OpenLetters:
    """The dead letters that nothing was done about."""

    #: By stage and kind.
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    #: When the oldest of them was put aside.
    oldest: datetime | None = None


class _Letter(NamedTuple):
    """What is kept of an open dead letter: there may be many."""

    stage: str
    kind: str
    at: datetime


class Looker:
    """Looks at a log for a process that runs some stages, or none."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._letters: dict[Position, _Letter] = {}
        self._read_until: dict[int, int] = {}
        self._refused: set[str] = set()

    async def look(self, stages: Collection[str]) -> Standing:
        """Return how *stages* stand; of one whose rights are not given, nothing.

        Raises TransientError when the log cannot be reached.
        """
        await self._log.ends(DEADLETTERS.name)  # which all may, also without a stage
        left: dict[tuple[str, str, int], int] = {}
        oldest: dict[tuple[str, str], datetime] = {}
        for stage in stages:
            for topic in (one.name for one in SOURCES[stage]):
                try:
                    behind = await self._look_at(stage, topic, left)
                    if (since := await self._oldest(topic, behind)) is not None:
                        oldest[stage, topic] = since
                except AccessRefusedError as error:
                    self._say_refused(stage, error)
        size_bytes = limit_bytes = None
        if isinstance(self._log, EmbeddedLog):
            file = self._log.log
            size_bytes, limit_bytes = file.used_bytes(), file.max_bytes
        return Standing(
            lags=left,
            oldest=oldest,
            size_bytes=size_bytes,
            limit_bytes=limit_bytes,
        )

    async def letters(self, stages: Collection[str]) -> OpenLetters | None:
        """Return which dead letters are open; None where *stages* do not count them.

        The first call reads the topic, which may take long: cut short, it goes on from
        there the next time. Raises TransientError when the log cannot be reached.
        """
        if COUNTS_LETTERS not in stages:
            return None
        try:
            await self._read_letters()
        except AccessRefusedError as error:
            self._say_refused(DEADLETTERS.name, error)
            return None
        return OpenLetters(
            counts=_counted(self._letters.values()),
            oldest=min((one.at for one in self._letters.values()), default=None),
        )

    def _say_refused(self, what: str, error: AccessRefusedError) -> None:
        if what not in self._refused:
            self._refused.add(what)
            _log.warning(
                "no metrics of what may not be read", of=what, reason=str(error)
            )

    async def _look_at(
        self, stage: str, topic: str, left: dict[tuple[str, str, int], int]
    ) -> dict[int, int]:
        """Note how far *stage* is behind; return where it stands where it is behind."""
        at = await stands(self._log, stage, topic)
        found = lags(at, await self._log.ends(topic))
        left.update({(stage, topic, p): count for p, count in found.items()})
        return {partition: at[partition] for partition, lag in found.items() if lag}

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
            self._read_until[record.partition] = record.offset + 1
            if is_notice(record):
                self._close(notice_in(record).letter)
                continue
            letter = letter_in(record)
            self._letters[letter.position] = _Letter(
                letter.stage, letter.kind, letter.at
            )
            self._close(letter.retry_of)
        self._read_until |= ends
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
