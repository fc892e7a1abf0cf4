"""A programme -> items: cut at ends of sentences, no word lost or doubled. Pure.

An hour of radio is not one item. Pieces have about as many words as asked for; among the
places where a piece may end, the best is the end of a sentence at a pause or a change of
speaker, then the end of a sentence, then a change of segment, then just a word.
"""

from __future__ import annotations

import re

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from streams.records import Segment


#: A piece has between so many and so many times the words asked for.
SHORTEST = 0.5
LONGEST = 1.5
#: Silence between segments that separates subjects.
PAUSE_S = 2.0

#: Latin, Arabic, Devanagari, Ethiopic and CJK full stops, and what closes after them.
_SENTENCE_END = re.compile(r"[.!?…؟۔।።。！？]+[\"'”’»)\]]*\Z")  # noqa: RUF001 - that is the point
#: "M.", "Dr.", "St.", initials and "U.S." do not end a sentence.
_ABBREVIATION = re.compile(
    r"\W*(?:\w{1,2}|(?:\w\.)+\w)\.\W*\Z|\W*(?:Gen|Col|Maj|Mme|Mrs|Gén|Lt|Cdt)\.\Z"
)


class Piece(NamedTuple):
    """What becomes one item."""

    text: str
    segments: tuple[Segment, ...]


class _Word(NamedTuple):
    text: str
    #: Which segment it is of.
    segment: int


def cut(segments: Sequence[Segment], words: int) -> list[Piece]:
    """Return *segments* in pieces of about *words* words.

    Together the pieces have every word once, in order. A segment that is cut gets its
    time in proportion to its words.
    """
    assert words > 0, words
    stream = [
        _Word(text, at)
        for at, segment in enumerate(segments)
        for text in segment.text.split()
    ]
    pieces: list[Piece] = []
    totals, done = Counter(word.segment for word in stream), Counter[int]()
    start = 0
    while start < len(stream):
        end = _end(stream, segments, start, words)
        parts = tuple(_parts(stream[start:end], segments, totals, done))
        pieces.append(Piece(" ".join(part.text for part in parts), parts))
        start = end
    return pieces


def _end(
    stream: Sequence[_Word], segments: Sequence[Segment], start: int, words: int
) -> int:
    """Return where the piece that begins at *start* ends."""
    longest = start + max(1, round(LONGEST * words))
    if len(stream) <= longest:
        return len(stream)
    shortest = start + max(1, round(SHORTEST * words))
    aim = start + words
    # No crumbs: what is left after the last cut is a piece of a fair size, too.
    longest = min(longest, max(shortest, len(stream) - (shortest - start)))
    return max(
        range(shortest, longest + 1),
        key=lambda end: (_quality(stream, segments, end), -abs(end - aim)),
    )


def _quality(stream: Sequence[_Word], segments: Sequence[Segment], end: int) -> int:
    """Return how good it is to cut before the word at *end*: 3 is best."""
    last, following = stream[end - 1], stream[end]
    sentence = _ends_sentence(last.text, following.text)
    if last.segment == following.segment:
        return 2 if sentence else 0
    before, after = segments[last.segment], segments[following.segment]
    rest = after.start_s - before.end_s >= PAUSE_S or before.speaker != after.speaker
    if sentence:
        return 3 if rest else 2
    return 1


def _ends_sentence(word: str, following: str) -> bool:
    if not _SENTENCE_END.search(word) or following[:1].islower():
        return False
    return not _ABBREVIATION.match(word)


def _parts(
    words: Sequence[_Word],
    segments: Sequence[Segment],
    totals: Mapping[int, int],
    done: Counter[int],
) -> Iterator[Segment]:
    """Yield the segments of *words*; *done* counts the words of each that are past."""
    for at, group in groupby(words, key=lambda word: word.segment):
        texts = [word.text for word in group]
        segment, total = segments[at], totals[at]
        first = done[at]
        done[at] = last = first + len(texts)
        if (first, last) == (0, total):
            yield segment
            continue
        length_s = segment.end_s - segment.start_s
        yield msgspec.structs.replace(
            segment,
            start_s=round(segment.start_s + length_s * first / total, 3),
            end_s=round(segment.start_s + length_s * last / total, 3),
            text=" ".join(texts),
        )
