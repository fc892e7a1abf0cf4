"""The stations' folders: watched, read, published."""

from __future__ import annotations

import asyncio
import time

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath

import structlog

from connectors.face import (
    OVERSIZE,
    Refused,
    SourceStatus,
    load_cursors,
    log_fetch,
    patiently,
    pause,
    publish,
    until_stopped,
)
from connectors.identities import file_name, file_time
from connectors.radio import detect
from connectors.radio.folder import (
    TRANSCRIPT_MAX_BYTES,
    Look,
    Settling,
    Taken,
    looks,
    take,
)
from connectors.radio.items import read, start_of, withdrawn
from connectors.radio.sketch import same_programme, sketch
from streams import clock
from streams.errors import SourceError
from streams.log.face import Log
from streams.records import Cursor, RawItem
from streams.settings import Settings, Station


STAGE = "connectors.radio"

_log = structlog.get_logger()


@dataclass
class _Watched:
    """One station, and what we know of it."""

    station: Station
    settling: Settling
    #: File -> how it looked when it was taken.
    taken: dict[str, Look] = field(default_factory=dict)
    state: str = "waiting"
    last_good: datetime | None = None
    last_error: str = ""
    published: int = 0
    refused: int = 0
    looks: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    due: datetime | None = None

    @property
    def folder(self) -> Path:
        return Path(self.station.folder)

    def failed(self, error: str) -> None:
        if error != self.last_error:
            _log.warning("radio.failed", source=self.station.id, error=error)
        self.state, self.last_error = "failing", error

    def recovered(self) -> None:
        self.last_error = ""
        if self.state == "failing":
            self.state = "waiting"


class RadioConnector:
    """Watches every station's folder; see :class:`connectors.face.Connector`.

    A file's cursor is its own record, so that a folder may hold any number of files.
    """

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings.radio
        self._log = log
        self._cursors: dict[str, Cursor] = {}
        self._watched = [
            _Watched(station, Settling(settings.radio.settle_s))
            for station in settings.radio.stations
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until *stop* is set. Raises FatalError if the log is broken."""
        load = partial(load_cursors, self._log)
        cursors = await patiently(load, stop, doing="reading the cursors")
        if cursors is None:
            return
        self._cursors = cursors
        for watched in self._watched:
            watched.last_good = _latest(cursors, watched.station)
        await until_stopped(stop, [self._watch(one, stop) for one in self._watched])

    def statuses(self) -> list[SourceStatus]:
        """Return how each station does."""
        return [
            SourceStatus(
                connector="radio",
                id=watched.station.id,
                name=watched.station.name or watched.station.id,
                state=watched.state,
                last_good=watched.last_good,
                published=watched.published,
                refused=watched.refused,
                last_error=watched.last_error,
                looks=watched.looks,
                refusals=watched.refusals,
                due=watched.due,
            )
            for watched in self._watched
        ]

    async def _watch(self, watched: _Watched, stop: asyncio.Event) -> None:
        interval = timedelta(seconds=self._settings.interval_s)
        while True:
            before = watched.published
            watched.due = clock.now()
            try:
                await self._look(watched, stop)
            except OSError as error:
                watched.failed(f"{watched.folder}: {error.strerror or error}")
            new = "new" if watched.published > before else "unchanged"
            watched.looks["failed" if watched.last_error else new] += 1
            watched.due = clock.now() + interval
            if await pause(stop, self._settings.interval_s):
                return

    async def _look(self, watched: _Watched, stop: asyncio.Event) -> None:
        found = await asyncio.to_thread(_looks, watched.folder)
        unreadable: list[str] = []
        unknown = {
            name: look
            for name, look in found.items()
            if watched.taken.get(name) != look
        }
        now_s, wall_s = time.monotonic(), clock.now().timestamp()
        for name in watched.settling.settled(unknown, now_s=now_s, wall_s=wall_s):
            if self._is_known(watched, name, unknown[name]):
                watched.taken[name] = unknown[name]
                continue
            try:
                await self._take(watched, name, stop)
            except OSError as error:
                unreadable.append(f"{file_name(name)}: {error.strerror or error}")
            if stop.is_set():
                return
        if unreadable:
            more = f", and {len(unreadable) - 1} more" if unreadable[1:] else ""
            watched.failed(f"{unreadable[0]}{more}")
        else:
            watched.recovered()

    def _is_known(self, watched: _Watched, name: str, look: Look) -> bool:
        return _look_of(self._position(watched.station, name)) == look

    def _position(self, station: Station, name: str) -> Mapping[str, str]:
        cursor = self._cursors.get(_cursor_name(station, name))
        return cursor.position if cursor is not None else {}

    async def _take(self, watched: _Watched, name: str, stop: asyncio.Event) -> None:
        taken = await asyncio.to_thread(take, watched.folder / name)
        if taken is None:
            return
        before = self._position(watched.station, name)
        now = clock.now()
        items: tuple[RawItem, ...] = ()
        refused: tuple[Refused, ...] = ()
        position = dict(before)
        if before.get("sha256") != taken.sha256:
            try:
                items, position = await asyncio.to_thread(
                    self._read, watched.station, name, taken, before, now
                )
            except SourceError as error:
                refused = (_refusal(watched.station, name, taken, str(error)),)
            except Exception as error:  # noqa: BLE001 - it is a function of the file
                reason = f"it cannot be read: {type(error).__name__}: {error}"
                refused = (_refusal(watched.station, name, taken, reason),)
        cursor = Cursor(
            source=_cursor_name(watched.station, name),
            position=position | _noted(taken),
            updated=now,
        )
        published = await publish(
            self._log, items, stage=STAGE, stop=stop, cursor=cursor, refused=refused
        )
        if not published.complete:
            return
        self._cursors[cursor.source] = cursor
        watched.taken[name] = taken.look
        watched.state, watched.last_good = "fresh", now
        watched.refused += len(published.refused)
        watched.refusals.update(one.kind for one in published.refused)
        watched.published += len(items) + len(refused) - len(published.refused)
        log_fetch(
            "radio",
            watched.station.id,
            entries=len(items) + len(refused),
            known=0,
            published=published,
            detail={
                "file": file_name(name),
                "broken_cues": int(position.get("broken", "0")),
            },
        )

    def _read(
        self,
        station: Station,
        name: str,
        taken: Taken,
        before: Mapping[str, str],
        now: datetime,
    ) -> tuple[tuple[RawItem, ...], dict[str, str]]:
        """Return what the file says now, and what to remember of it."""
        if taken.data is None:
            raise SourceError(
                f"it has {taken.look.size_bytes:,} bytes; "
                f"a transcript has at most {TRANSCRIPT_MAX_BYTES:,}"
            )
        if detect.is_empty(taken.data):
            raise SourceError("it is empty")
        start = start_of(
            station,
            PurePosixPath(name).stem,
            file_time(taken.look.mtime_ns),
        )
        if station.name_pattern and start.source != "name" and "sha256" not in before:
            _log.warning(
                "radio.name_unlike_pattern",
                source=station.id,
                file=file_name(name),
                pattern=station.name_pattern,
                recorded_from=start.source,
            )
        takes = int(before.get("take", "1"))

        def as_take(number: int) -> tuple[tuple[RawItem, ...], int]:
            return read(
                taken.data or b"",
                name=_name(name, number),
                station=station,
                start=start,
                fetched=now,
                words=self._settings.item_words,
            )

        items, broken = as_take(takes)
        drawn = sketch(items)
        gone: tuple[RawItem, ...] = ()
        if "sketch" in before and not same_programme(before["sketch"], drawn):
            takes += 1
            items, broken = as_take(takes)
        else:
            gone = withdrawn(
                name=_name(name, takes),
                numbers=range(len(items) + 1, int(before.get("pieces", "0")) + 1),
                station=station,
                fetched=now,
            )
        position = {
            "pieces": str(len(items)),
            "take": str(takes),
            "sketch": drawn,
            "broken": str(broken),
        }
        return items + gone, position


def _looks(folder: Path) -> dict[str, Look]:
    folder.mkdir(parents=True, exist_ok=True)
    return looks(folder)


def _name(name: str, take: int) -> str:
    """Return what a file is called in guids; a name used again counts up."""
    name = file_name(name)
    return name if take == 1 else f"{name}@{take}"


def _cursor_name(station: Station, name: str) -> str:
    return f"{station.id}/{file_name(name)}"


def _latest(cursors: Mapping[str, Cursor], station: Station) -> datetime | None:
    """Return when a transcript of *station* was taken last."""
    mine = (c for c in cursors.values() if c.source.startswith(f"{station.id}/"))
    return max((cursor.updated for cursor in mine), default=None)


def _noted(taken: Taken) -> dict[str, str]:
    return {
        "size": str(taken.look.size_bytes),
        "mtime_ns": str(taken.look.mtime_ns),
        "sha256": taken.sha256,
    }


def _look_of(position: Mapping[str, str]) -> Look | None:
    if "size" not in position:
        return None
    return Look(int(position["size"]), int(position["mtime_ns"]))


def _refusal(station: Station, name: str, taken: Taken, reason: str) -> Refused:
    return Refused(
        source=_cursor_name(station, name),
        kind=_kind(taken.data, name),
        reason=reason,
        sha256=taken.sha256,
        size_bytes=taken.look.size_bytes,
    )


def _kind(data: bytes | None, name: str) -> str:
    """Return what kind of refusal it is that *data*, of the file *name*, meets with."""
    if data is None:
        return OVERSIZE
    if detect.is_empty(data):
        return "empty"
    return "broken" if detect.resembles(data, name) else "unrecognised"
