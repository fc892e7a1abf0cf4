"""A short chaos run on the embedded mode; ``make chaos MODE=embedded`` makes long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.embedded import EmbeddedWorld
from tests.chaos.faults import all_faults
from tests.chaos.run import run


pytestmark = pytest.mark.timeout(240)

SEED = 35
#: Left out where the system does not let us mount a small disk; no other is.
DISK_FULL = "disk full, freed"
#: Some at once: each strike takes its time.
STRIKES = (
    ("kill -9 a worker", "malformed bytes on every topic"),
    (
        "records of a newer version",
        "kill -9 a process of run's pools",
        "kill -9 ingest beside run, again",
        "clock jumps by +2 h, and back",
        "disk full, freed",
    ),
)


def test_nothing_is_lost_or_twice_in_one_folder_whatever_strikes(
    tmp_path: Path,
) -> None:
    with EmbeddedWorld(SEED, tmp_path, rate=20.0) as world:
        known = {one.name: one for one in all_faults("embedded", world.has)}
        left_out = set() if "small disk" in world.has else {DISK_FULL}
        strikes = [
            tuple(known[name] for name in names if name not in left_out)
            for names in STRIKES
        ]
        result = run(world, SEED, strikes)
    assert result.violations == []
    assert len(result.injections) == sum(map(len, strikes))
