"""All stages in one process, as ``wirewatch worker``, noting when each item is indexed.

``python -m bench.worker FILE``; settings come from the environment. Writes a line
``id time`` (seconds since the epoch) for each item when its write was acknowledged, and
``ready`` to standard output when the stages take records.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

import structlog

from mappings import opening as opening_module
from mappings.face import Fate, SearchIndex
from streams import settings as configuration
from streams import worker
from streams.records import Incident, Item
from streams.settings import Settings


class Noting:
    """A search index that notes when each item was stored."""

    def __init__(self, index: SearchIndex, notes: TextIO) -> None:
        self._index = index
        self._notes = notes

    async def __aenter__(self) -> Self:
        await self._index.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._index.__aexit__(kind, error, trace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def write(self, documents: Sequence[Item | Incident]) -> list[Fate]:
        fates = await self._index.write(documents)
        now = time.time()
        for one in documents:
            if isinstance(one, Item):
                self._notes.write(f"{one.identities[0].value} {now:.6f}\n")
        self._notes.flush()
        return fates


async def main(notes: TextIO) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    opening = opening_module.open_index

    def noting(settings: Settings) -> Noting:
        return Noting(opening(settings), notes)

    vars(worker)["open_index"] = noting
    running = asyncio.ensure_future(
        worker.Worker(configuration.load()).run(stop, ready=ready)
    )
    readying = asyncio.ensure_future(ready.wait())
    await asyncio.wait({running, readying}, return_when=asyncio.FIRST_COMPLETED)
    print("ready", flush=True)
    await running


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    with Path(sys.argv[1]).open("w", encoding="utf-8") as file:
        asyncio.run(main(file))
