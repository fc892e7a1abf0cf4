"""``wirewatch feeds``, beside a connector that runs."""

from __future__ import annotations

import json
import threading
import time

from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from typer.testing import CliRunner, Result

from console.cli import app


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

PATIENCE_S = 60.0
INTERVAL_S = 0.2
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>Paper {name}</title>
<link>https://paper.example/</link><item><guid>{name}-{number}</guid>
<title>Gunmen killed 4 drivers near Gao ({name} {number})</title>
<link>https://paper.example/{name}/{number}</link>
<description>Gunmen killed 4 drivers of a convoy near Gao.</description>
</item></channel></rss>"""
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
        elif self.path == "/moved":
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


@pytest.fixture
def site() -> Iterator[Site]:
    asked: list[str] = []
    handler = partial(Paper, asked)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Site(f"127.0.0.1:{server.server_port}", asked)
        server.shutdown()
        thread.join()


class Desk:
    """The command where a connector runs: within this process, which takes a tenth."""

    def __init__(self, wirewatch: Wirewatch) -> None:
        file = wirewatch.folder / "wirewatch.toml"
        file.write_text(
            "[http]\nallow_private = ['127.0.0.1']\n"
            f"[rss]\ninterval_min_s = {INTERVAL_S}\nhost_gap_s = 0.0\n"
        )
        self._at = ["--config", str(file), "--data", str(wirewatch.folder / "data")]

    def __call__(self, *words: str) -> Result:
        """Run ``wirewatch feeds`` with *words*."""
        done = CliRunner().invoke(app, ["feeds", *words, *self._at])
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done

    def lines(self, *words: str) -> list[Any]:
        """Run it; return its lines of JSON."""
        return [json.loads(line) for line in self(*words, "--json").stdout.splitlines()]


@pytest.fixture
def desk(wirewatch: Wirewatch) -> Iterator[Desk]:
    before = structlog.get_config()
    yield Desk(wirewatch)
    structlog.configure(**before)


def until(what: Callable[[], Any]) -> Any:
    """Return what *what* returns once it is something."""
    ends = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < ends, what
        time.sleep(0.1)
    return found


def test_a_feed_that_is_added_is_read_at_once_and_paused_no_more(
    wirewatch: Wirewatch, desk: Desk, site: Site
) -> None:
    running = wirewatch.start("run", "--json")
    running.errors_until("run.ready")

    added = desk("add", site("/"), "--tag", "Sahel/Mali", "--interval", str(INTERVAL_S))

    assert "a running connector takes it up within seconds" in added.stderr
    assert "near Gao" in running.line()

    desk("pause", "--tag", "Sahel")
    running.errors_until("rss.list_taken_up")
    (paused,) = desk.lines("list", "--state", "paused")

    def is_left_alone() -> bool:
        asked = len(site.asked)
        time.sleep(3 * INTERVAL_S)
        return len(site.asked) == asked

    until(is_left_alone)
    feed = until(lambda: next((f for f in desk.lines() if "good" in f["health"]), None))
    assert feed["id"] == paused["id"]
    assert feed["url"] == site("/papers/a")
    assert (feed["name"], feed["tags"]) == ("Paper a", ["Sahel/Mali"])
    assert feed["health"]["published"] > 0
    running.stop()
