"""One connector of a kind a data folder.

Kafka leaves it to the newer of two processes to take over (:mod:`connectors.rss.recovery`);
on the embedded log, where both are on one machine, the second is refused. As the worker's
(:mod:`streams.log.doorbell`) the place is a ``flock``: it ends with its process, however
that ends.
"""

from __future__ import annotations

import fcntl
import time

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

from connectors.rss.shard import Shard
from streams.errors import AlreadyRunningError
from streams.settings import Settings


Kind = Literal["rss", "radio"]
#: Who only asks whether it is taken holds a place for a moment.
GLANCE_S = 0.1


@asynccontextmanager
async def taken(settings: Settings, *kinds: Kind) -> AsyncIterator[None]:
    """Be the one who reads the sources of these *kinds*; of feeds, those of ``rss.shard``.

    Take it with the log open: then the data folder is there, and can be written to.
    Raises AlreadyRunningError if another process has one of them.
    """
    with ExitStack() as held:
        if settings.mode == "embedded":
            for kind in kinds:
                _take(kind, settings, held)
        yield


def is_taken(settings: Settings, kind: Kind) -> bool:
    """Whether some process reads the sources of *kind*, on the embedded log."""
    try:
        lock = _lock_of(kind, settings).open("rb")
    except FileNotFoundError:
        return False
    with lock:
        return not _locks(lock.fileno(), fcntl.LOCK_EX)


def _lock_of(kind: Kind, settings: Settings) -> Path:
    return settings.data_folder / f".{kind}.lock"


def _take(kind: Kind, settings: Settings, held: ExitStack) -> None:
    shard = Shard.parse(settings.rss.shard) if kind == "rss" else Shard()
    folder = settings.data_folder
    is_free = _held(_lock_of(kind, settings), held, shared=shard.total > 1)
    if is_free and shard.total > 1:
        name = f".{kind}-{shard.number}-of-{shard.total}.lock"
        is_free = _held(folder / name, held, shared=False)
    if not is_free:
        raise AlreadyRunningError(_told(kind, shard, folder))


def _held(path: Path, held: ExitStack, *, shared: bool) -> bool:
    """Hold the lock at *path* until *held* ends; return whether that could be."""
    lock = held.enter_context(path.open("wb"))
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + GLANCE_S
    while not (is_ours := _locks(lock.fileno(), how)) and time.monotonic() < deadline:
        time.sleep(GLANCE_S / 10)
    return is_ours


def _locks(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _told(kind: Kind, shard: Shard, folder: Path) -> str:
    what = "stations" if kind == "radio" else "feeds"
    share = f" of rss.shard {shard}" if shard.total > 1 else ""
    return (
        f"another process reads the {what}{share} on {folder}: 'wirewatch run' or "
        f"'wirewatch connect {kind}'; it goes on. Stop it before you start this one"
    )
