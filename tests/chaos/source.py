"""A site of feeds, and a folder of transcripts, that know what they published.

What is published is a function of the seed; when, is not. A feed carries a publication
until a poll has proved, by the ETag of its next request, that it took it: a connector
sends an ETag only of a document that it has published whole. Of a transcript the
connector's cursor tells, which is appended behind its items.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from tests.chaos.faults.poison import huge_entry, huge_transcript
from tests.chaos.stories import Text, told


ATOM = "http://www.w3.org/2005/Atom"
TOMBSTONES = "http://purl.org/atompub/tombstones/1.0"
#: This share of what is published is a transcript.
RADIO = 0.08
#: How many of the latest publications may still change.
CHANGEABLE = 200
#: A publication stays in its feed for so long at least.
LINGER_S = 3.0
STATION = "radio-chaos"
#: What the radio connector makes the title of a transcript whose time it does not know.
TITLE_WORDS = 10
#: While it is told to, this feed carries an entry that nobody can take.
HUGE_FEED = "c-news"
HUGE_FILE = "huge.srt"


class Paper(NamedTuple):
    """A publisher, and the feeds that carry all it publishes."""

    name: str
    feeds: tuple[str, ...]


PAPERS = (
    Paper("paper-a.example", ("a-news", "a-latest")),
    Paper("paper-b.example", ("b-news",)),
    Paper("paper-c.example", ("c-news",)),
    Paper("paper-d.example", ("d-news",)),
)


@dataclass
class Publication:
    """What the source says under one name, from the first text to the last."""

    guid: str
    publisher: str
    #: One after the other; None is a withdrawal.
    editions: list[Text | None]
    #: By the monotonic clock.
    begun_s: float
    changed_s: float
    published: datetime
    #: Feed -> editions, counted from 1, that a poll has taken.
    taken: dict[str, set[int]] = field(default_factory=dict)

    @property
    def last(self) -> Text | None:
        return self.editions[-1]

    def is_taken(self, feed: str) -> bool:
        """Whether a poll of *feed* has taken the last edition."""
        return len(self.editions) in self.taken.get(feed, ())


class Source:
    """Publishes at *rate* items/s between ``start()`` and ``stop()``."""

    def __init__(self, seed: int, folder: Path, *, rate: float) -> None:
        self.radio = folder / "radio"
        self.radio.mkdir(parents=True)
        self.publications: dict[str, Publication] = {}
        self._rng = random.Random(f"source {seed}")
        self._rate = rate
        self._lock = threading.Lock()
        self._recent: list[Publication] = []
        self._told: set[tuple[str, Text]] = set()
        #: ETag -> what the answer with it carried: guid, number of editions.
        self._carried: dict[tuple[str, str], dict[str, int]] = {}
        #: Hash of a transcript -> whose edition it is.
        self._transcripts: dict[str, tuple[Publication, int]] = {}
        self._is_huge = False
        self._going = threading.Event()
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(target=self._publish_on, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def url(self) -> str:
        """Where the feeds are: ``url/NAME.xml``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def published(self) -> int:
        """How many editions there are."""
        with self._lock:
            return sum(len(one.editions) for one in self.publications.values())

    def start(self) -> None:
        self._going.set()

    def stop(self) -> None:
        self._going.clear()

    def close(self) -> None:
        self._ended.set()
        self._going.set()
        self._server.shutdown()
        self._server.server_close()

    def probe(self, name: str) -> Publication:
        """Publish something now, by which to see that all goes on."""
        with self._lock:
            text = told(random.Random(name), f"probe {name}")
            return self._add(PAPERS[1].name, f"urn:chaos:probe:{name}", text)

    def pass_on(self, guid: str, text: Text) -> Publication:
        """Note what somebody else publishes, so that it is looked for."""
        now = time.monotonic()
        one = Publication(
            guid, "elsewhere.example", [text], now, now, datetime.now(UTC)
        )
        with self._lock:  # it is not ours to change
            self.publications[guid] = one
        return one

    def huge(self, *, present: bool) -> None:
        """Carry, or no more, 50 MB in one entry, and as much in a transcript."""
        with self._lock:
            self._is_huge = present
        file = self.radio / HUGE_FILE
        if present:
            huge_transcript(file)
        else:
            file.unlink()

    def note_transcripts(self, hashes: Iterable[str]) -> None:
        """Note the transcripts that the radio connector's cursors tell of."""
        with self._lock:
            for each in hashes:
                if each in self._transcripts:
                    one, count = self._transcripts[each]
                    one.taken.setdefault(STATION, set()).add(count)

    def untaken(self) -> list[str]:
        """Return the feeds and files whose last state no connector has taken."""
        with self._lock:
            return [
                f"{feed}: {one.guid}"
                for one in self.publications.values()
                for feed in carriers(one)
                if not one.is_taken(feed)
            ]

    def document(self, feed: str, known: str) -> tuple[str, Iterable[bytes] | None]:
        """Return the ETag and the bytes of *feed*; None: it is what ETag *known* had."""
        (paper,) = (one for one in PAPERS if feed in one.feeds)
        with self._lock:
            self._take(feed, known)
            now = time.monotonic()
            shown = [
                one
                for one in self.publications.values()
                if one.publisher == paper.name
                and (not one.is_taken(feed) or now - one.changed_s < LINGER_S)
            ]
            carried = {one.guid: len(one.editions) for one in shown}
            etag = f'"{hash(tuple(carried.items())) & 0xFFFFFFFFFFFF:x}"'
            if etag == known:
                return etag, None
            self._carried[feed, etag] = carried
            entries = "".join(_atom(feed, paper.name, shown)).encode()
            if self._is_huge and feed == HUGE_FEED:
                return "", (entries, *huge_entry("urn:chaos:huge"), b"</feed>")
            return etag, (entries, b"</feed>")

    def _take(self, feed: str, etag: str) -> None:
        for guid, count in self._carried.get((feed, etag), {}).items():
            self.publications[guid].taken.setdefault(feed, set()).add(count)

    def _publish_on(self) -> None:
        while not self._ended.is_set():
            self._going.wait()
            with self._lock:
                self._act()
            self._ended.wait(1 / self._rate)

    def _act(self) -> None:
        """Do the next thing of the plan."""
        rng = self._rng
        paper, kind, number = rng.choice(PAPERS), rng.random(), rng.getrandbits(64)
        old = rng.choice(self._recent) if self._recent else None
        if kind < RADIO:
            text = told(random.Random(number), f"{number:016x}")
            guid = f"{STATION}/{number:016x}.srt#1"
            self._transcribe(self._add(STATION, guid, _as_radio(text.text)))
        elif old is None or kind < 0.72 or old.last is None:
            text = told(random.Random(number), f"{number:016x}")
            self._add(paper.name, f"urn:chaos:{number:016x}", text)
        elif kind < 0.82:
            # A publisher's own two of the same text are one: its names for it say so.
            if (paper.name, old.last) not in self._told:
                self._add(paper.name, f"urn:chaos:copy:{number:016x}", old.last)
        elif kind < 0.92:
            new = old.last.changed(number)
            self._change(old, _as_radio(new.text) if old.publisher == STATION else new)
        elif kind < 0.97:
            self._change(old, old.editions[0])
        elif old.publisher != STATION:
            self._change(old, None)

    def _transcribe(self, one: Publication) -> None:
        """Put the last edition of *one* into the stations' folder, whole at once."""
        assert one.last is not None
        name = one.guid.partition("/")[2].removesuffix("#1")
        data = f"1\n00:00:01,000 --> 00:00:20,000\n{one.last.text}\n".encode()
        self._transcripts[hashlib.sha256(data).hexdigest()] = (one, len(one.editions))
        unfinished = self.radio / f"{name}.tmp"
        unfinished.write_bytes(data)
        unfinished.replace(self.radio / name)

    def _add(self, publisher: str, guid: str, text: Text) -> Publication:
        now = time.monotonic()
        one = Publication(guid, publisher, [text], now, now, datetime.now(UTC))
        self.publications[guid] = one
        self._told.add((publisher, text))
        self._recent = [*self._recent, one][-CHANGEABLE:]
        return one

    def _change(self, one: Publication, text: Text | None) -> None:
        if text != one.last:
            if text is not None:
                self._told.add((one.publisher, text))
            one.editions.append(text)
            one.changed_s = time.monotonic()
            if one.publisher == STATION:
                self._transcribe(one)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], source: Source) -> None:
        super().__init__(address, _Handler)
        self.source = source

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over a client that was killed."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        feed = self.path.strip("/").removesuffix(".xml")
        known = self.headers.get("If-None-Match", "")
        etag, body = self.server.source.document(feed, known)
        if body is None:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            self.end_headers()
            return
        self.send_response(HTTPStatus.OK)
        if etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Type", "application/atom+xml")
        self.end_headers()
        for chunk in body:
            self.wfile.write(chunk)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def _atom(feed: str, publisher: str, shown: list[Publication]) -> Iterator[str]:
    yield f'<feed xmlns="{ATOM}" xmlns:at="{TOMBSTONES}"><title>{feed}</title>'
    yield f"<id>urn:chaos:feed:{feed}</id><updated>2026-11-24T00:00:00Z</updated>"
    for one in shown:
        moment = one.published.isoformat()
        if one.last is None:
            yield f"<at:deleted-entry ref={quoteattr(one.guid)} when={quoteattr(moment)}/>"
            continue
        yield f"<entry><id>{escape(one.guid)}</id><updated>{moment}</updated>"
        yield f"<published>{moment}</published><title>{escape(one.last.title)}</title>"
        yield f'<link href="https://{publisher}/{one.guid.rpartition(":")[2]}"/>'
        yield f'<content type="text">{escape(one.last.text)}</content></entry>'


def carriers(one: Publication) -> tuple[str, ...]:
    """Return the feeds, or the station, that carry *one*."""
    feeds = {paper.name: paper.feeds for paper in PAPERS} | {STATION: (STATION,)}
    return feeds.get(one.publisher, ())


def _as_radio(text: str) -> Text:
    """Return what the radio connector makes of a transcript with *text*."""
    words = text.split(None, TITLE_WORDS)
    more = "…" if len(words) > TITLE_WORDS else ""
    return Text(" ".join(words[:TITLE_WORDS]) + more, text)
