"""``wirewatch check``: whether this configuration describes a system that runs."""

from __future__ import annotations

import os

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from rich.table import Table
from rich.text import Text

from connectors.face import load_cursors
from console import escape, flow, letters, screen, sources, wording
from console.context import Context, command
from console.exits import Exit
from console.feeds_known import known, unwatched
from console.options import JsonOption
from mappings.face import SearchIndex
from mappings.opening import open_index
from streams import clock
from streams.errors import SettingsError, WirewatchError
from streams.index.standing import LOST, lost
from streams.letters import Book, read
from streams.log.doorbell import worker_runs
from streams.log.embedded import FILE_NAME
from streams.log.opening import open_log
from streams.log.standing import truncated
from streams.monitor.standing import Looker
from streams.settings import Settings
from streams.topics import DECLARED, STAGES


EXAMPLES = """\
Examples:

wirewatch check

wirewatch check --prepare --config production.toml  (make topics and index first)
"""


#: A stage reads what is put before it within seconds.
UNREAD_MAX = timedelta(minutes=5)


class Finding(NamedTuple):
    """One line: what was looked at, whether it is well, and what to do if not."""

    what: str
    ok: bool
    detail: str
    #: No fault as far as can be told from here, and yet worth a look.
    look: bool = False


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(check)


async def check(
    at: Context,
    *,
    prepare: Annotated[
        bool,
        typer.Option("--prepare", help="Make missing topics, index and folders first."),
    ] = False,
    json: JsonOption = False,
) -> Exit:
    """Look at configuration, log, topics, index and sources; say what to mend.

    Changes nothing without --prepare, and asks no source: of those it tells what the log
    knows. Exit code 1 when anything is at fault.
    """
    well = True
    async for finding in _findings(at, prepare=prepare):
        well = well and finding.ok
        if json:
            screen.emit(finding._asdict())
        else:
            screen.show(line(finding))
    return Exit.OK if well else Exit.FAULT


async def _findings(at: Context, *, prepare: bool) -> AsyncIterator[Finding]:
    try:
        settings = at.settings
    except SettingsError as error:
        yield Finding("configuration", ok=False, detail=str(error))
        return
    read = at.config_file or "no file, defaults"
    yield Finding("configuration", ok=True, detail=f"{read}; mode {settings.mode}")
    nothing = settings.mode == "embedded" and not (_file(settings).exists() or prepare)
    if nothing:
        fresh = f"nothing in {settings.data_folder} yet; 'run' and 'ingest' begin there"
        yield Finding("log", ok=True, detail=fresh)
    else:
        async for finding in _log(at, prepare=prepare):
            yield finding
        async for finding in _index(settings, prepare=prepare):
            yield finding
    async for finding in _sources(at):
        yield finding
    for finding in _folders(settings, prepare=prepare):
        yield finding


def _file(settings: Settings) -> Path:
    """Return the embedded log's file."""
    return settings.data_folder / FILE_NAME


async def _log(at: Context, *, prepare: bool) -> AsyncIterator[Finding]:
    """Look at the log, its topics, how far the stages are, and what was put aside."""
    settings = at.settings
    embedded = settings.mode == "embedded"
    where = str(settings.data_folder) if embedded else settings.kafka.bootstrap
    try:
        async with open_log(settings) as log:
            made = await log.create(DECLARED) if prepare else []
            wrong = await log.mismatches(DECLARED)
            yield Finding("log", ok=True, detail=where)
            for line in made:
                yield Finding("topics", ok=True, detail=line)
            for line in wrong:
                yield Finding("topics", ok=False, detail=line)
            if wrong:
                return
            yield Finding("topics", ok=True, detail=f"{len(DECLARED)} as declared")
            for line in [] if embedded else await truncated(log, DECLARED):
                yield Finding("tables", ok=False, detail=line)
            yield _stages(settings, await flow.lags(log))
            standing = await Looker(log).look(STAGES)
            for line in unread(standing.oldest, now=clock.now()):
                yield Finding("stages", ok=True, look=True, detail=line)
            for line in _put_aside(await read(log), at.again("deadletters")):
                yield Finding("dead letters", ok=True, look=True, detail=line)
    except WirewatchError as error:
        told = str(error)
        detail = told if where in told else f"{where}: {told}"
        yield Finding("log", ok=False, detail=detail)


def _stages(settings: Settings, lags: dict[str, int]) -> Finding:
    behind = ", ".join(f"{stage} {lag:,} behind" for stage, lag in lags.items() if lag)
    detail = behind or "up to date"
    if settings.mode == "embedded":
        runs = worker_runs(_file(settings))
        detail += "; a worker runs" if runs else "; no worker runs now"
    return Finding("stages", ok=True, detail=detail)


def unread(
    oldest: Mapping[tuple[str, str], datetime], *, now: datetime
) -> Iterator[str]:
    """Yield a line for each stage that has left a record unread for long."""
    for (stage, topic), since in oldest.items():
        if (waits := now - since) > UNREAD_MAX:
            minutes = wording.counted(int(waits.total_seconds() // 60), "minute")
            yield (
                f"{stage} has not read what was put on {topic} {minutes} ago: does a "
                "worker run, and does it say what it waits for?"
            )


def _put_aside(book: Book, again: str) -> Iterator[str]:
    """Yield what to say of open letters; ``again`` begins the command for them."""
    if not (there := list(book.open())):
        return
    yield f"open are {letters.counted(there)}: '{again} list --group' tells why"
    if soon := letters.warning(book, clock.now(), again):
        yield soon


async def _index(settings: Settings, *, prepare: bool) -> AsyncIterator[Finding]:
    try:
        async with open_index(settings) as index:
            if await _lost(settings, index):
                yield Finding("index", ok=False, detail=LOST)
                return
            for line in await index.prepare() if prepare else []:
                yield Finding("index", ok=True, detail=line)
            faults = await index.check()
            for line in faults:
                yield Finding("index", ok=False, detail=line)
            if not faults:
                yield Finding("index", ok=True, detail="as declared")
    except WirewatchError as error:
        yield Finding("index", ok=False, detail=str(error))


async def _lost(settings: Settings, index: SearchIndex) -> bool:
    """Tell whether the index is gone; False if the log does not tell."""
    try:
        async with open_log(settings) as log:
            return await lost(index, log)
    except WirewatchError:
        return False  # why, is a finding about the log or the index


async def _sources(at: Context) -> AsyncIterator[Finding]:
    """Tell how the sources do, as far as the log can be read."""
    settings = at.settings
    now = clock.now()
    notes: list[sources.Note] = []
    try:
        feeds = (await known(at)).values()
        notes += sources.of_feeds(
            feeds,
            at.again("feeds"),
            unwatched=unwatched(at, feeds, now),
            gap_s=settings.rss.host_gap_s,
        )
        if stations := settings.radio.stations:
            async with open_log(settings) as log:
                cursors = await load_cursors(log)
            notes += sources.of_stations(stations, cursors, now)
    except SettingsError as error:
        yield Finding("sources", ok=False, detail=str(error))
    except WirewatchError:
        pass  # why, is a finding about the log
    for note in notes:
        yield Finding("sources", ok=True, look=note.look, detail=note.text)


class _Folder(NamedTuple):
    """A folder that the configuration names, and what is done there."""

    path: Path
    what: str
    #: Who does what with it.
    used: str
    setting: str
    #: What must be allowed there (``os.R_OK``...), and how it is said that it is not.
    access: int
    refused: str
    #: When it is made, if it is not there.
    made: str


def _named(settings: Settings) -> Iterator[_Folder]:
    for station in settings.radio.stations:
        yield _Folder(
            Path(station.folder),
            "sources",
            f"station {station.id!r} watches",
            "radio.stations.folder",
            os.R_OK | os.X_OK,
            "it may not be read",
            f"when station {station.id!r} is first watched",
        )
    if settings.rss.archive:
        yield _Folder(
            Path(settings.rss.archive).absolute(),
            "archive",
            "what feeds give is not kept in",
            "rss.archive",
            os.W_OK | os.X_OK,
            "it may not be written",
            "when a feed first brings something",
        )


def _folders(settings: Settings, *, prepare: bool) -> Iterator[Finding]:
    for folder in _named(settings):
        path = folder.path
        try:
            if prepare and not path.exists():
                path.mkdir(parents=True)
                yield Finding(folder.what, ok=True, detail=f"{path}: made")
            fault = _fault_of(folder)
        except OSError as error:
            fault = error.strerror or str(error)
        if fault:
            yield Finding(
                folder.what,
                ok=False,
                detail=f"{folder.used} {path}: {fault}; mend that, or change "
                f"{folder.setting}",
            )
        elif not path.exists():
            yield Finding(folder.what, ok=True, detail=f"{path} is made {folder.made}")


def _fault_of(folder: _Folder) -> str:
    """Return why *folder* can be neither used nor made; '' if it can."""
    path = folder.path
    if path.is_dir():
        return "" if os.access(path, folder.access) else folder.refused
    if path.exists():
        return "it is no folder"
    nearest = next(parent for parent in path.parents if parent.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return ""
    return f"there is no such folder, and none can be made in {nearest}"


def line(finding: Finding) -> Table:
    """Return a finding for a person."""
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=5)
    table.add_column(min_width=13)
    mark = Text("ok", "green") if finding.ok else Text("fault", "bold red")
    mark = Text("look", "yellow") if finding.look else mark
    table.add_row(mark, finding.what, escape.shown(finding.detail))
    return table
