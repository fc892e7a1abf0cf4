"""The index lets go of what is older than it keeps, in a worker that runs."""

from __future__ import annotations

import asyncio

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from structlog.testing import capture_logs

from mappings.face import SearchIndex
from streams import clock, events, expiry
from streams.log.opening import open_log
from streams.settings import Settings
from streams.topics import DECLARED, INDEX_KEPT_S
from tests.integration.test_search_index import index, item


__all__ = ["index"]  # a fixture

KEPT = timedelta(seconds=INDEX_KEPT_S)
MONTH = timedelta(days=31)


async def test_what_is_older_than_the_index_keeps_goes_once_a_day(
    index: SearchIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire, expired = index.expire, asyncio.Event()

    async def told(before: datetime) -> int:
        gone = await expire(before)
        expired.set()
        return gone

    monkeypatch.setattr(index, "expire", told)
    now = clock.now()
    old = item("i1", anchor=now - KEPT - MONTH)
    kept = item("i2", anchor=now - KEPT + MONTH)
    await index.write([old, kept])
    async with open_log(Settings(data=str(tmp_path / "log"))) as log:
        await log.create(DECLARED)
        await log.append([events.item(kept)])
        with capture_logs() as said:
            async with expiry.expiry_watched(log, index, spread_s=0):
                await asyncio.wait_for(expired.wait(), 30)

    (line,) = said
    assert (line["event"], line["items"]) == ("items expired", 1)
    assert await index.get("i1") is None
    assert await index.get("i2") == kept


@pytest.mark.parametrize("stamped", [True, False])
async def test_a_clock_that_runs_years_ahead_lets_nothing_go(
    index: SearchIndex, tmp_path: Path, *, stamped: bool
) -> None:
    now = clock.now()
    new = item("i1", anchor=now)
    await index.write([new])
    async with open_log(Settings(data=str(tmp_path / "log"))) as log:
        await log.create(DECLARED)
        await log.append([events.item(new)] if stamped else [])

        await expiry.let_go(log, index, now + KEPT + 2 * MONTH)

    assert await index.get("i1") == new
