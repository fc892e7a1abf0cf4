"""Documents of every kind from real files, a real server and standard input."""

import io
import json
import os
import sys

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors import documents
from connectors.face import Refused
from connectors.http import HttpClient
from streams.dedupe.publication import content_of, names_of
from streams.records import RawItem
from streams.settings import Feed, Http, Radio, Rss, Settings, Station
from streams.topics import RAW_MAX_BYTES


RSS = (
    b"<rss version='2.0'><channel><title>T</title><link>https://e.example/</link>"
    b"<item><title>From a feed</title></item></channel></rss>"
)
VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\nFrom the radio.\n"
SRT = b"1\n00:00:01,000 --> 00:00:02,000\nFrom the radio, too.\n"
LINES = b'{"text": "From a line"}\n\n{"text": \n{"text": "From another line"}\n'
ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><id>f1</id>
<link rel="self" href="https://a.example/feed"/>
<entry><id>1</id><title>Entry</title></entry></feed>"""
JSON_FEED = b"""{"version": "https://jsonfeed.org/version/1.1", "title": "J",
"items": [{"id": "1", "content_text": "Entry"}]}"""
#: It says nothing of itself.
BARE = b"""<rss version='2.0'><channel><item><guid>1</guid><title>A flood</title></item>
</channel></rss>"""
SETTINGS = Settings(
    http=Http(allow_private=("127.0.0.1",), timeout_s=5, size_max_mb=0.1)
)


async def read(
    source: str | Path, settings: Settings = SETTINGS
) -> tuple[list[RawItem], list[Refused]]:
    items: list[RawItem] = []
    refused: list[Refused] = []
    async with HttpClient(settings.http) as http:
        async for one in documents.read([str(source)], settings, http):
            if isinstance(one, RawItem):
                items.append(one)
            else:
                refused.append(one)
    return items, refused


def fill(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


async def test_a_folder_is_read_by_content_and_nothing_is_dropped(
    tmp_path: Path,
) -> None:
    fill(
        tmp_path / "given",
        {
            "a.txt": RSS,
            "b.xml": VTT,
            "c/d": SRT,
            "c/e.jsonl": LINES,
            "page.html": b"<!doctype html><html>",
            "picture.png": b"\x89PNG\r\n\x1a\n\0\0",
            "empty": b"",
            "large": b"x" * 200_000,
            ".hidden": RSS,
        },
    )
    items, refused = await read(tmp_path / "given")
    assert {one.text or one.title for one in items} == {
        "From a feed",
        "From the radio.",
        "From the radio, too.",
        "From a line",
        "From another line",
    }
    reasons = {
        one.source.removeprefix(f"{tmp_path.resolve()}/given/"): one.kind
        for one in refused
    }
    assert reasons == {
        "page.html": "unrecognised",
        "picture.png": "unrecognised",
        "empty": "empty",
        "large": "oversize",
        "c/e.jsonl:3": "broken",
    }
    assert all(one.reason for one in refused)
    assert all(len(one.sha256) == 64 for one in refused)


def names(item: RawItem) -> list[bytes]:
    """Return the names that dedupe knows *item* by."""
    return names_of(item, content_of(item)[0])


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        ("srt", SRT),
        ("vtt", VTT),
        ("jsonl", b'{"text": "A flood."}'),
        ("jsonl", b'{"id": "1", "text": "A flood."}'),
        ("xml", RSS),
        ("xml", ATOM),
        ("json", JSON_FEED),
    ],
)
async def test_a_document_is_the_same_wherever_it_lies_and_whatever_it_is_called(
    tmp_path: Path, suffix: str, data: bytes
) -> None:
    fill(
        tmp_path,
        {f"kayes/2026-11-05_0700.{suffix}": data, f"gao/deep/other.{suffix}": data},
    )
    found = [
        item
        for source in ("kayes", f"kayes/2026-11-05_0700.{suffix}", "gao", "gao/deep")
        for item in (await read(tmp_path / source))[0]
    ]
    assert len(found) == 4
    assert len({tuple(names(one)) for one in found}) == 1
    # No revision either: one source, one title, one text.
    assert len({one.source.id for one in found}) == 1
    assert len({content_of(one) for one in found}) == 1


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("morning.srt", SRT, SRT.replace(b"too", b"again")),
        ("morning.srt", SRT, SRT.replace(b"00:01", b"00:00")),
        ("a.jsonl", b'{"text": "A flood."}', b'{"text": "A fire."}'),
        (
            "a.jsonl",
            b'{"id": "1", "text": "A flood."}',
            b'{"id": "1", "text": "A fire."}',
        ),
        ("a.xml", BARE, BARE.replace(b"flood", b"fire")),
    ],
)
async def test_another_document_of_the_same_name_has_publications_of_its_own(
    tmp_path: Path, name: str, one: bytes, other: bytes
) -> None:
    fill(tmp_path, {f"kayes/{name}": one, f"gao/{name}": other})
    (first,), _ = await read(tmp_path / "kayes")
    (second,), _ = await read(tmp_path / "gao")
    assert not set(names(first)) & set(names(second))


async def test_what_a_file_is_called_is_the_name_of_a_source_that_has_none(
    tmp_path: Path,
) -> None:
    fill(tmp_path, {"kayes/morning.srt": SRT, "kayes/a.jsonl": LINES})
    for source in ("kayes", "kayes/morning.srt", "kayes/a.jsonl"):
        for item in (await read(tmp_path / source))[0]:
            assert item.source.id == item.publisher == "ingest"
            assert item.source.name.startswith("kayes/")
    fill(tmp_path, {"news/a.xml": RSS})
    (item,), _ = await read(tmp_path / "news" / "a.xml")
    assert (item.source.name, item.publisher) == ("T", "e.example")


async def test_a_transcript_by_hand_is_dated_by_its_name(tmp_path: Path) -> None:
    fill(tmp_path, {"bulletin-2026-11-05_0700.srt": SRT})
    (item,), _ = await read(tmp_path)
    assert item.published == datetime(2026, 11, 5, 7, 0, 1, tzinfo=UTC)
    assert item.title == "From the radio, too."


async def test_what_is_meant_to_be_a_transcript_is_told_what_it_lacks(
    tmp_path: Path,
) -> None:
    fill(
        tmp_path,
        {
            "a.txt": b"1\n00.00.01 --> 00.00.02\nlost\n",
            "b.SRT": b"only words\n",
            "c.vtt": b"\xef\xbb\xbf\n",
        },
    )
    items, refused = await read(tmp_path)
    assert items == []
    first, second, third = refused
    assert first.kind == second.kind == "broken"
    assert "it is a transcript" in first.reason
    assert "line 2: '00.00.01 --> 00.00.02'" in first.reason
    assert "called a transcript" in second.reason
    assert third.kind == "empty"


async def test_where_a_feed_is_cut_off_is_said_and_the_rest_is_kept(
    tmp_path: Path,
) -> None:
    whole = b"<item><title>Whole</title></item>"
    (tmp_path / "a.xml").write_bytes(
        RSS.replace(b"</channel></rss>", 2 * whole + b"<item><guid>4</guid><tit")
    )
    items, (refused,) = await read(tmp_path / "a.xml")
    assert [one.title for one in items] == ["From a feed", "Whole", "Whole"]
    assert refused.reason == "entry 4: the document ends inside it"
    assert refused.kind == "broken"


async def test_a_stations_file_is_the_stations(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    fill(folder, {"2026-11-05_0700.vtt": VTT})
    station = Station(id="kayes", folder=str(folder), name_pattern="%Y-%m-%d_%H%M")
    settings = Settings(http=SETTINGS.http, radio=Radio(stations=(station,)))
    (item,), _ = await read(folder / "2026-11-05_0700.vtt", settings)
    assert (item.publisher, item.source.connector) == ("kayes", "radio")
    assert item.identities[0].value == "kayes/2026-11-05_0700.vtt#1"
    assert item.published is not None


async def test_an_address_is_read_as_the_feed_that_it_is() -> None:
    async def serve(request: web.Request) -> web.Response:
        if request.path == "/feed":
            return web.Response(body=RSS)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{any}", serve)
    async with TestServer(app) as server:
        at = f"http://127.0.0.1:{server.port}"
        feed = Feed(url=f"{at}/feed", id="mine", publisher="me")
        settings = Settings(http=SETTINGS.http, rss=Rss(feeds=(feed,)))
        (item,), _ = await read(f"{at}/feed", settings)
        assert (item.source.id, item.publisher) == ("mine", "me")
        (item,), _ = await read(f"{at}/feed")
        assert item.publisher == "127.0.0.1"
        items, (refused,) = await read(f"{at}/nothing")
        assert items == []
        assert (refused.kind, "404" in refused.reason) == ("unreachable", True)
    _, (refused,) = await read("http://localhost:9/feed")
    assert refused.kind == "unreachable"


async def test_standard_input_is_json_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    given = io.TextIOWrapper(io.BytesIO(LINES))
    monkeypatch.setattr(sys, "stdin", given)
    items, (refused,) = await read("-")
    assert [one.text for one in items] == ["From a line", "From another line"]
    assert refused.source == "standard input:3"


async def test_an_endless_line_is_passed_over(tmp_path: Path) -> None:
    endless = json.dumps({"text": "x" * (5 * RAW_MAX_BYTES)}).encode()
    fill(tmp_path, {"a.jsonl": b'{"text": "a"}\n' + endless + b'\n{"text": "b"}\n'})
    items, (refused,) = await read(tmp_path / "a.jsonl")
    assert [one.text for one in items] == ["a", "b"]
    assert refused.source.endswith("a.jsonl:2")
    assert (refused.kind, refused.size_bytes) == ("oversize", len(endless) + 1)


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    items, (refused,) = await read(tmp_path / "nothing")
    assert items == []
    assert "no such file" in refused.reason
    _, (refused,) = await read(tmp_path)
    assert refused.kind == "empty"


async def test_a_name_of_any_bytes_is_read(tmp_path: Path) -> None:
    for name, data in ((b"caf\xe9.srt", SRT), (b"\xff.txt", b"notes")):
        (tmp_path / os.fsdecode(name)).write_bytes(data)
    items, refused = await read(tmp_path)
    assert [one.source.name.rpartition("/")[2] for one in items] == ["caf\\xe9.srt"]
    assert [one.source.rpartition("/")[2] for one in refused] == ["\\xff.txt"]
