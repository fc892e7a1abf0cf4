"""Questions, as whoever is asked sees them."""

from __future__ import annotations

import io
import sys

import pytest

from console import screen


HOSTILE = "Give up \x1b]0;owned\x07 \u202e3 dead letters?"


class Terminal(io.StringIO):
    """Standard input where a person types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "yes"), [("y\n", True), ("n\n", False), ("", False)])
def test_a_question_is_answered_and_never_moves_the_cursor(
    typed: str,
    yes: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))

    assert screen.agreed(HOSTILE) is yes

    said = "".join(capsys.readouterr())
    assert "3 dead letters?" in said
    assert not {"\x1b", "\x07", "\u202e"} & set(said)


def test_where_nobody_is_to_ask_the_option_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    assert not screen.agreed(HOSTILE)

    said = capsys.readouterr().err
    assert "--yes" in said
    assert "\x1b" not in said
