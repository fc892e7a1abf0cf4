"""An HTTP proxy before a real Elasticsearch, which answers as one in trouble does.

A partial bulk failure is a true one: the items that are refused never reach the server,
the rest does, and the answer is put together of both.
"""

from __future__ import annotations

import gzip
import http.client
import json
import random
import threading

from collections.abc import Iterator
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit


class Trouble(StrEnum):
    """What may befall a request."""

    TOO_MANY = "429"
    UNAVAILABLE = "503"
    HANG = "no answer"
    TRUNCATED = "half an answer"
    PARTIAL_REJECTED = "bulk items rejected (429)"
    PARTIAL_BLOCKED = "bulk items blocked (403)"
    PARTIAL_UNAVAILABLE = "bulk items without a shard (503)"


class Refusal(NamedTuple):
    """How Elasticsearch refuses an item of a bulk request, or a request."""

    status: int
    type: str
    reason: str


REJECTED = Refusal(
    429, "es_rejected_execution_exception", "rejected execution of primary operation"
)
UNAVAILABLE = Refusal(
    503, "unavailable_shards_exception", "primary shard is not active"
)
BLOCKED = Refusal(
    403,
    "cluster_block_exception",
    "index blocked by: [FORBIDDEN/12/disk usage exceeded flood-stage watermark]",
)
PARTIAL = {
    Trouble.PARTIAL_REJECTED: REJECTED,
    Trouble.PARTIAL_BLOCKED: BLOCKED,
    Trouble.PARTIAL_UNAVAILABLE: UNAVAILABLE,
}
WHOLE = {Trouble.TOO_MANY: REJECTED, Trouble.UNAVAILABLE: UNAVAILABLE}
#: Of a bulk request in partial trouble, this share of the items is refused.
ITEMS_REFUSED = 0.5
_JSON = "application/json"
_UPSTREAM_S = 60.0


class TroubledElasticsearch:
    """Passes requests on to the Elasticsearch at *url*; use as a context manager."""

    def __init__(self, url: str, seed: int, *, port: int = 0) -> None:
        self.upstream = urlsplit(url)
        self._rng = random.Random(f"elastic {seed}")
        self._lock = threading.Lock()
        self._trouble: Trouble | None = None
        self._share = 0.0
        self.healed = threading.Event()
        self._count = 0
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def troubled(self) -> int:
        """How many requests had trouble so far."""
        return self._count

    def trouble(self, kind: Trouble, *, share: float = 1.0) -> None:
        """Let *share* of the requests that can have it have *kind*, until healed."""
        with self._lock:
            self.healed.clear()
            self._trouble, self._share = kind, share

    def heal(self) -> None:
        """End the trouble; what hangs loses its connection."""
        with self._lock:
            self._trouble = None
            self.healed.set()

    def drawn(self, *, bulk: bool) -> Trouble | None:
        """Return what befalls the next request."""
        with self._lock:
            kind = self._trouble
            if kind is None or (kind in PARTIAL and not bulk):
                return None
            if self._rng.random() >= self._share:
                return None
            self._count += 1
            return kind

    def refused(self, count: int) -> frozenset[int]:
        """Return which of *count* items of a bulk request are refused: one at least."""
        with self._lock:
            chosen = max(1, round(count * ITEMS_REFUSED))
            return frozenset(self._rng.sample(range(count), k=min(count, chosen)))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], of: TroubledElasticsearch) -> None:
        super().__init__(address, _Handler)
        self.of = of

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a client that has gone."""


class _Answer(NamedTuple):
    status: int
    type: str
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        kind = self.server.of.drawn(bulk=path.endswith("/_bulk"))
        if kind is Trouble.HANG:
            self.server.of.healed.wait()
            self.close_connection = True
        elif kind is Trouble.TRUNCATED:
            self._answer(self._passed_on(body), truncated=True)
        elif kind in WHOLE:
            self._answer(_refusing(WHOLE[kind]))
        elif kind in PARTIAL:
            self._answer(self._partly(body, PARTIAL[kind]))
        else:
            self._answer(self._passed_on(body))

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the base's names

    def _passed_on(self, body: bytes) -> _Answer:
        upstream = self.server.of.upstream
        there = http.client.HTTPConnection(
            upstream.hostname or "", upstream.port, timeout=_UPSTREAM_S
        )
        own = {"host", "content-length", "connection", "accept-encoding"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in own}
        try:
            there.request(self.command, self.path, body or None, headers)
            answer = there.getresponse()
            kind = answer.getheader("Content-Type", _JSON)
            return _Answer(answer.status, kind, answer.read())
        except OSError:
            self.close_connection = True
            return _refusing(UNAVAILABLE)
        finally:
            there.close()

    def _partly(self, body: bytes, refusal: Refusal) -> _Answer:
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
            del self.headers["Content-Encoding"]
        actions = list(_actions(body))
        refused = self.server.of.refused(len(actions))
        passing = [one for at, one in enumerate(actions) if at not in refused]
        answer = _Answer(HTTPStatus.OK, _JSON, b'{"took":0,"items":[]}')
        if passing:
            answer = self._passed_on(b"".join(one.lines for one in passing))
            if answer.status != HTTPStatus.OK:
                return answer
        said: dict[str, Any] = json.loads(answer.body)
        taken = iter(said["items"])
        items = [
            one.refused(refusal) if at in refused else next(taken)
            for at, one in enumerate(actions)
        ]
        whole = said | {"errors": True, "items": items}
        return answer._replace(body=json.dumps(whole).encode())

    def _answer(self, answer: _Answer, *, truncated: bool = False) -> None:
        self.send_response(answer.status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", answer.type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            half = len(answer.body) // 2
            self.wfile.write(answer.body[:half] if truncated else answer.body)
        self.close_connection |= truncated


class _Action(NamedTuple):
    """An item of a bulk request: its one or two lines, and what they name."""

    verb: str
    target: str
    id: str
    lines: bytes

    def refused(self, refusal: Refusal) -> dict[str, Any]:
        return {
            self.verb: {
                "_index": self.target,
                "_id": self.id,
                "status": refusal.status,
                "error": {"type": refusal.type, "reason": refusal.reason},
            }
        }


def _actions(body: bytes) -> Iterator[_Action]:
    lines = iter(body.splitlines(keepends=True))
    for line in lines:
        ((verb, about),) = json.loads(line).items()
        source = b"" if verb == "delete" else next(lines)
        yield _Action(
            verb, about.get("_index", ""), about.get("_id", ""), line + source
        )


def _refusing(refusal: Refusal) -> _Answer:
    cause = {"type": refusal.type, "reason": refusal.reason}
    body = {"error": cause | {"root_cause": [cause]}, "status": refusal.status}
    return _Answer(refusal.status, _JSON, json.dumps(body).encode())
