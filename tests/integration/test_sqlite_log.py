"""What only the log in a file promises: it cleans up after itself, and may be shared."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

from hypothesis import given, settings
from hypothesis import strategies as st

from streams import events, letters
from streams.errors import LogDamagedError, NotStoredError
from streams.log.embedded import EmbeddedLog
from streams.log.face import Output, Record
from streams.log.sqlite_log import (
    FETCH_BYTES,
    INTAKE_SHARE,
    TOMBSTONE_KEPT_S,
    Commit,
    SqliteLog,
)
from streams.settings import EmbeddedLog as EmbeddedSettings
from streams.topics import DEADLETTERS, RAW


ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
LONG_AGO_MS = 1_000
DAY_S = 86_400

#: Appends batch after batch of two partitions, and says the number of each that is stored.
APPENDER = """
import asyncio, sys
from pathlib import Path
from streams.log.face import Output
from streams.log.sqlite_log import SqliteLog

async def main(path, name, batches, size, synchronous):
    log = SqliteLog.acquire(Path(path), synchronous=synchronous)
    for n in range(int(batches)):
        value = b"%s/%d" % (name.encode(), n)
        await log.append(
            [Output("t", b"", value, (), i % 2) for i in range(int(size))]
        )
        print(n, flush=True)
    log.release()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "log.db"


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[SqliteLog]:
    log = SqliteLog.acquire(path, **options)
    try:
        yield log
    finally:
        log.release()


@pytest.fixture
async def log(path: Path) -> AsyncIterator[SqliteLog]:
    """A log with the topic ``t`` of two partitions, which keeps its records a minute."""
    with opened(path) as log:
        await log.create_topic("t", 2, kept_s=60)
        yield log


def records(
    number: int, *, topic: str = "t", size: int = 100, at_ms: int | None = None
) -> list[Output]:
    return [Output(topic, b"k", bytes(size), (), 0, at_ms) for _ in range(number)]


def offsets(log: SqliteLog, topic: str = "t", partition: int = 0) -> list[int]:
    return [r.offset for r in whole(log, topic, partition)]


def whole(log: SqliteLog, topic: str = "t", partition: int = 0) -> list[Record]:
    found: list[Record] = []
    while more := log.read(
        topic, partition, found[-1].offset + 1 if found else 0, limit=1000
    ):
        found += more
    return found


def appender(
    path: Path, name: str, batches: int, size: int, synchronous: str = "FULL"
) -> subprocess.Popen[str]:
    words = [str(path), name, str(batches), str(size), synchronous]
    return subprocess.Popen(
        [sys.executable, "-c", APPENDER, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


# -- cleaning ------------------------------------------------------------------------------


async def test_old_records_go_but_never_those_that_a_reader_has_not_read(
    log: SqliteLog,
) -> None:
    for topic in ("unread", "unwanted"):
        await log.create_topic(topic, 1, kept_s=60)
    for topic in ("t", "unread", "unwanted"):
        await log.append(records(5000, topic=topic, at_ms=LONG_AGO_MS))
    await log.register("slow", [("t", 0), ("unread", 0)])
    await log.register("fast", [("t", 0)])
    await log.commit("slow", {("t", 0): 4000})
    await log.commit("fast", {("t", 0): 5000})

    gone = await log.clean(time.time())

    assert offsets(log) == list(range(4000, 5000))
    assert offsets(log, "unread") == list(range(5000))
    # Nobody has registered for it; its last record stays, since it tells the next offset.
    assert offsets(log, "unwanted") == [4999]
    assert gone == 4000 + 4999


async def test_young_records_stay_though_they_have_been_read(log: SqliteLog) -> None:
    now = time.time()
    young = [
        Output("t", b"", b"", (), 0, int((now - age) * 1000)) for age in (90, 61, 59, 1)
    ]
    await log.append(young)
    await log.commit("reader", {("t", 0): 4})

    await log.clean(now)

    assert offsets(log) == [2, 3]


async def test_what_is_kept_for_ever_is_not_cleaned(log: SqliteLog) -> None:
    await log.create_topic("for-ever", 1)
    await log.append(records(10, topic="for-ever", at_ms=LONG_AGO_MS))
    await log.commit("reader", {("for-ever", 0): 10})

    assert await log.clean(time.time()) == 0


async def test_offsets_go_on_after_everything_has_been_cleaned(log: SqliteLog) -> None:
    await log.append(records(10, at_ms=LONG_AGO_MS))
    await log.clean(time.time())

    (position,) = await log.append(records(1))
    await log.clean(time.time() + 3600)
    (next_position,) = await log.append(records(1))

    assert (position.offset, next_position.offset) == (10, 11)
    assert log.start("t", 0) == 10


async def test_a_changed_time_of_another_process_is_heeded(
    log: SqliteLog, path: Path
) -> None:
    await log.append(records(10, at_ms=LONG_AGO_MS))
    assert log.topic("t")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE topics SET kept_s = NULL WHERE name = 't'")

    assert await log.clean(time.time()) == 0


async def test_the_room_of_what_was_cleaned_is_given_back(
    log: SqliteLog, path: Path
) -> None:
    for _ in range(20):
        await log.append(records(500, size=1000, at_ms=LONG_AGO_MS))
    await log.checkpoint()
    before, used_before = path.stat().st_size, log.used_bytes()

    await log.clean(time.time())
    await log.append(records(1))
    await log.checkpoint()

    assert log.used_bytes() < used_before / 10
    assert path.stat().st_size < before / 2


async def test_a_compacted_topic_holds_the_newest_of_each_key(log: SqliteLog) -> None:
    await log.create_topic("c", 1, compacted=True)
    for turn in range(5):
        await log.append(
            [Output("c", b"%d" % k, b"%d" % turn, (), 0) for k in range(100)]
        )
    await log.append([Output("c", b"7", None, (), 0)])

    found = whole(log, "c")

    assert {r.key: r.value for r in found} == {
        **{b"%d" % k: b"4" for k in range(100)},
        b"7": None,
    }
    assert [r.offset for r in found] == [*(400 + k for k in range(100) if k != 7), 500]
    assert log.end("c", 0) == 501


async def test_tombstones_go_after_a_day_when_all_have_read_them(
    log: SqliteLog,
) -> None:
    await log.create_topic("c", 1, compacted=True)
    await log.append([Output("c", b"%d" % k, None, (), 0) for k in range(5)])
    await log.append(
        [Output("c", b"live", b"v", (), 0), Output("c", b"last", b"v", (), 0)]
    )
    await log.register("table", [("c", 0)])
    await log.commit("table", {("c", 0): 3})
    now = time.time()

    assert await log.clean(now + TOMBSTONE_KEPT_S - 60) == 0
    assert await log.clean(now + TOMBSTONE_KEPT_S + 60) == 3
    assert [r.key for r in whole(log, "c")] == [b"3", b"4", b"live", b"last"]


async def test_a_compacted_topic_forgets_keys_that_are_older_than_it_keeps_them(
    log: SqliteLog,
) -> None:
    await log.create_topic("c", 1, compacted=True, kept_s=60)
    await log.append([Output("c", b"old", b"v", (), 0, LONG_AGO_MS)])
    await log.append(
        [Output("c", b"new", b"v", (), 0), Output("c", b"last", b"v", (), 0)]
    )

    await log.clean(time.time())

    assert [r.key for r in whole(log, "c")] == [b"new", b"last"]


class Step(NamedTuple):
    """Append so many records of that age; read so many; clean."""

    append: int
    age_s: int
    read: int


steps = st.lists(
    st.builds(Step, st.integers(0, 5), st.sampled_from([0, 100]), st.integers(0, 6))
)


@settings(max_examples=40)
@given(steps)
def test_whatever_happens_what_is_unread_stays_and_offsets_grow(
    taken: list[Step],
) -> None:
    async def live(log: SqliteLog) -> None:
        await log.create_topic("t", 1, kept_s=60)
        await log.register("reader", [("t", 0)])
        now, end, read = time.time(), 0, 0
        for step in taken:
            at_ms = int((now - step.age_s) * 1000)
            stored = await log.append(records(step.append, at_ms=at_ms))
            assert [p.offset for p in stored] == list(range(end, end + step.append))
            end += step.append
            read = min(end, read + step.read)
            await log.commit("reader", {("t", 0): read})
            await log.clean(now)
            there = offsets(log)
            assert there == list(range(log.start("t", 0), end))
            assert log.start("t", 0) <= read

    with (
        tempfile.TemporaryDirectory() as folder,
        opened(Path(folder) / "log.db") as log,
    ):
        asyncio.run(live(log))


# -- the limit -----------------------------------------------------------------------------


async def test_a_filled_log_takes_results_but_nothing_new_until_some_was_read(
    path: Path,
) -> None:
    with opened(path, max_bytes=4 << 20) as log:
        await log.create_topic("t", 1)
        await log.register("reader", [("t", 0)])
        with pytest.raises(NotStoredError, match="is full"):
            await _fill(partial(log.append, intake=True))
        assert log.used_bytes() >= INTAKE_SHARE * log.max_bytes

        await log.append(records(50, size=1000))
        assert await log.clean(time.time()) == 0
        with pytest.raises(NotStoredError, match=r"log\.size_max_gb"):
            await log.append(records(1), intake=True)

        await log.commit("reader", {("t", 0): log.end("t", 0)})
        assert await log.clean(time.time()) > 0
        await log.append(records(50), intake=True)


async def test_a_log_that_is_full_to_the_brim_can_be_worked_off(path: Path) -> None:
    with opened(path, max_bytes=4 << 20) as log:
        await log.create_topic("t", 1)
        await log.register("reader", [("t", 0)])
        with pytest.raises(NotStoredError, match="SQLITE_FULL"):
            await _fill(log.append)
        end = log.end("t", 0)
        assert offsets(log) == list(range(end))

        await log.commit("reader", {("t", 0): end})
        await log.clean(time.time())

        (position, *_) = await log.append(records(500, size=1000))
        assert position.offset == end


async def test_connectors_are_intake(path: Path) -> None:
    small = EmbeddedSettings(size_max_gb=4 / 1024)
    async with EmbeddedLog(path.parent, small) as log:
        await log.log.create_topic("t", 1)
        with pytest.raises(NotStoredError, match="is full"):
            await _fill(log.append)


async def test_dead_letters_that_fill_a_log_can_be_purged(path: Path) -> None:
    small = EmbeddedSettings(size_max_gb=4 / 1024)
    record = Record(RAW.name, 0, 1, 0, b"k", b"x" * 100_000, ())
    now = datetime.now(UTC)
    letter = events.dead_letter(record, stage="dedupe", kind="k", reason="", now=now)
    async with EmbeddedLog(path.parent, small) as log:
        await log.create([DEADLETTERS])
        while not log.log.is_full:
            await log.append([letter])
        with pytest.raises(NotStoredError, match="is full"):
            await log.append([letter])

        book = await letters.read(log)
        (end,) = book.ends.values()
        notices = letters.to_purge(book, end, now)
        assert len(notices) == end
        await log.append(notices, intake=False)
        await log.delete_before(DEADLETTERS.name, {0: end})

        await log.append([letter])


async def _fill(append: Callable[[Sequence[Output]], Awaitable[object]]) -> None:
    for _ in range(100):
        await append(records(100, size=1000))


# -- transactions --------------------------------------------------------------------------

#: SQLite has no such number: what fails in the middle of a transaction.
IMPOSSIBLE = Output("t", b"", b"", (), 0, 2**70)


async def test_an_append_is_stored_whole_or_not_at_all_and_its_commit_with_it(
    log: SqliteLog,
) -> None:
    commits = [Commit("reader", "t", 1, 5)]
    with pytest.raises(OverflowError):
        await log.append([*records(10), IMPOSSIBLE], commits=commits)
    assert offsets(log) == []
    assert log.committed("reader") == {}

    await log.append(records(10), commits=commits)

    assert log.committed("reader") == {("t", 1): 5}


async def test_appends_that_share_a_transaction_do_not_share_a_fault(
    log: SqliteLog,
) -> None:
    done = await asyncio.gather(
        *(
            log.append([*records(3), *([IMPOSSIBLE] if n % 3 else [])])
            for n in range(30)
        ),
        return_exceptions=True,
    )

    stored = [one for one in done if isinstance(one, list)]
    assert len(stored) == 10
    assert sum(isinstance(one, OverflowError) for one in done) == 20
    assert sorted(p.offset for one in stored for p in one) == offsets(log)


async def test_a_caller_that_is_cancelled_leaves_the_log_in_order(
    log: SqliteLog,
) -> None:
    appending = [asyncio.create_task(log.append(records(5))) for _ in range(20)]
    await asyncio.sleep(0)
    for task in appending[::2]:
        task.cancel()
    done = await asyncio.gather(*appending, return_exceptions=True)
    await log.flush()

    found = offsets(log)
    assert len(found) % 5 == 0
    assert {p.offset for one in done if isinstance(one, list) for p in one} <= set(
        found
    )
    (position,) = await log.append(records(1))
    assert position.offset == len(found)


async def test_a_reader_never_goes_back(log: SqliteLog) -> None:
    await log.commit("reader", {("t", 0): 10})
    await log.commit("reader", {("t", 0): 4})
    await log.register("reader", [("t", 0), ("t", 1)])

    assert log.committed("reader") == {("t", 0): 10, ("t", 1): 0}


# -- other processes -----------------------------------------------------------------------


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
async def test_processes_that_append_at_once_lose_nothing_and_keep_their_order(
    log: SqliteLog, path: Path, synchronous: str
) -> None:
    batches, size = 60, 4
    processes = [appender(path, f"p{n}", batches, size, synchronous) for n in range(4)]

    said = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * 4
    assert all(len(lines.split()) == batches for lines in said)
    for partition in (0, 1):
        found = whole(log, partition=partition)
        assert [r.offset for r in found] == list(range(4 * batches * size // 2))
        for n in range(4):
            its = [r.value for r in found if (r.value or b"").startswith(b"p%d/" % n)]
            assert its == [b"p%d/%d" % (n, i) for i in range(batches) for _ in range(2)]


async def test_a_killed_process_leaves_whole_appends_and_all_that_were_acknowledged(
    log: SqliteLog, path: Path
) -> None:
    size, rng = 200, random.Random(7)
    acknowledged: set[bytes] = set()
    for turn in range(6):
        name = f"k{turn}"
        process = appender(path, name, 100_000, size)
        assert process.stdout is not None
        process.stdout.readline()
        # The moment is the point: anywhere in an append.
        await asyncio.sleep(rng.uniform(0, 0.2))
        process.kill()
        rest = process.communicate()[0]
        # A line may be cut off in the middle: only whole ones count.
        numbers = [0, *(int(line) for line in rest.split("\n")[:-1])]
        acknowledged |= {b"%s/%d" % (name.encode(), n) for n in numbers}

    parts = [[r.value or b"" for r in whole(log, partition=p)] for p in (0, 1)]

    for values in parts:
        assert all(values.count(value) == size // 2 for value in set(values))
        assert acknowledged <= set(values)
    assert set(parts[0]) == set(parts[1])
    (position,) = await log.append(records(1))
    assert position.offset == len(parts[0])


async def test_an_append_of_another_process_rings_the_workers_bell(
    log: SqliteLog, path: Path
) -> None:
    log.work_here()
    try:
        # Nothing else sets it here: no timer runs, and this process appends nothing.
        listener = log.listen()
        listener.topics = frozenset({"t"})
        assert log.end("t", 0) == 0
        process = await asyncio.to_thread(appender, path, "other", 1, 2)
        async with asyncio.timeout(PATIENCE_S):
            await listener.grown.wait()
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
        assert process.stdout is not None
        process.stdout.close()
        assert log.end("t", 0) == 1
    finally:
        log.stop_working()


async def test_a_follower_sees_what_another_process_appends(path: Path) -> None:
    async with EmbeddedLog(path.parent, EmbeddedSettings()) as log:
        await log.log.create_topic("t", 2)
        following = cast("Any", log.follow("t", {0: 0, 1: 0}))
        async with aclosing(following):
            process = await asyncio.to_thread(appender, path, "other", 3, 2)
            async with asyncio.timeout(PATIENCE_S):
                values = [(await anext(following)).value for _ in range(6)]
        await asyncio.to_thread(process.communicate)
    assert sorted(values) == [b"other/%d" % n for n in range(3) for _ in range(2)]


# -- the file ------------------------------------------------------------------------------


async def test_nobody_else_may_read_the_files(path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(path) as log:
            await log.create_topic("t", 1)
            await log.append(records(10))
            log.work_here()
            files = {file.name: file for file in path.parent.iterdir()}
            log.stop_working()
            modes = {
                name: stat.S_IMODE(file.stat().st_mode) for name, file in files.items()
            }
    finally:
        os.umask(before)

    assert {"log.db", "log.db-wal", ".log.db.bell", "log.db.write"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_reader_that_takes_its_time_does_not_make_the_file_grow(
    path: Path,
) -> None:
    """A read under way must hold no snapshot: the write-ahead log could not be reused."""
    wal = path.with_name("log.db-wal")
    async with EmbeddedLog(path.parent, EmbeddedSettings()) as log:
        await log.log.create_topic("t", 1)
        await log.append(records(2000, size=1000))
        reading = cast("Any", log.read("t", {0: 0}, {0: 2000}))
        async with aclosing(reading):
            assert (await anext(reading)).offset == 0
            largest = 0
            for _ in range(80):
                await log.append(records(1000, size=1000))
                largest = max(largest, wal.stat().st_size)
            rest = [record.offset async for record in reading]
    assert largest < 40 << 20
    assert rest == list(range(1, 2000))


async def test_a_read_is_bounded_in_bytes(log: SqliteLog) -> None:
    await log.append(records(50, size=100_000))

    first = log.read("t", 0, 0, 1000)

    assert sum(len(r.value or b"") for r in first) <= FETCH_BYTES + 100_000
    assert offsets(log) == list(range(50))


def test_a_file_that_is_no_log_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(b"no database" * 1000)

    with pytest.raises(LogDamagedError, match=r"log\.db.*NOTADB"):
        SqliteLog.acquire(path)
