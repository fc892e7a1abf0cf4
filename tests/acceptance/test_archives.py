"""An archive of a feed, read again: into an empty index, and beside what it gave live."""

from __future__ import annotations

import asyncio

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.http import Document
from connectors.rss.archive import Archive
from connectors.rss.reading import look_into
from connectors.rss.subscription import subscription
from streams.records import RawItem
from streams.settings import Feed


if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import Wirewatch


SOME_DAYS_AGO = datetime.now(UTC) - timedelta(days=4)
ABOUT = subscription(Feed(url="https://archived.example/feed"))
ATOM = "<feed xmlns='http://www.w3.org/2005/Atom' xmlns:at='http://purl.org/atompub/tombstones/1.0'>"


def entry(name: str, text: str) -> str:
    return (
        f"<entry><id>tag:archived.example,2026:{name}</id><title>{name}</title>"
        f"<content>{text}</content></entry>"
    )


def gone(name: str) -> str:
    return f"<at:deleted-entry ref='tag:archived.example,2026:{name}'/>"


#: What the feed showed, a day apart.
READINGS = [
    f"{ATOM}{''.join(entries)}</feed>".encode()
    for entries in (
        (entry("convoy", "archivedone was hit"), entry("bridge", "archivedtwo fell")),
        (entry("convoy", "archivedone was not hit"), entry("bridge", "archivedtwo")),
        (entry("convoy", "archivedone arrived"), gone("bridge")),
    )
]


def archived(folder: Path) -> list[RawItem]:
    """Keep the readings in *folder*, each by another process; what they gave live."""
    live: list[RawItem] = []
    memory = b""
    for day, body in enumerate(READINGS):
        fetched = SOME_DAYS_AGO + timedelta(days=day)
        document = Document(body, "https://archived.example/feed", "", "", "", "")
        asyncio.run(Archive(folder, 30).keep(document, ABOUT, fetched))
        reading = look_into(body, ABOUT, fetched, memory)
        memory = reading.memory
        live += reading.items
    return live


def held(wirewatch: Wirewatch, idents: list[str]) -> list[tuple[Any, ...]]:
    shown = [wirewatch.lines("show", ident, "--json")[0] for ident in idents]
    return [
        (one["revision"], one["version"], one.get("state"), one.get("text"))
        for one in shown
    ]


def test_an_archive_gives_an_empty_index_the_last_texts_and_forget_says_what_goes(
    wirewatch: Wirewatch,
) -> None:
    archived(wirewatch.folder / "warc")
    told = wirewatch.lines("ingest", "warc", "--json")
    convoy, bridge = dict.fromkeys(one["id"] for one in told)
    assert [one["fate"] for one in told].count("indexed") == 1
    (revision, _, _, text), (_, _, state, _) = held(wirewatch, [convoy, bridge])
    assert (revision, text, state) == (3, "archivedone arrived", "withdrawn")

    wirewatch.settings["WIREWATCH_RSS_ARCHIVE"] = str(wirewatch.folder / "warc")
    words = ("forget", bridge, "--because", "asked for")
    goes = " ".join(wirewatch(*words, "--dry-run").stdout.split())
    assert "archive: 3 fetches with 1 other entry go with it" in goes
    assert "while its feed shows it, the next fetch brings it back" in goes
    (forgotten,) = wirewatch.lines(*words, "--yes", "--json")
    assert forgotten["archive"] == {"fetches": 3, "others": 1}
    assert not wirewatch.lines("ingest", "warc", "--json")


def test_an_archive_beside_what_it_gave_live_changes_nothing_and_balances(
    watched: Wirewatch,
) -> None:
    live = archived(watched.folder / "warc")
    lines = b"\n".join(map(msgspec.json.encode, live)).decode()
    told = watched.lines("ingest", "-", "--json", stdin=lines)
    idents = list(dict.fromkeys(one["id"] for one in told))
    before = held(watched, idents)

    again = watched.lines("ingest", "warc", "--json")
    assert {one["fate"] for one in again} == {"superseded", "duplicate"}
    oldest = min((watched.folder / "warc").iterdir())
    earlier = watched.lines("ingest", f"warc/{oldest.name}", "--json")
    assert {one["fate"] for one in earlier} == {"superseded"}

    assert held(watched, idents) == before
    account = watched.lines("audit", "--wait", "--json")[0]
    assert account["balanced"], account
