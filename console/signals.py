"""Ctrl-C and SIGTERM end a long-running command cleanly, and in any case soon."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from console.exits import Exit


SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: Nothing that waits (a server, a disk, a thread) holds up the end for longer; what is
#: cut short then is repeated at the next start, as after kill -9. Docker and Kubernetes
#: wait 10 s and 30 s by default before they kill; docker-compose.yml gives 15 s.
DRAIN_S = 9.0

_log = structlog.get_logger()


@contextmanager
def stopping(stop: asyncio.Event, *, drain_s: float = DRAIN_S) -> Iterator[None]:
    """Set *stop* on the first signal; within a running event loop.

    A second signal ends the process at once, and so does *drain_s* after the first: by
    a thread, since the loop itself may be what hangs.
    """
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            # Whoever asks twice wants no more waiting; the log survives any end.
            os._exit(Exit.INTERRUPTED)
        stop.set()
        timer = threading.Timer(drain_s, _cut_short, [drain_s])
        timer.daemon = True
        timer.start()

    for number in SIGNALS:
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _cut_short(drain_s: float) -> None:
    _log.warning("cut short", after_s=drain_s)
    os._exit(Exit.OK)
