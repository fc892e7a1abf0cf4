"""``wirewatch run``: everything in one process, with a live view."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Collection, Coroutine
from contextlib import nullcontext
from functools import partial
from typing import Annotated

import structlog
import typer

from rich.text import Text

from connectors.face import Connector
from connectors.places import Kind, taken
from console import screen
from console.board import Board
from console.context import Context, command
from console.exits import Exit
from console.live import Watcher, incidents_end
from console.options import JsonOption, ListenOption
from console.roles import connector
from console.sample_feed import SampleFeed
from console.signals import stopping
from console.together import together
from streams.errors import SettingsError
from streams.log.face import Log
from streams.log.opening import open_log
from streams.monitor.server import monitored
from streams.monitor.watched import Watched
from streams.settings import Settings
from streams.worker import Worker


EXAMPLES = """\
Examples:

wirewatch run --sample  (no network needed; then: wirewatch search Kayes --data data-sample)

wirewatch run --config wirewatch.toml

wirewatch run --json | jq .title  (incidents as they appear)
"""

_log = structlog.get_logger()


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES, service=True)(run)


async def run(
    at: Context,
    *,
    sample: Annotated[
        bool,
        typer.Option(
            help="Read the reports that ship with Wirewatch, not the configured "
            "sources; needs no network. They are kept apart from your data: in "
            "data-sample beside it, unless --data names a folder.",
        ),
    ] = False,
    listen: ListenOption = None,
    json: JsonOption = False,
) -> Exit:
    """Watch the configured sources, and show incidents as they appear.

    Everything in one process, everything it knows under the data folder. On a terminal
    it is a live view, with the latest incidents of earlier runs dimmed; otherwise a
    line on standard output for each incident that is new or changed from now on, and
    log lines on standard error. Ctrl-C ends it; nothing is lost.
    """
    if at.settings.mode != "embedded":
        raise SettingsError(
            "'wirewatch run' needs no servers, and mode is \"servers\": start "
            "'wirewatch worker', 'wirewatch connect rss' and 'wirewatch connect radio'"
        )
    if sample:
        at = at.for_sample()
    settings = at.settings
    kinds = _kinds(settings, sample=sample)
    stop, ready = asyncio.Event(), asyncio.Event()
    with stopping(stop):
        async with open_log(settings) as log, taken(settings, *kinds):
            worker = Worker(settings)
            connectors = _connectors(at, log, kinds)
            watcher = Watcher(
                log,
                connectors,
                worker.progress,
                began=await incidents_end(log),
                hint=lambda board: _hint(at, board, sample=sample),
            )
            watched = Watched(
                role="run",
                ready=ready.is_set,
                progress=worker.progress,
                delays_s=worker.delays_s,
                connectors=connectors,
            )
            async with monitored(settings, watched, listen=listen):
                parts = [
                    worker.run(stop, ready=ready),
                    _watch(watcher, ready, stop, json=json),
                ]
                parts += [_once(ready, stop, partial(c.run, stop)) for c in connectors]
                await together(stop, parts)
    return Exit.OK


def _connectors(at: Context, log: Log, kinds: Collection[Kind]) -> list[Connector]:
    """Return what is to be read: what is configured of *kinds*, or else the sample."""
    settings = at.settings
    if not kinds:
        _log.info("run.sample", data=settings.data)
        return [SampleFeed(settings, log)]
    if not (settings.rss.feeds or settings.radio.stations):
        _log.warning(
            "no source is configured; feeds are taken up as they come from "
            f"'{at.again('feeds', 'add', 'URL')}' or [[rss.feeds]] in "
            f"{at.file_to_edit}; or try --sample"
        )
    return [connector(kind, settings, log, file=at.config_file) for kind in kinds]


def _kinds(settings: Settings, *, sample: bool) -> list[Kind]:
    """Return the kinds of configured sources that are read; feeds also while there is none.

    One may be added at any time.
    """
    if sample:
        return []
    return ["rss", "radio"] if settings.radio.stations else ["rss"]


async def _once(
    ready: asyncio.Event,
    stop: asyncio.Event,
    work: Callable[[], Coroutine[None, None, None]],
) -> None:
    """Begin *work* when the stages take records: then topics and index are there."""
    await _either(ready, stop)
    if not stop.is_set():
        await work()


async def _watch(
    watcher: Watcher, ready: asyncio.Event, stop: asyncio.Event, *, json: bool
) -> None:
    console = screen.out()
    live = console.is_terminal and not json
    with console.status("Starting the stages …") if live else nullcontext():
        await _either(ready, stop)
    if stop.is_set():
        return
    if live:
        await watcher.draw(stop, console)
    else:
        _log.info("run.ready")
        await watcher.write(stop, json=json)


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Return when one of two events is set."""
    tasks = [asyncio.create_task(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _hint(at: Context, board: Board, *, sample: bool) -> Text:
    """Return the last line of the view: what to do next."""
    text = Text("Ctrl-C ends it", style="dim")
    if sample:
        text.append(f"  ·  invented reports, kept in {at.data}")
    if not board.newest(1):
        return text
    word = "Kayes" if sample else "WORDS"
    text.append("  ·  in another terminal, or afterwards: ")
    return text.append(at.again("search", word), style="not dim cyan")
