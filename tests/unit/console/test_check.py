"""What is worth a look though nothing is at fault."""

from __future__ import annotations

import json
import os

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from typer.testing import CliRunner

from console.check import unread
from console.cli import app


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)


def test_a_stage_that_leaves_a_record_unread_for_long_is_told_of() -> None:
    lies_since = {
        ("annotate", "items.unique"): NOW - timedelta(minutes=12),
        ("correlate", "items.tagged"): NOW - timedelta(minutes=4),
    }

    (line,) = unread(lies_since, now=NOW)

    assert "annotate has not read what was put on items.unique 12 minutes ago" in line


def of_archive(archive: Path, data: Path, *words: str) -> tuple[int, str]:
    environ = {
        "WIREWATCH_DATA": str(data),
        "WIREWATCH_RSS_ARCHIVE": str(archive),
    }
    told = CliRunner().invoke(app, ["check", "--json", *words], env=environ)
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    about = [one["detail"] for one in lines if one["what"] == "archive"]
    return told.exit_code, "".join(about)


def test_an_archive_that_cannot_be_written_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "kept"
    assert of_archive(archive, tmp_path / "data") == (
        0,
        f"{archive} is made when a feed first brings something",
    )
    archive.write_text("a file")
    code, told = of_archive(archive, tmp_path / "data")
    assert (code, "it is no folder; mend that, or change rss.archive" in told) == (
        1,
        True,
    )
    assert str(archive) in told
    assert of_archive(archive / "below", tmp_path / "data")[0] == 1
    archive.unlink()
    assert of_archive(archive, tmp_path / "data", "--prepare") == (
        0,
        f"{archive}: made",
    )
    assert of_archive(archive, tmp_path / "data") == (0, "")
    monkeypatch.setattr(os, "access", lambda path, _: path != archive)
    assert "may not be written" in of_archive(archive, tmp_path / "data")[1]
