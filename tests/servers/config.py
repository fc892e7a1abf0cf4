"""How the servers are set up, wherever they come from: small, quick to start, strict."""

from __future__ import annotations


KAFKA_CLUSTER = "MkU3OEVBNTcwNTJENDM2Qk"
KAFKA_JVM = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
ELASTICSEARCH_JVM = "-Xms512m -Xmx512m -XX:TieredStopAtLevel=1"


def kafka(port: int, controller_port: int, *, host: str) -> dict[str, str]:
    """Return the settings of a broker that listens on *host* and is its own controller."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        # A group starts at once; a worker that is gone can be missed after a second.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # A broker that was killed is let in again soon.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "2000",
        # A topic that nobody declared is an error.
        "auto.create.topics.enable": "false",
    }


def elasticsearch() -> dict[str, str]:
    """Return the settings of a node for itself."""
    return {
        "cluster.name": "wirewatch-test",
        "discovery.type": "single-node",
        "xpack.security.enabled": "false",
        # A nearly full disk must not block the indices of a test.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
    }
