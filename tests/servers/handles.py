"""The servers as a test sees them: an address, and what a failure test does to them.

Every method blocks. A test whose own event loop must go on meanwhile calls it as
``await asyncio.to_thread(server.start)``.
"""

from __future__ import annotations

import random
import socket
import time
import urllib.error
import urllib.request

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

from tests.servers.errors import ServerError
from tests.servers.runners import Runner


Kind = Literal["kafka", "elasticsearch"]

START_MAX_S = 120.0
LOOK_EVERY_S = 0.05
#: Below the ports that systems give to outgoing connections: while a server is down, a
#: client that retries one of those can end up connected to itself, and hold the port.
PORTS = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Return *count* distinct loopback ports on which nobody listens now."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.choice(PORTS)
        if port not in ports and is_free(port):
            ports.append(port)
    return ports


def is_free(port: int) -> bool:
    """Tell whether nobody listens on the loopback *port*."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Server(ABC):
    """One server that we run."""

    def __init__(self, runner: Runner, port: int) -> None:
        self._runner = runner
        self._port = port

    @property
    @abstractmethod
    def address(self) -> str:
        """Where clients reach it."""

    @abstractmethod
    def _serves(self) -> bool:
        """Tell whether it answers requests, once it has been started."""

    def start(self) -> None:
        """Start it, each time on the same port and data; return when it serves.

        Raises ServerError, with the end of the log, when it does not come up.
        """
        self._runner.start()
        self._wait_until(self._serves)

    def kill(self) -> None:
        """Kill it, as with ``kill -9``; its data stay for the next ``start()``."""
        self._runner.kill()
        deadline_s = time.monotonic() + START_MAX_S
        while not is_free(self._port) and time.monotonic() < deadline_s:
            time.sleep(LOOK_EVERY_S)

    def pause(self) -> None:
        """Let it stand still with its connections open, as a hanging server does."""
        self._runner.pause()

    def resume(self) -> None:
        """Let it go on after ``pause()``."""
        self._runner.resume()

    def end(self) -> None:
        """End it for good, and remove its data; harmless when it has ended."""
        self._runner.end()

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + START_MAX_S
        while not condition():
            if not self._runner.running() or time.monotonic() > deadline_s:
                tail = self._runner.printed()[-3000:]
                raise ServerError(f"{type(self).__name__} did not start:\n{tail}")
            time.sleep(LOOK_EVERY_S)


class KafkaServer(Server):
    """A broker that is its own controller; topics are not made by themselves."""

    @property
    def address(self) -> str:
        """Return ``host:port``."""
        return f"127.0.0.1:{self._port}"

    def _serves(self) -> bool:
        # Logged when the broker has left the fence, which is after its port opened.
        return "Kafka Server started" in self._runner.printed()


class ElasticsearchServer(Server):
    """One node, without security."""

    @property
    def address(self) -> str:
        """Return ``http://host:port``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Return :attr:`address`, under the name that fits it."""
        return self.address

    def _serves(self) -> bool:
        health = f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=5s"
        try:
            with urllib.request.urlopen(health, timeout=10) as answer:  # noqa: S310 - http, ours
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False
