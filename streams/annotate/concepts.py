"""The lexicon files, read: from the words of a sentence to the concepts in it."""

from __future__ import annotations

import tomllib

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple, cast, get_args

from streams.annotate.words import Word, fold
from streams.records import IncidentClass


#: Languages that have a lexicon, by primary BCP 47 subtag.
LANGUAGES = ("ar", "en", "es", "fr", "ha")

_FOLDER = files("streams.annotate").joinpath("lexicon")
#: An Arabic word is looked up without these before it, if so many letters are left.
_ARABIC_PREFIXES = (("و", "ف"), ("ب", "ل", "ك"), ("ال",))
_ARABIC_ROOT_MIN = 3


class Mention(NamedTuple):
    """Words ``[start, end)`` of a sentence speak of a concept."""

    concept: str
    start: int
    end: int


class Rule(NamedTuple):
    """Evidence of ``weight`` for ``label`` where all of ``concepts`` stand together."""

    label: IncidentClass
    weight: float
    concepts: tuple[str, ...]


#: The words that follow the first one of a phrase, and what the phrase means.
_Phrases = Sequence[tuple[tuple[str, ...], str]]


class Lexicon:
    """What the words of one language mean, or of several together."""

    def __init__(self, concepts: Sequence[Mapping[str, str]]) -> None:
        self._words: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        self._phrases: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for table in concepts:
            for concept, terms in table.items():
                for term in terms.split():
                    self._add(concept, tuple(map(_entry, term.split("_"))))
        for rests in self._phrases.values():
            rests.sort(key=lambda phrase: -len(phrase[0]))
        self._meaning = lru_cache(maxsize=100_000)(self._find)

    def _add(self, concept: str, term: tuple[str, ...]) -> None:
        first, *rest = term
        if rest:
            self._phrases.setdefault(first, []).append((tuple(rest), concept))
        elif first.endswith("*"):
            self._stems.setdefault(first[:-1], concept)
        else:
            self._words.setdefault(first, concept)

    def read(self, sentence: Sequence[Word]) -> Iterator[Mention]:
        """Yield what *sentence* mentions; of two readings of a word, the longer."""
        after = 0
        for at, word in enumerate(sentence):
            if at < after:
                continue
            phrases, concept = self._meaning(word.form)
            if phrases and (mention := _phrase(phrases, sentence, at)):
                after = mention.end
                yield mention
            elif concept:
                yield Mention(concept, at, at + 1)

    def _find(self, word: str) -> tuple[_Phrases, str]:
        """Return the phrases that *word* may begin, and what it means alone."""
        forms = _forms(word)
        phrases = [one for form in forms for one in self._phrases.get(form, ())]
        for form in forms:
            if concept := self._words.get(form):
                return phrases, concept
        for form in forms:
            for length in range(len(form), 1, -1):
                if concept := self._stems.get(form[:length]):
                    return phrases, concept
        return phrases, ""


def _phrase(phrases: _Phrases, sentence: Sequence[Word], at: int) -> Mention | None:
    for rest, concept in phrases:
        end = at + 1 + len(rest)
        forms = [word.form for word in sentence[at + 1 : end]]
        if len(forms) == len(rest) and all(map(_is, rest, forms)):
            return Mention(concept, at, end)
    return None


@cache
def lexicon(language: str) -> Lexicon:
    """Return the lexicon of *language*; for ``und`` all of them as one."""
    names = LANGUAGES if language == "und" else (language,)
    tables = [
        tomllib.loads(_FOLDER.joinpath(f"{name}.toml").read_text("utf-8"))
        for name in names
    ]
    return Lexicon(tables)


@cache
def rules() -> tuple[Rule, ...]:
    """Return the rules that are the same for every language."""
    found = []
    for line in _FOLDER.joinpath("rules.tsv").read_text("utf-8").splitlines():
        label, weight, concepts = line.split("\t")
        assert label in get_args(IncidentClass), label
        found.append(
            Rule(cast(IncidentClass, label), float(weight), tuple(concepts.split()))
        )
    return tuple(found)


def _entry(part: str) -> str:
    form = fold(part).strip("'")
    bare = form.removeprefix("ال")
    return bare if len(bare) >= _ARABIC_ROOT_MIN else form


def _is(part: str, word: str) -> bool:
    if part.endswith("*"):
        return any(form.startswith(part[:-1]) for form in _forms(word))
    return part in _forms(word)


@lru_cache(maxsize=100_000)
def _forms(word: str) -> tuple[str, ...]:
    """Return *word*, and what is left of it without each of its Arabic prefixes."""
    if not "\u0600" <= word[0] <= "\u06ff":
        return (word,)
    forms = [word]
    for prefixes in _ARABIC_PREFIXES:
        for form in tuple(forms):
            for prefix in prefixes:
                rest = form.removeprefix(prefix)
                if rest != form and len(rest) >= _ARABIC_ROOT_MIN:
                    forms.append(rest)
        # لل is ل and ال written together.
    if word.startswith("لل") and len(word) > _ARABIC_ROOT_MIN + 1:
        forms.append(word[2:])
    return tuple(dict.fromkeys(forms))
