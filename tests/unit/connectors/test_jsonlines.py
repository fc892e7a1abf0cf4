import json

from datetime import UTC, datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors import jsonlines
from connectors.face import Refused
from streams.events import encode
from streams.records import Identity, RawItem, Source


NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
FALLBACK = Source(connector="ingest", id="ingest", name="x.jsonl")


def read(line: bytes) -> RawItem | Refused:
    return jsonlines.read(line, where="x:7", fallback=FALLBACK, now=NOW)


def short(**fields: object) -> RawItem:
    item = read(json.dumps(fields).encode())
    assert isinstance(item, RawItem), item
    return item


def test_a_whole_item_comes_back_as_it_is() -> None:
    item = RawItem(
        identities=(Identity(kind="guid", value="g"),),
        publisher="p",
        source=Source(connector="rss", id="s"),
        text="t",
        fetched=NOW,
    )
    assert read(encode(item) + b"\n") == item


def test_the_short_form_needs_a_text_only() -> None:
    item = short(text="Quinze chauffeurs ont été tués près de Kayes jeudi.")
    assert (item.publisher, item.source) == ("ingest", FALLBACK)
    assert item.fetched == NOW
    assert [one.kind for one in item.identities if one.usable] == ["text"]


def test_the_short_form_may_say_more() -> None:
    item = short(
        text="t",
        title="T",
        link="https://www.e.org/a?utm_x=y",
        published="2026-11-05T08:00:00+01:00",
        source="desk",
        id="7",
    )
    assert item.publisher == "e.org"
    assert item.source.id == "desk"
    assert item.published == datetime(2026, 11, 5, 7, tzinfo=UTC)
    values = {one.kind: one.value for one in item.identities}
    assert (values["guid"], values["link"]) == ("desk#7", "https://e.org/a")


@pytest.mark.parametrize(
    ("named", "counts"),
    [
        ({}, False),
        ({"source": "desk"}, True),
        ({"publisher": "p"}, True),
        ({"link": "https://e.org/a"}, True),
        ({"id": "urn:desk:item:7"}, True),
    ],
)
def test_an_id_counts_within_what_the_line_names(
    named: dict[str, str], *, counts: bool
) -> None:
    guids = {short(**{"id": "7", "text": t} | named).identities[0] for t in "ab"}
    assert len(guids) == (1 if counts else 2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "not an item"),
        (b'{"text": ""}', "its text is empty"),
        (b'{"text": " \\n ", "id": "7"}', "its text is empty"),
        (b'{"title": "no text"}', "text"),
        (b'{"text": 7}', "text"),
        (b'{"text": "t", "titel": "t"}', "titel"),
        (b'{"identities": []}', "publisher"),
        (b"[1]", "not an item"),
        (b'{"text": "t", "published": "0001-01-01T00:00:00+05:00"}', "not an item"),
        (b"\xff\xfe", "not an item"),
        (b"[" * 100_000, "not an item"),
    ],
)
def test_a_bad_line_costs_that_line_and_is_named(line: bytes, reason: str) -> None:
    refused = read(line)
    assert isinstance(refused, Refused)
    assert (refused.source, refused.kind) == ("x:7", "broken")
    assert reason in refused.reason
    assert refused.size_bytes == len(line)


@given(st.binary())
def test_any_line_gives_an_item_or_a_reason(line: bytes) -> None:
    assert isinstance(read(line), RawItem | Refused)


@pytest.mark.parametrize(
    ("head", "is_lines"),
    [
        (b'{"text": "a"}\n{"text": "b"}\n', True),
        (b'\xef\xbb\xbf\n {"text": "a"}', True),
        (b'{"version": "https://jsonfeed.org/version/1.1"}', False),
        (b'{"version": "https:\\/\\/jsonfeed.org\\/version\\/1"}', False),
        (b'{\n  "text": "a"\n}', False),
        (b"[1, 2]", False),
        (b"text", False),
        (b"", False),
    ],
)
def test_json_lines_are_recognised_by_their_first(head: bytes, is_lines: bool) -> None:
    assert jsonlines.recognises(head) is is_lines
