"""HTML to plain text: pure, tolerant, and harmless by construction.

Nothing of the markup survives, so there is nothing left to sanitise; what is shown later
is escaped at the edge of each output all the same.
"""

from __future__ import annotations

import re

from collections.abc import Iterator
from html import unescape
from typing import NamedTuple


#: Elements that start and end a line of their own.
BLOCKS = frozenset(
    {
        *("address", "article", "aside", "blockquote", "caption", "center", "dd"),
        *("details", "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup"),
        *("hr", "legend", "li", "main", "nav", "ol", "p", "pre", "section", "summary"),
        *("table", "tbody", "tfoot", "thead", "tr", "ul", "br", "body", "html"),
    }
)
#: Elements that stand apart within a line.
CELLS = frozenset({"td", "th", "option"})
#: Elements whose content is not for reading.
HIDDEN = frozenset(
    {
        *("script", "style", "head", "template", "noscript", "iframe", "svg"),
        *("math", "canvas", "audio", "video", "map", "select"),
    }
)
#: Elements in which no other begins: only their own end tag counts.
RAW_TEXT = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style")
}
CDATA = "<![CDATA["

_KIND = re.compile(
    r"""<(?: (?P<closes>/)? (?P<name>[A-Za-z][^\s/<>]*) | !-- | [!?] | /(?=[^\s]) )""",
    re.VERBOSE,
)
#: Most tags, at one go.
_WHOLE = re.compile(
    r"""<(?P<closes>/)?(?P<name>[A-Za-z][^\s/<>]*+)(?:[^"'<>]|"[^"<>]*"|'[^'<>]*')*+>"""
)
_ENDS = {"<!--": "-->"}
_ATTRIBUTES = re.compile(r"""(?>"[^"]*"|'[^']*'|[^"'>])*+>""")

#: C0 and C1 controls but tab and line feed, and what is never a character.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_SPACES = re.compile(r"[^\S\n]+")
_AROUND_LINE_FEEDS = re.compile(r" *\n *")
_EMPTY_LINES = re.compile(r"\n{3,}")
#: Signs that what should be plain text is markup that was escaped once too often.
_MARKUP = re.compile(
    r"""</\w+> | <\w[^<>]*/> | <br> | <!\[CDATA\[ | <[A-Za-z][\w-]*\s[^<>=]*=
        | <(?:script|style|iframe|svg|object|embed)\b
        | &(?:\#\d+|\#[xX][\da-fA-F]+|\w+);""",
    re.VERBOSE | re.IGNORECASE,
)


def to_text(html: str) -> str:
    """Return what a reader sees of *html*: blocks on lines of their own, spaces tidied.

    Takes any string; broken markup gives what browsers would show, roughly. Takes time
    in proportion to its length, whatever it is (html.parser does not: a megabyte of
    "<a " keeps it busy for hours).
    """
    if "<" not in html and "&" not in html:
        return tidy(html)
    if CDATA in html:
        # In HTML it is markup that somebody wrapped once too often.
        html = html.replace(CDATA, "").replace("]]>", "")
    return tidy("".join(_parts(html)))


def is_markup(text: str) -> bool:
    """Whether *text*, said to be plain, is markup all the same."""
    return bool(_MARKUP.search(text))


def tidy(text: str) -> str:
    """Return *text* without control characters, with single spaces and few empty lines."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _AROUND_LINE_FEEDS.sub("\n", _SPACES.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", text).strip()


def one_line(text: str) -> str:
    """Return *text* without control characters, on one line."""
    return " ".join(_CONTROLS.sub("", text).split())


class _Tag(NamedTuple):
    name: str
    opens: bool
    #: Where it stands in the document.
    start: int
    end: int


class _Hiding:
    """Follows whether we are in a hidden element: its name, and how many are open."""

    def __init__(self) -> None:
        self.name = ""
        self._depth = 0

    def shows(self, tag: _Tag) -> bool:
        """Take note of *tag*; return whether it is to be seen itself."""
        if self.name == "head" and tag.name == "body":
            self.name = ""  # nobody has to close the head
        if self.name:
            if tag.name == self.name:
                self._depth += 1 if tag.opens else -1
            if not self._depth:
                self.name = ""
            return False
        if tag.name in HIDDEN and tag.opens:
            self.name, self._depth = tag.name, 1
            return False
        return True


def _parts(html: str) -> Iterator[str]:
    """Yield the text of *html*, with separators where elements stand apart."""
    at = 0
    hiding = _Hiding()
    for tag in _tags(html):
        if not hiding.name:
            yield _unescaped(html[at : tag.start])
        at = tag.end
        if hiding.shows(tag):
            yield _separator(tag)
    if not hiding.name:
        yield _unescaped(html[at:])


def _separator(tag: _Tag) -> str:
    if tag.name in BLOCKS:
        return "\n"
    return " " if tag.name in CELLS else ""


def _tags(html: str) -> Iterator[_Tag]:
    """Yield the tags of *html* in order, comments among them as tags without a name."""
    at = 0
    quotes_matter = True
    while (start := html.find("<", at)) >= 0:
        if kind := _WHOLE.match(html, start):
            name = kind["name"].lower()
            at = kind.end()
        elif kind := _KIND.match(html, start):
            name = kind["name"].lower() if kind["name"] else kind[0]
            at = _past(html, kind.end(), _ENDS.get(name, ">"))
            if kind["name"] and quotes_matter:
                quoted = _ATTRIBUTES.match(html, kind.end())
                # A quote that is never closed would swallow the rest, and looking for
                # its end again at each tag would take for ever: from here quotes are
                # letters.
                quotes_matter = quoted is not None
                at = quoted.end() if quoted else at
        else:
            at = start + 1  # a mere "less than"
            continue
        closes_itself = html[at - 2 : at] == "/>"
        opens = not kind["closes"]
        hides_nothing = closes_itself and name in HIDDEN
        yield _Tag("" if hides_nothing else name, opens, start, at)
        if opens and not closes_itself and name in RAW_TEXT:
            end = RAW_TEXT[name].search(html, at)
            at = end.start() if end else len(html)


def _past(html: str, at: int, closing: str) -> int:
    end = html.find(closing, at)
    return len(html) if end < 0 else end + len(closing)


def _unescaped(text: str) -> str:
    # A line feed in the source is a space on the page.
    return unescape(text.replace("\n", " ").replace("\r", " "))
