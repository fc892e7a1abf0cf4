"""Dead letters: found, understood, brought back after a bug fix, given up."""

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
    wirewatch("ingest", "-", stdin=ITEMS + "{broken\n", code=1)
    groups = wirewatch.lines("deadletters", "list", "--group", "--json")
    (group,) = [one for one in groups if one["stage"] == "annotate"]
    assert group["size"] == 2
    assert group["reason"] == "ValueError: cannot read # characters"
    told = [one["detail"] for one in wirewatch.lines("check", "--json") if one["look"]]
    assert any("3 dead letters" in line and "list --group" in line for line in told)

    bug.delenv("PYTHONPATH")
    words = ("deadletters", "retry", "--stage", "annotate", "--wait")
    assert "2 dead letters retried: 2 indexed" in wirewatch(*words).stdout
    # What was refused at the door has nothing to put back: it is given up.
    wirewatch("deadletters", "purge", "--before", "99", "--yes")
    assert "No dead letters" in wirewatch("deadletters", "list").stdout
    account = wirewatch.lines("audit", "--json")[0]
    assert account["balanced"]
    assert (account["fates"]["indexed"], account["total"]) == (3, 3)
