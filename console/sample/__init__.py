"""The sample that ships: feeds and transcripts about things that never happened.

A fuel convoy is attacked near Kayes: the local station tells of it first, then agencies
in English, French, Arabic and Hausa, with tolls that differ, and papers that print them
as they are. Around it a dozen other incidents, and what only sounds like one: matches,
markets, films, trials, an anniversary. Every entry has the category ``sample``; the
stations' and publishers' names say it too.
"""

from __future__ import annotations

from pathlib import Path


def paths() -> list[Path]:
    """Return the sample's folders: a station's transcripts each, then the feeds."""
    top = Path(__file__).parent
    return [*sorted(top.glob("radio-*")), top / "feeds"]
