from __future__ import annotations

import asyncio

from pathlib import Path
from typing import Any

import pytest

from streams.apps import make_app
from streams.errors import TransientError
from streams.log.kafka_transport import Producer
from streams.settings import Kafka, Settings


SETTINGS = Settings(mode="servers", kafka=Kafka(bootstrap="here:9092"))


class CutOff:
    """A client whose close lets the end of a wait of its own through, as aiokafka's does."""

    async def stop(self) -> None:
        raise asyncio.CancelledError


async def test_a_fetch_that_waits_at_the_end_does_not_hold_the_end_up(
    tmp_path: Path,
) -> None:
    """Found by chaos, seed 4: the thread ended unsaid, and the worker never."""
    app = make_app(SETTINGS, "dedupe", str(tmp_path))
    thread: Any = app.consumer._thread
    thread._consumer = CutOff()
    await thread.on_thread_stop()
    thread.thread_loop.close()


class Client:
    """Brokers that know no topic."""

    def __init__(self, *, answers: bool) -> None:
        self.cluster = self
        self._answers = answers

    def partitions_for_topic(self, _topic: str) -> None:
        return None

    async def add_topic(self, _topic: str) -> None:
        return None

    async def force_metadata_update(self) -> bool:
        return self._answers


@pytest.mark.parametrize("answers", [False, True])
async def test_a_topic_that_was_there_and_is_not_told_of_is_waited_for(
    tmp_path: Path, *, answers: bool
) -> None:
    """Found by chaos, seed 4: a broker that was killed stopped the worker for good."""
    app = make_app(SETTINGS, "dedupe", str(tmp_path))
    producer: Any = Producer(app.transport)
    producer.client = Client(answers=answers)
    with pytest.raises(TransientError, match="no broker tells of"):
        await producer._partitions(producer, "items.tagged")
