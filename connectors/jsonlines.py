"""Items as JSON lines: whole raw items, or a short form that a person can write. Pure.

The short form has ``text``, and may have ``title``, ``link``, ``published`` (RFC 3339),
``publisher``, ``source`` (a name), ``id``, ``language`` and ``country``. An ``id`` counts
within the source, publisher or site that the line names; a line that names none is its
content, so that the lines of two files are never taken for each other.
"""

from __future__ import annotations

import hashlib

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from connectors.face import Refused
from connectors.identities import content_scope, guid_identity, text_identity
from connectors.markup import one_line, tidy
from connectors.rss.jsonfeed import VERSIONS
from connectors.urls import canonical, public_url, registrable_domain
from streams.errors import RecordError
from streams.events import decode
from streams.records import Identity, RawItem, Source


class ShortItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item in the short form."""

    text: str
    title: str = ""
    link: str = ""
    published: datetime | None = None
    publisher: str = ""
    source: str = ""
    id: str = ""
    language: str = ""
    country: str = ""


def recognises(head: bytes) -> bool:
    """Whether a document that begins with *head* is JSON lines (and no JSON Feed)."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    first = text.partition(b"\n")[0].strip()
    if not first.startswith(b"{") or VERSIONS.encode() in head.replace(b"\\/", b"/"):
        return False
    # A document over several lines closes its brace on another one; a line that was
    # cut off at the end of *head* may do so later.
    return first.endswith(b"}") or b"\n" not in text


def read(
    line: bytes, *, where: str, fallback: Source, now: datetime
) -> RawItem | Refused:
    """Return the item in *line*, or why there is none.

    ``where`` names the line; ``fallback`` is the source of what names none; ``now``
    counts as the time of fetching for the short form.
    """
    stripped = line.removeprefix(b"\xef\xbb\xbf").strip()
    try:
        fields = msgspec.json.decode(stripped)
        if isinstance(fields, dict) and "identities" in fields:
            item = decode(RawItem, stripped)
            if item.state == "forgotten" or item.forgetting is not None:
                return _refused(line, where, "only 'wirewatch forget' forgets")
            return item
        short = msgspec.json.decode(stripped, type=ShortItem)
        item = _item(short, fallback, now)
        if item.title or item.text:
            return item
        return _refused(line, where, "its text is empty")
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        OverflowError,  # a time that UTC's calendar does not have
        RecursionError,
        RecordError,
    ) as error:
        return _refused(line, where, str(error))


def _refused(line: bytes, where: str, reason: str) -> Refused:
    return Refused(
        source=where,
        kind="broken",
        reason=f"not an item: {reason}",
        sha256=hashlib.sha256(line).hexdigest(),
        size_bytes=len(line),
    )


def _item(short: ShortItem, fallback: Source, now: datetime) -> RawItem:
    source = msgspec.structs.replace(
        fallback,
        id=short.source or fallback.id,
        name=short.source or fallback.name,
        language=short.language,
        country=short.country,
    )
    published = short.published
    if published is not None:
        published = (
            published.astimezone(UTC)
            if published.tzinfo
            else published.replace(tzinfo=UTC)
        )
    publisher = short.publisher or registrable_domain(short.link)
    return RawItem(
        identities=tuple(_identities(short, short.source or publisher)),
        publisher=publisher or source.id,
        source=source,
        link=public_url(short.link) if short.link else "",
        title=one_line(short.title),
        text=tidy(short.text),
        published=published,
        fetched=now,
    )


def _identities(short: ShortItem, scope: str) -> Iterator[Identity]:
    if short.id:
        scope = scope or content_scope(short.title, short.text)
        yield guid_identity(short.id, scope)
    if link := canonical(short.link):
        yield Identity(kind="link", value=link)
    yield text_identity(short.title, short.text)
