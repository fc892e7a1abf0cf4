"""Shifts the wall clock of the interpreter that starts with this folder on its path.

See :mod:`tests.chaos.faults.clock`. Monotonic clocks stay: so it is on a machine whose
clock is set.
"""

from __future__ import annotations

import os
import time

from collections.abc import Callable


LOOK_S = 0.02


def _shifted(file: str) -> tuple[Callable[[], float], Callable[[], int]]:
    true, true_ns, steady = time.time, time.time_ns, time.monotonic
    looked_s, offset_s = float("-inf"), 0

    def offset() -> int:
        nonlocal looked_s, offset_s
        if steady() - looked_s > LOOK_S:
            with open(file, encoding="ascii") as lies:  # noqa: PTH123 - pathlib is slow to import in every child
                offset_s = int(lies.read() or offset_s)
            looked_s = steady()
        return offset_s

    return (lambda: true() + offset()), (lambda: true_ns() + offset() * 1_000_000_000)


if _file := os.environ.get("WIRETEST_CLOCK"):
    time.time, time.time_ns = _shifted(_file)
