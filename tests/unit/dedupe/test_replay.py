"""What no order of crashes may change, and a naive model that says what is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec

from hypothesis import given, settings
from hypothesis import strategies as st

from streams import events
from streams.dedupe.decide import decide, look
from streams.dedupe.publication import load
from streams.log.face import Record
from streams.records import Identity, RawItem, Source, UniqueItem
from streams.stage import Received
from streams.topics import RAW


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: Of different lengths; the empty one is what a withdrawal often carries.
TEXTS = ("", "a", "bb", "cc c", "d ddddd")


MOVED = (("link",), ("enclosures",))


@st.composite
def items(draw: st.DrawFn) -> RawItem:
    text = draw(st.sampled_from(TEXTS))
    usable = draw(st.sampled_from((True, True, True, False)))
    identities = [
        Identity(kind="text", value=f"hash of {text}", usable=bool(text) and usable)
    ]
    if link := draw(st.sampled_from(("", "", "/1", "/2"))):
        identities.insert(0, Identity(kind="link", value=link, usable=usable))
    if guid := draw(st.sampled_from(("", "g1", "g1", "g2", "g3"))):
        identities.insert(0, Identity(kind="guid", value=guid))
    return RawItem(
        identities=tuple(identities),
        publisher=draw(st.sampled_from(("a.example", "a.example", "b.example"))),
        source=Source(connector="rss", id=draw(st.sampled_from(("x", "x", "y", "z")))),
        state=draw(st.sampled_from(("present",) * 6 + ("withdrawn",))),
        text=text,
        published=draw(st.none() | st.just(NOON - timedelta(days=3))),
        fetched=NOON + timedelta(hours=draw(st.integers(0, 6))),
        changed=draw(st.sampled_from(((), (), ("text",), ("link",), ("enclosures",)))),
        summary=draw(st.sampled_from(("", "", "a teaser"))),
        archived=draw(st.sampled_from((False, False, True))),
    )


histories = st.lists(items(), max_size=40)


def as_log(raw: Iterable[RawItem]) -> list[Received]:
    return [
        Received(
            Record(RAW.name, 0, offset, 60_000 * offset, b"", events.encode(item), ()),
            item,
        )
        for offset, item in enumerate(raw)
    ]


@dataclass
class Worker:
    """A stage's loop in small: outputs, then entries, then the offset; any may be lost."""

    log: Sequence[Received]
    table: dict[bytes, bytes] = field(default_factory=dict)
    outputs: list[bytes] = field(default_factory=list)

    def run(
        self, start: int, end: int
    ) -> tuple[list[bytes], dict[bytes, bytes | None]]:
        """Return the outputs and entries of a batch; nothing is stored."""
        overlay: dict[bytes, bytes | None] = {}
        outputs: list[bytes] = []
        for received in self.log[start:end]:
            state = {
                key: value
                for key, value in {**self.table, **overlay}.items()
                if value is not None
            }
            decision = decide(received, state)
            overlay |= decision.writes
            outputs += [one.value for one in decision.outputs if one.value is not None]
        return outputs, overlay

    def store(self, writes: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in writes:
            if value is None:
                self.table.pop(key, None)
            else:
                self.table[key] = value

    def finish(self, start: int = 0) -> None:
        outputs, writes = self.run(start, len(self.log))
        self.outputs += outputs
        self.store(writes.items())


def undisturbed(log: Sequence[Received]) -> Worker:
    worker = Worker(log)
    worker.finish()
    return worker


def crashed(log: Sequence[Received], data: st.DataObject) -> Worker:
    """A worker that dies several times: anywhere, and back to any earlier record."""
    worker, start = Worker(log), 0
    for _ in range(data.draw(st.integers(0, 5), label="crashes")):
        end = data.draw(st.integers(start, len(log)), label="batch ends")
        outputs, writes = worker.run(start, end)
        kept = data.draw(st.integers(0, len(outputs)), label="outputs stored")
        worker.outputs += outputs[:kept]
        stored = kept == len(outputs)
        # Outputs are stored before entries; for a single record the order is free.
        if stored or end - start == 1:
            entries = list(writes.items())
            flags = data.draw(
                st.lists(st.booleans(), min_size=len(entries), max_size=len(entries))
                | st.just([True] * len(entries)),
                label="entries stored",
            )
            worker.store(e for e, flag in zip(entries, flags, strict=True) if flag)
            latest = end if stored and all(flags) else start
            start = data.draw(st.integers(0, latest), label="committed")
    worker.finish(start)
    return worker


def by_id(outputs: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Return the distinct outputs of each publication, in order of first appearance."""
    found: dict[str, dict[bytes, None]] = defaultdict(dict)
    for output in outputs:
        found[events.decode(UniqueItem, output).id][output] = None
    return {ident: list(distinct) for ident, distinct in found.items()}


def remembered(table: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in table.items() if key[:2] in {b"a/", b"p/"}}


@given(histories, st.data())
@settings(max_examples=300, deadline=None)
def test_no_split_of_a_log_makes_anything_new_or_loses_anything(
    raw: list[RawItem], data: st.DataObject
) -> None:
    log = as_log(raw)
    straight, broken = undisturbed(log), crashed(log, data)
    assert by_id(broken.outputs) == by_id(straight.outputs)
    assert remembered(broken.table) == remembered(straight.table)


@given(histories, st.data())
@settings(max_examples=100, deadline=None)
def test_the_last_word_on_a_publication_is_the_same_after_any_crash(
    raw: list[RawItem], data: st.DataObject
) -> None:
    log = as_log(raw)

    def last(worker: Worker) -> dict[str, bytes]:
        return {
            events.decode(UniqueItem, output).id: output for output in worker.outputs
        }

    assert last(crashed(log, data)) == last(undisturbed(log))


@given(histories)
def test_revisions_of_a_publication_count_up_from_one(raw: list[RawItem]) -> None:
    for outputs in by_id(undisturbed(as_log(raw)).outputs).values():
        revisions = [events.decode(UniqueItem, output).revision for output in outputs]
        assert revisions[0] == 1
        steps = {b - a for a, b in pairwise(revisions)}
        assert steps <= {0, 1}, "0 is a fuller text, or a new link, of one revision"


@given(histories)
def test_publishers_never_share_a_publication(raw: list[RawItem]) -> None:
    publishers: dict[str, set[str]] = defaultdict(set)
    for output in undisturbed(as_log(raw)).outputs:
        item = events.decode(UniqueItem, output)
        publishers[item.id].add(item.publisher)
    assert all(len(names) == 1 for names in publishers.values())


@dataclass
class Known:
    """What the naive model keeps of a publication: everything, in lists."""

    publisher: str
    names: list[tuple[str, str]]
    says: dict[str, str | None]
    shown: RawItem
    texts: list[str]
    #: The record that told what each source says.
    told: dict[str, RawItem] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)
    revision: int = 1


def named(item: RawItem) -> list[tuple[str, str]]:
    order = ("guid", "link", "text")
    usable = [one for one in item.identities if one.usable]
    if not usable and item.text:
        return [("content", item.text)]
    usable = usable or list(item.identities[:1])
    return [
        (o.kind, o.value) for o in sorted(usable, key=lambda o: order.index(o.kind))
    ]


def model(raw: Iterable[RawItem]) -> list[tuple[int, str, str, str, frozenset[str]]]:
    """Return (revision, state, text, source, other sources) of each emission."""
    known: list[Known] = []
    emitted: list[tuple[int, str, str, str, frozenset[str]]] = []
    for item in raw:
        names = named(item)
        mine = [one for one in known if one.publisher == item.publisher]
        found = next((o for name in names for o in mine if name in o.names), None)
        is_late = found is not None and comes_late(found, item)
        if tells_more_late(found, item) if is_late else emits(found, item):
            if found is None:
                found = Known(item.publisher, [], {}, item, [])
                known.append(found)
            found.shown = item
            if item.state == "present":
                found.texts.append(item.text)
            others = frozenset(found.says.keys() - {item.source.id})
            emitted.append(
                (found.revision, item.state, item.text, item.source.id, others)
            )
        assert found is not None
        taken = [name for one in mine if one is not found for name in one.names]
        found.names += [name for name in names if name not in taken]
        if is_late and found.shown is not item:
            found.texts += [item.text] if item.state == "present" else []
            continue
        says = item.text if item.state == "present" else None
        news = found.shown is item or found.says.get(item.source.id, item) != says
        if news or item.archived:
            last = found.told.get(item.source.id, item)
            read = max(item.fetched, last.fetched)
            found.replaced.append(found.says.get(item.source.id) or "")
            found.told[item.source.id] = msgspec.structs.replace(item, fetched=read)
        found.says[item.source.id] = says
    return emitted


def comes_late(found: Known, item: RawItem) -> bool:
    """Whether *item*, from an archive, is no later word of its source on *found*."""
    last, shown = found.told.get(item.source.id), found.shown
    if last is None or not item.archived:
        return False
    is_shown = shown.source.id == item.source.id
    is_teaser = bool(last.summary) or (is_shown and shown.text > item.text == "")
    is_there = shown.state == item.state == "present"
    return item.fetched <= last.fetched or (is_teaser and is_there)


def tells_more_late(found: Known | None, item: RawItem) -> bool:
    assert found is not None
    last, shown = found.told[item.source.id], found.shown
    return (
        last.fetched == item.fetched >= found.told[shown.source.id].fetched
        and not last.summary
        and shown.state == item.state == "present"
        and found.says[item.source.id] != item.text
        and len(item.text) > len(shown.text)
        and item.text not in {*found.texts, *found.replaced}
    )


def emits(found: Known | None, item: RawItem) -> bool:
    """Whether *item* is news of *found*; counts its revision up if it is one."""
    if found is None:
        return True
    shown_told = found.told[found.shown.source.id]
    is_old = item.archived and item.fetched < shown_told.fetched
    new_here = item.source.id not in found.says
    said = found.says.get(item.source.id)
    says = item.text if item.state == "present" else None
    if not new_here and says == said:
        is_shown = (item.source.id, item.text, item.state) == (
            found.shown.source.id,
            found.shown.text,
            found.shown.state,
        )
        is_moved = is_shown and says is not None and item.changed[:1] in MOVED
        return is_moved and not is_old
    if is_old:
        return False
    if new_here and says is not None:
        return (
            found.shown.state == "present"
            and len(item.text) > len(found.shown.text)
            and item.text not in found.texts
        )
    revises = (
        found.shown.state == "present"
        if says is None
        else item.source.id == found.shown.source.id
        or (said is None and found.shown.state == "withdrawn")
        or says not in found.texts
    )
    found.revision += revises
    return revises


@given(histories)
@settings(max_examples=500, deadline=None)
def test_dedupe_says_what_the_naive_model_says(raw: list[RawItem]) -> None:
    emitted = [
        events.decode(UniqueItem, output) for output in undisturbed(as_log(raw)).outputs
    ]
    assert [
        (
            item.revision,
            item.state,
            item.text,
            item.source.id,
            frozenset(sighting.source for sighting in item.seen_in),
        )
        for item in emitted
    ] == model(raw)


@given(histories)
def test_the_table_accounts_for_every_record_that_emitted_nothing(
    raw: list[RawItem],
) -> None:
    worker = Worker(as_log(raw))
    silent = []
    for received in worker.log:
        decision = decide(received, worker.table)
        worker.store(decision.writes.items())
        if not decision.outputs:
            silent.append(look(received.record, received.data))
    publications = [
        load(value) for key, value in worker.table.items() if key.startswith(b"p/")
    ]
    for sight in silent:
        assert any(one.accounts_for(sight) for one in publications)
