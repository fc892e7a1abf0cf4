"""A worker for the delivery tests: items.raw -> one stage -> items.unique.

Or, as ``all``, the real one with all its stages.

What it does with a record is written in the record's title (see :class:`Errand`), what it
does to itself in its arguments. Settings come from the environment, as for every process.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
import time

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from aiokafka.consumer.subscription_state import SubscriptionState

from streams import settings as configuration
from streams.apps import serve
from streams.errors import PermanentError, TransientError, WirewatchError
from streams.log import kafka_transport, sqlite_transport
from streams.log.delivery import BatchConsumer, Part
from streams.log.face import Output
from streams.log.opening import open_log
from streams.log.standing import hold
from streams.settings import Settings
from streams.stage import Abandoned, Decision, Outcome, Received, Refusal, Stage
from streams.stage import _Loop as Loop
from streams.topics import DECLARED, DEDUPE_TABLE, RAW, UNIQUE
from streams.worker import Worker


class Errand(msgspec.Struct, omit_defaults=True):
    """What is to happen to one record."""

    number: int
    key: str
    refuse: bool = False
    bug: bool = False
    #: Fails, as if a server were away, until this file exists.
    until: str = ""
    slow_s: float = 0.0
    #: Publish so many bytes instead of the record.
    big: int = 0


PRODUCERS: Mapping[str, Any] = {
    "embedded": sqlite_transport.Producer,
    "servers": kafka_transport.Producer,
}
CONSUMERS: Mapping[str, Any] = {
    "embedded": sqlite_transport.Consumer,
    "servers": kafka_transport.Consumer,
}
decode_errand = msgspec.json.Decoder(Errand).decode


def errand_of(received: Received) -> Errand:
    return decode_errand(received.data.title)


def result(received: Received, errand: Errand) -> Decision:
    value = b"x" * errand.big if errand.big else received.record.value
    return Decision([Output(UNIQUE.name, errand.key.encode(), value)])


def checked(errand: Errand) -> None:
    if errand.refuse:
        raise PermanentError("asked to refuse")
    if errand.bug:
        raise ZeroDivisionError("asked to fail")
    if errand.until and not Path(errand.until).exists():
        raise TransientError(f"asked to wait for {Path(errand.until).name}")


def decide(received: Received, state: Mapping[bytes, bytes]) -> Decision:
    """Let the first record of each number through, and each replay of it."""
    errand = errand_of(received)
    checked(errand)
    time.sleep(errand.slow_s)
    key, cause = b"%d" % errand.number, str(received.record.position).encode()
    if state.get(key, cause) != cause:
        return Decision()
    return result(received, errand)._replace(writes={key: cause})


async def handle(batch: Sequence[Received]) -> Sequence[Outcome]:
    """Do all errands of a batch."""
    outcomes: list[Outcome] = []
    for received in batch:
        errand = errand_of(received)
        try:
            checked(errand)
        except PermanentError as error:
            outcomes.append(Refusal("PermanentError", str(error)))
            continue
        await asyncio.sleep(errand.slow_s)
        outcomes.append(result(received, errand))
    return outcomes


def die_between(mode: str, first: str, marker: Path) -> None:
    """Once: store the table's entries or the outputs only, then die."""
    producer = PRODUCERS[mode]
    store = producer.store

    async def half(
        self: Any, outputs: Any, entries: Any, finishing: Any, lease: Any
    ) -> None:
        if marker.exists():
            await store(self, outputs, entries, finishing, lease)
            return
        if first == "entries":
            outputs = []
        else:
            entries = []
        if mode == "embedded":  # where the halves cannot be torn apart, tear them
            await self.records.append([*outputs, *entries])
        else:
            await store(self, outputs, entries, finishing, lease)
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    producer.store = half


def leave_out(offset: int) -> None:
    """Never finish the carrier that holds *offset* of partition 0."""
    work_on = Loop.work_on

    async def work(self: Any, parts: Sequence[Part], message: Any) -> None:
        for part in parts:
            if part.tp.partition == 0 and part.records[0].offset <= offset:
                raise Abandoned
        await work_on(self, parts, message)

    Loop.work_on = work  # type: ignore[method-assign]


def slow_seek(mode: str) -> None:
    """Take time between Faust's own seek of a start and its emptying of the queues.

    And between that and our own seek, in which what is delivered must overtake nothing.
    """
    consumer = CONSUMERS[mode]
    seek, seek_again = consumer.perform_seek, consumer._seek_again
    sought = []

    async def perform_seek(self: Any) -> None:
        sought.append(self)
        ours = len(sought) > 1
        await seek(self)
        await asyncio.sleep(0 if ours else 2)

    async def late(self: Any) -> None:
        await asyncio.sleep(1)
        await seek_again(self)

    consumer.perform_seek = perform_seek
    consumer._seek_again = late


def seek_in_delivery() -> None:
    """Once: go back to what is committed while the second carrier is delivered."""
    deliver = BatchConsumer._deliver
    delivered: list[Any] = []

    async def delivering(self: Any, message: Any) -> None:
        await deliver(self, message)
        if self.app.topics.acks_enabled_for(message.topic):
            delivered.append(message)
            if len(delivered) == 2:
                await self.perform_seek()

    BatchConsumer._deliver = delivering  # type: ignore[method-assign]


def seem_idle() -> None:
    """Let each moment without a fetch be an hour for the client."""

    def idle_s(self: Any) -> float:
        return 0.0 if self._fetch_count else 3600.0

    SubscriptionState.fetcher_idle_time = property(idle_s)


def pause_before_storing(mode: str, marker: Path) -> None:
    """Once: stop the whole process when the results are decided, but not stored."""
    producer = PRODUCERS[mode]
    store = producer.store

    async def paused(self: Any, *args: Any) -> None:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        await store(self, *args)

    producer.store = paused


async def main(options: argparse.Namespace, settings: Settings) -> None:
    stop, ready = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if options.shape == "all":
        await Worker(settings).run(stop)
        return
    table = options.shape == "table"
    stage = Stage(
        name="dedupe",
        sources=[RAW],
        decide=decide if table else None,
        handle=None if table else handle,
        table=DEDUPE_TABLE if table else None,
    )
    async with open_log(settings) as log:
        watches = [hold(log, DECLARED)]
        serving = asyncio.ensure_future(
            serve(settings, [stage], stop=stop, ready=ready, watches=watches)
        )
        readying = asyncio.ensure_future(ready.wait())
        await asyncio.wait({serving, readying}, return_when=asyncio.FIRST_COMPLETED)
        if ready.is_set():
            print("ready", flush=True)  # noqa: T201 - the test waits for this line
        readying.cancel()
        await serving


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=["plain", "table", "all"])
    parser.add_argument("--die-after", choices=["entries", "outputs"])
    parser.add_argument("--leave-out", type=int)
    parser.add_argument("--slow-seek", action="store_true")
    parser.add_argument("--seek-in-delivery", action="store_true")
    parser.add_argument("--pause", action="store_true")
    parser.add_argument("--seem-idle", action="store_true")
    parser.add_argument("--marker", type=Path)
    given = parser.parse_args()
    config = configuration.load()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if given.die_after:
        die_between(config.mode, given.die_after, given.marker)
    if given.leave_out is not None:
        leave_out(given.leave_out)
    if given.slow_seek:
        slow_seek(config.mode)
    if given.seek_in_delivery:
        seek_in_delivery()
    if given.seem_idle:
        seem_idle()
    if given.pause:
        pause_before_storing(config.mode, given.marker)
    try:
        asyncio.run(main(given, config))
    except WirewatchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
