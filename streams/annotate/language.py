"""What language a text is in: langdetect's answer, unless the text contradicts it.

langdetect knows 55 languages, always answers, and is sure of itself: of a text in a
language that it lacks it says Swahili or Somali with p > 0.99. So its answer counts
only when the script is one that the language is written in, and when enough of the
words are function words of that language (``function_words.tsv``, our own lists).
Hausa, which langdetect lacks, is told by the same lists. This is a first baseline.
"""

from __future__ import annotations

import unicodedata

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from streams.annotate.concepts import LANGUAGES
from streams.annotate.words import fold, sentences
from streams.records import Language


VERSION = "langdetect-1.0.9+guard-2"
UNKNOWN = "und"

#: Characters that are read; more does not make the answer better.
READ_MAX = 700
#: Fewer letters than this say little: the source's own word helps.
SHORT_LETTERS = 60
#: Fewer than this say nothing.
LETTERS_MIN = 12
#: Below this langdetect itself is unsure.
PROBABILITY_MIN = 0.75
#: Share of function words below which the answer is not believed ...
SUPPORT_MIN = 0.12
#: ... and in languages that say with endings what others say with words.
SUPPORT_MIN_OF = (
    dict.fromkeys(("ar", "et", "fi", "hu", "lt", "lv", "tr"), 0.05)
    | dict.fromkeys(("bg", "mk", "ru", "uk"), 0.07)
    | {"sw": 0.16, "tl": 0.18, "id": 0.14}
)
#: Under so many letters langdetect takes English for Afrikaans, Danish or Norwegian, and
#: Spanish for Portuguese or Catalan, sure of itself: an answer that nobody reads here
#: must have more function words than each language that is read, and than the hint's.
RIVAL_LETTERS = 140
#: In such a text these words alone tell a language that is read, if it has so large a
#: share of them, leads every other language by so much, and has so many of them.
WORDS_SUPPORT_MIN = 0.25
WORDS_LEAD = 0.1
WORDS_MIN = 3
WORDS_PROBABILITY = 0.8
#: Arabic writes its article, and what stands before it, on the word.
ARABIC_ARTICLES = ("ال", "وال", "بال", "لل", "فال", "كال")
#: Hausa shares short words with its neighbours: it takes more of them, some its own.
HAUSA_SUPPORT_MIN = 0.2
HAUSA_LEAD = 0.08
HAUSA_OWN_MIN = 2
#: Letters of African alphabets that no language of langdetect is written with.
FOREIGN_LETTERS = frozenset("ɓɗƙƴŋɲɛɔǝəɩʋɖƒɣƁƊƘƳŊƝƐƆƎƏƖƲƉƑƔ")
FOREIGN_MIN = 2
_NEIGHBOURS_OF_HAUSA = ("en", "es", "fr", "id", "it", "pcm", "pt", "so", "sw")
#: Nigerian Pidgin: langdetect calls it English, and most of its words are.
PIDGIN_SHARE_MAX = 0.04
#: Confidence of an answer that only the source's own word supports.
HINT_CONFIDENCE = 0.5
#: Accuracy of langdetect-like answers by letters, measured on news (highest first).
CEILINGS = ((90, 0.98), (60, 0.96), (45, 0.94), (30, 0.9), (0, 0.8))

_SCRIPTS = {
    "LATIN": "Latn", "ARABIC": "Arab", "CYRILLIC": "Cyrl", "GREEK": "Grek",
    "HEBREW": "Hebr", "DEVANAGARI": "Deva", "BENGALI": "Beng", "ETHIOPIC": "Ethi",
    "TIFINAGH": "Tfng", "NKO": "Nkoo", "ADLAM": "Adlm", "CJK": "Hani",
    "HIRAGANA": "Jpan", "KATAKANA": "Jpan", "HANGUL": "Kore", "THAI": "Thai",
    "TAMIL": "Taml", "TELUGU": "Telu", "GUJARATI": "Gujr", "GURMUKHI": "Guru",
    "KANNADA": "Knda", "MALAYALAM": "Mlym", "ARMENIAN": "Armn", "GEORGIAN": "Geor",
    "KHMER": "Khmr", "LAO": "Laoo", "MYANMAR": "Mymr", "SINHALA": "Sinh",
    "TIBETAN": "Tibt", "VAI": "Vaii",
}  # fmt: skip
_WRITTEN_IN = (
    dict.fromkeys(("ar", "fa", "ur"), "Arab")
    | dict.fromkeys(("bg", "mk", "ru", "uk"), "Cyrl")
    | dict.fromkeys(("hi", "mr", "ne"), "Deva")
    | {"bn": "Beng", "el": "Grek", "gu": "Gujr", "he": "Hebr", "ja": "Jpan"}
    | {"kn": "Knda", "ko": "Kore", "ml": "Mlym", "pa": "Guru", "ta": "Taml"}
    | {"te": "Telu", "th": "Thai", "zh-cn": "Hani", "zh-tw": "Hani"}
)
_BCP47 = {"zh-cn": "zh-Hans", "zh-tw": "zh-Hant"}


class _Guess(NamedTuple):
    code: str
    probability: float


def detect(text: str, hint: str = "") -> Language:
    """Return the language of *text*; ``und`` when it is not known.

    ``hint`` (BCP 47) is what the source says of itself. Where nothing else is believed
    it decides texts under :data:`SHORT_LETTERS` letters, and under
    :data:`RIVAL_LETTERS` those that have its function words, if it is written in their
    script.
    """
    read = text[:READ_MAX]
    letters, script = _letters(read)
    if letters < LETTERS_MIN:
        return _from_hint(hint, script) if letters else Language()
    words = [word.form for sentence in sentences(read) for word in sentence]
    support = _support(words, script)
    guess = _hausa(read, words, support, script)
    if guess is None and sum(map(FOREIGN_LETTERS.__contains__, read)) < FOREIGN_MIN:
        guess = _believed(_guess(read), support, script)
        if guess is not None and letters < RIVAL_LETTERS:
            guess = _unrivalled(guess, support, _primary(hint), len(words))
    if guess is None:
        spoken = letters < RIVAL_LETTERS and _leads(_primary(hint), support)
        if spoken or letters < SHORT_LETTERS:
            return _from_hint(hint, script)
        return Language(script=script, detector=VERSION)
    ceiling = next(most for least, most in CEILINGS if letters >= least)
    return Language(
        code=_BCP47.get(guess.code, guess.code),
        confidence=round(min(guess.probability, ceiling), 2),
        script=script,
        detector=VERSION,
    )


def _primary(hint: str) -> str:
    return hint.replace("_", "-").split("-")[0].lower()


def _from_hint(hint: str, script: str) -> Language:
    code = _primary(hint)
    if not code or _script_of_language(code) != script:
        return Language(script=script, detector=VERSION)
    return Language(
        code=code, confidence=HINT_CONFIDENCE, script=script, detector="source"
    )


def _believed(
    guess: _Guess | None, support: Mapping[str, float], script: str
) -> _Guess | None:
    if guess is None or guess.probability < PROBABILITY_MIN:
        return None
    written_in = _script_of_language(guess.code)
    # Japanese and Chinese share their letters; kana decides in langdetect itself.
    if written_in != script and {written_in, script} != {"Jpan", "Hani"}:
        return None
    if guess.code == "en" and support["pcm"] > PIDGIN_SHARE_MAX:
        return None
    if guess.code not in support:
        return guess
    needed = SUPPORT_MIN_OF.get(guess.code, SUPPORT_MIN)
    return guess if support[guess.code] >= needed else None


def _unrivalled(
    guess: _Guess, support: Mapping[str, float], hint: str, words: int
) -> _Guess | None:
    """Return *guess*, unless its words are as well those of a likelier language."""
    if guess.code in LANGUAGES or guess.code == hint or guess.code not in support:
        return guess
    rivals = max(support.get(code, 0.0) for code in (*LANGUAGES, hint))
    return guess if support[guess.code] > rivals else _by_words(support, words)


def _by_words(support: Mapping[str, float], words: int) -> _Guess | None:
    """Return the language that is read and that the function words tell alone."""
    second, first = sorted(support, key=lambda code: support[code])[-2:]
    enough = support[first] >= WORDS_SUPPORT_MIN and support[first] * words >= WORDS_MIN
    leads = support[first] - support[second] >= WORDS_LEAD
    # Hausa is told, or not, before langdetect is asked.
    if first not in LANGUAGES or first == "ha" or not enough or not leads:
        return None
    return _Guess(first, WORDS_PROBABILITY)


def _leads(code: str, support: Mapping[str, float]) -> bool:
    """Whether no language has more function words in the text than *code* has."""
    return support.get(code, 0.0) >= max(SUPPORT_MIN, *support.values())


def _hausa(
    text: str, words: Sequence[str], support: Mapping[str, float], script: str
) -> _Guess | None:
    """Return Hausa if the function words say so, and no other language's do."""
    if script != "Latn":
        return None
    hooked = any(letter in text for letter in "ƙƘ")
    if support["ha"] < HAUSA_SUPPORT_MIN * (0.5 if hooked else 1):
        return None
    others = max(support[code] for code in _NEIGHBOURS_OF_HAUSA)
    if support["ha"] < others + HAUSA_LEAD:
        return None
    own = _own_words("ha").intersection(words)
    if len(own) < HAUSA_OWN_MIN and not hooked:
        return None
    return _Guess("ha", 0.95 if len(own) > HAUSA_OWN_MIN or hooked else 0.85)


def _support(words: Sequence[str], script: str) -> dict[str, float]:
    """Return the share of *words* that are function words, by language."""
    lists = _function_words()
    counts = dict.fromkeys(lists, 0)
    if script == "Arab":
        counts["ar"] = sum(word.startswith(ARABIC_ARTICLES) for word in words)
    languages_of = _languages_of()
    for word in words:
        for code in languages_of.get(word, ()):
            counts[code] += 1
    return {code: count / max(1, len(words)) for code, count in counts.items()}


def _guess(text: str) -> _Guess | None:
    detect_languages, no_features = _engine()
    try:
        best = detect_languages(text)[0]
    except no_features:
        return None
    return _Guess(str(best.lang), float(best.prob))


@cache
def _engine() -> tuple[Callable[[str], Sequence[Any]], type[Exception]]:
    """Return langdetect, from its port to Rust where there is one: same answers."""
    try:
        import langdetect_rs as engine  # noqa: PLC0415 - chosen by what is installed
    except ImportError:
        import langdetect as engine  # noqa: PLC0415 - idem
    # It samples n-grams at random: seeded, the same text has the same answer.
    engine.DetectorFactory.seed = 0
    return engine.detect_langs, engine.LangDetectException


@cache
def _function_words() -> dict[str, frozenset[str]]:
    table = files("streams.annotate").joinpath("function_words.tsv").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines())
    return {code: frozenset(map(fold, words.split())) for code, words in rows}


@cache
def _languages_of() -> dict[str, tuple[str, ...]]:
    lists = _function_words()
    every = sorted(frozenset().union(*lists.values()))
    return {word: tuple(c for c in lists if word in lists[c]) for word in every}


@cache
def _own_words(code: str) -> frozenset[str]:
    """Return the function words of *code* that no other list has."""
    return frozenset(w for w, codes in _languages_of().items() if codes == (code,))


def _letters(text: str) -> tuple[int, str]:
    """Return how many letters *text* has, and the script of most of them."""
    scripts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if script := _script(character):
            scripts[script] += count
    if not scripts:
        return 0, ""
    # Kana and ideographs are one script together.
    if scripts["Jpan"] and scripts["Hani"]:
        scripts["Jpan"] += scripts.pop("Hani")
    return scripts.total(), max(scripts, key=lambda name: (scripts[name], name))


@lru_cache(maxsize=20_000)
def _script(character: str) -> str:
    if not character.isalpha():
        return ""
    return _SCRIPTS.get(unicodedata.name(character, "").partition(" ")[0], "Zyyy")


def _script_of_language(code: str) -> str:
    return _WRITTEN_IN.get(code, "Ethi" if code in {"am", "ti"} else "Latn")
