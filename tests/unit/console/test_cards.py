"""A search result: for a person, and for a program."""

from __future__ import annotations

import io
import json

from datetime import UTC, datetime

import msgspec
import pytest

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from console import cards, details, escape, wording
from mappings.face import Hit
from streams.records import (
    Classification,
    Event,
    Identity,
    Incident,
    Item,
    Language,
    Point,
    Recording,
    Report,
    Segment,
    Source,
    Span,
    Story,
    Toll,
    Tolls,
)


THEN = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)
HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold]x[/bold]\u202egnp.exe\u2066"


def make_item(*, title: str = "Attack near Kayes", text: str = "Gunmen came.") -> Item:
    return Item(
        identities=(Identity(kind="guid", value="g1"),),
        publisher=title,
        source=Source(connector="rss", id="example.org/feed", name=title),
        link="https://example.org/1",
        title=title,
        text=text,
        fetched=THEN,
        id="i" + "0" * 24,
        revision=1,
        content_hash="c",
        first_seen=THEN,
        anchor=THEN,
        language=Language(code="en", confidence=0.9, detector="langdetect"),
        events=(
            Event(
                incident_class=Classification(
                    label="battle",
                    confidence=0.8,
                    why=(Span(field="text", start=0, end=6),),
                ),
                tolls=Tolls(killed=Toll(min=15, max=16, best=15, quote=text)),
            ),
        ),
        version=7,
        story=Story(id="s" + "0" * 24),
        incidents=("n" + "0" * 24,),
    )


def make_incident(title: str = "Attack near Kayes") -> Incident:
    return Incident(
        id="n" + "0" * 24,
        version=3,
        incident_class="battle",
        title=title,
        first_seen=THEN,
        last_seen=THEN,
        reports=(
            Report(
                item="i1",
                story="s1",
                source=title,
                publisher=title,
                link=f"javascript:{title}",
                seen=THEN,
                quote=title,
            ),
        ),
        item_count=1,
        independent_sources=1,
    )


def printed(
    parts: list[RenderableType], *, terminal: bool = False, width: int = 80
) -> str:
    stream = io.StringIO()
    console = Console(
        file=stream, force_terminal=terminal, width=width, highlight=False
    )
    for part in parts:
        console.print(part)
    return stream.getvalue()


@given(
    st.lists(st.tuples(st.text(st.characters(categories=("L", "Z"))), st.booleans()))
)
def test_marks_become_places_in_the_text_without_them(
    parts: list[tuple[str, bool]],
) -> None:
    snippet = "".join(f"\ue000{text}\ue001" if hit else text for text, hit in parts)

    text, spans = cards.marked(snippet)

    found = {at for start, end in spans for at in range(start, end)}
    expected = [hit for part, hit in parts for _ in part]
    assert text == "".join(part for part, _ in parts)
    assert found == {at for at, hit in enumerate(expected) if hit}


def test_hits_that_touch_are_one_hit() -> None:
    assert cards.marked("\ue000a\ue001\ue000b\ue001c") == ("abc", [(0, 2)])


def test_a_snippet_that_is_the_title_marks_the_hits_there() -> None:
    hit = Hit(make_item(), 1.0, ("Attack near \ue000Kayes\ue001",))

    shown = printed(cards.card(hit, 1, styled=False))

    assert "Attack near Kayes\n" not in shown
    assert "*Kayes*" in shown


def test_a_stray_mark_in_a_source_text_is_taken_out() -> None:
    assert cards.marked("a\ue001b\ue000c") == ("abc", [])


def test_without_styles_a_hit_stands_between_asterisks() -> None:
    hit = Hit(make_item(), 1.0, ("a \ue000convoy\ue001 came",))

    assert "a *convoy* came" in printed(cards.card(hit, 1, styled=False))


def test_a_card_shows_class_language_source_link_and_id() -> None:
    shown = printed(cards.card(Hit(make_item(), 1.0), 1, styled=True))

    for fact in ("Attack near Kayes", "battle", "en", "24 Nov 2026", "example.org/1"):
        assert fact in shown
    assert make_item().id in shown


def test_a_result_as_json_gives_places_of_hits_and_the_whole_document() -> None:
    hit = Hit(make_item(), 1.5, ("a \ue000convoy\ue001",))

    line = json.loads(escape.dumps(cards.as_json(hit)))

    assert line["type"] == "item"
    assert line["snippets"] == [{"text": "a convoy", "hits": [[2, 8]]}]
    assert line["document"]["id"] == make_item().id


@pytest.mark.parametrize("width", [20, 80])
def test_nothing_that_a_source_wrote_reaches_the_terminal_raw(width: int) -> None:
    item, incident = make_item(title=HOSTILE, text=HOSTILE), make_incident(HOSTILE)
    spoken = Recording(
        recorded=THEN,
        segments=(Segment(start_s=1, end_s=2, text=HOSTILE, speaker=HOSTILE),),
    )
    parts = [
        *cards.card(Hit(item, 1.0, (HOSTILE,)), 1, styled=True),
        *cards.card(Hit(incident, 1.0, (HOSTILE,)), 1, styled=False),
        *details.item(item, [item]),
        *details.recording(spoken),
        *details.incident(incident),
    ]

    plain = printed(parts, width=width)

    assert escape.block(plain) == plain
    assert "javascript:" not in plain


def test_the_words_that_decided_are_marked_in_the_text() -> None:
    shown = printed(details.item(make_item()), terminal=True)

    assert "\x1b[1;4mGunmen\x1b[0m" in shown


def test_an_items_page_names_its_story_and_incidents() -> None:
    shown = printed(details.item(make_item()))

    assert "s" + "0" * 24 in shown
    assert "n" + "0" * 24 in shown
    assert "15 (15 to 16)" in shown


def test_an_items_page_says_what_is_new_in_it_and_what_the_feed_said() -> None:
    item = msgspec.structs.replace(
        make_item(),
        changed=("title", "link"),
        summary="A teaser",
        point=Point(lat=13.5, lon=2.1),
    )

    shown = printed(details.item(item))

    assert "new in it: title, link" in shown
    assert "A teaser" in shown
    assert "13.5000, 2.1000, as its source says" in shown


def test_facets_say_how_to_filter_by_them() -> None:
    counts = {
        "class": [("none", 9), ("remote_violence", 4)],
        "language": [("fr", 2)],
        "source": [("radio gao", 1)],
        "day": [],
    }

    said = cards.narrowing(counts).plain

    assert 'class:remote_violence  lang:fr  source:"radio gao"' in said


def test_a_result_says_which_date_it_gives() -> None:
    item = make_item()
    known = msgspec.structs.replace(item, published=THEN)

    assert wording.dated(item).startswith("seen 24 Nov")
    assert wording.dated(known).startswith("published 24 Nov")
