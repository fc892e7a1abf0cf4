"""WebVTT by the W3C's parsing rules (https://www.w3.org/TR/webvtt1/#file-parsing). Pure.

Regions, styles, notes and cue settings say how a text looks, so they are read past.
"""

from __future__ import annotations

import re

from collections.abc import Iterator
from typing import NamedTuple

from connectors.radio.formats.cues import Cues, spoken
from streams.records import Segment


ARROW = "-->"
SIGNATURE = re.compile(r"\ufeff?WEBVTT(?:[ \t\r\n]|\Z)")

_LINE_BREAKS = re.compile(r"\r\n|\r|\n")
#: The specification has no last hour; no recording lasts 10,000.
_TIMESTAMP = r"(?:(\d{2,4}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_SPACE = r"[ \t\f]*"
#: Section 6.3, "collect WebVTT cue timings and settings".
TIMES = re.compile(
    rf"{_SPACE}{_TIMESTAMP}{_SPACE}-->{_SPACE}{_TIMESTAMP}(?:[ \t\f].*)?", re.ASCII
)
#: In two steps, so that no "<" is looked at twice, whatever follows it.
_BETWEEN = re.compile(r"<([^<>]*)>")
#: What is a tag of cue text: <v Name>, <c.class>, <i>, </b>, <00:00:01.000>. What else
#: stands between < and > is left to the HTML reducer.
_TAG = re.compile(
    r"(/?)(?:(c|i|b|u|v|lang|ruby|rt)(?:\.[^\s.]*)*(?:\s(.*))?|[\d:.]+)", re.DOTALL
)


class _Block(NamedTuple):
    times: str
    payload: list[str]


def parse(text: str) -> Cues:
    """Return the cues in *text*, one segment a voice.

    A cue whose times cannot be read is counted and passed over. Text without the
    signature has no cues.
    """
    if not SIGNATURE.match(text):
        return Cues((), 0)
    segments: list[Segment] = []
    broken = 0
    for block in _blocks(_LINE_BREAKS.split(text.replace("\0", "\ufffd"))):
        matched = TIMES.fullmatch(block.times)
        if matched is None:
            broken += 1
            continue
        start_s = _seconds(matched.groups()[:4])
        end_s = max(start_s, _seconds(matched.groups()[4:]))
        segments.extend(
            Segment(start_s=start_s, end_s=end_s, text=said, speaker=speaker)
            for speaker, said in _voices("\n".join(block.payload))
        )
    return Cues(tuple(segments), broken)


def _blocks(lines: list[str]) -> Iterator[_Block]:
    """Yield each cue: blocks end at an empty line, or where the next cue begins."""
    times: str | None = None
    payload: list[str] = []
    # The header runs to the first empty line, or to the first cue.
    for line in lines[1:]:
        if ARROW in line:
            if times is not None:
                yield _Block(times, payload)
            times, payload = line, []
        elif not line:
            if times is not None:
                yield _Block(times, payload)
            times = None
        elif times is not None:
            payload.append(line)
    if times is not None:
        yield _Block(times, payload)


def _voices(payload: str) -> Iterator[tuple[str, str]]:
    """Yield (speaker, words) for each stretch of cue text (section 6.4)."""
    speaker, said, at = "", "", 0
    for between in _BETWEEN.finditer(payload):
        tag = _TAG.fullmatch(between[1])
        if tag is None:
            continue
        said += payload[at : between.start()]
        at = between.end()
        closing, name, annotation = tag.groups()
        if name != "v":
            continue
        if words := spoken(said):
            yield speaker, words
        said = ""
        speaker = "" if closing else spoken(annotation or "")
    if words := spoken(said + payload[at:]):
        yield speaker, words


def _seconds(fields: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, milliseconds = (int(field or 0) for field in fields)
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
