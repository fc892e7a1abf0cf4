"""Records are followed through the stages by what lies on the log, nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console import flow
from console.flow import Transit
from streams.log.embedded import EmbeddedLog
from streams.log.face import Output, Position
from streams.settings import EmbeddedLog as LogSettings
from streams.topics import DECLARED, INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE, group


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EmbeddedLog]:
    async with EmbeddedLog(tmp_path, LogSettings()) as opened:
        await opened.create(DECLARED)
        yield opened


async def put(log: EmbeddedLog, topic: str, count: int) -> list[Position]:
    return await log.append([Output(topic, b"key", b"{}") for _ in range(count)])


async def handle_all(log: EmbeddedLog, stage: str, *topics: str) -> None:
    for topic in topics:
        ends = await log.ends(topic)
        done = {(topic, partition): end for partition, end in ends.items() if end}
        await log.log.commit(group(stage), done)


async def test_a_stage_that_never_ran_is_behind_by_everything(log: EmbeddedLog) -> None:
    await put(log, RAW.name, 3)

    assert (await flow.lags(log))["dedupe"] == 3


async def test_a_stage_that_has_handled_all_is_not_behind(log: EmbeddedLog) -> None:
    await put(log, RAW.name, 3)
    await handle_all(log, "dedupe", RAW.name)

    assert not any((await flow.lags(log)).values())


async def test_records_have_passed_when_every_stage_has_what_they_led_to(
    log: EmbeddedLog,
) -> None:
    transit = Transit(log, await put(log, RAW.name, 2))
    shares = [await transit.look()]

    for stage, source, made in (
        ("dedupe", RAW.name, UNIQUE.name),
        ("annotate", UNIQUE.name, TAGGED.name),
        ("correlate", TAGGED.name, ITEMS.name),
    ):
        assert transit.stage == stage
        await put(log, made, 1)
        await handle_all(log, stage, source)
        shares.append(await transit.look())
    await handle_all(log, "index", ITEMS.name, INCIDENTS.name)

    assert await transit.look() == 1.0
    assert transit.done
    assert shares == [0.0, 0.25, 0.5, 0.75]


async def test_duplicates_have_passed_though_they_lead_to_nothing(
    log: EmbeddedLog,
) -> None:
    transit = Transit(log, await put(log, RAW.name, 2))
    await handle_all(log, "dedupe", RAW.name)

    assert await transit.look() == 1.0


async def test_what_others_publish_later_is_not_waited_for(log: EmbeddedLog) -> None:
    transit = Transit(log, await put(log, RAW.name, 1))
    await handle_all(log, "dedupe", RAW.name)
    await put(log, RAW.name, 5)

    assert await transit.look() == 1.0


async def test_nothing_published_has_passed_at_once_whatever_others_publish(
    log: EmbeddedLog,
) -> None:
    await put(log, UNIQUE.name, 1)
    transit = Transit(log, [])

    assert transit.done
    assert await transit.look() == 1.0
