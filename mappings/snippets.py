"""Which words of a result are what was searched for: the same for both indices. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from mappings import analysis
from mappings.fields import Passage
from mappings.query import Prefix, Query


#: Around each hit; private-use characters, which are taken out of what sources wrote.
START, END = "\ue000", "\ue001"

SNIPPETS_MAX = 3
#: Code points kept before the first hit of a snippet, and in all.
BEFORE_MAX = 60
SNIPPET_MAX = 240


class _Marked(NamedTuple):
    """Stretches [start, end) of a passage that were searched for."""

    text: str
    hits: list[tuple[int, int]]


def snippets(query: Query, passages: Iterable[Passage]) -> tuple[str, ...]:
    """Return up to three stretches of *passages* with the words that *query* wants.

    When nothing of it is in the text (a query of fields), how the text begins.
    """
    marked = [_mark(query, passage) for passage in passages]
    pieces = (one for passage in marked if passage.hits for one in _cut(passage))
    found = tuple(islice(pieces, SNIPPETS_MAX))
    return found or tuple(piece for passage in marked[-1:] for piece in _cut(passage))


def _mark(query: Query, passage: Passage) -> _Marked:
    text = passage.text.replace(START, " ").replace(END, " ")
    pieces = analysis.pieces(text)
    hits: set[int] = set()
    for language in ("", passage.language) if passage.language else ("",):
        words, piece_of = _flat(analysis.forms(pieces, language))
        for wanted in query.wanted():
            if isinstance(wanted, Prefix):
                found = [] if language else _begun(words, wanted.text)
            else:
                found = _phrased(words, _analysed(wanted.text, language))
            hits.update(piece_of[at] for at in found)
    if not hits:
        return _Marked(text, [])
    spans = enumerate(analysis.spans(text))
    return _Marked(text, [span for at, span in spans if at in hits])


def _analysed(text: str, language: str) -> list[str]:
    return analysis.stems(text, language) if language else analysis.folded(text)


def _flat(forms: list[str]) -> tuple[list[str], Sequence[int]]:
    """Return all words, and for each the number of the piece that it stands in."""
    if all(forms) and not any(" " in form for form in forms):
        return forms, range(len(forms))
    placed = [(word, at) for at, form in enumerate(forms) for word in form.split()]
    return [word for word, _ in placed], [at for _, at in placed]


def _begun(words: list[str], prefix: str) -> list[int]:
    return [at for at, word in enumerate(words) if word.startswith(prefix)]


def _phrased(words: list[str], sought: list[str]) -> list[int]:
    """Return where the words stand of each place at which *sought* is said."""
    first, length = sought[0], len(sought)
    if first not in words:
        return []
    found: list[int] = []
    past = 0  # places overlap where a phrase repeats itself
    for at, word in enumerate(words):
        if word == first and words[at : at + length] == sought:
            found += range(max(at, past), at + length)
            past = at + length
    return found


def _cut(passage: _Marked) -> Iterator[str]:
    """Yield windows of the passage, each around a hit and the hits that follow it."""
    text, hits = passage
    start = 0
    while True:
        first = next((hit[0] for hit in hits if hit[0] >= start), None)
        if hits and first is None:
            return
        begin = max(start, (first or 0) - BEFORE_MAX)
        end = min(len(text), begin + SNIPPET_MAX)
        begin, end = _whole_words(text, begin, end)
        inside = [hit for hit in hits if begin <= hit[0] and hit[1] <= end]
        yield _dressed(text, begin, end, inside)
        if not hits or not inside:
            return
        start = end


def _whole_words(text: str, begin: int, end: int) -> tuple[int, int]:
    """Return the bounds moved inwards to white space, if there is some near."""
    near = 20
    if begin > 0 and (space := text.find(" ", begin, begin + near)) >= 0:
        begin = space + 1
    if end < len(text) and (space := text.rfind(" ", end - near, end)) >= 0:
        end = space
    return begin, end


def _dressed(text: str, begin: int, end: int, hits: list[tuple[int, int]]) -> str:
    pieces, at = ["…" if begin > 0 else ""], begin
    for start, stop in hits:
        pieces += [text[at:start], START, text[start:stop], END]
        at = stop
    pieces += [text[at:end], "…" if end < len(text) else ""]
    return " ".join("".join(pieces).split())
