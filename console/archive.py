"""The feeds' archive, where ``wirewatch forget`` must reach too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from connectors.parsers import parsers
from connectors.rss.archive import Kept, erase
from connectors.rss.items import read
from streams import clock, forget
from streams.errors import PoolCallError, SourceError, TransientError
from streams.log.face import Log
from streams.records import UniqueItem
from streams.settings import Rss


async def erase_from_archive(
    rss: Rss, log: Log, publications: Sequence[UniqueItem]
) -> int:
    """Take every fetch that holds one of *publications* out of the archive; say how many.

    Others of the same documents go with it: they are on the topics. Raises
    TransientError where a file cannot be replaced.
    """
    if not rss.archive:
        return 0
    publishers = {one.publisher for one in publications}
    names = frozenset[bytes]().union(
        *[await forget.names(log, one.id) for one in publications]
    )
    async with parsers(rss, name="archive") as pool:

        async def holds(kept: Kept) -> bool:
            if kept.about is None or kept.about.publisher not in publishers:
                return False
            try:
                found = await pool.run(
                    read,
                    kept.body,
                    kept.about,
                    kept.fetched or clock.now(),
                    content_type=kept.content_type,
                    content_language=kept.content_language,
                    url=kept.url,
                )
            except (SourceError, PoolCallError):
                return True  # what cannot be read any more may hold anything
            return any(forget.is_called(item, names) for item in found.items)

        try:
            return await erase(Path(rss.archive), holds)
        except OSError as error:
            raise TransientError(
                f"it is out of the search, and not out of the archive {rss.archive}: "
                f"{error.strerror}; then the same command goes on"
            ) from error
