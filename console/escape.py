"""What a source wrote, made safe for a terminal and for JSON lines: pure.

Titles, texts, names, links and reasons come from strangers. On a terminal some
characters are commands: ESC and the C1 controls move the cursor, set colours, rename
the window or answer back as if typed (CWE-150); bidirectional controls show a text in
another order than it has (CVE-2021-42574). Each is shown as a sign or taken out, and
what is left goes to rich as ``Text``, whose markup is never read.
"""

from __future__ import annotations

import json
import re

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from rich.style import Style
from rich.text import Text


#: Carry no text of their own: bidi controls (UAX 9), joiner-like fillers that hide
#: text (tags, interlinear annotation) and the byte order mark. ZWJ and ZWNJ stay:
#: Persian and emoji need them.
_UNSEEN: Final = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_BREAKS: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_LINE_ENDS: Final = re.compile("\r\n|[\n\v\f\r\x85\u2028\u2029]")
_UNSEEN_RUN: Final = re.compile(f"[{_UNSEEN}]+")
_COMMANDS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_JSON: Final = re.compile(
    f"[\x7f-\x9f\u2028\u2029\ud800-\udfff{_UNSEEN}]",
)

#: Control pictures for C0 and DEL; whatever else is a command becomes U+FFFD.
_SIGNS: Final = {chr(code): chr(0x2400 + code) for code in range(0x20)} | {
    "\x7f": "\u2421"
}

#: A link opens in a browser only when it is one of these.
_OPENABLE: Final = frozenset({"http", "https"})


def line(text: str) -> str:
    """Return *text* on one line: breaks become spaces, commands visible signs."""
    return _COMMANDS.sub(_sign, _UNSEEN_RUN.sub("", _BREAKS.sub(" ", text)))


def block(text: str) -> str:
    """Return *text* with its line breaks, and nothing else that moves the cursor."""
    return "\n".join(line(part) for part in _LINE_ENDS.split(text))


def shown(text: str, style: str | Style = "") -> Text:
    """Return *text* for rich, on one line; markup in it is text."""
    return Text(line(text), style=style)


def link(url: str, style: str | Style = "") -> Text:
    """Return *url* for rich, to be clicked only when a browser would be safe with it.

    A link of another kind (``javascript:``, ``data:``, ``file:``) is named, not shown.
    """
    safe = line(url).strip()
    try:
        parts = urlsplit(safe)
    except ValueError:
        return Text("[link withheld: it cannot be read]", style="dim")
    if parts.scheme.lower() not in _OPENABLE or not parts.netloc:
        kind = parts.scheme or "no scheme"
        return Text(f"[link withheld: {kind}]", style="dim")
    # A clicked link is an OSC 8 sequence: a space or a semicolon there ends a field.
    target = safe.replace(" ", "%20").replace(";", "%3B")
    return Text(safe, style=Style.combine([_style(style), Style(link=target)]))


def dumps(value: Any) -> str:
    """Return *value* (records, containers, scalars) as one line of JSON.

    Control characters, bidi controls and lone surrogates are escapes of the form that
    RFC 8259 gives (section 7); every other character is itself.
    """
    plain = msgspec.to_builtins(value)
    return _NOT_IN_JSON.sub(_escape, json.dumps(plain, ensure_ascii=False))


def _sign(match: re.Match[str]) -> str:
    return _SIGNS.get(match[0], "\ufffd")


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _style(style: str | Style) -> Style:
    return style if isinstance(style, Style) else Style.parse(style)
