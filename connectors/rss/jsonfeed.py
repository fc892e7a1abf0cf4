"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.markup import one_line, tidy, to_text
from connectors.rss import dates
from connectors.rss.document import ENTRIES_MAX, LIST_MAX, Entry, FeedDocument, left_out
from connectors.urls import web
from streams.errors import SourceError
from streams.records import Enclosure


VERSIONS = "jsonfeed.org/version/1"


def is_json(text: str) -> bool:
    """Whether *text* is a JSON object, by its first character."""
    return text.lstrip("\ufeff \t\r\n\0")[:1] == "{"


def parse(text: str, *, url: str = "") -> FeedDocument:
    """Return the feed in *text*, which lies at *url*; SourceError if it is other JSON, or broken.

    What is of the wrong type in an entry is passed over, not the entry.
    """
    try:
        feed = msgspec.json.decode(text.strip("\ufeff \t\r\n\0"))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise SourceError(f"it is broken JSON: {error}") from None
    if not isinstance(feed, dict) or VERSIONS not in str(feed.get("version", "")):
        raise SourceError("it is JSON, but no JSON Feed")
    language = _text(feed, "language")
    link = web(_text(feed, "home_page_url"), url)
    items = _dicts(feed.get("items"))
    return FeedDocument(
        title=_text(feed, "title"),
        link=link,
        language=language,
        entries=tuple(
            _entry(item, language, link or url) for item in items[:ENTRIES_MAX]
        ),
        address=web(_text(feed, "feed_url"), url),
        hub=next((web(_text(hub, "url"), url) for hub in _dicts(feed.get("hubs"))), ""),
        topic=web(_text(feed, "feed_url"), url),
        omitted=tuple(left_out(len(items) - ENTRIES_MAX)),
    )


def _entry(item: dict[str, Any], language: str, base: str) -> Entry:
    identifier = item.get("id")
    html = item.get("content_html")
    plain = item.get("content_text")
    return Entry(
        # Version 1.0 let it be a number.
        guid=one_line(str(identifier)) if isinstance(identifier, str | int) else "",
        link=web(_text(item, "url"), base) or web(_text(item, "external_url"), base),
        title=_text(item, "title"),
        text=(to_text(html) if isinstance(html, str) else "")
        or (tidy(plain) if isinstance(plain, str) else "")
        or _text(item, "summary"),
        published=_moment(item.get("date_published")),
        updated=_moment(item.get("date_modified")),
        authors=tuple(
            name
            for author in _dicts(item.get("authors")) or _dicts([item.get("author")])
            if (name := _text(author, "name"))
        )[:LIST_MAX],
        categories=tuple(
            one_line(tag) for tag in _list(item.get("tags")) if isinstance(tag, str)
        )[:LIST_MAX],
        enclosures=tuple(_enclosures(item, base))[:LIST_MAX],
        language=_text(item, "language") or language,
    )


def _enclosures(item: dict[str, Any], base: str) -> Iterator[Enclosure]:
    for one in _dicts(item.get("attachments")):
        if address := web(_text(one, "url"), base):
            size = one.get("size_in_bytes")
            yield Enclosure(
                url=address,
                media_type=_text(one, "mime_type"),
                size_bytes=int(size) if isinstance(size, int) and size > 0 else None,
            )
    for name in ("image", "banner_image"):
        if address := web(_text(item, name), base):
            yield Enclosure(url=address, role="image")


def _dicts(values: object) -> list[dict[str, Any]]:
    return [value for value in _list(values) if isinstance(value, dict)]


def _list(values: object) -> list[Any]:
    return values if isinstance(values, list) else []


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return one_line(value) if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        # RFC 3339 demands a zone; some know no better.
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return dates.read(value)
