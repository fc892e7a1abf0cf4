"""Each promise of docs/feeds-as-designed.md is held by tests that exist."""

from __future__ import annotations

import ast
import re

from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest


ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/feeds-as-designed.md"
#: The paragraphs of the design.
AREAS = [
    *("Fetching", "Failures", "Gaps", "Bodies", "Identity"),
    *("Security", "Full text", "Lists", "Speed"),
]
_ROW = re.compile(r"^\| (?P<said>.+?) \| (?P<cell>.*) \|$")
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


class Promise(NamedTuple):
    """One line of the page."""

    said: str
    #: File below tests/, and name.
    tests: tuple[tuple[str, str], ...]
    #: What of the line is no test.
    rest: str


def promises(page: str) -> list[Promise]:
    rows = [match for line in page.splitlines() if (match := _ROW.match(line))]
    return [
        Promise(
            row["said"],
            tuple(_TEST.findall(row["cell"])),
            _TEST.sub("", row["cell"]).replace("<br>", "").strip(),
        )
        for row in rows
        if row["said"] != "promise"
    ]


@cache
def named_in(file: str) -> frozenset[str]:
    """Return the names of the tests in *file*, which is read and not run."""
    path = ROOT / "tests" / file
    if not path.exists():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(one.name for one in tree.body if isinstance(one, functions))


PROMISES = promises(PAGE.read_text("utf-8"))


@pytest.mark.parametrize("promise", PROMISES, ids=[one.said for one in PROMISES])
def test_each_promise_is_held_by_tests_that_exist(promise: Promise) -> None:
    assert promise.tests
    assert promise.rest == ""
    assert [one for one in promise.tests if one[1] not in named_in(one[0])] == []


def test_each_paragraph_of_the_design_has_promises() -> None:
    page = PAGE.read_text("utf-8")
    _, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    assert [one.partition("\n")[0] for one in sections] == AREAS
    assert all(promises(section) for section in sections)


def test_a_promise_whose_test_is_gone_is_noticed() -> None:
    (held, gone, none) = promises(
        "| a | `unit/test_promises.py::test_each_paragraph_of_the_design_has_promises` |\n"
        "| b | `unit/test_promises.py::test_that_never_was` |\n"
        "| c | by hand |"
    )
    test_each_promise_is_held_by_tests_that_exist(held)
    for promise in (gone, none):
        with pytest.raises(AssertionError):
            test_each_promise_is_held_by_tests_that_exist(promise)
