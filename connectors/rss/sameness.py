# ruff: noqa: RUF001 - words of other scripts are meant
"""What of an entry counts when two of its versions are compared. Pure.

A page is dressed anew at each request: counters, advertisements, links to other stories,
tokens that expire. A version that differs in these alone is no edit.
"""

from __future__ import annotations

import re
import unicodedata

from collections.abc import Iterable
from urllib.parse import unquote, urlsplit, urlunsplit

from connectors.urls import SECRET, canonical
from streams.records import Enclosure
from streams.text import normalize


#: Query parameters that say until when or for whom an address is good, or how large an
#: image is; with :data:`~connectors.urls.SECRET`.
PASSING = re.compile(
    r"""(?: x-(?:amz|goog|ms)-[\w-]+ | expir(?:es|y|ation)\w* | exp | e | ts | t | st | se | sp | sv | sr
      | policy | key-pair-id | hash | hmac | hdn[et]s\w* | nonce | cb | cachebuster
      | _ | rand | v | ver | version | updated | w | h | width | height | q | quality
      | fit | crop | resize | format | fm | auto | dpr | strip | size )""",
    re.VERBOSE | re.IGNORECASE,
)

_ADDRESS = re.compile(r"https?://\S+")
_COUNTED = (
    r"comments?|replies|reply|likes?|shares?|reactions?|views?|kommentare?|antworten"
    r"|commentaires?|r[eé]ponses?|partages?|vues?|comentarios?|respuestas?|coment[aá]rios?"
    r"|respostas?|commenti?o?|комментари\w*|просмотр\w*|تعليق(?:ات)?|مشاهد(?:ة|ات)"
)
_UNITS = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?)"
#: Where one stands in a line, it is as if it did not.
_COUNTERS = re.compile(
    rf"""\b(?:no|\d[\d.,\s]{{0,12}}k?)\s?(?:{_COUNTED})\b
    | \b(?:{_COUNTED})\s?(?:[:(]\s?)\d[\d.,]{{0,12}}k?\)?
    | \b(?:\d{{1,3}}|an?|one)\s{_UNITS}\sago\b
    | \bil\sy\sa\s\d{{1,3}}\s(?:secondes?|minutes?|heures?|jours?)\b
    | \bhace\s\d{{1,3}}\s(?:segundos?|minutos?|horas?|d[ií]as?)\b
    | \bh[aá]\s\d{{1,3}}\s(?:segundos?|minutos?|horas?|dias?)\b
    | \bvor\s\d{{1,3}}\s(?:sekunden?|minuten?|stunden?|tag(?:en)?)\b
    | \b\d{{1,3}}\s(?:секунд\w?|минут\w?|час(?:а|ов)?|дн(?:я|ей))\sназад\b
    | منذ\s\d{{1,3}}\s(?:ثوان|دقيقة|دقائق|ساعة|ساعات|يوما?|أيام)""",
    re.VERBOSE,
)
#: A line that begins so is about another story, or pays for this one.
_ASIDES = re.compile(
    r"""^\W*(?: advertisements? | advertorial | anzeige | werbung | publicit[eé]
      | publicidad(?:e)? | реклама | إعلان | sponsored(?:\s(?:by|content))? | promoted
      | related(?:\s(?:stories|articles|posts|content|links|news|topics|coverage))?(?=\s?:|$)
      | (?:also\sread|read\salso|read\smore|see\salso|more\son|more\sfrom)\b
      | (?:[àa]\s)?(?:lire\s(?:aussi|[eé]galement)) | voir\saussi | sur\sle\sm[eê]me\ssujet
      | (?:lea|lee|leer|ver)\stambi[eé]n | leia\s(?:tamb[eé]m|mais) | veja\stamb[eé]m
      | mehr\szum\sthema | lesen\ssie\sauch | lesen?\sauch | читайте\sтакже
      | اقرأ\s(?:أيضا|أيضًا|المزيد) | continue\sreading | the\spost\b.{1,400}\bappeared\sfirst\son
      )""",
    re.VERBOSE,
)
_DRESS = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u0060\u00b4", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
#: An aside is a line, not a paragraph that happens to begin like one.
ASIDE_MAX = 300


def title_core(title: str) -> str:
    """Return what counts of a title."""
    return _undressed(title)


def text_core(text: str) -> str:
    """Return what counts of a text; all of it where nothing else would be left."""
    lines = (_undressed(line) for line in text.split("\n"))
    told = [line for line in lines if line and not _is_aside(line)]
    core = _COUNTERS.sub(" ", _ADDRESS.sub(_page, " ".join(told)))
    return " ".join(core.split()) or _undressed(text)


def enclosures_core(enclosures: Iterable[Enclosure]) -> str:
    """Return what counts of the files that an entry names; '' if it names none."""
    files = {f"{one.role} {_file(one)}" for one in enclosures}
    return "\n".join(sorted(files))


def _undressed(text: str) -> str:
    plain = normalize(text.translate(_DRESS))
    if plain.isascii():
        return plain
    seen = "".join(c for c in plain if unicodedata.category(c) != "Cf")
    return normalize(seen)


def _is_aside(line: str) -> bool:
    return len(line) <= ASIDE_MAX and _ASIDES.match(line) is not None


def _page(found: re.Match[str]) -> str:
    return canonical(found[0]).partition("?")[0]


def _file(enclosure: Enclosure) -> str:
    """Return the address without what expires; an image's or a named file's has no query."""
    page = canonical(enclosure.url)
    if not page:
        return enclosure.url
    parts = urlsplit(page)
    is_named = "." in parts.path.rpartition("/")[2]
    if is_named or enclosure.role == "image":
        return urlunsplit(parts._replace(query=""))
    kept = [pair for pair in parts.query.split("&") if pair and not _passes(pair)]
    return urlunsplit(parts._replace(query="&".join(kept)))


def _passes(pair: str) -> bool:
    name = unquote(pair.partition("=")[0])
    return bool(PASSING.fullmatch(name) or SECRET.fullmatch(name))
