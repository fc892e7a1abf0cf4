from __future__ import annotations

import asyncio

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings.embedded import EmbeddedIndex
from mappings.face import Refused, Stored
from mappings.fields import LABEL_MAX, Passage, fault, searchable, stored
from streams.records import Identity, Incident, Item, Language, Source, Story
from tests import strategies


NOW = datetime(2026, 11, 24, tzinfo=UTC)
ITEM = Item(
    identities=(Identity(kind="guid", value="1"),),
    publisher="Paper.Example",
    source=Source(connector="rss", id="Paper.Example/RSS"),
    title="A title",
    text="A text",
    authors=("Somebody",),
    fetched=NOW,
    id="i1",
    revision=1,
    content_hash="h",
    first_seen=NOW,
    anchor=NOW,
    language=Language(code="pt-BR"),
    version=1,
    story=Story(id="s1"),
    incidents=("n1", "n2"),
)
RECORDS = st.one_of(strategies.of(Item), strategies.of(Incident))


def test_labels_are_in_lower_case_and_a_language_is_its_primary_subtag() -> None:
    labels = searchable(ITEM).labels
    assert labels["source"] == ("paper.example/rss",)
    assert labels["lang"] == ("pt",)
    assert labels["incident"] == ("n1", "n2")
    assert labels["station"] == ()


def test_text_has_stems_only_in_a_language_with_a_stemmer() -> None:
    assert searchable(ITEM).text == (Passage("pt", "A text"),)
    hausa = msgspec.structs.replace(ITEM, language=Language(code="ha"))
    assert searchable(hausa).text == (Passage("", "A text"),)


def test_what_the_feed_said_is_searched_with_the_article() -> None:
    full = msgspec.structs.replace(ITEM, summary="A teaser", changed=("text",))
    assert searchable(full).text == (Passage("pt", "A text"), Passage("pt", "A teaser"))
    stub = stored(msgspec.structs.replace(full, state="forgotten"))
    assert isinstance(stub, Item)
    assert (stub.summary, stub.changed) == ("", ())


def test_an_overlong_label_is_not_indexed() -> None:
    long = msgspec.structs.replace(ITEM, publisher="p" * (LABEL_MAX + 1))
    assert searchable(long).labels["publisher"] == ()


def test_a_stub_keeps_what_it_was_and_none_of_its_text() -> None:
    withdrawn = msgspec.structs.replace(ITEM, state="withdrawn")
    stub = stored(withdrawn)
    assert isinstance(stub, Item)
    assert (stub.title, stub.text, stub.authors) == ("", "", ())
    assert (stub.id, stub.identities, stub.story) == ("i1", ITEM.identities, ITEM.story)
    assert not searchable(stub).findable
    assert stored(ITEM) is ITEM


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"id": ""}, "id_length"),
        ({"id": "é" * 257}, "id_length"),
        ({"version": 0}, "version_range"),
        ({"version": 2**63}, "version_range"),
        ({"text": "\ud800"}, "not_unicode"),
    ],
)
def test_what_no_index_can_take_is_refused(
    changes: dict[str, object], kind: str
) -> None:
    refusal = fault(msgspec.structs.replace(ITEM, **changes))
    assert isinstance(refusal, Refused)
    assert refusal.kind == kind


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(RECORDS, max_size=4))
def test_any_record_is_kept_as_it_was_or_refused(
    tmp_path: Path, records: list[Item | Incident]
) -> None:
    async def scenario() -> None:
        async with EmbeddedIndex(tmp_path, synchronous="NORMAL") as index:
            await index.prepare()
            fates = await index.write(records)
            for record, fate in zip(records, fates, strict=True):
                if fate is Stored.STORED and record == records[-1]:
                    assert await index.get(record.id) == stored(record)

    asyncio.run(scenario())
