"""The whole path, from items.raw to the index, as users run it.

``python -m bench.path [N]``: items/s over N items published at once; then the time from
publication to the index's acknowledgement, and the share of a core, while items trickle
in; then the share of a core when nothing happens. CPU counts the worker and its child
processes; the servers' own is not counted.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.figures import cpu_s, ended, environ, fresh, modes, quantile
from bench.texts import items
from streams import events
from streams.log.face import Log
from streams.log.opening import open_log
from streams.settings import Settings
from streams.topics import DECLARED


CHUNK = 500
TRICKLE_S = 15.0
RATES = (100, 1000)
IDLE_S = 8.0
TICK_S = 0.005
SETTLE_S = 3.0
PATIENCE_S = 300.0


@asynccontextmanager
async def working(
    settings: Settings,
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Path]]:
    """Run a worker; give it, ready, and the file of its notes."""
    with tempfile.TemporaryDirectory(prefix="wirewatch-bench-") as folder:
        notes = Path(folder) / "notes"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.worker",
            str(notes),
            env=os.environ | environ(settings),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        try:
            yield process, notes
        finally:
            await ended(process)


async def drain(settings: Settings, count: int) -> tuple[float, float]:
    """Return items/s and CPU us an item, for *count* items published at once."""
    async with open_log(settings) as log:
        await log.create(DECLARED)
        outputs = [events.raw(one) for one in items(count)]
        names = {one.identities[0].value for one in items(count)}
        async with working(settings) as (process, notes):
            await asyncio.sleep(SETTLE_S)
            started, cpu_before = time.time(), cpu_s(process.pid)
            for start in range(0, count, CHUNK):
                await log.append(outputs[start : start + CHUNK])
            indexed = await _until_indexed(notes, names)
            used_s = cpu_s(process.pid) - cpu_before
    return count / (max(indexed.values()) - started), used_s / count * 1e6


async def trickle(settings: Settings, rate: int) -> tuple[list[float], float]:
    """Return each item's delay in seconds, and the share of a core, at *rate* a second."""
    async with open_log(settings) as log:
        await log.create(DECLARED)
        async with working(settings) as (process, notes):
            await asyncio.sleep(SETTLE_S)
            started, cpu_before = time.time(), cpu_s(process.pid)
            published = await _publish_evenly(log, rate)
            share = (cpu_s(process.pid) - cpu_before) / (time.time() - started)
            indexed = await _until_indexed(notes, set(published))
    return [indexed[name] - at for name, at in published.items()], share


async def idle(settings: Settings) -> float:
    """Return the share of a core of a worker without work."""
    async with working(settings) as (process, _):
        await asyncio.sleep(SETTLE_S)
        before = cpu_s(process.pid)
        await asyncio.sleep(IDLE_S)
        return (cpu_s(process.pid) - before) / IDLE_S


async def _publish_evenly(log: Log, rate: int) -> dict[str, float]:
    """Publish what is due every few milliseconds; return when each item was first."""
    published: dict[str, float] = {}
    ready = list(items(int(rate * TRICKLE_S), seed=2))
    started, sent = time.time(), 0
    while sent < len(ready):
        await asyncio.sleep(max(0.0, started + (sent + 1) / rate - time.time(), TICK_S))
        due = ready[sent : int((time.time() - started) * rate)]
        sent += len(due)
        now = time.time()
        for item in due:
            published.setdefault(item.identities[0].value, now)
        if due:
            await log.append([events.raw(item) for item in due])
    return published


async def _until_indexed(notes: Path, wanted: set[str]) -> dict[str, float]:
    """Return when each was indexed first, once all are."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        indexed: dict[str, float] = {}
        for line in notes.read_text("utf-8").splitlines():
            name, _, at = line.partition(" ")
            if at:
                indexed.setdefault(name, float(at))
        if wanted <= indexed.keys():
            return indexed
        if time.monotonic() > deadline:
            missing = len(wanted - indexed.keys())
            raise SystemExit(f"{missing} items were not indexed in {PATIENCE_S:.0f} s")
        await asyncio.sleep(0.2)


async def main(count: int = 20_000) -> None:
    for mode in modes():
        async with fresh(mode) as settings:
            rate, cpu_us = await drain(settings, count)
        print(
            f"{mode}: whole path, {count:,} items at once: {rate:,.0f} items/s, "
            f"{cpu_us:,.0f} us CPU an item",
            flush=True,
        )
        for per_s in RATES:
            async with fresh(mode) as settings:
                delays, share = await trickle(settings, per_s)
            print(
                f"{mode}: {per_s:,} items/s: publish to indexed p50 "
                f"{quantile(delays, 0.5) * 1e3:.1f} ms, p99 "
                f"{quantile(delays, 0.99) * 1e3:.1f} ms; {share:.0%} of a core",
                flush=True,
            )
        async with fresh(mode) as settings:
            share = await idle(settings)
        print(f"{mode}: idle: {share:.2%} of a core", flush=True)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:2])))
