"""The generations of the embedded index: a file each, and a name that leads to one.

``index.db`` is a symbolic link to the live generation (``index-000001.db``); renaming
another link over it is the switch, which every process sees at its next call. A file
is deleted when it is live no longer; who still has it open keeps it until then.

Somebody else may delete files, too, and the next one may get a deleted one's name: what
is open is told from what is live by :class:`File`, not by its path.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from streams.errors import AlreadyRunningError


FILE: Final = "index.db"
_LOCK: Final = "index.rebuild"
_LOOK_S: Final = 0.02
_NAME: Final = re.compile(r"index-(\d{6,})\.db")
#: What SQLite keeps beside a file. The file goes first: without it nobody opens these.
_PARTS: Final = ("", "-wal", "-shm")


class File(NamedTuple):
    """A file of the index. One that is open keeps its number from being given again."""

    path: Path
    device: int
    inode: int


class Files:
    """The generations in *folder*. ``only`` is the one that is meant, live or not."""

    def __init__(self, folder: Path, *, only: Path | None = None) -> None:
        self.folder = folder
        self.only = only
        self._link = folder / FILE

    def file(self) -> File | None:
        """Return the live file as it is now; None when there is none."""
        live = self.live()
        if live is None:
            return None
        try:
            about = live.stat()
        except FileNotFoundError:
            return None
        return File(live, about.st_dev, about.st_ino)

    def live(self) -> Path | None:
        """Return where the live file lies or lay; None before there is one."""
        if self.only is not None:
            return self.only
        try:
            return self.folder / self._link.readlink()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return self._link  # a plain file: the generation before the first

    def path(self, number: int) -> Path:
        """Return where generation *number* lies."""
        return self.folder / f"index-{number:06}.db"

    def following(self) -> Path:
        """Return where the next generation will lie.

        What SQLite keeps beside a file that was deleted may be in use still: no name
        is taken again of which anything is there.
        """
        numbers = [_number(path) for path in self._parts()]
        return self.path(max([self.number(), *numbers]) + 1)

    def number(self) -> int:
        """Return the number of the live generation; 0 before there is one."""
        live = self.live()
        return 0 if live is None else _number(live)

    def older(self) -> list[Path]:
        """Return the generations before the live one: a reindex ended too early."""
        return [path for path in self.all() if _number(path) < self.number()]

    def newer(self) -> list[Path]:
        """Return the generations after the live one: half-built."""
        return [path for path in self.all() if _number(path) > self.number()]

    def orphans(self) -> list[Path]:
        """Return what SQLite kept beside earlier generations that are gone.

        Their numbers are not given again: who still has such a file open is alone with it.
        """
        generations = {path.name for path in self.all()}
        return [
            path
            for path in self._parts()
            if _number(path) < self.number()
            and path.name.removesuffix("-wal").removesuffix("-shm") not in generations
        ]

    def make_live(self, path: Path) -> None:
        """Lead everybody to *path* from now on, also after a power failure."""
        aside = self._link.with_suffix(".next")
        aside.unlink(missing_ok=True)
        aside.symlink_to(path.name)
        aside.replace(self._link)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def claimed(self, *, wait_s: float = 0.0) -> Iterator[None]:
        """Be the one who builds or erases; AlreadyRunningError if another does.

        The claim ends with its process, however that ends.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        deadline = time.monotonic() + wait_s
        try:
            while not _locked(lock):
                if time.monotonic() >= deadline:
                    raise AlreadyRunningError(
                        f"another reindex builds the index in {self.folder}, or a "
                        "forget erases there: again when it has ended"
                    )
                time.sleep(_LOOK_S)
            yield
        finally:
            os.close(lock)

    def all(self) -> list[Path]:
        """Return every generation, the oldest first."""
        found = [path for path in self._parts() if _NAME.fullmatch(path.name)]
        return sorted(found, key=_number)

    def _parts(self) -> Iterator[Path]:
        """Yield the generations, and what SQLite keeps beside each."""
        if self.folder.is_dir():
            yield from (path for path in self.folder.iterdir() if _number(path))


def _locked(lock: int) -> bool:
    """Take the lock; False if somebody has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def made(path: Path) -> File:
    """Make an empty file for a generation, and return it; one that is there stays."""
    opened = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        about = os.fstat(opened)
    finally:
        os.close(opened)
    return File(path, about.st_dev, about.st_ino)


def drop(path: Path) -> None:
    """Delete a generation."""
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)


def _number(path: Path) -> int:
    found = _NAME.match(path.name)
    return int(found[1]) if found else 0
