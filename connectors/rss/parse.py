"""Bytes and headers -> the feed in them. Pure; runs in a worker process.

RSS 0.9x to 2.0, RDF and Atom by feedparser, also where the XML is broken; JSON Feed and
tombstones, which it does not know, by us. Nothing is fetched, no file is opened, no
external entity read.
"""

from __future__ import annotations

import calendar
import io
import re
import time

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from xml.parsers.expat import errors as expat_errors
from xml.sax import SAXParseException

import feedparser

from connectors.markup import one_line, tidy, to_text
from connectors.rss import jsonfeed, tombstones
from connectors.rss.document import Entry, FeedDocument
from connectors.urls import canonical, joined
from streams.errors import SourceError
from streams.records import Enclosure


#: Lists longer than this are somebody's mistake; an item must stay a record.
LIST_MAX = 100
NAME_MAX = 500

_ALTERNATE = re.compile(
    rb"""<link\b[^>]{0,500}\btype\s*=\s*["']?application/(?:rss|atom|feed)\+(?:xml|json)""",
    re.IGNORECASE,
)
_HTML = re.compile(rb"<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_ROOT = re.compile(rb"\A\s*<\?xml\b.*?<([A-Za-z][\w.:-]*)", re.DOTALL)
_LOOKED_AT = 100_000
#: What an XML parser says at the end of a document that is not over.
_CUT_OFF = frozenset(
    {
        expat_errors.XML_ERROR_NO_ELEMENTS,
        expat_errors.XML_ERROR_UNCLOSED_TOKEN,
        expat_errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat_errors.XML_ERROR_PARTIAL_CHAR,
    }
)


def parse(
    body: bytes, *, content_type: str = "", content_language: str = "", url: str = ""
) -> FeedDocument:
    """Return the feed in *body*; *url* is what relative addresses are relative to.

    Raises SourceError that says what it is instead, if it is no feed.
    """
    if jsonfeed.is_json(body):
        return jsonfeed.parse(body)
    headers = {
        "content-type": content_type,
        "content-language": content_language,
        "content-location": url,
    }
    parsed = feedparser.parse(
        # A stream: bytes would be tried as an address and as a file's name first.
        io.BytesIO(body),
        response_headers={name: value for name, value in headers.items() if value},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    atom = parsed.get("version", "").startswith("atom")
    entries = tuple(_entry(entry, atom=atom) for entry in parsed.entries)
    # Any XML may have an element called <item>; in a feed something is in it.
    if not parsed.get("version") and not any(
        e.title or e.text or e.link for e in entries
    ):
        raise SourceError(_instead(body))
    channel = parsed.feed
    link = _text(channel.get("link"))
    return FeedDocument(
        title=_plain(channel, "title"),
        link=link,
        language=_text(channel.get("language")),
        # Feedparser resolves what is relative to an address that it knows.
        entries=tuple(
            e._replace(link=joined(link, e.link)) if e.link else e for e in entries
        )
        + tombstones.parse(body),
        address=_address(channel),
        ident=_text(channel.get("id")),
        cut_off=_is_cut_off(parsed.get("bozo_exception")),
    )


def _instead(body: bytes) -> str:
    head = body[:_LOOKED_AT]
    if not head.strip():
        return "it is empty"
    if _ALTERNATE.search(head):
        return "it is a web page, not a feed; it names feeds in its <link> elements"
    if _HTML.search(head):
        return "it is a web page, not a feed"
    root = _ROOT.search(head)
    what = f"XML of the kind <{root[1].decode()[:40]}>, and " if root else ""
    return f"it is {what}no feed that is known: RSS, RDF, Atom or JSON Feed"


def _is_cut_off(fault: object) -> bool:
    return isinstance(fault, SAXParseException) and fault.getMessage() in _CUT_OFF


def _address(channel: Mapping[str, Any]) -> str:
    links = channel.get("links") or ()
    return next(
        (_text(one.get("href")) for one in links if one.get("rel") == "self"), ""
    )


def _entry(entry: Mapping[str, Any], *, atom: bool) -> Entry:
    published = _moment(entry, "published_parsed")
    updated = _moment(entry, "updated_parsed")
    if published is None and not atom:
        # What feedparser calls updated is dc:date, RSS's date of publication.
        published, updated = updated, None
    return Entry(
        guid=_text(entry.get("id")),
        link=_link(entry),
        title=one_line(_plain(entry, "title")),
        text=_body(entry),
        published=published,
        updated=updated,
        authors=_authors(entry),
        categories=_names(
            tag.get("label") or tag.get("term") for tag in entry.get("tags") or ()
        ),
        enclosures=_enclosures(entry),
        language=_text((entry.get("title_detail") or {}).get("language")),
    )


def _link(entry: Mapping[str, Any]) -> str:
    """Return the entry's link; no guid that feedparser took for one, but is no address."""
    link = _text(entry.get("link"))
    is_guid = entry.get("guidislink") and link == _text(entry.get("id"))
    return "" if is_guid and not canonical(link) else link


def _body(entry: Mapping[str, Any]) -> str:
    """Return the full content where there is one, else the summary."""
    contents = [_reduced(content) for content in entry.get("content") or ()]
    longest = max(contents, key=len, default="")
    return longest or _plain(entry, "summary")


def _plain(holder: Mapping[str, Any], name: str) -> str:
    detail = holder.get(f"{name}_detail")
    return _reduced(detail or {"value": holder.get(name)})


def _reduced(detail: Mapping[str, Any]) -> str:
    value = detail.get("value")
    if not isinstance(value, str):
        return ""
    if detail.get("type") == "text/plain" and not _escaped(value):
        return tidy(value)
    return to_text(value)


def _escaped(value: str) -> bool:
    """Whether plain text is markup that was escaped once too often."""
    return bool(re.search(r"</\w+>|<\w[^<>]*/>|<br>|&(?:#\d+|#x[\da-f]+|\w+);", value))


def _moment(entry: Mapping[str, Any], name: str) -> datetime | None:
    # Not entry.get: feedparser answers with another date, and warns.
    value = dict(entry).get(name)
    if not isinstance(value, time.struct_time):
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(value), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _authors(entry: Mapping[str, Any]) -> tuple[str, ...]:
    named = [
        author.get("name") or author.get("email")
        for author in entry.get("authors") or ()
        if author
    ]
    return _names(named) or _names([entry.get("author")])


def _names(values: Iterable[object]) -> tuple[str, ...]:
    texts = (one_line(to_text(v))[:NAME_MAX] for v in values if isinstance(v, str))
    return tuple(dict.fromkeys(text for text in texts if text))[:LIST_MAX]


def _enclosures(entry: Mapping[str, Any]) -> tuple[Enclosure, ...]:
    links = [
        (link.get("href"), link.get("type"), link.get("length"))
        for link in entry.get("links") or ()
        if link.get("rel") == "enclosure"
    ]
    media = [
        (one.get("url"), one.get("type") or one.get("medium"), one.get("filesize"))
        for one in entry.get("media_content") or ()
    ]
    found = {
        href: Enclosure(url=href, media_type=_text(kind), size_bytes=_size(size))
        for href, kind, size in ((_text(h), k, s) for h, k, s in media + links)
        if href
    }
    return tuple(found.values())[:LIST_MAX]


def _size(value: object) -> int | None:
    text = str(value).strip()
    if text.isascii() and text.isdigit() and len(text) < 16:  # noqa: PLR2004 - below 2**53
        return int(text) or None
    return None


def _text(value: object) -> str:
    return one_line(value) if isinstance(value, str) else ""
