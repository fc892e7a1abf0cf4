"""What only Kafka has: brokers that go away, and waits that are longer than its clients'."""

from __future__ import annotations

import asyncio
import signal
import time

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
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
from tests.servers.handles import KafkaServer


async def test_a_stage_that_waits_for_an_hour_goes_on_when_the_reason_has_passed(
    tmp_path: Path, prefix: str, kafka: str
) -> None:
    """Its buffers full, a stage that waits fetches nothing, and stays in its group."""
    back = tmp_path / "the-server"
    async with _bench(tmp_path, kafka, prefix) as bench:
        worker = await bench.work("plain", "--seem-idle")
        await bench.ready(worker)
        await bench.feed(errands([0], until=str(back)))
        for number in range(1, 40):  # a fetch each: more than the buffers hold
            await bench.feed(errands([number]))
            await asyncio.sleep(0.05)
        await bench.until(lambda: _says(worker, "again_in_s=3.2"))
        back.touch()
        await bench.until_drained()
        assert await bench.by_key() == in_order(range(40))


@pytest.mark.parametrize("away", ["paused", "killed"])
async def test_brokers_that_are_away_for_long_are_waited_for_visibly(
    own_kafka: Callable[[], KafkaServer], tmp_path: Path, away: str
) -> None:
    server = await asyncio.to_thread(own_kafka)
    async with _bench(tmp_path, server.address, "") as bench:
        worker = await _interrupted(bench, server, away)
        await bench.until(lambda: _says(worker, "did not take the results"))
        comes_back = server.resume if away == "paused" else server.start
        await asyncio.to_thread(comes_back)
        await bench.feed(errands(range(20, 40)))
        await bench.until_drained()
        assert await bench.by_key() == in_order(range(40))
        assert await worker.stop() == 0


@pytest.mark.parametrize("away", ["paused", "killed"])
async def test_a_worker_can_be_stopped_while_the_brokers_are_away(
    own_kafka: Callable[[], KafkaServer], tmp_path: Path, away: str
) -> None:
    server = await asyncio.to_thread(own_kafka)
    async with _bench(tmp_path, server.address, "") as bench:
        worker = await _interrupted(bench, server, away)
        await bench.until(lambda: _says(worker, "did not take the results"))
        asked = time.monotonic()
        worker.signal(signal.SIGTERM)
        await worker.ends()
        assert time.monotonic() - asked < 10


async def test_brokers_that_go_away_while_a_worker_starts_are_waited_for(
    own_kafka: Callable[[], KafkaServer], tmp_path: Path
) -> None:
    """Its topics looked at, its clients not yet connected: no reason to end."""
    server = await asyncio.to_thread(own_kafka)
    async with _bench(tmp_path, server.address, "") as bench:
        await asyncio.to_thread(server.kill)
        impatient, patient = await bench.work("table"), await bench.work("table")
        for worker in (impatient, patient):
            await bench.until(partial(_says, worker, "no broker answers"))
        impatient.signal(signal.SIGTERM)
        asked = time.monotonic()
        await impatient.ends()
        assert time.monotonic() - asked < 10
        await asyncio.to_thread(server.start)
        await bench.ready(patient)
        await bench.feed(errands(range(20)))
        await bench.until_drained()
        assert await bench.by_key() == in_order(range(20))


async def _interrupted(bench: Bench, server: KafkaServer, away: str) -> Process:
    """Return a worker whose broker goes away while it decides on what it has read."""
    worker = await bench.work("table")
    await bench.ready(worker)
    await bench.feed(errands(range(20), slow_s=0.1))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(server.pause if away == "paused" else server.kill)
    return worker


@asynccontextmanager
async def _bench(folder: Path, kafka: str, prefix: str) -> AsyncIterator[Bench]:
    settings = settings_for("servers", folder, kafka=kafka, prefix=prefix)
    bench = await open_bench(settings, folder)
    await bench.create()
    try:
        yield bench
    finally:
        await bench.end()
        await bench.log.__aexit__(None, None, None)


async def _says(process: Process, what: str) -> bool:
    return what in process.said
