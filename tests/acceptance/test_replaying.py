"""A new model over old items, and the index anew, while everything else goes on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import console

from mappings.opening import open_index
from mappings.query import parse
from streams import events
from streams.audit import Audit, audit
from streams.clock import now
from streams.log.opening import open_log
from streams.records import Item
from streams.settings import Settings
from streams.topics import TAGGED


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

ROOMS = ("connectors", "console", "mappings", "streams")
TEXTS = {
    "flood": "A flood destroyed hundreds of houses in Niamey on Monday.",
    "deluge": "A deluge destroyed hundreds of houses in Zinder on Monday.",
    "convoy": "Gunmen killed 15 drivers of a fuel convoy near Kayes.",
}


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """Return a Wirewatch of another lexicon: it knows a deluge, and no flood."""
    program = tmp_path / "older"
    here = Path(console.__file__).parents[1]
    for room in ROOMS:
        shutil.copytree(
            here / room, program / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    lexicon = program / "streams/annotate/lexicon/en.toml"
    text = lexicon.read_text("utf-8")
    changed = text.replace("flood floods flooding flooded floodwater*", "deluge")
    assert changed != text
    lexicon.write_text(changed, "utf-8")
    classify = program / "streams/annotate/classify.py"
    text = classify.read_text("utf-8")
    changed = text.replace('VERSION = "', 'VERSION = "older-')
    assert changed != text
    classify.write_text(changed, "utf-8")
    return program


def ingest_by(program: Path, wirewatch: Wirewatch) -> None:
    lines = [json.dumps({"id": k, "text": text}) for k, text in TEXTS.items()]
    subprocess.run(
        [sys.executable, "-c", "from console.cli import main; main()", "ingest", "-"],
        input="\n".join(lines),
        cwd=wirewatch.folder,
        env=os.environ
        | {
            "PYTHONPATH": str(program),
            "WIREWATCH_DATA": str(wirewatch.folder / "data"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def settings_of(wirewatch: Wirewatch) -> Settings:
    return Settings(data=str(wirewatch.folder / "data"))


class Left(NamedTuple):
    """What a replay has left behind."""

    #: The replay's name on each record of items.tagged, in order.
    replays: list[str]
    disasters: list[str]
    audit: Audit


async def left_in(wirewatch: Wirewatch) -> Left:
    settings, tagged = settings_of(wirewatch), TAGGED.name
    async with open_log(settings) as log, open_index(settings) as index:
        starts, ends = await log.starts(tagged), await log.ends(tagged)
        replays = [
            record.header(events.REPLAY)
            async for record in log.read(tagged, starts, ends)
        ]
        page = await index.search(parse("class:disaster", now=now()))
        texts = [
            hit.document.text for hit in page.hits if isinstance(hit.document, Item)
        ]
        return Left(replays, texts, await audit(log, index))


def test_a_new_model_is_replayed_over_old_items(
    wirewatch: Wirewatch, older: Path
) -> None:
    ingest_by(older, wirewatch)
    (would,) = wirewatch.lines("replay", "annotate", "--dry-run", "--json")
    (did,) = wirewatch.lines("replay", "annotate", "--json")
    (again,) = wirewatch.lines("replay", "annotate", "--dry-run", "--json")
    left = asyncio.run(left_in(wirewatch))

    assert would["read"] == did["read"] == len(TEXTS)
    assert would["classes"] == did["classes"]
    assert {(c["from"], c["to"], c["count"]) for c in did["classes"]} == {
        ("none", "disaster", 1),
        ("disaster", "none", 1),
    }
    assert {(c["from"], c["to"], c["count"]) for c in did["incidents"]} == {
        ("none", "standing", 1),
        ("standing", "retracted", 1),
        ("standing", "changed", 1),
    }
    assert again["read"] == 0
    assert again["current"] == len(TEXTS)
    assert left.disasters == [TEXTS["flood"]]
    assert left.replays == [""] * 3 + [did["replay"]] * 3
    assert left.audit.balanced


async def rebuilt(wirewatch: Wirewatch) -> tuple[Any, set[int]]:
    """Have the index built anew; what came of it, and what searches found meanwhile."""
    totals = set()
    async with open_index(settings_of(wirewatch)) as index:
        building = asyncio.create_task(
            asyncio.to_thread(wirewatch.lines, "reindex", "--json")
        )
        while not building.done():
            await asyncio.wait({building}, timeout=0.02)
            totals.add((await index.search(parse("reindexed", now=now()))).total)
        (result,) = await building
    return result, totals


def test_searches_find_no_less_while_the_index_is_built_anew(
    watched: Wirewatch,
) -> None:
    lines = [json.dumps({"id": f"r{n}", "text": f"Reindexed {n}."}) for n in range(20)]
    watched("ingest", "-", stdin="\n".join(lines))

    result, totals = asyncio.run(rebuilt(watched))

    assert result["before"] == result["after"]
    assert totals == {20}
    watched("ingest", "-", stdin=json.dumps({"id": "late", "text": "Reindexed last."}))
    assert watched.lines("search", "reindexed", "-n", "1", "--json")[-1]["total"] == 21
