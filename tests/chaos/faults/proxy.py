"""A TCP proxy on loopback that can be slow, stall, cut and refuse.

It knows nothing of what passes: put it before an Elasticsearch, or before a Kafka broker
whose *advertised* listener is the proxy's address (a client goes where the broker says).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading

from collections.abc import Coroutine
from typing import Any, Self


CHUNK_BYTES = 64 << 10
_ENDING_S = 10.0
#: Closing a socket with this sends RST, not FIN.
_LINGER_NONE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes connections on to *target*; use as a context manager.

    The faults hold until :meth:`heal`, and reach connections that stand already.
    """

    def __init__(self, target: tuple[str, int], *, port: int = 0) -> None:
        self._target = target
        self._port = port
        self._latency_s = 0.0
        self._bytes_per_s = 0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ENDING_S)
        self._loop.close()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._port

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return f"127.0.0.1:{self._port}"

    @property
    def connections(self) -> int:
        """How many connections stand."""
        return len(self._links)

    def slow(self, *, latency_s: float = 0.0, bytes_per_s: int = 0) -> None:
        """Hold up what passes, each way; 0 bytes/s is no limit to the rate."""
        self._latency_s, self._bytes_per_s = latency_s, bytes_per_s

    def stall(self) -> None:
        """Accept connections, keep them, pass nothing."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def cut(self) -> None:
        """Reset (RST) all connections that stand."""
        self._do(self._cut())

    def refuse(self) -> None:
        """Reset all connections, and refuse new ones."""
        self._do(self._refuse())

    def heal(self) -> None:
        """End every fault."""
        self.slow()
        self._loop.call_soon_threadsafe(self._flowing.set)
        self._do(self._listen())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_ENDING_S)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, "127.0.0.1", self._port
            )
            self._port = self._server.sockets[0].getsockname()[1]

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    async def _cut(self) -> None:
        links = dict(self._links)
        for task, writers in links.items():
            for writer in writers:
                _reset(writer)
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _end(self) -> None:
        await self._refuse()

    async def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = [writer]
        try:
            to_read, to_write = await asyncio.open_connection(*self._target)
            self._links[task].append(to_write)
            await asyncio.gather(
                self._pump(reader, to_write), self._pump(to_read, writer)
            )
        except (OSError, asyncio.CancelledError):
            _reset(writer)  # the other side has gone: say so
        finally:
            for each in self._links.pop(task):
                each.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        while chunk := await source.read(CHUNK_BYTES):
            if self._latency_s:
                await asyncio.sleep(self._latency_s)
            if self._bytes_per_s:
                await asyncio.sleep(len(chunk) / self._bytes_per_s)
            await self._flowing.wait()
            sink.write(chunk)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST; one that is closed stays so."""
    raw: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    writer.transport.abort()
