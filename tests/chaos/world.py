"""What the faults strike: servers, and processes of the installed command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from streams import settings as configuration
from streams.settings import Settings
from tests.chaos.invariant import Violation
from tests.chaos.source import PAPERS, STATION, Source


WIREWATCH = str(Path(sys.executable).with_name("wirewatch"))
#: SIGTERM must have ended a process by then.
DRAIN_MAX_S = 60.0


class EndedError(Exception):
    """A process ended that nobody had asked to."""


class Process:
    """One role of the command, started as often as it takes; what it says is kept."""

    def __init__(
        self,
        name: str,
        words: list[str],
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        #: What its next start has beside the common environment.
        self.environment = dict(environment or {})
        self._words = words
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        #: How long its log was when it started.
        self._said_before = 0

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log.open("ab") as log:
            self._said_before = log.tell()
            self._process = subprocess.Popen(
                [WIREWATCH, *self._words],
                cwd=self._folder,
                env=common_environment() | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it, as with ``kill -9``, and its children."""
        os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()

    def stop(self) -> None:
        """Ask it to end, and wait. Raises EndedError if it does so with an error.

        One that has said nothing yet may not have come to listen: it just ends.
        """
        starting = self.log.stat().st_size == self._said_before
        self._running.terminate()
        code = self._running.wait(DRAIN_MAX_S)
        if code != 0 and not (starting and code == -signal.SIGTERM):
            raise EndedError(f"{self.name}: SIGTERM ended it with {code}: {self.log}")

    def pause(self) -> None:
        """Let it stand still, its connections open."""
        os.killpg(self._running.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.killpg(self._running.pid, signal.SIGCONT)

    def wait(self, timeout_s: float) -> int:
        """Return its exit code, once it has ended by itself."""
        return self._running.wait(timeout_s)

    def check(self) -> None:
        """Raise EndedError if it does not run."""
        code = self._running.poll()
        if code is not None:
            raise EndedError(f"{self.name}: it ended by itself with {code}: {self.log}")

    def close(self) -> None:
        """Kill it if it runs."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """Its process id, which is its group's, too."""
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process


class World(ABC):
    """Processes of the installed command, and the source that they read."""

    #: Every process that works on the log, and every connector.
    workers: list[Process]
    connectors: list[Process]

    def __init__(
        self, seed: int, folder: Path, *, has: frozenset[str], rate: float
    ) -> None:
        self.folder = folder
        self.has = has
        #: Positions of what was put on topics and is no record of ours.
        self.malformed: list[str] = []
        #: Of what was published before, raw records may be gone: a full log was trimmed.
        self.trimmed_s = 0.0
        self.source = Source(seed, folder, rate=rate)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self.source.close)
            self._open(stack)
            for process in self.processes:
                stack.callback(process.close)
                process.start()
            self._stack = stack.pop_all()
        self.source.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """What the processes are configured with."""

    @abstractmethod
    def _open(self, stack: ExitStack) -> None:
        """Start what the processes need; *stack* ends it."""

    @abstractmethod
    def holds(self, ident: str) -> bool:
        """Whether the item called *ident* can be found; False if nobody answers."""

    async def claims(self) -> list[Violation]:
        """Return what does not hold of what is claimed for this mode alone."""
        return []

    @property
    def processes(self) -> list[Process]:
        """All that must run."""
        return [*self.workers, *self.connectors]

    def check(self) -> None:
        """Raise EndedError if a process does not run that should."""
        for process in self.processes:
            process.check()

    def run(self, *words: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a command of ours to its end."""
        return subprocess.run(
            [WIREWATCH, *words],
            cwd=self.folder,
            env=common_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )


def configured(folder: Path, lines: Iterable[str]) -> Settings:
    """Write the configuration file in *folder*, and return what it says."""
    file = folder / "wirewatch.toml"
    file.write_text("\n".join(lines), "utf-8")
    return configuration.load(file, environ={})


def sources_toml(source: Source) -> list[str]:
    """Return the settings that make connectors read *source*."""
    lines = [
        "[http]",
        'allow_private = ["127.0.0.1"]',
        "timeout_s = 5",
        "[rss]",
        "interval_s = 1",
        "interval_min_s = 1",
    ]
    for paper in PAPERS:
        for feed in paper.feeds:
            lines += [
                "[[rss.feeds]]",
                f'id = "{feed}"',
                f'publisher = "{paper.name}"',
                f'url = "{source.url}/{feed}.xml"',
            ]
    return [
        *lines,
        "[radio]",
        "settle_s = 0.2",
        "interval_s = 0.5",
        "[[radio.stations]]",
        f'id = "{STATION}"',
        f'folder = "{source.radio.name}"',
    ]


def common_environment() -> dict[str, str]:
    """Return what every command of ours starts with."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("WIREWATCH_")}
    return own | {"WIREWATCH_ANNOTATE_PROCESSES": "1", "COLUMNS": "100"}
