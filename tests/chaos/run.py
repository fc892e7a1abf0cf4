"""A run: faults in rounds, an account after each round."""

from __future__ import annotations

import asyncio
import random
import sys
import time

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from streams import clock
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
from tests.chaos.observe import account_in, observe, taken_transcripts
from tests.chaos.source import Publication, carriers
from tests.chaos.table import Injection
from tests.chaos.world import World


#: So many faults, then an account.
ROUND = 10
#: This share of what strikes is two at once.
PAIRED = 0.3
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


def drawn(
    seed: int, count: int, mode: Mode, has: frozenset[str]
) -> list[tuple[Fault, ...]]:
    """Return strikes of *count* faults: each once alone, then by weight, some in pairs.

    Those of a pair never have the same target.
    """
    rng = random.Random(f"faults {seed}")
    known = all_faults(mode, has)
    strikes: list[tuple[Fault, ...]] = [
        (one,) for one in rng.sample(known, k=min(count, len(known)))
    ]
    left = count - len(strikes)
    while left > 0:
        (one,) = rng.choices(known, [fault.weight for fault in known])
        others = [fault for fault in known if fault.target != one.target]
        if left > 1 and others and rng.random() < PAIRED:
            (other,) = rng.choices(others, [fault.weight for fault in others])
            strikes.append((one, other))
        else:
            strikes.append((one,))
        left -= len(strikes[-1])
    return strikes


def run(world: World, seed: int, strikes: list[tuple[Fault, ...]]) -> Result:
    """Let *strikes* happen, and return what that did; stops after a round that broke."""
    result = Result()
    began: list[tuple[float, str]] = []
    rng = random.Random(f"moments {seed}")
    _recovery_s(world, f"{seed}-start")
    for number, some in enumerate(_rounds(strikes)):
        for faults in some:
            began.append((time.monotonic(), " + ".join(one.name for one in faults)))
            result.injections += _inject(
                world, faults, rng, f"{seed}-{len(result.injections)}"
            )
        found = _account(world)
        result.blames = [Blame(_blamed(world, began, one), one) for one in found]
        _say(
            f"round {number + 1}: {world.source.published:,} published, "
            f"{len(found)} violations"
        )
        if found:
            break
        world.source.start()
    return result


def _rounds(strikes: list[tuple[Fault, ...]]) -> Iterator[list[tuple[Fault, ...]]]:
    for start in range(0, len(strikes), ROUND):
        yield strikes[start : start + ROUND]


def _inject(
    world: World, faults: tuple[Fault, ...], rng: random.Random, name: str
) -> list[Injection]:
    held_s = max(rng.uniform(*fault.held_s) for fault in faults)
    _say(f"{name}: {' + '.join(one.name for one in faults)}, for {held_s:.1f} s")
    before = world.source.published
    with ExitStack() as striking:
        for fault in sorted(faults, key=_place):
            striking.enter_context(fault.strike(world, rng))
        time.sleep(held_s)  # being away is the point
    published = world.source.published - before
    recovery_s = _recovery_s(world, name)
    world.check()
    _say(f"{name}: {published} published, back after {recovery_s:.1f} s")
    return [
        Injection(
            fault=fault.name,
            mixed=len(faults) > 1,
            published=published,
            recovery_s=recovery_s,
        )
        for fault in faults
    ]


def _place(fault: Fault) -> int:
    """Return when *fault* strikes: what writes to the log must find it, and room there."""
    if "small disk" in fault.needs:
        return 2
    return 0 if fault.target == "log" else 1


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
    while untaken := _untaken(world):
        world.check()
        if time.monotonic() > deadline:
            named = ", ".join(untaken[:5])
            raise BrokenError(f"no connector takes {len(untaken)} editions: {named}")
        time.sleep(LOOK_S)
    done = world.run("audit", "--wait", "--json", timeout_s=400)
    if not done.stdout:
        raise BrokenError(f"the audit ended with {done.returncode}: {done.stderr}")
    (world.folder / "audit.json").write_text(done.stdout)
    observed, further = asyncio.run(_observed(world, done.stdout))
    expected = [
        _expected(one, kept_s=world.trimmed_s)
        for one in world.source.publications.values()
    ]
    return [*violations(expected, world.malformed, observed), *further]


async def _observed(world: World, audit: str) -> tuple[Observed, list[Violation]]:
    return await observe(world.settings, account_in(audit)), await world.claims()


def _untaken(world: World) -> list[str]:
    """Return what no connector has taken yet."""
    if untaken := world.source.untaken():
        hashes = asyncio.run(taken_transcripts(world.settings))
        world.source.note_transcripts(hashes)
        untaken = world.source.untaken()
    return untaken


def _expected(one: Publication, *, kept_s: float) -> Expected:
    """Return what is known of *one*; the raw records of earlier ones are not kept."""
    counts = {count for taken in one.taken.values() for count in taken}
    if one.begun_s < kept_s:
        counts = set()
    texts = (one.editions[count - 1] for count in counts)
    return Expected(
        guid=one.guid,
        editions=tuple(one.editions),
        taken=frozenset(text for text in texts if text is not None),
        ordered=len(carriers(one)) < 2,
    )


def _blamed(
    world: World, strikes: list[tuple[float, str]], violation: Violation
) -> str:
    """Return the last fault before what *violation* is about was published."""
    guid = violation.subject.partition(" ")[0]
    publication = world.source.publications.get(guid)
    if publication is None or violation.claim not in {LOST, LAST, ONCE}:
        return ""
    before = [name for at, name in strikes if at <= publication.changed_s]
    return before[-1] if before else ""


def _say(line: str) -> None:
    print(f"{clock.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)
