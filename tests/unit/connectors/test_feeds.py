"""Golden pairs: ``feeds/NAME.xml`` is read as ``feeds/NAME.json`` says."""

import json

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.rss.items import read as read_feed
from connectors.rss.subscription import Subscription, subscription
from streams.errors import SourceError
from streams.records import RawItem
from streams.settings import Feed


HOME = "https://e.example/"
FEEDS = Path(__file__).parent / "feeds"
NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)


def read(body: bytes, about: Subscription | None = None) -> tuple[RawItem, ...]:
    items, refused = read_feed(body, about, NOW)
    assert refused == ()
    return items


def feed(entries: str, head: str = "") -> bytes:
    return (
        f'<rss version="2.0"><channel><title>T</title>{head}{entries}</channel></rss>'
    ).encode()


def only(entries: str) -> RawItem:
    (item,) = read(feed(entries))
    return item


def usable(item: RawItem) -> set[str]:
    return {one.kind for one in item.identities if one.usable}


@pytest.mark.parametrize(
    "path", sorted(FEEDS.glob("*.xml")), ids=lambda path: path.stem
)
def test_a_feed_is_read_as_it_should_be(path: Path) -> None:
    items = read(path.read_bytes())
    expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
    assert [_said(item) for item in items] == expected


def _said(item: RawItem) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(msgspec.json.encode(item))
    for identity in fields["identities"]:
        if identity["kind"] == "text":
            assert len(identity.pop("value")) == 24
    assert fields.pop("schema") == 1
    assert fields.pop("fetched") == "2026-11-05T12:00:00Z"
    assert fields.pop("source")["id"].startswith("ingest/")
    return fields


def test_a_source_says_its_language_unless_it_is_configured() -> None:
    document = feed("<item><title>t</title></item>", "<language>fr</language>")
    (item,) = read(document)
    assert (item.source.language, item.source.name) == ("fr", "T")
    configured = subscription(Feed(url="https://e.org/", language="ff", name="N"))
    (item,) = read(document, configured)
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
    items = read(document)
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
        read(body)


def _whose(site: str, *entries: str, ident: str = "f") -> tuple[str, str]:
    document = (
        f'<feed xmlns="http://www.w3.org/2005/Atom"><id>{ident}</id>{site}'
        + "".join(f"<entry><title>t</title>{one}</entry>" for one in entries)
        + "</feed>"
    )
    item = read(document.encode())[0]
    return item.publisher, item.source.id


SITE = '<link href="https://www.site.example/"/>'
SELF = '<link rel="self" href="https://u:pw@feeds.example/news?token=t"/>'
ONE = '<link href="https://one.example/1"/>'
OTHER = '<link href="https://other.example/1"/>'


def test_a_feed_that_nobody_configured_is_whose_it_says() -> None:
    named = "ingest/feeds.example/news?token=***"
    assert _whose(SITE + SELF, ONE) == ("site.example", named)
    assert _whose(SELF, ONE) == ("feeds.example", named)
    assert _whose(SITE, ONE) == ("site.example", "ingest/www.site.example/")
    assert _whose("", ONE, ONE, "") == ("one.example", "ingest")
    assert _whose("", ONE, OTHER) == ("ingest", "ingest")
    assert _whose("", ONE, OTHER, ident="https://id.example/f") == (
        "id.example",
        "ingest/id.example/f",
    )
    assert _whose("", "", ident="urn:uuid:7") == ("urn:uuid:7", "ingest/urn:uuid:7")


def test_feeds_of_one_site_are_told_apart() -> None:
    sport = feed(
        "<item><guid>1</guid><title>A goal</title></item>", f"<link>{HOME}</link>"
    )
    news = sport.replace(b"<title>T<", b"<title>News<")
    (one,), (other,) = read(sport), read(news)
    assert one.publisher == other.publisher == "e.example"
    assert one.identities[0] != other.identities[0]


def test_an_entry_without_a_link_is_given_none() -> None:
    head = f"<link>{HOME}</link>"
    for guid in ("", "<guid>4711</guid>"):
        (item,) = read(feed(f"<item><title>t</title>{guid}</item>", head))
        assert item.link == ""
    (item,) = read(feed(f"<item><guid>{HOME}1</guid></item>", head))
    assert item.link == f"{HOME}1"
    (item,) = read(feed("<item><link>/2</link></item>", head))
    assert item.link == f"{HOME}2"


@pytest.mark.parametrize(
    ("entry", "which"),
    [("", "2"), ("<guid>g7</guid>", "'g7'"), ("<description/>", "2")],
)
def test_an_entry_with_nothing_in_it_is_refused(entry: str, which: str) -> None:
    document = feed(f"<item><title>t</title></item><item>{entry}</item>")
    items, refused = read_feed(document, None, NOW)
    assert len(items) == 1
    assert refused == (f"entry {which}: it has neither title nor text nor link",)


def test_an_empty_feed_is_a_feed() -> None:
    assert read(feed("")) == ()


def test_external_entities_and_billion_laughs_are_inert(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    external = (
        f'<!DOCTYPE rss [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        '<rss version="2.0"><channel><item><title>a &x; b</title></item></channel></rss>'
    )
    assert "TOPSECRET" not in str(read(external.encode()))
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = (
        f'<!DOCTYPE rss [<!ENTITY l0 "ha">{levels}]><rss version="2.0"><channel>'
        "<item><title>&l9;</title></item></channel></rss>"
    )
    items = read(bomb.encode())
    assert sum(len(item.title) for item in items) < 1000
