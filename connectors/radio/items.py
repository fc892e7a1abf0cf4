"""A transcript -> raw items. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from connectors.identities import text_identity
from connectors.radio import detect
from connectors.radio.cut import Piece, cut
from streams.records import Identity, RawItem, Recording, Source
from streams.settings import Station


#: Where the time is not known, so many words of the text are the title.
TITLE_WORDS = 10
#: Outside, a date is no time of a recording: a pattern without a year gives 1900.
EARLIEST_YEAR, LATEST_YEAR = 1920, 2200


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

    By the station's pattern, in its time zone; else when the file was last written.
    """
    if station.name_pattern:
        try:
            local = datetime.strptime(stem, station.name_pattern)  # noqa: DTZ007 - the zone is the station's
        except ValueError:
            local = datetime.min  # noqa: DTZ901 - only compared
        if _is_believable(local):
            zone = ZoneInfo(station.timezone)
            aware = local if local.tzinfo else local.replace(tzinfo=zone)
            return Start(aware.astimezone(UTC), "name")
    if modified is not None and _is_believable(modified):
        return Start(modified, "mtime")
    return Start(None, "unknown")


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
    cues = detect.read(data)
    pieces = cut(cues.segments, words)
    return Transcript(
        tuple(
            _item(piece, f"{name}#{number}", station, start, fetched)
            for number, piece in enumerate(pieces, 1)
        ),
        cues.broken,
    )


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


def _item(
    piece: Piece, name: str, station: Station, start: Start, fetched: datetime
) -> RawItem:
    said_at = None
    if start.recorded is not None:
        said_at = start.recorded + timedelta(seconds=piece.segments[0].start_s)
    title = _title(piece, station, said_at if start.source == "name" else None)
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
        published=said_at if start.source == "name" else None,
        fetched=fetched,
        recording=Recording(
            recorded=start.recorded,
            recorded_from=start.source,
            segments=piece.segments,
            media_url=station.media_url.replace("{name}", stem),
        ),
    )


def _title(piece: Piece, station: Station, said_at: datetime | None) -> str:
    if said_at is None:
        words = piece.text.split(None, TITLE_WORDS)
        more = len(words) > TITLE_WORDS
        return " ".join(words[:TITLE_WORDS]) + ("…" if more else "")
    local = said_at.astimezone(ZoneInfo(station.timezone))
    return f"{station.name or station.id}, {local:%Y-%m-%d %H:%M}"


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
