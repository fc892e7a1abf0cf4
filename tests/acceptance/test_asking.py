"""Asking: queries, topics, checks, and how commands fail."""

from __future__ import annotations

import json
import os
import signal

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
    running.rest()
    assert running.said == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_tail_quietly(filled: Wirewatch, number: signal.Signals) -> None:
    running = filled.start("tail", "items", "--from", "beginning")
    assert running.line()

    code, took_s = running.end(number)

    assert code == 130
    assert took_s < 5


def test_check_names_each_fault_and_what_to_do(wirewatch: Wirewatch) -> None:
    (wirewatch.folder / "wirewatch.toml").write_text(
        '[[radio.stations]]\nid = "r"\nfolder = "recordings"\n', "utf-8"
    )

    last = wirewatch.lines("check", "--json")[-1]
    assert last["ok"]
    assert "is made when" in last["detail"]

    recordings = wirewatch.folder / "recordings"
    recordings.write_text("")
    last = wirewatch.lines("check", "--json", code=1)[-1]
    assert not last["ok"]
    assert "it is no folder; mend that" in last["detail"]
    recordings.unlink()

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
        (("worker", "--stage", "nope"), 2),
        (("connect", "radio"), 2),
        (("search", "attack", "-drill"), 2),
    ],
)
def test_a_command_that_cannot_be_done_ends_without_a_traceback(
    wirewatch: Wirewatch, words: tuple[str, ...], code: int
) -> None:
    assert "Traceback" not in wirewatch(*words, code=code).stderr


@pytest.mark.parametrize(
    "words",
    [
        ("search", "x"),
        ("show", "i1"),
        ("tail", "items"),
        ("audit",),
        ("deadletters", "list"),
    ],
)
def test_before_anything_ran_a_question_is_answered_with_what_to_run(
    wirewatch: Wirewatch, words: tuple[str, ...]
) -> None:
    said = wirewatch(*words, code=3).stderr

    assert "first 'wirewatch run' or 'wirewatch ingest PATH'" in said
    assert not (wirewatch.folder / "data").exists()


def test_several_words_are_one_query(filled: Wirewatch) -> None:
    assert "5 of 5 items" in filled("search", "river", "zambezia").stdout
    assert "No item" in filled("search", "zambezia", "--", "-flood").stdout


def test_without_a_query_the_newest_come_first(wirewatch: Wirewatch) -> None:
    published = ["2026-11-20", "2026-11-22", "2026-11-21"]
    lines = (
        json.dumps({"id": day, "text": "A flood.", "published": f"{day}T08:00:00Z"})
        for day in published
    )
    wirewatch("ingest", "-", stdin="\n".join(lines))

    *hits, _ = wirewatch.lines("search", "", "--json")

    days = [hit["document"]["published"][:10] for hit in hits]
    assert days == sorted(published, reverse=True)


def test_a_dead_letter_says_what_it_is_of_and_a_filter_what_there_is(
    wirewatch: Wirewatch,
) -> None:
    (wirewatch.folder / "bad.jsonl").write_text("{broken\n", "utf-8")
    wirewatch("ingest", "bad.jsonl", "--no-wait", code=1)

    # A long path is folded.
    listed = "".join(wirewatch("deadletters", "list").stdout.split())
    assert "bad.jsonl" in listed
    done = wirewatch("deadletters", "list", "--stage", "index", code=1)
    assert "connectors.ingest: unrecognised 1" in done.stderr


def test_the_version_is_told(wirewatch: Wirewatch) -> None:
    assert wirewatch("--version").stdout.startswith("wirewatch ")


def test_bytes_that_are_no_text_are_in_no_id(filled: Wirewatch) -> None:
    assert filled("show", os.fsdecode(b"\xff"), code=1).stderr.count("\n") == 1


@pytest.mark.parametrize("which", ["9" * 30, "deadletters/77/0", "items/0/0", "12"])
def test_a_dead_letter_that_is_not_there_is_a_line_and_code_1(
    filled: Wirewatch, which: str
) -> None:
    done = filled("deadletters", "show", which, code=1)
    assert done.stderr.count("\n") == 1


def test_an_incident_names_its_sources(filled: Wirewatch) -> None:
    named = {"id": "named", "text": "A bomb attack killed nine people in Gao market."}
    filled("ingest", "-", stdin=json.dumps(named | {"source": "Radio Gao"}))
    ident = filled.lines("search", "--incidents", "bomb gao", "--json")[0]
    assert "Radio Gao · en" in filled("show", ident["document"]["id"]).stdout


@pytest.mark.parametrize("words", [("search", "zambezia"), ("search", "x", "--json")])
def test_output_that_finds_no_room_is_a_line_and_code_3(
    filled: Wirewatch, words: tuple[str, ...]
) -> None:
    code, said = filled.redirected(*words, to="/dev/full")
    assert code == 3
    assert said == "wirewatch: No space left on device\n"


def test_without_standard_output_a_command_still_does_its_work(
    filled: Wirewatch,
) -> None:
    assert filled.redirected("search", "zambezia", to="&-") == (0, "")


def test_a_data_folder_that_is_none_is_a_line_and_code_3(wirewatch: Wirewatch) -> None:
    (wirewatch.folder / "file").write_text("")
    done = wirewatch("ingest", "-", "--data", "file", code=3, stdin=ITEMS)
    assert done.stderr.startswith("wirewatch: ")
    assert done.stderr.count("\n") == 1
