"""A short chaos run; ``make chaos`` makes long ones."""

from __future__ import annotations

import os

from pathlib import Path

import pytest

from tests.chaos.faults import all_faults
from tests.chaos.faults.registry import Fault
from tests.chaos.run import run
from tests.chaos.servers import ServersWorld
from tests.servers.errors import UnavailableError
from tests.servers.suite import maven


pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("own_kafka", "own_elasticsearch"),
]

SEED = 1
#: Two at once in the last strike.
STRIKES = (
    ("kill -9 a worker",),
    ("malformed bytes on every topic",),
    ("index: bulk items rejected (429)",),
    ("ways to all brokers: cut",),
    ("kill -9 a connector", "kill -9 a broker, restart"),
)


def test_nothing_is_lost_or_twice_whatever_strikes(tmp_path: Path) -> None:
    try:
        servers = maven(os.environ)
    except UnavailableError as error:
        pytest.skip(f"no servers to break: {error}")
    with ServersWorld(SEED, tmp_path, servers, brokers=1, rate=20.0) as world:
        known = {one.name: one for one in all_faults("servers", world.has)}
        strikes = [_named(known, names) for names in STRIKES]
        result = run(world, SEED, strikes)
    assert result.violations == []
    assert len(result.injections) == sum(map(len, STRIKES))


def _named(known: dict[str, Fault], names: tuple[str, ...]) -> tuple[Fault, ...]:
    return tuple(known[name] for name in names)
