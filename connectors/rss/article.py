"""A page -> the article on it, if it is that of the feed's entry. Pure; hostile input.

resiliparse first (0.2 ms a page), trafilatura (1.5 ms) when that gives too little, or too
much of what is no article. On three shapes of news page in three languages both found
every word; resiliparse left a line or two of the page in (precision 0.95 to 1).

A page's ``rel=canonical`` names no item: sites that give one address for all their pages
would make one item of all of them, for ever, and copies are known by their text anyway.
"""

from __future__ import annotations

import re

from collections.abc import Iterator
from html import unescape
from typing import Literal, NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import (
    bytes_to_str,
    detect_encoding,
    map_encoding_to_html5,
)

from connectors.markup import tidy
from connectors.rss.harmless import plain
from streams.text import normalize


Verdict = Literal[
    "article",
    "nothing",  # no text to speak of
    "no_longer",  # than what the feed has
    "unrelated",  # to the entry's title and text
    "wall",  # asks for consent, money or a browser
    "list",  # of headlines
    "too_long",  # for an article, or a page
]

#: What an article that resiliparse found has at least; else trafilatura is asked.
ENOUGH_WORDS = 50
#: How much longer than the feed's text an article is at least.
LONGER = 1.1
#: Share of the words that stand in short lines that are no sentences.
CHAFF_SUSPECT = 0.3
CHAFF_MAX = 0.6
#: Share of the entry's title that a page's own title has, or of its title and text that the
#: page's text has. By the second alone, of 3,000 pairs of other reports on shootings 8 % pass,
#: of 45,000 other articles in 16 African languages 0.5 %; but it misses a third of the right
#: ones where the feed's words are not the article's own.
HEADED = 0.6
RELATED = 0.4
#: What the extractors take some 4 s for at worst: they are quadratic in the depth of nesting.
TAGS_MAX = 20_000
#: Walls say little.
WALL_MAX_WORDS = 250
TEXT_MAX_CHARS = 100_000

_LINE_WORDS = 20
_WORD_LETTERS = 4
_WORD = re.compile(r"\w+")
#: Scripts that write no spaces between words: Thai to Khmer, kana, Han, Yi.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff\ua000-\ua4cf]"
)
#: Also of Devanagari, Urdu, Arabic, and full width.
_SENTENCE_END = re.compile(r"[.!?…:;»”\"\u0964\u06d4\u061f\u3002\uff01\uff1f]\s*$")
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,500})", re.IGNORECASE)
_NOT_FREE = re.compile(r'"isAccessibleForFree"\s*:\s*"?false', re.IGNORECASE)
_WALL = re.compile(
    r"""
    before\ you\ continue | accept\ all | (?:we|partners).{0,40}use\ cookies
    | enable\ (?:javascript|cookies) | checking\ your\ browser | are\ (?:you\ )?(?:a\ )?human
    | not\ a\ robot | access\ denied | subscribe\ to\ (?:continue|read|keep)
    | already\ (?:a\ subscriber|have\ an\ account) | (?:log|sign)\ in\ to\ (?:continue|read)
    | subscribers?[ -]only | for\ subscribers
    | (?:avant\ de|pour)\ (?:continuer|poursuivre)\ (?:la\ lecture|votre) | tout\ accepter
    | (?:pour|afin\ de)\ lire\ la\ suite | r[ée]serv[ée]e?\ (?:à\ nos|aux)\ abonn[ée]s
    | d[ée]j[àa]\ abonn[ée] | abonnez-vous\ pour | aceptar\ (?:todo|y\ continuar)
    | (?:para|contenido).{0,20}suscriptores | suscr[íi]bete\ para | weiterlesen\ mit
    | alle\ akzeptieren | nur\ f[üu]r\ abonnenten | assine\ para | conte[úu]do\ exclusivo
    | للمشتركين | اشترك\ (?:لقراءة|للمتابعة) | قبول\ الكل
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Article(NamedTuple):
    """What a page gave."""

    verdict: Verdict
    #: '' unless it is the article.
    text: str = ""


def article(body: bytes, charset: str, title: str, said: str) -> Article:
    """Return the article in the page *body* about which a feed *said* so much.

    *charset* is what the HTTP header names, or ''. What a process pool calls.
    """
    html = decoded(body, charset)
    if html.count("<") > TAGS_MAX:
        return Article("too_long")
    text = _best(html, title, len(_words(said)))
    headline = unescape(found[1]) if (found := _TITLE.search(html)) else ""
    is_free = not _NOT_FREE.search(html)
    verdict = judged(text, title, said, headline=headline, is_free=is_free)
    return Article(verdict, text if verdict == "article" else "")


def judged(
    text: str, title: str, said: str, *, headline: str = "", is_free: bool = True
) -> Verdict:
    """Return whether *text* is the article behind a feed's *title* and what it *said*.

    *headline* is the page's own title; *is_free* what it says of its price.
    """
    words = _words(text)
    if len(text) > TEXT_MAX_CHARS:
        return "too_long"
    if not words:
        return "nothing"
    if len(words) < WALL_MAX_WORDS and (not is_free or _WALL.search(text)):
        return "wall"
    if len(words) < LONGER * len(_words(said)):
        return "no_longer"
    told = f"{title} {said}"
    is_its = _covers(headline, title, HEADED) or _covers(text, told, RELATED)
    if not is_its and any(_telling(told)):
        return "unrelated"
    return "list" if _chaff(text) > CHAFF_MAX else "article"


def decoded(body: bytes, charset: str) -> str:
    """Return *body* as text: UTF-8 if it is that, else as declared, else as it looks.

    What is not ASCII and valid as UTF-8 is UTF-8, whatever a header says.
    """
    if not body.isascii():
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError:
            pass
    named = map_encoding_to_html5(charset, fallback_utf8=False) if charset else None
    found = named or detect_encoding(body, from_html_meta=True) or "utf-8"
    try:
        return bytes_to_str(body, found, errors="replace")
    except (LookupError, UnicodeError):
        return body.decode("utf-8", "replace")


def _best(html: str, title: str, said_words: int) -> str:
    """Return what the better of both extractors makes of *html*."""
    quick = _headless(
        extract_plain_text(
            html,
            main_content=True,
            list_bullets=False,
            alt_texts=False,
            comments=False,
            post_meta=False,
        ),
        title,
    )
    enough = max(ENOUGH_WORDS, LONGER * said_words)
    scant = len(_words(quick)) < enough
    if not scant and _chaff(quick) <= CHAFF_SUSPECT:
        return quick
    # A third of a second to import, and most workers never need it.
    import trafilatura  # noqa: PLC0415 - see above

    careful = _headless(trafilatura.extract(html, include_comments=False) or "", title)
    if scant:
        return max(quick, careful, key=lambda text: len(_words(text)))
    return min(careful, quick, key=_chaff) if careful else quick


def _headless(text: str, title: str) -> str:
    """Return *text* tidied, without a first line that is the title."""
    text = tidy(plain(text))
    first, _, rest = text.partition("\n")
    return rest.strip() if title and normalize(first) == normalize(title) else text


def _chaff(text: str) -> float:
    """Return the share of words in short lines that are no sentences: menus, teasers."""
    chaff = total = 0
    for line in text.splitlines():
        count = len(_words(line))
        total += count
        if count < _LINE_WORDS and not _SENTENCE_END.search(line):
            chaff += count
    return chaff / total if total else 0.0


def _words(text: str) -> list[str]:
    """Return the words of *text*; where none are marked, every two letters."""
    return list(_split(text))


def _split(text: str) -> Iterator[str]:
    for word in _WORD.findall(normalize(text)):
        if _UNSPACED.search(word):
            yield from (word[at : at + 2] for at in range(max(1, len(word) - 1)))
        else:
            yield word


def _covers(text: str, words: str, share: float) -> bool:
    """Whether *words* tell something, and *text* has so much of it."""
    telling = set(_telling(words))
    return bool(telling) and len(telling & set(_telling(text))) >= share * len(telling)


def _telling(text: str) -> Iterator[str]:
    """Yield the words that tell one text from another: not the short ones."""
    for word in _split(text):
        if len(word) >= _WORD_LETTERS or _UNSPACED.search(word):
            yield word
