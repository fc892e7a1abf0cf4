from __future__ import annotations

import asyncio

from collections.abc import Callable

import pytest

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from elasticsearch import AsyncElasticsearch, Elasticsearch

from tests.servers.handles import ElasticsearchServer, KafkaServer
from tests.servers.leftovers import drop_indices, drop_topics


async def test_kafka_gives_back_what_it_took(kafka: str, prefix: str) -> None:
    topic = f"{prefix}records"
    await _create_topic(kafka, topic)
    await _produce(kafka, topic, b"first")
    assert await _read_one(kafka, topic) == b"first"


async def test_kafka_makes_no_topic_by_itself(kafka: str, prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.describe_topics([f"{prefix}unheard-of"])
        assert f"{prefix}unheard-of" not in await admin.list_topics()
    finally:
        await admin.close()


async def test_elasticsearch_finds_what_it_indexed(
    elasticsearch: str, prefix: str
) -> None:
    index = f"{prefix}documents"
    async with AsyncElasticsearch(elasticsearch) as client:
        await client.index(index=index, document={"text": "un puits"}, refresh=True)
        found = await client.search(index=index, query={"match": {"text": "puits"}})
    assert found["hits"]["total"]["value"] == 1


@pytest.mark.parametrize(
    ("language", "text", "stem"),
    [
        ("english", "attacks", "attack"),
        ("french", "attaques", "attaqu"),
        ("spanish", "ataques", "ataqu"),
        ("arabic", "الهجمات", "هجم"),
    ],
)
async def test_elasticsearch_has_the_stemmers_that_we_build_on(
    elasticsearch: str, language: str, text: str, stem: str
) -> None:
    async with AsyncElasticsearch(elasticsearch) as client:
        analyzed = await client.indices.analyze(
            tokenizer="standard",
            filter=[{"type": "snowball", "language": language.title()}],
            text=text,
        )
    assert [token["token"] for token in analyzed["tokens"]] == [stem]


async def test_a_tests_topics_and_indices_can_be_removed_by_prefix(
    kafka: str, elasticsearch: str, prefix: str
) -> None:
    topic, index, neighbour = f"{prefix}a-x", f"{prefix}a-x", f"{prefix}b-x"
    await _create_topic(kafka, topic)
    await _create_topic(kafka, neighbour)
    with Elasticsearch(elasticsearch) as client:
        for name in (index, neighbour):
            client.indices.create(index=name)
            client.indices.put_index_template(name=name, index_patterns=[f"{name}-*"])
        await drop_topics(kafka, f"{prefix}a")
        drop_indices(elasticsearch, f"{prefix}a")
        left = client.indices.get(index=f"{prefix}*")
        assert set(left) == {neighbour}
        assert not client.indices.exists_index_template(name=index)
        assert client.indices.exists_index_template(name=neighbour)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        topics = {name for name in await admin.list_topics() if name.startswith(prefix)}
    finally:
        await admin.close()
    assert topics == {neighbour}


async def test_a_killed_broker_comes_back_with_its_records(
    own_kafka: Callable[[], KafkaServer],
) -> None:
    server = own_kafka()
    address = server.address
    await _create_topic(address, "records")
    await _produce(address, "records", b"before")
    server.kill()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(*address.split(":"))
    server.start()
    assert server.address == address
    assert await _read_one(address, "records") == b"before"


async def test_a_paused_broker_answers_nobody_until_it_goes_on(
    own_kafka: Callable[[], KafkaServer],
) -> None:
    server = own_kafka()
    await _create_topic(server.address, "records")
    async with AIOKafkaProducer(bootstrap_servers=server.address) as producer:
        await producer.partitions_for("records")
        server.pause()
        sending = await producer.send("records", b"late")
        done, _ = await asyncio.wait([sending], timeout=0.5)
        assert not done
        server.resume()
        await sending


def test_a_killed_node_comes_back_with_its_documents(
    own_elasticsearch: Callable[[], ElasticsearchServer],
) -> None:
    server = own_elasticsearch()
    with Elasticsearch(server.url) as client:
        client.index(index="documents", id="1", document={"text": "kept"})
        server.kill()
        server.start()
        assert client.get(index="documents", id="1")["_source"] == {"text": "kept"}


async def _create_topic(address: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def _produce(address: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address) as producer:
        await producer.send_and_wait(topic, value)


async def _read_one(address: str, topic: str) -> bytes:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=address, auto_offset_reset="earliest"
    ) as consumer:
        record = await consumer.getone()
    assert record.value is not None
    return bytes(record.value)
