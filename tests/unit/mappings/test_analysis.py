# ruff: noqa: RUF001 - the letters are the point
from __future__ import annotations

import unicodedata

import pytest

from hypothesis import given
from hypothesis import strategies as st

from mappings import analysis


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("L'Événement à N’Djaména", "l evenement a n djamena"),
        ("Ƴan ɗaliban ƙauyen Ɓirnin", "yan daliban kauyen birnin"),
        ("ʼyan 'yan", "yan yan"),
        ("إلى مدرسةٍ، ألعـــاب الآن", "الي مدرسه العاب الان"),
        ("Jɛkulu ɲɔgɔn", "jekulu nogon"),
        ("Ещё ΟΔΟΣ İstanbul Ærø Łódź Straße", "еще οδοσ istanbul aero lodz strasse"),
        ("ﬁre ﺍﻟﺴﻼﻡ 3.5 km²", "fire السلام 3 5 km2"),
        ("洪水が", "洪 水 が"),
        ("12:30, 1,500; x@y.example", "12 30 1 500 x y example"),
        ("snake_case", "snake case"),
        ("…—?", ""),
    ],
)
def test_words_fold(text: str, expected: str) -> None:
    assert " ".join(analysis.folded(text)) == expected


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [
        ("fr", "attaques", "attaque"),
        ("fr", "tuées", "tué"),
        ("fr", "sénégalaise", "sénégalais"),
        ("ar", "الهجوم", "هجوم"),
        ("en", "attacked", "attacks"),
        ("es", "inundaciones", "inundación"),
    ],
)
def test_forms_of_a_word_have_one_stem(language: str, one: str, other: str) -> None:
    assert analysis.stems(one, language) == analysis.stems(other, language)


def test_a_long_run_of_letters_is_cut() -> None:
    assert [len(word) for word in analysis.folded("a" * 150)] == [64, 64, 22]


@given(st.text())
def test_folding_is_the_same_however_a_text_is_composed(text: str) -> None:
    decomposed = unicodedata.normalize("NFD", text)
    assert analysis.folded(text) == analysis.folded(decomposed)


@given(st.text(), st.sampled_from(sorted(analysis.STEMMERS)))
def test_folded_and_stems_stand_side_by_side(text: str, language: str) -> None:
    folded, stems = analysis.both(text, language)
    assert folded == " ".join(analysis.folded(text))
    assert stems == " ".join(analysis.stems(text, language))
    assert len(folded.split(" ")) == len(stems.split(" "))


@given(st.text())
def test_pieces_stand_where_the_spans_say(text: str) -> None:
    spans = list(analysis.spans(text))
    assert [text[start:end] for start, end in spans] == analysis.pieces(text)
    assert spans == sorted(spans)


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"])))
def test_the_pieces_of_a_text_hold_all_its_words(text: str) -> None:
    forms = " ".join(analysis.forms(analysis.pieces(text)))
    if unicodedata.is_normalized("NFKC", text):
        assert forms.split() == analysis.folded(text)
