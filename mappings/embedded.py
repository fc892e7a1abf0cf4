"""The search index in an SQLite file under the data folder, full text by FTS5.

Texts are analysed by :mod:`mappings.analysis`; the full-text table stores no text of
its own (contentless), so a row is taken out by analysing the old record again. That is
sound only while the analysis is the same: its version is kept in the file, and
:meth:`EmbeddedIndex.prepare` builds the tables anew from the records when it changes.

One thread writes; others read, each on its own connection, in this process or another
(write-ahead log). What a call has written is durable and searchable when it returns.

Every call asks which generation is live (:mod:`mappings.files`), works, and asks again:
if that has changed meanwhile it works once more, on the new one.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import time

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

import msgspec

from mappings import analysis, paging, sql
from mappings.face import (
    MADE_BY,
    Fate,
    Held,
    Hit,
    Kind,
    Page,
    Rebuild,
    Sort,
    Stored,
)
from mappings.fields import Header, Searchable, fault, kind_of, searchable, stored
from mappings.files import FILE, File, Files, drop, made
from mappings.query import Query
from mappings.snippets import snippets
from streams.clock import to_ms
from streams.errors import (
    AlreadyRunningError,
    FatalError,
    IndexUnavailableError,
    LogDamagedError,
)
from streams.records import Incident, Item


QUERY_MAX_S: Final = 5.0
BUSY_MAX_S: Final = 5.0
READERS: Final = 4
#: Of the tables below; a file with another is built anew from its records.
SCHEMA: Final = 1

_KINDS: Final[tuple[Kind, ...]] = ("items", "incidents")
_FACETS: Final = {"class": "class", "lang": "language", "source": "source"}
_CHUNK: Final = 500
#: FTS5 gathers 16 MB of words before it writes them (a batch is one segment), and merges
#: eight segments at a time: with its defaults of 1 MB and four, writing costs half as
#: much again, and a query is no faster (bench/index.py).
_FTS_OPTIONS: Final = (("hashsize", 1 << 24), ("automerge", 8))

_RECORDS = """
CREATE TABLE IF NOT EXISTS {kind}_record (
    rowid INTEGER PRIMARY KEY, body BLOB NOT NULL
);
"""
#: All that can be derived from the records.
_DERIVED = """
CREATE TABLE {kind}_entry (
    rowid INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    findable INTEGER NOT NULL,
    moment INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    day TEXT NOT NULL
);
CREATE INDEX {kind}_newest ON {kind}_entry (moment DESC, id) WHERE findable;
CREATE TABLE {kind}_label (
    rowid INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (rowid, name, value)
) WITHOUT ROWID;
CREATE INDEX {kind}_labelled ON {kind}_label (name, value, rowid);
CREATE VIRTUAL TABLE {kind}_words USING fts5 (
    {columns}, content='', tokenize='ascii'
);
"""
_DROPPED = """
DROP TABLE IF EXISTS {kind}_entry;
DROP TABLE IF EXISTS {kind}_label;
DROP TABLE IF EXISTS {kind}_words;
"""
_COLUMNS = ", ".join(sql.WORD_COLUMNS)

_encode = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(Header).decode
_DECODERS: Final[Mapping[Kind, Callable[[bytes], Item | Incident]]] = {
    "items": msgspec.json.Decoder(Item).decode,
    "incidents": msgspec.json.Decoder(Incident).decode,
}

T = TypeVar("T")


class EmbeddedIndex:
    """A search index in ``folder``; see :class:`mappings.face.SearchIndex`."""

    def __init__(
        self,
        folder: Path,
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        busy_max_s: float = BUSY_MAX_S,
        only: Path | None = None,
    ) -> None:
        self._path = only or folder / FILE
        self._files = Files(folder, only=only)
        self._synchronous: Literal["FULL", "NORMAL"] = synchronous
        self._busy_max_s = busy_max_s
        self._writing: sqlite3.Connection | None = None
        self._written: File | None = None
        self._writer = ThreadPoolExecutor(1, "index-writer")
        self._readers = ThreadPoolExecutor(READERS, "index-reader")
        self._idle: queue.SimpleQueue[tuple[File, sqlite3.Connection]] = (
            queue.SimpleQueue()
        )

    async def __aenter__(self) -> Self:
        """Open it; no file is made before something is written or prepared."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, when what is under way has ended."""
        await asyncio.to_thread(self._close)

    async def exists(self) -> bool:
        """Tell whether there is a file that is live."""
        return await asyncio.to_thread(self._files.file) is not None

    async def prepare(self) -> list[str]:
        """Make the tables, or build them anew when code or analysis has changed."""
        return await asyncio.get_running_loop().run_in_executor(
            self._writer, self._prepare
        )

    async def check(self) -> list[str]:
        """Return a line for each fault of the file."""
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._check
        )

    async def write(self, documents: Sequence[Item | Incident]) -> list[Fate]:
        """Store *documents* in one transaction."""

        def work(connection: sqlite3.Connection) -> list[Fate]:
            _demand_current(connection, self._path)
            return _store(connection, documents)

        return await self._write(work)

    async def get(self, ident: str) -> Item | Incident | None:
        """Return the item or incident called *ident*."""
        return await self._read(lambda connection: _get(connection, ident))

    async def items(self, idents: Sequence[str]) -> Mapping[str, Item]:
        """Return each of these items."""
        return await self._read(lambda connection: _items(connection, idents))

    async def newer(
        self, documents: Sequence[Item | Incident]
    ) -> Mapping[str, Item | Incident]:
        """Return what is held in a higher version; nothing where no file is.

        Also of a file that another analysis has made: nothing is searched.
        """

        def work(file: File) -> Mapping[str, Item | Incident]:
            with closing(_connect(file.path, "ro", self._busy_max_s)) as connection:
                made_by = _version_of(connection)
                if made_by is None or made_by[0] != SCHEMA:
                    return {}
                return _snapshot(connection, lambda one: _newer(one, documents))

        if not await self.exists():
            return {}
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._on_live, work
        )

    async def held(self, idents: Sequence[str]) -> Mapping[str, Held]:
        """Return what is held of each item id."""
        return await self._read(lambda connection: _held(connection, idents))

    async def search(
        self,
        query: Query,
        *,
        kind: Kind = "items",
        sort: Sort = "relevance",
        size: int = 20,
        after: str = "",
    ) -> Page:
        """Return one page; an empty query has no relevance and goes by time."""
        sort = sort if query.root is not None or sort != "relevance" else "newest"
        place = paging.decode(after, query, kind, sort)
        return await self._read(
            lambda connection: _search(connection, query, kind, sort, size, place)
        )

    async def facets(
        self, query: Query, *, kind: Kind = "items", size: int = 10
    ) -> dict[str, list[tuple[str, int]]]:
        """Return counts by class, language and source, and of the latest days."""
        return await self._read(
            lambda connection: _facets(connection, query, kind, size)
        )

    async def refresh(self) -> None:
        """Do nothing: what is written is searchable."""

    async def expire(self, before: datetime) -> int:
        """Delete items whose month ends before *before*, in small transactions."""
        start = before.astimezone(UTC).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )

        def work(connection: sqlite3.Connection) -> int:
            _demand_current(connection, self._path)
            return _expire(connection, to_ms(start))

        gone = 0
        while part := await self._write(work):
            gone += part
        return gone

    async def erase(self) -> None:
        """Merge the words' lists into one, and write the file anew.

        What lies there of earlier files, which somebody has deleted, goes too.
        """

        def work(file: File) -> None:
            connection = self._writer_of(file)
            with _transaction(connection):
                for kind in _KINDS:
                    connection.execute(
                        f"INSERT INTO {kind}_words ({kind}_words) VALUES ('optimize')"  # noqa: S608 - fixed names only
                    )
            connection.execute("VACUUM")
            ((busy, _, _),) = connection.execute(
                "PRAGMA wal_checkpoint(TRUNCATE)"
            ).fetchall()
            if busy:
                raise IndexUnavailableError(f"{file.path}-wal is still read")

        def alone() -> None:
            with self._files.claimed():
                if beside := self._files.older() + self._files.newer():
                    raise AlreadyRunningError(
                        f"{beside[0]} is there beside the live index, and may hold the "
                        "words too: wirewatch reindex, then again"
                    )
                for left in self._files.orphans():
                    left.unlink(missing_ok=True)
                self._on_live(work)

        await asyncio.get_running_loop().run_in_executor(self._writer, alone)

    async def counts(self) -> Mapping[Kind, int]:
        """Return how many documents there are, stubs included."""
        return await self._read(_counts)

    @asynccontextmanager
    async def rebuild(self) -> AsyncIterator[Rebuild]:
        """Build the next generation in a file of its own; a half-built one goes."""
        files = self._files
        with files.claimed():
            live = files.file()
            # Where no file is live, any of them may be the one that was.
            for dead in files.newer() if live else ():
                drop(dead)
            path = files.following()
            try:
                async with self._only(path) as fresh, AsyncExitStack() as stack:
                    former = live and self._only(live.path)
                    if former is not None:
                        await stack.enter_async_context(former)
                    await fresh.prepare()
                    yield Rebuild(
                        former, fresh, lambda: asyncio.to_thread(files.make_live, path)
                    )
            finally:
                if files.live() != path:
                    drop(path)
            for older in files.older():
                drop(older)

    async def abandon(self) -> list[str]:
        """Delete the half-built generation of a reindex that has died."""
        lines = []
        with self._files.claimed():
            for dead in self._files.newer():
                self._live()  # without it nobody knows that this one is not whole
                drop(dead)
                lines.append(f"deleted {dead}")
        return lines

    def _only(self, path: Path) -> EmbeddedIndex:
        return EmbeddedIndex(
            self._files.folder, synchronous=self._synchronous, only=path
        )

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_transaction(file: File) -> T:
            connection = self._writer_of(file)
            with _transaction(connection):
                return work(connection)

        return await asyncio.get_running_loop().run_in_executor(
            self._writer, self._on_live, in_transaction
        )

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_snapshot(file: File) -> T:
            connection = self._reader_of(file)
            deadline = time.monotonic() + QUERY_MAX_S
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            try:
                return _snapshot(connection, work)
            finally:
                self._idle.put((file, connection))

        return await asyncio.get_running_loop().run_in_executor(
            self._readers, self._on_live, in_snapshot
        )

    def _on_live(self, work: Callable[[File], T]) -> T:
        """Return what *work* gives on the file that is live when it has ended."""
        with _translated(self._path):
            file = self._live()
            while True:
                try:
                    result = work(file)
                except Exception:
                    if self._live() == file:
                        raise
                else:
                    if self._live() == file:
                        return result
                file = self._live()

    def _live(self) -> File:
        file = self._files.file()
        if file is not None:
            return file
        if found := self._files.all():
            raise IndexUnavailableError(
                f"{self._path} leads to no index, and {found[-1].name} is there: "
                "wirewatch reindex builds it anew, and deletes that one only then; if "
                f"you know that it is whole: ln -sf {found[-1].name} {self._path}"
            )
        raise IndexUnavailableError(
            f"there is no index in {self._files.folder}: {MADE_BY}"
        )

    def _writer_of(self, file: File) -> sqlite3.Connection:
        """Return the connection that writes to *file*, which is never made by it."""
        if self._writing is not None and self._written != file:
            self._writing.close()
            self._writing = None
        if self._writing is None:
            connection = _connect(file.path, "rw", self._busy_max_s)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            self._writing, self._written = connection, file
        return self._writing

    def _reader_of(self, file: File) -> sqlite3.Connection:
        """Return an idle connection to *file*, or a new one."""
        while True:
            try:
                opened, connection = self._idle.get_nowait()
            except queue.Empty:
                return self._open_reader(file)
            if opened == file:
                return connection
            connection.close()

    def _open_reader(self, file: File) -> sqlite3.Connection:
        connection = _connect(file.path, "ro", self._busy_max_s)
        try:
            _demand_current(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> list[str]:
        """Bring the live generation up to date; make the first if there is none."""
        files = self._files
        with _translated(self._path):
            if (file := files.file()) is not None:
                return self._brought_up(file)
            if files.only is not None:
                return self._brought_up(made(files.only))
            try:
                with files.claimed(wait_s=self._busy_max_s):
                    file = files.file() or made(files.following())
                    lines = self._brought_up(file)
                    files.make_live(file.path)
                    return lines
            except AlreadyRunningError as error:
                raise IndexUnavailableError(str(error)) from error

    def _brought_up(self, file: File) -> list[str]:
        connection = self._writer_of(file)
        with _transaction(connection):
            return self._prepared(connection)

    def _prepared(self, connection: sqlite3.Connection) -> list[str]:
        held = _version_of(connection)
        if held == _version():
            return []
        if held is not None and held[0] > SCHEMA:
            raise FatalError(
                f"{self._path} was made by a newer Wirewatch: upgrade, or use "
                "another data folder"
            )
        count = _rebuild(connection)
        if held is None:
            return [f"made the search index {self._path}"]
        return [f"built the search index anew: {count} records ({held[1]} before)"]

    def _check(self) -> list[str]:
        try:
            with _translated(self._path):
                return self._faults()
        except (IndexUnavailableError, LogDamagedError) as error:
            return [str(error)]

    def _faults(self) -> list[str]:
        connection = self._open_reader(self._live())
        try:
            lines = connection.execute("PRAGMA quick_check(5)").fetchall()
        finally:
            connection.close()
        return [
            f"{self._path} is damaged: {line}; build it anew: wirewatch reindex"
            for (line,) in lines
            if line != "ok"
        ] + self._left_behind()

    def _left_behind(self) -> list[str]:
        """Return a line for each generation of a reindex that has died."""
        try:
            with self._files.claimed():
                return [
                    f"{path} is half-built, its reindex has died: wirewatch reindex "
                    "begins anew, with --abandon it only deletes it"
                    for path in self._files.newer()
                ] + [
                    f"{path} is still there: a reindex died after its switch, and "
                    "documents of that moment may be missing: wirewatch reindex"
                    for path in self._files.older()
                ]
        except AlreadyRunningError:
            return []  # it is being built

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        while not self._idle.empty():
            self._idle.get()[1].close()


def _connect(
    path: Path, mode: Literal["ro", "rw"], busy_max_s: float
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_max_s,
        isolation_level=None,
        check_same_thread=False,  # a connection is in one thread's hands at a time
    )
    connection.execute("PRAGMA secure_delete=FAST")
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute("PRAGMA mmap_size=1073741824")
    connection.execute("PRAGMA temp_store=MEMORY")
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _snapshot(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]
) -> T:
    """Run *work* with everything it reads as of one moment."""
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


#: By SQLite's primary result code: the file or its device is at fault.
_DAMAGED: Final = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}
)
_PRIMARY_CODE: Final = 0xFF


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        if code in _DAMAGED:
            raise LogDamagedError(
                f"{path} cannot be read or written: {error}; build it anew: wirewatch "
                "reindex"
            ) from error
        if code == sqlite3.SQLITE_INTERRUPT:
            raise IndexUnavailableError(
                f"the query took longer than {QUERY_MAX_S:g} s: ask for less"
            ) from error
        raise IndexUnavailableError(f"{path}: {error}") from error
    except OSError as error:
        raise IndexUnavailableError(f"{path}: {error.strerror}") from error


def _version() -> tuple[int, str]:
    return SCHEMA, analysis.VERSION


def _version_of(connection: sqlite3.Connection) -> tuple[int, str] | None:
    """Return schema and analysis of the file; None when it has no tables yet."""
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    if not schema:
        return None
    (name,) = connection.execute("SELECT analysis FROM made_by").fetchone()
    return schema, name


def _demand_current(connection: sqlite3.Connection, path: Path) -> None:
    if (held := _version_of(connection)) != _version():
        state = "is not prepared yet" if held is None else f"was made by {held}"
        raise IndexUnavailableError(
            f"{path} {state}, this is {_version()}: start the worker of this version"
        )


def _script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements inside the transaction; ``executescript`` would commit it."""
    for statement in filter(str.strip, script.split(";")):
        connection.execute(statement)


def _rebuild(connection: sqlite3.Connection) -> int:
    """Make all tables, and derive them from the records; how many those are."""
    count = 0
    for kind in _KINDS:
        for script in (_DROPPED, _RECORDS, _DERIVED):
            _script(connection, script.format(kind=kind, columns=_COLUMNS))
        connection.executemany(
            f"INSERT INTO {kind}_words ({kind}_words, rank) VALUES (?, ?)",  # noqa: S608 - fixed names only
            _FTS_OPTIONS,
        )
        # Read by key, not by cursor: the derived tables are written meanwhile.
        last = -1
        while rows := connection.execute(
            f"SELECT rowid, body FROM {kind}_record WHERE rowid > ?"  # noqa: S608 - fixed names only
            " ORDER BY rowid LIMIT ?",
            (last, _CHUNK),
        ).fetchall():
            decode = _DECODERS[kind]
            _derive(connection, kind, [(rowid, decode(body)) for rowid, body in rows])
            last = rows[-1][0]
            count += len(rows)
    _script(
        connection,
        "DROP TABLE IF EXISTS made_by; CREATE TABLE made_by (analysis TEXT NOT NULL)",
    )
    connection.execute("INSERT INTO made_by VALUES (?)", (analysis.VERSION,))
    connection.execute(f"PRAGMA user_version={SCHEMA}")
    return count


def _store(
    connection: sqlite3.Connection, documents: Sequence[Item | Incident]
) -> list[Fate]:
    fates: list[Fate] = [Stored.STALE] * len(documents)
    for kind in _KINDS:
        mine = [(i, d) for i, d in enumerate(documents) if kind_of(d) == kind]
        if not mine:
            continue
        old = _rows_of(connection, kind, [document.id for _, document in mine])
        versions = {ident: version for ident, (_, version) in old.items()}
        winners: dict[str, Item | Incident] = {}
        for at, document in mine:
            refused = fault(document)
            if refused is not None:
                fates[at] = refused
            elif document.version > versions.get(document.id, 0):
                fates[at] = Stored.STORED
                versions[document.id] = document.version
                winners[document.id] = stored(document)
        _replace(connection, kind, winners, old)
    return fates


def _rows_of(
    connection: sqlite3.Connection, kind: Kind, idents: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Return id -> (rowid, version) of those that are there."""
    rows: dict[str, tuple[int, int]] = {}
    for start in range(0, len(idents), _CHUNK):
        part = idents[start : start + _CHUNK]
        found = connection.execute(
            f"SELECT id, rowid, version FROM {kind}_entry"  # noqa: S608
            f" WHERE id IN ({', '.join('?' * len(part))})",
            part,
        )
        rows.update({ident: (rowid, version) for ident, rowid, version in found})
    return rows


def _replace(
    connection: sqlite3.Connection,
    kind: Kind,
    winners: Mapping[str, Item | Incident],
    old: Mapping[str, tuple[int, int]],
) -> None:
    _remove(connection, kind, [old[ident][0] for ident in winners if ident in old])
    (last,) = connection.execute(
        f"SELECT coalesce(max(rowid), 0) FROM {kind}_record"  # noqa: S608
    ).fetchone()
    rows = []
    for ident, document in winners.items():
        if ident in old:
            rows.append((old[ident][0], document))
        else:
            last += 1
            rows.append((last, document))
    connection.executemany(
        f"INSERT OR REPLACE INTO {kind}_record (rowid, body) VALUES (?, ?)",  # noqa: S608
        [(rowid, _encode(document)) for rowid, document in rows],
    )
    _derive(connection, kind, rows)


def _derive(
    connection: sqlite3.Connection,
    kind: Kind,
    rows: Sequence[tuple[int, Item | Incident]],
) -> None:
    """Write what is searched of the records in *rows*."""
    derived = [(rowid, document, searchable(document)) for rowid, document in rows]
    connection.executemany(
        f"INSERT INTO {kind}_entry VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [
            (
                rowid,
                document.id,
                document.version,
                fields.findable,
                to_ms(fields.moment),
                to_ms(fields.seen),
                fields.day,
            )
            for rowid, document, fields in derived
        ],
    )
    connection.executemany(
        f"INSERT INTO {kind}_label VALUES (?, ?, ?)",  # noqa: S608
        [
            (rowid, name, value)
            for rowid, _, fields in derived
            for name, values in fields.labels.items()
            for value in values
        ],
    )
    connection.executemany(
        f"INSERT INTO {kind}_words (rowid, {_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
        [(rowid, *_words(fields)) for rowid, _, fields in derived],
    )


def _words(fields: Searchable) -> tuple[str, ...]:
    return sql.columns(fields.title, fields.text)


def _remove(connection: sqlite3.Connection, kind: Kind, rowids: Sequence[int]) -> None:
    """Take out what is searched of the records *rowids*; the records stay."""
    for rowid in rowids:
        words = _words(searchable(_record(connection, kind, rowid)))
        connection.execute(
            f"INSERT INTO {kind}_words ({kind}_words, rowid, {_COLUMNS})"  # noqa: S608
            " VALUES ('delete', ?, ?, ?, ?, ?)",
            (rowid, *words),
        )
        connection.execute(f"DELETE FROM {kind}_entry WHERE rowid = ?", (rowid,))  # noqa: S608
        connection.execute(f"DELETE FROM {kind}_label WHERE rowid = ?", (rowid,))  # noqa: S608


def _get(connection: sqlite3.Connection, ident: str) -> Item | Incident | None:
    for kind in _KINDS:
        row = connection.execute(
            f"SELECT body FROM {kind}_entry JOIN {kind}_record USING (rowid)"  # noqa: S608
            " WHERE id = ?",
            (ident,),
        ).fetchone()
        if row is not None:
            return _DECODERS[kind](row[0])
    return None


def _items(connection: sqlite3.Connection, idents: Sequence[str]) -> dict[str, Item]:
    items = map(msgspec.json.Decoder(Item).decode, _bodies(connection, idents))
    return {item.id: item for item in items}


def _newer(
    connection: sqlite3.Connection, documents: Sequence[Item | Incident]
) -> dict[str, Item | Incident]:
    newer: dict[str, Item | Incident] = {}
    for kind in _KINDS:
        mine = [document for document in documents if kind_of(document) == kind]
        rows = _rows_of(connection, kind, [document.id for document in mine])
        for document in mine:
            rowid, version = rows.get(document.id, (0, 0))
            if version > document.version:
                newer[document.id] = _record(connection, kind, rowid)
    return newer


def _record(connection: sqlite3.Connection, kind: Kind, rowid: int) -> Item | Incident:
    (body,) = connection.execute(
        f"SELECT body FROM {kind}_record WHERE rowid = ?",  # noqa: S608
        (rowid,),
    ).fetchone()
    return _DECODERS[kind](body)


def _held(connection: sqlite3.Connection, idents: Sequence[str]) -> dict[str, Held]:
    headers = map(_decode_header, _bodies(connection, idents))
    return {header.id: header.held() for header in headers}


def _bodies(connection: sqlite3.Connection, idents: Sequence[str]) -> Iterator[bytes]:
    for start in range(0, len(idents), _CHUNK):
        part = idents[start : start + _CHUNK]
        bodies = connection.execute(
            "SELECT body FROM items_entry JOIN items_record USING (rowid)"  # noqa: S608
            f" WHERE id IN ({', '.join('?' * len(part))})",
            part,
        )
        yield from (body for (body,) in bodies)


def _counts(connection: sqlite3.Connection) -> dict[Kind, int]:
    return {
        kind: connection.execute(f"SELECT count(*) FROM {kind}_entry").fetchone()[0]  # noqa: S608 - fixed names only
        for kind in _KINDS
    }


def _search(
    connection: sqlite3.Connection,
    query: Query,
    kind: Kind,
    sort: Sort,
    size: int,
    after: paging.Place | None,
) -> Page:
    # One more than asked for tells whether there is a next page.
    rows = connection.execute(*sql.page(query, kind, sort, size + 1, after)).fetchall()
    if rows:
        total = rows[0][3]
    else:  # past the last page, or nothing at all
        (total,) = connection.execute(*sql.count(query, kind)).fetchone()
    hits = []
    for rowid, _, key, _ in rows[:size]:
        document = _record(connection, kind, rowid)
        score = -key if sort == "relevance" else 0.0
        marked = snippets(query, searchable(document).passages())
        hits.append(Hit(document, score, marked))
    following = ""
    if len(rows) > size > 0:
        _, ident, key, _ = rows[size - 1]
        following = paging.encode(query, kind, sort, key, ident)
    return Page(tuple(hits), total, following)


def _facets(
    connection: sqlite3.Connection, query: Query, kind: Kind, size: int
) -> dict[str, list[tuple[str, int]]]:
    counts: dict[str, list[tuple[str, int]]] = {
        name: [] for name in (*_FACETS.values(), "day")
    }
    for name, value, number in connection.execute(
        *sql.facets(query, kind, tuple(_FACETS))
    ):
        counts[_FACETS.get(name, name)].append((value, number))
    days = sorted(counts.pop("day"))
    ordered = {
        name: sorted(found, key=lambda pair: (-pair[1], pair[0]))[:size]
        for name, found in counts.items()
    }
    return {**ordered, "day": days[-size:]}


def _expire(connection: sqlite3.Connection, before_ms: int) -> int:
    """Delete some of the items before *before_ms*; how many."""
    rowids = [
        rowid
        for (rowid,) in connection.execute(
            "SELECT rowid FROM items_entry WHERE moment < ? LIMIT ?",
            (before_ms, _CHUNK),
        )
    ]
    _remove(connection, "items", rowids)
    connection.executemany(
        "DELETE FROM items_record WHERE rowid = ?", [(rowid,) for rowid in rowids]
    )
    return len(rowids)
