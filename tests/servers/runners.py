"""How a server is run: as a process of ours, or in a container. One face for both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

from abc import ABC, abstractmethod
from pathlib import Path

import psutil

from tests.servers import guard
from tests.servers.errors import ServerError


END_MAX_S = 15.0
STOP_LOOK_S = 0.001


class Runner(ABC):
    """One server under a guard; its data and log lie in ``folder``, which is its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._log_start = 0
        self._started = False
        self._ended = False
        #: A test run may be interrupted while a thread of it is starting a server.
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start it; returns before it serves."""
        with self._lock:
            if self._ended:
                raise ServerError("the server was ended before it had started")
            assert not self.running(), "it runs already"
            self._release()
            self._log_start = self.log.stat().st_size if self.log.exists() else 0
            with self.log.open("ab") as log:
                self._guard = subprocess.Popen(
                    [sys.executable, "-IS", guard.__file__, json.dumps(self._orders())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C in a terminal is not for it
                )
            assert self._guard.stdout is not None
            pid = self._guard.stdout.readline()
            if not pid:
                raise ServerError(f"cannot be run: {self.printed()[-1000:]}")
            self._pid = int(pid)
            self._started = True

    def running(self) -> bool:
        """Tell whether the server runs (or is paused)."""
        return self._guard is not None and self._guard.poll() is None

    def printed(self) -> str:
        """Return what it logged since it was last started."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def end(self) -> None:
        """End it for good, and remove its data; harmless when it has ended."""
        with self._lock:
            self._ended = True
            if self._guard is not None and self._guard.poll() is None:
                self._release()  # one sign of two: a child may hold the pipe open
                self._guard.terminate()
                self._guard.wait(END_MAX_S)
            elif ending := self._orders()["ending"]:
                subprocess.run(ending, check=False, capture_output=True)
            self._release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """Kill it, as with ``kill -9``; its data stay."""
        self._kill()
        assert self._guard is not None
        self._guard.wait(END_MAX_S)

    @abstractmethod
    def pause(self) -> None:
        """Let it stand still, its connections open."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on."""

    @abstractmethod
    def _orders(self) -> guard.Orders: ...

    @abstractmethod
    def _kill(self) -> None: ...

    def _release(self) -> None:
        if self._guard is not None:
            assert self._guard.stdin is not None
            assert self._guard.stdout is not None
            self._guard.stdin.close()
            self._guard.stdout.close()


class Process(Runner):
    """A server as a process group of its own."""

    def __init__(
        self,
        folder: Path,
        command: list[str],
        *,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        before: list[str] | None = None,
    ) -> None:
        super().__init__(folder)
        self._command = command
        self._cwd = cwd or folder
        self._env = {"PATH": os.environ.get("PATH", os.defpath)} | (env or {})
        self._user = user
        self._before = before or []

    def pause(self) -> None:
        """Send SIGSTOP; return when it has come to a stop, which under load takes a while."""
        os.killpg(self._pid, signal.SIGSTOP)
        process = psutil.Process(self._pid)
        deadline_s = time.monotonic() + END_MAX_S
        while process.status() != psutil.STATUS_STOPPED:
            if time.monotonic() > deadline_s:
                raise ServerError("the server does not stop on SIGSTOP")
            time.sleep(STOP_LOOK_S)

    def resume(self) -> None:
        """Send SIGCONT."""
        os.killpg(self._pid, signal.SIGCONT)

    def _kill(self) -> None:
        os.killpg(self._pid, signal.SIGKILL)

    def _orders(self) -> guard.Orders:
        return {
            "before": [] if self._started else self._before,
            "command": self._command,
            "cwd": str(self._cwd),
            "env": self._env,
            "user": self._user,
            "log": str(self.log),
            "ending": [],
            "folder": str(self.folder),
        }


class Container(Runner):
    """A server in a container, which the guard attaches to and at the end removes."""

    def __init__(
        self, folder: Path, engine: str, image: str, options: list[str]
    ) -> None:
        super().__init__(folder)
        self._engine = engine
        self._name = folder.name
        self._create: list[str] | None = ["create", *options, image]

    def start(self) -> None:
        """Start it; the first time the container is created."""
        if self._create is not None:
            command, *rest = self._create
            self._call(command, "--name", self._name, *rest)
            self._create = None
        super().start()

    def pause(self) -> None:
        """Freeze its processes."""
        self._call("pause", self._name)

    def resume(self) -> None:
        """Thaw them."""
        self._call("unpause", self._name)

    def _kill(self) -> None:
        self._call("kill", "--signal", "KILL", self._name)

    def _orders(self) -> guard.Orders:
        return {
            "before": [],
            "command": [self._engine, "start", "--attach", self._name],
            "cwd": str(self.folder),
            "env": dict(os.environ),  # DOCKER_HOST and its like
            "user": None,
            "log": str(self.log),
            "ending": [self._engine, "rm", "--force", "--volumes", self._name],
            "folder": str(self.folder),
        }

    def _call(self, *words: str) -> None:
        done = subprocess.run(
            [self._engine, *words], check=False, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise ServerError(f"{self._engine} {words[0]}: {done.stderr.strip()}")
