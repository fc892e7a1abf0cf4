"""The articles behind a feed's entries: their pages fetched, their text taken out."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.http import HttpClient
from streams.pool import Pool
from streams.records import RawItem
from streams.settings import Settings


class Pages:
    """Reads the pages that items link to; one a connector."""

    def __init__(self, http: HttpClient, pool: Pool, settings: Settings) -> None:
        self._http = http
        self._pool = pool
        self._settings = settings

    async def read(self, items: Sequence[RawItem]) -> tuple[RawItem, ...]:
        """Return *items*, in order, with the article as ``text`` where it can be had."""
        return tuple(items)
