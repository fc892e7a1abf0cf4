"""What the loop refuses of what a decision wants stored."""

from __future__ import annotations

from streams.stage import Decision, Refusal, _checked
from streams.topics import RECORD_MAX_BYTES


def test_an_entry_that_its_changelog_would_never_take_is_a_refusal() -> None:
    outcome = _checked(Decision((), {b"key": b"x" * RECORD_MAX_BYTES}))
    assert isinstance(outcome, Refusal)
    assert outcome.kind == "OversizeError"
    assert "an entry of the stage's table has 1048579 bytes" in outcome.reason


def test_an_entry_at_the_limit_and_a_deletion_are_taken() -> None:
    decision = Decision((), {b"key": b"x" * (RECORD_MAX_BYTES - 3), b"gone": None})
    assert _checked(decision) is decision
