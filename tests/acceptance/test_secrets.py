"""What opens a door is in no output, no file and no record, whatever fails, at ``-vv``."""

from __future__ import annotations

import base64
import gzip
import re
import threading
import urllib.request

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import structlog

from typer.testing import CliRunner

from connectors.urls import public_url
from console.cli import app
from tests.servers.handles import free_ports


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

#: In every secret of these tests.
MARK = "Xq7marked"
FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>A</title>
<link>https://paper.example/</link><item><guid>{place}</guid>
<title>Gunmen killed 4 drivers near Gao ({place})</title>
<link>https://paper.example/{place}</link>
<description>Gunmen killed 4 drivers of a convoy near Gao on Monday.</description>
</item></channel></rss>"""


class Feeds(BaseHTTPRequestHandler):
    """Gives a feed to who shows the password, and fails in the ways that feeds have."""

    def do_GET(self) -> None:
        place = urlsplit(self.path).path.strip("/")
        if place == "robots.txt":
            self._answer(404)
        elif place == "refuses" or "Authorization" not in self.headers:
            self._answer(401)
        elif place == "moves":
            host = self.headers["Host"]
            self._answer(
                302, Location=f"http://me:{MARK}-3@{host}/ok?token={MARK}-4&page=2"
            )
        elif place == "garbles":
            self._answer(200, f"<html>{'x' * 100}</html>")
        elif place == "moved":
            self._answer(301, Location="/ok?api_key=" + f"{MARK}-2")
        elif place == "circles":
            self._answer(308, Location=self.path)
        elif place == "gone":
            self._answer(410)
        elif place == "busy":
            self._answer(429, **{"Retry-After": "60"})
        elif place == "echoes":
            here = f"http://reader:{MARK}-1@{self.headers['Host']}{self.path}"
            self._answer(
                200,
                FEED.format(place=here.replace("&", "&amp;")),
                **{"Link": f'<{here}>; rel="self"', "Content-Location": self.path},
            )
        else:
            self._answer(200, FEED.format(place=place))

    def _answer(self, status: int, body: str = "", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def feeds() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Feeds) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def address() -> Iterator[str]:
    with feeds() as host:
        yield host


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def feed(place: str, scheme: str = "http") -> str:
    host, _, path = place.partition("/")
    return f"{scheme}://reader:{MARK}-1@{host}/{path}?api_key={MARK}-2&lang=en"


def configure(folder: Path, urls: list[str]) -> None:
    sources = "".join(f"[[rss.feeds]]\nurl = '{url}'\n" for url in urls)
    (folder / "wirewatch.toml").write_text(
        "[http]\nallow_private = ['127.0.0.1', 'localhost']\n"
        "[rss]\nhost_gap_s = 0.0\narchive = 'data/archive'\n" + sources
    )


def reveals(data: str | bytes) -> bool:
    """Whether a secret is in *data*: as it is, or in the ways that protocols write it."""
    raw = data.encode() if isinstance(data, str) else data
    if MARK.encode() in raw or MARK.encode("utf-16-le") in raw:
        return True
    # Three ways in which base64 may meet it, without the letters at its edges.
    return any(
        base64.b64encode(b"\0" * shift + MARK.encode())[4:-4] in raw
        for shift in range(3)
    )


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_secret_of_a_feed_is_told_or_stored(
    wirewatch: Wirewatch, address: str
) -> None:
    (closed,) = free_ports(1)
    places = ("ok", "refuses", "moves", "garbles", "moved", "circles", "gone", "echoes")
    urls = [feed(f"{address}/{place}") for place in places]
    # By another name: a host that asks for patience gets it.
    urls.append(feed(f"{address.replace('127.0.0.1', 'localhost')}/busy"))
    urls += [
        feed(f"127.0.0.1:{closed}/away"),
        feed("no-such-host.invalid/feed"),
        feed(f"{address}/tls", scheme="https"),
    ]
    configure(wirewatch.folder, urls)
    running = wirewatch.start("run", "-vv", "--listen", "127.0.0.1:0")
    said = asked_here(wirewatch, while_it_starts(urls))
    ready = re.search(r"listen=(\S+)", running.errors_until("monitor.ready"))
    assert ready
    for place in (*places, "busy", "away", "feed", "tls"):
        running.says("rss.f", f"/{place}?")  # fetched, or failed
    running.says("rss.fetched", "/echoes?")
    pages = ("metrics", "readyz", "healthz")
    said += [page_of(f"http://{ready[1]}/{page}") for page in pages]
    said += asked_here(wirewatch, once_it_polled(wirewatch.folder, urls))
    running.process.terminate()
    said += [running.rest(), running.said]
    assert "paper.example" in "".join(said)
    for text in said:
        assert not reveals(text), around(text)
    stored = files(wirewatch.folder / "data")
    assert stored
    assert not [path.name for path in stored if reveals(content(path))]
    assert b"WARC/1" in b"".join(content(path) for path in stored)


def content(path: Path) -> bytes:
    """Return what is in the file, unpacked."""
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def test_no_secret_of_a_server_is_told(
    wirewatch: Wirewatch, kafka: str, elasticsearch: str, prefix: str
) -> None:
    # A broker that knows no users, a node that is asked by a user it does not know.
    wirewatch.settings = {
        "WIREWATCH_MODE": "servers",
        "WIREWATCH_PREFIX": prefix,
        "WIREWATCH_KAFKA_BOOTSTRAP": kafka,
        "WIREWATCH_KAFKA_SECURITY": "SASL_PLAINTEXT",
        "WIREWATCH_KAFKA_SASL_MECHANISM": "PLAIN",  # which sends the password itself
        "WIREWATCH_KAFKA_USERNAME": "me",
        "WIREWATCH_KAFKA_PASSWORD": f"{MARK}-5",
        "WIREWATCH_ELASTICSEARCH_URL": elasticsearch.replace("//", f"//me:{MARK}-6@"),
        "WIREWATCH_ELASTICSEARCH_API_KEY": f"{MARK}-7",
    }
    worker = wirewatch.start("worker", "-vv")
    said = [worker.errors_until("waiting")]
    asked: tuple[Asked, ...] = (
        (1, "check", "--json"),
        (3, "topics", "create"),
        (0, "search", "drivers"),
        (3, "feeds"),
        (3, "feeds", "add", "https://paper.example/", "--no-check"),
    )
    said += asked_here(wirewatch, asked)
    worker.process.terminate()
    said += [worker.rest(), worker.said]
    for text in said:
        assert not reveals(text), around(text)


#: A command's words, after the code that it must end with.
Asked = tuple[int, *tuple[str, ...]]


def while_it_starts(urls: list[str]) -> Iterator[Asked]:
    ok, refuses, moves, garbles = urls[:4]
    inspect: tuple[str, ...] = ("inspect", *urls)
    yield (1, *inspect)
    yield 0, "feeds", "check", moves
    yield 1, "feeds", "check", refuses
    yield 1, "feeds", "discover", garbles
    yield 1, "feeds", "import", refuses
    yield 1, "feeds", "import", ok
    yield 2, "feeds", "show", f"{ok}x"
    yield 0, "feeds", "export"
    yield 0, "feeds", "export", "--format", "toml"


def once_it_polled(folder: Path, urls: list[str]) -> Iterator[Asked]:
    ok, moves = urls[0], urls[2]
    ident = public_url(ok).partition("://")[2]
    (folder / "urls.txt").write_text("\n".join(urls))
    yield 0, "ingest", ok, "--timeout", "60"
    yield 0, "check"
    yield 0, "deadletters", "list"
    yield 0, "tail", "connectors.cursors", "--from", "beginning", "-n", "1"
    yield 0, "tail", "connectors.health", "--from", "beginning", "-n", "12"
    yield 0, "feeds", "list"
    yield 0, "feeds", "list", "--json"
    yield 1, "feeds", "list", MARK
    yield 0, "feeds", "show", ident, moves
    yield 0, "feeds", "show", ident, "--json"
    yield 0, "feeds", "hosts"
    yield 1, "feeds", "add", f"{ok}&other=1", moves
    yield 1, "feeds", "import", str(folder / "urls.txt")
    yield 0, "feeds", "pause", ok
    yield 0, "feeds", "resume", ok
    yield 1, "feeds", "remove", ok


def asked_here(wirewatch: Wirewatch, asked: Iterable[Asked]) -> list[str]:
    """Return all that commands say: within this process, which takes a tenth."""
    file = wirewatch.folder / "wirewatch.toml"
    at = ["--config", str(file)] if file.exists() else []
    at += ["--data", str(wirewatch.folder / "data"), "-vv"]
    said = []
    for code, *words in asked:
        done = CliRunner().invoke(app, [*words, *at], env=wirewatch.settings)
        assert done.exit_code == code, (words, done.output[-2000:], done.exception)
        said += [done.stdout, done.stderr]
    return said


def around(text: str) -> list[str]:
    """Return the lines that hold a secret, to be found in a failure."""
    return [line[:300] for line in re.split(r"\n", text) if reveals(line)][:3]


def page_of(url: str) -> str:
    request = urllib.request.Request(url)  # noqa: S310 - http, ours
    opener = urllib.request.build_opener(NoErrors())
    with opener.open(request, timeout=10) as answer:
        return str(answer.read().decode())


class NoErrors(urllib.request.HTTPErrorProcessor):
    """Takes any status for an answer."""

    def http_response(self, request: object, response: object) -> object:
        del request
        return response
