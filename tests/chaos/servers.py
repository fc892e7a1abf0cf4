"""The world of the servers mode: brokers and an index behind proxies, a role a process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from elasticsearch import ApiError, Elasticsearch, TransportError

from streams.settings import Settings
from tests.chaos.faults.clock import Clock
from tests.chaos.faults.elastic import TroubledElasticsearch
from tests.chaos.faults.proxy import Proxy
from tests.chaos.world import Process, World, configured, sources_toml
from tests.servers.cluster import brokers
from tests.servers.handles import Server, free_ports
from tests.servers.maven import Maven


SESSION_S = 6.0
#: The index must answer within; less than a fault may take.
REQUEST_S = 6.0


class ServersWorld(World):
    """Brokers, an index, two workers, both connectors.

    Everybody reaches each broker through its proxy of ``kafka_links``, and the index
    through ``index_link`` and behind that ``index_door``. Only :meth:`holds` asks the
    index itself. Given *index_url*, the index is not its own: others use it under other
    prefixes, and no fault strikes the server.
    """

    def __init__(
        self,
        seed: int,
        folder: Path,
        maven: Maven,
        *,
        brokers: int,
        rate: float,
        index_url: str = "",
        prefix: str = "",
    ) -> None:
        self._brokers_count = brokers
        self._maven = maven
        self._seed = seed
        self._index_url = index_url
        self._prefix = prefix
        has = {"three brokers"} if brokers > 2 else {"one broker"}
        if not index_url:
            has.add("own index")
        super().__init__(seed, folder, has=frozenset(has), rate=rate)
        self.clocks: dict[str, Clock] = {}
        self.workers = [self._role(f"worker-{n}", "worker") for n in (1, 2)]
        self.connectors = [self._role(k, "connect", k) for k in ("rss", "radio")]

    @property
    def settings(self) -> Settings:
        return self._settings

    def _open(self, stack: ExitStack) -> None:
        ports = free_ports(self._brokers_count)
        self.kafka_links = [
            stack.enter_context(Proxy(("127.0.0.1", port))) for port in ports
        ]
        told = [link.port for link in self.kafka_links]
        self.brokers = brokers(self._maven, ports, told)
        servers: list[Server] = [*self.brokers]
        if not self._index_url:
            self.index = self._maven.elasticsearch()
            self._index_url = self.index.url
            servers.append(self.index)
        for server in servers:
            stack.callback(server.end)
        with ThreadPoolExecutor(len(servers)) as starters:
            list(starters.map(lambda server: server.start(), servers))
        self.index_door = stack.enter_context(
            TroubledElasticsearch(self._index_url, self._seed)
        )
        host, _, port = self.index_door.url.rpartition("//")[2].partition(":")
        self.index_link = stack.enter_context(Proxy((host, int(port))))
        self._settings = configured(self.folder, self._toml())

    def holds(self, ident: str) -> bool:
        alias = f"{self.settings.prefix}items"
        try:
            with Elasticsearch(self._index_url, request_timeout=5) as search:
                search.indices.refresh(index=alias, ignore_unavailable=True)
                found = search.count(
                    index=alias,
                    query={"ids": {"values": [ident]}},
                    ignore_unavailable=True,
                )
        except (ApiError, TransportError):
            return False
        return bool(found["count"])

    def _role(self, name: str, *words: str) -> Process:
        folder = self.folder / f"clock-{name}"
        folder.mkdir()
        clock = self.clocks[name] = Clock(folder)
        return Process(name, list(words), self.folder, environment=clock.environment)

    def _toml(self) -> Iterator[str]:
        bootstrap = ",".join(link.address for link in self.kafka_links)
        yield from (
            'mode = "servers"',
            f'prefix = "{self._prefix}"',
            "[kafka]",
            f'bootstrap = "{bootstrap}"',
            f"session_timeout_s = {SESSION_S}",
            f"replication = {self._brokers_count}",
            "[elasticsearch]",
            f'url = "http://{self.index_link.address}"',
            f"request_timeout_s = {REQUEST_S}",
        )
        yield from sources_toml(self.source)
