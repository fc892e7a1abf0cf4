"""The installed command, run as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest


WIREWATCH = str(Path(sys.executable).with_name("wirewatch"))
PATIENCE_S = 120.0


class Running:
    """A command that runs.

    Its words are read as they come, so that it never waits for a reader; its standard
    output is read line by line, by whoever asked for it.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._stderr = _stream(process.stderr)
        process.stderr = None  # which from now on is only ours to read
        self._lines: list[str] = []
        self._told = 0
        self._heard = threading.Condition()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    @property
    def said(self) -> str:
        """All of standard error until now."""
        return "".join(self._lines)

    def says(self, *words: str) -> None:
        """Return when it has said a line with all of *words*."""
        self._line_with(words, 0)

    def line(self) -> str:
        """Return the next line of standard output; '' when there will be none."""
        return _stream(self.process.stdout).readline()

    def errors_until(self, text: str) -> str:
        """Return the first line of standard error, after the last returned, with *text*."""
        found = self._line_with([text], self._told)
        self._told = found + 1
        return self._lines[found]

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, float]:
        """Send a signal; return the exit code, and how long it took in seconds."""
        since = time.monotonic()
        self.process.send_signal(number)
        self.rest()
        return self.process.returncode, time.monotonic() - since

    def stop(self) -> None:
        """Ask it to end; it must do so cleanly."""
        code, _ = self.end(signal.SIGTERM)
        assert code == 0, self.said[-4000:]

    def kill(self) -> None:
        """Kill it (-9)."""
        self.process.kill()
        self.rest()

    def rest(self) -> str:
        """Return what is left of standard output once it has ended."""
        output, _ = self.process.communicate(timeout=PATIENCE_S)
        self._listening.join(PATIENCE_S)
        return output or ""

    def _listen(self) -> None:
        with self._stderr:
            for line in self._stderr:
                with self._heard:
                    self._lines.append(line)
                    self._heard.notify_all()
        with self._heard:
            self._heard.notify_all()

    def _line_with(self, words: Iterable[str], since: int) -> int:
        """Return the number of the first line from *since* on that has all *words*."""

        def found() -> int | None:
            numbered = enumerate(self._lines[since:], since)
            return next(
                (n for n, one in numbered if all(w in one for w in words)), None
            )

        with self._heard:
            self._heard.wait_for(
                lambda: found() is not None or self._stderr.closed, PATIENCE_S
            )
            number = found()
        assert number is not None, (words, self.said[-4000:])
        return number


class Wirewatch:
    """The command with a data folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        #: Variables of the environment, over what all commands here get.
        self.settings: dict[str, str] = {}
        self._begun: list[Running] = []

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

    def start(self, *words: str, stdout: int = subprocess.PIPE) -> Running:
        """Begin to run; whatever still runs after the test is killed."""
        process = subprocess.Popen(
            [WIREWATCH, *words],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._begun.append(Running(process))
        return self._begun[-1]

    def close(self) -> None:
        """Kill what still runs."""
        for running in self._begun:
            running.kill()

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
    command.start("run", stdout=subprocess.DEVNULL).errors_until("run.ready")
    yield command
    command.close()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
