"""The embedded mode under chaos: one ``wirewatch run``, others beside it, one folder."""

from __future__ import annotations

import asyncio
import sqlite3

from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from mappings.opening import open_index
from streams import events
from streams.errors import WirewatchError
from streams.log.face import Output
from streams.log.opening import open_log
from streams.records import Identity, RawItem
from streams.records import Source as Named
from streams.settings import Settings
from streams.topics import RAW, TAGGED, UNIQUE
from tests.chaos.faults.clock import Clock
from tests.chaos.faults.disk import CannotMountError, SmallDisk
from tests.chaos.invariant import Violation
from tests.chaos.stories import told
from tests.chaos.world import (
    EndedError,
    Process,
    World,
    configured,
    sources_toml,
)


DISK_MB = 512
PUBLISHER = "hand.example"
COMMAND_MAX_S = 60.0
ENDS_MAX_S = 240.0


class EmbeddedWorld(World):
    """One process that does everything, on a disk that can be filled."""

    def __init__(self, seed: int, folder: Path, *, rate: float) -> None:
        self.disk = SmallDisk(folder / "disk", size_mb=DISK_MB)
        has = frozenset({"small disk"}) if _can_mount(self.disk) else frozenset[str]()
        super().__init__(seed, folder, has=has, rate=rate)
        self.clock = Clock(folder)
        self._settings = configured(
            folder,
            [
                f'data = "{self.disk.folder / "data"}"',
                *sources_toml(self.source),
            ],
        )
        self.worker = Process("run", ["run"], folder, environment=self.beside)
        self.workers = [self.worker]
        self.connectors = []

    @property
    def settings(self) -> Settings:
        return self._settings

    @property
    def beside(self) -> dict[str, str]:
        """The environment of everything that shares the clock that jumps."""
        return self.clock.environment

    def _open(self, stack: ExitStack) -> None:
        if "small disk" in self.has:
            stack.enter_context(self.disk)

    def holds(self, ident: str) -> bool:
        try:
            return asyncio.run(self._holds(ident))
        except (WirewatchError, sqlite3.Error):
            return False

    async def _holds(self, ident: str) -> bool:
        async with open_index(self.settings) as index:
            return await index.get(ident) is not None

    async def claims(self) -> list[Violation]:
        """Nothing comes twice on any topic: what raw record, so often handled."""
        found = []
        async with open_log(self.settings) as log:
            for topic in (UNIQUE.name, TAGGED.name):
                starts, ends = await log.starts(topic), await log.ends(topic)
                origins = Counter[str]()
                async for record in log.read(topic, starts, ends):
                    origins[record.header(events.ORIGIN)] += 1
                found += [
                    Violation(f"no repeats on {topic}", origin, f"{count} times")
                    for origin, count in origins.items()
                    if count > 1 and origin.startswith(f"{RAW.name}/")  # else malformed
                ]
        return found

    # -- what faults use ---------------------------------------------------------------

    def written(self, rng: Random, count: int, *, padding: int = 0) -> list[RawItem]:
        """Publish *count* items that are to be given by hand; return them."""
        items = []
        for _ in range(count):
            mark = f"{rng.getrandbits(64):016x}"
            text = told(rng, mark)
            text = text._replace(text=text.text + " more" * padding)
            guid, now = f"urn:chaos:hand:{mark}", datetime.now(UTC)
            self.source.pass_on(guid, text)
            items.append(
                RawItem(
                    identities=(Identity(kind="guid", value=guid),),
                    publisher=PUBLISHER,
                    source=Named(connector="ingest", id=PUBLISHER),
                    title=text.title,
                    text=text.text,
                    published=now,
                    fetched=now,
                )
            )
        return items

    def file_of(self, items: list[RawItem]) -> Path:
        """Return a file of JSON lines with *items*."""
        file = self.folder / f"{items[0].identities[0].value.rpartition(':')[2]}.jsonl"
        file.write_bytes(b"\n".join(events.encode(item) for item in items))
        return file

    def given(self, file: Path, **environment: str) -> Process:
        """Begin to ingest *file* in a process of its own."""
        process = Process(
            "ingest",
            ["ingest", str(file), "--json"],
            self.folder,
            environment=self.beside | environment,
        )
        process.start()
        self._stack.callback(process.close)
        return process

    def ends_well(self, process: Process, what: str) -> None:
        """Wait for *process*; EndedError if it ends with an error."""
        if code := process.wait(ENDS_MAX_S):
            raise EndedError(f"{what}: ended with {code}: {process.log}")

    def told(self, *words: str, codes: tuple[int, ...]) -> str:
        """Return what a command says on standard error; EndedError if it fails."""
        done = self.run(*words, timeout_s=COMMAND_MAX_S)
        if done.returncode not in codes or "Traceback" in done.stderr:
            raise EndedError(f"{words}: ended with {done.returncode}: {done.stderr}")
        return done.stderr

    def refuses_a_second_run(self) -> None:
        """Start a second ``run``; EndedError if it is not refused."""
        said = self.told("run", codes=(3,))
        if "another process reads the" not in " ".join(said.split()):
            raise EndedError(f"a second run says: {said}")

    def append(self, output: Output) -> str:
        """Append a record beside the worker; return where it lies."""

        async def appended() -> str:
            async with open_log(self.settings) as log:
                (position,) = await log.append([output])
                return str(position)

        return asyncio.run(appended())


def _can_mount(disk: SmallDisk) -> bool:
    try:
        with disk:
            return True
    except CannotMountError:
        return False
