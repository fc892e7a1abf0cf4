"""Ctrl-C and SIGTERM end a long-running command cleanly; a second time, at once."""

from __future__ import annotations

import asyncio
import os
import signal

from collections.abc import Iterator
from contextlib import contextmanager

from console.exits import Exit


SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping(stop: asyncio.Event) -> Iterator[None]:
    """Set *stop* on the first signal; within a running event loop."""
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            # Whoever asks twice wants no more waiting; the log survives any end.
            os._exit(Exit.INTERRUPTED)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
