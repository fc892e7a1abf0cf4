"""The command line as a whole."""

from __future__ import annotations

import pytest

from typer.testing import CliRunner

from console.cli import app


COMMANDS = [
    "run",
    "ingest",
    "inspect",
    "search",
    "show",
    "tail",
    "audit",
    "deadletters list",
    "deadletters show",
    "deadletters retry",
    "deadletters export",
    "deadletters purge",
    "check",
    "topics describe",
    "topics create",
    "connect",
    "worker",
]


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
