from __future__ import annotations

from itertools import pairwise

import pytest

from hypothesis import given
from hypothesis import strategies as st

from streams.annotate.words import fold, sentences


@given(st.text())
def test_every_word_stands_where_it_says(text: str) -> None:
    for sentence in sentences(text):
        for word in sentence:
            assert fold(text[word.start : word.end]) == word.form


@given(st.text())
def test_words_come_in_order_and_never_overlap(text: str) -> None:
    words = [word for sentence in sentences(text) for word in sentence]
    for before, after in pairwise(words):
        assert before.start < before.end <= after.start


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("Tuée", "tuee"),
        ("ɗan", "dan"),
        ("l'attaque", "attaque"),
        ("d\u2019otages", "otages"),
        ("أُضرم", "اضرم"),
        ("غارة", "غاره"),
    ],
)
def test_spellings_meet(written: str, form: str) -> None:
    assert fold(written) == form


def test_a_figure_with_a_point_is_no_end_of_a_sentence() -> None:
    assert len(sentences("A 6.1 quake struck. Nobody died.")) == 2
