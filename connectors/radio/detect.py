"""Which transcript format a file is in, and what is wrong with one in none. Pure."""

from __future__ import annotations

import re

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import NamedTuple

from connectors.radio.formats import srt, webvtt
from connectors.radio.formats.cues import Cues, decode
from streams.errors import SourceError


#: A transcript shows what it is in its first lines.
_LOOKED_AT = 20_000
#: So much of a line is quoted.
_SHOWN_MAX = 60
_SRT_TIMES = re.compile(rf"^{srt.TIMES.pattern}$", re.ASCII | re.MULTILINE)
#: A cue that somebody meant; in a web page an arrow ends a comment.
_MEANT = re.compile(r"^[ \t]*\d[\d:,.; \t]{0,40}-->", re.ASCII | re.MULTILINE)
SUFFIXES = frozenset({".srt", ".vtt"})


class Format(NamedTuple):
    """One transcript format."""

    name: str
    recognises: Callable[[str], bool]
    parse: Callable[[str], Cues]
    #: A line of times that can be read.
    times: re.Pattern[str]


#: The first that recognises a text reads it.
FORMATS = (
    Format(
        "webvtt",
        lambda text: bool(webvtt.SIGNATURE.match(text)),
        webvtt.parse,
        webvtt.TIMES,
    ),
    Format(
        "srt",
        lambda text: bool(_SRT_TIMES.search(text[:_LOOKED_AT])),
        srt.parse,
        srt.TIMES,
    ),
)


def recognise(data: bytes) -> Format | None:
    """Return the format of *data*, or None if it is no transcript that is known."""
    head = decode(data[: _LOOKED_AT - _LOOKED_AT % 2])
    return next((one for one in FORMATS if one.recognises(head)), None)


def is_empty(data: bytes) -> bool:
    """Whether there is nothing in *data* but blanks and a byte order mark."""
    return not data.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\f\v")


def resembles(data: bytes, name: str) -> bool:
    """Whether *data* is meant to be a transcript, readable or not.

    By its content, else by its file's *name*.
    """
    if PurePosixPath(name).suffix.lower() in SUFFIXES or recognise(data) is not None:
        return True
    return _MEANT.search(decode(data)[:_LOOKED_AT]) is not None


def read(data: bytes, name: str = "") -> Cues:
    """Return the cues in *data*, the content of a file called *name*.

    Silence is a transcript, too: there may be none. Raises SourceError if no format
    recognises it, or if it holds cues and none can be read.
    """
    known = recognise(data)
    cues = known.parse(decode(data)) if known is not None else Cues((), 0)
    if cues.segments or (known is not None and not cues.broken):
        return cues
    if resembles(data, name):
        times = known.times if known is not None else srt.TIMES
        raise SourceError(_fault(decode(data), times))
    names = " or ".join(one.name for one in FORMATS)
    raise SourceError(f"it is no transcript that is known: {names}")


def _fault(text: str, times: re.Pattern[str]) -> str:
    """Say what is wrong with the transcript *text*, of which no cue can be read."""
    for number, line in enumerate(text.splitlines(), 1):
        if srt.ARROW in line and not times.fullmatch(line):
            return (
                "it is a transcript, but no cue has times that can be read; the first "
                f"that cannot are in line {number:,}: {line.strip()[:_SHOWN_MAX]!r}"
            )
    return (
        "it is called a transcript, but there is no cue in it: no line of times such as "
        "00:00:01,000 --> 00:00:02,500"
    )
