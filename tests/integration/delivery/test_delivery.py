"""One contract, two logs: what goes in comes out once, in order, or is a dead letter."""

from __future__ import annotations

import signal

from collections.abc import Iterable
from pathlib import Path

import pytest

from streams import events
from streams.log.face import Record
from streams.topics import DEADLETTERS, DECLARED, RAW
from tests.integration.delivery.harness import Bench, errands, in_order
from tests.integration.delivery.worker import Errand


def is_repeatable(bench: Bench) -> bool:
    """Whether this log may repeat what a killed worker had stored but not committed."""
    return bench.settings.mode == "servers"


async def test_everything_arrives_once_and_in_the_order_of_its_key(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.feed(errands(range(3000)))
    worker = await bench.work()
    await bench.until_drained()
    await bench.feed(errands(range(3000, 3100)))
    await bench.until_drained()
    assert await worker.stop() == 0
    assert sorted(await bench.numbers()) == list(range(3100))
    assert await bench.by_key() == in_order(range(3100))


async def test_every_output_names_the_raw_record_that_it_came_from(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.feed(errands(range(50)))
    await bench.work()
    await bench.until_drained()
    origins = {record.header(events.ORIGIN) for record in await bench.records()}
    assert origins == {str(r.position) for r in await bench.records(RAW)}


@pytest.mark.parametrize("shape", ["plain", "table"])
async def test_what_is_at_fault_itself_becomes_a_dead_letter_with_its_reason(
    bench: Bench, shape: str
) -> None:
    await bench.create()
    good = errands(range(300))
    bad: list[Errand | bytes] = [
        Errand(number=1000, key="k1", refuse=True),
        Errand(number=1001, key="k2", bug=True),
        Errand(number=1002, key="k3", big=2_000_000),
        b"\xff\x00{",
        b"",
    ]
    await bench.feed([*good[:100], *bad, *good[100:]])
    await bench.work(shape)
    await bench.until_drained()
    assert sorted(await bench.numbers()) == list(range(300))
    assert await bench.by_key() == in_order(range(300))
    letters = await bench.dead()
    assert [kind_of(letter) for letter in by_kind(letters)] == [
        "OversizeError",
        "PermanentError",
        "RecordError",
        "RecordError",
        "ZeroDivisionError",
    ]
    originals = {str(r.position): r for r in await bench.records(RAW)}
    for letter in letters:
        original = originals[letter.header(events.ORIGIN)]
        assert (letter.key, letter.value) == (original.key, original.value)
        assert letter.header(events.DEAD_STAGE) == "dedupe"
        assert letter.header(events.DEAD_REASON)
        assert letter.header(events.DEAD_POSITION) == str(original.position)


@pytest.mark.parametrize("shape", ["plain", "table"])
async def test_what_can_pass_is_waited_for_visibly_and_in_place(
    bench: Bench, shape: str, tmp_path: Path
) -> None:
    await bench.create()
    server_is_back = tmp_path / "the-server"
    waiting = errands([20], until=str(server_is_back))
    await bench.feed([*errands(range(20)), *waiting, *errands(range(21, 60))])
    worker = await bench.work(shape)
    await bench.until(lambda: _said(worker.said, "asked to wait for the-server"))
    await bench.until(lambda: _said(worker.said, "again_in_s=0.8"))
    before = (await bench.by_key()).get("k0", [])
    assert before in ([], [0])
    server_is_back.touch()
    await bench.until_drained()
    assert await bench.by_key() == in_order(range(60))
    assert not await bench.dead()


async def test_without_a_dead_letter_topic_the_worker_stops_and_nothing_is_lost(
    bench: Bench,
) -> None:
    await bench.create([topic for topic in DECLARED if topic is not DEADLETTERS])
    await bench.feed([*errands(range(10)), Errand(number=10, key="k0", refuse=True)])
    worker = await bench.work()
    assert await worker.ends() != 0
    assert "deadletters" in worker.said
    assert "wirewatch topics create" in worker.said
    await bench.create()
    await bench.work()
    await bench.until_drained()
    assert set(await bench.numbers()) == set(range(10))
    assert len(await bench.dead()) == 1


async def test_a_long_run_of_refusals_stops_the_stage_until_somebody_has_looked(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.feed(errands(range(200), keys=1, refuse=True))
    worker = await bench.work()
    assert await worker.ends() != 0
    assert "RefusalRunError" in worker.said
    assert "stages.refusals_max" in worker.said
    assert len(await bench.dead()) <= 20
    await bench.work(WIREWATCH_STAGES_REFUSALS_MAX="1000")
    await bench.until_drained()
    assert len(await bench.dead()) == 200


@pytest.mark.parametrize("first", ["entries", "outputs"])
async def test_kill_9_between_table_and_output_loses_nothing(
    bench: Bench, first: str, tmp_path: Path
) -> None:
    await bench.create()
    await bench.feed(errands(range(200)))
    marker = ("--marker", str(tmp_path / "died"))
    worker = await bench.work("table", "--die-after", first, *marker)
    assert await worker.ends() == -signal.SIGKILL
    await bench.work("table")
    await bench.until_drained()
    assert set(await bench.numbers()) == set(range(200))
    assert await bench.by_key() == in_order(range(200))


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_table_is_restored_after_a_restart(bench: Bench, end: str) -> None:
    await bench.create()
    await bench.feed(errands(range(1000)))
    worker = await bench.work("table")
    await bench.until_drained()
    await (worker.stop() if end == "stop" else worker.kill())
    await bench.feed(errands(range(1100)))
    await bench.work("table")
    await bench.until_drained()
    assert sorted(await bench.numbers()) == list(range(1100))


async def test_sigterm_in_mid_batch_finishes_it_and_repeats_nothing(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.feed(errands(range(400), slow_s=0.005))
    worker = await bench.work()
    await bench.until(lambda: _some(bench))
    assert await worker.stop() == 0
    part = len(await bench.numbers())
    assert 0 < part <= 400
    assert sum((await bench.committed()).values()) == part
    await bench.work()
    await bench.until_drained()
    assert sorted(await bench.numbers()) == list(range(400))


@pytest.mark.parametrize("shape", ["plain", "table"])
async def test_kill_9_in_mid_batch_loses_nothing_and_keeps_the_order(
    bench: Bench, shape: str
) -> None:
    await bench.create()
    await bench.feed(errands(range(1200), slow_s=0.002))
    worker = await bench.work(shape)
    for _ in range(3):
        done = len(await bench.numbers())
        await bench.until(lambda d=done: _some(bench, d))  # type: ignore[misc]
        await worker.kill()
        worker = await bench.work(shape)
    await bench.until_drained()
    numbers = await bench.numbers()
    assert set(numbers) == set(range(1200))
    assert await bench.by_key() == in_order(range(1200))
    if not is_repeatable(bench):
        assert len(numbers) == 1200


async def test_nothing_is_committed_over_a_batch_that_is_not_finished(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.feed(errands(range(400), keys=8))
    worker = await bench.work("plain", "--leave-out", "0")
    await bench.until(lambda: _said(worker.said, "batch abandoned"))
    await bench.feed(errands(range(400, 800), keys=8))
    await bench.until(lambda: _came_through(bench, range(400, 800)))
    await bench.feed(errands([800], keys=8))
    await bench.until(lambda: _came_through(bench, [800]))
    assert (await bench.committed()).get(0, 0) == 0


async def test_what_is_delivered_before_faust_empties_its_queues_comes_again(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.feed(errands(range(100)))
    worker = await bench.work("table")
    await bench.until_drained()
    await worker.stop()
    await bench.feed(errands(range(100, 104), slow_s=1.0))
    await bench.feed(errands(range(104, 5000)))
    await bench.work("table", "--slow-seek")
    await bench.until_drained()
    assert await bench.by_key() == in_order(range(5000))


async def test_a_seek_in_mid_delivery_drops_nothing_of_what_comes_again(
    bench: Bench,
) -> None:
    await bench.create()
    await bench.feed(errands(range(8000)))
    await bench.work("plain", "--seek-in-delivery")
    await bench.until_drained()
    assert set(await bench.numbers()) == set(range(8000))
    assert await bench.by_key() == in_order(range(8000))


def kind_of(letter: Record) -> str:
    return letter.header(events.DEAD_KIND)


def by_kind(letters: list[Record]) -> list[Record]:
    return sorted(letters, key=kind_of)


async def _said(text: str, what: str) -> bool:
    return what in text


async def _some(bench: Bench, more_than: int = 0) -> bool:
    return len(await bench.records()) > more_than


async def _came_through(bench: Bench, numbers: Iterable[int]) -> bool:
    return set(numbers) <= set(await bench.numbers())
