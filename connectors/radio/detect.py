"""Which transcript format a file is in, by its content. Pure."""

from __future__ import annotations

import re

from collections.abc import Callable
from typing import NamedTuple

from connectors.radio.formats import srt, webvtt
from connectors.radio.formats.cues import Cues, decode
from streams.errors import SourceError


#: A transcript shows what it is in its first lines.
_LOOKED_AT = 20_000
_SRT_TIMES = re.compile(rf"^{srt.TIMES.pattern}$", re.ASCII | re.MULTILINE)


class Format(NamedTuple):
    """One transcript format."""

    name: str
    recognises: Callable[[str], bool]
    parse: Callable[[str], Cues]


#: The first that recognises a text reads it.
FORMATS = (
    Format("webvtt", lambda text: bool(webvtt.SIGNATURE.match(text)), webvtt.parse),
    Format("srt", lambda text: bool(_SRT_TIMES.search(text[:_LOOKED_AT])), srt.parse),
)


def recognise(data: bytes) -> Format | None:
    """Return the format of *data*, or None if it is no transcript that is known."""
    head = decode(data[: _LOOKED_AT - _LOOKED_AT % 2])
    return next((one for one in FORMATS if one.recognises(head)), None)


def read(data: bytes) -> Cues:
    """Return the cues in *data*.

    Silence is a transcript, too: there may be none. Raises SourceError if no format
    recognises it, or if it holds cues and none can be read.
    """
    known = recognise(data)
    if known is None:
        names = " or ".join(one.name for one in FORMATS)
        raise SourceError(f"it is no transcript that is known: {names}")
    cues = known.parse(decode(data))
    if cues.broken and not cues.segments:
        raise SourceError(
            f"it is {known.name}, but none of its {cues.broken} cues can be read"
        )
    return cues
