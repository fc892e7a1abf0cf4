from __future__ import annotations

import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from streams.text import fingerprint, normalize
from tests.strategies import HOSTILE


@given(HOSTILE)
@example("\u0345\u0301")  # casefolding U+0345 gives a letter
@example("\u00b4a")  # NFKC of a spacing accent begins with a space
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(HOSTILE)
def test_what_is_normal_has_single_spaces_and_none_around(text: str) -> None:
    normal = normalize(text)
    assert normal.split() == ([] if not normal else normal.split(" "))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("STRASSE", "straße"),
        ("re\u0301volte", "révolte"),
        ("a\u00a0b\u2003\n c", "A B C"),
        ("ﬁre", "FIRE"),
        ("\uff11\uff12", "12"),
        ("ﻻ", "لا"),
    ],
)
def test_copies_that_differ_in_writing_only_compare_equal(one: str, other: str) -> None:
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(
    ("one", "other"), [("ɓ", "b"), ("é", "e"), ("\u0623", "\u0627")]
)
def test_letters_that_differ_stay_different(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


@given(st.lists(HOSTILE, max_size=4), st.lists(HOSTILE, max_size=4))
def test_other_parts_have_another_fingerprint(one: list[str], other: list[str]) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)


@given(HOSTILE, st.integers(0, 20))
def test_a_fingerprint_knows_where_its_parts_end(text: str, cut: int) -> None:
    assert fingerprint(text[:cut], text[cut:]) != fingerprint(text)


@given(st.lists(HOSTILE, max_size=3))
def test_a_fingerprint_is_24_hex_digits(parts: list[str]) -> None:
    assert len(fingerprint(*parts)) == 24
    assert set(fingerprint(*parts)) <= set("0123456789abcdef")


def test_fingerprints_are_the_same_for_ever() -> None:
    """Ids on the log are made of them."""
    assert fingerprint("guid", "tag:example.org,2024:1") == "cd48ebde625b507f3bd52a09"
    assert fingerprint("") == "a49ad06e5bfdba57d12fb14c"
