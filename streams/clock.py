"""The one place that asks what time it is; everything that decides takes ``now``."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


def from_ms(milliseconds: int) -> datetime:
    """Return the time *milliseconds* after the Unix epoch, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def to_ms(moment: datetime) -> int:
    """Return the milliseconds from the Unix epoch to *moment*."""
    return round(moment.timestamp() * 1000)
