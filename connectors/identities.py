"""The names that a connector gives to a publication (dedupe decides by them). Pure."""

from __future__ import annotations

import os
import re

from datetime import datetime

from connectors.urls import canonical
from streams import clock
from streams.records import Identity
from streams.text import fingerprint, normalize


#: Shorter texts (normalised, title included) are the same by chance.
TEXT_MIN = 40
#: Guids at least as long, and those with a scheme (an address, a URN, a tag), are taken to
#: be unique in the world; others ("4711") and words ("Episode: 12") are unique in their
#: source at best.
GLOBAL_GUID_MIN = 20
#: Source and publisher of what was given by hand and does not say whose it is.
GIVEN = "ingest"

_WORLDWIDE = re.compile(rf"[A-Za-z][\w+.-]*:\S+|\S{{{GLOBAL_GUID_MIN},}}")
#: After the address of an article, it counts the article's versions.
_COUNTER = re.compile(r"\d{0,3}")


def file_name(path: str) -> str:
    r"""Return *path* as text: a byte that is not UTF-8 is written as ``\xe9``.

    The system lets a name be any bytes; an id, a cursor and a message must be text.
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def file_time(mtime_ns: int) -> datetime | None:
    """Return a file's time; None for one that no calendar has."""
    try:
        return clock.from_ms(mtime_ns // 1_000_000)
    except (OverflowError, ValueError, OSError):
        return None


def is_worldwide(guid: str) -> bool:
    """Whether *guid* is taken to be unique in the world."""
    return _WORLDWIDE.fullmatch(guid) is not None


def guid_identity(guid: str, scope: str, *, usable: bool = True) -> Identity:
    """Return *guid* as a name; *scope* is where a short one counts, such as a source."""
    value = guid_value(guid) if is_worldwide(guid) else f"{scope}#{guid}"
    return Identity(kind="guid", value=value, usable=usable)


def guid_value(guid: str) -> str:
    """Return the form that all spellings of *guid* have.

    One that is a web address is that of its page; its fragment tells entries apart,
    unless it counts versions (``#0``, ``#1``).
    """
    page = canonical(guid)
    if not page:
        return guid
    fragment = guid.partition("#")[2].strip()
    return page if _COUNTER.fullmatch(fragment) else f"{page}#{fragment}"


def content_scope(title: str, text: str) -> str:
    """Return where a short guid counts that nobody's is: with this content alone.

    Two files may both call their first item "1"; neither is a correction of the other.
    """
    return fingerprint(normalize(title), normalize(text))


def text_identity(title: str, text: str, *, usable: bool = True) -> Identity:
    """Return the text as a name; usable if it is long enough, too."""
    title, text = normalize(title), normalize(text)
    return Identity(
        kind="text",
        value=fingerprint(title, text),
        usable=usable and len(title) + len(text) >= TEXT_MIN,
    )
