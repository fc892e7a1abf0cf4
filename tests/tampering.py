"""What others may do to topics on Kafka behind our back."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.log.kafka import POLICY, topic_config
from streams.log.opening import open_log
from streams.settings import Settings
from streams.topics import Topic


async def add_partition(settings: Settings, topic: Topic) -> None:
    """Give *topic* a partition more than it should have."""
    new = NewPartitions(topic.partitions + 1)
    async with _admin(settings) as admin:
        await admin.create_partitions({settings.prefix + topic.name: new})


async def truncate(settings: Settings, topic: Topic, *, share: float = 1.0) -> None:
    """Delete the first *share* of the records of each partition of *topic*."""
    async with open_log(settings) as log:
        ends = await log.ends(topic.name)
    name = settings.prefix + topic.name
    before = {
        TopicPartition(name, partition): RecordsToDelete(int(end * share))
        for partition, end in ends.items()
    }
    async with _admin(settings) as admin:
        # Of a topic that is compacted alone brokers let nobody delete records.
        await _set_policy(admin, name, topic, "compact,delete")
        await admin.delete_records(before)
        await _set_policy(admin, name, topic, topic_config(topic)[POLICY])


async def delete(settings: Settings, topic: Topic) -> None:
    """Delete *topic*; brokers forget what groups committed for it."""
    async with _admin(settings) as admin:
        await admin.delete_topics([settings.prefix + topic.name])
    async with open_log(settings) as log:
        while await log.partitions(topic.name):  # noqa: ASYNC110 - brokers tell nobody
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def _set_policy(admin: Any, name: str, topic: Topic, policy: str) -> None:
    configs = topic_config(topic) | {POLICY: policy}
    resource = ConfigResource(ConfigResourceType.TOPIC, name, configs=configs)
    await admin.alter_configs([resource])
