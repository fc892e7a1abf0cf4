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
    "comment comments reply replies like likes share shares reaction reactions view"
    " views kommentar kommentare antworten commentaire commentaires réponse réponses"
    " partage partages vue vues comentario comentarios respuesta respuestas comentário"
    " comentários resposta respostas commento commenti комментарий комментария"
    " комментариев комментарии просмотр просмотра просмотров تعليق تعليقات مشاهدة"
)
_UNITS = (
    "second seconds sec secs minute minutes min mins hour hours hr hrs day days seconde"
    " secondes heure heures jour jours segundo segundos minuto minutos hora horas día"
    " días dia dias sekunde sekunden minuten stunde stunden tag tagen секунду секунды"
    " секунд минуту минуты минут час часа часов день дня дней ثوان دقيقة دقائق ساعة"
    " ساعات يوم يوما أيام"
)
#: What says that a stretch of time is over: before it, or behind it.
_SINCE = "il y a|hace|há|vor|منذ"
_AGO = "ago|назад"
#: Without one of these there is nothing to look for; most texts have none.
_SIGNS = frozenset(f"{_COUNTED} ago назад hace há vor منذ il".split())


def _either(words: str) -> str:
    return words.replace(" ", "|")


_WORDS = re.compile(r"[^\W\d_]+")
#: Where one stands in a line, it is as if it did not.
_COUNTERS = re.compile(
    rf"""\b(?:no|\d[\d.,\s]{{0,12}}k?)\s?(?:{_either(_COUNTED)})\b
    | \b(?:{_either(_COUNTED)})\s?[:(]\s?\d[\d.,]{{0,12}}k?\)?
    | \b(?:\d{{1,3}}|an?|one)\s(?:{_either(_UNITS)})\s(?:{_AGO})\b
    | \b(?:{_SINCE.replace(" ", "[ ]")})\s(?:\d{{1,3}}\s)?(?:{_either(_UNITS)})\b""",
    re.VERBOSE,
)
#: A line that begins so is about another story, or pays for this one.
_ASIDES = re.compile(
    r"""^\W*(?:
      (?: advertisements? | advertorial | anzeige | werbung | publicit[eé] | publicidade?
        | реклама | إعلان | sponsored | promoted
        | related(?:\s(?:stories|articles|posts|content|links|news|topics|coverage))?
      )(?=\s?:|\W*$)
      | sponsored\s(?:by|content)\b
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
    plain = [_undressed(line) for line in text.split("\n")]
    core = " ".join(line for line in plain if line and not _is_aside(line))
    if "://" in core:
        core = _ADDRESS.sub(_page, core)
    if not _SIGNS.isdisjoint(_WORDS.findall(core)):
        core = " ".join(_COUNTERS.sub(" ", core).split())
    return core or " ".join(plain)


def enclosures_core(enclosures: Iterable[Enclosure]) -> str:
    """Return what counts of the files that an entry names; '' if it names none."""
    files = {f"{one.role} {_file(one)}" for one in enclosures}
    return "\n".join(sorted(files))


def _undressed(text: str) -> str:
    if text.isascii():
        return " ".join(text.replace("`", "'").lower().split())
    plain = normalize(text.translate(_DRESS))
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
