"""The feeds' archive, where ``wirewatch forget`` must reach too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from connectors.parsers import parsers
from connectors.rss.archive import Kept, erase, find
from connectors.rss.items import FeedItems, read
from streams import clock, forget
from streams.dedupe.publication import content_of, names_of
from streams.errors import PoolCallError, SourceError, TransientError
from streams.log.face import Log
from streams.pool import Pool
from streams.records import RawItem, UniqueItem
from streams.settings import Rss


@dataclass
class Share:
    """What of the archive goes with one publication."""

    publisher: str
    #: What dedupe knows the publication by.
    names: frozenset[bytes]
    #: Those that hold it.
    fetches: int = 0
    #: Of them, those that cannot be read any more, and may hold anything.
    unreadable: int = 0
    #: The strongest names of what else is in them.
    others: set[bytes] = field(default_factory=set)

    def takes(self, items: Sequence[RawItem] | None) -> bool:
        """Return whether a fetch with *items* (None: unreadable) goes; count it."""
        if items is None:
            self.fetches += 1
            self.unreadable += 1
            return True
        if not any(forget.is_called(item, self.names) for item in items):
            return False
        self.fetches += 1
        names = [names_of(item, content_of(item)[0]) for item in items]
        self.others.update(n[0] for n in names if self.names.isdisjoint(n))
        return True


async def find_in_archive(
    rss: Rss, log: Log, publications: Sequence[UniqueItem]
) -> Mapping[str, Share]:
    """Return what of the archive would go with each of *publications*, by id.

    Empty where there is no archive. Raises TransientError where it cannot be read.
    """
    if not rss.archive:
        return {}
    async with _search(rss, log, publications) as search:
        try:
            await find(Path(rss.archive), search.takes)
        except OSError as error:
            raise TransientError(
                f"the archive {rss.archive} cannot be read: {error.strerror}"
            ) from error
        return search.shares


async def erase_from_archive(
    rss: Rss, log: Log, publications: Sequence[UniqueItem]
) -> Mapping[str, Share]:
    """Take every fetch that holds one of *publications* out of the archive.

    Returns what went, as :func:`find_in_archive` does. Others of the same documents go
    with it: they are on the topics. Raises TransientError where a file cannot be replaced.
    """
    if not rss.archive:
        return {}
    async with _search(rss, log, publications) as search:
        try:
            await erase(Path(rss.archive), search.takes)
        except OSError as error:
            raise TransientError(
                f"it is out of the search, and not out of the archive {rss.archive}: "
                f"{error.strerror}; then the same command goes on"
            ) from error
        return search.shares


class _Search:
    """Looks for publications in what was fetched."""

    def __init__(self, pool: Pool, shares: Mapping[str, Share]) -> None:
        self._pool = pool
        self.shares = shares

    async def takes(self, kept: Kept) -> bool:
        """Return whether *kept* holds any of the publications."""
        publisher = kept.about.publisher if kept.about else ""
        asked = [one for one in self.shares.values() if one.publisher == publisher]
        if not asked:
            return False
        try:
            items: tuple[RawItem, ...] | None = (await self._read(kept)).items
        except (SourceError, PoolCallError):
            items = None
        taken = [one.takes(items) for one in asked]
        return any(taken)

    async def _read(self, kept: Kept) -> FeedItems:
        return await self._pool.run(
            read,
            kept.body,
            kept.about,
            kept.fetched or clock.now(),
            content_type=kept.content_type,
            content_language=kept.content_language,
            url=kept.url,
        )


@asynccontextmanager
async def _search(
    rss: Rss, log: Log, publications: Sequence[UniqueItem]
) -> AsyncIterator[_Search]:
    shares = {
        one.id: Share(one.publisher, await forget.names(log, one.id))
        for one in publications
    }
    async with parsers(rss, name="archive") as pool:
        yield _Search(pool, shares)
