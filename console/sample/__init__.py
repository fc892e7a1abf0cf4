"""The sample that ships: feeds and transcripts about things that never happened.

A fuel convoy is attacked near Kayes: the local station tells of it first, then agencies
in English, French, Arabic and Hausa, with tolls that differ, and papers that print them
as they are. Around it a dozen other incidents, and what only sounds like one: matches,
markets, films, trials, an anniversary. Every entry has the category ``sample``; the
stations' and publishers' names say it too.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from streams.settings import Settings, Station


#: The stations by the names of their folders: what they are called, and speak.
_STATIONS = {
    "radio-echantillon-kayes": ("Radio Échantillon Kayes", "ML", "fr"),
    "radio-samfuri-maradi": ("Radio Samfuri Maradi", "NE", "ha"),
    "radio-sample-coast": ("Radio Sample Coast", "GH", "en"),
}


def paths() -> list[Path]:
    """Return the sample's folders: a station's transcripts each, then the feeds."""
    top = Path(__file__).parent
    return [*sorted(top.glob("radio-*")), top / "feeds"]


def with_stations(settings: Settings) -> Settings:
    """Return *settings* for which the sample's stations are configured."""
    top = Path(__file__).parent
    stations = tuple(
        Station(
            id=ident,
            name=name,
            folder=str(top / ident),
            country=country,
            language=language,
        )
        for ident, (name, country, language) in _STATIONS.items()
    )
    radio = msgspec.structs.replace(settings.radio, stations=stations)
    return msgspec.structs.replace(settings, radio=radio)
