"""A month of old items, given late and in another order, is what it would have been.

What may come in any order is one source beside another; each source tells what it has
to tell in order (docs/architecture.md says what rests on that).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from streams import events
from streams.annotate.annotate import SHIPPED, annotate
from streams.dedupe.decide import decide
from streams.log.face import Record
from streams.records import Identity, Language, RawItem, Source, State, UniqueItem
from streams.stage import Received
from streams.text import fingerprint
from streams.topics import RAW
from tests.unit.correlate.desk import Desk


MONTH_AGO = datetime(2026, 10, 20, 12, tzinfo=UTC)
TEXTS = (
    "Gunmen killed 15 drivers of a fuel convoy near Kayes on Monday.",
    "A flood destroyed hundreds of houses in Niamey on Monday.",
    "Thousands of teachers marched in the capital to protest against low pay.",
    "The annual harvest festival opened in Zinder with music and dancing.",
)
STATES: tuple[State, ...] = ("present", "present", "present", "withdrawn")
T = TypeVar("T")


@cache
def _language(text: str, hint: str = "") -> Language:
    return SHIPPED.language(text, hint)


#: The shipped ones; a language is detected once a text, not once an example.
ANNOTATORS = replace(SHIPPED, language=_language)


class Told(NamedTuple):
    """One thing that a source says of a publication."""

    paper: str
    guid: str
    text: str
    state: State


def raw(told: Told, published: datetime, fetched: datetime) -> RawItem:
    return RawItem(
        identities=(
            Identity(kind="guid", value=told.guid),
            Identity(kind="text", value=fingerprint(told.text), usable=False),
        ),
        publisher=told.paper,
        source=Source(connector="rss", id=f"{told.paper}/news"),
        state=told.state,
        text=told.text,
        published=published,
        fetched=fetched,
    )


@st.composite
def sources(draw: st.DrawFn) -> list[list[Told]]:
    """Return what each of some papers says, in order: new items, edits, withdrawals."""
    said = st.tuples(
        st.sampled_from(("g1", "g2", "g3")),
        st.sampled_from(TEXTS),
        st.sampled_from(STATES),
    )
    return [
        [
            Told(f"{name}.example", guid, text, state)
            for guid, text, state in draw(st.lists(said, min_size=1, max_size=6))
        ]
        for name in "abcd"[: draw(st.integers(1, 4))]
    ]


def interleaved(draw: st.DrawFn, queues: Sequence[Sequence[T]]) -> Iterator[T]:
    """Yield all of *queues*, each in its order, in some order beside each other."""
    turns = [number for number, queue in enumerate(queues) for _ in queue]
    heads = [iter(queue) for queue in queues]
    for number in draw(st.permutations(turns)):
        yield next(heads[number])


@st.composite
def arrivals(
    draw: st.DrawFn, of: list[list[Told]], *, late: timedelta
) -> tuple[list[UniqueItem], Desk]:
    """Return what the stages make of *of*: what dedupe sent on, and what came out."""
    order = list(interleaved(draw, of))
    sent = list(deduped(order, late))
    by_id: dict[str, list[UniqueItem]] = {}
    for item in sent:
        by_id.setdefault(item.id, []).append(item)
    desk = Desk()
    # annotate works on partitions beside each other: the order of an id is kept.
    for item in interleaved(draw, list(by_id.values())):
        desk.read(annotate(item, ANNOTATORS))
    return sent, desk


def deduped(order: Iterable[Told], late: timedelta) -> Iterator[UniqueItem]:
    table: dict[bytes, bytes] = {}
    for offset, told in enumerate(order):
        # A backfill knows when an item was published, and reads it now.
        item = raw(told, MONTH_AGO, MONTH_AGO + late + timedelta(minutes=offset))
        record = Record(RAW.name, 0, offset, 60_000 * offset, b"", b"", ())
        decision = decide(Received(record, item), table)
        for key, value in decision.writes.items():
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
        for output in decision.outputs:
            yield events.decode(UniqueItem, output.value)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_backfill_gives_the_items_and_incidents_that_live_items_would_have_given(
    data: st.DataObject,
) -> None:
    of = data.draw(sources())
    _, live = data.draw(arrivals(of, late=timedelta()))
    _, backfilled = data.draw(arrivals(of, late=timedelta(days=31)))

    def items(desk: Desk) -> set[tuple[object, ...]]:
        return {
            (i.id, i.revision, i.state, i.text, i.anchor, i.main_class)
            for i in desk.items().values()
        }

    assert items(backfilled) == items(live)
    assert backfilled.membership() == live.membership()
    assert {(i.incident_class, i.item_count) for i in backfilled.standing()} == {
        (i.incident_class, i.item_count) for i in live.standing()
    }


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_backfill_beside_the_live_flow_gives_the_same_as_well(
    data: st.DataObject,
) -> None:
    """Half of the papers are live while the others are filled in."""
    of = data.draw(sources())
    _, one_by_one = data.draw(arrivals(of, late=timedelta()))
    desk = Desk()
    cut = data.draw(st.integers(0, len(of)))
    for part in (of[cut:], of[:cut]):
        for item in deduped([told for source in part for told in source], timedelta()):
            desk.read(annotate(item, ANNOTATORS))

    assert desk.membership() == one_by_one.membership()
