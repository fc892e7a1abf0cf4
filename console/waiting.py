"""Waits until what a command has published has come through all stages."""

from __future__ import annotations

import asyncio
import math

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from console import screen
from console.exits import TimeRanOutError
from console.flow import Transit
from console.hands import Hands
from console.screen import Tell


#: A look at the log takes about a millisecond.
LOOK_S = 0.05
#: Nothing has moved for so long: perhaps no worker runs on the servers.
STILL_S = 15.0


class Stillness:
    """Says once that nothing moves, when nothing has for :data:`STILL_S`."""

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._seen: object = None
        self._since_s = now_s()

    def look(self, seen: object, stage: str) -> None:
        """Look at what moves when *stage* works."""
        if seen != self._seen:
            self._seen, self._since_s = seen, self._now_s()
        elif self._now_s() - self._since_s > STILL_S:
            screen.complain(
                f"wirewatch: {stage} has done nothing for {STILL_S:g} s: 'wirewatch "
                "check' tells what is wrong. Still waiting; Ctrl-C ends this, loses "
                "nothing."
            )
            self._since_s = math.inf


async def come_through(transit: Transit, hands: Hands, tell: Tell) -> None:
    """Return when everything has come through; say so if nothing moves."""
    stillness = Stillness()
    while not transit.done:
        hands.check()
        share = await transit.look()
        if transit.done:
            return
        tell(f"{transit.stage} works", share)
        stillness.look(share, transit.stage)
        await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def limited(timeout_s: float | None, told: str) -> AsyncIterator[None]:
    """Give what is within so many seconds, or any number; *told* says what is not done.

    Raises TimeRanOutError.
    """
    try:
        async with asyncio.timeout(timeout_s) as limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeRanOutError(f"after {timeout_s:g} s {told}") from None
