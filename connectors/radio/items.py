"""A transcript -> raw items. Pure."""

from __future__ import annotations

import hashlib
import re

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from connectors.identities import GIVEN, text_identity
from connectors.radio import detect
from connectors.radio.cut import Piece, cut
from connectors.radio.formats.cues import Cues
from streams.records import Identity, RawItem, Recording, Source
from streams.settings import Station


#: Where the time is not known, so many words of the text are the title.
TITLE_WORDS = 10
#: Outside, a date is no time of a recording: a pattern without a year gives 1900.
EARLIEST_YEAR, LATEST_YEAR = 1920, 2200

#: 2026-11-05_0700, 2026-11-05T07-00-30 and the like; a Z says that it is in UTC. What
#: has an offset, or more digits, is something else.
_DATE_TIME = re.compile(
    r"(?<!\d)(\d{4}-\d\d-\d\d)[_T -](\d\d)(?:(\d\d)|-(\d\d)(?:-(\d\d))?)"
    r"(Z(?![A-Za-z]))?(?![\d+])",
    re.ASCII,
)


class Start(NamedTuple):
    """When a recording began, and how that is known."""

    recorded: datetime | None
    source: Literal["name", "mtime", "unknown"]


class Transcript(NamedTuple):
    """What a file gave."""

    items: tuple[RawItem, ...]
    #: Cues that could not be read.
    broken: int


def start_of(station: Station, stem: str, modified: datetime | None) -> Start:
    """Return when the recording began whose file is called *stem* (without suffix).

    By the station's pattern or, without one, by the date and time in the name, in the
    station's time zone; else when the file was last written.
    """
    named = _by_pattern(stem, station.name_pattern) if station.name_pattern else None
    if not station.name_pattern:
        named = _by_date_time(stem)
    if named is not None and _is_believable(named):
        zone = ZoneInfo(station.timezone)
        aware = named if named.tzinfo else named.replace(tzinfo=zone)
        return Start(aware.astimezone(UTC), "name")
    if modified is not None and _is_believable(modified):
        return Start(modified, "mtime")
    return Start(None, "unknown")


def _by_pattern(stem: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(stem, pattern)  # noqa: DTZ007 - the zone is the station's
    except ValueError:
        return None


def _by_date_time(stem: str) -> datetime | None:
    """Return the one date and time in *stem*; None if there is none, or several."""
    found = _DATE_TIME.findall(stem)
    if len(found) != 1:
        return None
    date, hour, minute, dashed, second, utc = found[0]
    zone = "+00:00" if utc else ""
    try:
        return datetime.fromisoformat(
            f"{date}T{hour}:{minute or dashed}:{second or '00'}{zone}"
        )
    except ValueError:
        return None


def _is_believable(moment: datetime) -> bool:
    return EARLIEST_YEAR <= moment.year <= LATEST_YEAR


def read(
    data: bytes,
    *,
    name: str,
    station: Station,
    start: Start,
    fetched: datetime,
    words: int,
) -> Transcript:
    """Return the items of the transcript *data*.

    ``name`` names the file within its station: with the piece's number it is the guid,
    so that a corrected file makes revisions. Raises SourceError if it is no transcript.
    """
    cues = detect.read(data, name)

    def titled(piece: Piece) -> str:
        return _title(piece, station, start)

    items = _items(cues, name, station, start, fetched, words, titled)
    return Transcript(items, cues.broken)


def read_given(
    data: bytes, *, name: str, start: Start, fetched: datetime, words: int
) -> Transcript:
    """Return the items of a transcript that was given by hand, of no known station.

    Its words and their times name it: under any file's *name* it is the same, and no
    other transcript is taken for its correction. Raises SourceError as :func:`read`.
    """
    cues = detect.read(data, name)
    station = Station(id=GIVEN, name=name, folder="")
    # The title, too, is of the content alone: another one would be another revision.
    items = _items(
        cues, _content_name(cues), station, start, fetched, words, _first_words
    )
    return Transcript(items, cues.broken)


def _content_name(cues: Cues) -> str:
    digest = hashlib.sha256()
    for one in cues.segments:
        digest.update(f"{one.start_s} {one.end_s} {one.speaker}\n{one.text}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def withdrawn(
    *, name: str, numbers: range, station: Station, fetched: datetime
) -> tuple[RawItem, ...]:
    """Return withdrawals of the pieces *numbers* that a corrected file no longer has."""
    return tuple(
        RawItem(
            identities=(_guid(f"{name}#{number}", station),),
            publisher=station.id,
            source=_source(station),
            state="withdrawn",
            fetched=fetched,
            recording=Recording(),
        )
        for number in numbers
    )


def _items(
    cues: Cues,
    name: str,
    station: Station,
    start: Start,
    fetched: datetime,
    words: int,
    titled: Callable[[Piece], str],
) -> tuple[RawItem, ...]:
    return tuple(
        _item(piece, f"{name}#{number}", station, start, fetched, titled(piece))
        for number, piece in enumerate(cut(cues.segments, words), 1)
    )


def _item(
    piece: Piece,
    name: str,
    station: Station,
    start: Start,
    fetched: datetime,
    title: str,
) -> RawItem:
    stem = name.rpartition("#")[0].rpartition("/")[2].rpartition(".")[0]
    return RawItem(
        identities=(
            _guid(name, station),
            # A bulletin is read again every hour: each time is a broadcast of its own.
            text_identity(title, piece.text, usable=False),
        ),
        publisher=station.id,
        source=_source(station),
        title=title,
        text=piece.text,
        published=_said_at(piece, start),
        fetched=fetched,
        recording=Recording(
            recorded=start.recorded,
            recorded_from=start.source,
            segments=piece.segments,
            media_url=station.media_url.replace("{name}", stem),
        ),
    )


def _said_at(piece: Piece, start: Start) -> datetime | None:
    """Return when *piece* was on the air; None unless the file's name tells."""
    if start.recorded is None or start.source != "name":
        return None
    return start.recorded + timedelta(seconds=piece.segments[0].start_s)


def _title(piece: Piece, station: Station, start: Start) -> str:
    said_at = _said_at(piece, start)
    if said_at is None:
        return _first_words(piece)
    local = said_at.astimezone(ZoneInfo(station.timezone))
    return f"{station.name or station.id}, {local:%Y-%m-%d %H:%M}"


def _first_words(piece: Piece) -> str:
    words = piece.text.split(None, TITLE_WORDS)
    more = len(words) > TITLE_WORDS
    return " ".join(words[:TITLE_WORDS]) + ("…" if more else "")


def _guid(name: str, station: Station) -> Identity:
    return Identity(kind="guid", value=f"{station.id}/{name}")


def _source(station: Station) -> Source:
    return Source(
        connector="radio",
        id=station.id,
        name=station.name,
        country=station.country,
        language=station.language,
    )
