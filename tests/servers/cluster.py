"""Brokers that clients reach by way of something else, such as a proxy; one, or three."""

from __future__ import annotations

from collections.abc import Sequence

from tests.servers import config
from tests.servers.handles import KafkaServer, free_ports
from tests.servers.maven import Maven, new_folder
from tests.servers.runners import Process


#: An in-sync replica of three may be missing.
IN_SYNC_MIN = 2


def brokers(
    maven: Maven, ports: Sequence[int], told: Sequence[int]
) -> list[KafkaServer]:
    """Return brokers of one cluster, not yet started.

    Each listens on its port of *ports*, and tells clients to come to that of *told*.
    They vote for a controller, so none serves before most have started.
    """
    voting = free_ports(len(ports))
    voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(voting, 1))
    found = []
    for node, port in enumerate(ports, 1):
        folder = new_folder("kafka")
        properties = config.kafka(port, voting[node - 1], host="127.0.0.1") | {
            "node.id": str(node),
            "controller.quorum.voters": voters,
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{told[node - 1]}",
            "offsets.topic.replication.factor": str(len(ports)),
            "min.insync.replicas": str(min(IN_SYNC_MIN, len(ports))),
            "log.dirs": str(folder / "data"),
        }
        file = folder / "server.properties"
        file.write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        runner = Process(
            folder, maven.kafka_command(file), before=maven.kafka_format(file)
        )
        found.append(KafkaServer(runner, port))
    return found
