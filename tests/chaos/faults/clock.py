"""A wall clock that jumps, for chosen child processes only."""

from __future__ import annotations

import os

from datetime import timedelta
from pathlib import Path


SHIM = Path(__file__).parent / "shim"


class Clock:
    """The clock of the processes that are started with :attr:`environment`.

    It jumps while they run; ``time.time`` and ``streams.clock`` follow, files' times and
    monotonic clocks do not.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self.set(timedelta())

    @property
    def environment(self) -> dict[str, str]:
        """What a child's environment needs."""
        paths = [str(SHIM), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": os.pathsep.join(paths),
            "WIRETEST_CLOCK": str(self._file),
        }

    def set(self, offset: timedelta) -> None:
        """Let the clock stand *offset* away from the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{int(offset.total_seconds())}", "ascii")
        new.replace(self._file)
