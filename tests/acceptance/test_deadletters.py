"""Dead letters: found, understood, brought back after a bug fix, kept, given up."""

from __future__ import annotations

import json

from pathlib import Path
from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

#: Python runs this first in every process: from then on annotate has a bug.
BUG = """
import streams.annotate.annotate as room

real = room.annotate

def broken(item):
    if "Zinder" in item.text:
        raise ValueError(f"cannot read {len(item.text)} characters")
    return real(item)

room.annotate = broken
"""
ITEMS = "".join(
    json.dumps({"id": f"i{n}", "text": f"Gunmen attacked {place}, number {n}."}) + "\n"
    for n, place in enumerate(["Zinder", "Gao", "the town of Zinder"])
)


@pytest.fixture
def bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Have annotate refuse some items, until what is returned is undone."""
    folder = tmp_path / "bug"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BUG, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return monkeypatch


def test_after_a_bug_fix_one_command_brings_back_what_it_had_refused(
    wirewatch: Wirewatch, bug: pytest.MonkeyPatch
) -> None:
    wirewatch("ingest", "-", stdin=ITEMS, code=1)
    (group,) = wirewatch.lines("deadletters", "list", "--group", "--json")
    assert (group["stage"], group["size"]) == ("annotate", 2)
    assert group["reason"] == "ValueError: cannot read # characters"
    told = [one["detail"] for one in wirewatch.lines("check", "--json") if one["look"]]
    assert any("2 dead letters" in line and "list --group" in line for line in told)

    # Not mended yet: each is still one dead letter, and one record.
    again = wirewatch.lines("deadletters", "retry", "--all", "--wait", "--json", code=1)
    assert {one["fate"] for one in again} == {"dead letter"}
    listed = wirewatch.lines("deadletters", "list", "--json")
    assert [one["tries"] for one in listed] == [2, 2]
    account = wirewatch.lines("audit", "--json", code=0)[0]
    assert (account["fates"]["dead letter"], account["total"]) == (2, 3)

    bug.delenv("PYTHONPATH")
    words = ("deadletters", "retry", "--stage", "annotate", "--wait")
    assert "2 dead letters retried: 2 indexed" in wirewatch(*words).stdout
    account = wirewatch.lines("audit", "--json")[0]
    assert account["balanced"]
    assert (account["fates"]["indexed"], account["total"]) == (3, 3)
    assert "No dead letters" in wirewatch("deadletters", "list").stdout

    # Once more, by number: nothing changes.
    number = str(listed[0]["offset"])
    shown = wirewatch("deadletters", "show", number).stdout
    assert "refused by annotate" in shown
    assert "put back at items.unique/" in shown
    assert "Zinder, number" in shown
    before = wirewatch.lines("search", "zinder", "--json")
    wirewatch("deadletters", "retry", number, "--wait")
    assert wirewatch.lines("search", "zinder", "--json") == before


def test_letters_are_exported_whole_and_purged_on_record(
    wirewatch: Wirewatch, bug: pytest.MonkeyPatch
) -> None:
    del bug
    wirewatch("ingest", "-", stdin=ITEMS + "{broken\n", code=1)

    wirewatch("deadletters", "export", "letters.jsonl")
    lines = (wirewatch.folder / "letters.jsonl").read_text("utf-8").splitlines()
    exported = [json.loads(line) for line in lines]
    assert {one["stage"] for one in exported} == {"annotate", "connectors.ingest"}
    values = [json.loads(one["value"]) for one in exported]
    assert any("Zinder" in value.get("text", "") for value in values)

    # What was never published cannot be put back.
    door = next(str(one["offset"]) for one in exported if not one["origin"])
    done = wirewatch("deadletters", "retry", door, code=1)
    assert "nothing to put back" in "".join(done.stdout.splitlines())

    asked = wirewatch("deadletters", "purge", "--before", "99", code=2).stderr
    assert "Delete 3 dead letters" in asked
    assert "--yes" in asked
    wirewatch("deadletters", "purge", "--before", "99", "--yes")
    assert "No dead letters" in wirewatch("deadletters", "list").stdout
    account = wirewatch.lines("audit", "--json")[0]
    assert account["balanced"]
    assert account["fates"]["dead letter"] == 2
    wirewatch("deadletters", "show", door, code=1)
