"""Waiting for what can pass: visibly, for as long as it takes, until told to stop."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from streams.errors import TransientError
from streams.stage import PAUSE_FIRST_S, PAUSE_MAX_S


log = structlog.get_logger(__name__)

T = TypeVar("T")


async def patiently(
    what: str, step: Callable[[], Awaitable[T]], stop: asyncio.Event
) -> T | None:
    """Return what *step* returns once what can pass has passed; None when stopped.

    A step under way is given up then: servers that do not answer hold up no end.
    """
    pause_s = PAUSE_FIRST_S
    while not stop.is_set():
        try:
            return await _unless(stop, step)
        except (TransientError, OSError) as error:
            log.warning("waiting", what=what, reason=str(error), again_in_s=pause_s)
        try:
            await asyncio.wait_for(stop.wait(), pause_s)
        except TimeoutError:
            pause_s = min(pause_s * 2, PAUSE_MAX_S)
    return None


async def _unless(stop: asyncio.Event, step: Callable[[], Awaitable[T]]) -> T | None:
    """Return what *step* returns; None if *stop* is set before it does."""
    work = asyncio.ensure_future(step())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        for task in (work, stopped):
            task.cancel()
        await asyncio.gather(work, stopped, return_exceptions=True)
