"""What is taken back: by its publisher, who may return it; by the operator, for ever."""

from __future__ import annotations

import json

from typing import TYPE_CHECKING, Any

import pytest

from mappings.files import Files


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

pytestmark = pytest.mark.timeout(400)

FEED = """<feed xmlns="http://www.w3.org/2005/Atom"
 xmlns:at="http://purl.org/atompub/tombstones/1.0"><id>tag:news.example.org,2026:f</id>
<title>News</title><updated>2026-11-20T10:00:00Z</updated>
<link rel="self" href="https://news.example.org/atom.xml"/>{entry}</feed>"""
NAME = "tag:news.example.org,2026:moukhtaroubel"
TEXT = "Gunmen killed 15 drivers of a fuel convoy near Kayes, says Ousmane Wobblezap."
ENTRY = f"""<entry><id>{NAME}</id><title>Convoy hit</title>
<updated>2026-11-20T10:00:00Z</updated><author><name>Fofana Quuxfoo</name></author>
<link href="https://news.example.org/moukhtaroubel"/><content>{TEXT}</content></entry>"""
ATTACK = "Gunmen killed 4 oncely guards near Gao."
TOMBSTONE = f'<at:deleted-entry ref="{NAME}" when="2026-11-20T12:00:00Z"/>'
COPY = {"id": "c1", "source": "other", "title": "Convoy hit", "text": TEXT}
#: Words of the feed's entry alone: its author, its name.
WORDS = ("quuxfoo", "moukhtaroubel")


def publish(wirewatch: Wirewatch, entry: str) -> Any:
    (wirewatch.folder / "atom.xml").write_text(FEED.format(entry=entry), "utf-8")
    return wirewatch.lines("ingest", "atom.xml", "--json")[0]


def publish_copy(wirewatch: Wirewatch, **fields: str) -> Any:
    line = json.dumps(COPY | fields)
    return wirewatch.lines("ingest", "-", "--json", stdin=line)[0]


def incidents(wirewatch: Wirewatch) -> list[Any]:
    found = wirewatch.lines("search", "--incidents", "convoy", "--json")
    return [line["document"] for line in found if "document" in line]


def reporters(incident: Any) -> list[str]:
    return [report["item"] for report in incident.get("reports", [])]


def is_found(wirewatch: Wirewatch, word: str) -> bool:
    return bool(wirewatch.lines("search", word, "--json")[-1]["total"])


def traces(wirewatch: Wirewatch, *words: str) -> list[str]:
    """Return which of *words* stand in which file of the data folder."""
    files = (wirewatch.folder / "data").rglob("*")
    return [
        f"{word} in {file.name}"
        for file in files
        if file.is_file() and not file.is_fifo()
        for word in words
        if word.encode() in file.read_bytes().lower()
    ]


def serve(
    wirewatch: Wirewatch, mode: str, request: pytest.FixtureRequest, prefix: str
) -> None:
    """Begin to work on data of the test's own, in *mode*."""
    if mode == "embedded":
        wirewatch.start("run").errors_until("run.ready")
        return
    kafka: str = request.getfixturevalue("kafka")
    elasticsearch: str = request.getfixturevalue("elasticsearch")
    (wirewatch.folder / "wirewatch.toml").write_text(
        f'mode = "servers"\nprefix = "{prefix}"\n'
        f'[kafka]\nbootstrap = "{kafka}"\n'
        f'[elasticsearch]\nurl = "{elasticsearch}"\n',
        "utf-8",
    )
    wirewatch.start("worker").errors_until("worker.ready")


@pytest.mark.parametrize(
    "mode",
    [
        "embedded",
        pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.elasticsearch]),
    ],
)
def test_what_is_taken_back_leaves_search_and_incidents_and_may_return_until_forgotten(
    wirewatch: Wirewatch, mode: str, request: pytest.FixtureRequest, prefix: str
) -> None:
    serve(wirewatch, mode, request, prefix)
    shown, copied = publish(wirewatch, ENTRY)["id"], publish_copy(wirewatch)["id"]

    withdrawn = publish(wirewatch, TOMBSTONE)
    (led_by_copy,) = incidents(wirewatch)
    assert (withdrawn["id"], withdrawn["fate"]) == (shown, "withdrawn")
    assert reporters(led_by_copy) == [copied]
    assert led_by_copy["title"] == TEXT

    returned = publish(wirewatch, ENTRY)
    assert (returned["id"], returned["fate"]) == (shown, "indexed")

    words = ("forget", shown, "--because", "court order 12/26", "--yes", "--json")
    (forgotten,) = wirewatch.lines(*words)
    assert (forgotten["id"], forgotten["copies"]) == (shown, [copied])
    if mode == "embedded":
        assert traces(wirewatch, *WORDS) == []
    (left,) = incidents(wirewatch)
    assert (left["id"], reporters(left)) == (led_by_copy["id"], [copied])

    assert publish(wirewatch, ENTRY)["fate"] == "forgotten"
    account = wirewatch.lines("audit", "--wait", "--json")[0]
    assert account["balanced"], account
    assert account["fates"]["forgotten"] == 5, account


def test_forgetting_asks_first_and_changes_nothing_when_done_twice(
    watched: Wirewatch,
) -> None:
    first = {"id": "o1", "source": "once", "title": "Preonce", "text": ATTACK}
    publish_copy(watched, **first)
    ident = publish_copy(watched, **first | {"title": "Oncetitle"})["id"]
    words = ("forget", ident, "--because", "asked for")

    assert "Oncetitle" in watched(*words, "--dry-run").stdout
    assert "--yes" in watched(*words, code=2).stderr
    assert is_found(watched, "oncely")
    assert traces(watched, "oncely", "oncetitle", "preonce")
    with Files(watched.folder / "data").claimed():  # as a reindex does
        said = watched(*words, "--yes", code=3).stderr
    assert "with the same words goes on" in " ".join(said.split())
    watched(*words, "--yes")
    assert traces(watched, "oncely", "oncetitle", "preonce") == []
    once = watched.lines("show", ident, "--json")
    watched(*words, "--yes")
    assert watched.lines("show", ident, "--json") == once
    assert once[0]["state"] == "forgotten"
    assert once[0]["forgetting"]["because"] == "asked for"
    assert "a stub" in watched("trace", ident).stdout
    watched("forget", "i" + "0" * 24, "--because", "asked for", "--yes", code=1)
