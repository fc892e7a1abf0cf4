"""What an archive gives never takes the place of what was read later."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import msgspec

from hypothesis import given
from hypothesis import strategies as st

from streams.dedupe.decide import decide, look
from streams.dedupe.publication import Publication, dump, load
from streams.records import State
from tests.unit.dedupe.test_decide import NOON, Wire, sent


HOUR = timedelta(hours=1)
STATES: tuple[State, ...] = ("present", "present", "withdrawn")


class Said(NamedTuple):
    """What a source said of one publication, and the hour it was read in."""

    hour: int
    text: str
    source: str = "world"
    state: State = "present"


def tell(wire: Wire, said: Said, *, archived: bool) -> int | None:
    item = wire.send(
        said.text if said.state == "present" else "",
        source=said.source,
        state=said.state,
        fetched=NOON + said.hour * HOUR,
        archived=archived,
    )
    return None if item is None else item.revision


def shown(wire: Wire) -> tuple[int, State, str]:
    (known,) = publications(wire)
    return known.revision, known.state, known.content_hash


def publications(wire: Wire) -> list[Publication]:
    return [load(value) for key, value in wire.state.items() if key[:2] == b"p/"]


def outcome(wire: Wire, text: str, hour: int, **fields: object) -> str:
    at = wire.append(text, fetched=NOON + hour * HOUR, archived=True, **fields)  # type: ignore[arg-type]  # by name
    told = decide(wire.records[at], wire.state).outcome
    wire.decide(at)
    return told


@st.composite
def histories(draw: st.DrawFn) -> list[Said]:
    """Return what up to three feeds of a paper said, hour by hour, as connectors tell it."""
    count = draw(st.integers(1, 10))
    told: list[Said] = []
    last: dict[str, tuple[str, State]] = {}
    for hour in range(count):
        source = draw(st.sampled_from(("world", "africa", "sports")))
        state = draw(st.sampled_from(STATES))
        text = draw(st.sampled_from(("one", "two more", "three or more", "4")))
        text = text if state == "present" else ""
        if last.get(source) != (text, state):
            last[source] = text, state
            told.append(Said(hour, text, source, state))
    return told


@given(histories(), st.data(), st.integers(1, 3))
def test_an_archive_of_what_was_read_live_changes_nothing(
    history: list[Said], data: st.DataObject, times: int
) -> None:
    """Whatever the connectors' clocks said meanwhile."""
    hours = data.draw(st.permutations([said.hour for said in history]))
    history = [
        said._replace(hour=hour) for said, hour in zip(history, hours, strict=True)
    ]
    wire = Wire()
    for said in history:
        tell(wire, said, archived=False)
    before = shown(wire)
    for said in history * times:
        assert tell(wire, said, archived=True) is None
    assert shown(wire) == before


@given(histories())
def test_an_archive_gives_an_empty_index_what_was_read_live(
    history: list[Said],
) -> None:
    live, rebuilt = Wire(), Wire()
    for said in history:
        assert tell(live, said, archived=False) == tell(rebuilt, said, archived=True)
    assert shown(rebuilt) == shown(live)


@given(histories(), st.data())
def test_whatever_part_is_given_when_each_source_ends_at_its_last_word(
    history: list[Said], data: st.DataObject
) -> None:
    """The naive model: of what a source said, that of the latest hour stands."""
    wire = Wire()
    order = data.draw(st.permutations(history))
    latest: dict[str, Said] = {}
    for offset, said in enumerate(order):
        before = publications(wire)
        revision = tell(wire, said, archived=True)
        if before and revision is not None:
            (known,) = before
            assert said.hour >= latest[known.shown].hour
        (known,) = publications(wire)
        sight = look(*wire.records[offset])
        assert known.accounts_for(sight) == (revision is None)
        held = latest.setdefault(said.source, said)
        latest[said.source] = max(held, said)
    (known,) = publications(wire)
    for source, said in latest.items():
        standing = known.sequence(source)
        assert standing is not None
        assert bool(standing.mark) == (said.state == "present")
        assert standing.fetched_ms == round((NOON + said.hour * HOUR).timestamp() * 1e3)


def test_an_earlier_text_does_not_replace_a_correction() -> None:
    wire = Wire()
    wire.send("one", fetched=NOON)
    wire.send("two", fetched=NOON + 2 * HOUR)
    assert outcome(wire, "between", 1) == "superseded"
    assert outcome(wire, "one", 0) == "superseded"
    assert outcome(wire, "two", 2) == "duplicate"
    assert sent(wire.send("three", fetched=NOON + 3 * HOUR)).revision == 3


def test_what_was_withdrawn_does_not_come_back_from_an_archive() -> None:
    wire = Wire()
    wire.send("one", fetched=NOON)
    wire.send("", state="withdrawn", fetched=NOON + HOUR)
    assert outcome(wire, "one", 0) == "superseded"
    assert outcome(wire, "", 1, state="withdrawn") == "duplicate"
    assert outcome(wire, "one", 2) == "revision"


def test_an_old_link_does_not_replace_the_one_of_now() -> None:
    wire = Wire()
    wire.send(page="https://e.example/1", fetched=NOON)
    wire.send(page="https://e.example/2", fetched=NOON + HOUR, changed=("link",))
    for page, hour in (("1", 0), ("2", 1)):
        told = outcome(
            wire, "", hour, page=f"https://e.example/{page}", changed=("link",)
        )
        assert told in {"duplicate", "superseded"}


def test_a_clock_that_was_set_back_loses_no_edit_of_a_live_feed() -> None:
    wire = Wire()
    wire.send("one", fetched=NOON)
    assert sent(wire.send("two", fetched=NOON - 900 * HOUR)).revision == 2
    assert sent(wire.send("", state="withdrawn", fetched=NOON - HOUR)).revision == 3


def test_a_better_parser_shows_what_it_finds_more_in_the_last_reading() -> None:
    wire = Wire()
    wire.send("one", fetched=NOON)
    wire.send("two", fetched=NOON + HOUR)
    assert outcome(wire, "two, and what was lost of it", 1) == "fuller"
    assert outcome(wire, "two, and what was lost of it", 1) == "duplicate"
    assert outcome(wire, "tw", 1) == "superseded"
    assert outcome(wire, "one, and what was lost of it at that time", 0) == "superseded"


def test_an_article_is_not_replaced_by_what_its_feed_said() -> None:
    wire = Wire()
    wire.send("the whole article", summary="a teaser", fetched=NOON)
    for hour in (0, 1):
        assert outcome(wire, "a teaser", hour) == "superseded"
    # A feed without summaries.
    wire.send("another article", guid="g2", fetched=NOON)
    assert outcome(wire, "", 1, guid="g2", title="") == "superseded"
    assert outcome(wire, "", 1, state="withdrawn") == "withdrawn"


def test_said_twice_after_a_crash_it_is_the_same_again() -> None:
    wire = Wire()
    wire.send("one", fetched=NOON + HOUR)
    assert outcome(wire, "earlier", 0) == "superseded"
    state = dict(wire.state)
    assert wire.decide(1) is None
    assert wire.state == state


def test_an_entry_of_an_older_table_is_read_and_takes_no_more_room_than_a_time() -> (
    None
):
    wire = Wire()
    wire.send("one", fetched=NOON)
    (known,) = publications(wire)
    (one,) = known.sequences
    fields = msgspec.msgpack.decode(dump(known))
    older = [tuple(row[:4]) for row in fields[9]]
    assert older == [(one.source, one.mark, one.partition, one.offset)]
    fields[9] = older
    value = msgspec.msgpack.encode(fields)
    assert len(dump(known)) - len(value) <= 10
    (key,) = (key for key in wire.state if key[:2] == b"p/")
    wire.state[key] = value
    assert load(value).sequences[0].fetched_ms == 0
    assert sent(wire.send("two", fetched=NOON + HOUR)).revision == 2
