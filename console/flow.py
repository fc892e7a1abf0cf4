"""Where the stages stand: how far behind each is, and when records have come through.

Nothing is asked of the stages themselves. What a stage has committed, and where its
topics end, is on the log; its outputs are stored before its offset is committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from streams.log.face import Log, Position
from streams.topics import INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE, Topic, group


class Step(NamedTuple):
    """A stage, and the topics that it reads."""

    stage: str
    sources: tuple[Topic, ...]


PATH = (
    Step("dedupe", (RAW,)),
    Step("annotate", (UNIQUE,)),
    Step("correlate", (TAGGED,)),
    Step("index", (ITEMS, INCIDENTS)),
)

#: For each topic, the offset of each partition that is to be reached.
Goal = Mapping[str, Mapping[int, int]]


async def behind(log: Log, step: Step, goal: Goal) -> int:
    """Return how many offsets *step* has to go until *goal*."""
    left = 0
    for topic in step.sources:
        ends = goal.get(topic.name, {})
        if not any(ends.values()):
            continue
        starts = await log.starts(topic.name)
        done = await log.committed(group(step.stage), topic.name)
        for partition, end in ends.items():
            start = starts.get(partition, 0)
            left += max(0, end - max(done.get(partition, start), start))
    return left


async def ends(log: Log, step: Step) -> Goal:
    """Return the goal of having read everything that is there now."""
    return {topic.name: await log.ends(topic.name) for topic in step.sources}


async def lags(log: Log) -> dict[str, int]:
    """Return how many records each stage is behind."""
    return {step.stage: await behind(log, step, await ends(log, step)) for step in PATH}


class Passage:
    """Follows published records through all stages, without reading any of them."""

    def __init__(self, log: Log, positions: Iterable[Position]) -> None:
        self._log = log
        self._steps: Sequence[Step] = PATH
        self._goal: Goal = _goal(positions)
        #: The most that the step under way was seen to have before it.
        self._most = 0

    @property
    def done(self) -> bool:
        """Whether everything has come through as far as the index."""
        return not self._steps

    @property
    def stage(self) -> str:
        """The stage that is awaited; '' when done."""
        return self._steps[0].stage if self._steps else ""

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
        return (len(PATH) - len(self._steps) + of_step) / len(PATH)


def _goal(positions: Iterable[Position]) -> Goal:
    """Return the goal of having read the records at *positions*."""
    goal: dict[str, dict[int, int]] = {}
    for topic, partition, offset in positions:
        of_topic = goal.setdefault(topic, {})
        of_topic[partition] = max(of_topic.get(partition, 0), offset + 1)
    return goal
