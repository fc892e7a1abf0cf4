"""A publication that an operator has had forgotten stays closed."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from streams import events
from streams.dedupe.decide import decide
from streams.dedupe.publication import load, publication_key
from streams.errors import RecordError
from streams.forget import OPERATOR, Quoting, request
from streams.log.face import Record
from streams.records import RawItem, UniqueItem
from streams.stage import Decision, Received
from streams.topics import RAW
from tests.unit.dedupe.test_decide import NOON, Wire, sent


def ask(wire: Wire, publication: UniqueItem) -> UniqueItem | None:
    """Append the request to forget *publication*; return what it emits."""
    output = request(Quoting(publication, ()), because="court order", now=NOON)
    offset = len(wire.records)
    record = Record(RAW.name, 0, offset, 1_000 * offset, b"", output.value, ())
    return take(wire, Received(record, events.decode(RawItem, output.value)))


def take(wire: Wire, received: Received) -> UniqueItem | None:
    wire.records.append(received)
    decision: Decision = decide(received, wire.state)
    for key, value in decision.writes.items():
        if value is None:
            wire.state.pop(key, None)
        else:
            wire.state[key] = value
    outputs = [events.decode(UniqueItem, one.value) for one in decision.outputs]
    return outputs[0] if outputs else None


def test_a_forgotten_publication_is_emitted_without_a_word_of_it() -> None:
    wire = Wire()
    shown = sent(wire.send("Ousmane was there.", guid="ousmane-1", title="Ousmane"))
    stub = ask(wire, shown)
    assert stub is not None
    assert (stub.id, stub.revision, stub.state) == (shown.id, 2, "forgotten")
    assert stub.anchor == shown.anchor
    assert b"usmane" not in events.encode(stub)
    assert shown.content_hash.encode() not in events.encode(stub)


def test_nothing_brings_a_forgotten_publication_back() -> None:
    wire = Wire()
    shown = sent(wire.send())
    ask(wire, shown)
    assert wire.send() is None
    assert wire.send("another text of it") is None
    assert wire.send(source="another feed") is None
    assert wire.send("", state="withdrawn") is None
    assert wire.send(guid="another guid") is None  # its text is known
    assert wire.send("again another", guid="another guid") is None  # and now that too


def test_forgetting_twice_changes_nothing() -> None:
    wire = Wire()
    shown = sent(wire.send())
    ask(wire, shown)
    before = dict(wire.state)
    assert ask(wire, shown) is None
    key = publication_key(shown.id.encode())
    assert wire.state[key] == before[key]


def test_a_replayed_request_says_the_same_again() -> None:
    wire = Wire()
    first = ask(wire, sent(wire.send()))
    assert take(wire, wire.records[1]) == first


def test_what_dedupe_no_longer_knows_is_closed_by_its_id() -> None:
    shown = sent(Wire().send())
    wire = Wire()
    held = msgspec.structs.replace(shown, revision=5)
    stub = ask(wire, held)
    assert stub is not None
    assert (stub.id, stub.revision, stub.anchor) == (shown.id, 6, shown.anchor)
    assert wire.send() is None


def test_a_closed_publication_keeps_names_and_no_hash_of_a_text() -> None:
    wire = Wire()
    shown = sent(wire.send())
    ask(wire, shown)
    closed = load(wire.state[publication_key(shown.id.encode())])
    assert closed.names
    assert (closed.content_hash, closed.history, closed.noted) == ("", (), ())
    assert closed.sequences == ()


def test_a_feed_cannot_forget() -> None:
    item = RawItem(
        identities=(),
        publisher="example.org",
        source=OPERATOR,
        state="forgotten",
        fetched=datetime(2026, 3, 1, tzinfo=UTC),
    )
    record = Record(RAW.name, 0, 0, 0, b"", events.encode(item), ())
    with pytest.raises(RecordError, match="which and why"):
        decide(Received(record, item), {})
