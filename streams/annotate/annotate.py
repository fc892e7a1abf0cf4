"""Read one item: its language, what it tells of, its signature. Pure, CPU-bound."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

import msgspec

from streams.annotate import classify, language, signature
from streams.records import (
    Event,
    Language,
    RawItem,
    Segment,
    Span,
    TaggedItem,
    UniqueItem,
)


class DetectLanguage(Protocol):
    """Tells what language a text is in; ``hint`` is the source's own word."""

    def __call__(self, text: str, hint: str = "") -> Language:
        """Return the language, ``und`` when it is not known."""


class Classify(Protocol):
    """Tells what a text in a given language tells of."""

    def __call__(self, title: str, text: str, language: str) -> tuple[Event, ...]:
        """Return the events, the main one first, with the spans that decided."""


class Sign(Protocol):
    """Boils an item down to what another copy of it would boil down to."""

    def __call__(self, item: RawItem) -> str:
        """Return the signature; '' when there is nothing to compare."""


@dataclass(frozen=True, kw_only=True)
class Annotators:
    """What reads an item; ``models`` names and dates each, for the record."""

    language: DetectLanguage
    classify: Classify
    sign: Sign
    models: Mapping[str, str]


SHIPPED = Annotators(
    language=language.detect,
    classify=classify.classify,
    sign=signature.sign,
    models={
        "language": language.VERSION,
        "classify": classify.VERSION,
        "signature": signature.VERSION,
    },
)


def annotate(item: UniqueItem, annotators: Annotators = SHIPPED) -> TaggedItem:
    """Return *item* with what it says; one that is not present says nothing any more."""
    given = {name: getattr(item, name) for name in UniqueItem.__struct_fields__}
    if item.state != "present":
        return TaggedItem(**given)
    # A transcript's title is the station's, not the speaker's.
    title = "" if item.recording is not None else item.title
    found = annotators.language(f"{title}\n{item.text}".strip(), item.source.language)
    events = annotators.classify(title, item.text, found.code)
    if item.recording is not None:
        events = _timed(events, item.text, item.recording.segments)
    return TaggedItem(
        **given,
        language=found,
        events=events,
        signature=annotators.sign(item),
        models=dict(annotators.models),
    )


def _timed(
    events: tuple[Event, ...], text: str, segments: Sequence[Segment]
) -> tuple[Event, ...]:
    """Return *events* with the seconds at which each deciding span is spoken."""
    starts = _segment_starts(text, segments)
    if not starts:
        return events

    def timed(span: Span) -> Span:
        segment = segments[max(0, bisect_right(starts, span.start) - 1)]
        return msgspec.structs.replace(
            span, start_s=segment.start_s, end_s=segment.end_s
        )

    return tuple(
        msgspec.structs.replace(
            event,
            incident_class=msgspec.structs.replace(
                event.incident_class,
                why=tuple(map(timed, event.incident_class.why)),
            ),
        )
        for event in events
    )


def _segment_starts(text: str, segments: Sequence[Segment]) -> list[int]:
    """Return where in *text* each of *segments* begins; [] if they do not make it up."""
    words = [segment.text.split() for segment in segments]
    if [word for segment in words for word in segment] != text.split():
        return []
    positions: list[int] = []
    at = 0
    for word in text.split():
        at = text.index(word, at)
        positions.append(at)
        at += len(word)
    firsts = accumulate(map(len, words), initial=0)
    return [
        positions[first] if first < len(positions) else len(text)
        for first, _ in zip(firsts, words, strict=False)
    ]
