"""What ages, looked at once a day: the index lets old items go, dead letters are warned of."""

from __future__ import annotations

import asyncio
import random

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import structlog

from mappings.face import SearchIndex
from streams import clock
from streams.errors import WirewatchError
from streams.letters import KEPT, WARNED_BEFORE, expiring, read
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log
from streams.meanwhile import meanwhile
from streams.topics import DAY_S, DEADLETTERS, INDEX_KEPT_S, ITEMS


#: Several workers, started together, do not all delete at once.
SPREAD_S = 600.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def expiry_watched(
    records: Log,
    search: SearchIndex,
    *,
    now: Callable[[], datetime] = clock.now,
    every_s: float = DAY_S,
    spread_s: float = SPREAD_S,
) -> AsyncIterator[None]:
    """Look at both soon after the start, and once a day, while entered.

    *spread_s* is how long the index's turn may be put off, by chance.
    """
    async with meanwhile(
        _daily("dead letters", lambda: warn(records, now()), every_s),
        _daily("index", lambda: let_go(records, search, now()), every_s, spread_s),
    ):
        yield


async def _daily(
    what: str,
    look: Callable[[], Awaitable[None]],
    every_s: float,
    spread_s: float = 0.0,
) -> None:
    while True:
        await asyncio.sleep(random.uniform(0, spread_s))  # noqa: S311 - no secret
        try:
            await look()
        except (WirewatchError, OSError) as error:
            log.info("not looked at", what=what, reason=str(error))
        await asyncio.sleep(every_s)


async def let_go(records: Log, search: SearchIndex, now: datetime) -> None:
    """Delete from the index the months that end before what it keeps, and say so.

    Counted from the last record that the log has stamped, so that a clock that runs
    years ahead deletes nothing.
    """
    last = await _last_append(records)
    if last is None:
        return
    before = min(now, last) - timedelta(seconds=INDEX_KEPT_S)
    if gone := await search.expire(before):
        log.info("items expired", items=gone, older_than=f"{before:%Y-%m}")


async def _last_append(records: Log) -> datetime | None:
    starts, ends = await records.starts(ITEMS.name), await records.ends(ITEMS.name)
    last = {p: max(start, ends[p] - 1) for p, start in starts.items()}
    stamps = [
        record.timestamp_ms async for record in records.read(ITEMS.name, last, ends)
    ]
    return clock.from_ms(max(stamps)) if stamps else None


async def warn(records: Log, now: datetime) -> None:
    """Log a warning if open letters expire soon, with what keeps them.

    On the embedded log none expires sooner than that before which it is warned of.
    """
    if soon := expiring(await read(records), now):
        log.warning(
            "dead letters expire",
            letters=len(soon),
            first=(min(one.at for one in soon) + KEPT).isoformat(timespec="minutes"),
            to_keep="deadletters retry --all, or: deadletters export FILE",
        )
    if isinstance(records, EmbeddedLog):
        told = await records.offsets_at(DEADLETTERS.name, now - KEPT + WARNED_BEFORE)
        await records.let_expire(DEADLETTERS.name, told, on=now, after=WARNED_BEFORE)
