"""Feeds a log, runs workers on it, and reads what came out: the same for both logs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from streams.clock import from_ms
from streams.log.face import Log, Output, Record
from streams.log.opening import open_log
from streams.records import Identity, RawItem, Source
from streams.settings import Kafka, Settings
from streams.topics import DEADLETTERS, DECLARED, RAW, UNIQUE, Topic, group
from tests.integration.delivery.worker import Errand


WORKER = "tests.integration.delivery.worker"
ROOT = Path(__file__).parents[3]
PATIENCE_S = 45.0


def settings_for(mode: str, folder: Path, *, kafka: str, prefix: str) -> Settings:
    if mode == "embedded":
        return Settings(data=str(folder), prefix=prefix)
    return Settings(mode="servers", prefix=prefix, kafka=Kafka(bootstrap=kafka))


class Process:
    """One worker."""

    def __init__(self, process: asyncio.subprocess.Process, said: Path) -> None:
        self._process = process
        self._said = said

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def runs(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ends(self) -> int:
        """Return the exit code, when it has one."""
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    async def kill(self) -> None:
        if self.runs:
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> int:
        """Ask it to stop; return its exit code."""
        self.signal(signal.SIGTERM)
        return await self.ends()


class Bench:
    """A log with its topics, and whoever works on it."""

    def __init__(self, log: Log, settings: Settings, folder: Path) -> None:
        self.log = log
        self.settings = settings
        self.folder = folder
        self.fed = 0
        self._workers: list[Process] = []

    async def create(self, topics: Iterable[Topic] = DECLARED) -> None:
        await self.log.create(topics)

    # -- in ----------------------------------------------------------------------------

    async def feed(self, errands: Iterable[Errand | bytes]) -> None:
        outputs = [
            Output(RAW.name, b"bad", errand)
            if isinstance(errand, bytes)
            else Output(RAW.name, errand.key.encode(), item(errand))
            for errand in errands
        ]
        for start in range(0, len(outputs), 500):
            await self.log.append(outputs[start : start + 500])
        self.fed += len(outputs)

    # -- workers -----------------------------------------------------------------------

    async def work(
        self, shape: str = "plain", *arguments: str, **environ: str
    ) -> Process:
        """Start a worker; it is not ready yet."""
        said = self.folder / f"worker{len(self._workers)}.txt"
        with said.open("w") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                WORKER,
                shape,
                *arguments,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                env=os.environ | self._environ() | environ,
            )
        self._workers.append(Process(process, said))
        return self._workers[-1]

    def _environ(self) -> dict[str, str]:
        return {
            "WIREWATCH_MODE": self.settings.mode,
            "WIREWATCH_DATA": self.settings.data,
            "WIREWATCH_PREFIX": self.settings.prefix,
            "WIREWATCH_KAFKA_BOOTSTRAP": self.settings.kafka.bootstrap,
            "WIREWATCH_KAFKA_SESSION_TIMEOUT_S": "6",
        }

    async def ready(self, *workers: Process) -> None:
        for worker in workers:
            await self.until(
                lambda w=worker: _true(  # type: ignore[misc]
                    "ready\n" in w.said or not w.runs
                )
            )
            assert worker.runs, worker.said

    async def end(self) -> None:
        for worker in self._workers:
            await worker.kill()

    # -- out ---------------------------------------------------------------------------

    async def until(
        self, holds: Callable[[], Awaitable[bool]], patience_s: float = PATIENCE_S
    ) -> None:
        deadline = time.monotonic() + patience_s
        while not await holds():
            if time.monotonic() > deadline:
                said = "\n".join(w.said[-3000:] for w in self._workers)
                raise AssertionError(
                    f"not within {patience_s} s; workers said:\n{said}"
                )
            await asyncio.sleep(0.05)

    async def until_drained(self, patience_s: float = PATIENCE_S) -> None:
        """Return when everything fed is handled, and that is committed."""
        await self.until(self._drained, patience_s)

    async def _drained(self) -> bool:
        return sum((await self.committed()).values()) >= self.fed

    async def committed(self) -> dict[int, int]:
        return await self.log.committed(group("dedupe"), RAW.name)

    async def records(self, topic: Topic = UNIQUE) -> list[Record]:
        starts, ends = (
            await self.log.starts(topic.name),
            await self.log.ends(topic.name),
        )
        return [r async for r in self.log.read(topic.name, starts, ends)]

    async def numbers(self) -> list[int]:
        """Return what came through, as often as it did, in order within a key."""
        return [_errand(record).number for record in await self.records()]

    async def by_key(self) -> dict[str, list[int]]:
        """Return what came through for each key, in order, first occurrences only."""
        found: dict[str, dict[int, None]] = defaultdict(dict)
        for record in await self.records():
            errand = _errand(record)
            found[errand.key][errand.number] = None
        return {key: list(numbers) for key, numbers in found.items()}

    async def dead(self) -> list[Record]:
        return await self.records(DEADLETTERS)


def errands(numbers: Iterable[int], keys: int = 20, **options: object) -> list[Errand]:
    """Return one errand a number, spread over *keys* keys."""
    return [
        msgspec.convert({"number": n, "key": f"k{n % keys}", **options}, Errand)
        for n in numbers
    ]


def in_order(numbers: Sequence[int], keys: int = 20) -> dict[str, list[int]]:
    """Return what :meth:`Bench.by_key` gives when every number came in order."""
    found: dict[str, list[int]] = defaultdict(list)
    for n in numbers:
        found[f"k{n % keys}"].append(n)
    return dict(found)


async def open_bench(settings: Settings, folder: Path) -> Bench:
    return Bench(await open_log(settings).__aenter__(), settings, folder)


def item(errand: Errand, text: str = "") -> bytes:
    """Return the raw item that carries *errand*."""
    return msgspec.json.encode(
        RawItem(
            identities=(Identity(kind="guid", value=str(errand.number)),),
            publisher=errand.key,
            source=Source(connector="ingest", id="test"),
            title=msgspec.json.encode(errand).decode(),
            text=text,
            fetched=from_ms(1_700_000_000_000),
        )
    )


def _errand(record: Record) -> Errand:
    assert record.value is not None
    item = msgspec.json.decode(record.value, type=RawItem)
    return msgspec.json.decode(item.title, type=Errand)


async def _true(value: bool) -> bool:
    return value
