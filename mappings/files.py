"""The generations of the embedded index: a file each, and a name that leads to one.

``index.db`` is a symbolic link to the live generation (``index-000001.db``); renaming
another link over it is the switch, which every process sees at its next call. A file
is deleted when it is live no longer; who still has it open keeps it until then.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streams.errors import AlreadyRunningError


FILE: Final = "index.db"
_LOCK: Final = "index.rebuild"
_NAME: Final = re.compile(r"index-(\d{6,})\.db")
#: What SQLite keeps beside a file. The file goes first: without it nobody opens these.
_PARTS: Final = ("", "-wal", "-shm")


class Files:
    """The generations in *folder*. ``only`` is the one that is meant, live or not."""

    def __init__(self, folder: Path, *, only: Path | None = None) -> None:
        self.folder = folder
        self._only = only
        self._link = folder / FILE

    def live(self) -> Path | None:
        """Return the file that is read and written now; None before there is one."""
        if self._only is not None:
            return self._only
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

    def number(self) -> int:
        """Return the number of the live generation; 0 before there is one."""
        live = self.live()
        return 0 if live is None else _number(live)

    def older(self) -> list[Path]:
        """Return the generations before the live one: a reindex ended too early."""
        return [path for path in self._all() if _number(path) < self.number()]

    def newer(self) -> list[Path]:
        """Return the generations after the live one: half-built."""
        return [path for path in self._all() if _number(path) > self.number()]

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

    def make_first_live(self, path: Path) -> None:
        """Lead everybody to *path* unless somebody was faster."""
        with contextlib.suppress(FileExistsError):
            self._link.symlink_to(path.name)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Be the one who builds a generation; AlreadyRunningError if another does.

        The claim ends with its process, however that ends.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise AlreadyRunningError(
                    f"another reindex builds the index in {self.folder}: wait for it"
                ) from error
            yield
        finally:
            os.close(lock)

    def _all(self) -> list[Path]:
        if self.folder.is_dir():
            found = [p for p in self.folder.iterdir() if _NAME.fullmatch(p.name)]
            return sorted(found, key=_number)
        return []


def drop(path: Path) -> None:
    """Delete a generation."""
    for part in _PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)


def _number(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else 0
