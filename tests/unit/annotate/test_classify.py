from __future__ import annotations

import tomllib

from importlib.resources import files

import pytest

from hypothesis import given
from hypothesis import strategies as st

from streams.annotate.classify import READ_MAX, SPANS_MAX, classify
from streams.annotate.concepts import LANGUAGES, lexicon, rules
from streams.annotate.words import sentences
from streams.records import IncidentClass


#: Not the sample's sentences: what tells each class in each language.
TOLD: list[tuple[str, IncidentClass, str]] = [
    ("en", "battle", "Troops and rebels exchanged fire near the bridge for an hour."),
    ("en", "remote_violence", "A roadside bomb killed two people on a bus."),
    ("en", "violence_against_civilians", "Militants abducted nine farmers."),
    ("en", "protest", "Teachers staged a peaceful protest over unpaid salaries."),
    ("en", "riot", "Rioters torched shops and set up barricades of burning tyres."),
    ("en", "strategic_development", "The rebels and the army signed a ceasefire."),
    ("en", "crime", "Police arrested two burglars who robbed a jeweller."),
    ("en", "disaster", "Floods swept away 30 houses after heavy rain."),
    ("en", "accident", "A bus plunged into a ravine in a crash that killed six."),
    ("en", "health", "Doctors confirmed an outbreak of cholera with 40 cases."),
    ("en", "infrastructure", "A power outage left the city without electricity."),
    ("fr", "battle", "De violents combats ont opposé l'armée aux rebelles."),
    ("fr", "violence_against_civilians", "Des hommes armés ont enlevé un prêtre."),
    ("fr", "disaster", "Un séisme de magnitude 5 a frappé la côte."),
    ("fr", "protest", "Les enseignants manifestent contre la réforme."),
    ("es", "remote_violence", "Un coche bomba mató a tres personas en el mercado."),
    ("es", "violence_against_civilians", "Sicarios asesinaron a un líder indígena."),
    ("es", "accident", "Un tren descarriló y hubo diez heridos."),
    ("ar", "remote_violence", "انفجرت عبوة ناسفة في سيارة وقتل ثلاثة أشخاص."),
    ("ar", "violence_against_civilians", "خطف مسلحون صحفيا ومزارعين اثنين."),
    ("ar", "health", "تفشي الكوليرا في المخيم وتسجيل عشرات الإصابات."),
    ("ha", "violence_against_civilians", "'Yan bindiga sun sace manoma a gonakinsu."),
    ("ha", "disaster", "Girgizar kasa ta kashe mutane a birnin."),
    ("ha", "accident", "Hatsarin mota ya kashe fasinjoji shida."),
]

#: What sounds like an incident and is none.
HARMLESS = [
    ("en", "The striker's shot beat the goalkeeper as the visitors attacked again."),
    ("en", "Shares crashed on Monday and investors fled to bonds."),
    ("en", "The film about a bombing won the festival's award for its music."),
    ("en", "The court heard the minister's appeal in the trial over fraud."),
    ("en", "We asked the coach about the season and the battle for the title."),
    ("fr", "L'attaquant a marqué deux buts et son équipe gagne le match."),
    ("fr", "Le groupe annonce des bénéfices en hausse et rachète une entreprise."),
    ("es", "El delantero disparó al arco y dio la victoria a su equipo."),
    ("ar", "سجل المهاجم هدفين في المباراة وفاز فريقه بالدوري."),
    ("ha", "Dan wasan ya ci kwallo biyu a wasan karshe na gasar."),
]


@pytest.mark.parametrize(("code", "label", "text"), TOLD)
def test_a_report_is_of_its_class(code: str, label: IncidentClass, text: str) -> None:
    (event,) = classify("", text, code)
    assert event.incident_class.label == label
    assert event.modality == "happened"


@pytest.mark.parametrize(("code", "text"), HARMLESS)
def test_what_only_sounds_like_an_incident_is_none(code: str, text: str) -> None:
    assert classify("", text, code) == ()


def test_the_deciding_words_are_named() -> None:
    title, text = "Prêtre enlevé", "Des hommes armés à moto l'ont pris à Goma."
    (event,) = classify(title, text, "fr")
    read = {"title": title, "text": text}
    words = {read[s.field][s.start : s.end] for s in event.incident_class.why}
    assert {"Prêtre", "enlevé"} <= words


def test_the_text_is_named_beside_a_title_that_says_it_all() -> None:
    (event,) = classify("Bomb kills two", "A bomb killed two men at noon.", "en")
    assert {span.field for span in event.incident_class.why} == {"title", "text"}


def test_an_anniversary_is_retold() -> None:
    text = "Ten years ago a bomb killed 40 people and wounded 90 in the market."
    (event,) = classify("", text, "en") or (None,)
    assert event is None or event.modality == "retold"


def test_an_exercise_is_fiction() -> None:
    text = "In a drill, gunmen attacked and killed passengers of a train."
    (event,) = classify("", text, "en")
    assert event.modality == "fiction"


def test_a_language_without_a_lexicon_tells_nothing() -> None:
    assert classify("Erdbeben", "Ein Erdbeben hat Häuser zerstört.", "de") == ()


def test_an_unknown_language_is_read_with_all_lexicons() -> None:
    (event,) = classify("Kayes: attentat, 3 morts", "", "und")
    assert event.incident_class.label == "remote_violence"


def test_no_more_than_the_beginning_of_a_title_is_read() -> None:
    """One of a megabyte held up the stage for half a minute."""
    title = f"{'so ' * (READ_MAX // 3)} militants abducted nine farmers."
    assert classify(title, "", "en") == ()
    assert classify(title[300:], "", "en") != ()


def test_a_title_repeated_in_the_text_counts_once() -> None:
    title = "Floods hit the valley"
    once = classify(title, "", "en")
    assert classify(title, title, "en") == once


@given(
    st.text(max_size=80),
    st.text(
        st.sampled_from("bomb killed 3 soldiers. attaque tué قتل هجوم "), max_size=200
    ),
    st.sampled_from((*LANGUAGES, "und", "de")),
)
def test_spans_lie_in_the_text(title: str, text: str, code: str) -> None:
    for event in classify(title, text, code):
        assert 0 < event.incident_class.confidence < 1
        assert 0 < len(event.incident_class.why) <= SPANS_MAX
        for span in event.incident_class.why:
            read = title if span.field == "title" else text
            assert 0 <= span.start < span.end <= len(read)


def test_rules_speak_of_concepts_that_the_lexicons_have() -> None:
    assert {concept for rule in rules() for concept in rule.concepts} <= _concepts("en")


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_lexicon_has_the_same_concepts(code: str) -> None:
    assert _concepts(code) == _concepts("en")


def test_arabic_prefixes_do_not_hide_a_word() -> None:
    mentions = [
        mention.concept
        for sentence in sentences("وبالقصف والغارات للمدنيين")
        for mention in lexicon("ar").read(sentence)
    ]
    assert mentions == ["bombardment", "bombardment", "people"]


def _concepts(code: str) -> set[str]:
    folder = files("streams.annotate").joinpath("lexicon")
    return set(tomllib.loads(folder.joinpath(f"{code}.toml").read_text("utf-8")))
