"""What no order and no crash may change."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.correlate.decide import decide
from streams.correlate.memory import item_key
from streams.forgetting import DAY_MS, REPLAYED_MAX, SWEEP_EVERY
from streams.log.face import Output
from streams.records import IncidentClass, TaggedItem
from streams.stage import Overlay
from streams.topics import INCIDENTS, ITEMS
from tests.unit.correlate.desk import START_MS, Desk, as_log, item, received


TEXTS = ("One.", "Two.", "Three.")
LABELS: dict[str, IncidentClass] = {"One.": "battle", "Two.": "riot", "Three.": "none"}


@st.composite
def lives(draw: st.DrawFn) -> list[list[TaggedItem]]:
    """Return the revisions of a few items, each in order."""
    return [
        [
            item(
                f"i{number}",
                text,
                revision=revision,
                label=LABELS[text],
                state="withdrawn" if gone else "present",
            )
            for revision, (text, gone) in enumerate(
                draw(
                    st.lists(
                        st.tuples(
                            st.sampled_from(TEXTS),
                            st.sampled_from((False, False, False, True)),
                        ),
                        min_size=1,
                        max_size=4,
                    )
                ),
                start=1,
            )
        ]
        for number in range(draw(st.integers(1, 5)))
    ]


@st.composite
def orders(draw: st.DrawFn, of: list[list[TaggedItem]]) -> list[TaggedItem]:
    """Return one way in which the revisions can follow each other on the log."""
    turns = [number for number, life in enumerate(of) for _ in life]
    queues = [iter(life) for life in of]
    return [next(queues[number]) for number in draw(st.permutations(turns))]


@st.composite
def histories(draw: st.DrawFn) -> list[TaggedItem]:
    return draw(orders(draw(lives())))


@given(st.data())
def test_any_order_gives_the_same_membership(data: st.DataObject) -> None:
    of = data.draw(lives())
    last = [life[-1] for life in of]
    expected: dict[str, set[str]] = {}
    for one in last:
        if one.state == "present" and one.main_class != "none":
            expected.setdefault(one.text, set()).add(one.id)
    desk = Desk()
    desk.read(*data.draw(orders(of)))
    assert desk.membership() == set(map(frozenset, expected.values()))


@given(histories())
def test_incidents_count_exactly_the_items_that_name_them(
    history: list[TaggedItem],
) -> None:
    desk = Desk()
    desk.read(*history)
    named = dict.fromkeys(desk.incidents(), 0)
    for one in desk.items().values():
        for ident in one.incidents:
            named[ident] += 1
    assert named == {i.id: i.item_count for i in desk.incidents().values()}
    for incident in desk.incidents().values():
        assert (incident.status == "retracted") == (not incident.item_count)
        assert len(incident.reports) == min(1, incident.item_count)
        assert not incident.merged_into or incident.status == "retracted"


@given(histories())
def test_versions_of_an_id_rise_strictly(history: list[TaggedItem]) -> None:
    desk = Desk()
    desk.read(*history)
    versions: dict[bytes | None, list[bytes]] = {}
    for output in desk.outputs:
        versions.setdefault(output.key, []).append(dict(output.headers)["ce_id"])
    for issued in versions.values():
        numbers = [int(ident.rpartition(b"/")[2]) for ident in issued]
        assert all(before < after for before, after in pairwise(numbers))


@given(histories(), st.data())
def test_a_replay_of_any_stretch_says_nothing_new(
    history: list[TaggedItem], data: st.DataObject
) -> None:
    log = as_log(history)
    desk = Desk()
    for one in log:
        desk.take(one)
    table, said = dict(desk.table), _by_id(desk.outputs)
    start = data.draw(st.integers(0, len(log)))
    for one in log[start : data.draw(st.integers(start, len(log)))]:
        decision = desk.take(one)
        assert not decision.writes
        for name, value in _by_id(decision.outputs).items():
            assert said[name] == value
    assert desk.table == table


@settings(max_examples=200)
@given(histories(), st.data())
def test_crashes_change_neither_the_table_nor_what_is_said_last(
    history: list[TaggedItem], data: st.DataObject
) -> None:
    """A crash loses the commit, and any part of the entries of the batch."""
    log = as_log(history)
    whole = Desk()
    for one in log:
        whole.take(one)
    broken, at, crashes = Desk(), 0, 0
    while at < len(log):
        batch = log[at : at + data.draw(st.integers(1, 4))]
        overlay = Overlay(broken.table)
        for one in batch:
            decision = decide(one, overlay)
            overlay.add(one.record.partition, decision.writes)
            broken.outputs += decision.outputs
        at += len(batch)
        entries = None
        if crashes < 6 and data.draw(st.booleans()):
            crashes += 1
            entries = data.draw(st.integers(0, len(overlay.written)))
            start = at - len(batch)
            at = data.draw(st.integers(max(0, start - 3), start))
        broken.write(overlay.written, entries=entries)
    assert broken.table == whole.table
    assert _by_id(broken.outputs) == _by_id(whole.outputs)


def _by_id(outputs: Sequence[Output]) -> dict[str, bytes]:
    """Return id/version -> the bytes said of it; the same id never says two things."""
    said: dict[str, bytes] = {}
    for output in outputs:
        assert output.topic in {ITEMS.name, INCIDENTS.name}
        assert output.value is not None
        name = dict(output.headers)["ce_id"].decode()
        assert said.setdefault(name, output.value) == output.value, name
    return said


def test_a_retry_repeated_or_overtaken_says_nothing_new() -> None:
    desk = Desk()
    first, second = item("a"), item("a", "Fighters killed 20.", revision=2)
    desk.read(second)
    for late in (first, second):
        for _ in range(2):
            assert not desk.take(received(late, desk.offset)).outputs
            desk.offset += 1


def test_a_crash_while_the_sweep_renews_an_item_changes_nothing() -> None:
    desk = Desk()
    desk.read(item("a"))
    desk.take(
        received(item("b"), REPLAYED_MAX + 99, appended_ms=START_MS + 25 * DAY_MS)
    )
    renewed = False
    for day in range(35):
        at = REPLAYED_MAX + (100 + day) * SWEEP_EVERY
        tick = item("tick", str(day), revision=day + 1, label="none")
        one = received(tick, at, appended_ms=START_MS + day * DAY_MS)
        before = dict(desk.table)
        writes = list(desk.take(one).writes.items())
        renewed = renewed or item_key("a") in desk.table[b"t%d" % at]
        for cut in range(len(writes)):
            broken = Desk(dict(before))
            broken.write((0, key, value) for key, value in writes[:cut])
            broken.take(one)
            assert broken.table == desk.table
    assert renewed
