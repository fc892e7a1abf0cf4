"""A short chaos run; ``make chaos`` makes long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.faults import all_faults
from tests.chaos.faults.registry import Fault
from tests.chaos.run import run
from tests.chaos.servers import ServersWorld
from tests.servers.maven import Maven


pytestmark = pytest.mark.timeout(300)

SEED = 1
#: Some at once, since what follows each strike takes its time.
STRIKES = (
    (
        "kill -9 a worker",
        "malformed bytes on every topic",
        "index: bulk items rejected (429)",
    ),
    ("kill -9 a connector", "way to a broker: cut"),
)


def test_nothing_is_lost_or_twice_whatever_strikes(
    tmp_path: Path, maven: Maven, elasticsearch: str, prefix: str
) -> None:
    with ServersWorld(
        SEED,
        tmp_path,
        maven,
        brokers=1,
        rate=20.0,
        index_url=elasticsearch,
        prefix=prefix,
    ) as world:
        known = {one.name: one for one in all_faults("servers", world.has)}
        strikes = [_named(known, names) for names in STRIKES]
        result = run(world, SEED, strikes)
    assert result.violations == []
    assert len(result.injections) == sum(map(len, STRIKES))


def _named(known: dict[str, Fault], names: tuple[str, ...]) -> tuple[Fault, ...]:
    return tuple(known[name] for name in names)
