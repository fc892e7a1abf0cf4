"""What the header of an answer says: how long it holds, where else to ask. Pure.

Nothing here raises on a hostile value: what makes no sense says nothing.
"""

from __future__ import annotations

import email.utils
import re

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from connectors.urls import joined, public_url


#: Longer pleas for patience are taken for this one.
RETRY_AFTER_MAX_S = 604_800.0
#: RFC 9111 section 1.2.2: what is too large to be counted means for ever; a year is.
AGE_MAX_S = 31_536_000.0
#: Links that are looked at; the rest of the field is not.
LINKS_MAX = 64

_LINK = re.compile(
    r"""<([^<>]*)>((?:\s*;\s*[\w!#$&+.^`|~*-]+(?:\s*=\s*(?:"[^"]*"|[^\s",;]*))?)*)"""
)
_PARAMETER = re.compile(r"""([\w!#$&+.^`|~*-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s",;]*)))?""")
_DIRECTIVE = re.compile(r"""([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s",]*)))?""")


class Links(NamedTuple):
    """Where a document says that changes of it are told (W3C WebSub section 4)."""

    hub: str = ""
    topic: str = ""


def retry_after_s(value: str, now: datetime) -> float:
    """Return the pause that a Retry-After header asks for (RFC 9110 section 10.2.3)."""
    if (seconds := _seconds(value)) is not None:
        return min(seconds, RETRY_AFTER_MAX_S)
    until = _date(value)
    if until is None:
        return 0.0
    return min(max((until - now).total_seconds(), 0.0), RETRY_AFTER_MAX_S)


def max_age_s(headers: Mapping[str, str], now: datetime) -> float:
    """Return how long an answer stays fresh from *now* on (RFC 9111 section 4.2).

    By Cache-Control, else by Expires; 0 where it says neither, contradicts itself or
    has been under way for longer (Age). *headers* is case-insensitive.
    """
    control = headers.get("Cache-Control", "")
    ages: list[float] = []
    for name, quoted, bare in _DIRECTIVE.findall(control):
        match name.lower():
            case "no-cache" | "no-store":
                return 0.0
            case "max-age":
                ages.append(_seconds(quoted or bare) or 0.0)
    if ages:
        age = _seconds(headers.get("Age", "")) or 0.0
        return min(max(min(ages) - age, 0.0), AGE_MAX_S)
    expires = _date(headers.get("Expires", ""))
    if expires is None:
        return 0.0
    # By the clock that wrote it, if that is told.
    written = _date(headers.get("Date", "")) or now
    return min(max((expires - written).total_seconds(), 0.0), AGE_MAX_S)


def links(fields: Iterable[str], base: str) -> Links:
    """Return hub and topic that Link headers (RFC 8288) of a document at *base* name.

    Only of the web, and none that would show a password or token where it is kept.
    """
    found: dict[str, str] = {}
    for target, relations in _links(fields):
        url = joined(base, target.strip())
        if not url.lower().startswith(("http://", "https://")):
            continue
        if public_url(url) != url:
            continue
        for relation in relations.lower().split():
            found.setdefault(relation, url)
    return Links(hub=found.get("hub", ""), topic=found.get("self", ""))


def _links(fields: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield target and relations of the links that are about the document itself."""
    left = LINKS_MAX
    for field in fields:
        for target, parameters in _LINK.findall(field):
            left -= 1
            if left < 0:
                return
            named: dict[str, str] = {}
            for name, quoted, bare in _PARAMETER.findall(parameters):
                named.setdefault(name.lower(), quoted or bare)
            if "anchor" not in named:
                yield target, named.get("rel", "")


def _seconds(value: str) -> float | None:
    """Return a delta-seconds; a finite one, however many digits it has."""
    value = value.strip()
    if not value.isascii() or not value.isdecimal():
        return None
    return min(float(value), AGE_MAX_S)


def _date(value: str) -> datetime | None:
    """Return an HTTP date (RFC 9110 section 5.6.7); None if it is none."""
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo is not None else None
