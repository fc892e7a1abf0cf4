from __future__ import annotations

import importlib
import sys

import pytest

from hypothesis import given
from hypothesis import strategies as st

from streams.annotate import language
from streams.annotate.language import detect


SENTENCES = {
    "en": "The ministry said that nine villages had been cut off by the water.",
    "fr": "Le ministère a déclaré que neuf villages étaient coupés par les eaux.",
    "es": "El ministerio dijo que nueve aldeas han quedado aisladas por el agua.",
    "ar": "قالت الوزارة إن المياه قطعت الطرق عن تسع قرى في شرق البلاد منذ أمس.",
    "ha": "Gwamnatin jihar ta ce ruwa ya mamaye kauyuka tara a cikin wannan makon.",
    "sw": "Wizara ilisema kwamba vijiji tisa vya mashariki kwa sasa havina njia ya kufika.",
    "ru": "Министерство сообщило, что из-за воды девять деревень остались без дороги.",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_in_its_language(code: str) -> None:
    found = detect(SENTENCES[code])
    assert found.code == code
    assert found.confidence > 0.7


@pytest.mark.parametrize("text", ["", "12 : 34 !", "🙂", "Ok", "Kidal"])
def test_too_little_is_not_known(text: str) -> None:
    assert detect(text).code == "und"


def test_a_language_that_the_detector_lacks_is_not_called_another() -> None:
    bambara = "Mɔgɔ tan ni duuru fagara sira kan, ka bɔ Kayi dugu la ka taa dankan na."
    found = detect(bambara)
    assert found.code == "und"
    assert found.script == "Latn"


def test_the_source_decides_a_short_text_only() -> None:
    assert detect("Minusma: 3 morts", "fr").code == "fr"
    assert detect("Minusma: 3 morts", "fr").detector == "source"
    assert detect(SENTENCES["en"], "fr").code == "en"


def test_the_source_cannot_be_of_another_script() -> None:
    assert detect("Minusma: 3 morts", "ar").code == "und"


def test_a_region_in_the_source_s_language_does_not_matter() -> None:
    assert detect("Kidal: 3 morts", "fr-ML").code == "fr"


def test_scripts_are_named() -> None:
    assert detect(SENTENCES["ar"]).script == "Arab"
    assert detect("ብዙ ሰዎች በጎርፍ ምክንያት ከቤታቸው ተፈናቀሉ").script == "Ethi"


@given(st.text(max_size=300), st.sampled_from(["", "fr", "ar", "??"]))
def test_any_text_has_one_answer_always_the_same(text: str, hint: str) -> None:
    found = detect(text, hint)
    assert found == detect(text, hint)
    assert 0 <= found.confidence <= 1


def test_the_port_to_rust_gives_the_reference_s_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("langdetect_rs")
    fast = {code: detect(text) for code, text in SENTENCES.items()}
    monkeypatch.setitem(sys.modules, "langdetect_rs", None)
    reference = importlib.reload(language)
    try:
        assert fast == {c: reference.detect(text) for c, text in SENTENCES.items()}
    finally:
        monkeypatch.undo()
        importlib.reload(language)
