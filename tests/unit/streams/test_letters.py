"""Dead letters: their states, chains, groups and end, told from the topic alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from streams import clock, events, letters
from streams.letters import Book, Letter
from streams.log.face import Headers, Output, Position, Record
from streams.topics import DEADLETTERS, INCIDENTS, ITEMS, UNIQUE


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Desk:
    """A topic of dead letters in small."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.first = 0

    def put(self, output: Output, at: datetime = NOON) -> Record:
        stamp = output.timestamp_ms or clock.to_ms(at)
        record = Record(
            DEADLETTERS.name,
            0,
            len(self.records),
            stamp,
            output.key,
            output.value,
            output.headers,
        )
        self.records.append(record)
        return record

    def refuse(
        self,
        *,
        offset: int = 7,
        headers: Headers = (("ce_source", b"/wirewatch/s"),),
        reason: str = "why",
        at: datetime = NOON,
    ) -> Record:
        record = Record(UNIQUE.name, 1, offset, 0, b"key", b"value", headers)
        letter = events.dead_letter(
            record, stage="annotate", kind="odd", reason=reason, now=at
        )
        return self.put(letter, at)

    def retry(self, record: Record, *, noted: bool = True) -> Output:
        put_back = letters.put_back(record)
        if noted:
            to = Position(put_back.topic, 1, 100 + record.offset)
            self.put(letters.retried(letters.letter_in(record), to))
        return put_back

    @property
    def book(self) -> Book:
        book = Book({0: len(self.records)})
        for record in self.records[self.first :]:
            book.enter(record)
        return book

    def purge(self, before: int, now: datetime = NOON) -> None:
        for output in letters.to_purge(self.book, before, now):
            self.put(output)
        self.first = before


def letter(reason: str, offset: int = 0) -> Letter:
    at = Position(DEADLETTERS.name, 0, offset)
    return Letter(at, NOON, b"", "index", "odd", reason, "items/0/1", "", "", "")


def test_what_is_put_back_is_as_it_was_and_names_its_letter() -> None:
    desk = Desk()
    raw = Record(
        UNIQUE.name, 1, 7, 0, b"key", b"value", (("ce_id", b"x"), ("odd", b"\xff"))
    )
    record = desk.refuse(headers=raw.headers)
    again = letters.put_back(record)
    assert (again.topic, again.key, again.value) == (UNIQUE.name, b"key", b"value")
    assert again.headers == (
        *raw.headers,
        (events.ORIGIN, str(raw.position).encode()),
        (events.RETRY_OF, b"deadletters/0/0"),
    )
    assert letters.put_back(record, value=b"mended").value == b"mended"


def test_a_letter_is_open_until_a_notice_says_what_was_done() -> None:
    desk = Desk()
    first, second, third = desk.refuse(), desk.refuse(), desk.refuse()
    desk.retry(first)
    desk.purge(0)
    desk.put(letters.purged(letters.letter_in(second)))
    states = [desk.book.state(letters.letter_in(one)) for one in (first, second, third)]
    assert states == ["retried", "purged", "open"]


def test_tries_form_a_chain_and_the_last_one_counts() -> None:
    desk = Desk()
    record = desk.refuse(reason="first")
    for number in range(3):
        # The notice of the second is missing: killed between the two.
        again = desk.retry(record, noted=number != 1)
        record = desk.refuse(offset=8 + number, headers=again.headers)
    (last,) = desk.book.last()
    assert last.position == record.position
    tries = desk.book.tries(last)
    assert [one.reason for one in tries] == ["first", "why", "why", "why"]
    assert {one.origin for one in tries} == {f"{UNIQUE.name}/1/7"}
    assert list(desk.book.open()) == [last]


def test_letters_that_name_each_other_end_their_chain() -> None:
    desk = Desk()
    for other in (b"deadletters/0/1", b"deadletters/0/0"):
        desk.refuse(headers=((events.RETRY_OF, other),))
    one = next(iter(desk.book.letters.values()))
    assert len(desk.book.tries(one)) == 2


def test_a_retry_of_an_index_letter_is_no_append_to_a_compacted_topic() -> None:
    for name in (ITEMS.name, INCIDENTS.name):
        assert letters.goes_to_index(letter("r")._replace(lay_at=f"{name}/0/1"))
    assert not letters.goes_to_index(letter("r")._replace(lay_at="items.raw/0/1"))
    assert not letters.goes_to_index(letter("r")._replace(lay_at=""))


@given(st.lists(st.sampled_from(("refuse", "retry", "purge")), max_size=12))
def test_purging_forgets_no_state(steps: Sequence[str]) -> None:
    desk = Desk()
    expected: dict[str, str] = {}
    for step in steps:
        opened = list(desk.book.open())
        if step == "refuse":
            expected[str(desk.refuse().position)] = "open"
        elif step == "retry" and opened:
            desk.retry(desk.records[opened[0].position.offset])
            expected[str(opened[0].position)] = "retried"
        elif step == "purge":
            desk.purge(len(desk.records))
            expected = {k: v.replace("open", "purged") for k, v in expected.items()}
    book = desk.book
    told = {name: notices[-1].state for name, notices in book.notices.items()}
    assert expected == dict.fromkeys(map(_name, book.open()), "open") | told


def _name(one: Letter) -> str:
    return str(one.position)


def test_old_notices_are_not_carried_for_ever() -> None:
    desk = Desk()
    desk.retry(desk.refuse())
    desk.purge(2, NOON + timedelta(days=59))
    assert len(desk.book.notices) == 1
    desk.purge(3, NOON + timedelta(days=61))  # as old as it was first written
    assert not desk.book.notices


def test_open_letters_are_warned_of_two_weeks_before_they_expire() -> None:
    desk = Desk()
    old = desk.refuse(at=NOON - timedelta(days=77))
    desk.refuse(at=NOON - timedelta(days=75))
    done = desk.refuse(at=NOON - timedelta(days=89))
    desk.retry(done)
    soon = letters.expiring(desk.book, NOON)
    assert [one.position for one in soon] == [old.position]


def test_alike_reasons_fall_together() -> None:
    reasons = [
        "item i0123456789abcdef01234567 at items/3/99 has 1,048,577 bytes",
        "item ifedcba987654321001234567 at items/0/1 has 2,000,000 bytes",
        "something else",
    ]
    groups = letters.grouped([letter(one, n) for n, one in enumerate(reasons)])
    assert [(one.reason, one.size) for one in groups] == [
        ("item # at # has # bytes", 2),
        ("something else", 1),
    ]
    assert groups[0].example.offset == 1


@given(st.lists(st.text(max_size=8)), st.data())
def test_reasons_that_differ_in_numbers_alone_are_masked_alike(
    words: list[str], data: st.DataObject
) -> None:
    def reason() -> str:
        return " ".join(
            f"{word} {data.draw(st.integers(0, 10**12))} ;" for word in words
        )

    one, other = letters.masked(reason()), letters.masked(reason())
    assert one == other
    assert letters.masked(one) == one


@given(st.lists(st.text(max_size=20), max_size=20))
def test_every_letter_is_in_one_group(reasons: list[str]) -> None:
    groups = letters.grouped([letter(one, n) for n, one in enumerate(reasons)])
    assert sum(group.size for group in groups) == len(reasons)
    assert len({group[:3] for group in groups}) == len(groups)
    assert [g.size for g in groups] == sorted((g.size for g in groups), reverse=True)
