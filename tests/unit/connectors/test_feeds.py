"""Golden pairs: ``feeds/NAME.xml`` is read as ``feeds/NAME.json`` says."""

import json

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.rss.items import read
from connectors.rss.subscription import Subscription, subscription
from streams.errors import SourceError
from streams.records import RawItem, Source
from streams.settings import Feed


FEEDS = Path(__file__).parent / "feeds"
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
#: No publisher: each feed's own site is it.
UNCONFIGURED = Subscription(Source(connector="ingest", id="echo"), "")


def feed(entries: str, head: str = "") -> bytes:
    return (
        f'<rss version="2.0"><channel><title>T</title>{head}{entries}</channel></rss>'
    ).encode()


def only(entries: str) -> RawItem:
    (item,) = read(feed(entries), UNCONFIGURED, NOW)
    return item


def usable(item: RawItem) -> set[str]:
    return {one.kind for one in item.identities if one.usable}


@pytest.mark.parametrize(
    "path", sorted(FEEDS.glob("*.xml")), ids=lambda path: path.stem
)
def test_a_feed_is_read_as_it_should_be(path: Path) -> None:
    items = read(path.read_bytes(), UNCONFIGURED, NOW)
    expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert [_said(item) for item in items] == expected


def _said(item: RawItem) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(msgspec.json.encode(item))
    for identity in fields["identities"]:
        if identity["kind"] == "text":
            assert len(identity.pop("value")) == 24
    assert fields.pop("schema") == 1
    assert fields.pop("fetched") == "2026-11-05T12:00:00Z"
    assert fields.pop("source")["id"] == "echo"
    return fields


def test_a_source_says_its_language_unless_it_is_configured() -> None:
    document = feed("<item><title>t</title></item>", "<language>fr</language>")
    (item,) = read(document, UNCONFIGURED, NOW)
    assert (item.source.language, item.source.name) == ("fr", "T")
    configured = subscription(Feed(url="https://e.org/", language="ff", name="N"))
    (item,) = read(document, configured, NOW)
    assert (item.source.language, item.source.name) == ("ff", "N")


def test_a_subscription_has_defaults_without_credentials() -> None:
    about = subscription(Feed(url="https://u:pw@feeds.example.co.uk/x?key=pw"))
    assert about.publisher == "example.co.uk"
    assert about.source.id == "feeds.example.co.uk/x?key=***"
    assert "pw" not in about.source.url


def test_a_guid_or_link_that_entries_share_names_none_of_them() -> None:
    document = feed(
        "<item><guid>one-guid-for-all-entries</guid><link>https://e.org/1</link></item>"
        "<item><guid>one-guid-for-all-entries</guid><link>https://e.org/2</link></item>"
        "<item><guid>a-guid-of-its-own-1234</guid><link>https://e.org/2?utm_x=y</link></item>"
    )
    items = read(document, UNCONFIGURED, NOW)
    assert [usable(item) for item in items] == [{"link"}, set(), {"guid"}]


def test_the_text_names_an_entry_only_if_it_is_long_enough() -> None:
    assert usable(only("<item><title>Short news</title></item>")) == set()
    assert usable(only(f"<item><title>{'Long news ' * 5}</title></item>")) == {"text"}


@pytest.mark.parametrize(
    "date",
    ["nonsense", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT", ""],
)
def test_an_absurd_date_is_none(date: str) -> None:
    item = only(f"<item><title>t</title><pubDate>{date}</pubDate></item>")
    assert item.published is None
    assert item.updated is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"<!doctype html><html><body>news</body></html>", "a web page, not a feed$"),
        (
            b"<html><link rel=alternate type='application/rss+xml' href=/f></html>",
            "names feeds",
        ),
        (b'<?xml version="1.0"?><opml version="2.0"/>', "<opml>"),
        (b'{"a": 1}', "no JSON Feed"),
        (b'{"a": ', "broken JSON"),
        (b"\x00\xff\xfe binary", "no feed that is known"),
        (b"/etc/passwd", "no feed that is known"),
        (b"file:///etc/passwd", "no feed that is known"),
    ],
)
def test_what_is_no_feed_says_what_it_is(body: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        read(body, UNCONFIGURED, NOW)


def test_an_empty_feed_is_a_feed() -> None:
    assert read(feed(""), UNCONFIGURED, NOW) == ()


def test_external_entities_and_billion_laughs_are_inert(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    external = (
        f'<!DOCTYPE rss [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        '<rss version="2.0"><channel><item><title>a &x; b</title></item></channel></rss>'
    )
    assert "TOPSECRET" not in str(read(external.encode(), UNCONFIGURED, NOW))
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = (
        f'<!DOCTYPE rss [<!ENTITY l0 "ha">{levels}]><rss version="2.0"><channel>'
        "<item><title>&l9;</title></item></channel></rss>"
    )
    items = read(bomb.encode(), UNCONFIGURED, NOW)
    assert sum(len(item.title) for item in items) < 1000
