"""A newspaper's site that answers in a thread of its own: for commands, which have a loop."""

from __future__ import annotations

import threading

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Paper {name}</title>
<link>https://paper.example/</link><item><guid>{name}-{number}</guid>
<title>Gunmen killed 4 drivers near Gao ({name} {number})</title>
<link>https://paper.example/{name}/{number}</link>
<description>Gunmen killed 4 drivers of a convoy near Gao.</description>
</item></channel></rss>"""
ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>Wire</title>
<id>w</id><updated>2026-11-01T10:00:00Z</updated><entry><id>w1</id>
<title>Gunmen killed 4 drivers near Gao</title><updated>2026-11-01T10:00:00Z</updated>
<link href="https://paper.example/1"/></entry></feed>"""
SITE = """<html><head><title>The paper</title><base href="/papers/">
<link rel="alternate" type="application/rss+xml" href="a">
<link rel="alternate" type="application/rss+xml" href="comments"></head></html>"""


class Paper(BaseHTTPRequestHandler):
    """A site whose feed has a new entry each time; counts what is asked."""

    def __init__(self, asked: list[str], *connection: Any) -> None:
        self.asked = asked
        super().__init__(*connection)

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/":
            self._answer(200, SITE, "text/html")
        elif self.path.startswith("/papers/"):
            name = self.path.rpartition("/")[2]
            number = self.asked.count(self.path)
            self._answer(200, FEED.format(name=name, number=number), "text/xml")
        elif self.path == "/broken":
            broken = FEED.format(name="x & y", number=1)
            self._answer(200, broken, "text/xml")
        elif self.path == "/atom":
            self._answer(200, ATOM, "application/atom+xml")
        elif self.path == "/blank/page":
            self._answer(200, " ", "text/html")
        elif self.path == "/blank/feed.xml":
            self._answer(200, FEED.format(name="blank", number=1), "text/xml")
        elif self.path == "/moved":
            self._answer(301, location="/papers/a")
        elif self.path == "/there":
            self._answer(302, location="/moved?token=Xq7")
        elif self.path == "/moved?token=Xq7":
            self._answer(301, location="/papers/a")
        else:
            self._answer(404)

    def _answer(
        self, status: int, body: str = "", kind: str = "text/plain", location: str = ""
    ) -> None:
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Site:
    """Where the paper is, and what was asked of it."""

    def __init__(self, address: str, asked: list[str]) -> None:
        self.address, self.asked = address, asked

    def __call__(self, path: str) -> str:
        return f"http://{self.address}{path}"


@contextmanager
def a_newspaper() -> Iterator[Site]:
    """Serve the site."""
    asked: list[str] = []
    handler = partial(Paper, asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Site(f"127.0.0.1:{server.server_port}", asked)
        server.shutdown()
        thread.join()
