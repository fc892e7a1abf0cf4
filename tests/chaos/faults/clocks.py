"""Clocks that jump while our processes run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.faults.registry import fault


if TYPE_CHECKING:
    from tests.chaos.servers import ServersWorld

JUMPS = (
    timedelta(seconds=30),
    timedelta(hours=1),
    timedelta(hours=26),
    timedelta(days=8),
)


@fault("a process's clock jumps", target="clock", held_s=(3.0, 6.0), weight=2)
def jump(world: ServersWorld, rng: Random) -> Iterator[None]:
    one = world.clocks[rng.choice(sorted(world.clocks))]
    one.set(rng.choice((1, -1)) * rng.choice(JUMPS))
    yield
    one.set(timedelta())
