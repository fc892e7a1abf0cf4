"""What became of records, told to a person and to a program."""

from __future__ import annotations

import io
import json

from collections.abc import Mapping

import pytest

from rich.console import Console, RenderableType

from connectors.face import Refused
from console import escape, fates
from console.publishing import Given, Sent
from streams.audit import Audit
from streams.fates import Fate, Reason, Verdict
from streams.log.face import Position
from streams.records import Source


def make_given(count: int, refused: int = 0) -> Given:
    return Given(
        [
            Sent(
                Position("items.raw", 0, number),
                f"Title {number}",
                Source(connector="ingest", id="s"),
            )
            for number in range(count)
        ],
        [Refused(f"file{n}\x1b[2J", "broken", "it is no feed") for n in range(refused)],
    )


def make_audit(verdicts: Mapping[Position, Verdict]) -> Audit:
    counts = {fate: sum(one.fate is fate for one in verdicts.values()) for fate in Fate}
    return Audit(
        counts=counts,
        unaccounted=tuple(
            at for at, one in verdicts.items() if one.fate is Fate.UNACCOUNTED
        ),
        refused={Reason("annotate", "timeout", "it hangs"): 2},
        at_door={},
        fates=verdicts,
    )


def all_of(given: Given, fate: Fate) -> Audit:
    return make_audit({at: Verdict(fate, "i1", "why") for at, _, _ in given.items})


def printed(parts: list[RenderableType]) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=100, highlight=False)
    for part in parts:
        console.print(part)
    return stream.getvalue()


@pytest.mark.parametrize("fate", Fate)
def test_every_fate_has_its_words(fate: Fate) -> None:
    given = make_given(2)

    said = printed(fates.of_given(given, all_of(given, fate)))

    assert "Title 1" in said
    assert f"2 {fate.value}" in said


def test_many_items_are_counted_and_few_listed() -> None:
    given = make_given(fates.ITEMS_LISTED + 1)

    said = printed(fates.of_given(given, all_of(given, Fate.INDEXED)))

    assert "Title" not in said
    assert "21 items published: 21 indexed" in said


def test_refusals_are_named_and_the_many_more_counted_by_kind() -> None:
    given = make_given(0, refused=fates.REASONS_LISTED + 5)

    said = printed(fates.of_given(given, make_audit({})))

    assert "file0␛[2J: broken: it is no feed" in said
    assert "and 5 more (5 broken)" in said
    assert "35 refused" in said


def test_programs_get_a_line_for_each_item_and_each_refusal() -> None:
    given = make_given(2, refused=1)
    audit = all_of(given, Fate.DUPLICATE)

    lines = [
        json.loads(escape.dumps(one)) for one in fates.of_given_as_json(given, audit)
    ]

    assert [one["fate"] for one in lines] == ["duplicate", "duplicate", "refused"]
    assert lines[0]["position"] == "items.raw/0/0"
    assert lines[2]["reason"] == "it is no feed"


def test_a_copy_and_a_new_revision_name_their_item() -> None:
    given = make_given(1)
    copy = printed(fates.of_given(given, all_of(given, Fate.DUPLICATE)))
    second = printed(fates.of_given(given, all_of(given, Fate.INDEXED), {"i1": 2}))

    assert "a copy of i1 (why)" in copy
    assert "revision 2 of i1" in second


def test_what_was_refused_is_named_once() -> None:
    one = Refused("http://a.example/", "unreachable", "http://a.example/: it is away")

    said = printed(fates.of_given(Given([], [one]), make_audit({})))

    assert "http://a.example/: unreachable: it is away" in said
    assert said.count("http://a.example/") == 1


def test_one_reason_for_many_is_an_example() -> None:
    assert "e.g. it hangs" in printed(fates.of_audit(make_audit({}), waited=False))


def test_an_account_that_balances_says_so_and_one_that_does_not_says_where() -> None:
    given = make_given(2)

    well = printed(fates.of_audit(all_of(given, Fate.INDEXED), waited=False))
    lost = printed(fates.of_audit(all_of(given, Fate.UNACCOUNTED), waited=False))

    assert "balanced: every raw record has a fate" in well
    assert "NOT balanced: 2 records" in lost
    assert "items.raw/0/1" in lost


def test_reasons_of_dead_letters_are_part_of_the_account() -> None:
    said = printed(fates.of_audit(make_audit({}), waited=False))

    assert "timeout" in said
    assert "it hangs" in said
    assert fates.audit_as_json(make_audit({}))["refused"][0]["count"] == 2


def test_records_on_their_way_are_pointed_out() -> None:
    pending = all_of(make_given(1), Fate.PENDING)

    assert "--wait waits" in printed(fates.of_audit(pending, waited=False))
