"""A correlate stage without a log: the pure decision, a table, and what came out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

import msgspec

from streams import events
from streams.correlate.decide import decide
from streams.log.face import Output, Record
from streams.records import (
    Classification,
    Event,
    Identity,
    Incident,
    IncidentClass,
    Item,
    Modality,
    Source,
    Span,
    State,
    TaggedItem,
)
from streams.stage import Decision, Received
from streams.topics import INCIDENTS, ITEMS, TAGGED


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
START_MS = 1_772_366_400_000


def item(
    ident: str,
    text: str = "Fighters killed 15 drivers.",
    *,
    revision: int = 1,
    label: IncidentClass = "violence_against_civilians",
    modality: Modality = "happened",
    state: State = "present",
    publisher: str = "a.example",
    title: str = "",
    models: str = "1",
    first_seen: datetime = NOON,
) -> TaggedItem:
    event = Event(
        incident_class=Classification(
            label=label, confidence=0.8, why=(Span(field="text", start=0, end=4),)
        ),
        modality=modality,
    )
    seen = NOON + timedelta(minutes=revision)
    return TaggedItem(
        identities=(Identity(kind="guid", value=ident),),
        publisher=publisher,
        source=Source(connector="rss", id=f"feed of {publisher}"),
        state=state,
        title=title,
        text=text,
        fetched=seen,
        id=ident,
        revision=revision,
        content_hash=text,
        first_seen=first_seen,
        anchor=first_seen,
        events=() if label == "none" or state == "withdrawn" else (event,),
        signature="" if state == "withdrawn" else text,
        models={"classify": models},
    )


def received(
    tagged: TaggedItem,
    offset: int,
    *,
    appended_ms: int | None = None,
    raw: int | None = None,
) -> Received:
    stamp = START_MS + 1000 * offset if appended_ms is None else appended_ms
    origin = ((events.ORIGIN, b"items.raw/3/%d" % (offset if raw is None else raw)),)
    value = events.encode(tagged)
    record = Record(TAGGED.name, 0, offset, stamp, tagged.id.encode(), value, origin)
    return Received(record, tagged)


def as_log(tagged: Iterable[TaggedItem]) -> list[Received]:
    return [received(one, offset) for offset, one in enumerate(tagged)]


@dataclass
class Desk:
    """Runs decisions one after another on one table."""

    table: dict[bytes, bytes] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    offset: int = 0

    def take(self, one: Received) -> Decision:
        decision = decide(one, self.table)
        self.outputs += decision.outputs
        self.write((0, key, value) for key, value in decision.writes.items())
        return decision

    def write(
        self,
        written: Iterable[tuple[int, bytes, bytes | None]],
        *,
        entries: int | None = None,
    ) -> None:
        for _, key, value in islice(written, entries):
            if value is None:
                self.table.pop(key, None)
            else:
                self.table[key] = value

    def read(self, *tagged: TaggedItem, gap: int = 1) -> None:
        for one in tagged:
            self.take(received(one, self.offset))
            self.offset += gap

    def items(self) -> dict[str, Item]:
        """Return the highest version of each item."""
        return _latest(msgspec.json.decode(v, type=Item) for v in self._on(ITEMS.name))

    def incidents(self) -> dict[str, Incident]:
        """Return the highest version of each incident."""
        return _latest(
            msgspec.json.decode(v, type=Incident) for v in self._on(INCIDENTS.name)
        )

    def standing(self) -> list[Incident]:
        """Return the incidents that somebody still reports."""
        return [one for one in self.incidents().values() if one.item_count]

    def membership(self) -> set[frozenset[str]]:
        """Return which items share an incident."""
        groups: dict[str, set[str]] = {}
        for one in self.items().values():
            for incident in one.incidents:
                groups.setdefault(incident, set()).add(one.id)
        return {frozenset(group) for group in groups.values()}

    def _on(self, topic: str) -> list[bytes]:
        return [o.value for o in self.outputs if o.topic == topic and o.value]


T = TypeVar("T", Item, Incident)


def _latest(records: Iterable[T]) -> dict[str, T]:
    latest: dict[str, T] = {}
    for record in records:
        if record.id not in latest or record.version > latest[record.id].version:
            latest[record.id] = record
    return latest
