"""``wirewatch connect`` and ``wirewatch worker``: one role a process, for servers."""

from __future__ import annotations

import asyncio

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import structlog
import typer

from connectors.face import Connector
from connectors.places import taken
from connectors.radio.connector import RadioConnector
from connectors.rss.connector import RssConnector
from connectors.rss.shard import Shard
from console import options
from console.context import Context, command
from console.exits import Exit
from console.options import ListenOption
from console.signals import stopping
from streams.errors import SettingsError
from streams.log.face import Log
from streams.log.opening import open_log
from streams.monitor.server import monitored
from streams.monitor.watched import Watched
from streams.patience import patiently
from streams.settings import Settings
from streams.topics import DECLARED, STAGES
from streams.worker import Worker


CONNECT = """\
Examples:

wirewatch connect rss --config wirewatch.toml

wirewatch connect rss --shard 2/8  (the second of eight processes)

WIREWATCH_KAFKA_BOOTSTRAP=kafka:9092 wirewatch connect radio
"""
WORKER = """\
Examples:

wirewatch worker  (all stages)

wirewatch worker --stage annotate  (start as many as there are cores)

wirewatch worker --stage dedupe --stage correlate
"""

_log = structlog.get_logger()


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(app, epilog=CONNECT, service=True)(connect)
    command(app, epilog=WORKER, service=True)(worker)


async def connect(
    at: Context,
    kind: Annotated[
        Literal["rss", "radio"], typer.Argument(help="Which kind of source to read.")
    ],
    *,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="N/M",
            help="Which of M processes this is, such as 2/8, each of which reads the "
            "feeds of some sites; rss.shard if not given.",
        ),
    ] = None,
    listen: ListenOption = None,
) -> Exit:
    """Read the configured feeds or stations and publish what they give.

    Runs until SIGTERM or Ctrl-C. Kafka being away is waited for. Feeds that are added,
    paused or removed meanwhile ('wirewatch feeds', or in the configuration file) are
    taken up within seconds.
    """
    settings = _sharded(at.settings, kind, shard)
    if kind == "radio" and not settings.radio.stations:
        raise SettingsError(
            f"there is no source to read: add [[radio.stations]] to {at.file_to_edit}"
        )
    stop = asyncio.Event()
    with stopping(stop):
        async with open_log(settings) as log, taken(settings, kind):
            begun = asyncio.Event()
            reading = connector(kind, settings, log, file=at.config_file)
            watched = Watched(
                role="connect-rss" if kind == "rss" else "connect-radio",
                ready=begun.is_set,
                connectors=[reading],
            )
            async with monitored(settings, watched, listen=listen):
                await patiently("topics", lambda: log.create(DECLARED), stop)
                if not stop.is_set():
                    _log.info("connector.started", kind=kind)
                    begun.set()
                    await reading.run(stop)
    _log.info("connector.stopped", kind=kind)
    return Exit.OK


async def worker(
    at: Context,
    *,
    stage: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Only this stage: dedupe, annotate, correlate or index; repeatable.",
        ),
    ] = None,
    listen: ListenOption = None,
) -> Exit:
    """Run the stages: dedupe, annotate, correlate, index.

    Runs until SIGTERM or Ctrl-C, then finishes what is under way. Servers being away
    is waited for; what nobody could mend by waiting ends it with code 3.
    """
    for one in stage or ():
        options.nearest(one, STAGES, "stage", "--stage")
    stop, ready = asyncio.Event(), asyncio.Event()
    with stopping(stop):
        running = Worker(at.settings, stages=stage or STAGES)
        watched = Watched(
            role="worker",
            ready=ready.is_set,
            progress=running.progress,
            delays_s=running.delays_s,
            session_s=at.settings.kafka.session_timeout_s,
        )
        told = asyncio.create_task(_tell(ready, stage or STAGES))
        try:
            async with monitored(at.settings, watched, listen=listen):
                await running.run(stop, ready=ready)
        finally:
            told.cancel()
    _log.info("worker.stopped")
    return Exit.OK


def connector(
    kind: Literal["rss", "radio"],
    settings: Settings,
    log: Log,
    *,
    file: Path | None = None,
) -> Connector:
    """Return the connector of *kind*; *file* is the configuration, whose feeds it follows."""
    if kind == "rss":
        return RssConnector(settings, log, file=file)
    return RadioConnector(settings, log)


def _sharded(settings: Settings, kind: str, shard: str | None) -> Settings:
    """Return *settings* with what ``--shard`` says; SettingsError if it says nothing."""
    if shard is None:
        return settings
    if kind != "rss":
        raise SettingsError(f"--shard is for 'connect rss': {kind} has no shards")
    rss = msgspec.structs.replace(settings.rss, shard=str(Shard.parse(shard)))
    return msgspec.structs.replace(settings, rss=rss)


async def _tell(ready: asyncio.Event, stages: list[str] | tuple[str, ...]) -> None:
    await ready.wait()
    _log.info("worker.ready", stages=",".join(stages))
