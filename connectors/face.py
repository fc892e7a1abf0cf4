"""What every connector has in common: how it is run, asked, and how it publishes.

A connector reads its sources, turns what they give into :class:`~streams.records.RawItem`
and appends it to ``items.raw``. Its cursor is stored with the items where an append is
whole or not at all, else after them: a crash in between repeats items (dedupe knows
them), never skips one.
"""

from __future__ import annotations

import asyncio
import hashlib
import random

from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

import structlog

from streams import clock
from streams.errors import RecordError, TransientError
from streams.events import cursor as cursor_entry
from streams.events import decode, raw, refused_at_door
from streams.log.face import Log, Output, Position
from streams.records import Cursor, RawItem
from streams.topics import CURSORS, RAW_MAX_BYTES


#: Records of one append, beside a cursor: small enough that a broken connection repeats little.
APPEND_MAX_RECORDS = 200
RETRY_FIRST_S = 0.25
RETRY_MAX_S = 30.0
#: The kind of what was refused for its size.
OVERSIZE = "oversize"

T = TypeVar("T")

_log = structlog.get_logger()


class SourceStatus(NamedTuple):
    """How one source does, for the live view."""

    connector: str
    id: str
    name: str
    #: waiting, fresh, unchanged, failing; of a feed also parked, gone, paused.
    state: str
    last_good: datetime | None
    #: Since the connector was started.
    published: int
    refused: int
    #: Of the last attempt; '' when it went well.
    last_error: str
    #: Since the connector was started: looks by outcome (new, unchanged, failed).
    looks: Mapping[str, int] = MappingProxyType({})
    #: Entries that were published before.
    known: int = 0
    #: By kind.
    refusals: Mapping[str, int] = MappingProxyType({})
    #: When it is looked at next; long past while a look hangs. None: not before long.
    due: datetime | None = None
    #: From publication to reading: the median lately; 0: not known.
    lateness_s: float = 0.0
    #: Its host asked to be left alone for now; what is due waits until then.
    resting: bool = False


class Appending(Protocol):
    """What :func:`publish` needs of a log."""

    @property
    def atomic(self) -> bool:
        """See :class:`streams.log.face.Log`."""

    async def append(self, outputs: Sequence[Output]) -> list[Position]:
        """See :class:`streams.log.face.Log`."""


class Connector(Protocol):
    """One kind of source."""

    async def run(self, stop: asyncio.Event) -> None:
        """Read the sources until *stop* is set; returns within 2 s of that."""

    def statuses(self) -> list[SourceStatus]:
        """Return how each source does, in the order of the configuration."""


class Refused(NamedTuple):
    """Something a source gave that does not become an item."""

    #: What was read: a file, an address, a line of either.
    source: str
    #: Groups reasons: unrecognised, broken, :data:`OVERSIZE`.
    kind: str
    #: For a person.
    reason: str
    sha256: str = ""
    size_bytes: int = 0


class Published(NamedTuple):
    """What came of :func:`publish`."""

    #: Where each item lies, in order; None for one that was refused.
    positions: tuple[Position | None, ...]
    #: What was refused at the door, the caller's own refusals first.
    refused: tuple[Refused, ...]
    #: False when *stop* was set before the log had everything: the cursor was not moved.
    complete: bool


async def load_cursors(log: Log) -> dict[str, Cursor]:
    """Return where each source stands: the latest cursor of each source id."""
    cursors: dict[str, Cursor] = {}
    topic = CURSORS.name
    starts, ends = await log.starts(topic), await log.ends(topic)
    async for record in log.read(topic, starts, ends):
        if record.key is None:
            continue
        source = record.key.decode("utf-8", "replace")
        if record.value is None:
            cursors.pop(source, None)
            continue
        try:
            cursors[source] = decode(Cursor, record.value)
        except RecordError as error:
            # Starting anew repeats what was published, and dedupe knows it.
            cursors.pop(source, None)
            _log.warning("connector.cursor_unreadable", source=source, error=str(error))
    return cursors


async def publish(
    log: Appending,
    items: Sequence[RawItem],
    *,
    stage: str,
    stop: asyncio.Event,
    cursor: Cursor | None = None,
    refused: Sequence[Refused] = (),
    raising: tuple[type[TransientError], ...] = (),
) -> Published:
    """Append *items* and dead letters for *refused*, and *cursor*.

    The cursor goes into the last append where the log is atomic, else after everything.

    Items over the size limit join the refused. While the log cannot take them
    (TransientError) it waits and repeats, for ever, until *stop* is set; of those
    *raising* it raises. ``stage`` names the connector in the dead letters, such as
    ``connectors.rss``.
    """
    append = partial(_append, log, stop=stop, raising=raising)
    entries = [_entry(item) for item in items]
    at_door = [entry for entry in entries if isinstance(entry, Refused)]
    everything_refused = (*refused, *at_door)
    outputs = [entry for entry in entries if isinstance(entry, Output)]
    outputs += [dead_letter_for(one, stage) for one in everything_refused]
    batches = [
        outputs[first : first + APPEND_MAX_RECORDS]
        for first in range(0, len(outputs), APPEND_MAX_RECORDS)
    ]
    if cursor is not None:
        if not (log.atomic and batches):
            batches.append([])
        batches[-1].append(cursor_entry(cursor))
    stored: list[Position] = []
    for batch in batches:
        some = await append(batch)
        if some is None:
            return Published((), everything_refused, complete=False)
        stored += some
    places = iter(stored)
    positions = tuple(
        next(places) if isinstance(entry, Output) else None for entry in entries
    )
    return Published(positions, everything_refused, complete=True)


def dead_letter_for(refused: Refused, stage: str) -> Output:
    """Return the entry that keeps *refused* from being forgotten."""
    return refused_at_door(
        stage=stage,
        source=refused.source,
        kind=refused.kind,
        reason=refused.reason,
        document={"sha256": refused.sha256, "size_bytes": refused.size_bytes},
    )


def log_fetch(
    connector: str,
    source: str,
    *,
    entries: int,
    known: int,
    published: Published,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write the one line of a fetch: entries = published + known + refused."""
    refused = len(published.refused)
    _log.info(
        f"{connector}.fetched",
        source=source,
        entries=entries,
        published=entries - known - refused,
        known=known,
        refused=refused,
        **detail or {},
    )
    for one in published.refused:
        _log.warning(
            f"{connector}.refused", source=one.source, kind=one.kind, reason=one.reason
        )


async def patiently(
    operation: Callable[[], Awaitable[T]],
    stop: asyncio.Event,
    *,
    doing: str,
    raising: tuple[type[TransientError], ...] = (),
) -> T | None:
    """Return what *operation* on the log returns; None if *stop* is set before it can.

    On TransientError it waits and repeats, ever more rarely, for ever, and says so; of
    those *raising* it raises.
    """
    since = clock.now()
    delay_s = RETRY_FIRST_S
    while True:
        try:
            return await operation()
        except raising:
            raise
        except TransientError as error:
            _log.warning(
                "connector.waiting_for_log",
                doing=doing,
                since=since.isoformat(timespec="seconds"),
                error=str(error),
            )
        if await pause(stop, delay_s * random.uniform(0.5, 1)):  # noqa: S311 - spreads retries
            return None
        delay_s = min(2 * delay_s, RETRY_MAX_S)


async def until_stopped(
    stop: asyncio.Event, work: Iterable[Coroutine[None, None, None]]
) -> None:
    """Run all of *work* until *stop* is set, then cancel it.

    The first of it that raises ends the rest, and its error is raised here.
    """
    tasks = [asyncio.create_task(one) for one in work]
    waiter = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait(
            [waiter, *tasks], return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for task in (waiter, *tasks):
            task.cancel()
        await asyncio.gather(waiter, *tasks, return_exceptions=True)
    for task in done - {waiter}:
        task.result()


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or until *stop* is set; return whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


def _entry(item: RawItem) -> Output | Refused:
    """Return what to append for *item*, or why it is not let in."""
    name = item.identities[0].value if item.identities else item.title
    refused = Refused(f"{item.source.id[:300]}: {name[:300]}", "broken", "")
    try:
        entry = raw(item)
    except RecordError as error:
        return refused._replace(reason=str(error))
    value = entry.value or b""
    size = len(entry.key or b"") + len(value)
    if size <= RAW_MAX_BYTES:
        return entry
    return refused._replace(
        kind=OVERSIZE,
        reason=f"the item takes {size:,} bytes; at most {RAW_MAX_BYTES:,} are let in",
        sha256=hashlib.sha256(value).hexdigest(),
        size_bytes=size,
    )


async def _append(
    log: Appending,
    outputs: Sequence[Output],
    *,
    stop: asyncio.Event,
    raising: tuple[type[TransientError], ...],
) -> list[Position] | None:
    """Return where *outputs* lie; None if *stop* is set before the log took them."""
    return await patiently(
        partial(log.append, outputs),
        stop,
        doing=f"appending {len(outputs)} records",
        raising=raising,
    )
