"""A run: faults in rounds, an account after each round."""

from __future__ import annotations

import asyncio
import random
import sys
import time

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.text import fingerprint
from tests.chaos.faults import Fault, all_faults
from tests.chaos.faults.registry import Mode
from tests.chaos.invariant import (
    LAST,
    LOST,
    ONCE,
    Expected,
    Observed,
    Violation,
    violations,
)
from tests.chaos.observe import account_in, observe
from tests.chaos.source import PAPERS, Publication
from tests.chaos.table import Injection
from tests.chaos.world import World


#: So many faults, then an account.
ROUND = 10
#: What cannot be found after so long will not be.
PATIENCE_S = 120.0
LOOK_S = 0.1


class BrokenError(Exception):
    """The run cannot go on: something that must come back does not."""


class Blame(NamedTuple):
    """What did not hold, and the fault that struck last before it was published."""

    fault: str
    violation: Violation


@dataclass
class Result:
    """What a run found."""

    injections: list[Injection] = field(default_factory=list)
    blames: list[Blame] = field(default_factory=list)

    @property
    def violations(self) -> list[Violation]:
        return [blame.violation for blame in self.blames]

    def blamed(self, *claims: str) -> list[str]:
        """Return the fault of each violation of *claims*."""
        return [b.fault for b in self.blames if b.violation.claim in claims]


def drawn(seed: int, count: int, mode: Mode, has: frozenset[str]) -> list[Fault]:
    """Return *count* faults: each of them once in random order, then by weight."""
    rng = random.Random(f"faults {seed}")
    known = all_faults(mode, has)
    once = rng.sample(known, k=min(count, len(known)))
    more = rng.choices(known, [f.weight for f in known], k=count - len(once))
    return once + more


def run(world: World, seed: int, faults: list[Fault]) -> Result:
    """Inject *faults*, and return what that did; stops after a round that broke."""
    result = Result()
    strikes: list[tuple[float, str]] = []
    rng = random.Random(f"moments {seed}")
    _recovery_s(world, "start")
    for number, some in enumerate(_rounds(faults)):
        for fault in some:
            at = len(result.injections)
            strikes.append((time.monotonic(), fault.name))
            result.injections.append(_inject(world, fault, rng, f"{seed}-{at}"))
            _say(result.injections[-1], at)
        found = _account(world)
        result.blames = [Blame(_blamed(world, strikes, one), one) for one in found]
        print(  # noqa: T201 - progress
            f"round {number + 1}: {world.source.published:,} published, "
            f"{len(found)} violations",
            file=sys.stderr,
        )
        if found:
            break
        world.source.start()
    return result


def _rounds(faults: list[Fault]) -> Iterator[tuple[Fault, ...]]:
    for start in range(0, len(faults), ROUND):
        yield tuple(faults[start : start + ROUND])


def _inject(world: World, fault: Fault, rng: random.Random, name: str) -> Injection:
    held_s = rng.uniform(*fault.held_s)
    before = world.source.published
    with fault.strike(world, rng):
        time.sleep(held_s)  # being away is the point
    published = world.source.published - before
    recovery_s = _recovery_s(world, name)
    world.check()
    return Injection(
        fault=fault.name, held_s=held_s, published=published, recovery_s=recovery_s
    )


def _recovery_s(world: World, name: str) -> float:
    """Publish a probe; return after how long it can be found."""
    began = time.monotonic()
    probe = world.source.probe(name)
    ident = f"i{fingerprint(probe.publisher, 'guid', probe.guid)}"
    while not world.holds(ident):
        world.check()
        if time.monotonic() - began > PATIENCE_S:
            raise BrokenError(f"probe {probe.guid} ({ident}) is not found")
        time.sleep(LOOK_S)
    return time.monotonic() - began


def _account(world: World) -> list[Violation]:
    """Let all come to rest, and return what does not hold."""
    world.source.stop()
    deadline = time.monotonic() + PATIENCE_S
    while not world.source.all_taken:
        world.check()
        if time.monotonic() > deadline:
            raise BrokenError("the connectors do not take what the feeds carry")
        time.sleep(LOOK_S)
    done = world.run("audit", "--wait", "--json", timeout_s=400)
    if not done.stdout:
        raise BrokenError(f"the audit ended with {done.returncode}: {done.stderr}")
    (world.folder / "audit.json").write_text(done.stdout)
    observed, further = asyncio.run(_observed(world, done.stdout))
    expected = [_expected(one) for one in world.source.publications.values()]
    return [*violations(expected, world.malformed, observed), *further]


async def _observed(world: World, audit: str) -> tuple[Observed, list[Violation]]:
    return await observe(world.settings, account_in(audit)), await world.claims()


def _expected(one: Publication) -> Expected:
    feeds = {paper.name: paper.feeds for paper in PAPERS}.get(one.publisher, ())
    return Expected(
        one.guid,
        tuple(one.editions),
        max(one.taken.values(), default=0),
        len(feeds) < 2,
    )


def _blamed(
    world: World, strikes: list[tuple[float, str]], violation: Violation
) -> str:
    """Return the last fault before what *violation* is about was published."""
    guid = violation.subject.split()[0]
    publication = world.source.publications.get(guid)
    if publication is None or violation.claim not in {LOST, LAST, ONCE}:
        return ""
    before = [name for at, name in strikes if at <= publication.changed_s]
    return before[-1] if before else ""


def _say(one: Injection, at: int) -> None:
    print(  # noqa: T201 - progress
        f"{at + 1:4} {one.fault}: held {one.held_s:.1f} s, "
        f"{one.published} published, back after {one.recovery_s:.1f} s",
        file=sys.stderr,
        flush=True,
    )
