"""What is forgotten leaves no word in stories and incidents."""

from __future__ import annotations

import msgspec

from streams import events
from streams.correlate.memory import item_key
from streams.records import FORGOTTEN_VERSION, Forgetting, TaggedItem
from tests.unit.correlate.desk import NOON, Desk, item, received


TOLD = "Fighters killed Ousmane Wobblezap."


def forgotten(
    ident: str, *, revision: int = 2, incidents: tuple[str, ...] = ()
) -> TaggedItem:
    return msgspec.structs.replace(
        item(ident, "", revision=revision, state="withdrawn"),
        state="forgotten",
        signature="",
        forgetting=Forgetting(
            id=ident, because="court order", anchor=NOON, incidents=incidents
        ),
    )


def words(desk: Desk) -> bytes:
    latest = [*desk.items().values(), *desk.incidents().values()]
    return b"".join(map(events.encode, latest)) + b"".join(desk.table.values())


def test_the_copy_leads_what_a_forgotten_item_led() -> None:
    desk = Desk()
    first = item("i1", title="Wobblezap")
    desk.read(first, item("i2"), forgotten("i1"))
    (incident,) = desk.incidents().values()
    assert [report.item for report in incident.reports] == ["i2"]
    assert incident.title == incident.reports[0].quote
    assert b"Wobblezap" not in words(desk)


def test_the_only_report_forgotten_leaves_a_stub_without_words() -> None:
    desk = Desk()
    desk.read(item("i1", TOLD, title="Wobblezap"), forgotten("i1"))
    (incident,) = desk.incidents().values()
    assert (incident.status, incident.item_count) == ("retracted", 0)
    assert (incident.title, incident.reports) == ("", ())
    assert b"Wobblezap" not in words(desk)


def test_an_incident_that_the_item_has_left_is_told_of_and_loses_its_words() -> None:
    desk = Desk()
    desk.read(item("i1", TOLD, title="Wobblezap"), item("i2", "Another text."))
    old = desk.items()["i1"].incidents[0]
    desk.read(item("i1", "Another text.", revision=2))
    desk.read(forgotten("i1", revision=3, incidents=(old,)))
    assert desk.incidents()[old].title == ""
    assert b"Wobblezap" not in words(desk)


def test_an_incident_older_than_the_memory_becomes_a_stub() -> None:
    desk = Desk()
    desk.read(forgotten("i1", incidents=("nold",)))
    old = desk.incidents()["nold"]
    assert (old.status, old.title, old.reports) == ("retracted", "", ())


def test_a_replay_ends_no_incident_that_only_its_id_is_known_of() -> None:
    one = received(forgotten("i1", incidents=("nold",)), 0)
    headers = (*one.record.headers, (events.REPLAY, b"models"))
    desk = Desk()
    desk.take(one._replace(record=one.record._replace(headers=headers)))
    assert desk.incidents() == {}


def test_nothing_is_newer_than_a_forgotten_item() -> None:
    desk = Desk()
    desk.read(item("i1"), forgotten("i1"), item("i1", revision=9))
    assert desk.items()["i1"].version == FORGOTTEN_VERSION
    assert desk.items()["i1"].state == "forgotten"


def test_a_report_of_an_item_that_is_not_known_any_more_goes_all_the_same() -> None:
    desk = Desk()
    desk.read(item("i1", TOLD, title="Wobblezap"))
    (opened,) = desk.incidents()
    del desk.table[item_key("i1")]
    desk.read(forgotten("i1", incidents=(opened,)))
    incident = desk.incidents()[opened]
    assert (incident.status, incident.title, incident.reports) == ("retracted", "", ())
    assert b"Wobblezap" not in words(desk)
