"""The generations of the index in Elasticsearch: whole sets of indices, one of them live.

``{prefix}incidents-000001`` and ``{prefix}items-000001-2026.11`` are of generation 1.
Live is the generation that the alias ``{prefix}incidents`` leads to. No index is ever
made by writing to it (the templates forbid that): a month is made first, and gets its
alias only in one step with a proof that its generation is still the live one.
"""

from __future__ import annotations

import re

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple
from uuid import uuid4

from elasticsearch import AsyncElasticsearch, BadRequestError, NotFoundError

from mappings.face import Kind
from streams.errors import AlreadyRunningError, FatalError, IndexUnavailableError


KINDS: Final[tuple[Kind, ...]] = ("items", "incidents")
#: Of the months of release 0.1, whose names have no number.
UNNUMBERED: Final = 0
_NUMBER: Final = re.compile(r"-(?:(\d{6,})(?:-\d{4,}\.\d\d)?|\d{4,}\.\d\d)")
_EXISTS: Final = "resource_already_exists_exception"


class Claim(NamedTuple):
    """The right to build generation ``number``, and to make it live.

    ``token`` is an alias of its incidents' index. The switch takes it away, and fails
    without it: so does whoever ends the claim, and no late switch can follow.
    """

    number: int
    token: str


class Generations:
    """The indices under *prefix*.

    ``only`` is the generation that is meant, if one is, and ``claim`` the one by which
    it is built.
    """

    def __init__(
        self,
        client: AsyncElasticsearch,
        prefix: str,
        *,
        only: int | None = None,
        claim: Claim | None = None,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._only = only
        self._claim = claim
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
        return max((self._number(alias, name) or 0 for name in found), default=0)

    async def names(self, kind: Kind, number: int) -> dict[str, bool]:
        """Return generation *number*'s indices, and whether the alias leads to each."""
        found = await self._found(self.pattern(kind, number))
        alias = self.alias(kind)
        return {n: alias in about["aliases"] for n, about in sorted(found.items())}

    async def all(self) -> dict[str, int]:
        """Return every index, and of which generation it is."""
        return {
            name: number
            for kind in KINDS
            for name in sorted(await self._found(f"{self.alias(kind)}-*"))
            if (number := self._number(self.alias(kind), name)) is not None
        }

    async def unnumbered(self) -> list[str]:
        """Return the months of release 0.1, which belong to no generation."""
        return [n for n, number in (await self.all()).items() if number == UNNUMBERED]

    async def first(self) -> list[str]:
        """Make the index of the incidents unless its alias is there; a line if made."""
        alias = self.alias("incidents")
        if await self.live():
            return []
        number = max((await self.all()).values(), default=UNNUMBERED) or 1
        name = self.incidents(number)
        if await self._make(name, aliases={alias: {}}):
            return [f"made index {name}"]
        await self._client.indices.put_alias(index=name, name=alias)
        return [f"gave index {name} its alias"]

    async def claim_after(self, former: int) -> Claim:
        """Begin the generation after *former*.

        Where no incidents are, somebody has deleted them: of such a generation the
        number is not taken again. Raises AlreadyRunningError if somebody has begun it.
        """
        if not former:
            found = await self.all()
            headless = {n for n in found.values() if self.incidents(n) not in found}
            former = max(headless, default=0)
        return await self.claim(former + 1)

    async def claim(self, number: int) -> Claim:
        """Begin generation *number*; AlreadyRunningError if somebody has."""
        name = self.incidents(number)
        claim = Claim(number, f"{self._tokens}{uuid4().hex}")
        if not await self._make(name, aliases={claim.token: {}}):
            raise AlreadyRunningError(
                f"there is an index {name}: another reindex builds it; if that has "
                "died, delete what it left: wirewatch reindex --abandon"
            )
        return claim

    async def demand(self) -> None:
        """Raise FatalError if somebody has ended the claim by which we build."""
        if self._claim is not None and not await self._holds(self._claim):
            raise FatalError(
                f"generation {self._claim.number} of the index is ours no longer: its "
                "reindex was abandoned"
            )

    async def give_up(self, claim: Claim) -> None:
        """Delete what was built by *claim*, unless it is live, or ours no longer."""
        with suppress(NotFoundError):
            await self._alias(self._ended(claim))
            await self.drop([claim.number])

    async def abandon(self) -> list[str]:
        """End all claims, and delete what is half-built; the names of what went."""
        alias = self.alias("incidents")
        claimed = set()
        for name, about in (await self._found(f"{alias}-*")).items():
            number = self._number(alias, name)
            for token in about["aliases"]:
                if number and token.startswith(self._tokens):
                    with suppress(NotFoundError):  # its switch was faster
                        await self._alias(self._ended(Claim(number, token)))
                        claimed.add(number)
        live = await self.live()
        numbers = set((await self.all()).values())
        return await self.drop(n for n in numbers if n in claimed or n > live > 0)

    async def ensure(self, number: int, months: Iterable[str]) -> None:
        """Make *months* of generation *number* that are missing, found by the alias.

        Raises IndexUnavailableError when the generation is live no longer.
        """
        for name in months:
            if name in self._ready:
                continue
            await self.demand()
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

    async def switch(self, former: int, claim: Claim) -> None:
        """Make what was built by *claim* live, in one step; all nodes know it then.

        A month of *former* that was made in the same instant loses its alias after it.
        *former* is 0 where no generation was live. Called again, it finds out whether
        an earlier call without an answer was carried out. Raises FatalError if *claim*
        was ended, or *former* is live no longer.
        """
        number, items = claim.number, self.alias("items")
        try:
            await self._lead_to(former, claim)
        except NotFoundError as error:
            live = await self.live()
            if live == former and await self._holds(claim):
                raise  # a month has just expired
            if live != number:
                raise FatalError(
                    f"generation {number} of the index cannot become the live one: its "
                    f"reindex was abandoned, or {former} was deleted (live is {live}); "
                    "wirewatch check tells what there is"
                ) from error
        if late := await self._searched_beside(number):
            await self._alias(
                *({"remove": {"index": name, "alias": items}} for name in late)
            )

    async def _lead_to(self, former: int, claim: Claim) -> None:
        number, items = claim.number, self.alias("items")
        old = await self._searched_beside(number)
        await self._alias(
            self._ended(claim),
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

    async def _holds(self, claim: Claim) -> bool:
        about = (await self._found(self.incidents(claim.number))).values()
        return any(claim.token in one["aliases"] for one in about)

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

    @property
    def _tokens(self) -> str:
        return f"{self.alias('incidents')}-claim-"

    def _ended(self, claim: Claim) -> dict[str, Any]:
        """Return the action that ends *claim*; it fails if that has been ended."""
        index = self.incidents(claim.number)
        return {"remove": {"index": index, "alias": claim.token, "must_exist": True}}

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
    def _number(alias: str, name: str) -> int | None:
        """Return of which generation *name* is; None if it is none of ours."""
        found = _NUMBER.fullmatch(name.removeprefix(alias))
        return int(found[1] or UNNUMBERED) if found else None
