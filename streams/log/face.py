"""What a log is to everybody who is not a Faust agent.

Connectors append, the console reads, ``audit`` asks where the stages stand. Agents do
not use this: they write through their transport's producer (:mod:`streams.stage`).

Names here are as declared in :mod:`streams.topics`; a log that was opened with a prefix
adds it to topics and consumer groups, and takes it off again.
"""

from __future__ import annotations

import re

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from streams.errors import OversizeError
from streams.topics import Topic, size_limit


Headers = tuple[tuple[str, bytes], ...]

_POSITION = re.compile(r"([A-Za-z0-9._-]{1,249})/([0-9]{1,9})/([0-9]{1,18})")


class Position(NamedTuple):
    """Where a record lies; ``str()`` is the form used in ``ww_origin``."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """Read what ``str()`` wrote; None if it is something else.

        Whoever may write to a topic writes its headers too.
        """
        if (found := _POSITION.fullmatch(text)) is None:
            return None
        topic, partition, offset = found.groups()
        return cls(topic, int(partition), int(offset))


class Output(NamedTuple):
    """A record to store.

    ``partition`` is None for all but table changelogs: the key's hash (murmur2, as
    Kafka's own clients do) chooses. ``value`` None is a tombstone. ``timestamp_ms`` None
    is now, and brokers take nothing else: they stamp with their own clock.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    timestamp_ms: int | None = None


class Record(NamedTuple):
    """A record as stored."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def position(self) -> Position:
        """Where it lies."""
        return Position(self.topic, self.partition, self.offset)

    def header(self, name: str) -> str:
        """Return the last header called *name* as text, or ''."""
        for key, value in reversed(self.headers):
            if key == name:
                return (value or b"").decode("utf-8", "replace")  # Kafka's may be null
        return ""


def check_size(output: Output) -> None:
    """Raise OversizeError for a record that is larger than its topic allows."""
    size = len(output.key or b"") + len(output.value or b"")
    limit = size_limit(output.topic)
    if size > limit:
        raise OversizeError(
            f"a record for {output.topic} has {size} bytes, the limit is {limit}"
        )


class Log(Protocol):
    """One log, opened. Use as an async context manager; see ``streams.log.opening``.

    Every method may raise
    :class:`~streams.errors.TransientError` when the log cannot be reached, and
    :class:`~streams.errors.TopicMismatchError` when a topic does not exist.
    """

    @property
    def atomic(self) -> bool:
        """Whether what one append stores is stored whole or not at all."""

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it; what was acknowledged stays."""

    async def append(
        self, outputs: Sequence[Output], *, intake: bool = True
    ) -> list[Position]:
        """Store *outputs* from outside, in order within a partition.

        ``intake`` False is for what an operator asks for: it is let in also where the
        embedded log takes nothing new, since it may be what makes room.

        Returns where each one lies, in the order given, when all are durable. Raises
        NotStoredError (some may be stored all the same) and OversizeError (none is).
        """

    async def partitions(self, topic: str) -> int:
        """Return the number of partitions; 0 when there is no such topic."""

    async def starts(self, topic: str) -> dict[int, int]:
        """Return the oldest kept offset of each partition."""

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the offset that the next record of each partition will have."""

    async def offsets_at(self, topic: str, moment: datetime) -> dict[int, int]:
        """Return each partition's first offset at or after *moment* (else its end)."""

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return where consumer group *group* stands; partitions without are left out."""

    def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """Yield what lies in [offsets, until) of each partition, then end.

        In order within a partition. Holes (compaction, expiry) are skipped.
        """

    def follow(self, topic: str, offsets: Mapping[int, int]) -> AsyncIterator[Record]:
        """Yield from *offsets* on, for ever."""

    async def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Delete for good what lies below *offsets* of each partition.

        Offsets stay as they are, and the last record of a partition may stay, too.
        """

    async def create(self, topics: Iterable[Topic]) -> list[str]:
        """Make what is missing; return a line for each thing made.

        Raises TopicMismatchError that explains every difference it may not mend.
        """

    async def mismatches(self, topics: Iterable[Topic]) -> list[str]:
        """Return a line for each missing topic and each difference; changes nothing."""
