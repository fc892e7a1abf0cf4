"""The servers of one test run: shared ones, started once, and one's own to break."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from tests.servers.containers import Containers
from tests.servers.errors import UnavailableError
from tests.servers.handles import ElasticsearchServer, KafkaServer, Kind, Server
from tests.servers.identities import Identities
from tests.servers.maven import Maven
from tests.servers.secure import SecureKafkaServer, secure_kafka


#: Where a test finds servers that somebody else runs. Not WIREWATCH_*: those are
#: settings of the system under test, which refuses names that it does not know.
VARIABLES: dict[Kind, str] = {
    "kafka": "WIRETEST_KAFKA",
    "elasticsearch": "WIRETEST_ELASTICSEARCH",
}
CACHE_VARIABLE = "WIRETEST_CACHE"

S = TypeVar("S", bound=Server)


class Source(Protocol):
    """Somewhere that servers come from."""

    name: str

    def fetch(self, kind: Kind) -> None:
        """Download what *kind* needs; UnavailableError when that cannot be."""

    def kafka(self, port: int | None = None) -> KafkaServer:
        """Return a broker, not yet started; None: on any free port."""

    def elasticsearch(self, port: int | None = None) -> ElasticsearchServer:
        """Return a node, not yet started; None: on any free port."""


class Suite:
    """Keeps the servers of a test run, and ends them all with it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = {k: environ[v] for k, v in VARIABLES.items() if environ.get(v)}
        self._source: Source | None = None
        self._missing: dict[Kind, str] = {}
        self._shared: dict[Kind, Future[str]] = {}
        self._servers: list[Server] = []
        self._starters = ThreadPoolExecutor(thread_name_prefix="server-start")
        self._cache = environ.get(CACHE_VARIABLE)

    def prepare(self, shared: Collection[Kind], own: Collection[Kind]) -> None:
        """Download what the run needs, and begin to start what its tests share."""
        for kind in sorted({*shared, *own}):
            if kind in own or kind not in self._given:
                self._fetch(kind)
        for kind in shared:
            if kind not in self._given and kind not in self._missing:
                server = self._make(kind)
                self._shared[kind] = self._starters.submit(_started, server)

    def missing(self, kind: Kind, *, own: bool = False) -> str:
        """Return why there is no server of *kind*, or ''."""
        return "" if kind in self._given and not own else self._missing.get(kind, "")

    def shared(self, kind: Kind) -> str:
        """Return the address of the run's own (or the given) server, when it serves."""
        if kind in self._given:
            return self._given[kind]
        assert kind in self._shared, f"mark this test: pytest.mark.{kind}"
        return self._shared[kind].result()

    def own_kafka(self) -> KafkaServer:
        """Return a broker for one test, started."""
        return self._own(self._get_source().kafka())

    def own_elasticsearch(self) -> ElasticsearchServer:
        """Return a node for one test, started."""
        return self._own(self._get_source().elasticsearch())

    def secure_kafka(self, source: Maven, identities: Identities) -> SecureKafkaServer:
        """Return a broker that knows *identities*, started."""
        return self._own(secure_kafka(source, identities))

    def maven(self) -> Maven:
        """Return Maven with Kafka in it, whatever else there is.

        Raises UnavailableError.
        """
        source = self._source
        if not isinstance(source, Maven):
            source = maven({CACHE_VARIABLE: self._cache} if self._cache else {})
        source.fetch("kafka")
        return source

    def close(self) -> None:
        """End every server, also one that is just starting."""
        for server in self._servers:
            server.end()
        self._starters.shutdown()

    def _own(self, server: S) -> S:
        self._servers.append(server)
        server.start()
        return server

    def _make(self, kind: Kind) -> Server:
        source = self._get_source()
        server = source.kafka() if kind == "kafka" else source.elasticsearch()
        self._servers.append(server)
        return server

    def _fetch(self, kind: Kind) -> None:
        try:
            self._get_source().fetch(kind)
        except UnavailableError as error:
            self._missing[kind] = str(error)

    def _get_source(self) -> Source:
        if self._source is None:
            self._source = find_source(self._cache)
        return self._source


def maven(environ: Mapping[str, str]) -> Maven:
    """Return Maven, with the cache that *environ* names; raises UnavailableError."""
    cache = environ.get(CACHE_VARIABLE)
    return Maven(Path(cache) if cache else None)


def find_source(cache: str | None) -> Source:
    """Return a container engine, else Maven; UnavailableError says what is wanted."""
    reasons = []
    for make in (Containers, lambda: Maven(Path(cache) if cache else None)):
        try:
            return make()
        except UnavailableError as error:
            reasons.append(str(error))
    raise UnavailableError("; ".join(reasons))


def _started(server: Server) -> str:
    server.start()
    return server.address
