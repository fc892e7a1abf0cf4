"""What the pages about feeds name is there: settings, kinds, flags, commands, files."""

from __future__ import annotations

import importlib.util
import re

from pathlib import Path
from typing import get_args

import msgspec
import pytest
import typer

from typer.core import TyperGroup

from connectors.failures import FailureKind
from connectors.rss.health import Flag
from console.cli import app
from streams.settings import Http, Rss


ROOT = Path(__file__).parents[2]
PAGES = {
    name: (ROOT / "docs" / name).read_text("utf-8")
    for name in ("feeds.md", "architecture.md", "feeds-as-designed.md")
}
FEEDS = PAGES["feeds.md"]
CODE = [one for text in PAGES.values() for one in re.findall(r"`([^`\n]+)`", text)]


def first_cells(page: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` ", page, re.MULTILINE)) | set(
        re.findall(r"^\| (?:`\w+`, )+`(\w+)` ", page, re.MULTILINE)
    )


def settings_of(section: type[msgspec.Struct]) -> set[str]:
    return set(section.__struct_fields__)


def test_every_kind_of_failure_is_explained() -> None:
    assert set(get_args(FailureKind)) - set(re.findall(r"`(\w+)`", FEEDS)) == set()


def test_every_flag_is_explained_in_a_table() -> None:
    assert set(get_args(Flag)) - first_cells(FEEDS) == set()


def test_every_setting_that_is_named_exists() -> None:
    known = {f"rss.{name}" for name in settings_of(Rss)}
    known |= {f"http.{name}" for name in settings_of(Http)}
    source = "".join(
        path.read_text("utf-8") for path in (ROOT / "connectors").rglob("*.py")
    )
    named = {one for one in CODE if re.fullmatch(r"(?:rss|http)\.[a-z_]+", one)}
    files = {"http.py"}
    events = {one for one in named if f'"{one}"' in source}
    assert named - known - events - files == set()


def test_every_setting_of_feeds_is_named() -> None:
    # What a person chooses by; where hubs reach us is explained in operations.md.
    text = FEEDS + (ROOT / "docs/operations.md").read_text("utf-8")
    assert {name for name in settings_of(Rss) if f"rss.{name}" not in text} == set()


def test_every_command_that_is_named_exists() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    feeds = root.commands["feeds"]
    assert isinstance(feeds, TyperGroup)
    for one in CODE:
        if match := re.match(r"wirewatch ([a-z]+)", one):
            assert match[1] in root.commands, one
        if match := re.match(r"(?:wirewatch )?feeds ([a-z]+)", one):
            assert match[1] in feeds.commands, one
    assert {name for name in feeds.commands if f"feeds {name}" not in FEEDS} == {"list"}


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_module_that_is_named_exists(page: str) -> None:
    code = re.findall(r"`([^`\n]+)`", PAGES[page])
    tests = ROOT / "tests"
    for one in code:
        if re.fullmatch(r"\w+(?:/\w+)+\.\w+", one):
            assert (ROOT / one).exists() or (tests / one).exists(), one
        if match := re.match(r"python -m ([\w.]+)", one):
            assert importlib.util.find_spec(match[1]), one
