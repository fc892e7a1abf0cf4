"""Of each record it is told what it was taken for; duplicates are seen nowhere else."""

from __future__ import annotations

from streams.dedupe.decide import decide
from tests.unit.dedupe.test_decide import LONG, SHORT, Wire, sent
from tests.unit.dedupe.test_forget import ask


def taken_for(wire: Wire, offset: int) -> str:
    outcome = decide(wire.records[offset], wire.state).outcome
    wire.decide(offset)
    return outcome


def test_each_record_is_taken_for_something() -> None:
    wire = Wire()
    told = [
        taken_for(wire, offset)
        for offset in (
            wire.append(SHORT),
            wire.append(SHORT),
            wire.append(LONG, source="another feed"),
            wire.append("a text that is new"),
            wire.append("a text that is new", changed=("link",)),
            0,
            wire.append("", state="withdrawn"),
        )
    ]
    assert told == [
        *("new", "duplicate", "fuller", "revision", "moved", "replay", "withdrawn")
    ]


def test_what_comes_of_a_forgotten_publication_is_told() -> None:
    wire = Wire()
    ask(wire, sent(wire.send()))
    asked_at = len(wire.records) - 1
    assert taken_for(wire, asked_at) == "replay"
    assert taken_for(wire, wire.append("another text of it")) == "forgotten"
