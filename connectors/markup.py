"""HTML to plain text: pure, tolerant, and harmless by construction.

Nothing of the markup survives, so there is nothing left to sanitise; what is shown later
is escaped at the edge of each output all the same.
"""

from __future__ import annotations

import re

from html.parser import HTMLParser


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
        *("script", "style", "head", "template", "noscript", "iframe", "object"),
        *("applet", "svg", "math", "canvas", "audio", "video", "map", "select"),
    }
)
#: C0 and C1 controls but tab and line feed, and what is never a character.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_SPACES = re.compile(r"[^\S\n]+")
_AROUND_LINE_FEEDS = re.compile(r" *\n *")
_EMPTY_LINES = re.compile(r"\n{3,}")


def to_text(html: str) -> str:
    """Return what a reader sees of *html*: blocks on lines of their own, spaces tidied.

    Takes any string; broken markup gives what browsers would show, roughly.
    """
    if "<" not in html and "&" not in html:
        return tidy(html)
    reducer = _Reducer()
    reducer.feed(html)
    reducer.close()
    return tidy("".join(reducer.parts))


def tidy(text: str) -> str:
    """Return *text* without control characters, with single spaces and few empty lines."""
    text = _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _AROUND_LINE_FEEDS.sub("\n", _SPACES.sub(" ", text))
    return _EMPTY_LINES.sub("\n\n", text).strip()


def one_line(text: str) -> str:
    """Return *text* without control characters, on one line."""
    return " ".join(_CONTROLS.sub("", text).split())


class _Reducer(HTMLParser):
    """Collects the text of a document."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        #: The hidden element that we are in, and how many of its kind are open.
        self._hidden = ""
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        del attrs
        if self._hidden == "head" and tag == "body":
            self._hidden = ""  # nobody has to close the head
        if self._hidden:
            self._depth += tag == self._hidden
        elif tag in HIDDEN:
            self._hidden, self._depth = tag, 1
        else:
            self._separate(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser; in HTML ``<p/>`` opens, but nobody who writes it means that."""
        del attrs
        if not self._hidden:
            self._separate(tag)

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        if not self._hidden:
            self._separate(tag)
        elif tag == self._hidden:
            self._depth -= 1
            if not self._depth:
                self._hidden = ""

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        if not self._hidden:
            # A line feed in the source is a space on the page.
            self.parts.append(data.replace("\n", " ").replace("\r", " "))

    def unknown_decl(self, data: str) -> None:
        """See HTMLParser; CDATA in HTML is text that somebody wrapped once too often."""
        if data.startswith("CDATA[") and not self._hidden:
            self.parts.append(data.removeprefix("CDATA["))

    def _separate(self, tag: str) -> None:
        if tag in BLOCKS:
            self.parts.append("\n")
        elif tag in CELLS:
            self.parts.append(" ")
