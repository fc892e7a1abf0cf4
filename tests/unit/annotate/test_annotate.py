from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from streams.annotate.annotate import SHIPPED, annotate
from streams.records import (
    Identity,
    Recording,
    Segment,
    Source,
    UniqueItem,
)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ITEM = UniqueItem(
    identities=(Identity(kind="guid", value="g"),),
    publisher="a.example",
    source=Source(connector="rss", id="a", language="en"),
    title="Militants abduct nine farmers",
    text="The men were taken from their fields on Friday, the mayor said.",
    fetched=NOON,
    id="i1",
    revision=1,
    content_hash="h",
    first_seen=NOON,
    anchor=NOON,
)


def test_what_was_known_stays_and_what_was_read_is_added() -> None:
    tagged = annotate(ITEM)
    for name in UniqueItem.__struct_fields__:
        assert getattr(tagged, name) == getattr(ITEM, name)
    assert tagged.language.code == "en"
    assert tagged.main_class == "violence_against_civilians"
    assert tagged.models == SHIPPED.models
    assert tagged.signature


def test_a_withdrawn_item_says_nothing() -> None:
    tagged = annotate(msgspec.structs.replace(ITEM, state="withdrawn"))
    assert (tagged.language.code, tagged.events, tagged.signature) == ("und", (), "")


def test_copies_have_one_signature_whatever_their_case_and_spaces() -> None:
    copy = msgspec.structs.replace(
        ITEM, publisher="b.example", title=ITEM.title.upper(), text=f" {ITEM.text}\n"
    )
    assert annotate(copy).signature == annotate(ITEM).signature


def test_a_title_repeated_in_the_text_makes_no_other_signature() -> None:
    copy = msgspec.structs.replace(ITEM, text=f"{ITEM.title} {ITEM.text}")
    assert annotate(copy).signature == annotate(ITEM).signature


def test_another_text_has_another_signature() -> None:
    other = msgspec.structs.replace(ITEM, text="Nine men are missing.")
    assert annotate(other).signature != annotate(ITEM).signature


def test_an_item_without_words_has_no_signature() -> None:
    assert not annotate(msgspec.structs.replace(ITEM, title="", text=" ")).signature


def _spoken(*cues: tuple[float, float, str], text: str | None = None) -> UniqueItem:
    segments = tuple(Segment(start_s=s, end_s=e, text=t) for s, e, t in cues)
    return msgspec.structs.replace(
        ITEM,
        title="Radio, 19:00",
        text=" ".join(t for *_, t in cues) if text is None else text,
        recording=Recording(segments=segments),
    )


def test_a_span_on_radio_has_its_seconds() -> None:
    tagged = annotate(
        _spoken((0, 2, "Good evening."), (2, 6, "Militants abducted nine farmers."))
    )
    why = tagged.events[0].incident_class.why
    assert {(span.start_s, span.end_s) for span in why} == {(2, 6)}


def test_segments_that_are_not_the_text_give_no_seconds() -> None:
    spoken = _spoken((0, 2, "Something else."), text="Militants abducted nine farmers.")
    why = annotate(spoken).events[0].incident_class.why
    assert {span.start_s for span in why} == {None}


def test_a_station_s_title_is_no_part_of_what_was_said() -> None:
    spoken = _spoken((0, 2, "Militants abducted nine farmers."))
    later = msgspec.structs.replace(spoken, title="Radio, 20:00")
    assert annotate(later).signature == annotate(spoken).signature
