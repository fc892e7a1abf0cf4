"""Name look-ups: remembered for a while, and waited for by nobody longer than need be.

asyncio looks names up in its default executor, whose threads are joined at exit and are
few: a name server that does not answer would hold up Ctrl-C, and all other names, for its
whole time-out. Here each look-up has a daemon thread of its own, and one that hangs costs
its own name only.

Whether an address may be connected to is judged when that happens
(:mod:`connectors.http`), so nothing hangs on how long one is remembered here.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from aiohttp.abc import AbstractResolver, ResolveResult


#: Look-ups under way at once; each holds a thread until the system gives up on it.
PARALLEL_MAX = 128
#: The system may try for longer, but nobody waits for that.
LOOK_UP_MAX_S = 10.0
#: Names that are remembered.
NAMES_MAX = 20_000
ADDRESSES_MAX = 16
#: The system does not tell for how long an answer holds.
FRESH_S = 300.0
NEGATIVE_S = 30.0
#: While no name server answers, what was true so lately will do (RFC 8767).
STALE_MAX_S = 86_400.0

#: RFC 6761 section 6.3: never asked about, whoever else might answer.
_LOOPBACK = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
#: RFC 6761 section 6.4, RFC 7686.
_NOWHERE = frozenset({"invalid", "onion"})

Address = tuple[socket.AddressFamily, str]
#: Returns the addresses of a name; blocks; raises OSError if there are none.
LookUp = Callable[[str], Sequence[Address]]


class _Answer(NamedTuple):
    addresses: tuple[Address, ...]
    #: Why there are none: a code of getaddrinfo, and what it means.
    error: tuple[int, str]
    at: float
    until: float


def system_look_up(name: str) -> list[Address]:
    """Ask the system, which asks /etc/hosts and its name servers."""
    found = socket.getaddrinfo(
        name, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
    )
    return [(family, str(address[0])) for family, _, _, _, address in found]


class DaemonResolver(AbstractResolver):
    """The system's resolver, in daemon threads, with a memory."""

    def __init__(
        self,
        look_up: LookUp = system_look_up,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._monotonic = monotonic
        self._known: OrderedDict[str, _Answer] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[_Answer]] = {}
        self._room = asyncio.Semaphore(PARALLEL_MAX)

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,
    ) -> list[ResolveResult]:
        """Return the addresses of *host*; OSError if there are none."""
        addresses = await self._addresses(host.lower().rstrip("."))
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in addresses
            if family in {socket.AF_UNSPEC, kind}
        ]

    async def close(self) -> None:
        """Stop waiting for what is under way."""
        for task in [*self._under_way.values()]:
            task.cancel()

    async def _addresses(self, name: str) -> Sequence[Address]:
        top = name.rpartition(".")[2]
        if top == "localhost":
            return _LOOPBACK
        if top in _NOWHERE:
            raise socket.gaierror(socket.EAI_NONAME, "there are no such names")
        answer = self._known.get(name)
        if answer is None or answer.until < self._monotonic():
            # Who gives up on it does not take it from the others who wait for it.
            answer = await asyncio.shield(self._asked(name))
        if not answer.addresses:
            raise socket.gaierror(*answer.error)
        return answer.addresses

    def _asked(self, name: str) -> asyncio.Task[_Answer]:
        task = self._under_way.get(name)
        if task is None:
            task = asyncio.create_task(self._ask(name), name=f"resolve {name[:40]}")
            self._under_way[name] = task
            task.add_done_callback(lambda _: self._under_way.pop(name, None))
        return task

    async def _ask(self, name: str) -> _Answer:
        found: tuple[Address, ...] = ()
        error = (socket.EAI_AGAIN, f"no answer within {LOOK_UP_MAX_S:g} s")
        try:
            async with asyncio.timeout(LOOK_UP_MAX_S):
                found = tuple(await self._in_thread(name))[:ADDRESSES_MAX]
        except TimeoutError:
            pass
        except OSError as failure:
            error = (failure.errno or socket.EAI_FAIL, failure.strerror or "")
        return self._remembered(name, found, error)

    def _remembered(
        self, name: str, found: tuple[Address, ...], error: tuple[int, str]
    ) -> _Answer:
        now = self._monotonic()
        answer = _Answer(found, error, now, now + (FRESH_S if found else NEGATIVE_S))
        unheard = not found and error[0] == socket.EAI_AGAIN
        before = self._known.get(name)
        if unheard and before is not None and now - before.at < STALE_MAX_S:
            answer = before._replace(until=answer.until)
        self._known[name] = answer
        self._known.move_to_end(name)
        if len(self._known) > NAMES_MAX:
            self._known.popitem(last=False)
        return answer

    async def _in_thread(self, name: str) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[Address]] = loop.create_future()
        await self._room.acquire()

        def settle(answer: Sequence[Address] | OSError) -> None:
            self._room.release()
            if found.done():
                return
            if isinstance(answer, OSError):
                found.set_exception(answer)
            else:
                found.set_result(answer)

        def look_up() -> None:
            answer: Sequence[Address] | OSError
            try:
                answer = self._look_up(name)
            except OSError as error:
                answer = error
            except UnicodeError:
                answer = socket.gaierror(socket.EAI_NONAME, "it is not a host name")
            if not loop.is_closed():
                loop.call_soon_threadsafe(partial(settle, answer))

        thread = threading.Thread(
            target=look_up, name=f"resolve {name[:40]}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._room.release()
            raise socket.gaierror(socket.EAI_AGAIN, "no thread can start") from None
        return await found
