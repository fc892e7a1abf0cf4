"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.markup import one_line, tidy, to_text
from connectors.rss.document import Entry, FeedDocument
from streams.errors import SourceError
from streams.records import Enclosure


VERSIONS = "jsonfeed.org/version/1"


def is_json(body: bytes) -> bool:
    """Whether *body* is a JSON object, by its first character."""
    return body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"


def parse(body: bytes) -> FeedDocument:
    """Return the feed in *body*; SourceError if it is other JSON, or broken.

    What is of the wrong type in an entry is passed over, not the entry.
    """
    try:
        feed = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"it is broken JSON: {error}") from None
    if not isinstance(feed, dict) or VERSIONS not in str(feed.get("version", "")):
        raise SourceError("it is JSON, but no JSON Feed")
    language = _text(feed, "language")
    return FeedDocument(
        title=_text(feed, "title"),
        link=_text(feed, "home_page_url"),
        language=language,
        entries=tuple(_entry(item, language) for item in _dicts(feed.get("items"))),
        address=_text(feed, "feed_url"),
    )


def _entry(item: dict[str, Any], language: str) -> Entry:
    identifier = item.get("id")
    html = item.get("content_html")
    plain = item.get("content_text")
    return Entry(
        # Version 1.0 let it be a number.
        guid=one_line(str(identifier)) if isinstance(identifier, str | int) else "",
        link=_text(item, "url") or _text(item, "external_url"),
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
        ),
        categories=tuple(
            one_line(tag) for tag in item.get("tags") or () if isinstance(tag, str)
        ),
        enclosures=tuple(
            Enclosure(
                url=address,
                media_type=_text(one, "mime_type"),
                size_bytes=size if isinstance(size, int) and size > 0 else None,
            )
            for one in _dicts(item.get("attachments"))
            for size in (one.get("size_in_bytes"),)
            if (address := _text(one, "url"))
        ),
        language=_text(item, "language") or language,
    )


def _dicts(values: object) -> list[dict[str, Any]]:
    if not isinstance(values, list):
        return []
    return [value for value in values if isinstance(value, dict)]


def _text(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return one_line(value) if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
