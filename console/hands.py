"""Sees to it that somebody works on the log while a command waits for records."""

from __future__ import annotations

import asyncio

from types import TracebackType
from typing import Self

from streams.errors import AlreadyRunningError
from streams.log.doorbell import worker_runs
from streams.log.embedded import FILE_NAME
from streams.settings import Settings
from streams.worker import Worker


class Hands:
    """A worker in this process, if and as long as the data folder has no other.

    Use as an async context manager, and call :meth:`check` while waiting: it takes
    over when the other worker ends, and raises what made its own end. With servers
    the workers are other processes, always.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = asyncio.Event()
        self._own: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.check()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._own is not None:
            # Its error, if it has one, has been raised by check, or no longer matters.
            await asyncio.gather(self._own, return_exceptions=True)

    def check(self) -> None:
        """Begin to work if nobody does; raise FatalError if that cannot be."""
        if self._settings.mode != "embedded":
            return
        if self._own is not None and self._own.done():
            own, self._own = self._own, None
            try:
                own.result()
            except AlreadyRunningError:
                return  # somebody was faster
        path = self._settings.data_folder / FILE_NAME
        if self._own is None and not worker_runs(path):
            self._own = asyncio.create_task(Worker(self._settings).run(self._stop))
