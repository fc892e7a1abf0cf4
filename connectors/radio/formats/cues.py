"""What every transcript format gives."""

from __future__ import annotations

from typing import NamedTuple

from connectors.markup import one_line, to_text
from streams.records import Segment


class Cues(NamedTuple):
    """The readable cues of a transcript, in the order of the file."""

    segments: tuple[Segment, ...]
    #: Cues that could not be read.
    broken: int


def spoken(text: str) -> str:
    """Return the words of a cue's *text*, whose tags are gone, on one line.

    A "<" that nothing closes is no tag: the words after it were said.
    """
    closed = text.rfind(">") + 1
    return one_line(to_text(text[:closed] + text[closed:].replace("<", "&lt;")))


def decode(data: bytes) -> str:
    """Return *data* as text: by byte order mark, else UTF-8, else Windows-1252.

    Subtitles from before UTF-8 are still around; nothing in the file says so.
    """
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
