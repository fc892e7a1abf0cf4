"""The servers from their official images, where a container engine answers."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.servers import config
from tests.servers.errors import UnavailableError
from tests.servers.handles import ElasticsearchServer, KafkaServer, Kind, free_ports
from tests.servers.maven import new_folder
from tests.servers.runners import Container


#: The images that docker-compose.yml names, too.
IMAGES: dict[Kind, str] = {
    "kafka": "apache/kafka:4.4.0",
    "elasticsearch": "docker.elastic.co/elasticsearch/elasticsearch:9.4.3",
}
ENGINE_MAX_S = 10.0


class Containers:
    """Pulls the images once, and runs a container a server."""

    def __init__(self) -> None:
        """Raise UnavailableError when no container engine answers."""
        self.name = self._engine = find_engine()

    def fetch(self, kind: Kind) -> None:
        """Have the image of *kind*; UnavailableError when it cannot be pulled."""
        image = IMAGES[kind]
        if _call(self._engine, "image", "inspect", image).returncode == 0:
            return
        done = _call(self._engine, "pull", "--quiet", image)
        if done.returncode != 0:
            raise UnavailableError(f"cannot pull {image}: {done.stderr.strip()}")

    def kafka(self, port: int | None = None) -> KafkaServer:
        """Return a broker in a container, not yet started."""
        free_port, controller_port = free_ports(2)
        port = port or free_port
        properties = config.kafka(port, controller_port, host="0.0.0.0")  # noqa: S104 - inside
        env = {
            "CLUSTER_ID": config.KAFKA_CLUSTER,
            "KAFKA_HEAP_OPTS": config.KAFKA_JVM[0],
            **{_kafka_variable(name): value for name, value in properties.items()},
        }
        options = ["--publish", f"127.0.0.1:{port}:{port}", *_env(env)]
        runner = Container(new_folder("kafka"), self._engine, IMAGES["kafka"], options)
        return KafkaServer(runner, port)

    def elasticsearch(self, port: int | None = None) -> ElasticsearchServer:
        """Return a node in a container, not yet started."""
        port = port or free_ports(1)[0]
        env = config.elasticsearch() | {"ES_JAVA_OPTS": config.ELASTICSEARCH_JVM}
        options = ["--publish", f"127.0.0.1:{port}:9200", *_env(env)]
        folder = new_folder("elasticsearch")
        runner = Container(folder, self._engine, IMAGES["elasticsearch"], options)
        return ElasticsearchServer(runner, port)


def find_engine() -> str:
    """Return a command whose engine answers; a client alone is not enough."""
    for engine in ("docker", "podman"):
        if shutil.which(engine) is None:
            continue
        try:
            done = _call(engine, "ps", "--quiet", timeout_s=ENGINE_MAX_S)
        except subprocess.TimeoutExpired:
            continue
        if done.returncode == 0:
            return engine
    raise UnavailableError("no container engine (docker, podman) answers")


def _kafka_variable(name: str) -> str:
    """Return the variable from which the image takes the setting *name*."""
    return "KAFKA_" + name.upper().replace(".", "_")


def _env(variables: dict[str, str]) -> list[str]:
    return [
        w for name, value in variables.items() for w in ("--env", f"{name}={value}")
    ]


def _call(
    engine: str, *words: str, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [engine, *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=dict(os.environ),
    )
