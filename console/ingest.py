"""``wirewatch ingest``: documents given by hand, until they are searchable."""

from __future__ import annotations

import asyncio
import os
import sys

from contextlib import AsyncExitStack
from typing import Annotated

import typer

from connectors.face import until_stopped
from console import fates, screen, waiting, wording
from console.context import Context, command
from console.exits import Exit
from console.flow import Transit
from console.hands import Hands
from console.options import JsonOption, TimeoutOption
from console.publishing import Given, give
from console.signals import stopping
from mappings.face import SearchIndex
from mappings.opening import open_index
from streams.audit import Audit, audit
from streams.fates import Fate
from streams.log.doorbell import worker_runs
from streams.log.embedded import FILE_NAME
from streams.log.face import Log
from streams.log.opening import open_log
from streams.records import Item
from streams.topics import DECLARED


EXAMPLES = """\
Examples:

wirewatch ingest https://example.org/feed.xml

wirewatch ingest recordings/ morning-news.srt

wirewatch ingest archive/wirewatch-20261105-1f0c7a52-00000.warc.gz

zcat archive.jsonl.gz | wirewatch ingest - --json

A line of JSON is a raw item, or the short form that a person can write: text and, as far
as they are known, title, link, published, publisher, source, id, language, country.
"""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(ingest)


async def ingest(
    at: Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|URL|-...",
            help="Feeds, archives of them (WARC), SRT or WebVTT transcripts, JSON lines; "
            "a folder means every file in it, - JSON lines on standard input.",
        ),
    ],
    *,
    wait: Annotated[
        bool, typer.Option(help="Wait until everything is searchable.")
    ] = True,
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
) -> Exit:
    """Publish documents once, wait until they are searchable, tell the fate of each.

    Works beside 'wirewatch run', or by itself. Killed at any moment, it can simply be
    run again: each item is searchable once. Exit code 1 when anything was refused.
    """
    ended: list[Exit] = []

    async def work() -> None:
        async with open_log(at.settings) as log:
            await log.create(DECLARED)
            given = await _through(at, log, sources, wait=wait, timeout_s=timeout_s)
            if wait:
                ended.append(await _report(at, log, given, json=json))
            else:
                ended.append(_report_published(at, given, json=json))

    stop = asyncio.Event()
    with stopping(stop):
        await until_stopped(stop, [work()])
    if ended:
        return ended[0]
    screen.complain(
        "wirewatch: interrupted; what was published stays and will be handled. Run the "
        "same command again to go on: nothing will be there twice."
    )
    sys.stdout.flush()
    # A thread may still wait for standard input, and must not hold up the end.
    os._exit(Exit.INTERRUPTED)


async def _through(
    at: Context, log: Log, sources: list[str], *, wait: bool, timeout_s: float | None
) -> Given:
    """Publish *sources*, and return when all stages have handled what they gave."""
    late = (
        "not everything is searchable; what is published stays: "
        f"'{at.again('audit', '--wait')}' tells when it has been handled"
    )
    async with AsyncExitStack() as stack:
        tell = stack.enter_context(screen.progress("reading"))
        # The worker gets ready while documents are read.
        hands = await stack.enter_async_context(Hands(at.settings)) if wait else None
        await stack.enter_async_context(waiting.limited(timeout_s, late))
        given = await give(
            log,
            sources,
            at.settings,
            stop=asyncio.Event(),
            on_chunk=lambda so_far: tell(_published(so_far), None),
        )
        if hands is not None:
            transit = Transit(log, [sent.position for sent in given.items])
            await waiting.come_through(transit, hands, tell)
    return given


def _published(given: Given) -> str:
    return f"{wording.counted(len(given.items), 'item')} published"


async def _report(at: Context, log: Log, given: Given, *, json: bool) -> Exit:
    """Tell the fate of each item; return the exit code."""
    async with open_index(at.settings) as index:
        await index.refresh()
        result = await audit(log, index, only=[sent.position for sent in given.items])
        revisions = {} if json else await _revisions(index, given, result)
    if json:
        for line in fates.of_given_as_json(given, result):
            screen.emit(line)
    else:
        screen.show(*fates.of_given(given, result, revisions))
    lost = result.counts.get(Fate.DEAD_LETTER, 0) + result.counts.get(
        Fate.UNACCOUNTED, 0
    )
    return Exit.FAULT if given.refused or lost else Exit.OK


async def _revisions(index: SearchIndex, given: Given, result: Audit) -> dict[str, int]:
    """Return which revision the index holds of each item that will be listed."""
    if len(given.items) > fates.ITEMS_LISTED:
        return {}
    found = {}
    for verdict in result.fates.values():
        held = await index.get(verdict.ident) if verdict.ident else None
        if isinstance(held, Item):
            found[held.id] = held.revision
    return found


def _report_published(at: Context, given: Given, *, json: bool) -> Exit:
    """Tell where the items lie; nobody has looked at them yet."""
    if json:
        for line in fates.published_as_json(given):
            screen.emit(line)
    else:
        screen.show(*fates.published(given))
        if at.settings.mode == "embedded" and not worker_runs(
            at.settings.data_folder / FILE_NAME
        ):
            screen.complain(
                "wirewatch: no worker runs on this data folder: the next 'run' or "
                "'ingest' handles them"
            )
    return Exit.FAULT if given.refused else Exit.OK
