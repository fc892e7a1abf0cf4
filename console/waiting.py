"""Waits until what a command has published has come through all stages."""

from __future__ import annotations

import asyncio
import math

from collections.abc import AsyncIterator
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


async def come_through(transit: Transit, hands: Hands, tell: Tell) -> None:
    """Return when everything has come through; say so if nothing moves."""
    share, moved = -1.0, monotonic()
    while not transit.done:
        hands.check()
        now = await transit.look()
        if transit.done:
            return
        tell(f"{transit.stage} works", now)
        if now != share:
            share, moved = now, monotonic()
        elif monotonic() - moved > STILL_S:
            screen.complain(
                f"wirewatch: {transit.stage} has done nothing for {STILL_S:g} s: does a "
                "'wirewatch worker' run? Still waiting; Ctrl-C ends this, loses nothing."
            )
            moved = math.inf
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
