"""The sample that ships: each item is read, and read as what it is."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import pytest

from connectors.radio.items import Start
from connectors.radio.items import read as read_transcript
from connectors.rss.items import read as read_feed
from connectors.rss.subscription import subscription
from console.sample import paths
from streams.annotate.annotate import annotate
from streams.records import RawItem, TaggedItem, UniqueItem
from streams.settings import Feed, Station


NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
#: What only sounds like an incident, by a word of its title.
HARMLESS = {
    "Late attack",
    "Shares crash",
    "Ten years after",
    "Jury finds",
    "Film about",
    "New phone",
    "Football",
    "Bourse",
    "Entretien",
    "Donors",
    "هدف قاتل",
    "مهرجان السينما",
    "Kwallon kafa",
    "Farashin hatsi",
    "El tribunal",
    "Un disparo",
}


def _items(path: Path) -> tuple[RawItem, ...]:
    if path.suffix == ".xml":
        about = subscription(Feed(url=f"https://{path.stem}.example/feed"))
        return read_feed(path.read_bytes(), about, NOON).items
    station = Station(id=path.parent.name, folder="")
    return read_transcript(
        path.read_bytes(),
        name=path.name,
        station=station,
        start=Start(None, "unknown"),
        fetched=NOON,
        words=250,
    ).items


def _tagged(raw: RawItem) -> TaggedItem:
    known = {name: getattr(raw, name) for name in RawItem.__struct_fields__}
    return annotate(
        UniqueItem(
            **known,
            id="i",
            revision=1,
            content_hash="h",
            first_seen=NOON,
            anchor=NOON,
        )
    )


@pytest.fixture(scope="module")
def tagged() -> list[TaggedItem]:
    files = chain.from_iterable(sorted(folder.iterdir()) for folder in paths())
    return [_tagged(raw) for path in files for raw in _items(path)]


def test_it_has_five_languages_all_known(tagged: list[TaggedItem]) -> None:
    assert {one.language.code for one in tagged} == {"en", "fr", "es", "ar", "ha"}
    assert len(tagged) > 50


def test_what_is_no_incident_is_not_taken_for_one(tagged: list[TaggedItem]) -> None:
    for one in tagged:
        harmless = any(one.title.startswith(start) for start in HARMLESS)
        assert (one.main_class == "none") == harmless, one.title or one.text


def test_the_convoy_is_told_in_four_languages_and_by_the_station(
    tagged: list[TaggedItem],
) -> None:
    told = [
        one
        for one in tagged
        if any(name in one.title + one.text for name in ("Kayes", "كاي"))
    ]
    assert {one.language.code for one in told} == {"en", "fr", "ar", "ha"}
    assert any(one.recording for one in told)
    assert {one.main_class for one in told} == {"violence_against_civilians"}


def test_papers_print_the_wire_as_it_is(tagged: list[TaggedItem]) -> None:
    publishers: dict[str, set[str]] = {}
    for one in tagged:
        publishers.setdefault(one.signature, set()).add(one.publisher)
    assert sum(len(those) > 1 for those in publishers.values()) >= 5


def test_every_entry_is_marked_as_sample(tagged: list[TaggedItem]) -> None:
    for one in tagged:
        assert one.recording is not None or "sample" in one.categories
