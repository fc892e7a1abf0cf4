"""Asking: queries, topics, checks, and how commands fail."""

from __future__ import annotations

import json

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

ITEMS = "".join(
    json.dumps(
        {"id": f"i{n}", "title": f"Flood {n}", "text": "The river Zambezia rose."}
    )
    + "\n"
    for n in range(5)
)


@pytest.fixture(scope="module")
def filled(watched: Wirewatch) -> Wirewatch:
    watched("ingest", "-", stdin=ITEMS)
    return watched


def test_a_bad_query_is_shown_with_a_caret_under_the_fault(
    wirewatch: Wirewatch,
) -> None:
    done = wirewatch("search", "马里 AND (flood", code=2)

    said, query, caret = done.stderr.splitlines()
    assert "never closed" in said
    assert query == "  马里 AND (flood"
    assert caret == "  " + " " * 9 + "^"


def test_results_are_paged_to_the_end(filled: Wirewatch) -> None:
    seen, after = [], ""
    while True:
        *hits, page = filled.lines(
            "search", "zambezia", "-n", "2", "--after", after, "--json"
        )
        seen += [hit["document"]["id"] for hit in hits]
        after = page["after"]
        if not after:
            break

    assert len(seen) == len(set(seen)) == 5


def test_a_page_says_how_to_go_on(filled: Wirewatch) -> None:
    said = filled("search", "zambezia", "-n", "2").stdout

    assert "2 of 5 items" in said
    assert "--after" in said


def test_counts_come_with_facets(filled: Wirewatch) -> None:
    page = filled.lines("search", "zambezia", "--facets", "--json")[-1]

    assert ["disaster", 5] in page["facets"]["class"]
    assert "by class" in filled("search", "zambezia", "--facets").stdout


def test_tail_gives_what_is_there_then_what_follows(wirewatch: Wirewatch) -> None:
    wirewatch("ingest", "-", "--no-wait", stdin=ITEMS)
    running = wirewatch.start(
        "tail", "items.raw", "--from", "beginning", "--count", "6"
    )
    there = [json.loads(running.line()) for _ in range(5)]

    wirewatch("ingest", "-", "--no-wait", stdin='{"id": "n", "text": "A new flood."}')
    follows = json.loads(running.line())

    assert {one["topic"] for one in there} == {"items.raw"}
    assert follows["value"]["text"] == "A new flood."
    assert running.process.wait(10) == 0


def test_tail_ends_quietly_when_its_reader_does(filled: Wirewatch) -> None:
    running = filled.start("tail", "items.raw", "--from", "beginning")
    assert running.line()

    assert running.process.stdout is not None
    running.process.stdout.close()
    filled("ingest", "-", stdin='{"id": "new", "text": "Another one."}')

    assert running.process.wait(10) == 0
    assert running.process.stderr is not None
    assert running.process.stderr.read() == ""


def test_ctrl_c_ends_tail_quietly(filled: Wirewatch) -> None:
    running = filled.start("tail", "items", "--from", "beginning")
    assert running.line()

    code, took_s = running.end()

    assert code == 130
    assert took_s < 5


def test_check_names_each_fault_and_what_to_do(wirewatch: Wirewatch) -> None:
    (wirewatch.folder / "wirewatch.toml").write_text(
        '[[radio.stations]]\nid = "r"\nfolder = "recordings"\n', "utf-8"
    )

    said = wirewatch("check", code=1).stdout
    assert "fault" in said
    assert "make it" in said

    wirewatch("check", "--prepare")
    findings = wirewatch.lines("check", "--json")
    assert all(one["ok"] for one in findings)
    assert (wirewatch.folder / "recordings").is_dir()


def test_an_unknown_id_is_a_line_and_code_1(filled: Wirewatch) -> None:
    assert filled("show", "inothing", code=1).stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("tail", "item"), 2),
        (("search", "--sort", "best", "x"), 2),
        (("nonsense",), 2),
        (("--config", "none.toml", "search", "x"), 2),
        (("search", "x"), 3),
        (("tail", "items", "--from", "yesterday"), 2),
    ],
)
def test_a_command_that_cannot_be_done_ends_without_a_traceback(
    wirewatch: Wirewatch, words: tuple[str, ...], code: int
) -> None:
    assert "Traceback" not in wirewatch(*words, code=code).stderr


def test_the_version_is_told(wirewatch: Wirewatch) -> None:
    assert wirewatch("--version").stdout.startswith("wirewatch ")
