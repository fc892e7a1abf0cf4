from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from streams import events
from streams.dedupe.agent import stage
from streams.dedupe.decide import decide
from streams.dedupe.publication import Publication, load
from streams.log.face import Record
from streams.records import Identity, RawItem, Sighting, Source, State, UniqueItem
from streams.stage import Received
from streams.text import fingerprint, normalize
from streams.topics import DEDUPE_TABLE, RAW, UNIQUE


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG, SHORT = "a convoy was stopped near Kayes on Thursday", "a convoy was stopped"


class Wire:
    """A partition of raw records, decided on one after the other."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}
        self.records: list[Received] = []

    def send(self, text: str = LONG, **fields: Any) -> UniqueItem | None:
        """Append a record, decide on it, and return what it emitted."""
        return self.decide(self.append(text, **fields))

    def append(
        self,
        text: str = LONG,
        *,
        guid: str | None = "g1",
        link: str | None = None,
        source: str = "world",
        publisher: str = "example.org",
        state: State = "present",
        usable: bool = True,
        page: str = "",
        **fields: Any,
    ) -> int:
        """Append a record; return its offset."""
        kinds: tuple[tuple[Literal["guid", "link", "text"], str | None], ...] = (
            ("guid", guid),
            ("link", link),
            ("text", fingerprint(normalize(text)) if text else None),
        )
        item = RawItem(
            identities=tuple(
                Identity(kind=kind, value=value, usable=usable)
                for kind, value in kinds
                if value is not None
            ),
            publisher=publisher,
            source=Source(connector="rss", id=source),
            state=state,
            link=page,
            text=text,
            **{"fetched": NOON, **fields},
        )
        offset = len(self.records)
        record = Record(
            RAW.name, 0, offset, 1_000 * offset, b"", events.encode(item), ()
        )
        self.records.append(Received(record, item))
        return offset

    def retry(self, offset: int) -> UniqueItem | None:
        """Append the record at *offset* again, as for a dead letter, and decide."""
        record, item = self.records[offset]
        headers = (
            (events.ORIGIN, str(record.position).encode()),
            (events.RETRY_OF, b"deadletters/0/0"),
        )
        at = len(self.records)
        again = record._replace(offset=at, timestamp_ms=1_000 * at, headers=headers)
        self.records.append(Received(again, item))
        return self.decide(at)

    def decide(self, offset: int) -> UniqueItem | None:
        decision = decide(self.records[offset], self.state)
        for key, value in decision.writes.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        for output in decision.outputs:
            assert output.topic == UNIQUE.name
            item = events.decode(UniqueItem, output.value)
            assert output.key == item.id.encode()
            return item
        return None


def sent(item: UniqueItem | None) -> UniqueItem:
    assert item is not None
    return item


def test_the_stage_reads_raw_items_and_keeps_its_table_in_the_declared_topic() -> None:
    dedupe = stage()
    assert (dedupe.name, dedupe.sources) == ("dedupe", (RAW,))
    assert (dedupe.decide, dedupe.table) == (decide, DEDUPE_TABLE)


def test_a_first_sight_is_revision_one() -> None:
    item = sent(Wire().send())
    assert item.id == "i" + fingerprint("example.org", "guid", "g1")
    assert (item.revision, item.first_seen, item.seen_in) == (1, NOON, ())


def test_the_same_text_from_the_same_source_emits_nothing_and_writes_nothing() -> None:
    wire = Wire()
    wire.send()
    before = dict(wire.state)
    assert wire.send() is None
    assert wire.send(LONG.upper()) is None, "case is not text"
    assert wire.state == before


def test_changed_text_is_a_new_revision() -> None:
    wire = Wire()
    wire.send("one")
    assert sent(wire.send("two")).revision == 2


def test_a_text_that_comes_back_is_a_third_revision() -> None:
    wire = Wire()
    revisions = [sent(wire.send(text)).revision for text in ("A", "B", "A")]
    assert revisions == [1, 2, 3]


def test_a_changed_title_is_a_new_revision() -> None:
    wire = Wire()
    wire.send(title="12 dead")
    assert sent(wire.send(title="15 dead")).revision == 2


def test_two_feeds_of_a_publisher_meet_by_link_though_their_guids_differ() -> None:
    wire = Wire()
    first = sent(wire.send(guid="w1", link="/kayes"))
    assert wire.send(guid="a1", link="/kayes", source="africa") is None
    assert sent(wire.send("new", guid="a1", link=None, source="africa")).id == first.id


def test_the_strongest_known_name_decides_and_no_name_changes_hands() -> None:
    wire = Wire()
    one = sent(wire.send("one", guid="g1", link="/1"))
    two = sent(wire.send("two", guid="g2", link="/2"))
    mixed = sent(wire.send("three", guid="g1", link="/2"))
    assert mixed.id == one.id
    assert sent(wire.send("four", guid=None, link="/2")).id == two.id


def test_another_publishers_copy_is_a_publication_of_its_own() -> None:
    wire = Wire()
    ours = sent(wire.send(publisher="a.example"))
    theirs = sent(wire.send(publisher="b.example"))
    assert ours.id != theirs.id
    assert theirs.revision == 1


def test_an_unusable_identity_names_nothing() -> None:
    wire = Wire()
    first = sent(wire.send("one", usable=False))
    second = sent(wire.send("two", usable=False))
    assert first.id != second.id
    assert wire.send("two", usable=False) is None


def test_a_record_with_nothing_at_all_is_still_emitted() -> None:
    assert sent(Wire().send("", guid=None)).revision == 1


def test_a_second_feeds_copy_travels_as_a_sighting_with_the_next_revision() -> None:
    wire = Wire()
    wire.send("one")
    wire.send("one", source="africa")
    item = sent(wire.send("two"))
    assert item.seen_in == (Sighting(source="africa", same_text=False),)


def test_a_new_link_of_the_text_shown_is_shown_without_a_new_revision() -> None:
    wire = Wire()
    first = sent(wire.send(page="https://example.org/old"))
    wire.send(source="africa")
    moved = sent(wire.send(page="https://example.org/new", changed=("link",)))
    assert (moved.id, moved.revision) == (first.id, 1)
    assert moved.link == "https://example.org/new"
    elsewhere = wire.send(source="africa", page="https://e.example", changed=("link",))
    assert elsewhere is None
    assert wire.decide(2) == moved
    assert wire.decide(0) is None


def test_the_fuller_text_of_a_second_feed_is_shown_without_a_new_revision() -> None:
    wire = Wire()
    first = sent(wire.send(SHORT))
    fuller = sent(wire.send(LONG, source="africa"))
    assert (fuller.id, fuller.revision, fuller.text) == (first.id, 1, LONG)
    assert fuller.seen_in == (Sighting(source="world", same_text=False),)
    assert wire.send(SHORT) is None


def test_a_shorter_text_of_a_second_feed_is_only_noted() -> None:
    wire = Wire()
    wire.send(LONG)
    assert wire.send(SHORT, source="africa") is None


def test_feeds_that_disagree_never_make_revisions_in_turn() -> None:
    wire = Wire()
    wire.send(LONG)
    for _ in range(5):
        assert wire.send(SHORT, source="africa") is None
        assert wire.send(LONG) is None


def test_a_feed_that_lags_behind_makes_no_revision() -> None:
    wire = Wire()
    for text in ("one", "two", "three"):
        wire.send(text)
        wire.send("one", source="slow") if text == "one" else None
    assert wire.send("two", source="slow") is None
    assert wire.send("three", source="slow") is None


def test_a_feed_that_is_ahead_makes_the_revision_and_the_other_only_follows() -> None:
    wire = Wire()
    wire.send("one")
    wire.send("one", source="fast")
    ahead = sent(wire.send("two", source="fast"))
    assert (ahead.revision, ahead.source.id) == (2, "fast")
    assert wire.send("two") is None


def test_a_withdrawal_is_a_revision_and_a_second_one_a_duplicate() -> None:
    wire = Wire()
    wire.send()
    gone = sent(wire.send("", state="withdrawn"))
    assert (gone.revision, gone.state) == (2, "withdrawn")
    assert wire.send("", state="withdrawn") is None
    assert wire.send("", state="withdrawn", source="africa") is None


def test_a_withdrawal_of_something_never_seen_is_emitted() -> None:
    assert sent(Wire().send("", state="withdrawn")).state == "withdrawn"


def test_what_is_withdrawn_returns_as_a_revision_from_the_same_source() -> None:
    wire = Wire()
    wire.send()
    wire.send("", state="withdrawn")
    back = sent(wire.send())
    assert (back.revision, back.state) == (3, "present")


def test_another_feed_that_still_shows_it_does_not_bring_it_back() -> None:
    wire = Wire()
    wire.send(SHORT)
    wire.send(SHORT, source="africa")
    wire.send("", state="withdrawn")
    assert wire.send(SHORT, source="africa") is None
    assert wire.send(LONG, source="new") is None


def test_another_feed_that_withdrew_it_too_and_takes_that_back_does() -> None:
    wire = Wire()
    wire.send()
    wire.send(source="africa")
    wire.send("", state="withdrawn")
    wire.send("", state="withdrawn", source="africa")
    assert sent(wire.send(source="africa")).revision == 3


def test_a_replayed_cause_is_answered_with_the_same_bytes_whatever_was_noted() -> None:
    wire = Wire()
    wire.send("one")
    cause = wire.send("two")
    wire.send("two", source="africa")
    assert wire.decide(1) == cause
    assert wire.decide(0) is None
    assert wire.decide(2) is None


def test_the_anchor_is_the_claimed_date_when_that_can_be() -> None:
    day = timedelta(days=1)
    for ahead, believed in (
        (-365 * day, True),
        (-366 * day, False),
        (day, True),
        (2 * day, False),
    ):
        item = sent(Wire().send(published=NOON + ahead))
        assert item.anchor == (NOON + ahead if believed else NOON)


def test_anchor_and_first_sight_are_fixed_whatever_later_revisions_claim() -> None:
    wire = Wire()
    wire.send("one", published=NOON - timedelta(days=40))
    later = NOON + timedelta(days=9)
    item = sent(wire.send("two", published=later, fetched=later))
    assert item.anchor == NOON - timedelta(days=40)
    assert item.first_seen == NOON


def test_a_retry_is_the_next_revision_if_nothing_was_said_since() -> None:
    wire = Wire()
    wire.send("one")
    aside = wire.append("two")
    assert sent(wire.retry(aside)).revision == 2


def test_a_retry_does_not_undo_what_its_source_has_said_since() -> None:
    wire = Wire()
    aside = wire.append("one")
    assert sent(wire.send("two")).revision == 1
    assert wire.retry(aside) is None
    assert wire.send("two") is None


def test_a_retry_repeated_says_the_same_again_and_changes_no_publication() -> None:
    wire = Wire()
    aside = wire.append("one")
    first = wire.retry(aside)
    held = {key: load(value) for key, value in wire.state.items() if key[:2] == b"p/"}
    assert wire.retry(aside) == first is not None
    wire.send("two")
    assert wire.retry(aside) is None
    (before,), (after,) = held.values(), _publications(wire)
    assert after.revision == before.revision + 1


def test_a_retry_that_tells_more_than_what_came_since_is_a_new_revision() -> None:
    wire = Wire()
    aside = wire.append("the whole long text")
    assert sent(wire.send("the text", source="africa")).revision == 1
    assert sent(wire.retry(aside)).revision == 2


def test_a_retry_of_a_copy_is_a_copy() -> None:
    wire = Wire()
    wire.send("one")
    aside = wire.append("one")
    assert wire.retry(aside) is None
    assert wire.retry(aside) is None


def _publications(wire: Wire) -> list[Publication]:
    return [load(value) for key, value in wire.state.items() if key[:2] == b"p/"]
