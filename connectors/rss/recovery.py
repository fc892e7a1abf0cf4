"""What was published of each feed, kept so that nothing is published twice.

A feed's cursor holds its *memory*. On a log whose appends are transactions it is stored
with the items it covers. Kafka may store items whose cursor a killed process never wrote;
so each process keeps a *checkpoint* for its shard: where ``items.raw`` ended before the
oldest of its publishes that is not covered by a cursor. Whoever reads the shard next
reads ``items.raw`` from there, and adds what it finds to the memories.

What remains: bytes of a killed process that a broker stores after the next one has read
to the end, and what a process that was paused publishes in the moment it wakes up. Dedupe
knows both.

There a cursor also holds how far it *covers* ``items.raw``: behind the last item of its
feed. What lies before that is in the memory, and in its order; only what lies behind it
is added.

The checkpoint also tells who reads a shard. The newer process wins, so that a restart
after ``kill -9`` works at once; the older one, should it still live, finds the newer
claim at its next look and stops. After a pause it looks before it publishes.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, Self

import msgspec
import structlog

from connectors.face import (
    APPEND_MAX_RECORDS,
    Published,
    Refused,
    patiently,
    pause,
    publish,
)
from connectors.rss.memory import as_bytes, as_text
from connectors.rss.reading import remembered
from connectors.rss.shard import Shard
from streams import clock
from streams.errors import FatalError, TransientError
from streams.events import RETRY_OF, named_source, read
from streams.events import cursor as cursor_entry
from streams.log.face import Log, Output, Position, Record
from streams.records import Cursor, RawItem
from streams.settings import SHARD_KEY
from streams.topics import CURSORS, RAW


STAGE = "connectors.rss"
#: Between two checkpoints: what a restart reads of ``items.raw`` at least.
CHECKPOINT_S = 30.0
#: Items that are added to the memories together.
FOLDED_RECORDS = 2_000

_log = structlog.get_logger()


#: Of partitions of ``items.raw``: offsets behind something.
Ends = Mapping[int, int]


class Kept(NamedTuple):
    """What the cursor of a feed holds."""

    #: What was published (:mod:`connectors.rss.memory`).
    entries: bytes = b""
    #: Fingerprint of the faults that were told of last.
    refused: str = ""
    #: Fingerprint of the address that it was read from.
    url: str = ""

    def cursor(self, source: str, now: datetime, covered: Ends) -> Cursor:
        """Return what is stored."""
        position = {
            "url": self.url,
            "entries": as_text(self.entries),
            "refused": self.refused,
            "covered": _written(covered),
        }
        return Cursor(source=source, position=position, updated=now)

    @classmethod
    def of(cls, cursor: Cursor) -> Self:
        """Return what was stored."""
        at = cursor.position.get
        return cls(as_bytes(at("entries", "")), at("refused", ""), at("url", ""))


class Checkpoint(NamedTuple):
    """Who reads a shard, and what of ``items.raw`` it may not remember."""

    #: Greater than that of whoever read the shard before.
    epoch: int
    #: Names the process: its host, its id, and something random.
    run: str
    #: Below these offsets everything of the shard is covered by cursors.
    ends: Mapping[int, int]
    #: It has ended, and everything is covered.
    closed: bool = False

    def cursor(self, source: str, now: datetime) -> Cursor:
        """Return what is stored."""
        position = {
            "epoch": str(self.epoch),
            "run": self.run,
            "ends": _written(self.ends),
            "closed": "yes" if self.closed else "",
        }
        return Cursor(source=source, position=position, updated=now)

    @classmethod
    def of(cls, cursor: Cursor) -> Self | None:
        """Return what was stored; None for what is none."""
        at = cursor.position.get
        try:
            ends = _read_ends(at("ends", ""))
            return cls(int(at("epoch", "")), at("run", ""), ends, bool(at("closed")))
        except (msgspec.DecodeError, ValueError):
            return None

    def is_before(self, other: Checkpoint) -> bool:
        """Whether *other* has the shard, and not this one: also of two at once."""
        return (self.epoch, self.run) < (other.epoch, other.run)


class Once:
    """The log for one publish: what a failed append has stored is not stored again."""

    def __init__(self, log: Log, since: Mapping[int, int]) -> None:
        self._log = log
        #: Below, nothing lies on ``items.raw`` that is in doubt and not in ``_found``.
        self._since = since
        self._is_in_doubt = False
        #: Of the outputs in doubt, by number, those that were found there.
        self._found: dict[int, Position] = {}

    @property
    def atomic(self) -> bool:
        """See :class:`streams.log.face.Log`."""
        return self._log.atomic

    async def append(self, outputs: Sequence[Output]) -> list[Position]:
        """See :class:`streams.log.face.Log`; a repeat first looks what is there."""
        if self._is_in_doubt:
            await self._look_for(outputs)
        missing = [one for at, one in enumerate(outputs) if at not in self._found]
        try:
            appended = iter(await self._log.append(missing))
        except TransientError:
            self._is_in_doubt = True
            raise
        stored, self._found, self._is_in_doubt = self._found, {}, False
        return [
            stored[at] if at in stored else next(appended) for at in range(len(outputs))
        ]

    async def _look_for(self, outputs: Sequence[Output]) -> None:
        """Find those of *outputs* that came to be on ``items.raw`` since the last look."""
        wanted: defaultdict[tuple[bytes | None, bytes | None], list[int]]
        wanted = defaultdict(list)
        for at, output in enumerate(outputs):
            if output.topic == RAW.name and at not in self._found:
                wanted[output.key, output.value].append(at)
        found: dict[int, Position] = {}
        ends = await self._log.ends(RAW.name)
        async for record in self._log.read(RAW.name, self._since, ends):
            if places := wanted.get((record.key, record.value)):
                found[places.pop(0)] = record.position
        self._found |= found
        self._since = ends


class Ledger:
    """What of a shard's feeds is published and remembered; one a process."""

    def __init__(
        self, log: Log, shard: Shard, *, checkpoint_s: float = CHECKPOINT_S
    ) -> None:
        self._log = log
        self._shard = shard
        self._source = f"{SHARD_KEY}{shard}"
        self._checkpoint_s = checkpoint_s
        self._mine = Checkpoint(0, _run_name(), {})
        #: Where ``items.raw`` ended when it was asked last.
        self._ends: dict[int, int] = {}
        #: Sources whose publish no cursor covers yet, oldest first: what ``_ends`` was then.
        self._uncovered: dict[str, Mapping[int, int]] = {}
        #: How far the cursor of each source covers ``items.raw``.
        self._covered: dict[str, Ends] = {}
        #: How far ``connectors.cursors`` was looked through for others.
        self._seen: dict[int, int] = {}
        self._looked_s = 0.0
        self._looking = asyncio.Lock()
        self._is_opened = False
        #: Who has the shard instead.
        self._successor: Checkpoint | None = None

    @property
    def lost(self) -> bool:
        """Whether another process has the shard now."""
        return self._successor is not None

    async def open(self, feeds: Container[str]) -> dict[str, Kept]:
        """Claim the shard; return what is remembered of *feeds*, by source id.

        That is what their cursors say, and what lies on ``items.raw`` beyond them.
        """
        # A try that the log interrupted may have found what no cursor says yet.
        self._covered.clear()
        self._seen = await self._log.ends(CURSORS.name)
        kept, checkpoints = await self._cursors(feeds)
        since = await self._at_risk(checkpoints)
        before = checkpoints.get(self._source)
        epoch = before.epoch + 1 if before else 1
        self._mine = self._mine._replace(epoch=epoch, ends=since)
        await self._store(self._mine)
        # What the one before published is there by now, or never will be.
        ends = await self._log.ends(RAW.name)
        found = await self._fold(kept, feeds, since, ends)
        await self._cover({source: kept[source] for source in found})
        self._ends, self._looked_s, self._is_opened = ends, time.monotonic(), True
        _log.info(
            "rss.shard_opened",
            shard=str(self._shard),
            run=self._mine.run,
            before=before.run if before else "",
            recovered=sum(found.values()),
        )
        return kept

    async def kept(self, feeds: Container[str]) -> dict[str, Kept]:
        """Return what the cursors of *feeds* say: of such as join later."""
        kept, _ = await self._cursors(feeds)
        return kept

    async def publish(
        self,
        source: str,
        items: Sequence[RawItem],
        *,
        before: Kept,
        after: Kept,
        refused: Sequence[Refused] = (),
        stop: asyncio.Event,
    ) -> Published:
        """Append *items* and *refused*, and the cursor of *source*, if it has changed.

        Of a document that takes several appends, each has the memory of what it brings.
        Waits while the log is away; not complete when *stop* is set meanwhile. Raises
        FatalError when another process has the shard.
        """
        check = partial(patiently, self._check, stop, doing="looking at the shard")
        if not (items or refused or before != after):
            return Published((), (), complete=True)
        if await check() is None:
            return Published((), (), complete=False)
        since = self._uncovered.setdefault(source, self._ends)
        append = partial(publish, Once(self._log, since), stage=STAGE, stop=stop)
        done = await append((), refused=refused)
        kept = before
        for part in _parts(items) if self._log.atomic else [slice(0, len(items))]:
            if not done.complete:
                return done
            if part.stop < len(items):
                # Seconds for thousands of entries: not on the loop.
                memory = await asyncio.to_thread(remembered, kept.entries, items[part])
                kept = before._replace(entries=memory)
            else:
                kept = after
            some = await self._append(
                append, source, items[part], kept if kept != before else None
            )
            done = Published(
                done.positions + some.positions,
                done.refused + some.refused,
                some.complete,
            )
        if done.complete:
            del self._uncovered[source]
        return done

    async def _append(
        self,
        append: Callable[..., Awaitable[Published]],
        source: str,
        items: Sequence[RawItem],
        kept: Kept | None,
    ) -> Published:
        """Append *items* and then, or with them, the cursor that covers them."""
        covered = self._covered.get(source, {})
        if kept is None:
            return await append(items)
        if self._log.atomic:
            return await append(items, cursor=kept.cursor(source, clock.now(), covered))
        done = await append(items)
        if not done.complete:
            return done
        covered = _behind(covered, done.positions)
        after = await append((), cursor=kept.cursor(source, clock.now(), covered))
        if after.complete:
            self._covered[source] = covered
        return done._replace(complete=after.complete)

    async def run(self, stop: asyncio.Event) -> None:
        """Look now and then until *stop* is set; see :meth:`look`."""
        while not await pause(stop, self._checkpoint_s):
            await patiently(self.look, stop, doing="writing a checkpoint")

    async def look(self) -> None:
        """Write how far everything is covered. Raises FatalError if the shard is lost."""
        async with self._looking:
            is_covered_up = await self._look_for_others()
            ends = await self._log.ends(RAW.name)
            covered = next(iter(self._uncovered.values()), ends)
            self._ends, self._looked_s = ends, time.monotonic()
            if is_covered_up or covered != self._mine.ends:
                self._mine = self._mine._replace(ends=covered)
                await self._store(self._mine)

    async def close(self) -> None:
        """Tell whoever is next that there is nothing to recover, if that is so."""
        if self._is_opened and not self.lost and not self._uncovered:
            await self._store(self._mine._replace(closed=True))

    async def _check(self) -> bool:
        """Look, if this process may have been paused; raises as :meth:`look` does."""
        if self.lost or time.monotonic() - self._looked_s > 2 * self._checkpoint_s:
            await self.look()
        return True

    async def _look_for_others(self) -> bool:
        """Return whether one that has lost to us has written over our claim."""
        is_covered_up = False
        ends = await self._log.ends(CURSORS.name)
        async for record in self._log.read(CURSORS.name, self._seen, ends):
            other = _checkpoint(record) if _source(record) == self._source else None
            if other is None:
                continue
            is_covered_up = other.is_before(self._mine)
            if self._mine.is_before(other):
                self._successor = other
        self._seen = ends
        if self._successor:
            raise FatalError(
                f"another process reads the feeds of rss.shard {self._shard} now "
                f"({self._successor.run}; this is {self._mine.run}), so this one ends. "
                "If that one was to replace this one, all is well; else stop it and "
                "start this one again, or give each its share (--shard 1/2 and 2/2)"
            )
        return is_covered_up

    async def _cursors(
        self, feeds: Container[str]
    ) -> tuple[dict[str, Kept], dict[str, Checkpoint]]:
        """Return what the topic holds of *feeds*, and all checkpoints, oldest first."""
        kept: dict[str, Kept] = {}
        checkpoints: dict[str, Checkpoint] = {}
        topic = CURSORS.name
        starts, ends = await self._log.starts(topic), await self._log.ends(topic)
        async for record in self._log.read(topic, starts, ends):
            source = _source(record)
            if source.startswith(SHARD_KEY):
                checkpoints.pop(source, None)
                if checkpoint := _checkpoint(record):
                    checkpoints[source] = checkpoint
            elif source in feeds:
                if cursor := read(Cursor, record.value):
                    kept[source] = Kept.of(cursor)
                    self._covered[source] = _covered(cursor)
                else:
                    kept.pop(source, None)
                    self._covered.pop(source, None)
        return kept, checkpoints

    async def _at_risk(self, checkpoints: Mapping[str, Checkpoint]) -> dict[int, int]:
        """Return from where on ``items.raw`` may hold what no cursor of ours covers.

        Checkpoints of another number of shards count too, if they are newer than ours
        and not closed: what they read may be ours now. Where there is none at all it is
        the beginning.
        """
        if not checkpoints:
            return await self._log.starts(RAW.name)
        count = f"/{self._shard.total}"
        known = list(checkpoints)
        first = known.index(self._source) if self._source in known else 0
        at_risk = [
            checkpoints[source].ends
            for source in known[first:]
            if not checkpoints[source].closed
            and (source == self._source or not source.endswith(count))
        ]
        ends = await self._log.ends(RAW.name)
        return {
            partition: min(
                (_within(one, partition, end) for one in at_risk), default=end
            )
            for partition, end in ends.items()
        }

    async def _fold(
        self,
        kept: dict[str, Kept],
        feeds: Container[str],
        since: Mapping[int, int],
        ends: Mapping[int, int],
    ) -> Counter[str]:
        """Add to *kept* what lies in [since, ends); return what was new, by source."""
        found: Counter[str] = Counter()
        # There a cursor is stored with what it covers.
        whole = frozenset(kept) if self._log.atomic else frozenset()
        waiting: defaultdict[str, list[RawItem]] = defaultdict(list)

        def fold() -> None:
            for source, items in waiting.items():
                before = kept.get(source, Kept())
                memory = remembered(before.entries, items)
                if memory != before.entries:
                    kept[source] = before._replace(entries=memory)
                    found[source] += len(items)
            waiting.clear()

        count = 0
        last: defaultdict[str, dict[int, int]] = defaultdict(dict)
        async for record in self._log.read(RAW.name, since, ends):
            item = _item(record, feeds)
            if item is None or item.source.id in whole:
                continue
            source, at = item.source.id, record.partition
            covered = self._covered.get(source, {})
            if record.offset >= _within(covered, at, ends[at]):
                waiting[source].append(item)
                last[source][at] = record.offset + 1
                count += 1
                if not count % FOLDED_RECORDS:
                    fold()
        fold()
        for source, behind in last.items():
            self._covered[source] = {**self._covered.get(source, {}), **behind}
        return found

    async def _cover(self, kept: Mapping[str, Kept]) -> None:
        """Store the cursors of *kept*: the next checkpoint will not go back to them."""
        entries = [
            cursor_entry(one.cursor(source, clock.now(), self._covered[source]))
            for source, one in kept.items()
        ]
        for first in range(0, len(entries), APPEND_MAX_RECORDS):
            await self._log.append(entries[first : first + APPEND_MAX_RECORDS])

    async def _store(self, checkpoint: Checkpoint) -> None:
        cursor = checkpoint.cursor(self._source, clock.now())
        await self._log.append([cursor_entry(cursor)])


def _parts(items: Sequence[RawItem]) -> list[slice]:
    """Return which items go into each append; one append for none."""
    return [
        slice(first, min(first + APPEND_MAX_RECORDS, len(items)))
        for first in range(0, max(len(items), 1), APPEND_MAX_RECORDS)
    ]


def _written(ends: Ends) -> str:
    return msgspec.json.encode(ends).decode()


def _read_ends(text: str) -> dict[int, int]:
    return msgspec.json.decode(text, type=dict[int, int])


def _covered(cursor: Cursor) -> dict[int, int]:
    """Return how far *cursor* covers ``items.raw``: nothing, if it does not say."""
    try:
        return _read_ends(cursor.position.get("covered", ""))
    except msgspec.DecodeError:
        return {}


def _within(ends: Ends, partition: int, end: int) -> int:
    """Return the one of *ends*; 0 if it lies beyond *end*, as the topic is another one."""
    at = ends.get(partition, 0)
    return at if at <= end else 0


def _behind(covered: Ends, positions: Iterable[Position | None]) -> dict[int, int]:
    """Return what covers *positions*, too: the last ones of their partitions."""
    placed = sorted(one for one in positions if one is not None)
    return {**covered, **{one.partition: one.offset + 1 for one in placed}}


def _source(record: Record) -> str:
    return (record.key or b"").decode("utf-8", "replace")


def _checkpoint(record: Record) -> Checkpoint | None:
    cursor = read(Cursor, record.value)
    return Checkpoint.of(cursor) if cursor else None


def _item(record: Record, feeds: Container[str]) -> RawItem | None:
    """Return the item in *record* if a connector published it for one of *feeds*."""
    # What an operator put back for a dead letter may be older than what is known.
    if named_source(record) not in feeds or record.header(RETRY_OF):
        return None
    item = read(RawItem, record.value)
    if item is None or item.state == "forgotten":
        return None
    # What was read from an archive is what the feed had said long before.
    is_ours = item.source.connector == "rss" and not item.archived
    return item if is_ours else None


def _run_name() -> str:
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"
