"""The dedupe stage, as the loop runs it."""

from __future__ import annotations

from streams.dedupe.decide import decide
from streams.dedupe.publication import offset_in
from streams.stage import Stage
from streams.topics import DEDUPE_TABLE, SOURCES


def stage() -> Stage:
    """Return the stage that turns ``items.raw`` into ``items.unique``."""
    return Stage(
        name="dedupe",
        sources=SOURCES["dedupe"],
        decide=decide,
        table=DEDUPE_TABLE,
        offset_in=offset_in,
    )
