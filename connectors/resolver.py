"""Name look-ups that nobody has to wait for when the process stops.

asyncio looks names up in its default executor, whose threads are joined at exit: a name
server that does not answer would hold up Ctrl-C for its whole time-out.
"""

from __future__ import annotations

import asyncio
import socket
import threading

from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult


#: Look-ups under way at once; each holds a thread until the system gives up on it.
PARALLEL_MAX = 64

AddressInfo = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]


class DaemonResolver(AbstractResolver):
    """The system's resolver, in daemon threads."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(PARALLEL_MAX)

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; OSError if there are none."""
        async with self._room:
            found = await _in_daemon_thread(host, port, family)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is held open."""


async def _in_daemon_thread(host: str, port: int, family: int) -> Sequence[AddressInfo]:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[AddressInfo]] = loop.create_future()

    def settle(found: Sequence[AddressInfo] | None, error: OSError | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(found or [])

    def look_up() -> None:
        found: Sequence[AddressInfo] | None = None
        failure: OSError | None = None
        try:
            found = socket.getaddrinfo(
                host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
            )
        except OSError as error:
            failure = error
        except UnicodeError as error:
            failure = OSError(None, f"not a host name: {error}")
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=look_up, name=f"resolve {host[:40]}", daemon=True).start()
    return await answer
