"""What is worth a look though nothing is at fault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.check import unread


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)


def test_a_stage_that_leaves_a_record_unread_for_long_is_told_of() -> None:
    lies_since = {
        ("annotate", "items.unique"): NOW - timedelta(minutes=12),
        ("correlate", "items.tagged"): NOW - timedelta(minutes=4),
    }

    (line,) = unread(lies_since, now=NOW)

    assert "annotate has not read what was put on items.unique 12 minutes ago" in line
