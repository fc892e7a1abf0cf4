"""The embedded log behind the common face: one SQLite file under the data folder."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.clock import to_ms
from streams.errors import TopicMismatchError
from streams.log.face import Output, Position, Record, check_size
from streams.log.sqlite_log import Erased, SqliteLog
from streams.settings import EmbeddedLog as EmbeddedLogSettings
from streams.topics import Topic


READ_RECORDS = 1000
#: Readers in other processes than the worker's look so often for something new.
LOOK_S = 0.1
FILE_NAME = "log.db"


class EmbeddedLog:
    """See :class:`streams.log.face.Log`.

    Any process may open it, append and read; one at a time works on it. Appends take
    part in the group commit, and ring the worker's bell.
    """

    #: An append is a transaction.
    atomic = True

    def __init__(
        self, folder: Path, settings: EmbeddedLogSettings, *, prefix: str = ""
    ) -> None:
        self.path = folder / FILE_NAME
        self._settings = settings
        self._prefix = prefix
        self._log: SqliteLog | None = None

    async def __aenter__(self) -> Self:
        self._log = SqliteLog.acquire(
            self.path,
            synchronous=self._settings.synchronous,
            max_bytes=int(self._settings.size_max_gb * 2**30),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.log.flush()
        self.log.release()
        self._log = None

    @property
    def log(self) -> SqliteLog:
        """The file; open between entering and leaving only."""
        assert self._log is not None, "the log is not open"
        return self._log

    async def append(
        self, outputs: Sequence[Output], *, intake: bool = True
    ) -> list[Position]:
        """See the protocol."""
        for output in outputs:
            check_size(output)
        positions = await self.log.append(
            [o._replace(topic=self._prefix + o.topic) for o in outputs], intake=intake
        )
        return [p._replace(topic=self._logical(p.topic)) for p in positions]

    async def partitions(self, topic: str) -> int:
        """See the protocol."""
        return self.log.partitions(self._prefix + topic)

    async def starts(self, topic: str) -> dict[int, int]:
        """See the protocol."""
        name = self._existing(topic)
        count = self.log.partitions(name)
        return {p: self.log.start(name, p) for p in range(count)}

    async def ends(self, topic: str) -> dict[int, int]:
        """See the protocol."""
        name = self._existing(topic)
        self.log.look_again()
        return {p: self.log.end(name, p) for p in range(self.log.partitions(name))}

    async def offsets_at(self, topic: str, moment: datetime) -> dict[int, int]:
        """See the protocol."""
        name = self._existing(topic)
        self.log.look_again()
        count, moment_ms = self.log.partitions(name), to_ms(moment)
        return {p: self.log.offset_at(name, p, moment_ms) for p in range(count)}

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """See the protocol."""
        offsets = self.log.committed(self._prefix + group)
        name = self._prefix + topic
        return {p: offset for (at, p), offset in offsets.items() if at == name}

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """See the protocol."""
        name = self._existing(topic)
        for partition, start in offsets.items():
            offset, end = start, until.get(partition, 0)
            while offset < end:
                records = self.log.read(name, partition, offset, READ_RECORDS)
                if not records:
                    break
                for record in records:
                    if record.offset >= end:
                        break
                    yield record._replace(topic=topic)
                offset = records[-1].offset + 1
                await asyncio.sleep(0)  # a long read leaves room for others

    async def follow(
        self, topic: str, offsets: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        """See the protocol."""
        name = self._existing(topic)
        at = dict(offsets)
        while True:
            found = False
            for partition, offset in at.items():
                records = self.log.read(name, partition, offset, READ_RECORDS)
                for record in records:
                    found = True
                    yield record._replace(topic=topic)
                if records:
                    at[partition] = records[-1].offset + 1
            await asyncio.sleep(0 if found else LOOK_S)

    async def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """See the protocol."""
        await self.log.delete_before(self._existing(topic), offsets)

    async def let_expire(
        self, topic: str, offsets: Mapping[int, int], *, on: datetime, after: timedelta
    ) -> None:
        """Let what lies below *offsets* go by its age once *after* has passed since *on*.

        See :meth:`streams.log.sqlite_log.SqliteLog.let_expire`; in whole days.
        """
        await self.log.let_expire(
            self._existing(topic), offsets, day=on.toordinal(), after_days=after.days
        )

    async def erase(self, records: Sequence[Erased]) -> None:
        """See :meth:`streams.log.sqlite_log.SqliteLog.erase`."""
        await self.log.erase(
            [one._replace(topic=self._prefix + one.topic) for one in records]
        )

    async def create(self, topics: Iterable[Topic]) -> list[str]:
        """See the protocol."""
        wanted = list(topics)
        made = []
        for topic in wanted:
            name = self._prefix + topic.name
            if not self.log.partitions(name):
                await self.log.create_topic(
                    name,
                    topic.partitions,
                    compacted=topic.compacted,
                    kept_s=topic.kept_s,
                )
                made.append(f"{name}: made, {topic.partitions} partitions")
            info = self.log.topic(name)
            if info is not None and info.kept_s != topic.kept_s:
                await self.log.keep_for(name, topic.kept_s)
                made.append(
                    f"{name}: keeps records for {topic.kept_s} s now, not {info.kept_s}"
                )
        if differing := await self.mismatches(wanted):
            raise TopicMismatchError("\n".join(differing))
        return made

    async def mismatches(self, topics: Iterable[Topic]) -> list[str]:
        """See the protocol."""
        lines = []
        for topic in topics:
            name = self._prefix + topic.name
            info = self.log.topic(name)
            if info is None:
                lines.append(f"{name}: missing; run 'wirewatch topics create'")
                continue
            if info.partitions != topic.partitions:
                lines.append(
                    f"{name}: has {info.partitions} partitions, needs "
                    f"{topic.partitions}; a count never changes in place: keys would "
                    "move. Use a fresh data folder or another prefix, and ingest again"
                )
            if info.compacted != topic.compacted:
                lines.append(
                    f"{name}: compacted is {info.compacted}, needs {topic.compacted}; "
                    "use a fresh data folder or another prefix"
                )
            if info.kept_s != topic.kept_s:
                lines.append(
                    f"{name}: keeps records for {info.kept_s} s, needs {topic.kept_s} "
                    "s; 'wirewatch topics create' changes it"
                )
        return lines

    def _existing(self, topic: str) -> str:
        name = self._prefix + topic
        if not self.log.partitions(name):
            raise TopicMismatchError(
                f"there is no topic {name!r} in {self.path}: run 'wirewatch topics create'"
            )
        return name

    def _logical(self, name: str) -> str:
        return name.removeprefix(self._prefix)
