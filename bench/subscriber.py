"""The installed command ``wirewatch connect rss``, reading a simulated internet."""

from __future__ import annotations

import asyncio
import os
import sys

from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from bench.figures import environ
from bench.internet import Internet
from streams.log.face import Log, Record
from streams.settings import Settings
from streams.topics import Topic


WIREWATCH = str(Path(sys.executable).with_name("wirewatch"))
#: In our seconds, whatever the speed: what a machine under load must be given.
TIMEOUT_S = 3.0


def configure(net: Internet, path: Path, *, interval_s: float) -> Path:
    """Write the configuration that watches all feeds of *net*; times are virtual.

    A day is made shorter by dividing everything in ``[rss]`` that is seconds.
    """
    times = {
        "interval_s": interval_s,
        "interval_min_s": interval_s / 6,
        "interval_max_s": interval_s * 12,
        "hint_max_s": interval_s * 2,
        "host_gap_s": min(1.0, interval_s / 10),
    }
    lines = [
        "[http]",
        f"timeout_s = {TIMEOUT_S}",
        'allow_private = ["*.sim.localhost"]',
    ]
    lines += ["[logs]", 'format = "json"', "[rss]"]
    lines += [
        f"{name} = {value / net.clock.speed:.6f}" for name, value in times.items()
    ]
    for number in range(net.world.feeds):
        lines += ["[[rss.feeds]]", f'id = "f{number}"']
        lines += [f'url = "{net.address(number)}"']
        lines += [f'publisher = "h{net.world.feed(number).host}"']
    path.write_text("\n".join([*lines, ""]), "utf-8")
    return path


class Subscriber:
    """A connector process that can be killed and started again."""

    def __init__(self, settings: Settings, config: Path, log: IO[bytes]) -> None:
        self._settings, self.config, self._log = settings, config, log
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Start it; return at once."""
        self.process = await asyncio.create_subprocess_exec(
            *(WIREWATCH, "connect", "rss", "--config", str(self.config)),
            env=os.environ | environ(self._settings),
            stderr=self._log,
        )

    def check(self) -> None:
        """Exit if it has ended by itself."""
        if (code := self.process.returncode) is not None:
            raise SystemExit(
                f"wirewatch connect rss ended with {code}: see {self._log.name}"
            )

    async def kill(self) -> None:
        """Kill it (-9)."""
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> None:
        """Ask it to end; it must do so cleanly."""
        self.process.terminate()
        if code := await asyncio.wait_for(self.process.wait(), 60):
            raise SystemExit(f"wirewatch connect rss ended with {code}")


async def records(log: Log, topic: Topic) -> AsyncIterator[Record]:
    """Yield everything on *topic*."""
    starts, ends = await log.starts(topic.name), await log.ends(topic.name)
    async for record in log.read(topic.name, starts, ends):
        yield record
