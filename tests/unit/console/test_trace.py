"""``wirewatch trace`` of what leads nowhere: it says so, whoever wrote it."""

from __future__ import annotations

import asyncio

from pathlib import Path

import pytest

from typer.testing import CliRunner

from console import journey
from console.cli import app
from console.journey import Journey
from mappings.face import Held
from mappings.opening import open_index
from streams import clock, events
from streams.letters import letter_in, purged
from streams.log.face import Output, Record
from streams.log.opening import open_log
from streams.records import FORGOTTEN_VERSION
from streams.settings import load
from streams.topics import DEADLETTERS, DECLARED


AT_DOOR = events.refused_at_door(
    stage="connectors.rss", source="s", kind="broken", reason="r", document={}
)
GARBLED = Output(
    DEADLETTERS.name,
    None,
    b"x",
    (("ww_origin", b"\xff/x"), ("ww_position", b"items.unique/0/7")),
)
PURGED = purged(letter_in(Record(DEADLETTERS.name, 0, 0, 0, *AT_DOOR[1:4])))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with three records among its dead letters."""
    folder = tmp_path_factory.mktemp("trace")
    asyncio.run(_fill(folder))
    return folder


async def _fill(folder: Path) -> None:
    settings = load(data=str(folder), environ={})
    async with open_log(settings) as log, open_index(settings) as index:
        await log.create(DECLARED)
        await index.prepare()
        await log.append([AT_DOOR, GARBLED, PURGED])


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ("0", "deadletters/0/0 was refused at the door"),
        ("1", "deadletters/0/1 is of items.unique/0/7, and does not say"),
        (
            "2",
            "deadletters/0/2 notes that deadletters/0/0 was purged, which was refused",
        ),
        ("items.unique/0/99", "there is no record at items.unique/0/99"),
    ],
)
def test_what_leads_to_no_raw_record_is_told_for_what_it_is(
    data: Path, which: str, told: str
) -> None:
    done = CliRunner().invoke(app, ["--data", str(data), "trace", which])

    assert done.exit_code == 1, done.output
    assert told in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("version", "told"),
    [(FORGOTTEN_VERSION, "the last, for ever"), (2**63 - 1, "of no time")],
)
def test_a_version_that_is_no_time_is_shown(version: int, told: str) -> None:
    held = Held(version, 2, "forgotten", "items.raw/0/1", clock.EPOCH)
    way = Journey("i1", "", (), held, (), ())
    shown = [str(part) for part in journey.render(way)]
    assert any(f"version {version} ({told})" in line for line in shown)
