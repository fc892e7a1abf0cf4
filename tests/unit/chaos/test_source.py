from __future__ import annotations

import time
import urllib.request

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.rss.parse import parse
from tests.chaos.source import Source


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    source = Source(7, tmp_path, rate=1000.0)
    yield source
    source.close()


def get(source: Source, known: str = "") -> tuple[str, bytes]:
    request = urllib.request.Request(f"{source.url}/b-news.xml")  # noqa: S310 - http, ours
    request.add_header("If-None-Match", known)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - http, ours
        return answer.headers["ETag"], answer.read()


def test_what_an_answer_carried_counts_as_taken_when_its_etag_comes_back(
    source: Source,
) -> None:
    probe = source.probe("one")
    etag, body = get(source)
    assert [one.guid for one in parse(body).entries] == [probe.guid]
    assert source.untaken() == [f"b-news: {probe.guid}"]
    source.probe("two")
    get(source, etag)
    assert probe.is_taken("b-news")
    assert source.untaken() == ["b-news: urn:chaos:probe:two"]


def test_a_seed_publishes_the_same_again(tmp_path: Path) -> None:
    told = []
    for name in ("one", "other"):
        source = Source(7, tmp_path / name, rate=1000.0)
        source.start()
        while source.published < 200:
            time.sleep(0.01)
        source.close()
        told.append([(p.guid, p.editions[0]) for p in source.publications.values()])
    some = min(map(len, told))
    assert told[0][:some] == told[1][:some]


def test_edits_that_are_undone_withdrawals_and_copies_are_among_it(
    source: Source,
) -> None:
    source.start()
    while source.published < 1500:
        time.sleep(0.01)
    source.stop()
    published = list(source.publications.values())
    assert any(one.last is None for one in published)
    assert any(one.editions[0] in one.editions[2:] for one in published)
    firsts = [one.editions[0] for one in published]
    assert len(set(firsts)) < len(firsts)
    assert any(source.radio.iterdir())
