"""Text analysis: what a word is, to both indices. Pure.

A text becomes words (:func:`words`); a word becomes its *folded* form, the same for
every language, and its *stem*, by the Snowball algorithm of one language. Elasticsearch
does the same natively: :mod:`mappings.schema` declares analyzers from the tables here,
and the integration tests compare the two over every letter and many words.

The order matters. A stem is taken before accents are folded, because the French and
Spanish algorithms need them ('tuées' and 'tué' share a stem, 'tuees' and 'tue' do not),
and the stem is folded after.
"""

# ruff: noqa: RUF001 - letters that look alike are what this module is about
from __future__ import annotations

import re
import unicodedata

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import Stemmer


#: Primary BCP 47 subtag -> Snowball algorithm, by Snowball's name.
STEMMERS = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "hi": "Hindi",
    "id": "Indonesian",
    "it": "Italian",
    "pt": "Portuguese",
    "ru": "Russian",
    "tr": "Turkish",
}

#: A longer run of letters is cut into words of so many code points.
WORD_MAX = 64

#: Changes whenever the same text may give other words: the embedded index is then
#: built anew. Snowball's release and Unicode's are part of it.
VERSION = f"1 snowball-{Stemmer.version()} unicode-{unicodedata.unidata_version}"

#: Written without spaces between words: each character is a word, a word is a phrase.
_IDEOGRAPHS = (
    (0x3040, 0x309F),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)

#: Marks that writers leave out at will: accents that no letter composes with, Hebrew
#: points, Arabic vowel signs and Quranic marks, tatweel, joiners and direction marks.
_DROPPED = (
    (0x00AD, 0x00AD),
    (0x0300, 0x036F),
    (0x0591, 0x05BD),
    (0x05BF, 0x05BF),
    (0x05C1, 0x05C2),
    (0x05C4, 0x05C5),
    (0x05C7, 0x05C7),
    (0x0610, 0x061A),
    (0x0640, 0x0640),
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x06D6, 0x06DC),
    (0x06DF, 0x06E8),
    (0x06EA, 0x06ED),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x2069),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
)

#: One letter in two dresses, in every language that has it. Modifier apostrophes are
#: letters to Unicode, but Hausa and Ukrainian type them as they type quotation marks.
UNIFIED: dict[str, str] = {
    **{chr(c): "" for first, last in _DROPPED for c in range(first, last + 1)},
    "أ": "ا",  # alef with hamza above
    "إ": "ا",  # alef with hamza below
    "آ": "ا",  # alef with madda
    "ٱ": "ا",  # alef wasla
    "ى": "ي",  # alef maqsura, as Egypt and Sudan write final yeh
    "ی": "ي",  # Farsi yeh
    "ک": "ك",  # keheh
    "ς": "σ",
    "İ": "i",  # its lower case is two code points in Unicode's full mapping
    "ʹ": " ",
    "ʻ": " ",
    "ʼ": " ",
    "ʽ": " ",
    "ˈ": " ",
}

#: Folded forms only: a stem needs the letter as it is.
FOLDED: dict[str, str] = {
    "ة": "ه",  # teh marbuta, often typed as heh
    "Ё": "е",
    "ё": "е",
    "Ά": "α",
    "ά": "α",
    "Έ": "ε",
    "έ": "ε",
    "Ή": "η",
    "ή": "η",
    "Ί": "ι",
    "ί": "ι",
    "Ό": "ο",
    "ό": "ο",
    "Ύ": "υ",
    "ύ": "υ",
    "Ώ": "ω",
    "ώ": "ω",
}

#: Latin letters that Unicode does not decompose, folded as Lucene's asciifolding does.
#: Hausa and Fula ɓ ɗ ƙ ƴ, Bambara ɛ ɔ ɲ ŋ are among them.
_ASCII = {
    "0": "⓿",
    "1": "⓵❶➀➊",
    "10": "⓾❿➉➓",
    "11": "⓫",
    "12": "⓬",
    "13": "⓭",
    "14": "⓮",
    "15": "⓯",
    "16": "⓰",
    "17": "⓱",
    "18": "⓲",
    "19": "⓳",
    "2": "⓶❷➁➋",
    "20": "⓴",
    "3": "⓷❸➂➌",
    "4": "⓸❹➃➍",
    "5": "⓹❺➄➎",
    "6": "⓺❻➅➏",
    "7": "⓻❼➆➐",
    "8": "⓼❽➇➑",
    "9": "⓽❾➈➒",
    "a": "ɐəɚᴀᶏᶕⱥ",
    "aa": "ꜳ",
    "ae": "æǣǽᴁᴂ",
    "ao": "ꜵ",
    "au": "ꜷ",
    "av": "ꜹꜻ",
    "ay": "ꜽ",
    "b": "ƀƃɓʙᴃᵬᶀ",
    "c": "ƈȼɕʗᴄↄꜿ",
    "d": "ðđƌȡɖɗᴅᴆᵭᶁᶑꝺ",
    "db": "ȸ",
    "dz": "ʣʥ",
    "e": "ǝɇɘɛɜɝɞʚᴇᴈᶒᶓᶔⱸⱻ",
    "f": "ƒᵮᶂꜰꝼꟻ",
    "g": "ǥǧɠɡɢʛᵷᵹᶃꝿ",
    "h": "ħɥɦʜʮʯⱨⱶ",
    "hv": "ƕ",
    "i": "ıɨɪᴉᵻᵼᶖꟾ",
    "j": "ȷɉɟʄʝᴊ",
    "k": "ƙʞᴋᶄⱪꝁꝃꝅ",
    "l": "łƚȴɫɬɭʟᴌᶅⱡꝇꝉꞁ",
    "ll": "ỻ",
    "ls": "ʪ",
    "lz": "ʫ",
    "m": "ɯɰɱᴍᵯᶆꟽꟿ",
    "n": "ŋƞȵɲɳɴᴎᵰᶇ",
    "o": "øǿɔɵᴏᴐᴖᴗᶗⱺꝋꝍ",
    "oe": "œɶᴔ",
    "oo": "ꝏ",
    "ou": "ȣᴕ",
    "p": "ƥᴘᵱᵽᶈꝑꝓꝕꟼ",
    "q": "ĸɋʠꝗꝙ",
    "qp": "ȹ",
    "r": "ɍɼɽɾɿʀʁᴙᴚᵲᵳᶉꝛꞃ",
    "s": "ȿʂᵴᶊẜẝꜱꞅ",
    "ss": "ß",
    "t": "ŧƫƭȶʇʈᴛᵵⱦ",
    "tc": "ʨ",
    "th": "þᵺꝧ",
    "ts": "ʦ",
    "tz": "ꜩ",
    "u": "ʉᴜᵾᶙ",
    "ue": "ᵫ",
    "v": "ʋʌᴠᶌⱱⱴꝟ",
    "vy": "ꝡ",
    "w": "ƿʍᴡⱳ",
    "x": "ᶍ",
    "y": "ƴɏʎʏỿ",
    "z": "ƶȝȥɀʐʑᴢᵶᶎⱬꝣ",
}


class Word(NamedTuple):
    """A word of a text, as written: ``text[start:end]``."""

    text: str
    start: int
    end: int


def prepare(text: str) -> str:
    """Return *text* in the normal form (NFKC) in which both indices are given it."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def words(text: str) -> list[str]:
    """Return the words of a prepared *text*, cleaned of marks, otherwise as written."""
    if not text.isascii():
        text = text.translate(_unified())
    return _pattern().findall(text)


def spans(text: str) -> Iterator[Word]:
    """Yield the words of *text* as it was written, with where each one stands."""
    for match in _span_pattern().finditer(text):
        yield Word(match.group(), match.start(), match.end())


def fold(word: str) -> str:
    """Return the folded form of a word of :func:`words`: no case, accent or hook."""
    if word.isascii():
        return word.lower()
    return word.translate(_folding()).lower().translate(_ascii())


@lru_cache(maxsize=1 << 16)
def stem(word: str, language: str) -> str:
    """Return the folded Snowball stem of a word of :func:`words`.

    ``language`` is one of :data:`STEMMERS`.
    """
    root: str = _stemmer(language).stemWord(word.lower())
    return root if root.isascii() else root.translate(_ascii())


def language_of(code: str) -> str:
    """Return the primary subtag of a BCP 47 *code*, in lower case."""
    return code.partition("-")[0].lower()


def folded_words(text: str) -> list[str]:
    """Return the folded forms of the words of any *text*, in order."""
    return [fold(word) for word in words(prepare(text))]


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(STEMMERS[language].lower())


@cache
def _unified() -> dict[int, str]:
    return str.maketrans(UNIFIED)


@cache
def _folding() -> dict[int, str]:
    return str.maketrans(FOLDED)


@cache
def _ascii() -> dict[int, str]:
    """Return what Lucene's asciifolding does to lower-case letters."""
    table = {ord(one): to for to, letters in _ASCII.items() for one in letters}
    for code in range(0x80, 0x2100):
        letter = chr(code)
        base = "".join(
            part
            for part in unicodedata.normalize("NFD", letter)
            if unicodedata.category(part) != "Mn"
        )
        if base.isascii() and base and code not in table:
            table[code] = base
    return table


def _ranges(bounds: Sequence[tuple[int, int]]) -> str:
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in bounds)


@cache
def _word_class() -> str:
    """Return letters, marks and numbers but ideographs as a class for :mod:`re`."""
    apart = {c for first, last in _IDEOGRAPHS for c in range(first, last + 1)}
    bounds: list[tuple[int, int]] = []
    for code in range(0x20000):  # above lie ideographs, and selectors of their form
        if unicodedata.category(chr(code))[0] not in "LMN" or code in apart:
            continue
        if bounds and bounds[-1][1] == code - 1:
            bounds[-1] = (bounds[-1][0], code)
        else:
            bounds.append((code, code))
    return _ranges(bounds)


@cache
def _pattern() -> re.Pattern[str]:
    one = _ranges(_IDEOGRAPHS)
    return re.compile(f"[{_word_class()}]{{1,{WORD_MAX}}}|[{one}]")


@cache
def _span_pattern() -> re.Pattern[str]:
    """Return the pattern of words as written, with the marks that are dropped."""
    one = _ranges(_IDEOGRAPHS)
    return re.compile(f"[{_word_class()}{_ranges(_DROPPED)}]+|[{one}]")
