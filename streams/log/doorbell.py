"""One worker a log, and how other processes tell it that there is something to read.

The worker's lock is a ``flock`` on the log's folder: it ends with its process, however
that ends, and there is no lock file that somebody might tidy up while a worker runs. The
bell is a FIFO: ringing is a hint that saves waiting, never the only way to find a record.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time

from collections.abc import Callable, Iterator
from pathlib import Path

from streams.errors import AlreadyRunningError


#: Who only asks whether a worker runs holds the lock for a moment.
GLANCE_S = 0.1


@contextlib.contextmanager
def locked(fd: int) -> Iterator[None]:
    """Hold the lock on *fd*: writers of several processes take turns.

    SQLite's own busy handler polls (up to 100 ms); the kernel wakes the next one.
    """
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def worker_runs(path: Path) -> bool:
    """Whether some process works on the log at *path* now."""
    lock = os.open(path.parent, os.O_RDONLY)
    try:
        return not _locks(lock)
    finally:
        os.close(lock)


def _locks(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def bell_of(path: Path) -> Path:
    """Return where the bell of the log at *path* lies.

    Hidden, since whoever copies or greps ``data/*`` would wait for somebody to ring it.
    """
    return path.with_name(f".{path.name}.bell")


def ring(path: Path) -> None:
    """Tell the worker of the log at *path*, if there is one, to look again."""
    with contextlib.suppress(OSError):  # no worker, or one that has been rung already
        bell = os.open(bell_of(path), os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(bell, b"!")
        finally:
            os.close(bell)


class Post:
    """The worker's place at a log: taken by one process at a time."""

    def __init__(self, path: Path, on_ring: Callable[[], None]) -> None:
        self._path = path
        self._on_ring = on_ring
        self._lock: int | None = None
        self._bell: int | None = None

    def take(self) -> None:
        """Become the one worker; AlreadyRunningError when there is another."""
        lock = os.open(self._path.parent, os.O_RDONLY)
        deadline = time.monotonic() + GLANCE_S
        while not _locks(lock):
            if time.monotonic() > deadline:
                os.close(lock)
                raise AlreadyRunningError(
                    f"another worker runs on {self._path}: the embedded log takes one "
                    "at a time; stop that one, or use Kafka for more"
                )
            time.sleep(GLANCE_S / 10)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(bell_of(self._path), 0o600)
        self._lock = lock
        self._bell = os.open(bell_of(self._path), os.O_RDWR | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._bell, self._rung)

    def leave(self) -> None:
        """Make room for another worker."""
        if self._bell is not None and self._lock is not None:
            asyncio.get_running_loop().remove_reader(self._bell)
            os.close(self._bell)
            os.close(self._lock)
            self._bell = self._lock = None

    @property
    def taken(self) -> bool:
        """Whether this process works here."""
        return self._lock is not None

    def _rung(self) -> None:
        assert self._bell is not None
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 65536)
        self._on_ring()
