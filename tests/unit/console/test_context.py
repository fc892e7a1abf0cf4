"""What every command has in common: its options, and how it ends."""

from __future__ import annotations

import errno
import json
import os

from collections.abc import Coroutine
from pathlib import Path

import pytest
import typer

from typer.testing import CliRunner

from console import logs
from console.context import Context, command, finish
from console.exits import Exit, TimeRanOutError
from console.options import OuterDataOption
from streams.errors import (
    AddressError,
    LogDamagedError,
    NotStoredError,
    OversizeError,
    QueryError,
    SettingsError,
    WirewatchError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (QueryError("a word is missing", 3), Exit.USAGE),
        (SettingsError("unknown setting 'dta'"), Exit.USAGE),
        (NotStoredError("the log is full"), Exit.UNAVAILABLE),
        (LogDamagedError("the file is damaged"), Exit.UNAVAILABLE),
        (TimeRanOutError("after 3 s it is not done"), Exit.UNAVAILABLE),
        (AddressError("--listen: h:1: in use"), Exit.USAGE),
        (OversizeError("too large"), Exit.FAULT),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: WirewatchError, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    def body() -> None:
        raise error

    assert finish(body) is code
    said = capsys.readouterr().err
    assert str(error) in said
    assert said.count("\n") == 1
    assert "Traceback" not in said


def test_with_verbose_the_traceback_comes_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> None:
        raise OversizeError("too large")

    finish(body, verbose=1)

    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_130() -> None:
    def body() -> None:
        raise KeyboardInterrupt

    assert finish(body) is Exit.INTERRUPTED


def test_a_coroutine_is_run_and_gives_its_code() -> None:
    async def body() -> Exit:
        return Exit.FAULT

    def begin() -> Coroutine[None, None, Exit]:
        return body()

    assert finish(begin) is Exit.FAULT


def invoke(arguments: list[str], **environment: str) -> Context:
    seen: list[Context] = []
    app = typer.Typer()

    @app.callback()
    def outer(ctx: typer.Context, data: OuterDataOption = None) -> None:
        ctx.obj = Context(data=data)

    def look(at: Context, word: str = "") -> None:
        assert word == "w"
        seen.append(at)

    command(app)(look)
    result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return seen[0]


def test_common_options_may_stand_before_the_command_or_after_it() -> None:
    assert invoke(["--data", "d", "look", "--word", "w"]).data == "d"
    assert invoke(["look", "--word", "w", "--data", "d"]).data == "d"


def test_an_option_after_the_command_goes_over_one_before_and_the_environment() -> None:
    after = ["look", "--word", "w", "--data", "after"]

    assert invoke(["--data", "before", *after]).data == "after"
    assert invoke(after, WIREWATCH_DATA="env").data == "after"
    assert invoke(["look", "--word", "w"], WIREWATCH_DATA="env").data == "env"


def test_the_next_command_is_given_with_the_same_options() -> None:
    at = Context(config=Path("a b.toml"), data="d")

    assert at.again("search", "x") == "wirewatch search x --config 'a b.toml' --data d"


def test_the_sample_lies_beside_the_data_unless_a_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Context().for_sample().again("search", "Kayes") == (
        "wirewatch search Kayes --data data-sample"
    )
    assert Context(data="mine").for_sample().data == "mine"

    Path("wirewatch.toml").write_text('data = "/srv/wirewatch"', "utf-8")

    assert Context().for_sample().data == "/srv/wirewatch-sample"


def test_the_next_command_is_given_as_this_one_was_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", [".venv/bin/wirewatch", "run"])
    monkeypatch.setenv("PATH", "")

    assert Context().again("show", "i1") == ".venv/bin/wirewatch show i1"


def test_a_configuration_file_in_the_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Context().config_file is None

    Path("wirewatch.toml").write_text('prefix = "x."', "utf-8")

    assert Context().settings.prefix == "x."


def test_a_reader_that_went_away_is_no_fault() -> None:
    read, write = os.pipe()
    os.close(read)
    os.close(write)

    def body() -> None:
        raise BrokenPipeError

    # The process's own standard output must stay as it is for the tests that follow.
    kept = os.dup(1)
    try:
        assert finish(body) is Exit.OK
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def test_what_the_system_refuses_is_a_line_and_code_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/srv/data/log.db")

    assert finish(body) is Exit.UNAVAILABLE
    said = capsys.readouterr().err
    assert said == "wirewatch: /srv/data/log.db: Permission denied\n"


def test_a_traceback_does_not_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> None:
        raise OversizeError("a title: \x1b[2J\u202e")

    finish(body, verbose=1)

    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_among_lines_for_programs_the_last_word_is_one_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def body() -> None:
        logs.render_as("json")
        raise LogDamagedError("the file is damaged")

    logs.configure(service=True)
    assert finish(body) is Exit.UNAVAILABLE

    told = json.loads(capsys.readouterr().err)
    assert (told["level"], told["event"]) == (
        "critical",
        "stopped: the file is damaged",
    )
