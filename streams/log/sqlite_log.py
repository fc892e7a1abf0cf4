"""A durable, partitioned record log in one SQLite file. No Faust in here.

A partition is a table named after it (``"items.raw/0"``); its rowid is the offset.
Appends to such a table fill its pages, a person can read it with the sqlite3 shell, and
two rules make any other bookkeeping unnecessary:

* the last record of a partition is never deleted, so the next offset is always
  ``max(id) + 1``;
* in a compacted topic the key is UNIQUE and a write replaces the older record, so there
  is never anything to compact, and a restore reads exactly the live keys.

*Writes* go through one thread. What waits when a transaction ends goes into the next
one (group commit): no timer, no added latency when idle, large transactions under
load. *Reads* never wait for writers (WAL) and run on the caller's thread.

*Durability.* A finished write survives kill -9 whatever the setting. In a power cut
``synchronous=FULL`` loses nothing; ``NORMAL`` loses what came after the last checkpoint
(the worker makes one a second). Records, offsets and tables are one file, so either
comes back to a state that existed.
"""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import time

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import msgspec

from streams.errors import (
    LogDamagedError,
    NotStoredError,
    TopicMismatchError,
)
from streams.log.doorbell import Post, locked, ring
from streams.log.face import Headers, Output, Position, Record
from streams.log.partitioner import partition_of
from streams.topics import DAY_S


SCHEMA = """
CREATE TABLE IF NOT EXISTS topics(
    name TEXT PRIMARY KEY, partitions INT, compacted INT, kept_s REAL);
CREATE TABLE IF NOT EXISTS offsets(
    reader TEXT, topic TEXT, partition INT, next INT,
    PRIMARY KEY(reader, topic, partition)) WITHOUT ROWID;
"""
PARTITION = (
    'CREATE TABLE IF NOT EXISTS "{}"('
    "id INTEGER PRIMARY KEY, ts INT, key BLOB{}, value BLOB, headers BLOB)"
)
# An offset never goes back: a late commit of an old batch must not undo a newer one.
COMMIT_OFFSET = (
    "INSERT INTO offsets VALUES(?,?,?,?) "
    "ON CONFLICT DO UPDATE SET next = max(next, excluded.next)"
)
# Kafka's rule; it also makes quoting safe.
LEGAL_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
PAGE_BYTES = 8192
CACHE_BYTES = 64 << 20  # a limit, reached only when used
FETCH_BYTES = 1 << 20  # a read ends with the record that crosses this
CLEAN_ROWS = 2000  # rows deleted in one transaction: writers wait for it
TOMBSTONE_KEPT_S = DAY_S
TRIM_SHARE = 0.7  # of the size limit: from here on what has been read may go at once
INTAKE_SHARE = 0.8  # of the size limit: from here on nothing new comes in
FREE_PAGES_SHARE = 0.25  # of all pages: from here on they are given back
RELEASE, RELEASES = "release/{:07}", "release/*"  # a day; no group is called so
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_encode_headers = msgspec.msgpack.encode
_decode_headers = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...]).decode

TopicPartition = tuple[str, int]
_Row = tuple[int, bytes | None, bytes | None, bytes | None]
_Job = Callable[[sqlite3.Connection], Any]


class Commit(NamedTuple):
    """An offset to store together with what was made of the records below it."""

    reader: str
    topic: str
    partition: int
    next: int


class Erased(NamedTuple):
    """A record whose content goes: what takes its place, or (``deleted``) nothing.

    The last record of a partition is never deleted: one that may be it is replaced.
    """

    topic: str
    partition: int
    offset: int
    value: bytes | None = None
    headers: Headers = ()
    deleted: bool = False


class Listener:
    """Somebody who reads ``topics``; ``grown`` is set when there may be more of them."""

    def __init__(self) -> None:
        self.topics: frozenset[str] = frozenset()
        self.grown = asyncio.Event()


class TopicInfo(NamedTuple):
    """A topic as it is in the file."""

    partitions: int
    compacted: bool
    kept_s: float | None


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    """Raise our errors: a full disk can pass, a damaged file or device cannot."""
    try:
        yield
    except sqlite3.Error as error:
        text = f"{path}: {error} ({getattr(error, 'sqlite_errorname', '?')})"
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            text += ": free disk space, or raise log.size_max_gb, whichever is short"
        if code in _PASSING:
            raise NotStoredError(text) from error
        raise LogDamagedError(text) from error


class SqliteLog:
    """One log file, opened by this process."""

    _open: ClassVar[dict[Path, SqliteLog]] = {}

    @classmethod
    def acquire(cls, path: Path, **options: Any) -> SqliteLog:
        """Open the log at *path*, or share what this process has open already.

        All apps of a process write in one thread, so that they share transactions.
        """
        log = cls._open.get(path)
        if log is None:
            log = cls._open[path] = cls(path, **options)
        log._users += 1
        return log

    @classmethod
    def at(cls, path: Path) -> SqliteLog:
        """Return what this process has open at *path*; KeyError if it has not."""
        return cls._open[path]

    def release(self) -> None:
        """Undo one ``acquire``; the last one closes the file."""
        self._users -= 1
        if not self._users:
            del self._open[self.path]
            self._thread.shutdown()
            self._reader.close()
            self._writer.close()
            os.close(self._write_lock)

    def __init__(
        self, path: Path, *, synchronous: str = "FULL", max_bytes: int = 10 << 30
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_lock = os.open(f"{path}.write", os.O_CREAT | os.O_RDWR, 0o600)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        with _errors_named(path), locked(self._write_lock):
            self._writer = self._connect(synchronous)
            self._writer.executescript(SCHEMA)
        self._reader = self._connect(synchronous)
        self._thread = ThreadPoolExecutor(1, "sqlite-log")
        self._waiting: list[tuple[_Job, asyncio.Future[Any]]] = []
        self._draining: asyncio.Task[None] | None = None
        self._topics: dict[str, TopicInfo] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._unsynced = False
        self._listeners: set[Listener] = set()
        self._post = Post(path, self.look_again)
        self._workers = 0
        self._users = 0

    def _connect(self, synchronous: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path,
            timeout=30,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        for pragma in (  # the first three in this order, on a new file
            f"page_size={PAGE_BYTES}",
            "auto_vacuum=INCREMENTAL",
            "journal_mode=WAL",
            # What is deleted or replaced is gone from the page that held it.
            "secure_delete=FAST",
            f"synchronous={synchronous}",
            f"cache_size=-{CACHE_BYTES >> 10}",
            "wal_autocheckpoint=2000",
            f"journal_size_limit={CACHE_BYTES}",
            f"max_page_count={self.max_bytes // PAGE_BYTES}",
        ):
            db.execute(f"PRAGMA {pragma}").fetchall()
        return db

    # -- topics ------------------------------------------------------------------------

    async def create_topic(
        self,
        name: str,
        partitions: int,
        *,
        compacted: bool = False,
        kept_s: float | None = None,
    ) -> None:
        """Make a topic; one that exists keeps what it has."""
        if not LEGAL_NAME.fullmatch(name):
            raise TopicMismatchError(
                f"{name!r} is not a topic name: use letters, digits, '.', '_' and '-'"
            )

        def create(db: sqlite3.Connection) -> None:
            made = db.execute(
                "INSERT OR IGNORE INTO topics VALUES(?,?,?,?)",
                (name, partitions, compacted, kept_s),
            )
            if made.rowcount:
                unique = " UNIQUE" if compacted else ""
                for p in range(partitions):
                    db.execute(PARTITION.format(f"{name}/{p}", unique))

        if not self.partitions(name):
            await self._write(create)

    async def keep_for(self, name: str, kept_s: float | None) -> None:
        """Change how long topic *name* keeps its records."""
        await self._write(
            lambda db: db.execute(
                "UPDATE topics SET kept_s=? WHERE name=?", (kept_s, name)
            )
        )
        self._topics.pop(name, None)

    def topic(self, name: str) -> TopicInfo | None:
        """Return what is stored of topic *name*."""
        if name not in self._topics:
            with _errors_named(self.path):
                rows = self._reader.execute(
                    "SELECT name, partitions, compacted, kept_s FROM topics"
                ).fetchall()
            self._topics = {
                row[0]: TopicInfo(row[1], bool(row[2]), row[3]) for row in rows
            }
        return self._topics.get(name)

    def partitions(self, name: str) -> int:
        """Return the number of partitions; 0 when there is no such topic."""
        info = self.topic(name)
        return info.partitions if info else 0

    # -- appends -----------------------------------------------------------------------

    async def append(
        self,
        outputs: Sequence[Output],
        *,
        commits: Sequence[Commit] = (),
        intake: bool = False,
    ) -> list[Position]:
        """Store *outputs* in one transaction (perhaps shared with other appends).

        Returns each one's position. ``commits`` go into the same transaction: neither
        is ever there without the other. ``intake`` is for records from outside: they
        are refused while there is still room for the results of what is already in,
        because a log filled to the brim with unread records could never be worked off.
        """
        if intake and self.is_full:
            raise NotStoredError(
                f"{self.path} is full: {self.used_bytes() >> 20} of "
                f"{self.max_bytes >> 20} MB are in use; it takes more when the stages "
                "have worked some off (log.size_max_gb sets the limit)"
            )
        places, rows = self._rows(outputs)

        def job(db: sqlite3.Connection) -> dict[TopicPartition, int]:
            db.executemany(COMMIT_OFFSET, commits)
            return {at: _insert(db, at, new) for at, new in rows.items()}

        starts = await self._write(job)
        for at, start in starts.items():
            if at in self._ends:  # else the next reader asks the file
                self._ends[at] = max(self._ends[at], start + len(rows[at]))
        self._wake({topic for topic, _ in rows})
        return [
            Position(topic, partition, starts[topic, partition] + index)
            for (topic, partition), index in places
        ]

    def _rows(
        self, outputs: Sequence[Output]
    ) -> tuple[list[tuple[TopicPartition, int]], dict[TopicPartition, list[_Row]]]:
        """Return each output's place (partition, index in it), and rows by partition."""
        places: list[tuple[TopicPartition, int]] = []
        rows: dict[TopicPartition, list[_Row]] = {}
        now_ms = int(time.time() * 1000)
        counts: dict[str, int] = {}
        for topic, key, value, headers, given, stamp_ms in outputs:
            count = counts.get(topic) or self._count(topic, counts)
            partition = partition_of(key, count) if given is None else given
            if not 0 <= partition < count:
                raise TopicMismatchError(
                    f"{topic}/{partition} does not exist in {self.path}: the topic "
                    f"has {count} partitions"
                )
            at = (topic, partition)
            batch = rows.get(at)
            if batch is None:
                batch = rows[at] = []
            places.append((at, len(batch)))
            encoded = _encode_headers(headers) if headers else None
            batch.append((stamp_ms or now_ms, key, value, encoded))
        return places, rows

    def _count(self, topic: str, counts: dict[str, int]) -> int:
        count = counts[topic] = self.partitions(topic)
        if not count:
            raise TopicMismatchError(
                f"there is no topic {topic!r} in {self.path}: run 'wirewatch topics "
                "create'"
            )
        return count

    # -- the one writer ----------------------------------------------------------------

    async def _write(self, job: _Job) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, done))
        if self._draining is None or self._draining.done():
            self._draining = asyncio.ensure_future(self._drain())
        with _errors_named(self.path):
            return await done

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            jobs = [job for job, _ in batch]
            results = await loop.run_in_executor(self._thread, self._run, jobs)
            for (_, done), result in zip(batch, results, strict=True):
                if done.cancelled():  # its caller is gone
                    continue
                if isinstance(result, Exception):
                    done.set_exception(result)
                else:
                    done.set_result(result)

    def _run(self, jobs: list[_Job]) -> list[Any]:
        """All in one transaction; if that fails each in its own, so that none pays for another's fault."""
        try:
            return self._transaction(jobs)
        except Exception as error:  # noqa: BLE001 - else its callers would wait for ever
            if len(jobs) == 1:
                return [error]
            return [result for job in jobs for result in self._run([job])]

    def _transaction(self, jobs: list[_Job]) -> list[Any]:
        db = self._writer
        with locked(self._write_lock):
            db.execute("BEGIN IMMEDIATE")
            try:
                results = [job(db) for job in jobs]
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # a full disk has rolled back already
                    db.execute("ROLLBACK")
                raise
        self._unsynced = True
        if not self._post.taken:
            ring(self.path)
        return results

    async def erase(self, records: Sequence[Erased]) -> None:
        """Delete *records*, or put what is given in their place, so that no byte stays.

        Also gone is then whatever was deleted or replaced before: free pages are given
        back, and the write-ahead log is emptied. Raises NotStoredError while somebody
        reads for long.
        """

        def job(db: sqlite3.Connection) -> None:
            for topic, partition, offset, value, headers, deleted in records:
                table = f'"{topic}/{partition}"'
                if deleted:
                    db.execute(
                        f"DELETE FROM {table} WHERE id = ? AND "  # noqa: S608 - names are checked
                        f"id < (SELECT max(id) FROM {table})",
                        (offset,),
                    )
                    continue
                encoded = _encode_headers(headers) if headers else None
                db.execute(
                    f"UPDATE {table} SET value = ?, headers = ? WHERE id = ?",  # noqa: S608 - names are checked
                    (value, encoded, offset),
                )

        await self._write(job)
        await self._write(lambda db: db.execute("PRAGMA incremental_vacuum").fetchall())
        loop = asyncio.get_running_loop()
        with _errors_named(self.path):
            await loop.run_in_executor(self._thread, self._empty_wal)

    def _empty_wal(self) -> None:
        with locked(self._write_lock):
            ((busy, _, _),) = self._writer.execute(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            ).fetchall()
        if busy:
            raise NotStoredError(f"{self.path}-wal is still read: it keeps old records")

    async def checkpoint(self) -> None:
        """Make what has been written so far survive a power cut, with NORMAL too.

        Raises NotStoredError when the disk is full.
        """
        if not self._unsynced:
            return
        self._unsynced = False
        loop, sql = asyncio.get_running_loop(), "PRAGMA wal_checkpoint(PASSIVE)"
        try:
            with _errors_named(self.path):
                await loop.run_in_executor(
                    self._thread, lambda: self._writer.execute(sql).fetchall()
                )
        except NotStoredError:  # no room to bring the file up to date
            self._unsynced = True
            raise

    async def flush(self) -> None:
        """Return when everything that was given to the writer is stored or refused."""
        while self._draining is not None and not self._draining.done():
            await asyncio.wait([self._draining])

    # -- reads -------------------------------------------------------------------------

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Return up to *limit* records from *offset* on; fewer when they are large."""
        records, size = [], 0
        with _errors_named(self.path):
            cursor = self._reader.execute(
                f'SELECT * FROM "{topic}/{partition}" WHERE id >= ? '  # noqa: S608 - names are checked
                "ORDER BY id LIMIT ?",
                (offset, limit),
            )
            for number, ts, key, value, headers in cursor:
                decoded = _decode_headers(headers) if headers else ()
                records.append(
                    Record(topic, partition, number, ts, key, value, decoded)
                )
                size += len(value or b"")
                if size > FETCH_BYTES:
                    break
            cursor.close()  # an open read would hold up the checkpoint
        return records

    def end(self, topic: str, partition: int) -> int:
        """Return the next offset: exact for this process's writes, else as of the last look."""
        at = (topic, partition)
        end = self._ends.get(at)
        if end is None:
            end = self._ends[at] = self._one(at, "coalesce(max(id) + 1, 0)")
        return end

    def start(self, topic: str, partition: int) -> int:
        """Return the oldest kept offset."""
        return int(self._one((topic, partition), "coalesce(min(id), 0)"))

    def offset_at(self, topic: str, partition: int, moment_ms: int) -> int:
        """Return the first offset stored at or after *moment_ms*, else the end."""
        found = self._one((topic, partition), "min(id)", "WHERE ts >= ?", moment_ms)
        return self.end(topic, partition) if found is None else found

    def _one(self, at: TopicPartition, what: str, where: str = "", *values: int) -> Any:
        with _errors_named(self.path):
            return self._reader.execute(
                f'SELECT {what} FROM "{at[0]}/{at[1]}" {where}',  # noqa: S608 - names are checked
                values,
            ).fetchone()[0]

    def look_again(self) -> None:
        """Bring what is known of the ends up to date: another process may have written."""
        if not self._ends:
            return
        known = list(self._ends)
        asked = " UNION ALL ".join(
            f'SELECT coalesce(max(id) + 1, 0) FROM "{topic}/{partition}"'  # noqa: S608 - names are checked
            for topic, partition in known
        )
        with _errors_named(self.path):
            found = [end for (end,) in self._reader.execute(asked)]
        grown = set()
        for at, end in zip(known, found, strict=True):
            if end > self._ends[at]:
                self._ends[at] = end
                grown.add(at[0])
        self._wake(grown)

    def listen(self) -> Listener:
        """Return a listener, to be told of what may be new to read."""
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def unlisten(self, listener: Listener) -> None:
        """Forget a listener that ``listen`` gave."""
        self._listeners.discard(listener)

    def _wake(self, topics: set[str]) -> None:
        for listener in self._listeners:
            if not topics.isdisjoint(listener.topics):
                listener.grown.set()

    # -- readers' offsets --------------------------------------------------------------

    async def register(self, reader: str, at: Iterable[TopicPartition]) -> None:
        """Keep from now on what *reader* has not read of these partitions."""
        rows = [(reader, *one) for one in at]
        await self._write(
            lambda db: db.executemany(
                "INSERT OR IGNORE INTO offsets VALUES(?,?,?,0)", rows
            )
        )

    async def commit(self, reader: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Store where *reader* goes on after a restart."""
        rows = [(reader, *at, offset) for at, offset in offsets.items()]
        await self._write(lambda db: db.executemany(COMMIT_OFFSET, rows))

    def committed(self, reader: str) -> dict[TopicPartition, int]:
        """Return where *reader* stands in the partitions it is registered for."""
        with _errors_named(self.path):
            rows = self._reader.execute(
                "SELECT topic, partition, next FROM offsets WHERE reader=?", (reader,)
            ).fetchall()
        return {(topic, partition): offset for topic, partition, offset in rows}

    async def let_expire(
        self, topic: str, offsets: Mapping[int, int], *, day: int, after_days: int
    ) -> None:
        """Let what lies below *offsets* go by its age, *after_days* after *day*.

        Of a topic that this was once called for, everything else stays. It is noted as
        what readers have read, one a day, of which the oldest one counts.
        """
        rows = [
            (RELEASE.format(on), topic, partition, offset)
            for partition, end in offsets.items()
            for on, offset in ((0, 0), (day, end))
        ]
        due = RELEASE.format(day - after_days)

        def job(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR IGNORE INTO offsets VALUES(?,?,?,?)", rows)
            db.execute(
                "DELETE FROM offsets WHERE topic=? AND reader GLOB ? AND reader < "
                "(SELECT max(reader) FROM offsets WHERE topic=? AND reader GLOB ? "
                "AND reader <= ?)",
                (topic, RELEASES, topic, RELEASES, due),
            )

        await self._write(job)

    # -- the worker's place ------------------------------------------------------------

    def work_here(self) -> None:
        """Make this process the one worker; each app of it says so, and says when it leaves."""
        if not self._workers:
            self._post.take()
        self._workers += 1

    def stop_working(self) -> None:
        """Undo one ``work_here``."""
        self._workers -= 1
        if not self._workers:
            self._post.leave()

    # -- housekeeping ------------------------------------------------------------------

    def used_bytes(self) -> int:
        """Return the bytes of the file that hold something."""
        return (
            self._pragma("page_count") - self._pragma("freelist_count")
        ) * PAGE_BYTES

    @property
    def is_full(self) -> bool:
        """Whether what is left is for the results of what is already in."""
        return self.used_bytes() > INTAKE_SHARE * self.max_bytes

    def _pragma(self, name: str) -> int:
        with _errors_named(self.path):
            return int(self._reader.execute(f"PRAGMA {name}").fetchone()[0])

    async def clean(self, now_s: float) -> int:
        """Delete what is old; how many records went.

        What a registered reader has not read is never deleted. When the log is nearly
        full, all that every reader has read may go, old or not.
        """
        with _errors_named(self.path):
            names = [r[0] for r in self._reader.execute("SELECT name FROM topics")]
        self._topics.clear()  # another process may have changed how long one keeps
        deleted = 0
        for name in names:
            info = self.topic(name)
            assert info is not None, name
            for partition in range(info.partitions):
                deleted += await self._clean_partition(name, partition, info, now_s)
        while self._pragma("freelist_count") > FREE_PAGES_SHARE * self._pragma(
            "page_count"
        ):
            await self._write(
                lambda db: db.execute("PRAGMA incremental_vacuum(500)").fetchall()
            )
        return deleted

    async def delete_before(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Delete what lies below *offsets* of each partition, except its last record."""

        def job(db: sqlite3.Connection) -> None:
            for partition, offset in offsets.items():
                table = f'"{topic}/{partition}"'
                db.execute(
                    f"DELETE FROM {table} WHERE id < min(?, "  # noqa: S608 - names are checked
                    f"(SELECT max(id) FROM {table}))",
                    (offset,),
                )

        await self._write(job)

    async def _clean_partition(
        self, topic: str, partition: int, info: TopicInfo, now_s: float
    ) -> int:
        older_ms = None if info.kept_s is None else int((now_s - info.kept_s) * 1000)
        tombstones_ms = int((now_s - TOMBSTONE_KEPT_S) * 1000)
        deleted = 0
        while True:
            full = self.used_bytes() > TRIM_SHARE * self.max_bytes

            def job(db: sqlite3.Connection, *, full: bool = full) -> int:
                if info.compacted:
                    return _drop_old(db, topic, partition, older_ms, tombstones_ms)
                return _trim(db, topic, partition, older_ms, full=full)

            count: int = await self._write(job)
            deleted += count
            if count < CLEAN_ROWS:
                return deleted


def _insert(db: sqlite3.Connection, at: TopicPartition, new: list[_Row]) -> int:
    """Append *new*; return the offset of the first."""
    table = f'"{at[0]}/{at[1]}"'
    start: int = db.execute(
        f"SELECT coalesce(max(id) + 1, 0) FROM {table}"  # noqa: S608 - names are checked
    ).fetchone()[0]
    db.executemany(
        f"INSERT OR REPLACE INTO {table} VALUES(?,?,?,?,?)",
        [(start + index, *row) for index, row in enumerate(new)],
    )
    return start


def _trim(
    db: sqlite3.Connection,
    topic: str,
    partition: int,
    older_ms: int | None,
    *,
    full: bool,
) -> int:
    table = f'"{topic}/{partition}"'
    read = db.execute(
        "SELECT min(next) FROM offsets WHERE topic=? AND partition=?",
        (topic, partition),
    ).fetchone()[0]
    last = db.execute(f"SELECT max(id) FROM {table}").fetchone()[0]  # noqa: S608
    if last is None:
        return 0
    free_below = last if read is None else min(read, last)
    anything = full and read is not None
    bound = None
    for number, ts in db.execute(
        f"SELECT id, ts FROM {table} WHERE id < ? ORDER BY id LIMIT ?",  # noqa: S608
        (free_below, CLEAN_ROWS),
    ):
        if not anything and (older_ms is None or ts >= older_ms):
            break
        bound = number
    if bound is None:
        return 0
    return db.execute(f"DELETE FROM {table} WHERE id <= ?", (bound,)).rowcount  # noqa: S608


def _drop_old(
    db: sqlite3.Connection,
    topic: str,
    partition: int,
    older_ms: int | None,
    tombstones_ms: int,
) -> int:
    """Delete expired keys and old tombstones of a compacted partition."""
    table = f'"{topic}/{partition}"'
    read = db.execute(
        "SELECT min(next) FROM offsets WHERE topic=? AND partition=?",
        (topic, partition),
    ).fetchone()[0]
    return db.execute(
        f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE "  # noqa: S608
        f"(value IS NULL AND ts < ? OR ts < ?) AND id < (SELECT max(id) FROM {table}) "
        "AND id < ? LIMIT ?)",
        (
            tombstones_ms,
            -1 if older_ms is None else older_ms,
            2**62 if read is None else read,
            CLEAN_ROWS,
        ),
    ).rowcount
