"""Times, and places on a topic, as a person types them."""

from __future__ import annotations

import re

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import typer

from streams import clock
from streams.log.face import Log


BEGINNING: Final = "beginning"
LATEST: Final = "latest"
#: What ``--from`` takes, for a command's help.
PLACES: Final = f"{BEGINNING}|{LATEST}|TIME|OFFSET"

#: A word of these two, a time, or an offset of every partition.
Place = str | datetime | int

_TIMES = "a time such as 2026-11-24T08:00Z or 2026-11-24, or how long ago: -1h, -30d"
_RELATIVE = re.compile(r"-([0-9]{1,9})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, option: str) -> datetime | None:
    """Return the time that *option* gives, None for ''; raises BadParameter."""
    if not text:
        return None
    if (found := parse(text, now=clock.now())) is None:
        raise typer.BadParameter(f"{text!r} is not {_TIMES}", param_hint=option)
    return found


def place(text: str, option: str) -> Place:
    """Return what *option* gives of where on a topic to begin; raises BadParameter."""
    if text in {BEGINNING, LATEST}:
        return text
    if is_number(text):
        return int(text)
    if (found := parse(text, now=clock.now())) is None:
        raise typer.BadParameter(
            f"{text!r} is not {BEGINNING}, {LATEST}, an offset, {_TIMES}",
            param_hint=option,
        )
    return found


async def offsets(log: Log, topic: str, begin: Place) -> Mapping[int, int]:
    """Return where each partition of *topic* begins at that place."""
    if isinstance(begin, datetime):
        return await log.offsets_at(topic, begin)
    if begin == LATEST:
        return await log.ends(topic)
    starts = await log.starts(topic)
    if isinstance(begin, int):
        return {p: max(start, begin) for p, start in starts.items()}
    return starts


def is_number(text: str) -> bool:
    """Whether *text* is a whole number, of digits alone."""
    return text.isascii() and text.isdecimal()


def parse(text: str, *, now: datetime) -> datetime | None:
    """Return the time that *text* names, in UTC unless it says else; None for none."""
    try:
        if match := _RELATIVE.fullmatch(text):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
