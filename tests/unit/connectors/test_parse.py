"""What the parser makes of feeds of every kind, and of what is done to them."""

# ruff: noqa: RUF001 - letters and digits of other scripts are the point

from __future__ import annotations

import gzip
import os
import re
import socket
import time

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.rss import xmlfeed
from connectors.rss.document import ENTRIES_MAX, Entry, FeedDocument
from connectors.rss.look import Hints
from connectors.rss.parse import parse
from streams.errors import SourceError
from streams.records import Enclosure, Point


HERE = "https://e.example/feeds/news.xml"


def rss(items: str, head: str = "", names: str = "") -> bytes:
    channel = f"<channel><title>T</title>{head}{items}</channel>"
    return f'<rss version="2.0" {names}>{channel}</rss>'.encode()


def item(inner: str, names: str = "") -> Entry:
    (entry,) = parse(rss(f"<item>{inner}</item>", names=names)).entries
    return entry


def atom(inner: str, attributes: str = "") -> bytes:
    namespace = 'xmlns="http://www.w3.org/2005/Atom"'
    return f"<feed {namespace} {attributes}><title>T</title>{inner}</feed>".encode()


def entry(inner: str, attributes: str = "", url: str = HERE) -> Entry:
    document = parse(atom(f"<entry>{inner}</entry>", attributes), url=url)
    return document.entries[0]


@pytest.mark.parametrize(
    "body",
    [
        '<rss version="0.91"><channel><item><title>n</title></item></channel></rss>',
        '<rss version="0.92"><channel><item><title>n</title></item></channel></rss>',
        (
            '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" '
            '"http://my.netscape.com/publish/formats/rss-0.91.dtd"><rss version="0.91">'
            "<channel><item><title>n</title></item></channel></rss>"
        ),
        (
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
            'xmlns="http://my.netscape.com/rdf/simple/0.9/"><channel/>'
            "<item><title>n</title></item></rdf:RDF>"
        ),
        (
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
            'xmlns="http://purl.org/rss/1.0/"><channel/>'
            '<item rdf:about="a"><title>n</title></item></rdf:RDF>'
        ),
        (
            '<Channel xmlns="http://purl.org/net/rss1.1#"><items>'
            "<item><title>n</title></item></items></Channel>"
        ),
        (
            '<feed version="0.3" xmlns="http://purl.org/atom/ns#">'
            "<entry><title>n</title></entry></feed>"
        ),
        (
            '<a:feed xmlns:a="http://www.w3.org/2005/Atom">'
            "<a:entry><a:title>n</a:title></a:entry></a:feed>"
        ),
        (
            '<CHANNEL HREF="http://e.example/"><ITEM HREF="http://e.example/1">'
            "<TITLE>n</TITLE></ITEM></CHANNEL>"
        ),
        '{"version": "https://jsonfeed.org/version/1", "items": [{"title": "n"}]}',
        '{"version": "https://jsonfeed.org/version/1.1", "items": [{"title": "n"}]}',
    ],
)
def test_every_kind_of_feed_is_read(body: str) -> None:
    (only,) = parse(body.encode()).entries
    assert only.title == "n"


def test_namespaces_of_the_design_are_read() -> None:
    names = (
        'xmlns:media="http://search.yahoo.com/mrss/" '
        'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:georss="http://www.georss.org/georss" '
        'xmlns:podcast="https://podcastindex.org/namespace/1.0" '
        'xmlns:slash="http://purl.org/rss/1.0/modules/slash/"'
    )
    found = item(
        "<title>t</title><description>teaser</description>"
        "<content:encoded><![CDATA[<p>The whole story</p>]]></content:encoded>"
        "<dc:creator>A. Traoré</dc:creator><dc:date>2026-11-05T10:00:00Z</dc:date>"
        '<media:group><media:content url="https://e.example/v.mp4" type="video/mp4"/>'
        "<media:description>what the picture shows, at length</media:description>"
        '<media:thumbnail url="https://e.example/t.jpg"/></media:group>'
        '<itunes:image href="https://e.example/i.jpg"/>'
        '<podcast:transcript url="https://e.example/1.srt" type="application/srt"/>'
        '<podcast:transcript url="https://e.example/1.vtt" type="text/vtt"/>'
        "<georss:point>14.44 -11.44</georss:point><slash:comments>7</slash:comments>",
        names,
    )
    assert found.text == "The whole story"
    assert found.authors == ("A. Traoré",)
    assert found.published == datetime(2026, 11, 5, 10, tzinfo=UTC)
    assert found.point == Point(lat=14.44, lon=-11.44)
    at = "https://e.example/"
    assert found.enclosures == (
        Enclosure(url=f"{at}v.mp4", media_type="video/mp4"),
        Enclosure(url=f"{at}1.srt", role="transcript", media_type="application/srt"),
        Enclosure(url=f"{at}1.vtt", role="transcript", media_type="text/vtt"),
        Enclosure(url=f"{at}t.jpg", role="image"),
        Enclosure(url=f"{at}i.jpg", role="image"),
    )


@pytest.mark.parametrize(
    "where",
    [
        "<georss:point>10 20</georss:point>",
        "<georss:point>10,20</georss:point>",
        "<georss:box>9 19 11 21</georss:box>",
        "<georss:line>9 19 11 21</georss:line>",
        "<georss:polygon>9 19 9 21 11 21 11 19 9 19</georss:polygon>",
        "<georss:where><gml:Point><gml:pos>10 20</gml:pos></gml:Point></georss:where>",
        "<geo:lat>10</geo:lat><geo:long>20</geo:long>",
        "<geo:Point><geo:lat>10.0</geo:lat><geo:long>20.0</geo:long></geo:Point>",
    ],
)
def test_a_place_is_read_from_each_dialect(where: str) -> None:
    names = (
        'xmlns:georss="http://www.georss.org/georss" '
        'xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:geo="http://www.w3.org/2003/01/geo/wgs84_pos#"'
    )
    assert item(f"<title>t</title>{where}", names).point == Point(lat=10, lon=20)
    nowhere = re.sub(r"\d+(?:\.0)?(?=[ ,<])", "999", where)
    assert item(f"<title>t</title>{nowhere}", names).point is None
    assert item(f"<title>t</title>{where.replace('0', 'x')}", names).title == "t"


def test_a_feed_says_how_often_it_wants_to_be_asked_and_where_its_hub_is() -> None:
    head = (
        '<ttl>90</ttl><atom:link rel="self" href="https://e.example/feed"/>'
        '<atom:link rel="hub" href="https://hub.example/"/>'
        "<sy:updatePeriod>daily</sy:updatePeriod>"
        "<sy:updateFrequency>4</sy:updateFrequency><fh:complete/>"
        "<skipHours><hour>0</hour><hour>23</hour><hour>24</hour><hour>x</hour></skipHours>"
        "<skipDays><day>Saturday</day><day>Sunday</day></skipDays>"
    )
    names = (
        'xmlns:atom="http://www.w3.org/2005/Atom" '
        'xmlns:sy="http://purl.org/rss/1.0/modules/syndication/" '
        'xmlns:fh="http://purl.org/syndication/history/1.0"'
    )
    document = parse(rss("", head, names))
    assert document.hints == Hints(
        ttl_s=5400.0,
        update_s=21_600.0,
        skip_hours=frozenset({0, 23}),
        skip_days=frozenset({5, 6}),
    )
    assert document.hub == "https://hub.example/"
    assert document.topic == document.address == "https://e.example/feed"
    assert document.complete


RUSSIAN = "Взрыв прогремел в центре города, погибли семь человек"
ARABIC = "قتل سبعة أشخاص في انفجار وسط المدينة أمس"
XML = '<?xml version="1.0" encoding="{}"?>'


def titled(title: str, declared: str = "") -> str:
    declaration = XML.format(declared) if declared else ""
    return declaration + rss(f"<item><title>{title}</title></item>").decode()


@pytest.mark.parametrize(
    ("title", "encoding", "declared", "header"),
    [
        (RUSSIAN, "utf-8", "", ""),
        (RUSSIAN, "utf-8-sig", "windows-1251", ""),
        (RUSSIAN, "windows-1251", "windows-1251", ""),
        (RUSSIAN, "windows-1251", "", "text/xml; charset=windows-1251"),
        (RUSSIAN, "windows-1251", "utf-8", "text/xml; charset=utf-8"),
        (RUSSIAN, "windows-1251", "", ""),
        (ARABIC, "windows-1256", "", "text/xml"),
        (RUSSIAN, "utf-8", "windows-1251", "text/xml; charset=utf-8"),
        (RUSSIAN, "utf-8", "no-such-charset", "text/xml; charset=neither"),
        (RUSSIAN, "utf-8", "us-ascii", "text/xml"),
        (RUSSIAN, "utf-8", "utf-16", ""),
        (RUSSIAN, "utf-16", "utf-16", "application/xml; charset=utf-8"),
        (RUSSIAN, "utf-16-le", "utf-16", ""),
        (RUSSIAN, "utf-16-be", "", "text/xml; charset=iso-8859-1"),
        (RUSSIAN, "utf-32", "utf-32", ""),
        ("été à Kayes — «là»", "windows-1252", "iso-8859-1", ""),
        ("北京发生爆炸七人死亡", "gb18030", "gb2312", ""),
        ("東京で爆発がありました", "shift_jis", "shift_jis", ""),
    ],
)
def test_charsets_go_by_header_declaration_mark_and_guess(
    title: str, encoding: str, declared: str, header: str
) -> None:
    body = titled(title, declared).encode(encoding)
    assert parse(body, content_type=header).entries[0].title == title


def test_a_bad_byte_costs_itself_not_the_encoding() -> None:
    body = titled(f"{RUSSIAN} CAF@").encode().replace(b"@", b"\xc9")
    assert parse(body).entries[0].title == f"{RUSSIAN} CAFÉ"


GOOD = "<item><title>good</title></item>"


@pytest.mark.parametrize(
    "body",
    [
        rss("<item><x:title>undeclared</x:title><title>good</title></item>"),
        rss("<item><title>go&zwnj;od</title></item>").replace(b"&zwnj;", b""),
        rss(GOOD + "<item><title>a &nbsp; &nope; & b</title></item>"),
        rss(GOOD).replace(b"oo", b"o\x00\x08o"),
        rss(GOOD).replace(b"good", b"good&#0;&#xFFFF;&#x110000;&#99999999999;"),
        b"\r\n\r\n  " + XML.format("utf-8").encode() + rss(GOOD),
        b"<br />\n<b>Warning</b>: mysql() in <b>/x.php</b>" + rss(GOOD),
        b"<!-- cached -->\n" + XML.format("utf-8").encode() + rss(GOOD),
        b"\xef\xbb\xbf\xef\xbb\xbf" + rss(GOOD),
        rss(GOOD)[:-20],
        rss(GOOD + "<item><title>cut"),
        rss(GOOD) + b"<!-- generated --></body></html>",
        rss(GOOD) + rss("<item><title>second root</title></item>"),
        rss(GOOD).replace(b"</item>", b""),
        gzip.compress(rss(GOOD), mtime=0),
    ],
)
def test_broken_feeds_are_read_all_the_same(body: bytes) -> None:
    assert parse(body).entries[0].title.strip() == "good"


def test_an_ampersand_that_nobody_escaped_is_one() -> None:
    entry = item(
        "<title>AT&T & co &foo; &eacute;</title><link>/a?b=1&c=2&lt=3</link>"
        "<description><![CDATA[<p>R&D &amp; x</p>]]></description>"
    )
    assert entry.title == "AT&T & co &foo; é"
    assert (entry.link, entry.text) == ("/a?b=1&c=2&lt=3", "R&D & x")


def test_an_entity_that_the_document_declares_is_replaced() -> None:
    body = b'<!DOCTYPE rss [<!ENTITY who "Amina">\n<!ENTITY e "&#233;">]>' + rss(
        "<item><title>&who; &e;t&eacute; &amp;lt;</title></item>"
    )
    assert parse(body).entries[0].title == "Amina été <"


def test_a_web_page_is_reported_with_the_feeds_that_it_names() -> None:
    page = (
        b"<!doctype html><html><head><title>News</title>"
        b'<link rel="alternate" type="application/rss+xml" href="/feed?a=1&amp;b=2">'
        b"<link rel=alternate type=application/atom+xml href=https://u:p@e.example/a>"
        b"</head><item><title>no entry</title></item></html>"
    )
    named = r"names feeds: https://e\.example/feed\?a=1&b=2, https://e\.example/a$"
    with pytest.raises(SourceError, match=named):
        parse(page, url=HERE)


@pytest.mark.parametrize(
    ("attributes", "inner", "link"),
    [
        ("", '<link href="https://a.example/1"/>', "https://a.example/1"),
        ("", '<link href="1"/>', "https://e.example/feeds/1"),
        (
            'xml:base="https://b.example/x/"',
            '<link href="1"/>',
            "https://b.example/x/1",
        ),
        ('xml:base="x/"', '<link href="1"/>', "https://e.example/feeds/x/1"),
        (
            'xml:base="https://b.example/x/"',
            '<link xml:base="y/" href="1"/>',
            "https://b.example/x/y/1",
        ),
        ("", '<link href="//c.example/1"/>', "https://c.example/1"),
        ("", "<link>\n https://a.example/a\n  bc </link>", "https://a.example/abc"),
        ("", '<link href="javascript:alert(1)"/>', ""),
        ("", '<link href="data:text/html,x"/>', ""),
        ("", '<link rel="enclosure" href="/a.mp3"/>', ""),
        (
            "",
            '<link href="/pdf" type="application/pdf"/><link href="/1"/>',
            "https://e.example/1",
        ),
        ("", '<link href="/1"/><link href="/2"/>', "https://e.example/1"),
    ],
)
def test_links_are_resolved_by_xml_base_then_the_document(
    attributes: str, inner: str, link: str
) -> None:
    assert entry(inner, attributes).link == link


def test_links_of_rss_are_relative_to_the_site() -> None:
    body = rss(
        "<item><link>/1</link><enclosure url='/1.mp3' type='audio/mpeg'/></item>"
        "<item><guid isPermaLink='true'>/2</guid></item>"
        "<item><title>t</title><guid isPermaLink='false'>/3</guid></item>",
        "<link>https://site.example/news/</link>",
    )
    first, second, third = parse(body, url="https://feeds.example/9").entries
    assert first.link == "https://site.example/1"
    assert first.enclosures[0].url == "https://site.example/1.mp3"
    assert (second.link, third.link, third.guid) == ("https://site.example/2", "", "/3")


def test_the_title_of_an_entrys_picture_is_not_the_entrys() -> None:
    title, picture = "<title>news</title>", "<image><title>picture</title></image>"
    for inner in (title + picture, picture + title):
        assert item(inner).title == entry(inner).title == "news"


def test_an_entry_of_atom_without_an_author_has_the_feeds() -> None:
    who = "<author><name>{}</name></author>".format
    document = parse(atom(f"{who('F')}<entry/><entry>{who('E')}</entry>"))
    assert [one.authors for one in document.entries] == [("F",), ("E",)]


def test_text_is_the_longest_of_what_there_is() -> None:
    names = 'xmlns:media="http://search.yahoo.com/mrss/"'
    caption = "<media:description>a caption that is long</media:description>"
    assert item(f"<description>short</description>{caption}", names).text == "short"
    assert item(f"<title>t</title>{caption}", names).text == "a caption that is long"
    yandex = 'xmlns:y="http://news.yandex.ru"'
    whole = "<y:full-text>The whole story</y:full-text>"
    assert item(f"<description>short</description>{whole}", yandex).text[:3] == "The"
    xhtml = (
        '<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">'
        "<p>5 &lt; 6</p><script>x</script></div></content>"
    )
    assert entry(f"<summary>s</summary>{xhtml}").text == "5 < 6"
    assert entry('<content src="/x"/><summary>s</summary>').text == "s"
    picture = '<content type="image/png">iVBORw0KGgo=</content>'
    assert entry(f"<summary>s</summary>{picture}").text == "s"


@pytest.mark.parametrize("field", ["title", "description", "author", "category"])
@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>ok",
        "<img src=x onerror=alert(1)>ok",
        "<svg onload=alert(1)></svg>ok",
        "<iframe src=javascript:alert(1)></iframe>ok",
        "<![CDATA[<script>alert(1)</script>]]>ok",
    ],
)
def test_html_and_script_in_every_field_are_taken_out(field: str, attack: str) -> None:
    escaped = attack.replace("<", "&lt;")
    found = item(f"<guid>t</guid><{field}>{escaped}</{field}>")
    shown = " ".join([found.title, found.text, *found.authors, *found.categories])
    assert "ok" in shown
    assert "<" not in shown
    assert "alert" not in shown


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("lun., 05 nov. 2026 10:20:30 +0100", "2026-11-05T09:20:30"),
        ("5 ноября 2026 г. 14:05", "2026-11-05T14:05:00"),
        ("Пт, 08 мая 2026 10:20:30 +0300", "2026-05-08T07:20:30"),
        ("٥ نوفمبر ٢٠٢٦ 10:20", "2026-11-05T10:20:00"),
        ("5 كانون الثاني 2026", "2026-01-05T00:00:00"),
        ("5 de noviembre de 2026, 10:20", "2026-11-05T10:20:00"),
        ("Mi, 05 Dez 2026 10:20:30 GMT", "2026-12-05T10:20:30"),
        ("5 Nuwamba 2026", "2026-11-05T00:00:00"),
        ("1er août 2026", "2026-08-01T00:00:00"),
        ("November 5th, 2026 3:04 pm", "2026-11-05T15:04:00"),
        ("Thu, 05 Nov 2026 10:20:30 WAT", "2026-11-05T09:20:30"),
        ("Thu, 05 Nov 2026 10:20:30 CET", "2026-11-05T09:20:30"),
        ("Thu, 05 Nov 2026 10:20:30 EST", "2026-11-05T15:20:30"),
        ("05/11/2026 10:20", "2026-11-05T10:20:00"),
        ("2026-11-05 10:20:30", "2026-11-05T10:20:30"),
    ],
)
def test_dates_in_other_languages_are_read(said: str, when: str) -> None:
    moment = item(f"<title>t</title><pubDate>{said}</pubDate>").published
    assert moment == datetime.fromisoformat(when).replace(tzinfo=UTC)


def test_json_feed_is_read_like_the_others() -> None:
    body = (
        b'\xef\xbb\xbf{"version":"https://jsonfeed.org/version/1.1","title":"J",'
        b'"home_page_url":"https://s.example/","feed_url":"https://s.example/f.json",'
        b'"hubs":[{"type":"WebSub","url":"https://hub.example/"}],"items":[{"id":7,'
        b'"url":"/1","content_html":"<p>x</p>","image":"/i.png","tags":"none",'
        b'"date_published":"2026-11-05T10:00:00+01:00","authors":[{"name":"A"},3],'
        b'"attachments":[{"url":"javascript:x"},{"url":"/a.mp3","size_in_bytes":9}]}]}'
    )
    document = parse(body)
    (found,) = document.entries
    assert (document.hub, document.topic) == (
        "https://hub.example/",
        "https://s.example/f.json",
    )
    assert (found.guid, found.link, found.text) == ("7", "https://s.example/1", "x")
    assert found.published == datetime(2026, 11, 5, 9, tzinfo=UTC)
    assert found.enclosures == (
        Enclosure(url="https://s.example/a.mp3", size_bytes=9),
        Enclosure(url="https://s.example/i.png", role="image"),
    )


def test_entries_beyond_the_cap_are_counted() -> None:
    document = parse(rss(GOOD * (ENTRIES_MAX + 3)))
    assert len(document.entries) == ENTRIES_MAX
    assert document.omitted == ("entries beyond the first 10,000 were not read: 3",)
    json = f'{{"version":"jsonfeed.org/version/1","items":[{"{}," * ENTRIES_MAX}{{}}]}}'
    assert parse(json.encode()).omitted == (
        "entries beyond the first 10,000 were not read: 1",
    )


def test_nothing_is_left_out_of_a_long_podcast() -> None:
    document = parse(rss(GOOD * 2_000))
    assert (len(document.entries), document.omitted) == (2_000, ())


def test_a_field_beyond_the_cap_is_cut_and_told() -> None:
    body = rss(f"<item><description>{'word ' * 200_000}</description></item>")
    document = parse(body)
    assert len(document.entries[0].text) <= xmlfeed.FIELD_MAX
    assert "fields that were cut" in document.omitted[0]


@pytest.mark.parametrize(
    ("inner", "reason"),
    [
        ("<a>" * 600, "more than 500 elements within one another"),
        ("<a " + " ".join(f'a{n}=""' for n in range(600)) + "/>", "attributes"),
        (
            "".join(f'<a xmlns="u{n}" xmlns:b{n}="u{n}"/>' for n in range(600)),
            "namespaces",
        ),
    ],
)
def test_what_no_feed_has_is_refused(inner: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        parse(rss(f"<item>{inner}</item>"))


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY x SYSTEM "{uri}">',
        '<!ENTITY % p SYSTEM "{uri}"> %p; <!ENTITY x "y">',
        '<!ENTITY x PUBLIC "-//x//y" "{uri}">',
        '<!ENTITY a "{ten}"><!ENTITY b "&a;&a;&a;"><!ENTITY x "&b;&b;&b;">',
        '<!ENTITY x "{much}">',
    ],
)
def test_external_entities_billion_laughs_and_quadratic_blow_up_are_inert(
    declared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOPSECRET")
    for module, opens in ((os, "open"), (socket, "create_connection")):
        monkeypatch.setattr(module, opens, _forbidden)
    monkeypatch.setattr("builtins.open", _forbidden)
    subset = declared.format(uri=secret.as_uri(), ten="ha" * 10, much="ha" * 400)
    refs = "&x;" * 1_000
    for kind in (f"rss [{subset}]", f'rss SYSTEM "{secret.as_uri()}" [{subset}]'):
        for end in ("", "<unclosed"):
            body = f"<!DOCTYPE {kind}>".encode() + rss(
                f"<item><title>a {refs} b</title></item>{end}"
            )
            (found, *_) = parse(body, url=secret.as_uri()).entries
            assert "TOPSECRET" not in found.title
            assert len(found.title) <= 1_000_000


def _forbidden(*_: object, **__: object) -> None:
    raise AssertionError("a parser opens nothing")


def test_no_document_type_reaches_a_parser() -> None:
    for head in ("", "<!-- <!DOCTYPE x> -->", "<?pi?>\n", XML.format("utf-8")):
        text = xmlfeed.clean(f'{head}<!DocType rss [<!ENTITY a "]>">]><rss/>')
        assert "<!doctype" not in re.sub("<!--.*?-->", "", text.lower())
    assert xmlfeed.clean('<!DOCTYPE rss [<!ENTITY a "').strip() == ""


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "hostile",
    [
        lambda n: rss(
            f"<item><description><![CDATA[{'<a ' * (n // 3)}]]></description></item>"
        ),
        lambda n: rss("<category>c</category>" * (n // 22)),
        lambda n: rss("".join(f"<category>{i}</category>" for i in range(n // 25))),
        lambda n: rss(f"<item><author>{'a' * n}</author></item>"),
        lambda n: rss(f"<item><pubDate>{'1 ' * (n // 2)}</pubDate></item>"),
        lambda n: b"\n" * n + rss(""),
        lambda n: b"<!DOCTYPE rss [" + b"<!ENTITY " * (n // 9),
        lambda n: rss("")[:-6] + b"<item><title>" + b"&" * n,
        lambda n: b"<html>" + b"<link rel=alternate " * (n // 20),
    ],
)
def test_time_goes_in_proportion_to_size(hostile: Callable[[int], bytes]) -> None:
    def seconds(size: int) -> float:
        body = hostile(size)
        began = time.process_time()
        with suppress(SourceError):
            parse(body)
        return time.process_time() - began

    seconds(1_000)
    # Ten times as much would take a hundred times as long if it were quadratic.
    assert seconds(300_000) < 40 * (seconds(30_000) + 0.005)


PIECES = st.sampled_from(
    [
        *("<rss>", "</rss>", "<channel>", "<item>", "</item>", "<entry>", "</entry>"),
        *("<title>", "</title>", "<link>", "</link>", "<guid>", "<svg>", "</svg>"),
        *('<feed xmlns="http://www.w3.org/2005/Atom">', "<content type='xhtml'>"),
        *(
            "<georss:point>",
            "<gml:pos>",
            "</gml:pos>",
            "<where>",
            "</width>",
            "<image>",
        ),
        *("<textinput>", "<source url=''>", "</source>", "<![CDATA[", "]]>", "<!--"),
        *(
            "&amp;",
            "&#xD800;",
            "&#999999999999;",
            "&x",
            "<a b='",
            "<!DOCTYPE x [",
            "<?",
        ),
        *("<media:rating>", "</media:credit>", "<dcterms:valid>", "1 2", "\x00", "é"),
        *("<category>", "</category>", "<itunes:image/>", "<author>", "{", '"items":'),
        *(
            "<psc:chapter start='x'>",
            "</psc:chapters>",
            "<cc:license>",
            "<at:deleted-entry>",
        ),
    ]
)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=300),
        st.lists(PIECES, max_size=30).map(lambda parts: "".join(parts).encode()),
        st.lists(PIECES, max_size=20).map(lambda parts: rss("".join(parts))),
        st.lists(PIECES, max_size=20).map(lambda parts: atom("".join(parts))),
    ),
    st.sampled_from(["", "text/xml", "text/xml; charset=utf-16", "x; charset=hex"]),
)
def test_any_bytes_give_a_feed_or_say_why_not(body: bytes, content_type: str) -> None:
    try:
        document = parse(body, content_type=content_type, url=HERE)
    except SourceError as error:
        assert str(error)  # noqa: PT017 - both are right
    else:
        assert isinstance(document, FeedDocument)
        for one in document.entries:
            "".join([one.title, one.text, one.guid, one.link, *one.authors]).encode()
