"""Remove what a test left on a shared server."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient
from elasticsearch import Elasticsearch


async def drop_topics(address: str, prefix: str) -> None:
    """Delete every topic whose name starts with *prefix*."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        names = [t for t in await admin.list_topics() if t.startswith(prefix)]
        if names:
            await admin.delete_topics(names)
    finally:
        await admin.close()


def drop_indices(url: str, prefix: str) -> None:
    """Delete every index and template whose name starts with *prefix*."""
    pattern = f"{prefix}*"
    with Elasticsearch(url) as client:
        # By name: a server may be set to refuse a deletion by pattern.
        for index in client.indices.get(index=pattern, expand_wildcards="all"):
            client.indices.delete(index=index)
        for template in client.indices.get_index_template()["index_templates"]:
            if template["name"].startswith(prefix):
                client.indices.delete_index_template(name=template["name"])
        for part in client.cluster.get_component_template()["component_templates"]:
            if part["name"].startswith(prefix):
                client.cluster.delete_component_template(name=part["name"])
