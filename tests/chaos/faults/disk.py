"""A disk that is small enough to fill: a tmpfs, which takes root to mount."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess

from pathlib import Path
from typing import Self


CHUNK_BYTES = 64 << 10


class CannotMountError(Exception):
    """This user may not mount a file system here."""


class SmallDisk:
    """A file system of *size_mb* at *folder*; use as a context manager.

    Raises CannotMountError on entering where one may not mount.
    """

    def __init__(self, folder: Path, *, size_mb: int) -> None:
        self.folder = folder
        self._size_mb = size_mb
        self._padding = folder / "padding"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        size = f"size={self._size_mb}m"
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.folder)]
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
        if done.returncode:
            raise CannotMountError(f"run as root for small disks: {done.stderr}")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)  # noqa: S607 - the system's

    @property
    def free_bytes(self) -> int:
        """What a process may still write."""
        stat = os.statvfs(self.folder)
        return stat.f_bavail * stat.f_frsize

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Take all room but *leave_bytes*, as another program's file."""
        with self._padding.open("ab", buffering=0) as file:
            while (room := self.free_bytes - leave_bytes) > 0:
                try:
                    file.write(bytes(min(room, CHUNK_BYTES)))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return

    def free(self) -> None:
        """Give the room back."""
        with contextlib.suppress(FileNotFoundError):
            self._padding.unlink()
