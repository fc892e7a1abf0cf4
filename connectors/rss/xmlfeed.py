"""XML -> elements of a feed, by feedparser's two parsers, within bounds. Pure.

Its parser classes rather than ``feedparser.parse``: that takes a string for an address or
a file's name, sees neither ``podcast:transcript`` nor which hours to skip, and has no
bound on depth, entries or the length of a field. What is not here is feedparser's.

No document type reaches a parser, so there is no entity that it could expand and no
file or address that it could open: the entities of HTML, and plain ones that the document
declares, are replaced beforehand.
"""

from __future__ import annotations

import io
import re
import sys
import xml.sax
import xml.sax.handler
import xml.sax.xmlreader

from contextlib import suppress
from html.entities import html5
from typing import Any, ClassVar, NamedTuple
from xml.parsers.expat import errors as expat_errors

from feedparser import api
from feedparser.mixin import _FeedParserMixin

from connectors.rss.document import ENTRIES_MAX, LIST_MAX, left_out
from connectors.urls import joined
from streams.errors import SourceError


#: Bounds; what they cut off is told, see :attr:`Elements.omitted`.
DEPTH_MAX = 500
#: The time that Python's and feedparser's handlers take goes with the square of these.
ATTRIBUTES_MAX = 500
NAMESPACES_MAX = 500
FIELD_MAX = 500_000
#: Of what is no text: addresses, names, dates.
SHORT_MAX = 5_000
AUTHOR_MAX = 500

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_DECLARATION = re.compile(r"\s*<\?xml\b[^>]{0,1000}\?>")
_XML = re.compile(r"<\?xml\s")
#: With what a feed begins, if anything comes before.
_ELEMENT = re.compile(
    r"<(?:rss|feed|(?:\w{1,20}:)?RDF|channel|html|!doctype)(?=[\s>])", re.IGNORECASE
)
_JUNK_MAX = 20_000
#: What may come before the document type.
_PROLOG = re.compile(r"(?>\s+|<!--.*?-->|<\?.*?\?>)*+", re.DOTALL)
_DOCTYPE = re.compile(r"<!doctype\b", re.IGNORECASE)
_DOCTYPE_END = re.compile(r">|\[")
_SUBSET_END = re.compile(r"\]\s{0,1000}>")
_DECLARED = re.compile(
    r"""<!ENTITY\s{1,100}([\w.-]{1,100})\s{1,100}(?:"([^"<&%]{0,1000}|&\#\w{1,8};)"|'([^'<&%]{0,1000}|&\#\w{1,8};)')\s{0,100}>"""
)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][\w.-]{0,100});")
_AMPERSAND = re.compile(
    r"""(?P<whole><!\[CDATA\[.*?(?:\]\]>|\Z)|&(?:amp|lt|gt|quot|apos);)
        |&\#(?:(?P<hex>[xX])(?=[\da-fA-F]+;)|(?=\d+;))(?P<number>[\da-fA-F]{1,20});
        |&""",
    re.DOTALL | re.VERBOSE,
)
_SPACES = frozenset(map(ord, "\t\n\r"))
#: What an XML parser says at the end of a document that is not over.
_CUT_OFF = frozenset(
    {
        expat_errors.XML_ERROR_NO_ELEMENTS,
        expat_errors.XML_ERROR_UNCLOSED_TOKEN,
        expat_errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat_errors.XML_ERROR_PARTIAL_CHAR,
    }
)
_TEXTS = frozenset(
    {
        "content",
        "description",
        "summary",
        "title",
        "media_description",
        "yandex_full-text",
    }
)
#: feedparser looks for an address in them, in quadratic time.
_PEOPLE = frozenset({"author", "publisher", "name", "email"})
_ENTRIES = frozenset({"item", "entry"})
#: RFC 6721; :mod:`connectors.rss.tombstones` reads them.
_TOMBSTONE = "at:deleted-entry"
#: What feedparser's handlers raise where an element is not as they expect it.
_STUMBLES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_NAMESPACES = {
    "https://podcastindex.org/namespace/1.0": "podcast",
    "https://github.com/podcastindex-org/podcast-namespace/blob/main/docs/1.0.md": "podcast",
    "http://purl.org/syndication/history/1.0": "fh",
    "http://purl.org/atompub/tombstones/1.0": "at",
    "http://www.opengis.net/gml/3.2": "gml",
    "http://search.yahoo.com/mrss/ ": "media",
    "http://www.w3.org/2003/01/geo/wgs84_pos": "geo",
    "http://www.georss.org/georss/10": "georss",
    "http://www.georss.org/georss/": "georss",
    "http://purl.org/net/rss1.1#": "",
    "http://news.yandex.ru": "yandex",
    "http://news.yandex.ru/": "yandex",
}


class Elements(NamedTuple):
    """What a document holds, in feedparser's terms."""

    #: '' if nothing in it says that it is a feed.
    version: str
    feed: dict[str, Any]
    entries: list[dict[str, Any]]
    #: The document ends before its markup does.
    cut_off: bool
    #: What the bounds kept out, in words.
    omitted: tuple[str, ...]
    #: It is not well-formed, and was read as well as can be.
    broken: bool = False


def read(text: str, *, language: str = "", url: str = "") -> Elements:
    """Return the elements of *text*, which :func:`clean` gave.

    *language* and *url* are the document's own, of the transport. Raises SourceError for
    what is nested too deep, or has more attributes or namespaces than any feed.
    """
    strict = _Strict("", language or None, "utf-8")
    strict.document_url = url
    fault = _parse(strict, text)
    if fault is None or fault in _CUT_OFF:
        return strict.elements(cut_off=fault is not None)
    mended = _mended(text)
    if mended != text:
        # Most of what is not well-formed is not in any other way.
        return read(mended, language=language, url=url)._replace(broken=True)
    loose = _Loose("", language or None, "utf-8", {})
    loose.document_url = url
    loose.feed(text)
    return loose.elements(cut_off=False)._replace(broken=True)


def clean(text: str) -> str:
    """Return *text* as XML without what no parser should see, or would stumble over.

    That is: junk before the beginning, characters that XML forbids, the document type.
    Entities other than XML's own five are replaced by what they stand for.
    """
    text = _NOT_XML.sub("", text)
    text = text[_beginning(text) :]
    if declaration := _DECLARATION.match(text):
        text = text[declaration.end() :]
    text, entities = _without_doctype(text)
    if "&" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        return entities.get(match[1]) or _HTML_ENTITIES.get(match[1], match[0])

    return _ENTITY.sub(one, text)


#: But for those that are markup.
_HTML_ENTITIES = {
    name[:-1]: value
    for name, value in html5.items()
    if name.endswith(";") and not set(value) & set("<>&\"'")
}


def _beginning(text: str) -> int:
    """Return where XML begins in *text*: after a script's warnings, blank lines, comments."""
    root = _ELEMENT.search(text, 0, _JUNK_MAX)
    end = root.start() if root else _JUNK_MAX
    if (declared := _XML.search(text, 0, end)) is not None:
        return declared.start()
    blank = len(text) - len(text.lstrip())
    if root is None or text.startswith(("<!", "<?", root[0]), blank):
        return blank
    return root.start()


def _without_doctype(text: str) -> tuple[str, dict[str, str]]:
    prolog = _PROLOG.match(text)
    start = _DOCTYPE.match(text, prolog.end()) if prolog else None
    if start is None:
        return text, {}
    end = _DOCTYPE_END.search(text, start.end())
    if end is not None and end[0] == "[":
        end = _SUBSET_END.search(text, end.end())
    if end is None:
        return text[: start.start()], {}
    entities = {
        name: first or second
        for name, first, second in _DECLARED.findall(text, start.end(), end.start())
    }
    return text[: start.start()] + text[end.end() :], entities


def _mended(text: str) -> str:
    """Return *text* with ampersands that begin no reference escaped; idempotent."""

    def one(match: re.Match[str]) -> str:
        if match["number"]:
            base = 16 if match["hex"] else 10
            return match[0] if _is_xml(int(match["number"], base)) else ""
        return match[0] if match["whole"] else "&amp;"

    return _AMPERSAND.sub(one, text)


def _is_xml(number: int) -> bool:
    """Whether XML allows the character of this *number* (XML 1.0 section 2.2)."""
    return number <= sys.maxunicode and (
        number in _SPACES or (number >= ord(" ") and not _NOT_XML.match(chr(number)))
    )


def _parse(handler: _Strict, text: str) -> str | None:
    """Return why the XML of *text* is not well-formed, as expat says it; None if it is."""
    parser = xml.sax.make_parser(["xml.sax.expatreader"])  # noqa: S317 - it gets no DTD
    parser.setFeature(xml.sax.handler.feature_namespaces, True)
    parser.setFeature(xml.sax.handler.feature_external_ges, False)
    parser.setContentHandler(handler)
    parser.setErrorHandler(handler)
    source = xml.sax.xmlreader.InputSource()
    source.setEncoding("utf-8")
    source.setByteStream(io.BytesIO(text.encode()))
    try:
        parser.parse(source)
    except xml.sax.SAXException as error:
        if error.getMessage() == expat_errors.XML_ERROR_NO_MEMORY:
            raise MemoryError from None
        return str(error.getMessage())
    return None


def _too_many(what: str, most: int) -> SourceError:
    return SourceError(f"it has more than {most:,} {what}, as no feed has")


class _Bounded(_FeedParserMixin):  # type: ignore[misc]
    """What we add to feedparser's parsers: bounds, and elements that it does not know."""

    namespaces: ClassVar = {**_FeedParserMixin.namespaces, **_NAMESPACES}
    _matchnamespaces: ClassVar[dict[str, str]] = {}

    # Feedparser's, as we use them.
    feeddata: dict[str, Any]
    entries: list[dict[str, Any]]
    elementstack: list[list[Any]]
    depth: int
    baseuri: str
    version: str
    inentry: int
    incontent: int
    namespaces_in_use: dict[str, str]
    svgOK: int  # noqa: N815 - feedparser's
    basestack: list[str]
    langstack: list[str]

    # All markup is taken out of what is kept, by us.
    resolve_relative_uris = False
    sanitize_html = False
    #: What the first xml:base is relative to.
    document_url = ""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._left_out = 0
        self._shortened = 0
        #: The element whose content is passed over, and how many of its name are open.
        self._over = ""
        self._over_depth = 0

    def elements(self, *, cut_off: bool) -> Elements:
        """Return what was read."""
        omitted = list(left_out(self._left_out))
        if self._shortened:
            omitted.append(
                f"fields that were cut, for being longer than {FIELD_MAX:,} characters "
                f"({SHORT_MAX:,} if they are no text): {self._shortened:,}"
            )
        return Elements(
            self.version, self.feeddata, self.entries, cut_off, tuple(omitted)
        )

    def unknown_starttag(self, tag: str, attrs: list[tuple[str, str]]) -> None:
        if self._passes_over(tag):
            return
        if len(self.elementstack) > DEPTH_MAX:
            raise _too_many("elements within one another", DEPTH_MAX)
        if not self.incontent:
            self.svgOK = 0  # feedparser calls itself for ever on a title in an open svg
        for at, (name, value) in enumerate(attrs):
            if name == "xml:base":
                attrs[at] = (name, joined(self.baseuri or self.document_url, value))
        with suppress(*_STUMBLES):
            super().unknown_starttag(tag, attrs)

    def unknown_endtag(self, tag: str) -> None:
        if self._over:
            self._passed_over(tag)
            return
        depth = self.depth
        try:
            super().unknown_endtag(tag)
        except _STUMBLES:
            self.depth = depth - 1
            del self.basestack[-1:], self.langstack[-1:]

    def handle_data(self, text: str, escape: int = 1) -> None:
        if not self._over:
            super().handle_data(text, escape)

    def handle_charref(self, ref: str) -> None:
        if not self._over:
            # A number that is no character: nothing, as in a browser.
            with suppress(ValueError, OverflowError):
                super().handle_charref(ref)

    def handle_entityref(self, ref: str) -> None:
        if not self._over:
            super().handle_entityref(ref)

    def _passes_over(self, tag: str) -> bool:
        if self._over:
            if tag == self._over:
                self._over_depth += 1
                self._left_out += tag in _ENTRIES
            return True
        if tag in _ENTRIES and len(self.entries) >= ENTRIES_MAX:
            self._left_out += 1
        elif tag != _TOMBSTONE:
            return False
        self._over, self._over_depth = tag, 1
        return True

    def _passed_over(self, tag: str) -> None:
        if tag == self._over:
            self._over_depth -= 1
            if not self._over_depth:
                self._over = ""

    def pop(self, element: str, strip_whitespace: int = 1) -> Any:
        """Bound the element's text before anything is done with it."""
        if self.elementstack and self.elementstack[-1][0] == element:
            self._bound(element, self.elementstack[-1][2])
        return super().pop(element, strip_whitespace)

    def _bound(self, element: str, pieces: list[str | bytes]) -> None:
        most = FIELD_MAX if element in _TEXTS else SHORT_MAX
        most = AUTHOR_MAX if element in _PEOPLE else most
        if sum(map(len, pieces)) <= most:
            return
        whole = "".join(
            piece if isinstance(piece, str) else piece.decode("utf-8", "replace")
            for piece in pieces
        )
        if len(whole.strip()) > most:
            self._shortened += 1
        pieces[:] = [whole.strip()[:most]]

    def _start_channel(self, attrs: dict[str, str]) -> None:
        # RSS 1.1, CDF, and RDF in nobody's namespace.
        self.version = self.version or "channel"
        super()._start_channel(attrs)

    def _add_tag(self, *tag: str | None) -> None:
        # Feedparser looks for each in all that went before.
        if len(self._get_context().get("tags") or ()) < LIST_MAX:
            super()._add_tag(*tag)

    def _start_hour(self, _attrs: dict[str, str]) -> None:
        self.push("hour", 0)

    def _end_hour(self) -> None:
        self._collect("skip_hours", self.pop("hour"))

    def _start_day(self, _attrs: dict[str, str]) -> None:
        self.push("day", 0)

    def _end_day(self) -> None:
        self._collect("skip_days", self.pop("day"))

    def _collect(self, name: str, value: object) -> None:
        if not self.inentry:
            self.feeddata.setdefault(name, []).append(value)

    def _start_podcast_transcript(self, attrs: dict[str, str]) -> None:
        if self.inentry:
            self.entries[-1].setdefault("transcripts", []).append(attrs)

    def _start_fh_complete(self, _attrs: dict[str, str]) -> None:
        self.feeddata["complete"] = True

    # What is said of a picture is not what the entry says: kept apart from its text.
    def _start_media_description(self, _attrs: dict[str, str]) -> None:
        self.push("media_description", 1)

    def _end_media_description(self) -> None:
        self.pop("media_description")

    def _start_media_title(self, _attrs: dict[str, str]) -> None:
        self.push("media_title", 1)

    def _end_media_title(self) -> None:
        self.pop("media_title")

    def _save_where(self, geometry: dict[str, Any]) -> None:
        self._get_context().setdefault("where", {}).update(geometry)

    def _end_gml_pos(self) -> None:
        self._get_context().setdefault("where", {})
        super()._end_gml_pos()

    def _end_gml_poslist(self) -> None:
        self._get_context().setdefault("where", {})
        super()._end_gml_poslist()


class _Strict(_Bounded, api.StrictFeedParser):  # type: ignore[misc]
    """For what is well-formed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._nesting = 0

    def startPrefixMapping(self, prefix: Any, uri: Any) -> None:  # noqa: N802 - SAX
        super().startPrefixMapping(prefix, uri)
        if len(self.namespaces_in_use) > NAMESPACES_MAX:
            raise _too_many("namespaces", NAMESPACES_MAX)

    def startElementNS(self, name: Any, qname: Any, attrs: Any) -> None:  # noqa: N802 - SAX
        self._nesting += 1
        if self._nesting > DEPTH_MAX:
            raise _too_many("elements within one another", DEPTH_MAX)
        if len(attrs) > ATTRIBUTES_MAX:
            raise _too_many("attributes in an element", ATTRIBUTES_MAX)
        try:
            super().startElementNS(name, qname, attrs)
        except ValueError:
            # Python's reader splits names at spaces; a namespace may hold one.
            raise xml.sax.SAXException("a namespace with a space") from None

    def endElementNS(self, name: Any, qname: Any) -> None:  # noqa: N802 - SAX
        self._nesting -= 1
        super().endElementNS(name, qname)


class _Loose(_Bounded, api.LooseFeedParser):  # type: ignore[misc]
    """For all the rest."""
