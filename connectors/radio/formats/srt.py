"""SubRip: numbered cues, a line of times, text (no standard; as players read it). Pure."""

from __future__ import annotations

import re

from collections.abc import Iterator
from itertools import pairwise

from connectors.radio.formats.cues import Cues, spoken
from streams.records import Segment


ARROW = "-->"
_TIME = r"(?:(\d{1,3})[ ]*:[ ]*)?(\d{1,2})[ ]*:[ ]*(\d{1,2})(?:[ ]*[,.:][ ]*(\d{1,3}))?"
#: Hours are optional; what follows the times (X1:.. Y2:..) is where the text stands.
TIMES = re.compile(rf"[ \t]*{_TIME}[ \t]*-->[ \t]*{_TIME}(?:[ \t].*)?", re.ASCII)
_STYLES = re.compile(r"\{\\[^{}]*\}")
_LINE_BREAKS = re.compile(r"\r\n|\r|\n")


def parse(text: str) -> Cues:
    """Return the cues in *text*.

    A cue runs from its line of times to the next one's number, so that a missing or a
    surplus empty line costs nothing. A line of times that cannot be read costs the cue.
    """
    segments: list[Segment] = []
    broken = 0
    for times, lines in _blocks(_LINE_BREAKS.split(text)):
        matched = TIMES.fullmatch(times)
        if matched is None:
            broken += 1
            continue
        # Fields may be empty: such a cue clears the screen.
        if said := _said(lines):
            start_s = _seconds(matched.groups()[:4])
            end_s = max(start_s, _seconds(matched.groups()[4:]))
            segments.append(Segment(start_s=start_s, end_s=end_s, text=said))
    return Cues(tuple(segments), broken)


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each line of times with the lines of text that belong to it."""
    arrows = [at for at, line in enumerate(lines) if ARROW in line]
    for at, following in pairwise([*arrows, len(lines)]):
        block = lines[at + 1 : following]
        # A number that is said on the line before the next times is lost: players, too,
        # take it for the next cue's.
        if following < len(lines) and block and block[-1].strip().isdecimal():
            block.pop()
        yield lines[at], block


def _said(lines: list[str]) -> str:
    joined = _STYLES.sub("", " ".join(lines))
    return spoken(joined)


def _seconds(fields: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = (field or "0" for field in fields)
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return round(whole + int(fraction.ljust(3, "0")) / 1000, 3)
