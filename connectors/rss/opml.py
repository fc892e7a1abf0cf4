"""OPML 1 and 2 (http://opml.org/spec2.opml), also where it is broken. Pure.

Read by a tokenizer, not an XML parser: what people carry from reader to reader has bare
ampersands, HTML's entities, unclosed elements and ends in the middle. It knows no
document type, so no entity is ever expanded and nothing is fetched.
"""

from __future__ import annotations

import math
import re

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from xml.sax.saxutils import quoteattr

from streams.settings import Feed


#: Where it stands, and the feed; or why it is none.
Entry = tuple[str, Feed | str]

#: Attributes of our own; what else readers know is in OPML's.
PREFIX = "wirewatch:"
_NAMESPACE = "urn:wirewatch:opml"
_OPML = re.compile(r"<(?:[\w-]+:)?(?:opml|outline)\b", re.IGNORECASE)
_HEAD = 10_000
#: What stands for itself: an ampersand that begins no reference.
_BARE = re.compile(r"&(?!(?:[A-Za-z][A-Za-z0-9]*|#[0-9]+|#[xX][0-9A-Fa-f]+);)")
#: XML 1.0 section 2.2: no document may hold them, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: A longer path of folders counts as the folder above.
TAG_MAX = 500
#: A tag that is cut off at the end is read all the same up to this length. What is in it
#: is tried from each of its characters on: 60 kB took 20 s.
REST_MAX = 4_000
UNENDED = "nothing from here on can be read: a tag, a quote or a comment does not end"
_LISTS = frozenset({"link", "include"})


def is_opml(text: str) -> bool:
    """Whether *text* looks like OPML."""
    return _OPML.search(text, 0, _HEAD) is not None


def read(text: str) -> list[Entry]:
    """Return each outline that is, or should be, a feed; folders and categories are tags."""
    reader = _Reader()
    reader.feed(_BARE.sub("&amp;", text))
    if len(reader.rawdata) > REST_MAX:
        reader.found.append((f"line {reader.getpos()[0]}", UNENDED))
        reader.rawdata = reader.rawdata[:REST_MAX]
    reader.close()
    return reader.found


def write(feeds: Iterable[Feed], *, title: str) -> str:
    """Return *feeds* as OPML 2: the first tag of each is its folder, all are categories."""
    top = _Folder()
    for feed in feeds:
        folder = top
        for name in feed.tags[0].split("/") if feed.tags else ():
            folder = folder.within.setdefault(name, _Folder())
        folder.feeds.append(feed)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<opml version="2.0" xmlns:wirewatch="{_NAMESPACE}">',
            f"  <head><title>{_escaped(title)}</title></head>",
            "  <body>",
            *_lines(top, "    "),
            "  </body>",
            "</opml>",
            "",
        ]
    )


class _Folder:
    """Feeds, and folders by name."""

    def __init__(self) -> None:
        self.feeds: list[Feed] = []
        self.within: dict[str, _Folder] = {}


class _Reader(HTMLParser):
    """Follows outlines; lower-cases names, as nobody agrees on ``xmlUrl``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Entry] = []
        #: Of each outline that is open, in which folder its own are.
        self._open: list[str] = []

    def handle_starttag(
        self, tag: str, attributes: list[tuple[str, str | None]]
    ) -> None:
        """Open an outline."""
        if tag.rpartition(":")[2] != "outline":
            return
        values = {name: (value or "").strip() for name, value in attributes}
        folder = self._open[-1] if self._open else ""
        entry = _entry(values, folder)
        if entry is not None:
            self.found.append((f"line {self.getpos()[0]}", entry))
        elif len(path := f"{folder}/{_name(values)}".strip("/")) <= TAG_MAX:
            folder = path
        self._open.append(folder)

    def handle_endtag(self, tag: str) -> None:
        """Close an outline."""
        if tag.rpartition(":")[2] == "outline" and self._open:
            self._open.pop()


def _entry(values: dict[str, str], folder: str) -> Feed | str | None:
    """Return the feed of an outline, or why it has none; None for a folder."""
    kind = values.get("type", "").lower()
    if kind in _LISTS and values.get("url"):
        return f"{values['url']} is another list or a page: import it by itself"
    url = values.get("xmlurl") or values.get("url") or ""
    if not url:
        return f"{_name(values)!r} has no xmlUrl" if kind in {"rss", "atom"} else None
    # A folder's own slashes divide as well: it is a path either way.
    tags = [folder, *values.get("category", "").split(",")]
    name = _name(values)
    return Feed(
        url=url,
        id=values.get(f"{PREFIX}id", ""),
        name=name if name != url else "",
        publisher=values.get(f"{PREFIX}publisher", ""),
        country=values.get(f"{PREFIX}country", ""),
        language=values.get("language", ""),
        interval_s=_seconds(values.get(f"{PREFIX}interval", "")),
        tags=tuple(tags),
        full_text=values.get(f"{PREFIX}fulltext", "") == "true",
    )


def _name(values: dict[str, str]) -> str:
    return " ".join((values.get("title") or values.get("text") or "").split())


def _seconds(written: str) -> float:
    try:
        seconds = float(written or 0)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < math.inf else 0.0


def _lines(folder: _Folder, indent: str) -> Iterator[str]:
    for feed in folder.feeds:
        yield f"{indent}<outline {_attributes(feed)}/>"
    for name, inner in folder.within.items():
        yield f"{indent}<outline text={_quoted(name)} title={_quoted(name)}>"
        yield from _lines(inner, indent + "  ")
        yield f"{indent}</outline>"


def _attributes(feed: Feed) -> str:
    values = {
        "type": "rss",
        # Required by OPML 2; the title is what we read back.
        "text": feed.name or feed.url,
        "title": feed.name,
        "xmlUrl": feed.url,
        "language": feed.language,
        "category": ",".join(f"/{tag}" for tag in feed.tags),
        f"{PREFIX}id": feed.id,
        f"{PREFIX}publisher": feed.publisher,
        f"{PREFIX}country": feed.country,
        f"{PREFIX}interval": str(feed.interval_s) if feed.interval_s else "",
        f"{PREFIX}fullText": "true" if feed.full_text else "",
    }
    return " ".join(
        f"{name}={_quoted(value)}" for name, value in values.items() if value
    )


def _quoted(value: str) -> str:
    return quoteattr(_NOT_XML.sub(" ", value))


def _escaped(text: str) -> str:
    return _NOT_XML.sub(" ", text).replace("&", "&amp;").replace("<", "&lt;")
