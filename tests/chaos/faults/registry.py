"""What a fault is, and which there are.

A fault is a generator, like a context manager's: what is before its ``yield`` strikes,
what is after it ends. The run holds it meanwhile, publishes a probe when it has ended,
and takes the time until that can be found::

    @fault("kill -9 a worker", target="worker", held_s=(0.5, 3))
    def kill_worker(world: World, rng: Random) -> Iterator[None]:
        worker = rng.choice(world.workers)
        worker.kill()
        yield
        worker.start()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any, Literal


Mode = Literal["servers", "embedded"]
BOTH: tuple[Mode, ...] = ("servers", "embedded")
#: Of a world that has what the fault needs.
Strike = Callable[[Any, Random], Iterator[None]]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One kind of fault."""

    name: str
    modes: tuple[Mode, ...]
    #: What it strikes; two with the same target never strike at once.
    target: str
    #: Least and most seconds between its strike and its end.
    held_s: tuple[float, float]
    #: How often it is drawn, against the others.
    weight: float
    #: What a world must have, of :attr:`tests.chaos.world.World.has`.
    needs: frozenset[str]
    strike: Callable[[Any, Random], AbstractContextManager[None]]


_FAULTS: dict[str, Fault] = {}


def fault(
    name: str,
    *,
    target: str = "",
    modes: tuple[Mode, ...] = ("servers",),
    held_s: tuple[float, float] = (0.0, 0.0),
    weight: float = 1.0,
    needs: tuple[str, ...] = (),
) -> Callable[[Strike], Strike]:
    """Register a fault under its *name*; without a target it strikes its own."""

    def register(strike: Strike) -> Strike:
        assert name not in _FAULTS, f"two faults are called {name!r}"
        _FAULTS[name] = Fault(
            name=name,
            modes=modes,
            target=target or name,
            held_s=held_s,
            weight=weight,
            needs=frozenset(needs),
            strike=contextmanager(strike),
        )
        return strike

    return register


def all_faults(mode: Mode, has: frozenset[str]) -> list[Fault]:
    """Return the faults of *mode* that a world which *has* these can suffer."""
    return [f for f in _FAULTS.values() if mode in f.modes and f.needs <= has]
