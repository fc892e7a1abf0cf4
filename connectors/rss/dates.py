"""Dates that feedparser does not know: months named in other languages, and slips.

Pure. The languages are those of the feeds that we watch; a name counts by its beginning,
as feeds abbreviate at will.
"""

# ruff: noqa: RUF001 - letters of other scripts are the point

from __future__ import annotations

import re
import unicodedata

from datetime import UTC, datetime, timedelta, timezone
from functools import cache


#: A longer claim is no date.
LENGTH_MAX = 100

#: By month: how its names begin, in Latin script (en fr es pt it de nl ro pl tr id sw ha).
_LATIN = (
    "jan ene gen ocak sty ianuarie",
    "feb fev subat lut fab",
    "mar maart mrz mac",
    "apr avr abr kwi nisan afr",
    "may mai mag mei maj",
    "jun juin giu haz cze yun iun",
    "jul juil lug tem lip yul iul",
    "aug aou ago agu sie",
    "sep set eyl wrz sat",
    "oct okt out ott eki paz",
    "nov kas lis nuw noi noy",
    "dec dez dic des ara gru dis",
)
#: In other scripts (ru uk be, ar fa, hi bn); "_" is a space.
_OTHERS = (
    "янв січ студ يناير كانون_الثاني جانفي ژانویه जन জানু",
    "фев лют فبراير شباط فيفري فوریه फर ফেব",
    "мар бер сак مارس آذار मार्च মার্চ",
    "апр кві крас أبريل نيسان أفريل آوریل अप्रै এপ্রি",
    "мая май тра مايو أيار ماي मई মে",
    "июн чер يونيو حزيران جوان ژوئن जून জুন",
    "июл лип ліп يوليو تموز جويلية ژوئیه जुल জুলা",
    "авг сер жні أغسطس آب أوت अग আগ",
    "сен вер سبتمبر أيلول سپتامبر सित সেপ্টে",
    "окт жов кас أكتوبر تشرين_الأول اکتبر अक् অক্টো",
    "ноя листоп ліст نوفمبر تشرين_الثاني نوامبر नव নভে",
    "дек гру сне ديسمبر كانون_الأول دسامبر दिस ডিসে",
)
#: Zones that feedparser does not know and takes for UTC; hours east.
_ZONES = {
    "wat": 1,
    "cat": 2,
    "eat": 3,
    "sast": 2,
    "cet": 1,
    "cest": 2,
    "eet": 2,
    "eest": 3,
    "msk": 3,
    "мск": 3,
    "trt": 3,
    "pkt": 5,
    "wib": 7,
    "hkt": 8,
    "jst": 9,
    "kst": 9,
}

_TIME = re.compile(r"\b(\d{1,2})[:h](\d{2})(?:[:m.](\d{2}))?(?:[.,]\d+)?\s*([ap]m\b)?")
_ZONE = re.compile(r"(?:gmt|utc)?\s*([+-])(\d{2}):?(\d{2})\b")
_DAY_FIRST = re.compile(
    r"\b(\d{1,2})(?:er|st|nd|rd|th|º|ª|\.)?(?:\s+de)?[\s./-]+([^\W\d]\D{1,20}?)[\s./-]*,?\s*(?:de[l]?\s+|г\.?\s*)?(\d{4})\b"
)
_MONTH_FIRST = re.compile(
    r"([^\W\d]\D{1,20}?)[\s.]+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})\b"
)
_NUMBERS = re.compile(r"\b(\d{1,2})[./-](\d{1,2})[./-](\d{4})\b")
_ISO = re.compile(r"\b(\d{4})[./-](\d{1,2})[./-](\d{1,2})\b")


def read(text: str) -> datetime | None:
    """Return the moment that *text* names, in UTC; None if it names none.

    Without a zone it is taken as UTC. Days come before months where both are numbers,
    unless that is no date.
    """
    if len(text) > LENGTH_MAX:
        return None
    text = _plain(text)
    day = _day(text)
    if day is None:
        return None
    time = _TIME.search(text)
    hour, minute, second = (
        (int(part or 0) for part in time.group(1, 2, 3)) if time else (0, 0, 0)
    )
    if time and time[4]:
        hour = hour % 12 + (12 if time[4] == "pm" else 0)
    try:
        moment = datetime(*day, hour, minute, min(second, 59), tzinfo=_zone(text, time))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def has_zone(text: str) -> bool:
    """Whether *text* ends in a zone that only :func:`read` knows."""
    return text[-10:].casefold().rpartition(" ")[2].strip("()") in _ZONES


def _plain(text: str) -> str:
    """Return *text* in lower case, without accents, with the digits of ASCII."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(
        str(unicodedata.digit(c)) if c.isdigit() else c
        for c in decomposed
        if not unicodedata.combining(c) or unicodedata.combining(c) == _VIRAMA
    )
    return " ".join(kept.split())


#: The combining class of what makes a letter of its own in Indic scripts.
_VIRAMA = 9


def _day(text: str) -> tuple[int, int, int] | None:
    for pattern, (day, month, year) in (
        (_DAY_FIRST, (1, 2, 3)),
        (_MONTH_FIRST, (2, 1, 3)),
    ):
        for found in pattern.finditer(text):
            if number := _month(found[month]):
                return int(found[year]), number, int(found[day])
    if iso := _ISO.search(text):
        return int(iso[1]), int(iso[2]), int(iso[3])
    if numbers := _NUMBERS.search(text):
        first, second, year = (int(number) for number in numbers.groups())
        return (year, first, second) if second > 12 else (year, second, first)  # noqa: PLR2004 - months
    return None


def _month(name: str) -> int:
    words = name.strip(" .,")
    return next((month for start, month in _names() if words.startswith(start)), 0)


@cache
def _names() -> tuple[tuple[str, int], ...]:
    """Return how the names of months begin, the longest first."""
    found = {
        _plain(name.replace("_", " ")): month
        for table in (_LATIN, _OTHERS)
        for month, names in enumerate(table, 1)
        for name in names.split()
    }
    return tuple(sorted(found.items(), key=lambda pair: -len(pair[0])))


def _zone(text: str, time: re.Match[str] | None) -> timezone:
    rest = text[time.end() :] if time else ""
    if offset := _ZONE.search(rest):
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    for word in rest.split():
        if (hours := _ZONES.get(word.strip("().,"))) is not None:
            return timezone(timedelta(hours=hours))
    return UTC
