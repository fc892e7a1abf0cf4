"""What correlate compares: texts with equal signatures are the same story."""

from __future__ import annotations

from streams.records import RawItem
from streams.text import fingerprint, normalize


VERSION = "text-1"


def sign(item: RawItem) -> str:
    """Return the fingerprint of *item*'s normalised words; '' if it has none.

    A transcript's title is the station's, not the speaker's: only its text counts.
    """
    spoken = item.recording is not None
    title = "" if spoken else normalize(item.title)
    text = normalize(item.text)
    # Some feeds repeat the title in the text; a copy may not.
    if title and text.startswith(title):
        text = text.removeprefix(title).strip()
    return fingerprint(title, text) if title or text else ""
