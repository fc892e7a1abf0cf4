from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.correlate.incidents import (
    CHANGES_MAX,
    QUOTE_MAX,
    STANDBY_MAX,
    sentence_around,
)
from streams.records import IncidentClass
from tests.unit.correlate.desk import Desk, item


def test_the_quote_is_the_sentence_of_the_deciding_words() -> None:
    text = "It rained. Fifteen drivers were killed! Nobody claimed it."
    start = text.index("killed")
    quote = sentence_around(text, start, start + 6)
    assert quote == "Fifteen drivers were killed!"


def test_an_arabic_question_mark_ends_a_sentence() -> None:
    text = "ماذا حدث؟ قتل خمسة سائقين."
    start = text.index("قتل")
    assert sentence_around(text, start, start + 3) == "قتل خمسة سائقين."


@given(st.text(st.sampled_from("ab .\n!"), max_size=2000), st.data())
def test_a_quote_is_short_and_holds_the_span(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    quote = sentence_around(text, start, end)
    assert len(quote) <= QUOTE_MAX
    for word in text[start:end].split()[:1]:
        assert word in quote


def test_more_copies_than_are_remembered_are_still_counted() -> None:
    desk = Desk()
    copies = [f"i{number}" for number in range(STANDBY_MAX + 5)]
    desk.read(*map(item, copies))
    (incident,) = desk.incidents().values()
    assert incident.item_count == len(copies)
    desk.read(*(item(one, revision=2, state="withdrawn") for one in copies[1:]))
    (incident,) = desk.incidents().values()
    assert incident.item_count == 1
    assert incident.status == "reported"


def test_the_list_of_changes_is_bounded() -> None:
    desk = Desk()
    for turn in range(CHANGES_MAX + 5):
        label: IncidentClass = "battle" if turn % 2 else "protest"
        desk.read(item("i1", label=label, models=str(turn)))
    (incident,) = desk.incidents().values()
    assert len(incident.changes) == CHANGES_MAX
    assert incident.changes[-1].version == incident.version


def test_a_bloated_report_leaves_its_incident_small() -> None:
    desk = Desk()
    desk.read(item("i1", publisher="p" * 300_000, title="t" * 300_000))
    (held,) = (value for key, value in desk.table.items() if key.startswith(b"n"))
    assert len(held) < 10_000
