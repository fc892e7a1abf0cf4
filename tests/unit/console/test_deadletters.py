"""``wirewatch deadletters`` on a log with letters of strangers."""

from __future__ import annotations

import asyncio
import shutil
import stat
import sys

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from typer.testing import CliRunner, Result

from connectors.face import OVERSIZE
from console.cli import app
from streams import clock, events
from streams.log.face import Output, Record
from streams.log.opening import open_log
from streams.settings import load
from streams.topics import DECLARED, RAW


HOSTILE = "\x1b]0;owned\x07"
BYTES = b"{\xff\x00 broken"
LETTER = events.dead_letter(
    Record(RAW.name, 0, 7, 0, b"example.org", BYTES, ()),
    stage="dedupe",
    kind="RecordError",
    reason="not a RawItem",
    now=clock.from_ms(0),
)
AT_DOOR = events.refused_at_door(
    stage="connectors.rss", source="s", kind=OVERSIZE, reason="r", document={}
)
STRANGE = events.dead_letter(
    Record(RAW.name, 0, 8, 0, None, b"x", ()),
    stage=HOSTILE,
    kind=HOSTILE,
    reason=HOSTILE,
    now=clock.from_ms(0),
)

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three letters: one of ours, one of the door, a strange one."""
    data = tmp_path_factory.mktemp("letters")
    asyncio.run(_fill(data, [LETTER, AT_DOOR, STRANGE]))
    return data


@pytest.fixture
def run(filled: Path, tmp_path: Path) -> Run:
    """A function that runs ``deadletters`` on a copy of it."""
    data = tmp_path / "data"
    shutil.copytree(filled, data)
    return lambda *words: deadletters("--data", str(data), words=words)


def deadletters(*options: str, words: Iterable[str]) -> Result:
    return CliRunner().invoke(app, [*options, "deadletters", *words])


async def _fill(data: Path, letters: Iterable[Output]) -> None:
    async with open_log(load(data=str(data), environ={})) as log:
        await log.create(DECLARED)
        await log.append(list(letters))


@pytest.mark.parametrize(
    "words",
    [
        ("retry",),
        ("retry", "1", "2", "--value", "mended.json"),
        ("retry", "--all", "--value", "mended.json"),
        ("retry", "--since", "yesterday"),
        ("retry", "--since", "latest"),
        ("retry", "twelve"),
        ("retry", "--all", "--timeout", "3"),
        ("list", "--since", "beginning"),
        ("export", "--since", "latest"),
        ("purge",),
        ("purge", "1", "--before", "2"),
        ("purge", "--before", "latest"),
        ("show", "1", "--raw", "--json"),
    ],
)
def test_a_command_that_does_not_say_what_of_is_a_usage_error(
    words: tuple[str, ...],
) -> None:
    done = deadletters(words=words)
    assert done.exit_code == 2, done.output


@pytest.mark.parametrize("command", ["list", "export", "retry", "purge"])
def test_a_stage_that_is_none_is_refused_with_the_nearest(
    command: str,
) -> None:
    done = deadletters(words=[command, "--stage", "anotate"])
    assert done.exit_code == 2
    assert "annotate?" in done.output


def test_what_a_stranger_wrote_is_asked_about_without_moving_the_cursor(
    run: Run,
) -> None:
    asked = run("purge", "--before", "99")
    assert asked.exit_code == 2
    assert "owned" in asked.output
    assert "--yes" in asked.output
    assert not {"\x1b", "\x07"} & set(asked.output)


def test_a_letter_of_the_door_is_closed_alone_and_does_not_fail_the_others(
    run: Run,
) -> None:
    run("purge", "2", "--yes")
    dry = run("retry", "--all", "--dry-run")
    assert dry.exit_code == 0
    assert "1 letter left out" in dry.output
    assert "purge 1" in run("show", "1").output.replace("\n", " ")
    assert "make it smaller" in run("show", "1").output.replace("\n", " ")

    assert run("purge", "1", "--yes").exit_code == 0
    assert "left out" not in run("retry", "--all", "--dry-run").output
    assert run("show", "1").exit_code == 0


def test_a_number_that_the_filter_leaves_out_is_told_with_the_filter(run: Run) -> None:
    done = run("retry", "0", "--stage", "annotate")
    assert done.exit_code == 1
    assert "of --stage annotate: 0" in done.output


def test_the_bytes_of_a_letter_come_out_as_they_are(run: Run) -> None:
    assert run("show", "0", "--raw").stdout_bytes == BYTES


def test_an_export_is_its_owners_alone_and_replaces_what_was_there(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "letters.jsonl"
    file.write_text("old", "utf-8")

    assert run("export", str(file)).exit_code == 0

    assert len(file.read_text("utf-8").splitlines()) == 3
    assert {one.name for one in tmp_path.iterdir()} == {"data", "letters.jsonl"}
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
