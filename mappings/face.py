"""What a search index is to everybody who is not one.

Two implementations, one contract suite: :mod:`mappings.embedded` (SQLite FTS5, under
the data folder) and :mod:`mappings.elastic` (Elasticsearch). ``open_index`` in
:mod:`mappings.opening` chooses by the settings.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import Enum
from types import TracebackType
from typing import Final, Literal, NamedTuple, Protocol, Self

from mappings.query import Query
from streams.records import Incident, Item


Kind = Literal["items", "incidents"]
Sort = Literal["relevance", "newest", "oldest"]


#: What to say where there is no index.
MADE_BY: Final = (
    "a worker makes it when it starts; if there was one, build it anew from the log: "
    "wirewatch reindex"
)


class Stored(Enum):
    """What became of a document that was not refused."""

    STORED = "stored"  #: The index has it now.
    STALE = "stale"  #: The index has the same version, or a newer one.


class Refused(NamedTuple):
    """The document's own fault, from a named list of reasons."""

    kind: str
    reason: str


Fate = Stored | Refused


class Hit(NamedTuple):
    """One result; ``snippets`` have their hits between U+E000 and U+E001."""

    document: Item | Incident
    score: float
    snippets: tuple[str, ...] = ()


class Page(NamedTuple):
    """A stretch of results. ``after`` asks for the next one; '' when there is none."""

    hits: tuple[Hit, ...]
    total: int
    after: str


class Held(NamedTuple):
    """What the index holds of an id, as far as the audit asks."""

    version: int
    revision: int
    state: str
    origin: str
    first_seen: datetime


class Rebuild(NamedTuple):
    """A generation of the index that is being built beside the live one."""

    #: The one that was live, whatever becomes live meanwhile; None where there was none.
    former: SearchIndex | None
    #: Writes to that generation alone; no search finds what is in it.
    fresh: SearchIndex
    #: Makes it the live one, for every process at once; may be called again when it
    #: is not known whether it has. Raises FatalError when it is ours no longer.
    switch: Callable[[], Awaitable[None]]


class SearchIndex(Protocol):
    """One search index, opened. Use as an async context manager.

    Every method may raise :class:`~streams.errors.IndexUnavailableError`, which is
    transient: no room, a block, a closed circuit, no answer.
    """

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""

    async def exists(self) -> bool:
        """Tell whether there is a generation that is live."""

    async def prepare(self) -> list[str]:
        """Bring templates, indices and aliases up to date; a line for each change."""

    async def check(self) -> list[str]:
        """Return a line for each fault, with what to do about it; changes nothing."""

    async def write(self, documents: Sequence[Item | Incident]) -> list[Fate]:
        """Store *documents*; the fate of each, in order, when all are durable.

        An older version, or the same one, never replaces a newer one, also within one
        call. A withdrawn item stays as a stub that no query finds.
        """

    async def get(self, ident: str) -> Item | Incident | None:
        """Return the item or incident called *ident* exactly as it was written."""

    async def items(self, idents: Sequence[str]) -> Mapping[str, Item]:
        """Return each of these items as it was written; absent ones are left out.

        It sees what is durable, searchable already or not.
        """

    async def newer(
        self, documents: Sequence[Item | Incident]
    ) -> Mapping[str, Item | Incident]:
        """Return, by id, what is held in a higher version than that of *documents*.

        It sees what is durable, searchable already or not.
        """

    async def held(self, idents: Sequence[str]) -> Mapping[str, Held]:
        """Return what is held of each item id; absent ones are left out.

        It sees what is durable, searchable already or not.
        """

    async def search(
        self,
        query: Query,
        *,
        kind: Kind = "items",
        sort: Sort = "relevance",
        size: int = 20,
        after: str = "",
    ) -> Page:
        """Return *size* results that follow *after*, to any depth."""

    async def facets(
        self, query: Query, *, kind: Kind = "items", size: int = 10
    ) -> dict[str, list[tuple[str, int]]]:
        """Return counts by class, language, source and day, most first (days in order)."""

    async def erase(self) -> None:
        """Have what is stored rewritten, so that of replaced documents nothing is left.

        On servers it goes on after the call. Takes time and room in proportion to the
        index; writes wait meanwhile. Raises AlreadyRunningError while another
        generation is there: that one may hold them too.
        """

    async def refresh(self) -> None:
        """Return when everything written so far is searchable."""

    async def expire(self, before: datetime) -> int:
        """Delete items whose anchor month ends before *before*; how many went."""

    async def counts(self) -> Mapping[Kind, int]:
        """Return how many documents of each kind are durable, stubs included."""

    def rebuild(self) -> AbstractAsyncContextManager[Rebuild]:
        """Claim and make the next generation; leaving ends one of the two.

        Left before the switch, or by an error: the new one goes, and nothing has
        happened. Left after it: the former one goes. Left by an error after the switch:
        the former one stays, as the mark that documents may be missing from the live
        one. Where no generation is live, nothing else is deleted before the switch.
        Raises AlreadyRunningError when somebody else builds one.

        A write that was under way when the switch came is made again, on the new
        generation, before it is reported. So whatever was reported as written to the
        former one was on its topic before the switch; who reads the topics as of after
        the switch has all of it.
        """

    async def abandon(self) -> list[str]:
        """Delete the half-built generation of a dead rebuild; a line for each thing."""
