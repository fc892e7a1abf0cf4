"""A folder that transcripts appear in: which files are complete. Reads, never writes.

Only what lies in it counts: no link is followed, and nothing is waited for that is not a
file (a pipe, a device), also when it takes a file's place at the last moment.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


#: An hour of speech takes 100 kB.
TRANSCRIPT_MAX_BYTES = 10_000_000
#: What uploaders call a file until it is whole.
UNFINISHED = frozenset(
    {".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart"}
)


class Look(NamedTuple):
    """A file's size and time: what changes when somebody writes to it."""

    size_bytes: int
    mtime_ns: int


class Taken(NamedTuple):
    """A file as read; ``data`` is None when it is larger than a transcript can be."""

    look: Look
    sha256: str
    data: bytes | None


def looks(folder: Path) -> dict[str, Look]:
    """Return the files below *folder*, by their path in it with ``/``.

    Hidden and unfinished ones and links are left out. Raises OSError if it cannot be
    read.
    """
    return dict(sorted(_walk(folder, "")))


def take(path: Path) -> Taken | None:
    """Return the file *path*, or None if somebody wrote to it meanwhile."""
    with os.fdopen(_opened(path), "rb") as file:
        before = _look(os.fstat(file.fileno()))
        if before.size_bytes > TRANSCRIPT_MAX_BYTES:
            data, sha256 = None, hashlib.file_digest(file, "sha256").hexdigest()
        else:
            data = file.read(TRANSCRIPT_MAX_BYTES + 1)
            sha256 = hashlib.sha256(data).hexdigest()
    return Taken(before, sha256, data) if _look(path.lstat()) == before else None


def _opened(path: Path) -> int:
    """Return a descriptor of the file at *path*; OSError if it is anything else."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file")
    return descriptor


def _look(status: os.stat_result) -> Look:
    return Look(status.st_size, status.st_mtime_ns)


class Settling:
    """Tells when a file has stood still for ``settle_s``.

    One whose time lies back that far when first seen was renamed in, and is complete.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._since: dict[str, tuple[Look, float]] = {}

    def settled(
        self, found: dict[str, Look], *, now_s: float, wall_s: float
    ) -> Iterator[str]:
        """Yield those of *found* that are complete; forget what is not found any more.

        ``now_s`` is monotonic, ``wall_s`` is the time that files are stamped with.
        """
        self._since = {
            name: self._since[name]
            if name in self._since and self._since[name][0] == look
            else (look, now_s)
            for name, look in found.items()
        }
        for name, (look, since_s) in self._since.items():
            at_rest_s = max(now_s - since_s, wall_s - look.mtime_ns / 1e9)
            if at_rest_s >= self._settle_s:
                yield name


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, Look]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{name}/")
            elif (
                entry.is_file(follow_symlinks=False)
                and Path(name).suffix.lower() not in UNFINISHED
            ):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield name, _look(status)
