"""Who of a group gets which partitions: Faust's assignor, with no topic left out."""

from __future__ import annotations

from typing import Any

from faust.assignor.partition_assignor import PartitionAssignor

from streams.topics import DECLARED, group


_PARTITIONS = {topic.name: topic.partitions for topic in DECLARED}


class _Declared:
    """A cluster that has every topic which we declare, whatever it just told.

    While a broker comes back, topics are missing from what it tells.
    """

    def __init__(self, told: Any, prefix: str) -> None:
        self._told = told
        self._prefix = prefix

    def partitions_for_topic(self, topic: str) -> set[int]:
        """Return the numbers of the partitions; none of a topic that nobody knows."""
        told: set[int] | None = self._told.partitions_for_topic(topic)
        if told:
            return told
        name = topic.removeprefix(self._prefix)
        return set(range(_PARTITIONS.get(name, 0)))


class Assignor(PartitionAssignor):
    """Gives out every topic's partitions, also of one that is missing for a moment.

    Faust leaves that one out until the next rebalance: nobody reads it, or, if it is a
    table's changelog, its stage stands still.
    """

    def _perform_assignment(self, cluster: Any, member_metadata: Any) -> Any:
        prefix = self.app.conf.id.rpartition(group(""))[0]
        return super()._perform_assignment(_Declared(cluster, prefix), member_metadata)
