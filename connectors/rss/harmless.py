"""What a feed says, without what a browser might take for markup. Pure.

Parsers take out the markup that a format allows. What is left was escaped once too often,
stands where the format has plain text, or is there to do harm; all of it goes, whatever
the format and the field.
"""

from __future__ import annotations

import re

import msgspec

from connectors.markup import is_markup, one_line, to_text
from connectors.rss.document import Entry, FeedDocument
from streams.records import Enclosure
from streams.settings import LANGUAGE


#: Somebody who has escaped text more often than this means no good.
ESCAPED_MAX = 4
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


def harmless(document: FeedDocument) -> FeedDocument:
    """Return *document* with plain text in every field that is told to people."""
    return document._replace(
        title=one_line(plain(document.title)),
        language=_language(document.language),
        entries=tuple(_entry(entry) for entry in document.entries),
    )


def plain(text: str) -> str:
    """Return *text*, which should be plain, without the markup that is in it."""
    if "<" not in text and "&" not in text:
        return text
    for _ in range(ESCAPED_MAX):
        if not is_markup(text):
            return text
        text = to_text(text)
    return text.replace("<", "").replace("&", "")


def _entry(entry: Entry) -> Entry:
    return entry._replace(
        title=one_line(plain(entry.title)),
        text=plain(entry.text),
        authors=_names(entry.authors),
        categories=_names(entry.categories),
        enclosures=tuple(_enclosure(one) for one in entry.enclosures),
        language=_language(entry.language),
    )


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(filter(None, (one_line(plain(name)) for name in names)))


def _enclosure(enclosure: Enclosure) -> Enclosure:
    if not enclosure.media_type or _MEDIA_TYPE.fullmatch(enclosure.media_type):
        return enclosure
    return msgspec.structs.replace(enclosure, media_type="")


def _language(tag: str) -> str:
    return tag if LANGUAGE.fullmatch(tag) else ""
