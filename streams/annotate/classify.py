"""What a text tells of: a first honest baseline of keywords, with the words that decided.

A lexicon a language (``lexicon/*.toml``) turns words into concepts; rules that are the
same for every language (``lexicon/rules.tsv``) turn concepts that stand near each other
in a sentence into evidence for a class, ``none`` among them: a match report is full of
attacks and shots, and of words for sport. The best class is an event if its evidence
outweighs that for ``none``. Earlier sentences count more, the title most.
"""

from __future__ import annotations

import math

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, product, repeat
from typing import Literal, NamedTuple

from streams.annotate import concepts
from streams.annotate.concepts import Rule
from streams.annotate.words import Word, sentences
from streams.records import Classification, Event, IncidentClass, Modality, Span


VERSION = "keywords-2"

#: Characters that are read, of the title and of the text; what a report tells of, it
#: tells early.
READ_MAX = 1000
TITLE_WEIGHT = 1.4
#: Of the first, second and later sentences of a text.
SENTENCE_WEIGHTS = (1.0, 0.7, 0.45)
#: Concepts of a rule lie within so many words of one another.
NEAR_WORDS = 10
#: How much of the evidence for ``none`` an event must outweigh, and by how much.
NONE_SHARE = 0.8
MARGIN_MIN = 1.8
#: A class is named beside the main one if it has this share of its evidence.
OTHER_SHARE = 0.6
OTHER_MIN = 1.0
SPANS_MAX = 12
#: Of one concept, so that a list of names does not crowd out the verb.
WORDS_MAX = 2
#: Confidence over the margin: a logistic curve through what was measured.
CONFIDENCE_MIDDLE = 2.0
CONFIDENCE_SLOPE = 0.8
CONFIDENCE_MAX = 0.95

#: "Nobody was killed": a negation speaks of deaths that follow within so many words.
NEGATED_WORDS = 4

_FieldName = Literal["title", "text"]
#: Concept -> the words that speak of it: their place in the sentence, and the span.
_Mentions = Mapping[str, Sequence[tuple[int, Span]]]


class _Cue(NamedTuple):
    """A concept that says what kind of news an act is that stands close to it."""

    concept: str
    modality: Modality
    #: The act begins so many words after the cue, or so many before it.
    reach: range
    #: A word for this between the two breaks the tie: "denied any role in the attack".
    unless: str = ""


#: Of several cues, the first here decides.
_CUES = (
    _Cue("denial", "denied", range(1, 8), unless="disavowal"),
    _Cue("negation", "denied", range(1, 3)),
    _Cue("intent", "planned", range(1, 5)),
    _Cue("threatening", "planned", range(1, 7)),
    _Cue("scheduled", "planned", range(-4, 0)),
)
#: Concepts of who and how many; those of an act are all others.
_NO_ACTS = frozenset(
    {"armed", "crowd", "forces", "number", "people", "police", "politics", "vehicle"}
    | {"threatening", "unharmed"}
)
#: What nobody plans: what will be done about a flood does not make it a plan.
_UNPLANNED: frozenset[IncidentClass] = frozenset({"accident", "disaster", "health"})


class _Sentence(NamedTuple):
    field: _FieldName
    weight: float
    mentions: _Mentions


class _Evidence(NamedTuple):
    """A rule that holds, and the weight that it gives where it is strongest."""

    rule: Rule
    weight: float
    #: Where it is strongest first; at most one of the title, and one of the text.
    sentences: tuple[_Sentence, ...]


def classify(title: str, text: str, language: str) -> tuple[Event, ...]:
    """Return the event that *title* and *text* tell of, or nothing.

    ``language`` (BCP 47) chooses the lexicon: there is no event in a language without
    one. A text of unknown language is read with all of them.
    """
    code = language.partition("-")[0]
    if code != "und" and code not in concepts.LANGUAGES:
        return ()
    evidence = list(_evidence(_sentences(title, text, concepts.lexicon(code))))
    scores: dict[IncidentClass, float] = {}
    for item in evidence:
        label = item.rule.label
        scores[label] = scores.get(label, 0.0) + item.weight
    against = scores.pop("none", 0.0)
    if not scores:
        return ()
    best = max(scores, key=lambda label: scores[label])
    margin = scores[best] - NONE_SHARE * against
    if margin < MARGIN_MIN:
        return ()
    decided = [e for e in evidence if e.rule.label == best and e.weight > 0]
    main = Classification(label=best, confidence=_confidence(margin), why=_why(decided))
    return (
        Event(
            incident_class=main,
            other_classes=_others(scores, best),
            modality=_modality(decided),
        ),
    )


def _others(
    scores: Mapping[IncidentClass, float], best: IncidentClass
) -> tuple[Classification, ...]:
    enough = max(OTHER_SHARE * scores[best], OTHER_MIN)
    near = sorted(
        ((score, label) for label, score in scores.items() if score >= enough),
        reverse=True,
    )
    return tuple(
        Classification(label=label, confidence=_confidence(score - scores[best]))
        for score, label in near
        if label != best
    )


def _confidence(margin: float) -> float:
    curve = 1 / (1 + math.exp(CONFIDENCE_SLOPE * (CONFIDENCE_MIDDLE - margin)))
    return round(min(CONFIDENCE_MAX, curve), 2)


def _why(decided: Sequence[_Evidence]) -> tuple[Span, ...]:
    """Return the words behind *decided*, strongest evidence first, each once."""
    spans: dict[Span, None] = {}
    for item in sorted(decided, key=lambda item: -item.weight):
        for sentence, concept in product(item.sentences, item.rule.concepts):
            words = sentence.mentions[concept][:WORDS_MAX]
            spans.update(dict.fromkeys(span for _, span in words))
    return tuple(list(spans)[:SPANS_MAX])


def _modality(decided: Sequence[_Evidence]) -> Modality:
    """Return what is said of the event: that it happened, or why it is not news.

    The strongest sentence tells; a title that speaks of a drill tells for the text.
    """
    strongest = max(decided, key=lambda item: item.weight)
    mentions = strongest.sentences[0].mentions
    titles = (s for e in decided for s in e.sentences if s.field == "title")
    if "rehearsal" in mentions or any("rehearsal" in s.mentions for s in titles):
        return "fiction"
    if "past" in mentions:
        return "retold"
    acts = [
        at
        for concept in set(strongest.rule.concepts) - _NO_ACTS
        for at, _ in mentions[concept]
    ]
    for cue in _CUES if acts else ():
        if cue.modality == "planned" and strongest.rule.label in _UNPLANNED:
            continue
        if all(_tells(cue, act, mentions) for act in acts):
            return cue.modality
    return "happened"


def _tells(cue: _Cue, act: int, mentions: _Mentions) -> bool:
    """Whether *cue* stands where it speaks of the act at word *act*."""
    return any(
        act - at in cue.reach
        and not any(at < other < act for other, _ in mentions.get(cue.unless, ()))
        for at, _ in mentions.get(cue.concept, ())
    )


def _evidence(found: Sequence[_Sentence]) -> Iterator[_Evidence]:
    """Yield each rule that holds anywhere, once."""
    by_weight = sorted(found, key=lambda sentence: -sentence.weight)
    for rule, needed in _candidates(found):
        holds: dict[_FieldName, _Sentence] = {}
        for sentence in by_weight:
            if (
                needed <= sentence.mentions.keys()
                and sentence.field not in holds
                and _near(rule.concepts, sentence.mentions)
            ):
                holds[sentence.field] = sentence
        if holds:
            told = tuple(holds.values())
            yield _Evidence(rule, rule.weight * told[0].weight, told)


def _candidates(found: Sequence[_Sentence]) -> list[tuple[Rule, frozenset[str]]]:
    """Return the rules of whose concepts all are mentioned, in the rules' order.

    Of 400 rules a text leaves some five; asking each sentence for each of them took two
    thirds of the time of classification.
    """
    mentioned = set[str]().union(*(sentence.mentions for sentence in found))
    by_first = _rules()
    possible = [
        numbered
        for concept in mentioned
        for numbered in by_first.get(concept, ())
        if numbered[2] <= mentioned
    ]
    return [(rule, needed) for _, rule, needed in sorted(possible, key=_number)]


def _number(numbered: tuple[int, Rule, frozenset[str]]) -> int:
    return numbered[0]


@cache
def _rules() -> Mapping[str, Sequence[tuple[int, Rule, frozenset[str]]]]:
    """Return the rules with their numbers, by their first concept."""
    by_first: dict[str, list[tuple[int, Rule, frozenset[str]]]] = {}
    for number, rule in enumerate(concepts.rules()):
        numbered = (number, rule, frozenset(rule.concepts))
        by_first.setdefault(rule.concepts[0], []).append(numbered)
    return by_first


def _near(rule: Sequence[str], mentions: _Mentions) -> bool:
    """Whether words of all concepts of *rule* stand near a word of the first."""
    first, *others = rule
    return not others or any(
        all(
            any(abs(at - other) <= NEAR_WORDS for other, _ in mentions[concept])
            for concept in others
        )
        for at, _ in mentions[first]
    )


def _sentences(title: str, text: str, lexicon: concepts.Lexicon) -> list[_Sentence]:
    read = [
        _Sentence("title", TITLE_WEIGHT, _mentions("title", words, lexicon))
        for words in sentences(title[:READ_MAX])
    ]
    body = text[:READ_MAX]
    # Some feeds repeat the title at the start of the text.
    told = len(title) if title and body.startswith(title) else 0
    spoken = (
        _mentions("text", words, lexicon)
        for words in sentences(body)
        if words[-1].start >= told
    )
    # A greeting or a dateline says nothing, and takes no sentence's place.
    telling = [mentions for mentions in spoken if mentions]
    weights = chain(SENTENCE_WEIGHTS, repeat(SENTENCE_WEIGHTS[-1]))
    return read + [
        _Sentence("text", w, m) for m, w in zip(telling, weights, strict=False)
    ]


def _mentions(
    field: _FieldName, words: Sequence[Word], lexicon: concepts.Lexicon
) -> _Mentions:
    mentions: dict[str, list[tuple[int, Span]]] = {}
    for concept, first, after in lexicon.read(words):
        span = Span(field=field, start=words[first].start, end=words[after - 1].end)
        mentions.setdefault(concept, []).append((first, span))
    if "negation" in mentions and "killing" in mentions:
        _spare(mentions)
    return mentions


def _spare(mentions: dict[str, list[tuple[int, Span]]]) -> None:
    """Read a death that a negation stands before as what it is: nobody was harmed."""
    negations = [at for at, _ in mentions["negation"]]
    for killing in mentions.pop("killing"):
        negated = any(0 < killing[0] - at <= NEGATED_WORDS for at in negations)
        concept = "unharmed" if negated else "killing"
        mentions.setdefault(concept, []).append(killing)
