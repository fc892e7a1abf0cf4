"""Reads old items anew by the annotators of today, beside the live flow.

A bounded reader, with no consumer group: ``items.unique`` from a place to its end as of
the start, through the annotate stage's own pool, onto ``items.tagged``. Each record keeps
its origin and bears the replay's name (``ww_replay``), and so does all that follows from
it. Correlate takes the same revision, read anew, for a replacement.

Only the last word on an id is read (:mod:`streams.revisions`), and only where the index
holds it by other models: so a replay that was killed goes on where it was, and a second
one does nothing.
"""

from __future__ import annotations

import asyncio
import heapq

from collections import Counter, defaultdict
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, cast

import msgspec

from mappings.face import SearchIndex
from streams import events
from streams.annotate import agent
from streams.annotate.annotate import SHIPPED
from streams.errors import RecordError
from streams.log.face import Log, Output, Position, Record
from streams.log.standing import lags, stands
from streams.records import Incident, Item, TaggedItem, UniqueItem
from streams.revisions import Last, last_words
from streams.settings import Settings
from streams.stage import Received, Refusal
from streams.topics import INCIDENTS, INDEX_KEPT_S, TAGGED, UNIQUE


BATCH = 100
#: Records that correlate may have before it when a batch is added: a live item waits
#: behind no more than these and a batch, which is well under a second of its work.
LAG_MAX = 300
LOOK_S = 0.05
EXAMPLES_MAX = 3


class Example(NamedTuple):
    """A record that shows a change."""

    id: str
    title: str


@dataclass(kw_only=True)
class Changes:
    """What a kind of finding became: (before, after) -> how often, and examples."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[Example]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def enter(self, before: str, after: str, example: Example) -> None:
        """Count a change; nothing if it is none."""
        if before == after:
            return
        self.counts[before, after] += 1
        if len(self.examples[before, after]) < EXAMPLES_MAX:
            self.examples[before, after].append(example)


@dataclass(kw_only=True)
class Replay:
    """A replay, and what it has come to so far."""

    name: str
    #: Records of the topic, and how many of them are looked at.
    total: int = 0
    done: int = 0
    #: Items that today's models had read already, or that the index does not hold.
    current: int = 0
    #: Read anew; on the log unless it is a dry run.
    read: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    classes: Changes = field(default_factory=Changes)
    languages: Changes = field(default_factory=Changes)
    places: Changes = field(default_factory=Changes)
    #: What the incidents became: ('none', 'standing'), ('standing', 'retracted') …
    incidents: Changes = field(default_factory=Changes)
    #: Where what was sent lies: the furthest in each partition.
    sent: list[Position] = field(default_factory=list)

    def compare(self, before: Item, after: TaggedItem) -> None:
        """Count what is read otherwise than before."""
        self.read += 1
        example = Example(after.id, after.title or after.text[:80])
        self.classes.enter(before.main_class, after.main_class, example)
        self.languages.enter(before.language.code, after.language.code, example)
        self.places.enter(_scene(before), _scene(after), example)


Tell = Callable[[Replay], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a replay is to do."""

    name: str
    #: Where it begins, by partition of ``items.unique``.
    begin: Mapping[int, int]
    #: Also what today's models have read already.
    everything: bool
    #: Reads and compares only.
    dry: bool
    now: datetime


def replay_name(now: datetime) -> str:
    """Return what a replay that begins *now* (UTC) is called."""
    return f"annotate-{now:%Y%m%dT%H%M%SZ}"


async def replay(
    log: Log, index: SearchIndex, settings: Settings, plan: Plan, tell: Tell
) -> Replay:
    """Carry out *plan*; *tell* is called after each batch, and while it waits.

    Returns when all is on the log; what the incidents become is told by
    :func:`incidents_after`, once the stages have come through.
    """
    state = Replay(name=plan.name)
    ends = await log.ends(UNIQUE.name)
    last = await last_words(log, plan.begin, ends)
    state.total = last.total
    stage = agent.stage(settings)
    assert stage.handle is not None
    async with AsyncExitStack() as stack:
        for resource in stage.resources:
            await stack.enter_async_context(resource)
        async for batch in _batches(log, plan.begin, ends, last):
            chosen = await _chosen(batch, index, plan, state)
            outputs = []
            outcomes = await stage.handle([one.received for one in chosen])
            for one, outcome in zip(chosen, outcomes, strict=True):
                if isinstance(outcome, Refusal):
                    state.refused[outcome.kind] += 1
                    continue
                (output,) = outcome.outputs
                after = events.decode(TaggedItem, output.value)
                state.compare(one.held or _unread(after), after)
                outputs.append(_marked(output, one.received.record, plan.name))
            if outputs and not plan.dry:
                await _when_near(log, lambda: tell(state))
                state.sent = _furthest(state.sent + await log.append(outputs))
            state.done += len(batch)
            tell(state)
    return state


async def standing(log: Log) -> dict[str, bool]:
    """Return each incident's id, and whether somebody reports it now."""
    topic = INCIDENTS.name
    latest: dict[str, tuple[int, bool]] = {}
    async for record in log.read(topic, await log.starts(topic), await log.ends(topic)):
        one = _known_in(record.value)
        if one is not None and one.version > latest.get(one.id, (0, False))[0]:
            latest[one.id] = (one.version, bool(one.item_count))
    return {ident: stands for ident, (_, stands) in latest.items()}


async def incidents_after(
    log: Log, state: Replay, before: Mapping[str, bool], since: Mapping[int, int]
) -> None:
    """Enter into *state* what its incidents became.

    ``before`` is what :func:`standing` said, ``since`` the ends of ``incidents``, both
    as of before the replay.
    """
    topic = INCIDENTS.name
    latest: dict[str, Incident] = {}
    async for record in log.read(topic, since, await log.ends(topic)):
        if record.header(events.REPLAY) == state.name:
            one = events.read(Incident, record.value)
            if one is None:
                continue
            if one.id not in latest or one.version > latest[one.id].version:
                latest[one.id] = one
    for one in latest.values():
        existed = before.get(one.id)
        was = "none" if existed is None else "standing" if existed else "retracted"
        became = "retracted" if not one.item_count else "standing"
        if was == became == "standing":
            became = "changed"
        state.incidents.enter(was, became, Example(one.id, one.title))


class _Known(msgspec.Struct, frozen=True):
    """What is needed of an incident before the replay."""

    id: str
    version: int
    item_count: int = 0


_decode_known = msgspec.json.Decoder(_Known).decode


def _known_in(value: bytes | None) -> _Known | None:
    """Return what *value* says; None for what correlate never wrote."""
    try:
        return None if value is None else _decode_known(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class _Chosen(NamedTuple):
    """A record that is read anew, and the item as the index holds it."""

    received: Received
    held: Item | None


async def _batches(
    log: Log,
    begin: Mapping[int, int],
    ends: Mapping[int, int],
    last: Last,
) -> AsyncIterator[list[Record]]:
    batch: list[Record] = []
    async for record in _in_order(log, begin, ends):
        if last.has(record):
            batch.append(record)
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _in_order(
    log: Log, begin: Mapping[int, int], ends: Mapping[int, int]
) -> AsyncIterator[Record]:
    """Yield records as they were appended, over all partitions.

    So what opened an incident is first again, and a story that correlate has forgotten
    gets the incident that it had.
    """
    async with AsyncExitStack() as stack:
        queue: list[tuple[int, int, Record, AsyncIterator[Record]]] = []
        for partition, end in sorted(ends.items()):
            reading = log.read(
                UNIQUE.name, {partition: begin.get(partition, 0)}, {partition: end}
            )
            await stack.enter_async_context(
                aclosing(cast(AsyncGenerator[Record, None], reading))
            )
            async for record in reading:
                queue.append((record.timestamp_ms, partition, record, reading))
                break
        heapq.heapify(queue)
        while queue:
            _, partition, record, reading = heapq.heappop(queue)
            yield record
            async for following in reading:
                item = (following.timestamp_ms, partition, following, reading)
                heapq.heappush(queue, item)
                break


async def _chosen(
    batch: Sequence[Record], index: SearchIndex, plan: Plan, state: Replay
) -> list[_Chosen]:
    """Return what of *batch* is read anew."""
    given: list[Received] = []
    for record in batch:
        try:
            item = events.decode(UniqueItem, record.value)
        except RecordError:
            continue  # annotate has put it aside
        kept = item.anchor > plan.now - timedelta(seconds=INDEX_KEPT_S)
        if item.state == "present" and kept:
            given.append(Received(record, item))
    held = await index.items([one.data.id for one in given])
    chosen = []
    for one in given:
        known = held.get(one.data.id)
        if plan.everything or (
            known is not None
            and known.state == "present"
            and _said(known, known.origin)
            == _said(one.data, events.origin_of(one.record))
            and known.models != SHIPPED.models
        ):
            chosen.append(_Chosen(one, known))
    state.current += len(batch) - len(chosen)
    return chosen


def _said(item: UniqueItem, origin: str) -> events.Saying:
    return events.saying(item.first_seen, item.revision, origin)


def _furthest(places: Sequence[Position]) -> list[Position]:
    """Return the last of *places* in each partition."""
    last = {(one.topic, one.partition): one for one in sorted(places)}
    return list(last.values())


def _unread(item: TaggedItem) -> Item:
    """Return *item* as one that nobody has read yet."""
    given = {name: getattr(item, name) for name in UniqueItem.__struct_fields__}
    return Item(**given, version=1)


def _marked(output: Output, record: Record, name: str) -> Output:
    marks = (
        (events.ORIGIN, events.origin_of(record).encode()),
        (events.REPLAY, name.encode()),
    )
    return output._replace(headers=(*output.headers, *marks))


async def _when_near(log: Log, tell: Callable[[], None]) -> None:
    """Return when correlate has little before it: live items must not wait."""
    while True:
        at = await stands(log, "correlate", TAGGED.name)
        if sum(lags(at, await log.ends(TAGGED.name)).values()) <= LAG_MAX:
            return
        tell()
        await asyncio.sleep(LOOK_S)


def _scene(item: TaggedItem) -> str:
    scene = next((p for p in item.places if p.role == "scene"), None)
    return "" if scene is None else ", ".join(filter(None, (scene.name, scene.country)))
