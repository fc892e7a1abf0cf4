"""Which feeds are watched: those of the configuration file and those added at run time.

The file is asked by its stamp (mtime, size, inode) and read when that has stood still
for a look, so that an editor that truncates and then writes never empties the list; the
topic ``connectors.feeds`` is asked for its end. Both are cheap enough to ask each second.
"""

from __future__ import annotations

import asyncio

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import structlog

from connectors.face import pause
from connectors.rss.lists import holds_credentials
from connectors.rss.subscription import ident_of
from connectors.urls import canonical
from streams import settings as configuration
from streams.errors import RecordError, SettingsError, TransientError
from streams.events import decode
from streams.log.face import Log
from streams.records import WatchedFeed
from streams.settings import SHARD_KEY, Feed, Section, Settings
from streams.topics import FEEDS


#: Between two looks; a change of the file counts at the second look that sees it.
LOOK_S = 0.5

_log = structlog.get_logger()


class Rolled(NamedTuple):
    """A feed on the list."""

    feed: Feed
    paused: bool
    #: Where it stands: in the configuration file, or on ``connectors.feeds``.
    origin: Literal["file", "added"]
    #: When somebody last said something of it on ``connectors.feeds``: added it, paused
    #: or resumed it. One that is parked is asked again when it is resumed.
    said: datetime | None = None


class _Stamp(NamedTuple):
    """What tells one version of a file from another."""

    mtime_ns: int
    size_bytes: int
    inode: int


class Roster:
    """Keeps the list of feeds; one a process."""

    def __init__(
        self, settings: Settings, log: Log, *, file: Path | None = None
    ) -> None:
        self._settings = settings
        self._log = log
        self._file = file
        self._stamp = self._seen = _stamp(file)
        self._begun = self._told = _but_feeds(settings, settings)
        self._is_file_wrong = False
        self._configured: dict[str, Feed] | None = None
        self._added: dict[str, WatchedFeed] = {}
        self._read_until: dict[int, int] = {}
        self._is_log_away = False
        self._twins: list[tuple[str, ...]] = []

    async def load(self) -> dict[str, Rolled]:
        """Return the feeds by source id.

        Raises SettingsError where two of the file's have one id, TransientError when
        the log is away.
        """
        if self._configured is None:
            self._configured = await asyncio.to_thread(by_id, self._settings.rss.feeds)
        await self._read_topic()
        return await self._rolled()

    async def changed(self, stop: asyncio.Event) -> dict[str, Rolled] | None:
        """Return the feeds when they are others than before; None when *stop* is set.

        A file that cannot be read or used is warned of once, and changes nothing. So is
        a change of other settings, which takes a restart. A log that is away is waited
        for.
        """
        while not await pause(stop, LOOK_S):
            # Both: what one of them has to tell must not wait for the other.
            is_file_new = await self._look_at_file()
            if await self._look_at_topic() or is_file_new:
                return await self._rolled()
        return None

    async def _rolled(self) -> dict[str, Rolled]:
        rolled = merged(self._configured or {}, self._added)
        found = await asyncio.to_thread(twins, rolled)
        if found and found != self._twins:
            _log.warning(
                "roster.twins: feeds of one address are asked twice; remove one of each",
                count=len(found),
                such_as=" and ".join(found[0]),
            )
        self._twins = found
        return rolled

    async def _look_at_file(self) -> bool:
        """Return whether the file holds other feeds than before."""
        if self._file is None:
            return False
        before, self._seen = self._seen, _stamp(self._file)
        if self._seen == self._stamp or self._seen != before:
            return False
        self._stamp = self._seen
        try:
            settings, configured = await asyncio.to_thread(_read, self._file)
        except SettingsError as error:
            self._is_file_wrong = True
            _log.warning(
                "roster.file_unusable: the feeds stay as they were", error=str(error)
            )
            return False
        if self._is_file_wrong:
            self._is_file_wrong = False
            _log.warning("roster.file_usable: it counts again", file=str(self._file))
        self._tell_of_others(settings)
        before_it, self._configured = self._configured, configured
        return configured != before_it

    def _tell_of_others(self, settings: Settings) -> None:
        others = _but_feeds(settings, self._settings)
        if others == self._told:
            return
        self._told = others
        if names := _differing(self._begun, others):
            _log.warning(
                "roster.restart_needed: of a running process only [[rss.feeds]] may be "
                "changed; other settings of the file count after a restart",
                settings=", ".join(names),
                file=str(self._file),
            )
        else:
            _log.warning(
                "roster.restart_needless: the other settings are again as it began",
                file=str(self._file),
            )

    async def _look_at_topic(self) -> bool:
        """Return whether the topic had something to say."""
        try:
            found = await self._read_topic()
        except TransientError as error:
            if not self._is_log_away:
                _log.warning("roster.waiting_for_log", error=str(error))
            self._is_log_away = True
            return False
        self._is_log_away = False
        return found

    async def _read_topic(self) -> bool:
        """Take in what is new on the topic; return whether anything was."""
        topic = FEEDS.name
        ends = await self._log.ends(topic)
        if ends == self._read_until:
            return False
        starts = await self._log.starts(topic)
        since = {p: max(at, self._read_until.get(p, 0)) for p, at in starts.items()}
        async for record in self._log.read(topic, since, ends):
            _take_in(self._added, record.key, record.value)
        self._read_until = dict(ends)
        return True


async def added(log: Log) -> dict[str, WatchedFeed]:
    """Return what was said of feeds at run time, the last of each; none without a topic."""
    found: dict[str, WatchedFeed] = {}
    if await log.partitions(FEEDS.name):
        starts, ends = await log.starts(FEEDS.name), await log.ends(FEEDS.name)
        async for record in log.read(FEEDS.name, starts, ends):
            _take_in(found, record.key, record.value)
    return found


def by_id(feeds: Iterable[Feed]) -> dict[str, Feed]:
    """Return *feeds* by source id; SettingsError if two of them have the same.

    They would share a cursor. Tokens and passwords do not count in an id.
    """
    ids = [(ident_of(feed), feed) for feed in feeds]
    found = dict(ids)
    if len(found) < len(ids):
        counts = Counter(ident for ident, _ in ids)
        twice = [ident for ident, count in counts.items() if count > 1]
        raise SettingsError(
            f"{len(twice)} of rss.feeds have the id of another, such as "
            f"{twice[0]!r}: give each an id"
        )
    return found


def merged(
    configured: Mapping[str, Feed], added: Mapping[str, WatchedFeed]
) -> dict[str, Rolled]:
    """Return all feeds: of one id the configured one, paused as it was said last."""
    rolled = {}
    for ident, feed in configured.items():
        rolled[ident] = Rolled(feed, paused=False, origin="file")
        if (record := added.get(ident)) is not None:
            paused, said = record.paused, record.added
            rolled[ident] = rolled[ident]._replace(paused=paused, said=said)
    for ident, record in added.items():
        if ident not in rolled and record.url:
            rolled[ident] = Rolled(
                feed_of(record), record.paused, "added", record.added
            )
    return rolled


def feed_of(record: WatchedFeed) -> Feed:
    """Return the feed that *record* describes."""
    return Feed(
        url=record.url,
        id=record.id,
        name=record.name,
        publisher=record.publisher,
        country=record.country,
        language=record.language,
        interval_s=record.interval_s,
        tags=record.tags,
        full_text=record.full_text,
    )


def _take_in(
    added: dict[str, WatchedFeed], key: bytes | None, value: bytes | None
) -> None:
    """Let *added* know a record of ``connectors.feeds``; one that is none is warned of."""
    if key is None:
        return
    ident = key.decode("utf-8", "replace")
    if value is None:
        added.pop(ident, None)
        return
    try:
        added[ident] = _usable(decode(WatchedFeed, value), ident)
    except RecordError as error:
        _log.warning("roster.record_unusable", feed=ident, error=str(error))


def twins(rolled: Mapping[str, Rolled]) -> list[tuple[str, ...]]:
    """Return the ids of those that name the same page (paused ones are asked nothing)."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for ident, one in rolled.items():
        if not one.paused:
            groups[canonical(one.feed.url) or one.feed.url].append(ident)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def _usable(record: WatchedFeed, ident: str) -> WatchedFeed:
    """Return *record*; RecordError says why it is none that a connector follows."""
    if record.id != ident:
        raise RecordError(f"its key is not its id {record.id!r}")
    if ident.startswith(SHARD_KEY):
        raise RecordError(f"its id begins with {SHARD_KEY!r}, as cursors of shards do")
    if record.url and not canonical(record.url):
        raise RecordError("its url is no http or https address")
    if holds_credentials(record.url):
        raise RecordError(
            "its url holds credentials: those stand in the configuration file alone"
        )
    return record


def _read(file: Path) -> tuple[Settings, dict[str, Feed]]:
    """Read the configuration; raises SettingsError, for an empty file too."""
    before = _stamp(file)
    settings = configuration.load(file)
    if before is None or not before.size_bytes:
        raise SettingsError(f"{file} is empty")
    return settings, by_id(settings.rss.feeds)


def _stamp(file: Path | None) -> _Stamp | None:
    """Return the stamp of *file*; None if it cannot be had."""
    if file is None:
        return None
    try:
        found = file.stat()
    except OSError:
        return None
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)


def _differing(one: Section, other: Section, within: str = "") -> list[str]:
    """Return which settings differ, such as ``http.timeout_s``."""
    found: list[str] = []
    for key in one.__struct_fields__:
        value, another = getattr(one, key), getattr(other, key)
        if isinstance(value, Section):
            found += _differing(value, another, f"{within}{key}.")
        elif value != another:
            found.append(within + key)
    return found


def _but_feeds(settings: Settings, begun_with: Settings) -> Settings:
    """Return what of *settings* is not followed; data folder and shard may be options'."""
    rss = msgspec.structs.replace(settings.rss, feeds=(), shard=begun_with.rss.shard)
    return msgspec.structs.replace(settings, rss=rss, data=begun_with.data)
