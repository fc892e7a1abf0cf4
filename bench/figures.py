"""What the benches share: where the logs are, what a process used, how to print."""

from __future__ import annotations

import asyncio
import os
import tempfile

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import psutil

from aiokafka.admin import AIOKafkaAdminClient
from elasticsearch import AsyncElasticsearch

from streams.settings import Elasticsearch, Kafka, Settings


#: As in the tests: servers that run already (``make servers`` prints them).
KAFKA = os.environ.get("WIRETEST_KAFKA", "")
ELASTICSEARCH = os.environ.get("WIRETEST_ELASTICSEARCH", "")


def modes() -> list[str]:
    """Return what can be measured here; says what cannot."""
    if KAFKA and ELASTICSEARCH:
        return ["embedded", "servers"]
    print(
        "Kafka and Elasticsearch are not measured: run 'make servers' and name them in "
        "WIRETEST_KAFKA and WIRETEST_ELASTICSEARCH."
    )
    return ["embedded"]


@asynccontextmanager
async def fresh(mode: str) -> AsyncIterator[Settings]:
    """Give settings with nothing behind them, and take away what came to be."""
    prefix = f"bench{uuid4().hex[:8]}-"
    with tempfile.TemporaryDirectory(prefix="wirewatch-bench-") as folder:
        if mode == "embedded":
            yield Settings(data=str(Path(folder) / "data"))
            return
        yield Settings(
            mode="servers",
            prefix=prefix,
            kafka=Kafka(bootstrap=KAFKA),
            elasticsearch=Elasticsearch(url=ELASTICSEARCH),
        )
    await _take_away(prefix)


async def _take_away(prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=KAFKA)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if name.startswith(prefix)]
        if names:
            await admin.delete_topics(names)
    finally:
        await admin.close()
    async with AsyncElasticsearch(ELASTICSEARCH) as client:
        quiet = client.options(ignore_status=404)
        found = await quiet.indices.get(index=f"{prefix}*", expand_wildcards="all")
        for index in found:
            await quiet.indices.delete(index=index)
        templates = await quiet.indices.get_index_template(name=f"{prefix}*")
        for template in templates.body.get("index_templates", []):
            await quiet.indices.delete_index_template(name=template["name"])


def environ(settings: Settings) -> dict[str, str]:
    """Return the environment that gives another process the same settings."""
    return {
        "WIREWATCH_MODE": settings.mode,
        "WIREWATCH_DATA": settings.data,
        "WIREWATCH_PREFIX": settings.prefix,
        "WIREWATCH_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "WIREWATCH_ELASTICSEARCH_URL": settings.elasticsearch.url,
    }


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its children, so far."""
    process = psutil.Process(pid)
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        times = one.cpu_times()
        total += times.user + times.system
    return total


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which *share* of *values* lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def ended(process: asyncio.subprocess.Process) -> None:
    """Stop a worker."""
    if process.returncode is None:
        process.terminate()
    await asyncio.wait_for(process.wait(), 30)
