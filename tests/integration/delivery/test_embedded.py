"""What only the embedded log promises: one worker, a full disk, a damaged file."""

from __future__ import annotations

import os
import subprocess

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from streams.errors import NotStoredError
from streams.log.embedded import EmbeddedLog
from streams.log.face import Output
from streams.settings import Settings
from streams.topics import RAW
from tests.integration.delivery.harness import Bench, errands, item, open_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with _bench(Settings(data=str(tmp_path / "data")), tmp_path) as bench:
        yield bench


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here: run as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


async def test_a_second_worker_is_refused_and_the_first_goes_on(bench: Bench) -> None:
    await bench.create()
    first = await bench.work()
    await bench.feed(errands(range(10)))
    await bench.until_drained()
    second = await bench.work()
    assert await second.ends() != 0
    assert "takes one at a time" in second.said
    await bench.feed(errands(range(10, 20)))
    await bench.until_drained()
    assert await first.stop() == 0


async def test_a_second_worker_is_refused_also_when_somebody_has_tidied_the_folder(
    bench: Bench, tmp_path: Path
) -> None:
    """Found by the chaos run: with its lock file deleted there were two workers."""
    await bench.create()
    first = await bench.work()
    await bench.feed(errands(range(10)))
    await bench.until_drained()
    for file in (tmp_path / "data").glob("log.db.*"):
        file.unlink()
    second = await bench.work()
    assert await second.ends() != 0
    await bench.feed(errands(range(10, 20)))
    await bench.until_drained()
    assert await first.stop() == 0


async def test_a_full_disk_makes_the_worker_wait_and_nothing_is_lost(
    small_disk: Path, tmp_path: Path
) -> None:
    settings = Settings(data=str(small_disk))
    async with _bench(settings, tmp_path) as bench:
        await bench.create()
        worker = await bench.work()
        await bench.ready(worker)
        padding = small_disk / "padding"
        fed = await _feed_until_full(bench, padding)
        await bench.until(lambda: _says(worker.said, "SQLITE_FULL"))
        assert worker.runs
        padding.unlink()
        await bench.until_drained()
        assert sorted(await bench.numbers()) == list(range(fed))


async def test_a_checkpoint_that_finds_the_disk_full_waits(small_disk: Path) -> None:
    """Found by the chaos run: it stopped the worker."""
    settings = Settings(data=str(small_disk))
    async with EmbeddedLog(small_disk, settings.log) as log:
        await log.create([RAW])
        await log.append([Output(RAW.name, b"k", bytes(500_000)) for _ in range(6)])
        padding = small_disk / "padding"
        with padding.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        with pytest.raises(NotStoredError, match="SQLITE_FULL"):
            await log.log.checkpoint()
        padding.unlink()
        await log.log.checkpoint()
        assert sum((await log.ends(RAW.name)).values()) == 6


async def test_a_damaged_file_stops_the_worker_and_says_so(
    bench: Bench, tmp_path: Path
) -> None:
    await bench.create()
    await bench.feed(errands(range(3000)))
    assert isinstance(bench.log, EmbeddedLog)
    writer = bench.log.log._writer
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    with (tmp_path / "data" / "log.db").open("r+b") as file:
        file.seek(40 * 8192)
        for _ in range(120):
            file.write(os.urandom(100) + bytes(8092))
    worker = await bench.work()
    assert await worker.ends() != 0
    assert "malformed" in worker.said
    assert "LogDamagedError" in worker.said


@asynccontextmanager
async def _bench(settings: Settings, folder: Path) -> AsyncIterator[Bench]:
    bench = await open_bench(settings, folder)
    yield bench
    await bench.end()
    await bench.log.__aexit__(None, None, None)


async def _feed_until_full(bench: Bench, padding: Path) -> int:
    """Fill the disk with somebody else's bytes, and feed what still fits."""
    number = 0
    with padding.open("wb") as file:
        try:
            while True:
                free = os.statvfs(padding.parent)
                if free.f_bavail * free.f_frsize > 1_500_000:
                    file.write(bytes(500_000))
                    file.flush()
                errand = errands([number])[0]
                value = item(errand, text="x" * 20_000)
                await bench.log.append([Output(RAW.name, errand.key.encode(), value)])
                number += 1
                bench.fed += 1
        except NotStoredError:
            return number


async def _says(text: str, what: str) -> bool:
    return what in text
