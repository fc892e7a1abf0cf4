"""The clock and the disk of the chaos run do what they are asked to."""

from __future__ import annotations

import os
import subprocess
import sys

from datetime import timedelta
from pathlib import Path

import pytest

from streams import clock
from tests.chaos.faults.clock import Clock
from tests.chaos.faults.disk import CannotMountError, SmallDisk


ASKED = """
import sys, time
from streams import clock
for line in sys.stdin:
    time.sleep(0.03)
    print(time.time(), time.time_ns() / 1e9, clock.now().timestamp(), flush=True)
"""


def test_a_clock_jumps_for_a_child_while_it_runs(tmp_path: Path) -> None:
    shifted = Clock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", ASKED],
        env=os.environ | shifted.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for days in (0, 400, -1, 0):
            shifted.set(timedelta(days=days))
            child.stdin.write("now?\n")
            child.stdin.flush()
            expected = clock.now().timestamp() + days * 86_400
            for said in child.stdout.readline().split():
                assert float(said) == pytest.approx(expected, abs=5)


def test_a_small_disk_is_filled_and_freed(tmp_path: Path) -> None:
    try:
        with SmallDisk(tmp_path / "small", size_mb=2) as disk:
            disk.fill()
            with pytest.raises(OSError, match="No space"):
                (disk.folder / "one-more").write_bytes(bytes(5000))
            disk.free()
            (disk.folder / "one-more").write_bytes(bytes(5000))
            disk.fill(leave_bytes=100_000)
            assert 0 < disk.free_bytes <= 200_000
    except CannotMountError as error:
        pytest.skip(str(error))
