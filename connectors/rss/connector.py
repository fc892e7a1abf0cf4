"""The feeds: asked in turn, read in worker processes, published."""

from __future__ import annotations

import asyncio
import hashlib
import random

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import msgspec
import structlog

from connectors.face import (
    Refused,
    SourceStatus,
    load_cursors,
    log_fetch,
    patiently,
    pause,
    publish,
    until_stopped,
)
from connectors.http import Document, FetchFailedError, HttpClient, NotModified
from connectors.rss.items import FeedItems, read
from connectors.rss.memory import sift
from connectors.rss.schedule import FIRST_SPREAD_S, delay_s
from connectors.rss.subscription import Subscription, subscription
from connectors.urls import host_of
from streams import clock
from streams.errors import (
    PoolCallError,
    SettingsError,
    SourceError,
    SourceUnavailableError,
    WirewatchError,
)
from streams.log.face import Log
from streams.pool import Pool
from streams.records import Cursor
from streams.settings import Feed, Settings
from streams.text import fingerprint


STAGE = "connectors.rss"
#: What one document may take to parse; 1 MB of hostile markup takes some seconds.
PARSE_TIMEOUT_S = 20.0
PARSERS = 2

_log = structlog.get_logger()


@dataclass
class _Watched:
    """One feed, and what we know of it."""

    feed: Feed
    subscription: Subscription
    cursor: Cursor
    state: str = "waiting"
    last_good: datetime | None = None
    last_error: str = ""
    failures: int = 0
    published: int = 0
    refused: int = 0
    known: int = 0
    looks: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    due: datetime | None = None
    host: str = field(init=False)

    def __post_init__(self) -> None:
        self.host = host_of(self.feed.url)

    @property
    def ident(self) -> str:
        return self.subscription.source.id


class RssConnector:
    """Polls every configured feed; see :class:`connectors.face.Connector`."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._settings = settings
        self._log = log
        self._rng = random.Random()  # noqa: S311 - spreads requests
        self._watched = [
            _Watched(feed, (about := subscription(feed)), _fresh(feed, about))
            for feed in settings.rss.feeds
        ]
        idents = Counter(watched.ident for watched in self._watched)
        if twice := [ident for ident, count in idents.items() if count > 1]:
            # They would share a cursor; tokens and passwords do not count in an id.
            raise SettingsError(
                f"{len(twice)} of rss.feeds have the id of another, such as "
                f"{twice[0]!r}: give each an id"
            )
        self._room = asyncio.Semaphore(settings.rss.parallel)
        self._hosts: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until *stop* is set. Raises FatalError if the log or the pool is broken."""
        if not self._watched:
            await stop.wait()
            return
        load = partial(load_cursors, self._log)
        cursors = await patiently(load, stop, doing="reading the cursors")
        if cursors is None:
            return
        for watched in self._watched:
            if cursor := cursors.get(watched.ident):
                watched.cursor = _for_url(cursor, watched.feed.url)
                watched.last_good = cursor.updated
        async with (
            HttpClient(self._settings.http) as http,
            Pool(PARSERS, timeout_s=PARSE_TIMEOUT_S, name="feeds") as pool,
        ):
            # What is under way at the end is asked again at the next start.
            await until_stopped(
                stop,
                [self._watch(watched, http, pool, stop) for watched in self._watched],
            )

    def statuses(self) -> list[SourceStatus]:
        """Return how each feed does."""
        return [
            SourceStatus(
                connector="rss",
                id=watched.ident,
                name=watched.subscription.source.name or watched.ident,
                state=watched.state,
                last_good=watched.last_good,
                published=watched.published,
                refused=watched.refused,
                last_error=watched.last_error,
                looks=watched.looks,
                known=watched.known,
                refusals=watched.refusals,
                due=watched.due,
            )
            for watched in self._watched
        ]

    async def _watch(
        self, watched: _Watched, http: HttpClient, pool: Pool, stop: asyncio.Event
    ) -> None:
        settings = self._settings.rss
        interval_s = max(
            watched.feed.interval_s or settings.interval_s, settings.interval_min_s
        )
        spread_s = min(FIRST_SPREAD_S, interval_s) if len(self._watched) > 1 else 0.0
        stopped = await _pause(watched, self._rng.uniform(0, spread_s), stop)
        while not stopped:
            retry_after_s = await self._attempt(watched, http, pool, stop)
            wait_s = delay_s(
                interval_s,
                failures=watched.failures,
                retry_after_s=retry_after_s,
                rng=self._rng,
            )
            stopped = await _pause(watched, wait_s, stop)

    async def _attempt(
        self, watched: _Watched, http: HttpClient, pool: Pool, stop: asyncio.Event
    ) -> float:
        """Poll once; return how long the server asks us to stay away."""
        try:
            await self._poll(watched, http, pool, stop)
        except (SourceError, SourceUnavailableError, PoolCallError) as error:
            watched.failures += 1
            watched.looks["failed"] += 1
            watched.state, watched.last_error = "failing", str(error)
            _log.warning(
                "rss.failed",
                source=watched.ident,
                failures=watched.failures,
                error=watched.last_error,
            )
            if isinstance(error, FetchFailedError):
                return error.failure.retry_after_s
            return 0.0
        watched.looks["new" if watched.state == "fresh" else "unchanged"] += 1
        watched.failures, watched.last_error = 0, ""
        watched.last_good = clock.now()
        return 0.0

    async def _poll(
        self, watched: _Watched, http: HttpClient, pool: Pool, stop: asyncio.Event
    ) -> None:
        # The host first: a slow one must not take room from the others.
        async with self._hosts[watched.host], self._room:
            answer = await http.get(
                watched.feed.url,
                etag=watched.cursor.position.get("etag", ""),
                last_modified=watched.cursor.position.get("last_modified", ""),
            )
        if isinstance(answer, NotModified):
            watched.state = "unchanged"
            _log.info("rss.unchanged", source=watched.ident, because="not modified")
            return
        digest = hashlib.sha256(answer.body).hexdigest()
        if digest == watched.cursor.position.get("body"):
            watched.state = "unchanged"
            watched.cursor = _moved(watched.cursor, answer, digest, clock.now())
            _log.info("rss.unchanged", source=watched.ident, because="same body")
            return
        await self._publish(watched, answer, digest, pool, stop)

    async def _publish(
        self,
        watched: _Watched,
        document: Document,
        digest: str,
        pool: Pool,
        stop: asyncio.Event,
    ) -> None:
        now = clock.now()
        items, faults = await _read(document, watched.subscription, now, pool)
        memory = watched.cursor.position.get("entries", "")
        sifted = sift(items, memory)
        told = watched.cursor.position.get("refused", "")
        telling = fingerprint(*faults) if faults else ""
        refused = [
            Refused(watched.ident, "broken", fault, digest, len(document.body))
            for fault in faults
            if telling != told
        ]
        cursor = _moved(
            watched.cursor,
            document,
            digest,
            now,
            remembered={"entries": sifted.memory, "refused": telling},
        )
        # Some feeds carry the time of the request: that alone is not worth a record.
        moved = bool(sifted.new) or sifted.memory != memory or telling != told
        published = await publish(
            self._log,
            sifted.new,
            stage=STAGE,
            stop=stop,
            cursor=cursor if moved else None,
            refused=refused,
        )
        if not published.complete:
            return
        watched.cursor = cursor
        watched.state = "fresh" if sifted.new else "unchanged"
        watched.refused += len(published.refused)
        watched.refusals.update(one.kind for one in published.refused)
        watched.known += sifted.known
        watched.published += len(sifted.new) + len(refused) - len(published.refused)
        log_fetch(
            "rss",
            watched.ident,
            entries=len(items) + len(refused),
            known=sifted.known,
            published=published,
            detail={"bytes": len(document.body)},
        )


async def _pause(watched: _Watched, seconds: float, stop: asyncio.Event) -> bool:
    watched.due = clock.now() + timedelta(seconds=seconds)
    return await pause(stop, seconds)


async def _read(
    document: Document, about: Subscription, now: datetime, pool: Pool
) -> FeedItems:
    try:
        return await pool.run(
            read,
            document.body,
            about,
            now,
            content_type=document.content_type,
            content_language=document.content_language,
            url=document.url,
        )
    except WirewatchError:
        raise
    except Exception as error:
        # Reading is a function of the document: whatever it raises is about that.
        raise SourceError(
            f"{document.url}: it cannot be parsed: {type(error).__name__}: {error}"
        ) from error


def _fresh(feed: Feed, about: Subscription) -> Cursor:
    position = {"url": fingerprint(feed.url)}
    return Cursor(source=about.source.id, position=position, updated=clock.now())


def _for_url(cursor: Cursor, url: str) -> Cursor:
    """Return *cursor*, without validators if they are those of another address."""
    named = fingerprint(url)
    if cursor.position.get("url") == named:
        return cursor
    kept = {name: cursor.position.get(name, "") for name in ("entries", "refused")}
    return msgspec.structs.replace(cursor, position={"url": named} | kept)


def _moved(
    cursor: Cursor,
    document: Document,
    digest: str,
    now: datetime,
    *,
    remembered: Mapping[str, str] | None = None,
) -> Cursor:
    position = cursor.position | {
        "etag": document.etag,
        "last_modified": document.last_modified,
        "body": digest,
        **(remembered or {}),
    }
    return msgspec.structs.replace(cursor, position=position, updated=now)
