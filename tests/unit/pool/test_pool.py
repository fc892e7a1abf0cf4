from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from connectors.rss.parse import parse
from streams.errors import PoolBrokenError, PoolCallError
from streams.pool import Pool


def double(number: int) -> int:
    return 2 * number


def hang() -> None:
    time.sleep(600)


def hang_in_c() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    sum(range(10**12))


def die() -> None:
    os._exit(3)


def die_first_time(flag: str) -> str:
    if not os.path.exists(flag):  # noqa: PTH110 - runs in a bare worker
        open(flag, "w").close()  # noqa: PTH123
        os.kill(os.getpid(), signal.SIGKILL)
    return "second time"


def refuse() -> None:
    raise ValueError("not this one")


class StubbornError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def refuse_stubbornly() -> None:
    raise StubbornError(1, 2)


def give_a_lambda() -> Callable[[], int]:
    return lambda: 1


def no_model() -> None:
    raise FileNotFoundError("model.bin")


def large(size: int) -> bytes:
    return b"x" * size


class Noted:
    """Notes in a list that it is pickled; comes out as 0."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def __reduce__(self) -> tuple[type[int], tuple[()]]:
        self._notes.append("pickled")
        return int, ()


async def test_a_call_returns_what_the_function_returns() -> None:
    async with Pool(2, timeout_s=10, name="test") as pool:
        results = await asyncio.gather(*(pool.run(double, n) for n in range(50)))
        assert results == [2 * n for n in range(50)]
        assert len(await pool.run(large, 20_000_000)) == 20_000_000
        assert len(await pool.run(bytes, b"y" * 20_000_000)) == 20_000_000


async def test_what_waits_for_a_worker_is_held_once() -> None:
    notes: list[str] = []
    async with Pool(1, timeout_s=10, name="test") as pool:
        first = asyncio.create_task(pool.run(time.sleep, 0.1))
        second = asyncio.create_task(pool.run(repr, Noted(notes)))
        await asyncio.sleep(0)
        assert notes == []
        await first
        assert await second == "0"
    assert notes == ["pickled"]


async def test_what_the_function_raises_comes_back() -> None:
    async with Pool(1, timeout_s=10, name="test") as pool:
        with pytest.raises(ValueError, match="not this one") as caught:
            await pool.run(refuse)
        assert "in refuse" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match="StubbornError: 1 and 2"):
            await pool.run(refuse_stubbornly)
        with pytest.raises(Exception, match="pickle"):
            await pool.run(give_a_lambda)
        with pytest.raises(Exception, match="pickle"):
            await pool.run(lambda: 1)
        assert await pool.run(double, 4) == 8


async def test_a_hanging_call_costs_only_itself() -> None:
    async with Pool(2, timeout_s=1.0, name="test") as pool:
        hanging = asyncio.create_task(pool.run(hang))
        busy = asyncio.create_task(pool.run(hang_in_c))
        for call in (hanging, busy):
            with pytest.raises(PoolCallError) as caught:
                await call
            assert caught.value.kind == "timeout"
        assert await pool.run(double, 4) == 8


async def test_a_dying_worker_costs_only_its_call() -> None:
    async with Pool(2, timeout_s=10, name="test") as pool:
        dying = asyncio.create_task(pool.run(die))
        assert await pool.run(double, 4) == 8
        with pytest.raises(PoolCallError, match=r"crash: die: .*exit code 3") as caught:
            await dying
        assert caught.value.kind == "crash"
        assert await pool.run(double, 5) == 10


async def test_a_death_from_outside_costs_nothing(tmp_path: Path) -> None:
    async with Pool(2, timeout_s=10, name="test") as pool:
        for worker in [p for p in psutil.Process().children() if _is_worker(p)]:
            worker.kill()
        assert await pool.run(double, 4) == 8
        assert await pool.run(die_first_time, str(tmp_path / "flag")) == "second time"


async def test_cancelling_a_call_ends_its_work() -> None:
    async with Pool(1, timeout_s=60, name="test") as pool:
        call = asyncio.create_task(pool.run(hang))
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await pool.run(double, 4) == 8


async def test_closing_is_quick_and_ends_what_runs() -> None:
    async with Pool(2, timeout_s=600, name="test") as pool:
        calls = [asyncio.create_task(pool.run(hang)) for _ in range(4)]
        await asyncio.sleep(0.1)
        workers = [p for p in psutil.Process().children() if _is_worker(p)]
        began = time.monotonic()
    assert time.monotonic() - began < 2
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, PoolBrokenError) for outcome in outcomes)
    assert not any(worker.is_running() for worker in workers)


async def test_a_worker_that_cannot_start_says_why() -> None:
    with pytest.raises(PoolBrokenError, match=r"does not start.*model\.bin"):
        async with Pool(2, timeout_s=10, initializer=no_model, name="reader"):
            pass


async def test_signals_to_the_group_do_not_reach_the_workers() -> None:
    async with Pool(1, timeout_s=10, name="test") as pool:
        pid = await pool.run(os.getpid)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert await pool.run(os.getpid) == pid


@pytest.mark.parametrize("busy", [False, True])
def test_workers_die_with_their_parent(busy: bool) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, "busy" if busy else "idle"],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        assert parent.stdout.readline() == b"ready\n"
        workers = [p for p in psutil.Process(parent.pid).children() if _is_worker(p)]
        assert len(workers) == 2
        parent.kill()
        _, alive = psutil.wait_procs(workers, timeout=5)
    assert alive == []


PARENT = """
import asyncio, sys, time
from streams.pool import Pool

async def main():
    async with Pool(2, timeout_s=600, name="orphans") as pool:
        if sys.argv[1] == "busy":
            calls = [asyncio.create_task(pool.run(time.sleep, 600)) for _ in range(2)]
            await asyncio.sleep(0.2)
        print("ready", flush=True)
        await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def _is_worker(process: psutil.Process) -> bool:
    return "spawn_main" in " ".join(process.cmdline())


MB = 1_000_000


def fill(size: int) -> int:
    return len(bytearray(size))


def fill_bit_by_bit(size: int) -> int:
    return sum(map(len, [bytes(1_000) for _ in range(size // 1_000)]))


def keep(size: int) -> int:
    _KEPT.append(bytearray(size))
    return os.getpid()


def swallow(size: int) -> str:
    try:
        bytearray(size)
    except MemoryError:
        return "nothing"
    return "all"


def give_up() -> None:
    os.abort()


_KEPT: list[bytearray] = []


async def test_a_call_that_takes_too_much_memory_costs_only_itself() -> None:
    async with Pool(2, timeout_s=30, memory_max_bytes=100 * MB, name="test") as pool:
        for hungry in (fill, fill_bit_by_bit):
            other = asyncio.create_task(pool.run(double, 4))
            with pytest.raises(
                PoolCallError, match=r"memory: .*100,000,000 b"
            ) as refused:
                await pool.run(hungry, 400 * MB)
            assert refused.value.kind == "memory"
            assert await other == 8
            assert await pool.run(hungry, 50 * MB) == 50 * MB
        assert await pool.run(swallow, 400 * MB) == "nothing"


async def test_the_limit_is_on_a_call_not_on_what_its_worker_has_loaded() -> None:
    async with Pool(1, timeout_s=30, memory_max_bytes=20 * MB, name="test") as pool:
        assert await pool.run(fill, 10 * MB) == 10 * MB
        assert len(await pool.run(large, 5 * MB)) == 5 * MB


async def test_a_worker_that_gives_up_for_want_of_memory_says_so() -> None:
    async with Pool(1, timeout_s=30, memory_max_bytes=100 * MB, name="test") as pool:
        with pytest.raises(PoolCallError, match=r"SIGABRT.*likely") as caught:
            await pool.run(give_up)
        assert caught.value.kind == "memory"


async def test_a_worker_that_keeps_growing_is_replaced() -> None:
    async with Pool(1, timeout_s=30, memory_max_bytes=100 * MB, name="test") as pool:
        pids = [await pool.run(keep, 30 * MB) for _ in range(6)]
        assert 1 < len(set(pids)) < 6


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"version": "jsonfeed.org/version/1", "items": ['
        + b"{}," * 1_000_000
        + b"0]}",
        b"<rss><channel><item><title>" + b"word " * 4_000_000,
    ],
)
async def test_a_feed_that_takes_a_parsers_memory_is_refused(hostile: bytes) -> None:
    harmless = b"<rss><channel><item><title>t</title></item></channel></rss>"
    async with Pool(1, timeout_s=30, memory_max_bytes=40 * MB, name="test") as pool:
        with pytest.raises(PoolCallError, match=r"memory: parse needs more than"):
            await pool.run(parse, hostile)
        assert (await pool.run(parse, harmless)).entries[0].title == "t"
