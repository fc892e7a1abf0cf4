"""What fetches brought, kept as WARC, and read again: on a real file system."""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import io
import os
import resource
import signal

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import structlog

from fastwarc.warc import ArchiveIterator, WarcRecordType, is_warc_11
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from connectors import documents
from connectors.face import Refused
from connectors.http import Document, HttpClient
from connectors.rss import archive as archives
from connectors.rss.archive import (
    Archive,
    Fault,
    Kept,
    erase,
    in_order,
    read,
    recognises,
)
from connectors.rss.connector import RssConnector
from connectors.rss.reading import look_into
from connectors.rss.subscription import subscription
from streams.records import RawItem
from streams.settings import Feed, Http, Rss, Settings
from tests.integration.connecting import embedded_log, published, running, until
from tests.integration.papers import a_paper, item


NOW = datetime(2026, 11, 5, 1, 2, 3, 456789, tzinfo=UTC)
ABOUT = subscription(
    Feed(
        url="https://user:geheim@news.example/feed?a=1",
        name="Nouvelles\n",
        country="ML",
    )
)


def body(*titles: str) -> bytes:
    entries = "".join(
        f"<item><guid>https://news.example/{title}</guid><title>{title}</title>"
        f"<link>https://news.example/{title}</link></item>"
        for title in titles
    )
    return f"<rss version='2.0'><channel><title>N</title>{entries}</channel></rss>".encode()


def document(content: bytes, **facts: object) -> Document:
    headers = (
        ("Content-Type", "application/rss+xml; charset=utf-8"),
        ("Content-Encoding", "br"),
        ("Content-Length", "12"),
    )
    given_ = {"url": "https://news.example/feed?a=1", "headers": headers} | facts
    return Document(
        content,
        content_type="application/rss+xml; charset=utf-8",
        content_language="",
        etag="",
        last_modified="",
        **given_,  # type: ignore[arg-type]  # by name
    )


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.warc.gz"))


def kept(folder: Path) -> list[Kept | Fault]:
    found: list[Kept | Fault] = []
    for path in files(folder):
        with path.open("rb") as file:
            found += read(file, 1_000_000)
    return found


def documents_of(folder: Path) -> list[Kept]:
    return [one for one in kept(folder) if isinstance(one, Kept)]


async def ingested(*paths: Path) -> tuple[list[RawItem], list[Refused]]:
    settings = Settings()
    items: list[RawItem] = []
    refused: list[Refused] = []
    async with HttpClient(settings.http) as http:
        async for one in documents.read(map(str, paths), settings, http):
            (items if isinstance(one, RawItem) else refused).append(one)  # type: ignore[arg-type]  # by its kind
    return items, refused


def again(items: list[RawItem]) -> list[RawItem]:
    """Return *items* as an archive gives them."""
    return [msgspec.structs.replace(item, archived=True) for item in items]


async def test_what_is_kept_is_warc_1_1_by_the_record_compressed(
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path, 30)
    for number in range(3):
        await archive.keep(document(body("a")), ABOUT, NOW + timedelta(seconds=number))
    (path,) = files(tmp_path)
    whole = path.read_bytes()
    assert recognises(whole[:100])
    records = list(ArchiveIterator(io.BytesIO(whole), verify_digests=True))
    assert all(is_warc_11(one) for one in records)
    assert [one.record_type for one in records] == [
        WarcRecordType.warcinfo,
        *[WarcRecordType.response] * 3,
    ]
    # Each can be decompressed by itself.
    assert whole.count(b"\x1f\x8b\x08\x00") == 4


async def test_what_is_kept_is_true_of_the_body_and_holds_no_credentials(
    tmp_path: Path,
) -> None:
    await Archive(tmp_path, 30).keep(document(body("a")), ABOUT, NOW)
    text = gzip.decompress(files(tmp_path)[0].read_bytes()).decode()
    assert "geheim" not in text
    assert f"\r\nContent-Length: {len(body('a'))}\r\n" in text
    assert "\r\nX-Archive-Orig-Content-Encoding: br\r\n" in text
    assert "\r\nContent-Encoding:" not in text


async def test_what_is_read_is_what_was_kept(tmp_path: Path) -> None:
    await Archive(tmp_path, 30).keep(document(body("a"), status=203), ABOUT, NOW)
    (one,) = documents_of(tmp_path)
    assert one.body == body("a")
    assert (one.about, one.fetched) == (ABOUT, NOW)
    assert one.url == "https://news.example/feed?a=1"
    assert one.content_type == "application/rss+xml; charset=utf-8"


@given(
    content=st.binary(max_size=300),
    headers=st.lists(st.tuples(st.just("X-Any"), st.text(max_size=20)), max_size=3),
    name=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_any_body_and_any_header_come_back(
    content: bytes,
    headers: list[tuple[str, str]],
    name: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("any")
    about = subscription(Feed(url="https://news.example/feed", name=name))
    told = (("Content-Type", "text/xml"), *headers)
    keeping = Archive(folder, 30).keep(document(content, headers=told), about, NOW)
    asyncio.run(keeping)
    (one,) = documents_of(folder)
    assert (one.body, one.about, one.content_type) == (content, about, "text/xml")


async def test_wherever_a_crash_cuts_it_off_what_is_before_is_read_and_the_cut_is_said(
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path, 30)
    ends = []
    for title in "abc":
        await archive.keep(document(body(title)), ABOUT, NOW)
        ends.append(files(tmp_path)[0].stat().st_size)
    whole = files(tmp_path)[0].read_bytes()
    for cut in range(ends[0], ends[-1] + 1):
        found = list(read(io.BytesIO(whole[:cut]), 1_000_000))
        bodies = [one.body for one in found if isinstance(one, Kept)]
        complete = sum(end <= cut for end in ends)
        assert bodies[:complete] == [body(title) for title in "abc"][:complete]
        assert any(isinstance(one, Fault) for one in found) == (cut not in ends)


async def test_files_are_rolled_by_size_and_day_and_old_ones_removed(
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path, 2, roll_bytes=1_000)
    for day in range(5):
        for _ in range(2):
            content = os.urandom(1_000)
            await archive.keep(document(content), ABOUT, NOW + timedelta(days=day))
    days = [path.name.split("-")[1] for path in files(tmp_path)]
    assert sorted(set(days)) == ["20261107", "20261108", "20261109"]
    assert len(days) == 6
    assert len(documents_of(tmp_path)) == 6


async def test_several_processes_may_share_a_folder(tmp_path: Path) -> None:
    for _ in range(2):
        await Archive(tmp_path, 30).keep(document(body("a")), ABOUT, NOW)
    (tmp_path / "notes.txt").write_text("mine")
    # What a forgetting that was killed has left.
    (tmp_path / f".{files(tmp_path)[0].name}").write_text("old")
    await Archive(tmp_path, 1).keep(document(body("a")), ABOUT, NOW + timedelta(days=9))
    assert {path.name for path in tmp_path.iterdir()} == {
        "notes.txt",
        files(tmp_path)[0].name,
    }


@contextmanager
def full_disk(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond that: write() fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


async def test_a_full_disk_is_warned_of_once_and_stops_nothing(tmp_path: Path) -> None:
    archive = Archive(tmp_path, 30)
    await archive.keep(document(body("a")), ABOUT, NOW)
    size = files(tmp_path)[0].stat().st_size
    with structlog.testing.capture_logs() as lines:
        with full_disk(size + 100):
            for _ in range(3):
                await archive.keep(document(os.urandom(5_000)), ABOUT, NOW)
        assert files(tmp_path)[0].stat().st_size == size
        await archive.keep(document(body("b")), ABOUT, NOW)
    assert [line["event"] for line in lines] == [
        "rss.archive_failing",
        "rss.archive_resumed",
    ]
    assert lines[0]["folder"] == str(tmp_path)
    assert "rss.archive" in lines[0]["hint"]
    assert [one.body for one in documents_of(tmp_path)] == [body("a"), body("b")]


async def test_a_folder_that_somebody_takes_away_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    archive = Archive(folder, 30)
    await archive.keep(document(body("a")), ABOUT, NOW)
    folder.rename(tmp_path / "elsewhere")
    await archive.keep(document(body("b")), ABOUT, NOW)
    assert [one.body for one in documents_of(folder)] == [body("b")]


async def test_ingest_of_an_archive_gives_the_items_that_the_feed_gave(
    tmp_path: Path,
) -> None:
    archive, memory = Archive(tmp_path, 30), b""
    live: list[RawItem] = []
    for number, titles in enumerate((("a", "b"), ("b", "c"), ("c", "d"))):
        now = NOW + timedelta(minutes=number)
        reading = look_into(body(*titles), ABOUT, now, memory)
        memory = reading.memory
        live += reading.items
        await archive.keep(document(body(*titles)), ABOUT, now)
    items, refused = await ingested(files(tmp_path)[0])
    assert items == again(live)
    assert [item.title for item in items] == ["a", "b", "c", "d"]
    assert not refused


async def test_what_a_connector_kept_gives_the_items_that_it_published(
    tmp_path: Path,
) -> None:
    settings = Settings(
        http=Http(allow_private=("127.0.0.1",)),
        rss=Rss(
            interval_s=0.1,
            interval_min_s=0.1,
            interval_max_s=0.1,
            host_gap_s=0,
            archive=str(tmp_path / "kept"),
        ),
    )
    async with a_paper() as paper, embedded_log(tmp_path) as log:
        feed = Feed(url=paper.url, id="paper", publisher="paper.example")
        rss = msgspec.structs.replace(settings.rss, feeds=(feed,))
        connector = RssConnector(msgspec.structs.replace(settings, rss=rss), log)
        async with running(connector):
            await until(lambda: paper.not_modified >= 1)
            paper.items = [item(3), item(2, "as it is now"), item(1)]
            before = paper.not_modified
            await until(lambda: paper.not_modified > before)
        live = await published(log)
    (path,) = files(tmp_path / "kept")
    assert b"sesame" not in gzip.decompress(path.read_bytes())
    items, refused = await ingested(path)
    assert len(items) == 4
    assert items == again(live)
    assert not refused


async def test_the_files_of_a_folder_are_read_in_the_order_of_time(
    tmp_path: Path,
) -> None:
    runs = [Archive(tmp_path, 30, roll_bytes=1) for _ in range(4)]
    titles = [f"{number:02}" for number in range(24)]
    live: list[RawItem] = []
    memory = b""
    for number, title in enumerate(titles):
        now = NOW + timedelta(minutes=number)
        content = body(title, "edited").replace(
            b"<title>edited", b"<title>e" + title.encode()
        )
        await runs[number * 7 % 4].keep(document(content), ABOUT, now)
        reading = look_into(content, ABOUT, now, memory)
        memory = reading.memory
        live += reading.items
    assert len(files(tmp_path)) > 20
    items, refused = await ingested(tmp_path)
    assert (items, refused) == (again(live), [])
    by_name, _ = await ingested(*reversed(files(tmp_path)))
    assert by_name == items


@given(
    kept_at=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 30)), min_size=1, max_size=20
    ),
    open_max=st.integers(1, 6),
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_files_that_overlap_are_merged_and_but_few_are_open(
    kept_at: list[tuple[int, int]],
    open_max: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("overlap")
    runs = [Archive(folder, 30) for _ in range(6)]
    for run, second in sorted(kept_at, key=lambda one: one[1]):
        keeping = runs[run].keep(
            document(body("a")), ABOUT, NOW + timedelta(seconds=second)
        )
        asyncio.run(keeping)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives, "OPEN_MAX", open_max)
        found = [one for _, one in in_order(files(folder), 10_000)]
    times = [one.fetched for one in found if isinstance(one, Kept) and one.fetched]
    wanted = sorted(NOW + timedelta(seconds=second) for _, second in kept_at)
    assert sorted(times) == wanted
    if len(files(folder)) <= open_max:
        assert times == wanted


async def test_ingest_reads_what_a_crash_left_and_says_so(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "kept", 30)
    for title in "ab":
        await archive.keep(document(body(title)), ABOUT, NOW)
    (path,) = files(tmp_path / "kept")
    path.write_bytes(path.read_bytes()[:-20])
    items, refused = await ingested(path)
    assert [item.title for item in items][:1] == ["a"]
    assert "ends inside" in refused[-1].reason


def foreign(*answers: bytes) -> bytes:
    """Return a WARC 1.0 as a crawler writes it, not compressed."""
    return b"".join(
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Date: 2020-02-02T02:02:02Z\r\n"
        b"WARC-Target-URI: https://old.example/feed\r\n"
        b"Content-Type: application/http;msgtype=response\r\n"
        b"Content-Length: %d\r\n\r\n%s\r\n\r\n" % (len(answer), answer)
        for answer in answers
    )


async def test_an_archive_that_others_wrote_is_read_too(tmp_path: Path) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body("a")), body("a"))
    zipped = gzip.compress(body("b"))
    path = tmp_path / "crawl.warc"
    path.write_bytes(
        foreign(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + zipped,
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + body("c"),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>",
            b"HTTP/1.1 404 Not Found\r\n\r\n" + body("no"),
            b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\nno brotli",
        )
    )
    items, refused = await ingested(path)
    assert [item.title for item in items] == ["a", "b", "c"]
    assert {item.fetched for item in items} == {
        datetime(2020, 2, 2, 2, 2, 2, tzinfo=UTC)
    }
    reasons = sorted(one.reason for one in refused)
    assert reasons[0].startswith("2 of its records: pages")
    assert "cannot be decoded" in reasons[1]


@pytest.mark.parametrize("length", [-1, 10**18, 2**63])
async def test_a_record_that_claims_any_length_takes_no_memory(length: int) -> None:
    hostile = foreign(b"HTTP/1.1 200 OK\r\n\r\n<rss/>").replace(
        b"Content-Length: 25", b"Content-Length: %d" % length
    )
    found = list(read(io.BytesIO(hostile), 1_000_000))
    assert all(isinstance(one, Fault) or len(one.body) < 100 for one in found)


async def test_a_bomb_in_an_archive_is_a_fault_and_the_next_record_is_read() -> None:
    bomb = gzip.compress(b"<" * 50_000_000)
    hostile = foreign(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + bomb,
        b"HTTP/1.1 200 OK\r\n\r\n" + body("a"),
    )
    fault, one = read(io.BytesIO(hostile), 100_000)
    assert isinstance(fault, Fault)
    assert "larger than 100,000 bytes" in fault.reason
    assert isinstance(one, Kept)


@given(st.binary(max_size=400))
def test_what_is_no_archive_is_not_taken_for_one_and_raises_nothing(
    data: bytes,
) -> None:
    assert recognises(data) == data.startswith(b"WARC/")
    assert all(isinstance(one, Fault) for one in read(io.BytesIO(data), 1_000))


async def test_a_connector_goes_on_writing_while_records_are_erased(
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path, 30)
    for title in "abc":
        await archive.keep(document(body(title)), ABOUT, NOW)

    async def holds_b(one: Kept) -> bool:
        return b"<title>b<" in one.body

    erasing = asyncio.create_task(erase(tmp_path, holds_b))
    for title in "defgh":
        await archive.keep(document(body(title)), ABOUT, NOW)
    assert await erasing == 1
    await archive.keep(document(body("i")), ABOUT, NOW)
    assert sorted(one.body for one in documents_of(tmp_path)) == [
        body(title) for title in "acdefghi"
    ]
    for path in files(tmp_path):
        assert list(ArchiveIterator(io.BytesIO(path.read_bytes()), verify_digests=True))


async def test_a_file_that_is_being_rewritten_is_not_waited_for(tmp_path: Path) -> None:
    archive = Archive(tmp_path, 30)
    await archive.keep(document(body("a")), ABOUT, NOW)
    with files(tmp_path)[0].open("rb+") as rewritten:
        fcntl.flock(rewritten, fcntl.LOCK_EX)
        async with asyncio.timeout(5):
            await archive.keep(document(body("b")), ABOUT, NOW)
    assert [one.body for one in documents_of(tmp_path)] == [body("a"), body("b")]
    assert len(files(tmp_path)) == 2


async def test_a_disk_that_hangs_holds_no_poll_up_and_is_told_of_once(
    tmp_path: Path,
) -> None:
    archive = Archive(tmp_path / "share", 30, patience_s=0.1)
    # Opening a pipe that nobody reads hangs, as a server of files that is away does.
    (tmp_path / "share").mkdir()
    await archive.keep(document(body("a")), ABOUT, NOW)
    (path,) = files(tmp_path / "share")
    path.unlink()
    os.mkfifo(path)
    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(2):
            await asyncio.gather(
                *(archive.keep(document(body("b")), ABOUT, NOW) for _ in range(100))
            )
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        path.unlink()
        async with asyncio.timeout(5):
            while len(lines) < 2:
                await archive.keep(document(body("c")), ABOUT, NOW)
                await asyncio.sleep(0.01)
    failing, resumed = lines
    assert failing["event"] == "rss.archive_failing"
    assert (resumed["event"], resumed["lacks"] >= 100) == ("rss.archive_resumed", True)
    assert documents_of(tmp_path / "share")[-1].body == body("c")
