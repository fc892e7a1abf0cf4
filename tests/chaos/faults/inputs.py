"""What comes in, or lies on the log, and should not."""

from __future__ import annotations

import asyncio

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from streams import clock
from streams.log.face import Output
from streams.log.opening import open_log
from streams.records import Identity, RawItem, Source
from streams.settings import Settings
from streams.topics import CURSORS, DECLARED, INCIDENTS, ITEMS, RAW, TAGGED, UNIQUE
from tests.chaos.faults.poison import (
    MALFORMED,
    incompatible,
    newer,
    poison,
)
from tests.chaos.faults.registry import BOTH, fault
from tests.chaos.stories import told


if TYPE_CHECKING:
    from tests.chaos.world import World

#: What stages read: what is malformed there makes a dead letter.
READ = (RAW, UNIQUE, TAGGED, ITEMS, INCIDENTS)
#: A null value is a deletion there, and no fault.
COMPACTED = tuple(topic.name for topic in DECLARED if topic.compacted)
#: In a row they would stop a stage, as they should.
POISONED = 3


@fault("malformed bytes on every topic", target="log", modes=BOTH, weight=2)
def malform(world: World, rng: Random) -> Iterator[None]:
    world.malformed += asyncio.run(_poisoned(world.settings, rng))
    yield


async def _poisoned(settings: Settings, rng: Random) -> list[str]:
    """Poison every topic; return where what a stage will read lies."""
    positions = []
    async with open_log(settings) as log:
        for topic in (*READ, CURSORS):
            kinds = [one for one in MALFORMED if one != "null" or not topic.compacted]
            for kind in rng.sample(kinds, k=POISONED):
                position = await poison(log, topic, rng, kind)
                if topic in READ:
                    positions.append(str(position))
    return positions


@fault("records of a newer version", target="log", modes=BOTH)
def newer_records(world: World, rng: Random) -> Iterator[None]:
    guid = f"urn:chaos:newer:{rng.getrandbits(64):016x}"
    text = told(rng, guid)
    item = RawItem(
        identities=(Identity(kind="guid", value=guid),),
        publisher="elsewhere.example",
        source=Source(connector="ingest", id="elsewhere"),
        title=text.title,
        text=text.text,
        fetched=clock.now(),
    )
    world.source.pass_on(guid, text)
    good, bad = newer(item), incompatible(item)
    positions = asyncio.run(_appended(world.settings, [good, bad]))
    world.malformed.append(positions[1])
    yield


async def _appended(settings: Settings, outputs: list[Output]) -> list[str]:
    async with open_log(settings) as log:
        return [str(position) for position in await log.append(outputs)]


@fault(
    "an entry and a transcript of 50 MB", target="source", modes=BOTH, held_s=(3.0, 5.0)
)
def huge(world: World, _rng: Random) -> Iterator[None]:
    world.source.huge(present=True)
    yield
    world.source.huge(present=False)
