"""How values read to a person: classes, times, counts. Pure."""

from __future__ import annotations

import re

from datetime import UTC, datetime, timedelta

from rich.text import Text

from connectors.face import Refused
from console import escape
from streams.records import (
    Incident,
    IncidentClass,
    Item,
    Place,
    RawItem,
    Source,
    Toll,
    Tolls,
    When,
)


#: The colour of a class: what costs lives, unrest, what else people do, misfortune.
CLASS_STYLE: dict[IncidentClass, str] = {
    "battle": "bold red",
    "remote_violence": "bold red",
    "violence_against_civilians": "bold red",
    "protest": "yellow",
    "riot": "bold yellow",
    "strategic_development": "cyan",
    "crime": "magenta",
    "disaster": "bold blue",
    "accident": "blue",
    "health": "green",
    "infrastructure": "bright_blue",
    "none": "dim",
}
TITLE_CHARACTERS = 90
_ADDRESS = re.compile(r"^https?://\S+: ")
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def class_name(label: IncidentClass) -> Text:
    """Return the class as words in its colour."""
    words = "no incident" if label == "none" else label.replace("_", " ")
    return Text(words, style=CLASS_STYLE[label])


def moment(at: datetime | None) -> str:
    """Return *at* in UTC, such as ``24 Nov 2026 08:10 UTC``."""
    if at is None:
        return "not known"
    return at.astimezone(UTC).strftime("%d %b %Y %H:%M UTC").lstrip("0")


def dated(item: Item) -> str:
    """Return when an item was published or, where it does not say, seen."""
    if item.published is not None:
        return f"published {moment(item.published)}"
    return f"seen {moment(item.fetched)}"


def period(when: When) -> str:
    """Return when something took place, as precisely as it is known."""
    start, end = when.start.astimezone(UTC), when.end.astimezone(UTC)
    if when.precision == "month":
        return start.strftime("%B %Y")
    if when.precision == "hour":
        return start.strftime("%d %b %Y about %H:%M UTC").lstrip("0")
    first = start.strftime("%d %b %Y").lstrip("0")
    last = (end - timedelta(microseconds=1)).strftime("%d %b %Y").lstrip("0")
    return first if first == last or end <= start else f"{first} to {last}"


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit."""
    if seconds < _MINUTE_S:
        return f"{max(0, int(seconds))} s ago"
    if seconds < _HOUR_S:
        return f"{int(seconds // _MINUTE_S)} min ago"
    if seconds < 2 * _DAY_S:
        return f"{int(seconds // _HOUR_S)} h ago"
    return f"{int(seconds // _DAY_S)} days ago"


def clock_time(seconds: float) -> str:
    """Return a place in a recording, such as ``1:02:03`` or ``02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return *number* with its noun: ``1 item``, ``1,200 items``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def source_name(source: Source) -> str:
    """Return what people call the source. Not escaped."""
    return source.name or source.id


def refusal(one: Refused) -> str:
    """Return what was refused and why; the reason's own mention of it once. Not escaped."""
    return f"{one.source}: {one.kind}: {one.reason.removeprefix(f'{one.source}: ')}"


def cause(error: str) -> str:
    """Return *error* without the address that it begins with, where that is said already."""
    return _ADDRESS.sub("", error)


def item_title(item: RawItem) -> str:
    """Return the title; of an item without one, how its text begins. Not escaped."""
    if item.title.strip():
        return item.title
    text = " ".join(item.text.split())
    if len(text) <= TITLE_CHARACTERS:
        return text or "(without words)"
    return text[:TITLE_CHARACTERS].rsplit(" ", 1)[0] + " …"


def title(document: Item | Incident) -> str:
    """Return what a document is headed with. Not escaped."""
    if isinstance(document, Incident):
        quotes = (report.quote for report in document.reports if report.quote)
        return document.title or next(quotes, "(without words)")
    return item_title(document)


def place_name(place: Place) -> str:
    """Return a place with its region and country. Not escaped."""
    return ", ".join(part for part in (place.name, place.admin1, place.country) if part)


def toll(count: Toll) -> str:
    """Return a count of people, with its bounds where they differ."""
    if count.min == count.max:
        return f"{count.best:,}"
    return f"{count.best:,} ({count.min:,} to {count.max:,})"


def tolls(cost: Tolls) -> list[tuple[str, Toll]]:
    """Return what an event cost, by name, as far as something is known."""
    named = (
        ("killed", cost.killed),
        ("injured", cost.injured),
        ("abducted", cost.abducted),
    )
    return [(name, count) for name, count in named if count is not None]


def facts(incident: Incident) -> Text:
    """Return the facts of an incident on a line: tolls, place, time."""
    parts = [f"{toll(count)} {name}" for name, count in tolls(incident.tolls)]
    if incident.place is not None:
        parts.append(place_name(incident.place))
    if incident.when is not None:
        parts.append(period(incident.when))
    return escape.shown(" · ".join(parts))


def sources(incident: Incident) -> str:
    """Return how well an incident is attested."""
    stories = counted(
        incident.independent_sources, "independent story", "independent stories"
    )
    return f"{incident.status} · {stories}, {counted(incident.item_count, 'item')}"
