"""The generations of the index in Elasticsearch: whole sets of indices, one of them live.

``{prefix}incidents-000001`` and ``{prefix}items-000001-2026.11`` are of generation 1.
Live is the generation that the alias ``{prefix}incidents`` leads to. No index is ever
made by writing to it (the templates forbid that): a month is made first, and gets its
alias only in one step with a proof that its generation is still the live one.
"""

from __future__ import annotations

import re

from collections.abc import Iterable, Mapping
from typing import Any, Final

from elasticsearch import AsyncElasticsearch, BadRequestError, NotFoundError

from mappings.face import Kind
from streams.errors import AlreadyRunningError, IndexUnavailableError


KINDS: Final[tuple[Kind, ...]] = ("items", "incidents")
_NUMBER: Final = re.compile(r"-(\d{6,})(?:-\d{4,}\.\d\d)?")
_EXISTS: Final = "resource_already_exists_exception"


class Generations:
    """The indices under *prefix*; ``only`` is the generation that is meant, if one is."""

    def __init__(
        self, client: AsyncElasticsearch, prefix: str, *, only: int | None = None
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._only = only
        #: Made, and found by the alias.
        self._ready: set[str] = set()

    def alias(self, kind: Kind) -> str:
        """Return the name under which the live indices of *kind* are searched."""
        return f"{self._prefix}{kind}"

    def incidents(self, number: int) -> str:
        """Return the index of generation *number*'s incidents."""
        return f"{self.alias('incidents')}-{number:06}"

    def month(self, number: int, year: int, month: int) -> str:
        """Return the index of one month's items."""
        return f"{self.alias('items')}-{number:06}-{year:04}.{month:02}"

    def pattern(self, kind: Kind, number: int) -> str:
        """Return what matches generation *number*'s indices of *kind*."""
        dash = "-" if kind == "items" else ""
        return f"{self.alias(kind)}-{number:06}{dash}*"

    async def live(self) -> int:
        """Return the generation that is read and written now; 0 before there is one."""
        if self._only is not None:
            return self._only
        alias = self.alias("incidents")
        try:
            found = await self._client.indices.get_alias(name=alias)
        except NotFoundError:
            return 0
        return max((self._number(alias, name) for name in found), default=0)

    async def names(self, kind: Kind, number: int) -> dict[str, bool]:
        """Return generation *number*'s indices, and whether the alias leads to each."""
        found = await self._found(self.pattern(kind, number))
        alias = self.alias(kind)
        return {n: alias in about["aliases"] for n, about in sorted(found.items())}

    async def all(self) -> dict[str, int]:
        """Return every index, and of which generation it is."""
        return {
            name: self._number(self.alias(kind), name)
            for kind in KINDS
            for name in sorted(await self._found(f"{self.alias(kind)}-*"))
            if self._number(self.alias(kind), name)
        }

    async def first(self) -> list[str]:
        """Make the index of the incidents unless its alias is there; a line if made."""
        alias = self.alias("incidents")
        if await self.live():
            return []
        number = max((await self.all()).values(), default=1)
        name = self.incidents(number)
        if await self._make(name, aliases={alias: {}}):
            return [f"made index {name}"]
        await self._client.indices.put_alias(index=name, name=alias)
        return [f"gave index {name} its alias"]

    async def claim_after(self, former: int) -> int:
        """Begin the generation after *former*, and return its number.

        Where no incidents are, somebody has deleted them: of such a generation the
        number is not taken again. Raises AlreadyRunningError if somebody has begun it.
        """
        if not former:
            found = await self.all()
            headless = {n for n in found.values() if self.incidents(n) not in found}
            former = max(headless, default=0)
        await self.claim(former + 1)
        return former + 1

    async def claim(self, number: int) -> None:
        """Begin generation *number*; AlreadyRunningError if somebody has."""
        name = self.incidents(number)
        if not await self._make(name):
            raise AlreadyRunningError(
                f"there is an index {name}: another reindex builds it; if that has "
                "died, delete what it left: wirewatch reindex --abandon"
            )

    async def ensure(self, number: int, months: Iterable[str]) -> None:
        """Make *months* of generation *number* that are missing, found by the alias.

        Raises IndexUnavailableError when the generation is live no longer.
        """
        for name in months:
            if name in self._ready:
                continue
            made = await self._make(name)
            if self._only is None:
                await self._find_by_alias(number, name, made=made)
            self._ready.add(name)

    async def mend(self, number: int) -> list[str]:
        """Give the alias to the live months that miss it; a line for each."""
        missing = [n for n, ok in (await self.names("items", number)).items() if not ok]
        for name in missing:
            await self._find_by_alias(number, name, made=False)
        return [f"gave index {name} its alias" for name in missing]

    def forget(self) -> None:
        """Ask anew of every month whether it is there."""
        self._ready.clear()

    async def switch(self, former: int, number: int) -> None:
        """Make *number* the live generation, in one step; all nodes know when it returns.

        A month of *former* that was made in the same instant loses its alias after it.
        *former* is 0 where no generation was live.
        """
        items = self.alias("items")
        old = await self._searched_beside(number)
        await self._alias(
            *(self._proof(former)[:1] if former else ()),
            *({"remove": {"index": name, "alias": items}} for name in old),
            {
                "add": {
                    "index": self.incidents(number),
                    "alias": self.alias("incidents"),
                }
            },
            *(
                {"add": {"index": name, "alias": items}}
                for name in await self.names("items", number)
            ),
        )
        if late := await self._searched_beside(number):
            await self._alias(
                *({"remove": {"index": name, "alias": items}} for name in late)
            )

    async def _searched_beside(self, number: int) -> list[str]:
        """Return the months of other generations than *number* that a search finds."""
        alias = self.alias("items")
        return [
            name
            for name, about in sorted((await self._found(f"{alias}-*")).items())
            if alias in about["aliases"] and self._number(alias, name) != number
        ]

    async def drop(self, numbers: Iterable[int]) -> list[str]:
        """Delete generations; the names of what went."""
        wanted = set(numbers)
        names = [
            name for name, number in (await self.all()).items() if number in wanted
        ]
        for name in names:
            await self._client.indices.delete(index=name, ignore_unavailable=True)
        return names

    async def _find_by_alias(self, number: int, name: str, *, made: bool) -> None:
        try:
            await self._alias(
                *self._proof(number),
                {"add": {"index": name, "alias": self.alias("items")}},
            )
        except NotFoundError as error:
            if made:
                await self._client.indices.delete(index=name, ignore_unavailable=True)
            raise IndexUnavailableError(
                f"generation {number} of the index is live no longer"
            ) from error

    def _proof(self, number: int) -> tuple[dict[str, Any], ...]:
        """Return actions that change nothing, and fail unless *number* is live."""
        about = {"index": self.incidents(number), "alias": self.alias("incidents")}
        return {"remove": {**about, "must_exist": True}}, {"add": about}

    async def _alias(self, *actions: Mapping[str, Any]) -> None:
        answer = await self._client.indices.update_aliases(actions=actions)
        if not answer["acknowledged"]:
            raise IndexUnavailableError(
                "not every node of Elasticsearch has confirmed a change of aliases"
            )

    async def _make(self, name: str, **options: Any) -> bool:
        """Make index *name*; False if it is there."""
        try:
            await self._client.indices.create(index=name, **options)
        except BadRequestError as error:
            if error.error != _EXISTS:
                raise
            return False
        return True

    async def _found(self, pattern: str) -> dict[str, Any]:
        found = await self._client.indices.get_alias(
            index=pattern, ignore_unavailable=True
        )
        return dict(found)

    @staticmethod
    def _number(alias: str, name: str) -> int:
        found = _NUMBER.fullmatch(name.removeprefix(alias))
        return int(found[1]) if found else 0
