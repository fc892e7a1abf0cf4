"""Worker processes for what would block the event loop, or may hang or crash.

Parsing hostile bytes and reading texts are work for other processes: a document that
makes a parser loop or die costs its own call, and nothing else.

Not concurrent.futures (one death breaks the whole pool) and not pebble (an *idle*
worker's death breaks its whole pool, tried with 5.2.3; its workers share a pipe and
locks that a killed one takes with it). Here each worker has a socket of its own and
nothing is shared, so killing one at any moment is safe; a call costs 60 us on top of
its work (pebble: 155).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import resource
import signal
import socket
import struct
import threading
import traceback

from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, ParamSpec, Self, TypeVar, cast

import structlog

from streams.errors import PoolBrokenError, PoolCallError


P = ParamSpec("P")
T = TypeVar("T")

#: A new interpreter, its imports and the initializer, on a machine that is busy.
START_TIMEOUT_S = 120.0
#: A call whose worker dies is tried once more: the cause may lie elsewhere (the OOM
#: killer, a person). A document that kills two workers is at fault itself.
CRASHES_MAX = 2
#: A worker ends itself so long after its call's time-out, should nobody end it.
ORPHAN_GRACE_S = 5.0

#: A worker whose address space has grown by this share of its limit since its first call
#: is replaced: what a call leaves behind must not become the next one's.
_SPENT_SHARE = 0.5
_PAGE_BYTES = resource.getpagesize()

_SPAWN = multiprocessing.get_context("spawn")
_LENGTH = struct.Struct("!Q")
#: Of a reply: its length, whether it is that memory ran out, whether the worker is spent.
_REPLY = struct.Struct("!Q??")
#: They reach the whole process group; stopping is the parent's business.
_PARENTS_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = structlog.get_logger()


class Pool:
    """A fixed number of supervised worker processes. Use as an async context manager.

    ``timeout_s`` bounds each call, ``initializer`` runs first in each worker, and
    ``memory_max_bytes`` bounds what a call may take beside what its worker has loaded
    (address space, RLIMIT_AS; where the system has /proc, else there is no bound). Entering
    waits until every worker is ready and raises PoolBrokenError if one cannot start.
    Leaving kills the workers at once; what still runs ends in PoolBrokenError.
    """

    def __init__(
        self,
        processes: int,
        *,
        timeout_s: float,
        memory_max_bytes: int | None = None,
        initializer: Callable[[], None] | None = None,
        name: str,
    ) -> None:
        assert processes > 0, processes
        self.processes = processes
        self._timeout_s = timeout_s
        self._memory_max_bytes = memory_max_bytes
        self._initializer = initializer
        self._name = name
        self._closed = False
        self._workers: set[_Worker] = set()
        #: One entry a process; None where a worker has yet to be started. Last in,
        #: first out: a warm worker is better than a cold one.
        self._slots: asyncio.LifoQueue[_Worker | None] = asyncio.LifoQueue()

    async def __aenter__(self) -> Self:
        starts = [asyncio.create_task(self._start()) for _ in range(self.processes)]
        try:
            for worker in await asyncio.gather(*starts):
                self._slots.put_nowait(worker)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        for worker in tuple(self._workers):
            self._end(worker)

    async def run(
        self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what *function* returns; it and its arguments must pickle.

        Raises what it raises, with the worker's traceback as a note; PoolCallError when
        it takes longer than ``timeout_s`` or more than ``memory_max_bytes``, or its
        worker dies. Cancelling the caller ends the work.
        """
        for crashes in range(1, CRASHES_MAX + 1):
            named = getattr(function, "__qualname__", repr(function))
            try:
                reply = await self._ask((function, args, kwargs))
            except _WorkerDiedError as death:
                _log.warning(
                    "pool.worker_died",
                    pool=self._name,
                    function=named,
                    exit_code=death.exit_code,
                    crashes=crashes,
                )
                why = f"{named}: its worker died {crashes} times ({death})"
                # What C++ and Rust do when they get no memory.
                aborted = death.exit_code == -signal.SIGABRT
                continue
            if reply.out_of_memory:
                raise PoolCallError("memory", f"{named} {self._needs_more()}")
            succeeded, result = _loads(reply.data)
            if not succeeded:
                raise result
            return cast(T, result)
        if aborted and self._memory_max_bytes is not None:
            raise PoolCallError("memory", f"{why}; likely it {self._needs_more()}")
        raise PoolCallError("crash", why)

    def _needs_more(self) -> str:
        if self._memory_max_bytes is None:
            return f"needs more memory than there is ({self._name})"
        return f"needs more than {self._memory_max_bytes:,} bytes ({self._name})"

    async def _ask(self, call: tuple[object, ...]) -> _Reply:
        worker = kept = await self._slots.get()
        try:
            # Not before: what waits for its turn is held once.
            pickled = pickle.dumps(call, pickle.HIGHEST_PROTOCOL)
            kept = None
            if worker is None or worker.gone:
                if worker is not None:
                    self._end(worker)
                worker = await self._start()
            reply = await worker.ask(pickled, self._timeout_s)
            kept = None if reply.spent else worker
        except TimeoutError:
            raise PoolCallError(
                "timeout", f"no answer within {self._timeout_s:g} s ({self._name})"
            ) from None
        finally:
            if kept is None and worker is not None:
                self._end(worker)
            self._slots.put_nowait(kept)
        return reply

    async def _start(self) -> _Worker:
        if self._closed:
            raise PoolBrokenError(f"the pool {self._name!r} is closed")
        worker = await _Worker.launch(
            self._name, self._initializer, self._timeout_s, self._memory_max_bytes
        )
        self._workers.add(worker)
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                succeeded, error = _loads((await worker.receive()).data)
        except (TimeoutError, _WorkerDiedError) as failure:
            self._end(worker)
            raise PoolBrokenError(
                f"a worker of {self._name!r} does not start: {failure!r}"
            ) from failure
        except BaseException:
            self._end(worker)
            raise
        if not succeeded:
            self._end(worker)
            raise PoolBrokenError(
                f"a worker of {self._name!r} does not start: {error!r}"
            ) from error
        return worker

    def _end(self, worker: _Worker) -> None:
        self._workers.discard(worker)
        worker.kill()


class _WorkerDiedError(Exception):
    """The other end of the socket is gone."""

    def __init__(self, exit_code: int | None) -> None:
        self.exit_code = exit_code
        if exit_code is not None and exit_code < 0:
            super().__init__(signal.Signals(-exit_code).name)
        else:
            super().__init__(f"exit code {exit_code}")


class _Reply(NamedTuple):
    """What a worker sent."""

    data: bytes
    out_of_memory: bool
    #: The worker should be replaced.
    spent: bool


class _Worker:
    """One process, seen from its parent."""

    def __init__(
        self,
        process: SpawnProcess,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def launch(
        cls,
        name: str,
        initializer: Callable[[], None] | None,
        timeout_s: float,
        memory_max_bytes: int | None,
    ) -> _Worker:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _SPAWN.Process(
                target=_serve,
                args=(
                    theirs,
                    initializer,
                    timeout_s + ORPHAN_GRACE_S,
                    memory_max_bytes,
                ),
                name=name,
                daemon=True,
            )
            _start_deaf(process)
        reader, writer = await asyncio.open_connection(sock=ours)
        return cls(process, reader, writer)

    @property
    def gone(self) -> bool:
        return self._reader.at_eof()

    async def ask(self, call: bytes, timeout_s: float) -> _Reply:
        async with asyncio.timeout(timeout_s):
            try:
                self._writer.write(_LENGTH.pack(len(call)))
                self._writer.write(call)
                await self._writer.drain()
            except OSError:
                raise _WorkerDiedError(await self._exit_code()) from None
            return await self.receive()

    async def receive(self) -> _Reply:
        try:
            header = await self._reader.readexactly(_REPLY.size)
            length, out_of_memory, spent = _REPLY.unpack(header)
            data = await self._reader.readexactly(length)
            return _Reply(data, out_of_memory, spent)
        except (asyncio.IncompleteReadError, OSError):
            raise _WorkerDiedError(await self._exit_code()) from None

    async def _exit_code(self) -> int | None:
        # The kernel closes a dying process's sockets just before it can be waited for.
        await asyncio.to_thread(self._process.join, 1.0)
        return self._process.exitcode

    def kill(self) -> None:
        self._writer.transport.abort()
        self._process.kill()
        self._process.join()


def _start_deaf(process: SpawnProcess) -> None:
    """Start *process* with the parent's signals blocked from its first instruction."""
    # Once it runs, starting a process leaves the signal mask alone.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PARENTS_SIGNALS)
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    sock: socket.socket,
    initializer: Callable[[], None] | None,
    life_s: float,
    memory_max_bytes: int | None,
) -> None:
    """Answer calls until the parent hangs up: what a worker process does."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    calls, replies = sock.makefile("rb"), sock.makefile("wb")
    memory = _Memory(memory_max_bytes)
    with suppress(BrokenPipeError, ConnectionResetError):
        _send(replies, _outcome(initializer or _nothing), memory)
        while header := calls.read(_LENGTH.size):
            call = calls.read(*_LENGTH.unpack(header))
            # The default action of SIGALRM ends the process even where C code keeps
            # the interpreter from running: the last resort when the parent is gone.
            signal.setitimer(signal.ITIMER_REAL, life_s)
            _send(replies, _answer(call, memory), memory)
            signal.setitimer(signal.ITIMER_REAL, 0)
    # Not sys.exit: flushing the socket's file would fail, and there is nothing to keep.
    os._exit(0)


class _Memory:
    """What a worker may take for a call, and whether it gave it back afterwards."""

    def __init__(self, max_bytes: int | None) -> None:
        self._max_bytes = max_bytes
        self._loaded_bytes: int | None = None

    def limit(self) -> None:
        """From now on, let no more be taken than the limit beside what is mapped."""
        if self._max_bytes is None or (mapped := _mapped_bytes()) is None:
            return
        if self._loaded_bytes is None:
            self._loaded_bytes = mapped
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = mapped + self._max_bytes
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(resource.RLIMIT_AS, (most, hard))

    def lift(self) -> None:
        """Let go again, so that the outcome can be told."""
        if self._max_bytes is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    @property
    def spent(self) -> bool:
        """Whether calls have left so much behind that a new worker is better."""
        if self._max_bytes is None or self._loaded_bytes is None:
            return False
        mapped = _mapped_bytes() or 0
        return mapped - self._loaded_bytes > _SPENT_SHARE * self._max_bytes


def _mapped_bytes() -> int | None:
    """Return the size of this process's address space; None where nothing says it."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - at each call
            return int(file.readline().split()[0]) * _PAGE_BYTES
    except OSError:
        return None


def _answer(call: bytes, memory: _Memory) -> bytes | None:
    """Return the outcome of *call*, pickled; None if its memory ran out."""
    try:
        # Loading imports what the function needs, which is no part of the call.
        function, args, kwargs = _loads(call)
    except Exception as error:  # noqa: BLE001 - it is the caller's, whatever it is
        return _pickled(succeeded=False, result=_portable(error))
    memory.limit()
    try:
        return _outcome(function, *args, **kwargs)
    except MemoryError:
        return None
    finally:
        memory.lift()


def _nothing() -> None:
    """Initialise nothing."""


def _outcome(function: Callable[..., Any], *args: Any, **kwargs: Any) -> bytes:
    try:
        result = function(*args, **kwargs)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - it is the caller's, whatever it is
        return _pickled(succeeded=False, result=_portable(error))
    return _pickled(succeeded=True, result=result)


def _pickled(*, succeeded: bool, result: object) -> bytes:
    try:
        return pickle.dumps((succeeded, result), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - pickle raises what an object's hooks raise
        return pickle.dumps((False, _portable(error)), pickle.HIGHEST_PROTOCOL)


def _send(replies: BinaryIO, outcome: bytes | None, memory: _Memory) -> None:
    data = outcome or b""
    spent = outcome is None or memory.spent
    replies.write(_REPLY.pack(len(data), outcome is None, spent))
    replies.write(data)
    replies.flush()


def _portable(error: Exception) -> Exception:
    """Return *error*, or what can be said of it if it does not survive pickling."""
    note = "in the worker:\n" + "".join(traceback.format_exception(error))
    try:
        copied: Exception = _loads(pickle.dumps(error))
        assert isinstance(copied, Exception)
    except Exception:  # noqa: BLE001 - pickle raises what an object's hooks raise
        copied = RuntimeError(f"{type(error).__name__}: {error}")
    copied.add_note(note)
    return copied


def _loads(data: bytes) -> Any:
    return pickle.loads(data)  # noqa: S301 - from our own process, over a private socket


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)
