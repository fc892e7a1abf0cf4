"""What befalls one folder, and the processes that share it."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from streams import events
from streams.log.doorbell import worker_runs
from streams.log.embedded import FILE_NAME, EmbeddedLog
from streams.log.face import Output
from streams.log.opening import open_log
from streams.settings import Settings
from streams.topics import (
    CORRELATE_TABLE,
    CURSORS,
    DEADLETTERS,
    DEDUPE_TABLE,
    Topic,
)
from tests.chaos.faults import poison
from tests.chaos.faults.registry import Mode, fault


if TYPE_CHECKING:
    from tests.chaos.embedded import EmbeddedWorld as World

EMBEDDED: tuple[Mode, ...] = ("embedded",)
WITHOUT_STAGE = (DEADLETTERS, CURSORS, DEDUPE_TABLE, CORRELATE_TABLE)
#: All of it; what leads to the live file; that alone.
OF_INDEX = ("index*", "index.db", "index-*.db")
FILLER = "filler"
#: The least that settings take.
LOG_BYTES = 256 << 20
FILLED = 0.72


@fault("SIGSTOP run", target="worker", modes=EMBEDDED, held_s=(0.5, 3.0))
def pause_run(world: World, _rng: Random) -> Iterator[None]:
    world.worker.pause()
    yield
    world.worker.resume()


@fault(
    "kill -9 a process of run's pools",
    target="worker",
    modes=EMBEDDED,
    held_s=(0.5, 1.5),
    weight=2,
)
def kill_child(world: World, rng: Random) -> Iterator[None]:
    if below := sorted(_children(world.worker.pid)):
        _kill(rng.choice(below))
    yield


@fault(
    "kill -9 all processes of run's pools",
    target="worker",
    modes=EMBEDDED,
    held_s=(0.5, 1.5),
)
def kill_children(world: World, _rng: Random) -> Iterator[None]:
    for child in _children(world.worker.pid):
        _kill(child)
    yield


@fault("kill -9 ingest beside run, again", target="worker", modes=EMBEDDED, weight=3)
def kill_ingest(world: World, rng: Random) -> Iterator[None]:
    file = world.file_of(world.written(rng, 300))
    ingest = world.given(file)
    time.sleep(rng.uniform(0.4, 1.6))  # a random moment is the point
    ingest.close()
    yield
    world.ends_well(world.given(file), "ingest, run again")


@fault(
    "kill -9 ingest that works itself, then run",
    target="worker",
    modes=EMBEDDED,
    weight=2,
)
def kill_ingest_alone(world: World, rng: Random) -> Iterator[None]:
    world.worker.kill()
    file = world.file_of(world.written(rng, 300))
    ingest = world.given(file)
    time.sleep(rng.uniform(1.0, 3.0))
    ingest.close()
    yield
    world.worker.start()
    _until_works(world)
    world.ends_well(world.given(file), "ingest, run again")


@fault(
    "kill -9 run while ingest waits, which takes over",
    target="worker",
    modes=EMBEDDED,
    weight=2,
)
def take_over(world: World, rng: Random) -> Iterator[None]:
    ingest = world.given(world.file_of(world.written(rng, 400)))
    time.sleep(rng.uniform(0.5, 1.5))
    world.worker.kill()
    yield
    world.ends_well(ingest, "ingest that took over")
    world.worker.start()


@fault("two run on one folder", target="worker", modes=EMBEDDED)
def second_run(world: World, _rng: Random) -> Iterator[None]:
    world.refuses_a_second_run()
    yield


@fault("lock files and bell deleted, two run", target="worker", modes=EMBEDDED)
def delete_locks(world: World, rng: Random) -> Iterator[None]:
    _delete(world, "log.db.write", ".log.db.bell")
    world.append(events.raw(world.written(rng, 1)[0]))
    yield
    world.refuses_a_second_run()


@fault(
    "disk full, freed",
    target="log",
    modes=EMBEDDED,
    held_s=(1.0, 3.0),
    needs=("small disk",),
)
def fill_disk(world: World, _rng: Random) -> Iterator[None]:
    world.disk.fill()
    yield
    world.disk.free()


@fault(
    "kill -9 on a full disk",
    target="worker",
    modes=EMBEDDED,
    held_s=(0.5, 1.5),
    needs=("small disk",),
)
def kill_on_full_disk(world: World, rng: Random) -> Iterator[None]:
    world.disk.fill()
    time.sleep(rng.uniform(0.2, 1.5))
    world.worker.kill()
    yield
    world.disk.free()
    world.worker.start()


def _jump(name: str, offset: timedelta) -> None:
    @fault(
        f"clock jumps by {name}, and back",
        target="clock",
        modes=EMBEDDED,
        held_s=(1.0, 3.0),
    )
    def jump(world: World, _rng: Random) -> Iterator[None]:
        world.clock.set(offset)
        yield
        world.clock.set(timedelta())


_jump("+2 h", timedelta(hours=2))
_jump("-2 h", timedelta(hours=-2))
_jump("+400 days", timedelta(days=400))


@fault(
    "clock is wrong over a kill -9", target="worker", modes=EMBEDDED, held_s=(1.0, 2.0)
)
def kill_in_wrong_time(world: World, rng: Random) -> Iterator[None]:
    world.clock.set(rng.choice([-1, 1]) * timedelta(hours=2))
    time.sleep(1.0)
    world.worker.kill()
    yield
    world.clock.set(timedelta())
    world.worker.start()


@fault(
    "malformed bytes on a topic that no stage reads",
    target="worker",
    modes=EMBEDDED,
    weight=2,
)
def malform_others(world: World, rng: Random) -> Iterator[None]:
    topic = rng.choice(WITHOUT_STAGE)
    _poisoned(world, topic, rng)
    world.worker.kill()
    yield
    world.worker.start()


@fault("a 50 MB item", target="worker", modes=EMBEDDED, weight=0.5)
def huge(world: World, rng: Random) -> Iterator[None]:
    guid = f"urn:chaos:huge:{rng.getrandbits(64):016x}"
    file = world.folder / "huge.jsonl"
    poison.huge_line(file, guid)
    world.told("ingest", str(file), "--json", codes=(1,))
    poison.huge_transcript(world.source.radio / f"{guid.rpartition(':')[2]}.srt")
    yield
    file.unlink()


@fault("log nearly full, worked off", target="worker", modes=EMBEDDED, weight=0.3)
def fill_log(world: World, rng: Random) -> Iterator[None]:
    """What comes in is refused until what has been read is trimmed."""
    limit = {"WIREWATCH_LOG_SIZE_MAX_GB": f"{LOG_BYTES / 2**30:.6f}"}
    world.worker.kill()
    asyncio.run(_fill(world.settings, int(LOG_BYTES * FILLED)))
    world.worker.environment |= limit
    world.worker.start()
    _until_works(world)
    items = world.written(rng, 400, padding=2500)
    ingest = world.given(world.file_of(items), **limit)
    yield
    world.ends_well(ingest, "ingest into a log that is nearly full")
    world.worker.kill()
    asyncio.run(_emptied(world.settings))
    del world.worker.environment["WIREWATCH_LOG_SIZE_MAX_GB"]
    world.worker.start()
    world.trimmed_s = time.monotonic()


@fault("index files deleted, reindex", target="worker", modes=EMBEDDED, weight=0.7)
def delete_index(world: World, rng: Random) -> Iterator[None]:
    """The topics hold all; who asks is told that there is no index."""
    _delete(world, rng.choice(OF_INDEX))
    world.told("check", codes=(1,))
    yield
    world.told("reindex", codes=(0,))


@fault("index files deleted over a kill -9, reindex", target="worker", modes=EMBEDDED)
def delete_index_and_kill(world: World, rng: Random) -> Iterator[None]:
    """No empty index takes the place of the one that is gone."""
    world.worker.kill()
    _delete(world, rng.choice(OF_INDEX))
    world.worker.start()
    _until_works(world)
    yield
    world.told("check", codes=(1,))
    world.told("reindex", codes=(0,))


@fault("kill -9, the WAL's index deleted", target="worker", modes=EMBEDDED)
def delete_shm(world: World, _rng: Random) -> Iterator[None]:
    world.worker.kill()
    _delete(world, "*.db-shm")
    yield
    world.worker.start()


@fault(
    "search, tail, audit, check meanwhile", target="worker", modes=EMBEDDED, weight=2
)
def ask(world: World, rng: Random) -> Iterator[None]:
    for words in rng.sample(
        (
            ("search", "Kayes", "--json"),
            ("audit", "--json"),
            ("check",),
            ("tail", "items", "--from", "beginning", "--count", "1"),
            ("deadletters", "list"),
        ),
        k=2,
    ):
        world.told(*words, codes=(0, 1))
    yield


def _children(pid: int) -> Iterator[int]:
    """Yield the processes below process *pid*."""
    tasks = Path(f"/proc/{pid}/task")
    for file in tasks.glob("*/children"):
        for child in map(int, file.read_text("ascii").split()):
            yield child
            yield from _children(child)


def _poisoned(world: World, topic: Topic, rng: Random) -> str:
    async def poisoned() -> str:
        async with open_log(world.settings) as log:
            kind = rng.choice(sorted(poison.MALFORMED))
            return str(await poison.poison(log, topic, rng, kind))

    return asyncio.run(poisoned())


def _delete(world: World, *patterns: str) -> None:
    for pattern in patterns:
        for file in world.settings.data_folder.glob(pattern):
            file.unlink()


async def _fill(settings: Settings, size_bytes: int) -> None:
    """Let the log use *size_bytes*, by records of a topic that nobody reads."""
    async with EmbeddedLog(settings.data_folder, settings.log) as log:
        await log.log.create_topic(FILLER, 1)
        while log.log.used_bytes() < size_bytes:
            await log.log.append([Output(FILLER, None, bytes(1 << 19))])


async def _emptied(settings: Settings) -> None:
    async with EmbeddedLog(settings.data_folder, settings.log) as log:
        await log.log.delete_before(FILLER, {0: log.log.end(FILLER, 0)})


def _until_works(world: World) -> None:
    """Return when ``run`` has the worker's place: else who comes next would take it."""
    path = world.settings.data_folder / FILE_NAME
    while not worker_runs(path):
        world.check()
        time.sleep(0.05)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
