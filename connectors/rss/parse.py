"""Bytes and headers -> the feed in them. Pure; runs in a worker process.

RSS 0.9x to 2.0, RDF, Atom and CDF by feedparser, also where the XML is broken
(:mod:`connectors.rss.xmlfeed`); JSON Feed and tombstones, which it does not know, by us.
Nothing is fetched, no file is opened, no external entity read.
"""

from __future__ import annotations

import calendar
import re
import time
import zlib

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from connectors.markup import is_markup, one_line, tidy, to_text
from connectors.rss import charset, dates, geo, jsonfeed, tombstones, xmlfeed
from connectors.rss.document import LIST_MAX, Entry, FeedDocument
from connectors.rss.look import Hints
from connectors.urls import canonical, joined, public_url, web
from streams.errors import SourceError
from streams.records import Enclosure


NAME_MAX = 500
#: What is read of a body at most, also once it is unpacked.
BODY_MAX = 50_000_000
#: So many of the feeds that a web page names are told.
NAMED_MAX = 5

_GZIP = b"\x1f\x8b"
_LINK = re.compile(r"<link\b[^>]{1,1000}>", re.IGNORECASE)
_FEED_TYPE = re.compile(
    r"""\btype\s*=\s*["']?application/(?:rss|atom|feed|rdf)\+(?:xml|json)""",
    re.IGNORECASE,
)
_BASE = re.compile(r"<base\b[^>]{0,2000}>", re.IGNORECASE)
_HREF = re.compile(
    r"""\bhref\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s"'>]+))""", re.IGNORECASE
)
_HTML = re.compile(r"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
#: How a web page begins; unless a feed follows, it need not be looked for.
_PAGE = re.compile(
    r"(?>\s+|<!--.*?-->|<\?.*?\?>)*+<(?:!doctype\s+html|html)\b",
    re.DOTALL | re.IGNORECASE,
)
_FEED = re.compile(r"<(?:rss|feed|(?:\w{1,20}:)?RDF|channel)\b", re.IGNORECASE)
_ROOT = re.compile(r"\A\s*<\?xml\b[^>]*>.*?<([A-Za-z][\w.:-]*)", re.DOTALL)
_LOOKED_AT = 100_000
_PERIODS_S = {
    "hourly": 3600.0,
    "daily": 86_400.0,
    "weekly": 7 * 86_400.0,
    "monthly": 30 * 86_400.0,
    "yearly": 365 * 86_400.0,
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TITLES = ("title", "itunes_title", "media_title")
#: Content that is not text, such as a picture in base64, is none.
_TEXTUAL = re.compile(r"text/(?:plain|x?html|xml)|html|xhtml|application/xhtml\+xml|")


def parse(
    body: bytes, *, content_type: str = "", content_language: str = "", url: str = ""
) -> FeedDocument:
    """Return the feed in *body*; *url* is what relative addresses are relative to.

    Raises SourceError that says what it is instead, if it is no feed, and for what is
    beyond the bounds of :mod:`connectors.rss.xmlfeed`.
    """
    text = charset.decode(_unpacked(body), content_type)
    if jsonfeed.is_json(text):
        return jsonfeed.parse(text, url=url)
    if _PAGE.match(text) and not _FEED.search(text, 0, _LOOKED_AT):
        raise SourceError(_instead(text, url))
    xml = xmlfeed.clean(text)
    read = xmlfeed.read(xml, language=content_language, url=url)
    channel = read.feed
    link = web(_link_of(channel), url)
    base = link if urlsplit(link).scheme else url
    atom = read.version.startswith("atom")
    # RFC 4287 section 4.2.1: the authors of a feed are those of its entries.
    authors = _authors(channel) if atom else ()
    entries = tuple(
        _entry(entry, base, atom=atom, authors=authors) for entry in read.entries
    )
    # Any XML may have an element called <item>; in a feed something is in it.
    said = any(e.title or e.text or e.link or e.enclosures for e in entries)
    if not read.version and (not said or _HTML.search(text, 0, _LOOKED_AT)):
        raise SourceError(_instead(text, url))
    return FeedDocument(
        title=one_line(_plain(channel, "title")),
        link=link,
        language=_text(channel.get("language")),
        entries=entries + tombstones.parse(xml),
        address=web(_rel(channel, "self"), url),
        ident=_text(channel.get("id")),
        cut_off=read.cut_off,
        broken=read.broken,
        hints=_hints(channel),
        hub=web(_rel(channel, "hub"), url),
        topic=web(_rel(channel, "self"), url),
        complete=bool(channel.get("complete")),
        omitted=read.omitted,
    )


def _unpacked(body: bytes) -> bytes:
    if body.startswith(_GZIP):
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            body = unpacker.decompress(body, BODY_MAX + 1)
        except zlib.error as error:
            raise SourceError(f"it cannot be decompressed: {error}") from None
    if len(body) > BODY_MAX:
        raise SourceError(f"it is larger than {BODY_MAX:,} bytes")
    return body


def _instead(text: str, url: str) -> str:
    head = text[:_LOOKED_AT]
    if not head.strip():
        return "it is empty"
    if named := list(dict.fromkeys(_named(head, url)))[:NAMED_MAX]:
        return "it is a web page, not a feed; it names feeds: " + ", ".join(named)
    if _HTML.search(head):
        return "it is a web page, not a feed"
    root = _ROOT.search(head)
    what = f"XML of the kind <{root[1][:40]}>, and " if root else ""
    return f"it is {what}no feed that is known: RSS, RDF, Atom or JSON Feed"


def _named(page: str, url: str) -> Iterator[str]:
    """Yield the addresses of the feeds that a web page names."""
    if (base := _BASE.search(page)) and (href := _HREF.search(base[0])):
        url = joined(url, to_text(href[1] or href[2] or href[3]))
    for link in _LINK.findall(page):
        if _FEED_TYPE.search(link) and (href := _HREF.search(link)):
            yield public_url(joined(url, to_text(href[1] or href[2] or href[3])))


def _hints(channel: Mapping[str, Any]) -> Hints:
    period = _PERIODS_S.get(_text(channel.get("sy_updateperiod")).lower(), 0.0)
    return Hints(
        ttl_s=60.0 * (_number(channel.get("ttl")) or 0),
        update_s=period / (_number(channel.get("sy_updatefrequency")) or 1),
        skip_hours=frozenset(
            number % 24
            for hour in _list(channel.get("skip_hours"))
            if (number := _number(hour)) is not None and number <= 24  # noqa: PLR2004 - RSS 0.91 counts to 24
        ),
        skip_days=frozenset(
            _DAYS.index(name)
            for day in _list(channel.get("skip_days"))
            if (name := _text(day).lower()[:3]) in _DAYS
        ),
    )


def _rel(channel: Mapping[str, Any], rel: str) -> str:
    links = _maps(channel.get("links"))
    return next((_href(one.get("href")) for one in links if one.get("rel") == rel), "")


def _entry(
    entry: Mapping[str, Any], base: str, *, atom: bool, authors: tuple[str, ...]
) -> Entry:
    published = _moment(entry, "published") or _moment(entry, "created")
    updated = _moment(entry, "updated")
    if published is None and not atom:
        # What feedparser calls updated is dc:date, RSS's date of publication.
        published, updated = updated, None
    return Entry(
        guid=_text(entry.get("id")),
        link=web(_link(entry), base),
        title=one_line(
            next(filter(None, (_plain(entry, name) for name in _TITLES)), "")
        ),
        text=_body(entry),
        published=published,
        updated=updated,
        authors=_authors(entry) or authors,
        categories=_names(
            tag.get("label") or tag.get("term") for tag in _maps(entry.get("tags"))
        ),
        enclosures=_enclosures(entry, base),
        language=_text(_map(entry.get("title_detail")).get("language")),
        point=geo.point(entry),
    )


def _link(entry: Mapping[str, Any]) -> str:
    """Return the entry's link; no guid that feedparser took for one, but is no address."""
    # A proxy's address of the page dies with the proxy.
    original = _text(entry.get("feedburner_origlink"))
    if canonical(original):
        return original
    if entry.get("guidislink"):
        guid = _href(entry.get("link"))
        return guid if canonical(guid) or guid.startswith("/") else ""
    return _link_of(entry)


def _link_of(holder: Mapping[str, Any]) -> str:
    """Return the first page that *holder* links to: HTML, if there is a choice."""
    pages = [
        one
        for one in _maps(holder.get("links"))
        if one.get("rel") == "alternate" and _href(one.get("href"))
    ]
    pages.sort(key=lambda one: "html" not in str(one.get("type")))
    return _href(pages[0]["href"] if pages else holder.get("link"))


def _body(entry: Mapping[str, Any]) -> str:
    """Return the longest of what there is to read: content, summary, else a caption."""
    texts = [
        content
        for content in _maps(entry.get("content"))
        if _TEXTUAL.fullmatch(_text(content.get("type")).lower())
    ]
    texts += [_detail(entry, "summary"), _detail(entry, "yandex_full-text")]
    longest = ""
    for detail in sorted(texts, key=lambda one: -len(str(one.get("value")))):
        # Text is never longer than its markup.
        if len(str(detail.get("value"))) > len(longest):
            longest = max(longest, _reduced(detail), key=len)
    return longest or _plain(entry, "media_description")


def _detail(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value, detail = holder.get(name), _map(holder.get(f"{name}_detail"))
    # What is within, such as an image with a title, leaves its detail and no value.
    return detail if detail.get("value") == value else {"value": value}


def _plain(holder: Mapping[str, Any], name: str) -> str:
    return _reduced(_detail(holder, name))


def _reduced(detail: Mapping[str, Any]) -> str:
    value = detail.get("value")
    if not isinstance(value, str):
        return ""
    if detail.get("type") == "text/plain" and not is_markup(value):
        return tidy(value)
    return to_text(value)


def _moment(entry: Mapping[str, Any], name: str) -> datetime | None:
    # Not entry.get: feedparser answers with another date, and warns.
    said = dict(entry)
    claim = said.get(name)
    if isinstance(claim, str) and dates.has_zone(claim):
        return dates.read(claim)
    value = said.get(f"{name}_parsed")
    if isinstance(value, time.struct_time):
        try:
            return datetime.fromtimestamp(calendar.timegm(value), UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return dates.read(claim) if isinstance(claim, str) else None


def _authors(entry: Mapping[str, Any]) -> tuple[str, ...]:
    named = [
        author.get("name") or author.get("email")
        for author in _maps(entry.get("authors"))
    ]
    return _names(named) or _names([entry.get("author")])


def _names(values: Iterable[object]) -> tuple[str, ...]:
    texts = (_name(value)[:NAME_MAX] for value in values if isinstance(value, str))
    return tuple(dict.fromkeys(text for text in texts if text))[:LIST_MAX]


def _name(value: str) -> str:
    name = one_line(to_text(value))
    # Feedparser leaves names escaped where the XML is broken.
    return one_line(to_text(name)) if is_markup(name) else name


def _enclosures(entry: Mapping[str, Any], base: str) -> tuple[Enclosure, ...]:
    links = [one for one in _maps(entry.get("links")) if one.get("rel") == "enclosure"]
    found: dict[str, Enclosure] = {}
    holders: tuple[
        tuple[Literal["enclosure", "transcript", "image"], Sequence[Any]], ...
    ] = (
        ("enclosure", _maps(entry.get("media_content"))),
        ("enclosure", links),
        ("transcript", _maps(entry.get("transcripts"))),
        ("image", _maps(entry.get("media_thumbnail"))),
        ("image", [_map(entry.get("image"))]),
    )
    for role, files in holders:
        for one in files:
            url = web(_href(one.get("href") or one.get("url")), base)
            if url and url not in found:
                found[url] = Enclosure(
                    url=url,
                    role=role,
                    media_type=_text(one.get("type") or one.get("medium"))[:NAME_MAX],
                    size_bytes=_number(one.get("length") or one.get("filesize"))
                    or None,
                )
    return tuple(found.values())[:LIST_MAX]


# Feedparser keeps an element that it does not know under its name, which may be one of its
# own: what should be a list of mappings can be a string.
def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _maps(value: object) -> list[Mapping[str, Any]]:
    return [one for one in _list(value) if isinstance(one, Mapping)]


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> int | None:
    text = str(value).strip()
    if text.isascii() and text.isdigit() and len(text) < 16:  # noqa: PLR2004 - below 2**53
        return int(text)
    return None


def _href(value: object) -> str:
    """Return an address, without line breaks within: browsers pass over them."""
    lines = value.splitlines() if isinstance(value, str) else ()
    return one_line("".join(line.strip() for line in lines))


def _text(value: object) -> str:
    return one_line(value) if isinstance(value, str) else ""
