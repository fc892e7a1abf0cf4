"""Runs the parts of a process side by side: the first error of one ends all."""

from __future__ import annotations

import asyncio

from collections.abc import Coroutine, Iterable

import structlog


#: What has not ended so long after it was asked to is cut short: work that is not
#: committed is repeated at the next start, none is lost. More than a stage's app takes
#: (streams.apps), less than a process may (console.signals).
STOP_S = 7.0

_log = structlog.get_logger()


async def together(
    stop: asyncio.Event, parts: Iterable[Coroutine[None, None, None]]
) -> None:
    """Run *parts* until *stop* is set and all have ended; each watches *stop* itself.

    A part may end early. The first that raises sets *stop*, and its error is raised
    when the others have ended.
    """
    tasks = [asyncio.create_task(_guarded(part, stop)) for part in parts]
    try:
        await stop.wait()
        _, late = await asyncio.wait(tasks, timeout=STOP_S)
        if late:
            _log.warning("cut short", parts=len(late), after_s=STOP_S)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for result in ended:
        if isinstance(result, Exception):
            raise result


async def _guarded(part: Coroutine[None, None, None], stop: asyncio.Event) -> None:
    try:
        await part
    except BaseException:
        stop.set()
        raise
