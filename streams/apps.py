"""Runs stages: one Faust app, and so one consumer group, each.

Each stage is scaled, restarted and replayed on its own, though one process can run them
all: an idle app costs next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

import faust
import structlog

from streams.errors import FatalError
from streams.log.access import ssl_context
from streams.log.assignor import Assignor
from streams.log.embedded import FILE_NAME
from streams.settings import Settings
from streams.stage import Progress, Stage, attach
from streams.topics import RECORD_MAX_BYTES, group


log = structlog.get_logger(__name__)

#: How long an app may take to finish what is under way and to leave its group.
STOP_S = 6.0
POLLED_WITHIN_S = 10 * 365 * 86_400.0


async def serve(
    settings: Settings,
    stages: Sequence[Stage],
    *,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
    progress: dict[str, Progress] | None = None,
    watches: Sequence[Coroutine[Any, Any, None]] = (),
) -> None:
    """Run *stages*, each in an app of its own, until *stop* is set or one cannot go on.

    Topics must exist, and an embedded log must be open in this process. Beside them run
    *watches*: an error that one raises stops all.
    """
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_fatal(error: BaseException) -> None:
        if not failed.done():
            failed.set_exception(error)

    async with AsyncExitStack() as stack:
        datadir = stack.enter_context(tempfile.TemporaryDirectory(prefix="wirewatch-"))
        for stage in stages:
            for resource in stage.resources:
                await stack.enter_async_context(resource)
        apps = []
        for stage in stages:
            app = make_app(settings, stage.name, datadir)
            state = attach(
                app,
                stage,
                prefix=settings.prefix,
                on_fatal=on_fatal,
                refusals_max=settings.stages.refusals_max,
            )
            if progress is not None:
                progress[stage.name] = state
            apps.append(app)
        watching = [_watched(watch, on_fatal) for watch in watches]
        try:
            await _until_stopped(apps, stop, failed, ready)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*(_stopped(app) for app in apps))
            failed.cancel()


def _watched(
    watch: Coroutine[Any, Any, None], on_fatal: Callable[[BaseException], None]
) -> asyncio.Task[None]:
    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            on_fatal(error)

    task = asyncio.ensure_future(watch)
    task.add_done_callback(ended)
    return task


async def _until_stopped(
    apps: Sequence[faust.App],
    stop: asyncio.Event,
    failed: asyncio.Future[None],
    ready: asyncio.Event | None,
) -> None:
    starting = asyncio.ensure_future(_started(apps))
    stopping = asyncio.ensure_future(stop.wait())
    # Faust's own wait_until_stopped leaves tasks behind when it is cancelled.
    crashes = [asyncio.ensure_future(app._crashed.wait()) for app in apps]  # noqa: SLF001
    waiting = {starting, stopping, failed, *crashes}
    try:
        while True:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if starting in done:
                starting.result()
                waiting.discard(starting)
                if ready is not None:
                    ready.set()
            if failed in done:
                failed.result()
            if stopping in done:
                return
            for app in apps:
                if app.crashed:
                    raise FatalError(
                        f"{app.conf.id} crashed: {app.crash_reason!r}"
                    ) from app.crash_reason
    finally:
        for task in (starting, stopping, *crashes):
            task.cancel()
        await asyncio.gather(starting, stopping, *crashes, return_exceptions=True)


async def _started(apps: Sequence[faust.App]) -> None:
    """Return when all apps take records; together, since each waits a second in Faust."""
    await asyncio.gather(*(app.start() for app in apps))


async def _stopped(app: faust.App) -> None:
    try:
        await asyncio.wait_for(app.stop(), STOP_S)
    except Exception as error:  # noqa: BLE001 - the others must be stopped all the same
        log.warning("app did not stop cleanly", app=app.conf.id, error=repr(error))


class _FaustSettings(faust.Settings):
    """Faust's, which would put the environment over what is given.

    Its names are common ones (BROKER_URL, DEBUG), and CONSUMER_AUTO_OFFSET_RESET loses
    records: what may be set from outside is in :mod:`streams.settings`.
    """

    def getenv(self, env_name: str) -> None:
        """Find nothing."""


class _App(faust.App):
    Settings = _FaustSettings


def make_app(settings: Settings, stage: str, datadir: str) -> faust.App:
    """Return the Faust app of *stage*.

    The settings that differ from Faust's defaults are there to lose nothing (acks,
    earliest, wait_empty), to notice a dead worker in seconds, and to bound memory: the
    stream buffer counts batches, not records.
    """
    kafka = settings.kafka
    app = _App(
        settings.prefix + group(stage),
        broker=_broker(settings),
        datadir=datadir,
        store="memory://",
        # A table in memory is restored whole when its partition comes: what a standby
        # had read of it before is not used, and takes as much memory again.
        table_standby_replicas=0,
        web_enabled=False,
        PartitionAssignor=Assignor,
        topic_disable_leader=True,
        # All are there when an app starts. Faust would ask for a table's again, which
        # takes a right that a stage need not have.
        topic_allow_declare=False,
        topic_replication_factor=kafka.replication,
        stream_wait_empty=True,
        stream_buffer_maxsize=4,
        stream_recovery_delay=0.0,
        broker_commit_interval=1.0,
        broker_max_poll_records=2000,
        # A stage that waits fetches nothing. After this time aiokafka leaves the group,
        # and does not come back before the next fetch, which then never is.
        broker_max_poll_interval=POLLED_WITHIN_S,
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.session_timeout_s * 0.3,
        broker_rebalance_timeout=30.0,
        broker_request_timeout=max(30.0, kafka.session_timeout_s),
        consumer_auto_offset_reset="earliest",
        # Of a partition; a record that is larger comes all the same. aiokafka holds as much
        # again of each partition while this is worked on.
        consumer_max_fetch_size=RECORD_MAX_BYTES,
        consumer_group_instance_id=(
            f"{kafka.instance}-{stage}" if kafka.instance else None
        ),
        # Shorter than the session. What is not taken in that time is given up: the
        # stage says that it waits, and asks for its lease again before it repeats.
        producer_request_timeout=kafka.session_timeout_s * 0.8,
        **_credentials(settings),
    )
    logging.getLogger("faust").setLevel(logging.WARNING)
    # A commit that takes longer than the time between two is late, and costs nothing.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
    return app


def _broker(settings: Settings) -> list[str]:
    if settings.mode == "embedded":
        return [f"wiresqlite://{settings.data_folder / FILE_NAME}"]
    return [f"wirekafka://{one.strip()}" for one in settings.kafka.bootstrap.split(",")]


def _credentials(settings: Settings) -> dict[str, Any]:
    kafka = settings.kafka
    if settings.mode == "embedded" or kafka.security == "PLAINTEXT":
        return {}
    context = ssl_context(kafka)
    if kafka.security == "SSL":
        return {"broker_credentials": faust.SSLCredentials(context)}
    return {
        "broker_credentials": faust.SASLCredentials(
            username=kafka.username,
            password=kafka.password,
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    }
