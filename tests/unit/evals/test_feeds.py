from __future__ import annotations

import asyncio
import gzip
import json
import zipfile

from pathlib import Path

import pytest

from connectors.rss.parse import parse
from evals.claims import Claim, claims_of, headers_of, verdict
from evals.feeds import ARCHIVES, FEEDPARSER, MANIFEST, W3C, report, run, show


TITLED = """<!--
Description: a title, and what we have no field for
Header:      Content-Location: http://e.example/
Expect:      not bozo and {}
-->
<rss version="2.0"><channel><item><title>a &lt;b>title&lt;/b></title>
<link>/1</link></item></channel></rss>"""


def claims(expression: str) -> list[Claim]:
    return claims_of(TITLED.format(expression))


def test_an_expression_is_taken_apart_and_never_run() -> None:
    assert claims("feed['title'] == 'x' and len(entries) == 2") == [
        Claim(("feed", "title"), "x"),
        Claim(("entries", "len"), 2),
    ]
    assert claims("entries[0].tags[1]['term'] == 'x'")[0].field == "entries.tags.term"
    assert claims("entries[0].id == entries[1].id == 'x ' + 'y'") == [
        Claim(("entries", 0, "id"), "x y"),
        Claim(("entries", 1, "id"), "x y"),
    ]
    call, compared = "__import__('os').system('x') == 0", "a < b == 2"
    for hostile in (call, "x for", "a < b", compared, "f(1) == 2", "a == f() + 'x'"):
        assert claims(hostile) == []
    assert headers_of(TITLED) == {"content-location": "http://e.example/"}


@pytest.mark.parametrize(
    ("expression", "agrees"),
    [
        ("entries[0]['title'] == 'a <b>title</b>'", True),
        ("entries[0]['title'] == 'another'", False),
        ("entries[0]['link'] == 'http://e.example/1'", True),
        ("entries[1]['title'] == 'none'", False),
        ("entries[0]['tags'][0]['term'] == 'none'", False),
        ("len(entries) == 1", True),
        ("feed['cloud'] == 'x'", None),
        ("encoding == 'utf-8'", True),
        ("encoding == 'utf-16'", False),
        ("encoding == 'none'", None),
    ],
)
def test_a_claim_is_held_against_our_entry(
    expression: str, agrees: bool | None
) -> None:
    body = TITLED.encode()
    (claim,) = claims(expression)
    found = verdict(claim, parse(body, url="http://e.example/"), body)
    assert found.agrees is agrees


def test_a_corpus_comes_out_as_a_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / ARCHIVES[FEEDPARSER], "w") as archive:
        right, wrong = "entries[0]['title'] == 'a title'", "feed['title'] == 'x'"
        archive.writestr("tests/a/one.xml", TITLED.format(f"{right} and {wrong}"))
    with zipfile.ZipFile(tmp_path / ARCHIVES[W3C], "w") as archive:
        archive.writestr("testcases/rss/page.xml", "<html>")
    with gzip.open(tmp_path / MANIFEST, "wt") as lines:
        lines.write(json.dumps({"text": "testcases/rss/page.xml", "valid": False}))
    found = report(asyncio.run(run(tmp_path)))
    first, second = found["rows"]
    assert (first["kind"], first["read"], first["counted"]) == ("a", 1, 1)
    assert (first["claims"], first["agree"]) == (2, 1)
    assert (second["kind"], second["read"]) == ("rss, invalid", 0)
    assert [total["documents"] for total in found["totals"]] == [1, 1]
    assert found["broke"] == []
    assert found["differences"] == {"a: feed.title": 1}
    assert list(found["refusals"]) == [
        "w3c, rss, invalid: it is a web page, not a feed"
    ]
    assert "50.0 %" in show(found)
