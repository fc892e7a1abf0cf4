"""The one place that asks what time it is; everything that decides takes ``now``."""

from __future__ import annotations

import time

from datetime import UTC, datetime, timedelta


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def from_ms(milliseconds: int) -> datetime:
    """Return the time *milliseconds* after the Unix epoch, in UTC, exactly."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def parse(text: str) -> datetime | None:
    """Read what ``isoformat()`` wrote of a time; None if it is something else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def to_ms(moment: datetime) -> int:
    """Return the whole milliseconds from the Unix epoch to *moment*."""
    assert moment.tzinfo is not None, f"{moment} has no time zone"
    return (moment - EPOCH) // MILLISECOND
