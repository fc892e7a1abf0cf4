"""The correlate stage, as the loop runs it."""

from __future__ import annotations

from streams.correlate.decide import decide
from streams.correlate.memory import offset_in
from streams.stage import Stage
from streams.topics import CORRELATE_TABLE, SOURCES


def stage() -> Stage:
    """Return the stage that turns ``items.tagged`` into ``items`` and ``incidents``."""
    return Stage(
        name="correlate",
        sources=SOURCES["correlate"],
        decide=decide,
        table=CORRELATE_TABLE,
        offset_in=offset_in,
    )
