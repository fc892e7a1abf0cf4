"""Words of a text, folded so that spellings meet, each with where it stands."""

# ruff: noqa: RUF001 - this is where look-alike letters are told apart

from __future__ import annotations

import re
import unicodedata

from functools import lru_cache
from typing import NamedTuple


class Word(NamedTuple):
    """One word: its folded form, and [start, end) of the original in code points."""

    form: str
    start: int
    end: int


_WORD_OR_END = re.compile(
    r"(?P<word>[^\W_]+(?:[-'’ʼ\u0640]?[\w\u0300-\u036f\u064b-\u065f\u0670]+)*)"
    r"|(?P<end>[.!?؟…।]+(?=[\s\"'»”)]|$)|\n\s*\n)"
)
#: What has no decomposition, and Arabic letters that writers use for one another.
_FOLDED = str.maketrans(
    {
        "ɓ": "b", "ɗ": "d", "ƙ": "k", "ƴ": "y", "ø": "o", "đ": "d", "ł": "l",
        "ı": "i", "œ": "oe", "æ": "ae", "’": "'", "ʼ": "'", "ٱ": "ا", "ى": "ي",
        "ة": "ه", "\u0640": "",
    }
)  # fmt: skip
#: French words that lose their vowel stand before the word that is meant.
_ELIDED = re.compile(r"(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu)'(?=\w{2})")


@lru_cache(maxsize=100_000)
def fold(word: str) -> str:
    """Return *word* without case, accents, vowel points and hooks."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _ELIDED.sub("", plain.translate(_FOLDED), count=1)


def sentences(text: str) -> list[list[Word]]:
    """Return the words of *text*, sentence by sentence; empty sentences are left out."""
    sentence: list[Word] = []
    found = [sentence]
    for match in _WORD_OR_END.finditer(text):
        if match.lastgroup == "end":
            if sentence:
                sentence = []
                found.append(sentence)
        elif form := fold(match.group()):
            sentence.append(Word(form, *match.span()))
    return found if sentence else found[:-1]
