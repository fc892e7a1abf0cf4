"""The search index in Elasticsearch: a month of items an index, behind one alias.

Which indices those are, :mod:`mappings.generations` knows.

An item lies in the index of its anchor's month, which never changes, so an id is in one
index only. Incidents lie in one index. A document's name is the record's id and its
(external) version the record's, so that the server itself keeps an older version from
replacing a newer one, and a repeated call changes nothing.

``get`` and ``held`` are told no month. ``held`` refreshes and searches by id, over all
months at once: it serves the audit, which asks for many. ``get`` finds the month by a
search, refreshing only when that finds nothing, then reads the document in real time.
"""

from __future__ import annotations

import re

from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar

import msgspec

from elasticsearch import (
    ApiError,
    AsyncElasticsearch,
    BadRequestError,
    NotFoundError,
    SerializationError,
    TransportError,
)
from elasticsearch.exceptions import SSLError as TlsError

from mappings import analysis, dsl, paging, schema
from mappings.face import (
    MADE_BY,
    Fate,
    Held,
    Hit,
    Kind,
    Page,
    Rebuild,
    Refused,
    Sort,
    Stored,
)
from mappings.fates import explain, judge
from mappings.fields import Header, Passage, fault, searchable, stored
from mappings.generations import KINDS, UNNUMBERED, Claim, Generations
from mappings.query import Query
from mappings.snippets import snippets
from streams.clock import to_ms
from streams.errors import (
    AlreadyRunningError,
    FatalError,
    IndexUnavailableError,
    QueryError,
    SettingsError,
)
from streams.records import Incident, Item
from streams.settings import Elasticsearch
from streams.text import fingerprint


BULK_MAX: Final = 500
BULK_MAX_BYTES: Final = 8 * 1024 * 1024
QUERY_MAX_S: Final = 5
#: How long the client waits for an answer to a query, the server's limit included.
_ANSWER_MAX_S: Final = 2.0 * QUERY_MAX_S
_IDS_MAX: Final = 1000
_OF_0_1: Final = (
    "of release 0.1, which knew no generations; stop its workers, then: wirewatch "
    "reindex, which brings all that is in them from the topics, and deletes them"
)
_TOO_LARGE: Final = 413
_NO_INDEX: Final = "index_not_found_exception"
#: How a search fails whose index is deleted while it runs: a reindex has just ended.
_GONE: Final = frozenset({404, 503})
_TYPES: Final[Mapping[Kind, type[Item | Incident]]] = {
    "items": Item,
    "incidents": Incident,
}
_FACETS: Final = {"class": "class", "lang": "language", "source": "source"}
#: What a person can do about a refusal.
_MENDING: Final[Mapping[int, str]] = {
    401: "; see elasticsearch.api_key, or elasticsearch.username and .password",
    403: "; the user of elasticsearch.api_key (or elasticsearch.username) needs rights on "
    "the cluster (monitor, manage_index_templates) and on the indices (all)",
}

_encode = msgspec.json.Encoder().encode

T = TypeVar("T")


class _Operation(NamedTuple):
    """A document as it goes into a bulk request, and its place in the call."""

    at: int
    action: bytes
    body: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.action) + len(self.body)


class ElasticIndex:
    """A search index on servers; see :class:`mappings.face.SearchIndex`."""

    def __init__(
        self,
        settings: Elasticsearch,
        prefix: str,
        *,
        only: int | None = None,
        claim: Claim | None = None,
    ) -> None:
        if not re.fullmatch(r"([a-z0-9][a-z0-9_.-]{0,99})?", prefix):
            raise SettingsError(
                f"prefix {prefix!r} cannot begin an index's name: use lower-case "
                "letters, digits, '-', '_' and '.', a letter or digit first"
            )
        self._settings = settings
        self._prefix = prefix
        self._client = _client(settings)
        self._generations = Generations(self._client, prefix, only=only, claim=claim)
        #: The generation that was live when it was last asked.
        self._live = 0

    async def __aenter__(self) -> Self:
        """Open it; the first call connects."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._client.close()

    async def exists(self) -> bool:
        """Tell whether there is a generation that is live."""
        with _translated(self._settings.url):
            return bool(await self._generations.live())

    async def prepare(self) -> list[str]:
        """Bring templates, mappings and the incident index up to date.

        Several workers may do this at once. Raises FatalError when an index cannot be
        brought up to date in place.
        """
        lines = []
        with _translated(self._settings.url):
            if old := await self._generations.unnumbered():
                raise FatalError(f"{', '.join(old)}: {_OF_0_1}")
            for kind in KINDS:
                lines += await self._prepare_template(kind)
            lines += await self._generations.first()
            live = await self._generations.live()
            lines += await self._generations.mend(live)
            for kind in KINDS:
                lines += await self._prepare_indices(kind, live)
        return lines

    async def check(self) -> list[str]:
        """Return a line for each fault of server, templates and indices."""
        try:
            with _translated(self._settings.url):
                return await self._faults()
        except IndexUnavailableError as error:
            return [f"{error}; check the address, the credentials and the server"]

    async def write(self, documents: Sequence[Item | Incident]) -> list[Fate]:
        """Store *documents* by bulk requests of bounded size, in order.

        They are in the generation that is live when this returns: if another became
        live meanwhile, they are written again.
        """
        with _translated(self._settings.url):
            number = self._live or await self._generations.live()
        while True:
            if not number:
                raise IndexUnavailableError(
                    f"there is no alias {self._alias('incidents')}: {MADE_BY}"
                )
            fates, failed = await self._attempt(documents, number)
            with _translated(self._settings.url):
                self._live = await self._generations.live()
                if failed is not None:
                    await self._generations.demand()
            if self._live == number:
                if failed is not None:
                    raise failed
                return fates
            number = self._live

    async def _attempt(
        self, documents: Sequence[Item | Incident], number: int
    ) -> tuple[list[Fate], IndexUnavailableError | None]:
        """Write to generation *number*; what went wrong may be that it is gone."""
        fates: list[Fate] = [fault(one) or Stored.STALE for one in documents]
        try:
            good = [
                (at, one)
                for at, one in enumerate(documents)
                if not isinstance(fates[at], Refused)
            ]
            months = {self._index_of(d, number) for _, d in good if isinstance(d, Item)}
            with _translated(self._settings.url):
                await self._generations.ensure(number, sorted(months))
            operations = (self._operation(at, stored(d), number) for at, d in good)
            for chunk in _chunks(operations):
                for at, fate in await self._bulk(chunk):
                    fates[at] = fate
        except IndexUnavailableError as error:
            self._generations.forget()
            return fates, error
        return fates, None

    async def get(self, ident: str) -> Item | Incident | None:
        """Return the item or incident called *ident*, as of now."""
        with _translated(self._settings.url):
            for refresh in (False, True):
                if refresh:
                    await self.refresh()
                found = await self._client.search(
                    index=self._aliases(),
                    ignore_unavailable=True,
                    query={"ids": {"values": [ident]}},
                    source=False,
                    size=2,
                )
                for hit in found["hits"]["hits"]:
                    document = await self._get(hit["_index"], ident)
                    if document is not None:
                        return document
        return None

    async def items(self, idents: Sequence[str]) -> Mapping[str, Item]:
        """Return each of these items; refreshes the items first."""
        found = await self._by_ids(idents, {"excludes": ["search"]})
        return {item.id: item for item in (msgspec.convert(f, Item) for f in found)}

    async def newer(
        self, documents: Sequence[Item | Incident]
    ) -> Mapping[str, Item | Incident]:
        """Return what is held in a higher version, each from the month of its anchor."""
        if not documents:
            return {}
        newer: dict[str, Item | Incident] = {}
        with _translated(self._settings.url):
            number = await self._generations.live()
            asked = [
                {"_index": self._index_of(document, number), "_id": document.id}
                for document in documents
            ]
            answers = (await self._client.mget(docs=asked, source=False))["docs"]
            for document, answer in zip(documents, answers, strict=True):
                if (error := answer.get("error")) and error["type"] != _NO_INDEX:
                    raise IndexUnavailableError(
                        f"{answer['_index']} does not answer: {explain(error)}"
                    )
                if answer.get("_version", 0) > document.version:
                    held = await self._get(answer["_index"], document.id)
                    if held is not None:
                        newer[held.id] = held
        return newer

    async def held(self, idents: Sequence[str]) -> Mapping[str, Held]:
        """Return what is held of each item id; refreshes the items first."""
        fields = list(Header.__struct_fields__)
        found = await self._by_ids(idents, {"includes": fields})
        headers = (msgspec.convert(one, Header) for one in found)
        return {header.id: header.held() for header in headers}

    async def _by_ids(
        self, idents: Sequence[str], source: Mapping[str, Any]
    ) -> list[Any]:
        """Return the items called *idents*, as much of each as *source* says."""
        alias = self._alias("items")

        async def ask(part: list[str]) -> Any:
            with _translated(self._settings.url):
                return await self._client.search(
                    index=alias,
                    ignore_unavailable=True,
                    allow_partial_search_results=False,
                    query={"ids": {"values": part}},
                    source=source,
                    size=_IDS_MAX,
                )

        if idents:
            with _translated(self._settings.url):
                await self._client.indices.refresh(index=alias, ignore_unavailable=True)
        documents: list[Any] = []
        for start in range(0, len(idents), _IDS_MAX):
            part = list(idents[start : start + _IDS_MAX])
            found = await self._again_if_gone(partial(ask, part))
            documents += [hit["_source"] for hit in found["hits"]["hits"]]
        return documents

    async def search(
        self,
        query: Query,
        *,
        kind: Kind = "items",
        sort: Sort = "relevance",
        size: int = 20,
        after: str = "",
    ) -> Page:
        """Return one page; an empty query has no relevance and goes by time."""
        sort = sort if query.root is not None or sort != "relevance" else "newest"
        place = paging.decode(after, query, kind, sort)
        # One more than asked for tells whether there is a next page.
        body: dict[str, Any] = {"size": size + 1, "sort": dsl.order(sort)}
        if place is not None:
            body["search_after"] = dsl.search_after(sort, place)
        if sort == "relevance":
            body["search_type"] = "dfs_query_then_fetch"  # months score alike
            body["track_scores"] = True
        found = await self._search(query, kind, track_total_hits=True, **body)
        rows = found["hits"]["hits"]
        hits = tuple(_hit(row, query, kind, sort) for row in rows[:size])
        following = ""
        if len(rows) > size > 0:
            key, ident = rows[size - 1]["sort"]
            following = paging.encode(query, kind, sort, key, ident)
        return Page(hits, found["hits"]["total"]["value"], following)

    async def facets(
        self, query: Query, *, kind: Kind = "items", size: int = 10
    ) -> dict[str, list[tuple[str, int]]]:
        """Return counts by class, language and source, and of the latest days."""
        found = await self._search(query, kind, size=0, aggs=dsl.facets(_FACETS, size))
        counts = {
            name: [
                (bucket["key"], bucket["doc_count"])
                for bucket in found.get("aggregations", {})
                .get(name, {})
                .get("buckets", [])
            ]
            for name in (*_FACETS.values(), "day")
        }
        counts["day"].reverse()
        return counts

    async def refresh(self) -> None:
        """Return when everything written so far is searchable."""
        with _translated(self._settings.url):
            live = await self._generations.live()
            await self._client.indices.refresh(
                index=[self._generations.pattern(kind, live) for kind in KINDS],
                ignore_unavailable=True,
            )

    async def erase(self) -> None:
        """Begin to merge away what is deleted, in every index; returns at once.

        By itself a merge passes over segments of which little is deleted. The server
        keeps an operation that a copy may still ask for, at most
        ``index.soft_deletes.retention_lease.period`` (12 hours unless set).
        """
        allowed = "index.merge.policy.expunge_deletes_allowed"
        indices = self._client.indices
        with _translated(self._settings.url):
            live = await self._generations.live()
            if beside := await self._beside(live):
                raise AlreadyRunningError(
                    f"generation {beside[0]} of the index is there beside {live}, and "
                    "may hold the words too: again when the reindex that builds it has "
                    "ended (if it has died: wirewatch reindex)"
                )
            names = [
                name
                for kind in KINDS
                for name in await self._generations.names(kind, live)
            ]
            await indices.put_settings(index=names, settings={allowed: 0})
            await indices.flush(index=names, wait_if_ongoing=True)
            await indices.forcemerge(
                index=names, only_expunge_deletes=True, wait_for_completion=False
            )

    async def expire(self, before: datetime) -> int:
        """Delete the indices of months that end before *before*; how many items."""
        gone = 0
        current = f"{before.astimezone(UTC):%Y.%m}"
        with _translated(self._settings.url):
            live = await self._generations.live()
            for name in await self._generations.names("items", live):
                if name.rpartition("-")[2] < current:
                    await self._client.indices.refresh(index=name)
                    gone += (await self._client.count(index=name))["count"]
                    await self._client.indices.delete(index=name)
        return gone

    async def counts(self) -> Mapping[Kind, int]:
        """Return how many documents there are, stubs included; refreshes first."""
        counts: dict[Kind, int] = {}
        with _translated(self._settings.url):
            live = await self._generations.live()
            for kind in KINDS:
                names = self._generations.pattern(kind, live)
                await self._client.indices.refresh(index=names, ignore_unavailable=True)
                found = await self._client.count(index=names, ignore_unavailable=True)
                counts[kind] = found["count"]
        return counts

    @asynccontextmanager
    async def rebuild(self) -> AsyncIterator[Rebuild]:
        """Build the next generation, by the templates of this version."""
        generations = self._generations
        with _translated(self._settings.url):
            for kind in KINDS:
                await self._prepare_template(kind)
            live = await generations.live()
            claim = await generations.claim_after(live)

        async def switch() -> None:
            with _translated(self._settings.url):
                await generations.switch(live, claim)

        try:
            async with (
                self._only(live) as former,
                self._only(claim.number, claim) as fresh,
            ):
                yield Rebuild(former if live else None, fresh, switch)
        finally:
            await self._give_up(claim)
        with _translated(self._settings.url):
            if await generations.live() == claim.number:
                await generations.drop(range(UNNUMBERED, claim.number))

    async def _give_up(self, claim: Claim) -> None:
        """Delete what was built, unless it is live, or may become so."""
        try:
            with _translated(self._settings.url):
                await self._generations.give_up(claim)
        except IndexUnavailableError as error:
            raise IndexUnavailableError(
                f"{error}; generation {claim.number} of the index is left as it is, "
                "and may be the live one: wirewatch check tells, and what to do"
            ) from error

    async def abandon(self) -> list[str]:
        """Delete what is half-built, whoever builds it: he cannot switch to it then."""
        with _translated(self._settings.url):
            gone = await self._generations.abandon()
        return [f"deleted index {name}" for name in gone]

    def _only(self, number: int, claim: Claim | None = None) -> ElasticIndex:
        return ElasticIndex(self._settings, self._prefix, only=number, claim=claim)

    def _alias(self, kind: Kind) -> str:
        return self._generations.alias(kind)

    def _aliases(self) -> list[str]:
        return [self._alias(kind) for kind in KINDS]

    def _index_of(self, document: Item | Incident, number: int) -> str:
        if isinstance(document, Incident):
            return self._generations.incidents(number)
        anchor = document.anchor.astimezone(UTC)
        return self._generations.month(number, anchor.year, anchor.month)

    def _template(self, kind: Kind) -> dict[str, Any]:
        return schema.load(kind, prefix=self._prefix, replicas=self._settings.replicas)

    def _template_name(self, kind: Kind) -> str:
        return f"{self._prefix}wirewatch-{kind}"

    async def _prepare_template(self, kind: Kind) -> list[str]:
        name, template = self._template_name(kind), self._template(kind)
        held = await self._held_template(name)
        if held.get("_meta", {}).get("digest") == template["_meta"]["digest"]:
            return []
        if held.get("version", 0) > template["version"]:
            return [f"template {name} is of a newer Wirewatch: left as it is"]
        await self._client.indices.put_index_template(name=name, **_renamed(template))
        return [f"{'updated' if held else 'made'} template {name}"]

    async def _held_template(self, name: str) -> dict[str, Any]:
        try:
            found = await self._client.indices.get_index_template(name=name)
        except NotFoundError:
            return {}
        held: dict[str, Any] = found["index_templates"][0]["index_template"]
        return held

    async def _prepare_indices(self, kind: Kind, live: int) -> list[str]:
        """Give the indices that exist the fields that were added since."""
        mappings = self._template(kind)["template"]["mappings"]
        lines = []
        for name in await self._generations.names(kind, live):
            found = (await self._client.indices.get_mapping(index=name))[name]
            if found["mappings"].get("_meta") == mappings["_meta"]:
                continue
            try:
                await self._client.indices.put_mapping(
                    index=name,
                    properties=mappings["properties"],
                    meta=mappings["_meta"],
                )
            except BadRequestError as error:
                raise FatalError(
                    f"index {name} cannot take the mappings of this version: "
                    f"{_reason(error)}; build it anew: wirewatch reindex, or run the "
                    "version that made it"
                ) from error
            lines.append(f"updated the mappings of {name}")
        return lines

    async def _faults(self) -> list[str]:
        faults = []
        for kind in KINDS:
            name = self._template_name(kind)
            held = await self._held_template(name)
            digest = self._template(kind)["_meta"]["digest"]
            if not held:
                faults.append(f"there is no template {name}: {MADE_BY}")
            elif held.get("_meta", {}).get("digest") != digest:
                faults.append(
                    f"template {name} is not of this version: it is updated when a "
                    "worker of this version starts"
                )
        live = await self._generations.live()
        if not live:
            faults.append(f"there is no alias {self._alias('incidents')}: {MADE_BY}")
        return faults + await self._left_behind(live) + await self._index_faults()

    async def _left_behind(self, live: int) -> list[str]:
        """Return a line for each generation beside the live one."""
        newer = "a reindex builds it; if that has died: wirewatch reindex --abandon"
        older = (
            "a reindex died after its switch, and documents of that moment may be "
            "missing: wirewatch reindex"
        )
        return [
            f"{', '.join(await self._generations.unnumbered())}: {_OF_0_1}"
            if number == UNNUMBERED
            else f"generation {number} of the index is there beside {live}: "
            f"{newer if number > live else older}"
            for number in await self._beside(live)
        ]

    async def _beside(self, live: int) -> list[int]:
        """Return the generations other than *live*."""
        return sorted(set((await self._generations.all()).values()) - {live})

    async def _index_faults(self) -> list[str]:
        faults = []
        pattern = [f"{alias}-*" for alias in self._aliases()]
        blocks = await self._client.indices.get_settings(
            index=pattern, name="index.blocks.*", flat_settings=True
        )
        for name, about in sorted(blocks.items()):
            on = [key for key, value in about["settings"].items() if value == "true"]
            faults += [
                f"index {name} takes no writes ({key}): free disk space, or lift it"
                for key in on
            ]
        health = await self._client.cluster.health(index=pattern, level="indices")
        faults += [
            f"index {name} is red: some of its shards are on no node; look at "
            "_cluster/allocation/explain"
            for name, about in sorted(health.get("indices", {}).items())
            if about["status"] == "red"
        ]
        return faults

    def _operation(self, at: int, document: Item | Incident, number: int) -> _Operation:
        action = {
            "index": {
                "_index": self._index_of(document, number),
                "_id": document.id,
                "version": document.version,
                "version_type": "external",
            }
        }
        # The record's own bytes, with one more key at the end.
        body = _encode(document)[:-1] + b',"search":' + _encode(_extra(document)) + b"}"
        return _Operation(at, _encode(action), body)

    async def _bulk(self, chunk: Sequence[_Operation]) -> list[tuple[int, Fate]]:
        # Encoded already; the client passes bytes on as they are.
        lines: list[Any] = [part for one in chunk for part in (one.action, one.body)]
        try:
            with _translated(self._settings.url):
                answer = await self._client.bulk(operations=lines)
        except IndexUnavailableError as error:
            if _status(error) != _TOO_LARGE:
                raise
            return await self._halves(chunk, error)
        fates = []
        for one, item in zip(chunk, answer["items"], strict=True):
            result = item["index"]
            fate = judge(result)
            if fate is None:
                raise IndexUnavailableError(
                    f"{result['_index']} does not take {result['_id']} now: "
                    f"{explain(result.get('error') or result)}"
                )
            fates.append((one.at, fate))
        return fates

    async def _halves(
        self, chunk: Sequence[_Operation], error: IndexUnavailableError
    ) -> list[tuple[int, Fate]]:
        """Send what was too large for one request in two."""
        if len(chunk) == 1:
            return [(chunk[0].at, Refused("content_too_large", str(error)))]
        middle = len(chunk) // 2
        return await self._bulk(chunk[:middle]) + await self._bulk(chunk[middle:])

    async def _get(self, index: str, ident: str) -> Item | Incident | None:
        kind: Kind = (
            "items" if index.startswith(f"{self._alias('items')}-") else "incidents"
        )
        try:
            found = await self._client.get(
                index=index, id=ident, source_excludes=["search"]
            )
        except NotFoundError:  # its month has just expired
            return None
        return msgspec.convert(found["_source"], _TYPES[kind])

    async def _search(self, query: Query, kind: Kind, **body: Any) -> Any:
        found = await self._again_if_gone(lambda: self._ask(query, kind, body))
        if found["timed_out"]:
            raise IndexUnavailableError(
                f"the query took longer than {QUERY_MAX_S} s: ask for less"
            )
        return found

    async def _again_if_gone(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what *ask* gives; again if what it was asked of has been deleted."""
        try:
            return await ask()
        except IndexUnavailableError as error:
            if _status(error) not in _GONE:
                raise
        return await ask()

    async def _ask(self, query: Query, kind: Kind, body: Mapping[str, Any]) -> Any:
        with _translated(self._settings.url):
            try:
                return await self._client.options(request_timeout=_ANSWER_MAX_S).search(
                    index=self._alias(kind),
                    ignore_unavailable=True,
                    allow_partial_search_results=False,
                    query=dsl.compile_query(query),
                    source_excludes=["search"],
                    timeout=f"{QUERY_MAX_S}s",
                    # The same copies of the shards for all pages: scores differ.
                    preference=fingerprint(str(query)),
                    **body,
                )
            except BadRequestError as error:
                if "too_many" in str(error.body):
                    raise QueryError(
                        "the query has too many words for the server's limits", 0
                    ) from error
                raise


def _client(settings: Elasticsearch) -> AsyncElasticsearch:
    options: dict[str, Any] = {}
    if settings.api_key:
        options["api_key"] = settings.api_key
    elif settings.username:
        options["basic_auth"] = (settings.username, settings.password)
    if settings.ca_file:
        if not Path(settings.ca_file).is_file():
            raise SettingsError(
                f"elasticsearch.ca_file: there is no file {settings.ca_file}"
            )
        options["ca_certs"] = settings.ca_file
    try:
        urls = [one.strip() for one in settings.url.split(",")]
        return AsyncElasticsearch(
            urls,
            request_timeout=settings.request_timeout_s,
            # Each node is tried once. Whoever calls repeats the whole call; more hidden
            # repeats would only add load.
            max_retries=len(urls) - 1,
            retry_on_status=(),
            retry_on_timeout=False,
            **options,
        )
    except ValueError:  # whose message may show a password
        raise SettingsError(
            "elasticsearch.url must have a scheme, a host and a port, such as "
            "https://search.example.org:9200; a user and password go into "
            "elasticsearch.username and elasticsearch.password"
        ) from None
    except OSError as error:  # ssl's among them
        raise SettingsError(
            f"elasticsearch.ca_file {settings.ca_file} cannot be used: {error.strerror}"
        ) from None


def _renamed(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template as the client's arguments, which have no ``_meta``."""
    named = dict(template)
    named["meta"] = named.pop("_meta")
    return named


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """Turn the client's errors into ours; *url* is the server's."""
    where = f"Elasticsearch at {_without_credentials(url)}"
    try:
        yield
    except ApiError as error:
        raise IndexUnavailableError(
            f"{where}: HTTP {error.status_code}: {_reason(error)}"
            + _MENDING.get(error.status_code, "")
        ) from error
    except TlsError as error:
        raise IndexUnavailableError(
            f"{where}: {_of_certificate(error)}; see elasticsearch.ca_file"
        ) from error
    except (TransportError, SerializationError) as error:
        raise IndexUnavailableError(f"{where} does not answer: {error}") from error


def _without_credentials(urls: str) -> str:
    return ", ".join(re.sub(r"//[^/]*@", "//", one.strip()) for one in urls.split(","))


def _of_certificate(error: TlsError) -> str:
    """Return what does not fit, without the client's wrapping of it."""
    return next(
        (
            f"its certificate: {found[1]}"
            for found in [
                re.search(r"certificate verify failed: ([^(\]]+?) *\(", str(error))
            ]
            if found
        ),
        f"no TLS: {error.message}",
    )


def _status(error: IndexUnavailableError) -> int:
    cause = error.__cause__
    return cause.status_code if isinstance(cause, ApiError) else 0


def _reason(error: ApiError) -> str:
    body = error.body
    about = body.get("error") if isinstance(body, Mapping) else None
    return explain(about) if isinstance(about, Mapping) else str(error)


def _chunks(operations: Iterator[_Operation]) -> Iterator[list[_Operation]]:
    """Yield *operations* in requests of bounded count and size."""
    chunk: list[_Operation] = []
    size_bytes = 0
    for one in operations:
        full = size_bytes + one.size_bytes > BULK_MAX_BYTES or len(chunk) >= BULK_MAX
        if chunk and full:
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(one)
        size_bytes += one.size_bytes
    if chunk:
        yield chunk


def _extra(document: Item | Incident) -> dict[str, Any]:
    """Return the object ``search`` of a document."""
    found = searchable(document)
    return {
        **found.labels,
        "findable": found.findable,
        "moment": to_ms(found.moment),
        "seen": to_ms(found.seen),
        "day": found.day,
        **_texts(title=found.title, text=found.text),
    }


def _texts(**parts: Sequence[Passage]) -> dict[str, dict[str, list[str]]]:
    """Return language (or ``any``) -> field -> texts."""
    texts: dict[str, dict[str, list[str]]] = {}
    for part, passages in parts.items():
        for language, text in passages:
            prepared = analysis.prepare(text)
            for name in ("any", language) if language else ("any",):
                texts.setdefault(name, {}).setdefault(part, []).append(prepared)
    return texts


def _hit(row: Mapping[str, Any], query: Query, kind: Kind, sort: Sort) -> Hit:
    document = msgspec.convert(row["_source"], _TYPES[kind])
    score = float(row["_score"] or 0.0) if sort == "relevance" else 0.0
    return Hit(document, score, snippets(query, searchable(document).passages()))
