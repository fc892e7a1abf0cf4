"""What only Kafka has: several workers, and partitions that move between them."""

from __future__ import annotations

import signal

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.delivery.harness import (
    Bench,
    Process,
    errands,
    in_order,
    open_bench,
    settings_for,
)


@pytest.fixture
async def bench(tmp_path: Path, prefix: str, kafka: str) -> AsyncIterator[Bench]:
    settings = settings_for("servers", tmp_path, kafka=kafka, prefix=prefix)
    bench = await open_bench(settings, tmp_path)
    await bench.create()
    yield bench
    await bench.end()
    await bench.log.__aexit__(None, None, None)


async def test_workers_that_join_and_leave_share_the_work_and_lose_nothing(
    bench: Bench,
) -> None:
    first = await bench.work("table")
    await bench.ready(first)
    await bench.feed(errands(range(600), slow_s=0.002))
    second = await bench.work("table")
    await bench.ready(second)
    await bench.feed(errands(range(600, 1200), slow_s=0.002))
    await bench.until(lambda: _some(bench, 700))
    assert await first.stop() == 0
    await bench.feed(errands(range(1200, 1500)))
    await bench.until_drained()
    assert set(await bench.numbers()) == set(range(1500))
    assert await bench.by_key() == in_order(range(1500))


async def test_a_worker_killed_beside_another_loses_nothing(bench: Bench) -> None:
    workers = [await bench.work("table"), await bench.work("table")]
    await bench.ready(*workers)
    await bench.feed(errands(range(1500), slow_s=0.002))
    await bench.until(lambda: _some(bench, 100))
    await workers[0].kill()
    await bench.until_drained()
    assert set(await bench.numbers()) == set(range(1500))
    assert await bench.by_key() == in_order(range(1500))


async def test_a_worker_that_wakes_up_after_its_partitions_moved_writes_nothing_stale(
    bench: Bench, tmp_path: Path
) -> None:
    """The lease: stopped with its results decided, it must not store them afterwards."""
    marker = tmp_path / "paused"
    sleeper = await bench.work("plain", "--pause", "--marker", str(marker))
    await bench.ready(sleeper)
    await bench.feed(errands(range(200)))
    await bench.until(lambda: _paused(sleeper))
    await bench.work("plain")
    await bench.until_drained()
    await bench.feed(errands(range(200, 400)))
    await bench.until_drained()
    before = len(await bench.records())
    sleeper.signal(signal.SIGCONT)
    await bench.until(lambda: _says(sleeper, "abandoned"))
    await bench.feed(errands(range(400, 500)))
    await bench.until_drained()
    numbers = await bench.numbers()
    assert set(numbers) == set(range(500))
    assert len(numbers) - before == 100


async def _some(bench: Bench, more_than: int) -> bool:
    return len(await bench.records()) > more_than


async def _paused(process: Process) -> bool:
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T"


async def _says(process: Process, what: str) -> bool:
    return what in process.said
