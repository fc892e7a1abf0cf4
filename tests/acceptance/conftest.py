"""The installed command, run as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest


WIREWATCH = str(Path(sys.executable).with_name("wirewatch"))
PATIENCE_S = 60.0


class Running:
    """A command that runs; its output, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        """Return the next line of standard output; '' when there will be none."""
        return _stream(self.process.stdout).readline()

    def errors_until(self, text: str) -> str:
        """Read standard error until a line holds *text*; return that line."""
        for line in _stream(self.process.stderr):
            if text in line:
                return line
        raise AssertionError(f"the command ended without saying {text!r}")

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Send a signal; return the exit code, and how long it took in seconds."""
        since = time.monotonic()
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, time.monotonic() - since


class Wirewatch:
    """The command with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Variables of the environment, over what all commands here get.
        self.settings: dict[str, str] = {}
        self._begun: list[subprocess.Popen[str]] = []

    def __call__(
        self, *words: str, code: int | None = 0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end; its exit code must be *code* (None: any)."""
        done = subprocess.run(
            [WIREWATCH, *words],
            input=stdin,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert code is None or done.returncode == code, (
            words,
            done.returncode,
            done.stdout,
            done.stderr,
        )
        return done

    def lines(self, *words: str, code: int = 0, stdin: str = "") -> list[Any]:
        """Run to the end; its lines of JSON."""
        done = self(*words, code=code, stdin=stdin)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def redirected(self, *words: str, to: str) -> tuple[int, str]:
        """Run with standard output *to* (``&-`` closes it); code, standard error."""
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" >{to}', "sh", WIREWATCH, *words],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stderr

    def start(self, *words: str) -> Running:
        """Begin to run; whatever still runs after the test is killed."""
        process = subprocess.Popen(
            [WIREWATCH, *words],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(process)
        return Running(process)

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._begun:
            process.kill()
            process.communicate()

    def _environment(self) -> dict[str, str]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("WIREWATCH_")}
        return own | {
            "WIREWATCH_DATA": str(self.folder / "data"),
            "WIREWATCH_ANNOTATE_PROCESSES": "1",
            "COLUMNS": "100",
            **self.settings,
        }


@pytest.fixture
def wirewatch(tmp_path: Path) -> Iterator[Wirewatch]:
    """Return the command on data of its own, where nothing runs."""
    command = Wirewatch(tmp_path)
    yield command
    command.close()


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wirewatch]:
    """Return the command on data on which ``wirewatch run`` works, shared by tests."""
    command = Wirewatch(tmp_path_factory.mktemp("watched"))
    command.start("run").errors_until("run.ready")
    yield command
    command.close()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
