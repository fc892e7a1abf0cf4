"""The command line as a whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer

from typer.core import TyperGroup
from typer.testing import CliRunner

from console.cli import app


def names(of: object, *before: str) -> Iterator[str]:
    """Yield the words of every command."""
    if not isinstance(of, TyperGroup):
        yield " ".join(before)
        return
    for name, command in of.commands.items():
        yield from names(command, *before, name)


COMMANDS = list(names(typer.main.get_command(app)))


def helped(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100"})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_teaches_exit_codes_and_common_options(name: str) -> None:
    said = helped(*name.split())

    assert "Exit codes" in said
    assert "--config" in said
    assert "--data" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_shows_an_example(name: str) -> None:
    assert f"wirewatch {name}" in helped(*name.split()).replace("Usage: wirewatch", "")


def test_the_help_lists_every_command() -> None:
    said = helped()

    for name in COMMANDS:
        assert name.split()[0] in said


def test_help_is_folded_by_the_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(app, ["feeds", "list", "--help"]).stdout
    assert "without one; nobody  \n is asked." in said
