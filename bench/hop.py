"""One hop: read, decode, hand through, store, commit. Items/s and CPU us an item.

``python -m bench.hop [N]``
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
import time

from collections.abc import Mapping

import structlog

from bench.figures import fresh, modes
from bench.texts import items
from streams import events
from streams.apps import serve
from streams.log.face import Output
from streams.log.opening import open_log
from streams.settings import Settings
from streams.stage import Decision, Received, Stage
from streams.topics import DECLARED, DEDUPE_TABLE, RAW, UNIQUE


CHUNK = 2000


class Hop:
    """Hands records through, and knows when the first and the last one came."""

    def __init__(self, count: int, *, table: bool) -> None:
        self.done = asyncio.Event()
        self.took_s = 0.0
        self.cpu_s = 0.0
        self._left = self._count = count
        self._table = table
        self._started = (0.0, 0.0)

    def decide(self, received: Received, state: Mapping[bytes, bytes]) -> Decision:
        if self._left == self._count:
            self._started = (time.perf_counter(), _cpu_s())
        self._left -= 1
        if not self._left:
            self.took_s = time.perf_counter() - self._started[0]
            self.cpu_s = _cpu_s() - self._started[1]
            self.done.set()
        record = received.record
        key = received.data.identities[0].value.encode()
        output = Output(UNIQUE.name, key, record.value, record.headers)
        if not self._table or key in state:
            return Decision([output])
        return Decision([output], {key: b"%d/%d" % (record.partition, record.offset)})


async def measure(
    settings: Settings, count: int, *, table: bool
) -> tuple[float, float]:
    """Return items/s and CPU microseconds an item."""
    async with open_log(settings) as log:
        await log.create(DECLARED)
        outputs = [events.raw(item) for item in items(count)]
        for start in range(0, count, CHUNK):
            await log.append(outputs[start : start + CHUNK])
        hop = Hop(count, table=table)
        stage = Stage(
            name="dedupe",
            sources=[RAW],
            decide=hop.decide,
            table=DEDUPE_TABLE if table else None,
        )
        stop = asyncio.Event()
        serving = asyncio.ensure_future(serve(settings, [stage], stop=stop))
        await hop.done.wait()
        stop.set()
        await serving
    return count / hop.took_s, hop.cpu_s / count * 1e6


async def main(count: int = 100_000) -> None:
    print(f"One hop, {count:,} items of 1.5 kB, 8 partitions")
    print(f"  {'log':<10} {'table':<6} {'items/s':>9} {'CPU us/item':>12}")
    for mode in modes():
        for table in (False, True):
            async with fresh(mode) as settings:
                rate, cpu_us = await measure(settings, count, table=table)
            name = "yes" if table else "no"
            print(f"  {mode:<10} {name:<6} {rate:>9,.0f} {cpu_us:>12.1f}", flush=True)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    asyncio.run(main(*map(int, sys.argv[1:2])))
