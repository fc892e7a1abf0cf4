"""Where the stages stand: how far behind each is, and when records have come through.

Nothing is asked of the stages themselves. What a stage has committed, and where its
topics end, is on the log; its outputs are stored before its offset is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from streams.log.face import Log, Position
from streams.log.standing import lags as lags_in
from streams.log.standing import stands
from streams.topics import SOURCES, STAGES


#: For each topic, the offset of each partition that is to be reached.
Goal = Mapping[str, Mapping[int, int]]


async def behind(log: Log, stage: str, goal: Goal) -> int:
    """Return how many offsets *stage* has to go until *goal*."""
    left = 0
    for topic in SOURCES[stage]:
        ends = goal.get(topic.name, {})
        if any(ends.values()):
            at = await stands(log, stage, topic.name)
            left += sum(lags_in(at, ends).values())
    return left


async def ends(log: Log, stage: str) -> Goal:
    """Return the goal of having read everything that is there now."""
    return {topic.name: await log.ends(topic.name) for topic in SOURCES[stage]}


async def lags(log: Log) -> dict[str, int]:
    """Return how many records each stage is behind."""
    return {stage: await behind(log, stage, await ends(log, stage)) for stage in STAGES}


class Transit:
    """Follows published records through all stages, without reading any of them."""

    def __init__(self, log: Log, positions: Iterable[Position]) -> None:
        self._log = log
        self._goal: Goal = _goal(positions)
        self._steps: Sequence[str] = STAGES if self._goal else ()
        #: The most that the step under way was seen to have before it.
        self._most = 0

    @property
    def done(self) -> bool:
        """Whether everything has come through as far as the index."""
        return not self._steps

    @property
    def stage(self) -> str:
        """The stage that is awaited; '' when done."""
        return self._steps[0] if self._steps else ""

    async def look(self) -> float:
        """Look how far things are; return the share of the way, 0 to 1."""
        while self._steps:
            left = await behind(self._log, self._steps[0], self._goal)
            self._most = max(self._most, left)
            if left:
                return self._share(1 - left / self._most)
            self._steps = self._steps[1:]
            self._most = 0
            if self._steps:
                self._goal = await ends(self._log, self._steps[0])
        return 1.0

    def _share(self, of_step: float) -> float:
        return (len(STAGES) - len(self._steps) + of_step) / len(STAGES)


def _goal(positions: Iterable[Position]) -> Goal:
    """Return the goal of having read the records at *positions*."""
    goal: dict[str, dict[int, int]] = {}
    for topic, partition, offset in positions:
        of_topic = goal.setdefault(topic, {})
        of_topic[partition] = max(of_topic.get(partition, 0), offset + 1)
    return goal
