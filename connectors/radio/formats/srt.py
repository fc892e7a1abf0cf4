"""SubRip: numbered cues, a line of times, text (no standard; as players read it). Pure."""

from __future__ import annotations

import re

from collections.abc import Iterator
from itertools import pairwise

from connectors.radio.formats.cues import Cues, spoken
from streams.records import Segment


ARROW = "-->"


def _time(name: str) -> str:
    """Return the pattern of a time, its groups h, m, s and f called after *name*.

    Hours are optional, and without them there may be 99 minutes. Seconds of one digit
    without a fraction are what is left of a line that was cut off.
    """
    colon = "[ ]*:[ ]*"
    return (
        rf"(?:(?P<h{name}>\d{{1,3}}){colon})?"
        rf"(?P<m{name}>(?(h{name})[0-5]?\d|\d{{1,2}})){colon}"
        rf"(?P<s{name}>[0-5]\d|\d(?=[ ]*[,.:]))"
        rf"(?:[ ]*(?(h{name})[,.:]|[,.])[ ]*(?P<f{name}>\d{{1,3}}))?"
    )


#: What follows the times (X1:.. Y2:..) is where the text stands.
TIMES = re.compile(
    rf"[ \t]*{_time('1')}[ \t]*-->[ \t]*{_time('2')}(?:[ \t].*)?", re.ASCII
)
#: A line of times without its arrow: a mistake, or where the file was cut off.
_HALF_TIMES = re.compile(r"[ \t]*\d{1,3}:\d{1,2}[\d:,. \t=>-]*", re.ASCII)
_STYLES = re.compile(r"\{\\[^{}]*\}")
_LINE_BREAKS = re.compile(r"\r\n|\r|\n")


def parse(text: str) -> Cues:
    """Return the cues in *text*.

    A cue runs from its line of times to the next one's number, so that a missing or a
    surplus empty line costs nothing. A line of times that cannot be read costs the cue,
    and so does the end of the file before one.
    """
    segments: list[Segment] = []
    broken = 0
    for times, lines in _blocks(_lines(text)):
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


def _lines(text: str) -> list[str]:
    """Return the lines of *text*; an empty one for the times that a last cue lacks."""
    lines = _LINE_BREAKS.split(text.rstrip())
    return [*lines, ""] if _is_number(lines, len(lines) - 1) else lines


def _blocks(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each line of times with the lines of text that belong to it."""
    starts = [at for at in range(len(lines)) if _begins_cue(lines, at)]
    for at, following in pairwise([*starts, len(lines)]):
        block = lines[at + 1 : following]
        # A number that is said on the line before the next times is lost: players, too,
        # take it for the next cue's.
        if following < len(lines) and block and block[-1].strip().isdecimal():
            block.pop()
        yield lines[at], block


def _begins_cue(lines: list[str], at: int) -> bool:
    """Whether the times of a cue stand, or should stand, in line *at*."""
    if ARROW in lines[at]:
        return True
    if not _is_number(lines, at - 1):
        return False
    is_end = at == len(lines) - 1 and not lines[at]
    return is_end or _HALF_TIMES.fullmatch(lines[at]) is not None


def _is_number(lines: list[str], at: int) -> bool:
    """Whether line *at* is a cue's number: it stands first, or after an empty line."""
    if at < 0 or not lines[at].strip().isdecimal():
        return False
    return at == 0 or not lines[at - 1].strip()


def _said(lines: list[str]) -> str:
    joined = _STYLES.sub("", " ".join(lines))
    return spoken(joined)


def _seconds(fields: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = (field or "0" for field in fields)
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return round(whole + int(fraction.ljust(3, "0")) / 1000, 3)
