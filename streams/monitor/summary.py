"""The line a minute that tells what each stage did, when it did anything."""

from __future__ import annotations

import asyncio

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from streams.meanwhile import meanwhile
from streams.stage import Progress


EVERY_S = 60.0

_log = structlog.get_logger(__name__)


class _Sums(NamedTuple):
    """What a stage had done at some time."""

    handled: int
    outputs: int
    refusals: Counter[str]
    retries: int
    batches: int
    seconds: float


_NOTHING = _Sums(0, 0, Counter(), 0, 0, 0.0)


@asynccontextmanager
async def summed_up(
    progress: Mapping[str, Progress], every_s: float = EVERY_S
) -> AsyncIterator[None]:
    """Write the lines meanwhile, and at the end what is not yet told."""
    said: dict[str, _Sums] = {}
    try:
        async with meanwhile(_repeating(progress, said, every_s)):
            yield
    finally:
        _say(progress, said)


async def _repeating(
    progress: Mapping[str, Progress], said: dict[str, _Sums], every_s: float
) -> None:
    while True:
        await asyncio.sleep(every_s)
        _say(progress, said)


def _say(progress: Mapping[str, Progress], said: dict[str, _Sums]) -> None:
    """Write a line for each stage that has done something since the last one."""
    for stage, one in progress.items():
        before, now = said.get(stage, _NOTHING), _sums(one)
        said[stage] = now
        slowest_s, one.slowest_s = one.slowest_s, 0.0
        if now == before:
            continue
        refused = now.refusals - before.refusals
        _log.info(
            "stage",
            stage=stage,
            handled=now.handled - before.handled,
            outputs=now.outputs - before.outputs,
            refused=refused.total(),
            **{f"refused_{kind}": count for kind, count in refused.items()},
            retries=now.retries - before.retries,
            batches=now.batches - before.batches,
            busy_s=round(now.seconds - before.seconds, 3),
            slowest_s=round(slowest_s, 3),
            **({"waiting": one.waiting} if one.waiting else {}),
        )


def _sums(one: Progress) -> _Sums:
    return _Sums(
        handled=one.handled,
        outputs=one.outputs,
        refusals=Counter(one.refusals),
        retries=one.retries.total(),
        batches=one.batches_s.count,
        seconds=one.batches_s.total,
    )
