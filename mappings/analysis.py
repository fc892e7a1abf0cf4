"""Text analysis: what a word is, to both indices. Pure.

A text becomes words; a word becomes its *folded* form, the same for every language,
and its *stem*, by the Snowball algorithm of one language. Elasticsearch
does the same natively: :mod:`mappings.schema` declares analyzers from the tables here,
and the integration tests compare the two over every letter and many words.

The order matters. A stem is taken before accents are folded, because the French and
Spanish algorithms need them ('tuées' and 'tué' share a stem, 'tuees' and 'tue' do not),
and the stem is folded after.
"""

# ruff: noqa: RUF001 - letters that look alike are what this module is about
from __future__ import annotations

import re
import threading
import unicodedata

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

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
    "Σ": "σ",  # its lower case depends on what follows, in Unicode's full mapping
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


def prepare(text: str) -> str:
    """Return *text* in the normal form (NFKC) in which Elasticsearch is given it."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


def folded(text: str) -> list[str]:
    """Return the folded forms of the words of *text*, in order."""
    return _joined(pieces(prepare(text)), "").split()


def stems(text: str, language: str) -> list[str]:
    """Return the folded stems of the words of *text*, in order.

    ``language`` is one of :data:`STEMMERS`.
    """
    return _joined(pieces(prepare(text)), language).split()


def both(text: str, language: str) -> tuple[str, str]:
    """Return :func:`folded` and :func:`stems`, each with one space between words."""
    found = pieces(prepare(text))
    return _joined(found, ""), _joined(found, language)


def pieces(text: str) -> list[str]:
    """Return the stretches of *text*, as written, that each hold a word (or several)."""
    found: list[str] = _piece_pattern().findall(text)
    return found


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) in *text* of each of its :func:`pieces`."""
    return (match.span() for match in _piece_pattern().finditer(text))


def forms(found: Sequence[str], language: str = "") -> list[str]:
    """Return the words of each of *found*, which :func:`pieces` returned.

    Stems of *language*, or folded (''); several have spaces between, none is ''.
    """
    known = _known(language)
    return [known[prepare(piece)] for piece in found]


def language_of(code: str) -> str:
    """Return the primary subtag of a BCP 47 *code*, in lower case."""
    return code.partition("-")[0].lower()


def _joined(found: Iterable[str], language: str) -> str:
    text = " ".join(map(_known(language).__getitem__, found))
    # A piece of nothing but marks has no form, and leaves its spaces.
    if "  " in text or text[:1] == " " or text[-1:] == " ":
        return " ".join(text.split())
    return text


class _Known(dict[str, str]):
    """Piece -> its words' forms with spaces between, found out once a thread.

    News repeat their words: nearly all of the analysis is this look-up.
    """

    _COUNT_MAX = 200_000
    _LENGTH_MAX = WORD_MAX

    def __init__(self, form: Callable[[list[str]], list[str]]) -> None:
        super().__init__()
        self._form = form

    def __missing__(self, piece: str) -> str:
        words = _pattern().findall(piece.translate(_unified()))
        forms = " ".join(self._form(words))
        if len(piece) <= self._LENGTH_MAX:
            if len(self) >= self._COUNT_MAX:
                self.clear()
            self[piece] = forms
        return forms


#: Stemmers are not to be shared between threads.
_OF_THREAD = threading.local()


def _known(language: str) -> _Known:
    """Return this thread's forms: stems of *language*, or folded ('')."""
    known: _Known | None = getattr(_OF_THREAD, f"of_{language}", None)
    if known is None:
        known = _Known(_stemming(language) if language else _folding)
        setattr(_OF_THREAD, f"of_{language}", known)
    return known


def _folding(words: list[str]) -> list[str]:
    return [_ascii_folded(word.translate(_folds()).lower()) for word in words]


def _stemming(language: str) -> Callable[[list[str]], list[str]]:
    stemmer = Stemmer.Stemmer(STEMMERS[language].lower(), maxCacheSize=0)

    def stemming(words: list[str]) -> list[str]:
        roots = stemmer.stemWords([word.lower() for word in words])
        return [_ascii_folded(root) for root in roots]

    return stemming


def _ascii_folded(word: str) -> str:
    return word if word.isascii() else word.translate(_ascii())


@cache
def _unified() -> dict[int, str]:
    return str.maketrans(UNIFIED)


@cache
def _folds() -> dict[int, str]:
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


def _ranges(bounds: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in bounds)


def _word_class(first: int, last: int) -> str:
    """Return letters, marks and numbers but ideographs as a class for :mod:`re`."""
    apart = {c for start, end in _IDEOGRAPHS for c in range(start, end + 1)}
    bounds: list[tuple[int, int]] = []
    for code in range(first, last + 1):
        if unicodedata.category(chr(code))[0] not in "LMN" or code in apart:
            continue
        if bounds and bounds[-1][1] == code - 1:
            bounds[-1] = (bounds[-1][0], code)
        else:
            bounds.append((code, code))
    return _ranges(bounds)


#: Of the Basic Multilingual Plane, where a class of :mod:`re` is a bit map and ten times
#: as fast; the others, such as Adlam for Fula, make words of their own. Above the second
#: plane lie ideographs alone, and variation selectors.
_PLANES = ((0, 0xFFFF), (0x10000, 0x1FFFF))


@cache
def _classes() -> tuple[str, str, str]:
    """Return ideographs, and the letters of the two planes."""
    basic, other = (_word_class(first, last) for first, last in _PLANES)
    return _ranges(_IDEOGRAPHS), basic, other


def java_pattern() -> str:
    """Return the pattern of words for Elasticsearch, whose classes have names."""
    one = "".join(f"\\x{{{a:X}}}-\\x{{{b:X}}}" for a, b in _IDEOGRAPHS)
    basic, other = (
        f"[\\p{{L}}\\p{{M}}\\p{{N}}&&[\\x{{{a:X}}}-\\x{{{b:X}}}]&&[^{one}]]{{1,{WORD_MAX}}}"
        for a, b in _PLANES
    )
    return f"{basic}|[{one}]|{other}"


@cache
def _pattern() -> re.Pattern[str]:
    one, basic, other = _classes()
    return re.compile(
        f"[{basic}]{{1,{WORD_MAX}}}|[{one}]"
        f"|(?=[{_ranges(_PLANES[1:])}])[{other}]{{1,{WORD_MAX}}}"
    )


@cache
def _piece_pattern() -> re.Pattern[str]:
    """Return the pattern of words with all that :data:`UNIFIED` takes out of them."""
    one, basic, other = _classes()
    out = _ranges(_DROPPED)
    above = _ranges(_PLANES[1:])
    return re.compile(f"[{basic}{out}]+|[{one}]|(?=[{above}])[{other}{out}]+")
