"""Is this file a correction of that one, or another programme under the same name? Pure.

Some stations overwrite ``latest.srt`` every hour. A correction keeps most of its text; a
new programme shares next to none. A bottom-k sketch of word triples (Broder 1997) tells
the two apart in half a kilobyte.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.records import RawItem
from streams.text import fingerprint, normalize


SIZE = 48
#: Hex digits of each hash.
DIGITS = 8
#: Below, it is another programme. Bulletins of one station share 1 to 5 % of their
#: triples (names, greetings); a correction keeps far more than half.
SAME_MIN = 0.2
TRIPLE = 3


def sketch(items: Sequence[RawItem]) -> str:
    """Return the sketch of the text of *items*."""
    words = normalize(" ".join(item.text for item in items)).split()
    triples = {
        fingerprint(*words[at : at + TRIPLE])[:DIGITS]
        for at in range(max(1, len(words) - TRIPLE + 1))
    }
    return "".join(sorted(triples)[:SIZE])


def same_programme(one: str, other: str) -> bool:
    """Return whether two sketches are of one programme."""
    left, right = _hashes(one), _hashes(other)
    union = sorted(left | right)[:SIZE]
    shared = sum(each in left and each in right for each in union)
    return shared >= SAME_MIN * len(union)


def _hashes(packed: str) -> set[str]:
    return {packed[at : at + DIGITS] for at in range(0, len(packed), DIGITS)}
