from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from mappings.fields import Passage
from mappings.query import parse
from mappings.snippets import END, SNIPPET_MAX, SNIPPETS_MAX, START, snippets


NOW = datetime(2026, 11, 24, tzinfo=UTC)


def marked(query: str, *texts: str, language: str = "fr") -> list[str]:
    passages = [Passage(language, text) for text in texts]
    return [
        snippet.replace(START, "[").replace(END, "]")
        for snippet in snippets(parse(query, now=NOW), passages)
    ]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("attaque", "Les attaques d'hier", "Les [attaques] d'hier"),
        ("evenement", "Un événement grave", "Un [événement] grave"),
        ("éve*", "Un événement", "Un [événement]"),
        (
            '"convoi de"',
            "de convoi, un convoi de l'armée",
            "de convoi, un [convoi] [de] l'armée",
        ),
        ("armée OR convoi", "L'armée, un convoi", "L'[armée], un [convoi]"),
        ("convoi -armée", "L'armée, un convoi", "L'armée, un [convoi]"),
    ],
)
def test_hits_are_marked_as_written(query: str, text: str, expected: str) -> None:
    assert marked(query, text) == [expected]


def test_stems_are_those_of_the_texts_language() -> None:
    assert marked("attaques", "attaque", language="fr") == ["[attaque]"]
    assert marked("attaques", "attaque", language="") == ["attaque"]


def test_marks_that_a_source_wrote_are_taken_out() -> None:
    text = f"{START}fausse{END} attaque"
    assert marked("attaque", text) == ["fausse [attaque]"]


def test_a_long_text_is_cut_around_its_hits() -> None:
    text = "mot " * 200 + "attaque " + "mot " * 200
    (snippet,) = marked("attaque", text)
    assert "[attaque]" in snippet
    assert snippet.startswith("…")
    assert snippet.endswith("…")
    assert len(snippet) < SNIPPET_MAX + 10


def test_a_query_of_fields_shows_how_the_text_begins() -> None:
    assert marked("lang:fr", "Titre", "Le texte.") == ["Le texte."]
    assert marked("", "Titre") == ["Titre"]
    assert marked("") == []


@given(st.lists(st.text(), max_size=3), st.sampled_from(["a", "abc*", '"a b"', "-a"]))
def test_marks_come_in_pairs_in_any_text(texts: list[str], query: str) -> None:
    found = snippets(parse(query, now=NOW), [Passage("en", text) for text in texts])
    assert len(found) <= SNIPPETS_MAX
    for snippet in found:
        marks = [letter for letter in snippet if letter in (START, END)]
        assert marks == [START, END] * (len(marks) // 2)


def test_a_phrase_that_overlaps_itself_is_marked_once() -> None:
    assert marked('"non non"', "non non non") == ["[non] [non] [non]"]


@pytest.mark.timeout(20)
def test_a_long_text_full_of_hits_costs_no_more_time_than_reading_it() -> None:
    assert len(marked("attaque", "attaque " * 110_000)) == SNIPPETS_MAX
