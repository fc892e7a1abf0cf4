"""Entries that a publisher takes back: at:deleted-entry (RFC 6721). Pure."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from xml.parsers import expat

from connectors.markup import one_line, to_text
from connectors.rss.document import Entry


NAMESPACE = "http://purl.org/atompub/tombstones/1.0"
_ELEMENT = f"{NAMESPACE} deleted-entry"
_COMMENT = f"{NAMESPACE} comment"


def parse(xml: str) -> tuple[Entry, ...]:
    """Return the withdrawals in the Atom feed *xml*, up to where it is broken.

    It is given without a document type (:func:`connectors.rss.xmlfeed.clean`).

    The entry's ``guid`` is the tombstone's ``ref``, its ``updated`` the ``when``, its
    text the comment.
    """
    if NAMESPACE not in xml:
        return ()
    reader = _Reader()
    # What came before a fault still counts; feedparser reads the rest its own way.
    with suppress(expat.ExpatError, ValueError, LookupError):
        reader.parser.Parse(xml, True)
    return tuple(reader.found)


class _Reader:
    """Collects deleted entries while expat walks the document."""

    def __init__(self) -> None:
        self.found: list[Entry] = []
        self._ref = ""
        self._when: datetime | None = None
        self._comment: list[str] | None = None
        self._text = ""
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._data

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == _ELEMENT:
            self._ref = one_line(attributes.get("ref", ""))
            self._when = _moment(attributes.get("when", ""))
            self._text = ""
        elif name == _COMMENT and self._ref:
            self._comment = []

    def _data(self, data: str) -> None:
        if self._comment is not None:
            self._comment.append(data)

    def _end(self, name: str) -> None:
        if name == _COMMENT and self._comment is not None:
            self._text = to_text("".join(self._comment))
            self._comment = None
        elif name == _ELEMENT and self._ref:
            self.found.append(
                Entry(
                    guid=self._ref,
                    text=self._text,
                    updated=self._when,
                    withdrawn=True,
                )
            )
            self._ref = ""


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
