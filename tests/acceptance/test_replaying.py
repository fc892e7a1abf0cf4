"""A new model over old items, and the index anew, while everything else goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import console


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


def test_a_new_model_is_replayed_over_old_items(
    wirewatch: Wirewatch, older: Path
) -> None:
    def found(*words: str) -> int:
        last = wirewatch.lines("search", *words, "-n", "1", "--json")[-1]
        total: int = last["total"]
        return total

    ingest_by(older, wirewatch)
    (would,) = wirewatch.lines("replay", "annotate", "--dry-run", "--json")
    (did,) = wirewatch.lines("replay", "annotate", "--json")
    (again,) = wirewatch.lines("replay", "annotate", "--json")

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
    assert found("class:disaster") == 1
    assert found("class:disaster", "flood") == 1
    tagged = wirewatch.lines("tail", "items.tagged", "--from", "beginning", "-n", "6")
    assert [one["headers"].get("ww_replay") for one in tagged] == [None] * 3 + [
        did["replay"]
    ] * 3
    wirewatch("audit")


def test_searches_find_no_less_while_the_index_is_built_anew(
    watched: Wirewatch,
) -> None:
    lines = [json.dumps({"id": f"r{n}", "text": f"Reindexed {n}."}) for n in range(200)]
    watched("ingest", "-", stdin="\n".join(lines))
    over = threading.Event()
    totals: list[int] = []

    def search() -> None:
        while not over.is_set():
            found = watched.lines("search", "reindexed", "-n", "1", "--json")
            totals.append(found[-1]["total"])

    searching = threading.Thread(target=search)
    searching.start()
    try:
        (result,) = watched.lines("reindex", "--json")
    finally:
        over.set()
        searching.join()

    assert result["before"] == result["after"]
    assert set(totals) == {200}
    watched("ingest", "-", stdin=json.dumps({"id": "late", "text": "Reindexed last."}))
    assert watched.lines("search", "reindexed", "-n", "1", "--json")[-1]["total"] == 201
