from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aiokafka.errors import NodeNotReadyError, UnknownTopicOrPartitionError

from streams.errors import NotStoredError, TopicMismatchError
from streams.log.face import Output
from streams.log.kafka import KafkaLog, errors_named
from streams.settings import Kafka


class Admin:
    """A client of brokers, each of which knows so many partitions; None is away."""

    def __init__(self, *known: int | None) -> None:
        self._known = known
        self._client = self.cluster = self

    def brokers(self) -> list[Any]:
        return [SimpleNamespace(nodeId=node) for node in range(len(self._known))]

    async def _send_request(self, _request: object, node: int | None) -> Any:
        count = self._known[node or 0]
        if count is None:
            raise NodeNotReadyError
        code = 0 if count else UnknownTopicOrPartitionError.errno
        told: Any = {"topics": [{"error_code": code, "partitions": [{}] * count}]}
        return SimpleNamespace(to_object=lambda: told)


def log_of(*known: int | None) -> KafkaLog:
    log: Any = KafkaLog(Kafka(bootstrap="here:9092"))
    log._admin = Admin(*known)
    return log  # type: ignore[no-any-return] # its insides have no types


@pytest.mark.parametrize(
    ("known", "count"),
    [((0, 0, 6), 6), ((0, None, 6), 6), ((6, 0, 0), 6), ((0, None, 0), 0), ((0,), 0)],
)
async def test_a_topic_is_missing_when_no_broker_that_answers_knows_it(
    known: tuple[int | None, ...], count: int
) -> None:
    """Found by chaos: of three brokers one did not know yet what was just made."""
    assert await log_of(*known).partitions("items") == count


async def test_what_no_broker_knows_is_named_with_the_remedy() -> None:
    with pytest.raises(TopicMismatchError, match="run 'wirewatch topics create'"):
        await log_of(0, 0, 0).append([Output("items.other", b"", b"")])


def test_one_brokers_word_that_there_is_no_topic_can_pass() -> None:
    with pytest.raises(NotStoredError), errors_named("deadletters"):
        raise UnknownTopicOrPartitionError
