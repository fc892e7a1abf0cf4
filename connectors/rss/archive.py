"""The bodies of fetches that brought something, kept as WARC 1.1 (ISO 28500).

A better parser can be run over them again (``wirewatch ingest archive.warc.gz``), and
every web archive's tools read them. Each fetch is one ``response`` record, compressed by
itself: the head as received but for cookies, without credentials in its address, and the
body as decompressed. Fields that then would not be true (``Content-Encoding``) are kept
under ``X-Archive-Orig-``, as the Internet Archive does. Whose feed it was stands in a
field of the record, ``Wirewatch-Subscription``, as JSON.

A file is named ``wirewatch-DAY-RUN-NUMBER.warc.gz``; several processes may share a
folder. It is opened, locked and closed again for each record, so that :func:`erase` may
put another in its place at any time.
"""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import os
import re
import zlib

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from heapq import heappop, heappush
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import uuid4

import msgspec
import structlog

from fastwarc.stream_io import (
    BrotliReader,
    ChunkedReader,
    GzipReader,
    GzipWriter,
    WarcReader,
    ZstdReader,
)
from fastwarc.warc import ArchiveIterator, HeaderMap, WarcRecord, WarcRecordType

from connectors.http import Document
from connectors.rss.subscription import Subscription
from streams.clock import EPOCH


#: A file that is larger takes no more; the usual size of a WARC file is 1 GB.
ROLL_BYTES = 256_000_000
COMPRESSION = 6
#: What hangs for longer holds up no poll.
PATIENCE_S = 10.0
SUBSCRIPTION = "Wirewatch-Subscription"
ORIGINAL = "X-Archive-Orig-"

#: Files that are read beside each other: one record of each is in memory.
OPEN_MAX = 32
#: No record of ours is larger.
SIZE_MAX = 2**31
_PART_BYTES = 65_536
HINT = (
    "feeds are read on, and what they give meanwhile is not kept there: make room, have "
    "it written to by whom this runs as, or change rss.archive"
)

_MAGIC = b"WARC/"
_GZIP = b"\x1f\x8b"
#: With a dot before it: what a rewriting that was killed has left.
_NAME = re.compile(r"\.?wirewatch-(\d{8})-[0-9a-f]{8}-\d{5}\.warc\.gz")
#: True of the body as it was sent, not as it is kept.
_SENT = frozenset({"content-encoding", "transfer-encoding", "content-length"})
_LINE_ENDS = re.compile(r"[\r\n\0]+")

_DECODERS: Mapping[str, Callable[[BinaryIO], WarcReader]] = {
    "chunked": ChunkedReader,
    "gzip": GzipReader,
    "x-gzip": GzipReader,
    "deflate": partial(GzipReader, zlib=True),
    "br": BrotliReader,
    "zstd": ZstdReader,
}

_log = structlog.get_logger()


class Kept(NamedTuple):
    """A document that an archive holds, as an HTTP answer."""

    #: Names the record.
    ident: str
    body: bytes
    url: str
    content_type: str
    content_language: str
    #: None where the archive does not say.
    fetched: datetime | None
    #: Whose it is; None in an archive that others wrote.
    about: Subscription | None


class Fault(NamedTuple):
    """A part of an archive that gives no document, and why."""

    reason: str
    #: How many records it is.
    records: int = 1


class Archive:
    """Where a connector keeps what it fetched: a folder, for so many days."""

    def __init__(
        self,
        folder: Path,
        days: float,
        *,
        roll_bytes: int = ROLL_BYTES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._folder = folder
        self._days = timedelta(days=days)
        self._roll_bytes = roll_bytes
        self._run = uuid4().hex[:8]
        self._day = ""
        self._number = 0
        self._patience_s = patience_s
        #: Fetches that were not kept, since one was.
        self._lacks = 0
        self._turn = asyncio.Lock()
        self._writing: asyncio.Task[str] | None = None

    async def keep(
        self, document: Document, about: Subscription, fetched: datetime
    ) -> None:
        """Keep *document*; a disk that does not take it is warned of, once, not raised.

        One that does not answer (a network's) is waited for once, until it does.
        """
        async with self._turn:
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(
                    self._written(document, about, fetched)
                )
                await asyncio.wait([self._writing], timeout=self._patience_s)
            is_over = self._writing.done()
            self._say(self._writing.result() if is_over else "it does not answer")

    async def _written(
        self, document: Document, about: Subscription, fetched: datetime
    ) -> str:
        """Write *document*; return why that failed, or ''."""
        try:
            await asyncio.to_thread(self._keep, document, about, fetched)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def _say(self, because: str) -> None:
        folder = str(self._folder.absolute())
        if because and not self._lacks:
            _log.warning("rss.archive_failing", folder=folder, error=because, hint=HINT)
        if self._lacks and not because:
            _log.info("rss.archive_resumed", folder=folder, lacks=self._lacks)
        self._lacks = self._lacks + 1 if because else 0

    def _keep(self, document: Document, about: Subscription, fetched: datetime) -> None:
        day = f"{fetched.astimezone(UTC):%Y%m%d}"
        self._folder.mkdir(parents=True, exist_ok=True)
        if day != self._day:
            self._day = day
            _remove_before(self._folder, fetched - self._days)
        try:
            self._append(document, about, fetched)
        except BlockingIOError:
            # It is being rewritten, which takes a minute.
            self._number += 1
            self._append(document, about, fetched)

    def _append(
        self, document: Document, about: Subscription, fetched: datetime
    ) -> None:
        with _locked(self._path, create=True) as file:
            size = os.fstat(file.fileno()).st_size
            written = _compressed(_response(document, about, fetched))
            if size == 0:
                written = _compressed(_warcinfo(self._path.name, fetched)) + written
            try:
                file.write(written)
                file.flush()
            except OSError:
                # What is there of a record would make the next ones unreadable.
                os.ftruncate(file.fileno(), size)
                raise
        if size + len(written) >= self._roll_bytes:
            self._number += 1

    @property
    def _path(self) -> Path:
        name = f"wirewatch-{self._day}-{self._run}-{self._number:05}.warc.gz"
        return self._folder / name


def recognises(head: bytes) -> bool:
    """Return whether a file that begins with *head* is a WARC, compressed or not."""
    if head.startswith(_GZIP):
        try:
            inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            return inflate.decompress(head, len(_MAGIC)).startswith(_MAGIC)
        except zlib.error:
            return False
    return head.startswith(_MAGIC)


def read(file: BinaryIO, size_max: int) -> Iterator[Kept | Fault]:
    """Yield the documents in a WARC, ours or another's, one at a time.

    Of another's what the web calls a page, an image or a failure is passed over, and
    counted. What is larger than *size_max* bytes, or cut off, is a fault.
    """
    passed = 0
    plain = _Plain(file)
    records = ArchiveIterator(
        plain,
        record_types=WarcRecordType.response | WarcRecordType.resource,
        strict_mode=False,
        stream_detect=False,
    )
    while True:
        try:
            record = next(records, None)
        except (OSError, ValueError) as error:
            yield Fault(f"the archive cannot be read beyond that: {error}")
            break
        if record is None:
            break
        try:
            found = _document(record, size_max)
        except (OSError, ValueError) as error:
            found = Fault(f"a document cannot be decoded: {error}")
        if found is None:
            passed += 1
        else:
            yield found
    if plain.is_cut_off:
        yield Fault("the archive ends inside a record")
    if passed:
        yield Fault("pages, images and failures, which are no feeds", passed)


def in_order(
    paths: Iterable[Path], size_max: int
) -> Iterator[tuple[Path, Kept | Fault]]:
    """Yield what :func:`read` gives of each file, oldest first over all of them.

    Each file is in the order of time by itself. At most :data:`OPEN_MAX` are open at
    once: where more overlap, the order is that of the files' beginnings.
    """
    begun = ((_begun(path), str(path), path) for path in paths)
    waiting = deque(sorted(begun, key=lambda one: one[:2]))
    reading: list[tuple[datetime, str, Path, Kept | Fault, _Parts]] = []
    while waiting or reading:
        if waiting and (
            not reading
            or (waiting[0][:2] <= reading[0][:2] and len(reading) < OPEN_MAX)
        ):
            moment, name, path = waiting.popleft()
            parts = _parts(path, size_max)
        else:
            moment, name, path, one, parts = heappop(reading)
            yield path, one
        if (following := next(parts, None)) is not None:
            fetched = following.fetched if isinstance(following, Kept) else None
            moment = max(moment, fetched or moment)
            heappush(reading, (moment, name, path, following, parts))


_Parts = Iterator[Kept | Fault]


def _parts(path: Path, size_max: int) -> _Parts:
    try:
        with path.open("rb") as file:
            yield from read(file, size_max)
    except OSError as error:
        yield Fault(f"it cannot be opened: {error.strerror}")


def _begun(path: Path) -> datetime:
    """Return when the first record of the archive at *path* was written."""
    try:
        with path.open("rb") as file:
            records = ArchiveIterator(
                _Plain(file), parse_http=False, strict_mode=False, stream_detect=False
            )
            record = next(records, None)
            moment: datetime | None = record.record_date if record else None
            return moment or EPOCH
    except (OSError, ValueError):
        return EPOCH


class _Plain:
    """A file, decompressed if it is compressed, that notices where it is cut off.

    FastWARC's own reader takes the end of what it gets for the end of the archive.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.is_cut_off = False
        is_compressed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        self._file = gzip.GzipFile(fileobj=file) if is_compressed else file
        self._read = getattr(self._file, "read1", self._file.read)

    def read(self, size: int = -1) -> bytes:
        """Return what comes next, up to *size* bytes; empty at the end."""
        try:
            return bytes(self._read(size))
        except (EOFError, gzip.BadGzipFile, zlib.error):
            self.is_cut_off = True
            return b""

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to *offset*."""
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """Do nothing: the file is its owner's."""


async def find(folder: Path, names: Callable[[Kept], Awaitable[bool]]) -> None:
    """Ask *names* about each record of the archive in *folder*, and change nothing.

    Raises OSError.
    """
    for path in await asyncio.to_thread(_files, folder):
        with suppress(FileNotFoundError):  # too old meanwhile
            await _named(path, names)


async def erase(folder: Path, names: Callable[[Kept], Awaitable[bool]]) -> int:
    """Take the records that *names* picks out of the archive in *folder*; say how many.

    Each file is replaced in one step; a connector that writes to it goes on in the new
    one. Raises OSError.
    """
    erased = 0
    for path in await asyncio.to_thread(_files, folder):
        with suppress(FileNotFoundError):  # too old meanwhile
            doomed = await _named(path, names)
            if doomed:
                await asyncio.to_thread(_rewrite, path, doomed)
                erased += len(doomed)
    return erased


async def _named(path: Path, names: Callable[[Kept], Awaitable[bool]]) -> set[str]:
    with path.open("rb") as file:
        kept = read(file, SIZE_MAX)
        named: set[str] = set()
        while (one := await asyncio.to_thread(next, kept, None)) is not None:
            if isinstance(one, Kept) and await names(one):
                named.add(one.ident)
    return named


def _document(record: WarcRecord, size_max: int) -> Kept | Fault | None:
    url = record.headers.get("WARC-Target-URI", "") or ""
    about = _subscription(record.headers.get(SUBSCRIPTION))
    status = record.http_headers.status_code if record.is_http else HTTPStatus.OK
    if about is None and (status != HTTPStatus.OK or _is_page(record)):
        return None
    length = record.content_length
    body = _content(record.reader, size_max)
    if len(body) < min(length, size_max):
        return Fault("a document is shorter than the archive says")
    if record.is_http:
        body = _decoded(body, record.http_headers, size_max)
    if len(body) > size_max:
        return Fault(f"{url}: it is larger than {size_max:,} bytes")
    headers = record.http_headers if record.is_http else record.headers
    return Kept(
        ident=record.record_id or "",
        body=body,
        url=url,
        content_type=headers.get("Content-Type", "") or "",
        content_language=headers.get("Content-Language", "") or "",
        fetched=record.record_date,
        about=about,
    )


def _content(reader: WarcReader, size_max: int) -> bytes:
    """Return what *reader* gives, or a little more than *size_max* of it.

    In parts: FastWARC takes the memory for all that is asked for, and a record may claim
    any length.
    """
    content = bytearray()
    while len(content) <= size_max and (part := reader.read(_PART_BYTES)):
        content += part
    return bytes(content)


def _decoded(body: bytes, headers: HeaderMap, size_max: int) -> bytes:
    """Return *body* without the codings of its *headers*, in the order they went on.

    Some programs keep it as decoded under the headers as received.
    """
    coded = [
        name.strip().lower()
        for field in ("Content-Encoding", "Transfer-Encoding")
        for value in headers.get_multiple(field)
        for name in value.split(",")
    ]
    for name in reversed(coded):
        decoder = _DECODERS.get(name)
        if decoder is None:
            continue
        try:
            body = _content(decoder(BytesIO(body)), size_max)
        except (OSError, ValueError):
            if not body.lstrip().startswith((b"<", b"{")):
                raise
    return body


def _is_page(record: WarcRecord) -> bool:
    kind = (record.http_content_type or "").lower()
    return kind.startswith(("text/html", "image/", "video/", "audio/", "text/css"))


def _subscription(told: str | None) -> Subscription | None:
    if told is None:
        return None
    try:
        return msgspec.json.decode(told, type=Subscription)
    except msgspec.DecodeError:
        return None


def _response(document: Document, about: Subscription, fetched: datetime) -> WarcRecord:
    record = _record(WarcRecordType.response, fetched)
    record.headers.append("WARC-Target-URI", document.url)
    record.headers.append(SUBSCRIPTION, msgspec.json.encode(about).decode())
    record.is_http = True
    record.set_bytes_content(_head(document) + document.body)
    return record


def _head(document: Document) -> bytes:
    status = document.status
    known = status in HTTPStatus.__members__.values()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase if known else ''}"]
    for name, value in document.headers:
        kept = f"{ORIGINAL}{name}" if name.lower() in _SENT else name
        lines.append(f"{kept}: {_LINE_ENDS.sub(' ', value)}")
    lines.append(f"Content-Length: {len(document.body)}")
    return "\r\n".join((*lines, "", "")).encode("utf-8", "surrogateescape")


def _warcinfo(name: str, now: datetime) -> WarcRecord:
    record = _record(WarcRecordType.warcinfo, now)
    record.headers.append("WARC-Filename", name)
    record.headers.append("Content-Type", "application/warc-fields")
    record.set_bytes_content(
        b"software: wirewatch\r\nformat: WARC File Format 1.1\r\n"
        b"conformsTo: https://iipc.github.io/warc-specifications/specifications/"
        b"warc-format/warc-1.1/\r\n"
    )
    return record


def _record(kind: WarcRecordType, moment: datetime) -> WarcRecord:
    record = WarcRecord()
    record.init_headers(kind)
    record.record_date = moment
    return record


def _compressed(record: WarcRecord) -> bytes:
    """Return *record* as a gzip member of its own."""
    whole = BytesIO()
    writer = GzipWriter(whole, compression_level=COMPRESSION)
    record.write(writer, checksum_data=True)
    writer.close()
    return whole.getvalue()


def _files(folder: Path) -> list[Path]:
    """Return the files of an archive in *folder*; none where there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.glob("wirewatch-*") if _day_of(path))


def _day_of(path: Path) -> str:
    """Return the day of an archive's file, as in its name; '' for another file."""
    told = _NAME.fullmatch(path.name)
    return told[1] if told else ""


def _remove_before(folder: Path, oldest: datetime) -> None:
    for path in folder.iterdir():
        if "" < _day_of(path) < f"{oldest.astimezone(UTC):%Y%m%d}":
            path.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path, *, create: bool = False) -> Iterator[BinaryIO]:
    """Give the file at *path*, to append to, while nobody puts another in its place.

    To *create* it is not to wait: raises BlockingIOError where somebody has it.
    """
    how = fcntl.LOCK_EX | fcntl.LOCK_NB if create else fcntl.LOCK_EX
    while True:
        with path.open("ab" if create else "rb+") as file:
            fcntl.flock(file, how)
            try:
                is_there = os.path.samestat(os.fstat(file.fileno()), path.stat())
            except FileNotFoundError:
                continue
            if is_there:
                yield file
                return


def _rewrite(path: Path, doomed: AbstractSet[str]) -> None:
    """Replace the file at *path* by one without the *doomed* records."""
    beside = path.with_name(f".{path.name}")
    with _locked(path), path.open("rb") as old, beside.open("wb") as new:
        for part in _without(old, doomed):
            new.write(part)
        new.flush()
        os.fsync(new.fileno())
        beside.replace(path)


def _without(old: BinaryIO, doomed: AbstractSet[str]) -> Iterable[bytes]:
    for record in ArchiveIterator(old, parse_http=False):
        length = record.content_length
        content = _content(record.reader, SIZE_MAX)
        # One that was cut off by a crash holds what nobody can read, and goes too.
        if record.record_id in doomed or len(content) < length:
            continue
        record.set_bytes_content(content)
        yield _compressed(record)
