"""The check of the chaos run can fail: each claim, broken by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.invariant import (
    LAST,
    LOST,
    ONCE,
    TAKEN,
    Document,
    Emission,
    Expected,
    Letter,
    Observed,
    violations,
)
from tests.chaos.stories import Text


A, B, C = Text("A", "a"), Text("B", "b"), Text("C", "c")
EXPECTED = Expected("urn:1", (A, B, A), frozenset({A, B}), ordered=True)


def emission(offset: int, revision: int, text: Text | None) -> Emission:
    return Emission(f"items.unique/0/{offset}", "i1", "urn:1", revision, text)


def observed(**other: Any) -> Observed:
    said = [emission(0, 1, A), emission(1, 2, B), emission(2, 3, A)]
    sound: dict[str, Any] = {
        "balanced": True,
        "pending": 0,
        "unaccounted": [],
        "raw": {"urn:1": {A, B}},
        "documents": [Document("items-2026.11", "i1", "urn:1", 3, A)],
        "unique": said,
        "items": said,
        "incidents": {"n1": frozenset({"i1"})},
        "letters": [Letter("items.raw/0/7", "dedupe", "RecordError")],
    }
    return Observed(**(sound | other))


def broken(expected: Expected = EXPECTED, **other: Any) -> list[str]:
    found = violations([expected], ["items.raw/0/7"], observed(**other))
    return [one.claim for one in found]


def test_what_is_sound_breaks_nothing() -> None:
    assert broken() == []


def test_an_item_that_is_missing_is_lost() -> None:
    assert broken(documents=[], incidents={}) == [LOST]


def test_an_index_that_holds_an_older_text_is_behind() -> None:
    assert broken(documents=[Document("items-2026.11", "i1", "urn:1", 2, B)]) == [LAST]


def test_an_item_that_should_be_withdrawn_is_behind() -> None:
    withdrawn = EXPECTED._replace(editions=(A, B, A, None))
    assert broken(withdrawn) == [LAST]


@pytest.mark.parametrize(
    ("place", "ident"), [("items-2026.10", "i1"), ("items-2026.11", "i2")]
)
def test_an_item_in_two_indices_or_of_two_ids_is_twice(place: str, ident: str) -> None:
    once = Document("items-2026.11", "i1", "urn:1", 3, A)
    assert broken(documents=[once, Document(place, ident, "urn:1", 3, A)]) == [ONCE]


def test_what_a_connector_took_and_did_not_publish_is_told() -> None:
    assert broken(raw={"urn:1": {A}}) == [TAKEN]


def test_a_text_replaced_before_anybody_took_it_may_be_missing() -> None:
    said = [emission(0, 1, A)]
    assert not broken(
        EXPECTED._replace(taken=frozenset({A})),
        raw={"urn:1": {A}},
        documents=[Document("items-2026.11", "i1", "urn:1", 1, A)],
        unique=said,
        items=said,
    )


def test_revisions_that_come_again_are_passed_over() -> None:
    said = [emission(0, 1, A), emission(1, 2, B), emission(2, 1, A), emission(3, 2, B)]
    assert broken(EXPECTED._replace(editions=(A, B, A)), unique=said) == []


def test_a_revision_after_a_later_one_is_out_of_order() -> None:
    said = [emission(0, 2, B), emission(1, 1, A), emission(2, 3, A)]
    assert broken(unique=said) == ["revisions are in order on items.unique"]


def test_a_revision_that_says_two_things_is_told() -> None:
    said = [emission(0, 1, A), emission(1, 2, B), emission(2, 3, C), emission(3, 3, A)]
    assert "a revision says one thing on items" in broken(items=said)


def test_texts_that_turn_round_break_the_order_of_editions() -> None:
    said = [emission(0, 1, B), emission(1, 2, B), emission(2, 3, A)]
    claims = broken(EXPECTED._replace(editions=(A, B, A)), unique=said)
    assert claims == ["revisions follow the source's editions on items.unique"]


def test_an_incident_of_an_item_that_is_not_there_is_told() -> None:
    claims = broken(incidents={"n1": frozenset({"i1", "i9"})})
    assert claims == ["incidents name items that exist"]


@pytest.mark.parametrize(
    "letters",
    [
        [],
        [
            Letter("items.raw/0/7", "dedupe", "RecordError"),
            Letter("items/0/3", "index", "x"),
        ],
    ],
)
def test_dead_letters_are_the_malformed_records_and_no_others(letters: object) -> None:
    assert broken(letters=letters) == ["dead letters are the malformed records"]


def test_an_account_that_does_not_balance_or_waits_is_told() -> None:
    assert broken(balanced=False, unaccounted=["items.raw/0/1"]) == [
        "the audit balances"
    ]
    assert broken(pending=3) == ["nothing stays pending"]
