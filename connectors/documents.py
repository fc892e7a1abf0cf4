"""Documents given by hand: what ``wirewatch ingest`` and ``wirewatch inspect`` read.

What a document is, is told by its content, and so is which publications are in it: the
same document in another place or under another name gives nothing new, and another one
of the same name is not taken for its correction. Everything in it comes out, either as an
item or as :class:`~connectors.face.Refused` with the reason; nothing it holds raises.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import sys

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from connectors import jsonlines
from connectors.face import OVERSIZE, Refused
from connectors.http import (
    Document,
    FetchFailedError,
    FetchRefusedError,
    HttpClient,
    NotModified,
)
from connectors.identities import GIVEN, file_name, file_time
from connectors.parsers import parsers
from connectors.radio import detect
from connectors.radio.items import read as read_transcript
from connectors.radio.items import read_given, start_of
from connectors.rss import archive
from connectors.rss.items import read as read_feed
from connectors.rss.reading import look_into
from connectors.rss.subscription import Subscription, subscription
from connectors.urls import public_url
from streams import clock
from streams.errors import (
    FatalError,
    PoolCallError,
    SourceError,
)
from streams.pool import Pool
from streams.records import RawItem, Source
from streams.settings import Feed, Settings, Station
from streams.topics import RAW_MAX_BYTES


STAGE = "connectors.ingest"
UNREADABLE = "unreadable"
UNREACHABLE = "unreachable"
#: Kinds of refusal of which nothing was read.
UNREAD = frozenset({UNREADABLE, UNREACHABLE})
STANDARD_INPUT = "-"
#: So much shows what a file is.
_HEAD_BYTES = 65_536


class _Found(NamedTuple):
    """One document, read, and what it is called."""

    #: Free of this machine's paths: it is published as the name of the source.
    name: str
    #: For a person: where it was read.
    shown: str
    body: bytes
    #: As an HTTP answer: addresses are relative to ``url``.
    content_type: str = ""
    content_language: str = ""
    url: str = ""
    modified: datetime | None = None
    path: Path | None = None
    #: When it was fetched, where an archive says.
    fetched: datetime | None = None


async def read(
    sources: Iterable[str], settings: Settings, http: HttpClient
) -> AsyncIterator[RawItem | Refused]:
    """Yield everything in *sources*: files, folders (and those in them), URLs, ``-``.

    Feeds, SRT and WebVTT, JSON lines (see :mod:`connectors.jsonlines`), and archives of
    feeds as fetched (see :mod:`connectors.rss.archive`), which come last, all of them
    together in the order of time. A URL or folder
    of the configuration is read as that feed or station; standard input as JSON lines.
    """
    async with AsyncExitStack() as stack:
        reader = _Reader(settings, http, stack)
        for source in sources:
            if source == STANDARD_INPUT:
                shown = "standard input"
                found = reader.lines(sys.stdin.buffer, shown, shown)
            elif source.partition("://")[0].lower() in {"http", "https"}:
                found = reader.address(source)
            else:
                found = reader.tree(Path(source))
            async for one in found:
                yield one
        async for one in reader.archives():
            yield one


class _Reader:
    """Reads documents of every kind; starts a worker process once there is a feed."""

    def __init__(
        self, settings: Settings, http: HttpClient, stack: AsyncExitStack
    ) -> None:
        self._settings = settings
        self._size_max = round(settings.http.size_max_mb * 1_000_000)
        self._http = http
        self._stack = stack
        self._pool: Pool | None = None
        self._archives: dict[Path, None] = {}

    async def tree(self, top: Path) -> AsyncIterator[RawItem | Refused]:
        """Yield what is in *top* and, if it is a folder, below it; archives wait."""
        try:
            paths = await asyncio.to_thread(_files, top)
        except OSError as error:
            yield _unreadable(top, error)
            return
        if not paths:
            yield Refused(file_name(str(top)), "empty", "there is no file in it")
        for path, name in paths:
            try:
                async for one in self._file(path, name):
                    yield one
            except OSError as error:
                yield _unreadable(path, error)

    async def address(self, url: str) -> AsyncIterator[RawItem | Refused]:
        """Yield what is at *url*."""
        shown = public_url(url)
        try:
            answer = await self._http.get(url)
        except (FetchFailedError, FetchRefusedError) as error:
            yield Refused(shown, UNREACHABLE, str(error))
            return
        assert not isinstance(answer, NotModified), "no validators were sent"
        feed = next((f for f in self._settings.rss.feeds if f.url == url), None)
        found = _of_answer(shown, answer)
        about = subscription(feed or Feed(url=url))
        async for one in self._document(found, about):
            yield one

    async def lines(
        self, stream: BinaryIO, name: str, shown: str
    ) -> AsyncIterator[RawItem | Refused]:
        """Yield the items of the JSON lines in *stream*."""
        fallback = Source(connector="ingest", id=GIVEN, name=name)
        number = 0
        # A line of twice the largest item is not read any further.
        while line := await asyncio.to_thread(stream.readline, 2 * RAW_MAX_BYTES):
            number += 1
            where = f"{shown}:{number}"
            if not line.endswith(b"\n") and len(line) == 2 * RAW_MAX_BYTES:
                yield await asyncio.to_thread(_too_long, line, stream, where)
                continue
            if line.isspace():
                continue
            yield jsonlines.read(line, where=where, fallback=fallback, now=clock.now())

    async def _file(self, path: Path, name: str) -> AsyncIterator[RawItem | Refused]:
        if await asyncio.to_thread(_is_archive, path):
            self._archives[path] = None
            return
        loaded = await asyncio.to_thread(_load, path, name, self._size_max)
        if loaded is None:
            with path.open("rb") as file:
                async for one in self.lines(file, name, file_name(str(path))):
                    yield one
        elif isinstance(loaded, Refused):
            yield loaded
        else:
            async for one in self._document(loaded, None):
                yield one

    async def archives(self) -> AsyncIterator[RawItem | Refused]:
        """Yield what the feeds in the WARCs that were met gave, as it was fetched."""
        #: By source: what it had published when the archives got so far.
        memories: dict[str, bytes] = {}
        kept = archive.in_order(self._archives, self._size_max)
        while (found := await asyncio.to_thread(next, kept, None)) is not None:
            path, one = found
            shown = file_name(str(path))
            if isinstance(one, archive.Fault):
                many = f"{one.records:,} of its records: " if one.records > 1 else ""
                yield Refused(shown, "broken", f"{many}{one.reason}")
                continue
            async for item in self._fetched(one, shown, memories):
                yield item

    async def _fetched(
        self, kept: archive.Kept, shown: str, memories: dict[str, bytes]
    ) -> AsyncIterator[RawItem | Refused]:
        found = _Found(
            name=file_name(urlsplit(kept.url).path),
            shown=f"{shown}: {public_url(kept.url)}",
            body=kept.body,
            content_type=kept.content_type,
            content_language=kept.content_language,
            url=kept.url,
            fetched=kept.fetched,
        )
        about = kept.about
        if about is None:
            async for one in self._document(found, None):
                yield one
            return
        try:
            reading = await (await self._parser()).run(
                look_into,
                kept.body,
                about,
                kept.fetched or clock.now(),
                memories.get(about.source.id, b""),
                content_type=kept.content_type,
                content_language=kept.content_language,
                url=kept.url,
            )
        except (SourceError, PoolCallError) as error:
            yield _refusal(found, "broken", str(error))
            return
        memories[about.source.id] = reading.memory
        for item in reading.items:
            yield _archived(item)
        for fault in reading.refused:
            yield _refusal(found, "broken", fault)

    async def _document(
        self, found: _Found, about: Subscription | None
    ) -> AsyncIterator[RawItem | Refused]:
        if detect.is_empty(found.body):
            yield _refusal(found, "empty", "it is empty")
            return
        if jsonlines.recognises(found.body[:_HEAD_BYTES]):
            fallback = Source(connector="ingest", id=GIVEN, name=found.name)
            for number, line in enumerate(found.body.splitlines(), 1):
                if line.strip():
                    where = f"{found.shown}:{number}"
                    yield jsonlines.read(
                        line, where=where, fallback=fallback, now=clock.now()
                    )
            return
        for one in await self._items(found, about):
            yield one

    async def _items(
        self, found: _Found, about: Subscription | None
    ) -> tuple[RawItem | Refused, ...]:
        try:
            if detect.recognise(found.body) is not None:
                return await asyncio.to_thread(self._transcript, found)
            try:
                return await self._feed(found, about)
            except SourceError:
                if not detect.resembles(found.body, found.name):
                    raise
                # What was meant to be a transcript is told what it lacks to be one.
                return await asyncio.to_thread(self._transcript, found)
        except SourceError as error:
            meant = detect.resembles(found.body, found.name)
            kind = "broken" if meant else "unrecognised"
            return (_refusal(found, kind, str(error)),)
        except PoolCallError as error:
            return (_refusal(found, error.kind, str(error)),)
        except FatalError:
            raise
        except Exception as error:  # noqa: BLE001 - it is a function of the document
            reason = f"it cannot be parsed: {type(error).__name__}: {error}"
            return (_refusal(found, "broken", reason),)

    def _transcript(self, found: _Found) -> tuple[RawItem | Refused, ...]:
        watched = self._station(found)
        station, name = watched or (Station(id=GIVEN, folder=""), found.name)
        start = start_of(station, PurePosixPath(name).stem, found.modified)
        now, words = clock.now(), self._settings.radio.item_words
        if watched is None:
            transcript = read_given(
                found.body, name=name, start=start, fetched=now, words=words
            )
        else:
            transcript = read_transcript(
                found.body,
                name=name,
                station=station,
                start=start,
                fetched=now,
                words=words,
            )
        if not transcript.broken:
            return transcript.items
        reason = f"cues whose times cannot be read: {transcript.broken:,}"
        return (*transcript.items, _refusal(found, "broken", reason))

    def _station(self, found: _Found) -> tuple[Station, str] | None:
        """Return the station whose folder the file is in, if any, and its name there."""
        if found.path is None:
            return None
        for station in self._settings.radio.stations:
            folder = Path(station.folder).resolve()
            if found.path.is_relative_to(folder):
                within = found.path.relative_to(folder).as_posix()
                return station, file_name(within)
        return None

    async def _feed(
        self, found: _Found, about: Subscription | None
    ) -> tuple[RawItem | Refused, ...]:
        items, faults = await (await self._parser()).run(
            read_feed,
            found.body,
            about,
            found.fetched or clock.now(),
            content_type=found.content_type,
            content_language=found.content_language,
            url=found.url,
        )
        named = (_named(item, found.name) for item in items)
        return (
            *(named if found.fetched is None else map(_archived, named)),
            *(_refusal(found, "broken", fault) for fault in faults),
        )

    async def _parser(self) -> Pool:
        if self._pool is None:
            self._pool = await self._stack.enter_async_context(
                parsers(self._settings.rss, name="documents")
            )
        return self._pool


def _named(item: RawItem, name: str) -> RawItem:
    """Return *item*, whose source is called *name* if it has no name of its own."""
    if item.source.name:
        return item
    source = msgspec.structs.replace(item.source, name=name)
    return msgspec.structs.replace(item, source=source)


def _archived(item: RawItem) -> RawItem:
    """Return *item* as one that was read when it says, not now."""
    return msgspec.structs.replace(item, archived=True)


def _files(top: Path) -> list[tuple[Path, str]]:
    """Return the files at and below *top*, each with its folder's name before its own."""
    if not top.exists():
        raise FileNotFoundError(errno.ENOENT, "there is no such file or folder")
    top = top.resolve()
    found = top.rglob("*") if top.is_dir() else [top]
    base = top.parent if top.is_dir() else top.parent.parent
    return [
        (path, file_name(path.relative_to(base).as_posix()))
        for path in sorted(found)
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(top).parts)
    ]


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return archive.recognises(file.read(_HEAD_BYTES))


def _load(path: Path, name: str, size_max: int) -> _Found | Refused | None:
    """Return the file, or why not; None if it is JSON lines, to be read one by one."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if jsonlines.recognises(head):
            return None
        file.seek(0)
        status = os.fstat(file.fileno())
        body = file.read(size_max + 1)
        if len(body) > size_max:
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            reason = f"it is larger than {size_max:,} bytes"
            shown = file_name(str(path))
            return Refused(shown, OVERSIZE, reason, digest, status.st_size)
        return _Found(
            name=name,
            shown=file_name(str(path)),
            body=body,
            modified=file_time(status.st_mtime_ns),
            path=path,
        )


def _unreadable(path: Path, error: OSError) -> Refused:
    reason = error.strerror or str(error)
    return Refused(file_name(str(path)), UNREADABLE, reason)


def _of_answer(shown: str, answer: Document) -> _Found:
    parts = urlsplit(answer.url)
    return _Found(
        name=f"{parts.netloc}{unquote(parts.path)}",
        shown=shown,
        body=answer.body,
        content_type=answer.content_type,
        content_language=answer.content_language,
        url=answer.url,
    )


def _too_long(line: bytes, stream: BinaryIO, where: str) -> Refused:
    """Pass over the rest of a line, and say what it was."""
    digest, size = hashlib.sha256(), 0
    while line:
        digest.update(line)
        size += len(line)
        if line.endswith(b"\n"):
            break
        line = stream.readline(2 * RAW_MAX_BYTES)
    reason = f"the line takes {size:,} bytes; an item at most {RAW_MAX_BYTES:,}"
    return Refused(where, OVERSIZE, reason, digest.hexdigest(), size)


def _refusal(found: _Found, kind: str, reason: str) -> Refused:
    return Refused(
        source=found.shown,
        kind=kind,
        reason=reason,
        sha256=hashlib.sha256(found.body).hexdigest(),
        size_bytes=len(found.body),
    )
