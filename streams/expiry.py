"""Warns of dead letters that nobody has looked at before their topic lets them go."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import structlog

from streams import clock
from streams.errors import WirewatchError
from streams.letters import KEPT, expiring, read
from streams.log.face import Log
from streams.topics import DAY_S


log = structlog.get_logger(__name__)


@asynccontextmanager
async def expiry_watched(
    records: Log,
    *,
    now: Callable[[], datetime] = clock.now,
    every_s: float = DAY_S,
) -> AsyncIterator[None]:
    """Look at the dead letters once at the start, and once a day, while entered."""
    watch = asyncio.create_task(_watch(records, now, every_s))
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _watch(records: Log, now: Callable[[], datetime], every_s: float) -> None:
    while True:
        try:
            await warn(records, now())
        except (WirewatchError, OSError) as error:
            log.info("dead letters not looked at", reason=str(error))
        await asyncio.sleep(every_s)


async def warn(records: Log, now: datetime) -> None:
    """Log a warning if open letters expire soon, with what keeps them."""
    if soon := expiring(await read(records), now):
        log.warning(
            "dead letters expire",
            letters=len(soon),
            first=(min(one.at for one in soon) + KEPT).isoformat(timespec="minutes"),
            to_keep="wirewatch deadletters retry --all, or: deadletters export FILE",
        )
