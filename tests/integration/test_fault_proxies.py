"""The proxies of the chaos run do what they are asked to."""

from __future__ import annotations

import http.client
import socket
import socketserver
import threading
import time

from collections.abc import Iterator
from typing import Any

import elastic_transport
import pytest

from elasticsearch import ApiError, Elasticsearch

from tests.chaos.faults.elastic import Trouble, TroubledElasticsearch
from tests.chaos.faults.proxy import Proxy


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(4096):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy before a server that says again what it is told."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host, port = server.server_address[:2]
    with Proxy((str(host), port)) as proxy:
        yield proxy
    server.shutdown()
    server.server_close()


def _connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def _said(to: socket.socket, what: bytes) -> bytes:
    to.sendall(what)
    return to.recv(len(what))


def test_what_is_slow_comes_late_and_whole(proxy: Proxy) -> None:
    with _connected(proxy) as client:
        assert _said(client, b"soon") == b"soon"
        proxy.slow(latency_s=0.05)
        began = time.monotonic()
        assert _said(client, b"late") == b"late"
        assert time.monotonic() - began >= 0.1  # each way
        proxy.slow(bytes_per_s=20_000)
        began = time.monotonic()
        assert _said(client, bytes(1000)) == bytes(1000)
        assert time.monotonic() - began >= 0.1


def test_a_stalled_connection_stands_passes_nothing_and_goes_on(proxy: Proxy) -> None:
    proxy.stall()
    with _connected(proxy) as client:
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            _said(client, b"anybody?")
        proxy.heal()
        client.settimeout(5)
        assert client.recv(8) == b"anybody?"


def test_a_cut_connection_is_reset_and_the_next_one_works(proxy: Proxy) -> None:
    with _connected(proxy) as client:
        _said(client, b"x")
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with _connected(proxy) as client:
        assert _said(client, b"again") == b"again"


def test_who_is_refused_is_let_in_again_on_the_same_port(proxy: Proxy) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        _connected(proxy)
    proxy.heal()
    with _connected(proxy) as client:
        assert _said(client, b"back") == b"back"


def test_a_server_that_is_away_resets_whom_the_proxy_let_in() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as gone,
        Proxy(("127.0.0.1", gone.getsockname()[1])) as proxy,
    ):
        gone.close()
        # It may come before connect() has returned.
        with pytest.raises(ConnectionResetError), _connected(proxy) as client:
            client.recv(1)


@pytest.fixture
def troubled(elasticsearch: str) -> Iterator[TroubledElasticsearch]:
    with TroubledElasticsearch(elasticsearch, seed=7) as troubled:
        yield troubled


def _client(troubled: TroubledElasticsearch) -> Elasticsearch:
    return Elasticsearch(troubled.url, max_retries=0, request_timeout=5)


def _bulk(client: Elasticsearch, index: str, count: int) -> list[dict[str, Any]]:
    operations: list[dict[str, Any]] = []
    for number in range(count):
        operations += [{"index": {"_index": index, "_id": f"{number}"}}, {"n": number}]
    answer = client.bulk(operations=operations, refresh=True)
    return [one["index"] for one in answer["items"]]


@pytest.mark.parametrize(
    ("kind", "status"), [(Trouble.TOO_MANY, 429), (Trouble.UNAVAILABLE, 503)]
)
def test_a_refused_request_says_so(
    troubled: TroubledElasticsearch, kind: Trouble, status: int
) -> None:
    with _client(troubled) as client:
        troubled.trouble(kind)
        with pytest.raises(ApiError) as caught:
            client.info()
        assert caught.value.status_code == status
        troubled.heal()
        assert client.info()["version"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Trouble.PARTIAL_REJECTED, 429),
        (Trouble.PARTIAL_BLOCKED, 403),
        (Trouble.PARTIAL_UNAVAILABLE, 503),
    ],
)
def test_of_a_partial_failure_the_rest_is_stored(
    troubled: TroubledElasticsearch, prefix: str, kind: Trouble, status: int
) -> None:
    index = f"{prefix}items-test"
    with _client(troubled) as client:
        troubled.trouble(kind)
        said = _bulk(client, index, 10)
        assert [one["_id"] for one in said] == [f"{n}" for n in range(10)]
        stored = {one["_id"] for one in said if one["status"] == 201}
        assert {one["status"] for one in said} == {201, status}
        troubled.heal()
        hits = client.search(index=index, size=20)["hits"]["hits"]
        assert {hit["_id"] for hit in hits} == stored
        assert all(one["status"] < 300 for one in _bulk(client, index, 10))


def test_half_an_answer_breaks_off(troubled: TroubledElasticsearch) -> None:
    troubled.trouble(Trouble.TRUNCATED)
    with (
        _client(troubled) as client,
        pytest.raises(elastic_transport.ConnectionError),
    ):
        client.info()


def test_what_hangs_answers_nothing_until_it_is_healed(
    troubled: TroubledElasticsearch,
) -> None:
    troubled.trouble(Trouble.HANG)
    address = troubled.url.removeprefix("http://")
    hanging = http.client.HTTPConnection(address, timeout=0.2)
    hanging.request("GET", "/")
    with pytest.raises(TimeoutError):
        hanging.getresponse()
    hanging.close()
    troubled.heal()
    with _client(troubled) as client:
        assert client.info()["version"]


def test_trouble_befalls_a_share_and_the_same_one_for_a_seed(
    elasticsearch: str,
) -> None:
    def befallen() -> list[bool]:
        with TroubledElasticsearch(elasticsearch, seed=11) as one:
            one.trouble(Trouble.TOO_MANY, share=0.3)
            return [one.drawn(bulk=False) is not None for _ in range(200)]

    drawn = befallen()
    assert drawn == befallen()
    assert 30 < sum(drawn) < 90
