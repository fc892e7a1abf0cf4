"""The live view: what it keeps, and that it fits any screen."""

from __future__ import annotations

import io

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rich.cells import cell_len
from rich.console import Console

from connectors.face import SourceStatus
from console.board import Board, incident_line, render
from streams.records import Incident, Place, Toll, Tolls


NOW = datetime(2026, 11, 24, 8, 10, tzinfo=UTC)


def make_incident(number: int, *, version: int = 1, title: str = "A title") -> Incident:
    return Incident(
        id=f"n{number:024}",
        version=version,
        incident_class="battle",
        title=title,
        first_seen=NOW,
        last_seen=NOW,
        place=Place(name="Kayes", country="ML"),
        tolls=Tolls(killed=Toll(min=15, max=15, best=15)),
    )


def make_status(name: str, error: str = "") -> SourceStatus:
    good = None if error else NOW
    return SourceStatus("rss", name, name, "fresh", good, 3, 0, error)


def drawn(board: Board, width: int, height: int) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, width=width, highlight=False)
    console.print(render(board, width=width, height=height, now=NOW))
    return stream.getvalue().splitlines()


def test_the_highest_version_of_an_incident_is_shown_whatever_comes_last() -> None:
    board = Board()

    assert board.add(make_incident(1, version=2))
    assert not board.add(make_incident(1, version=1))
    assert [incident.version for incident in board.newest(9)] == [2]


def test_the_incident_that_changed_last_comes_first() -> None:
    board = Board()
    for number, version in ((1, 1), (2, 1), (1, 2)):
        board.add(make_incident(number, version=version))

    assert [incident.id[-1] for incident in board.newest(9)] == ["1", "2"]


def test_a_change_of_counts_alone_is_no_news() -> None:
    board = Board()
    board.add(make_incident(1))

    counted = msgspec.structs.replace(make_incident(1, version=2), material=False)

    assert not board.add(counted)


def test_a_merged_incident_is_shown_no_more() -> None:
    board = Board()
    board.add(msgspec.structs.replace(make_incident(1), merged_into="n2"))

    assert board.newest(9) == []


def test_an_incident_of_an_earlier_run_is_dimmed_until_it_changes() -> None:
    board = Board()
    board.add(make_incident(1), earlier=True)
    assert board.is_earlier(make_incident(1))

    board.add(make_incident(1, version=2))

    assert not board.is_earlier(make_incident(1))


def test_a_change_of_counts_alone_of_an_incident_never_shown_is_no_news() -> None:
    counted = msgspec.structs.replace(make_incident(1, version=2), material=False)

    assert not Board().add(counted)


def test_raw_records_a_minute_are_those_of_the_last_minute() -> None:
    board = Board()
    for second, items in ((0, 100), (30, 110), (70, 125)):
        board.count(items, NOW + timedelta(seconds=second))

    assert board.raw_a_minute == 15
    assert board.raw == 125


def test_what_fails_is_shown_before_what_does_well() -> None:
    board = Board()
    board.see([make_status("well"), make_status("ill", "404 Not Found")])

    lines = drawn(board, 120, 30)

    assert "ill" in lines[1]
    assert "404 Not Found" in lines[1]


def test_why_a_source_fails_comes_first_and_its_address_not_at_all() -> None:
    board = Board()
    error = "https://user.example.org/a/very/long/path/feed.xml: the server answers 404"
    board.see([make_status("ill", error)])

    assert "the server answers 404" in drawn(board, 100, 30)[1]


def test_numbers_say_what_they_count() -> None:
    board = Board()
    board.see([make_status("well")])
    board.count(61, NOW)

    said = "\n".join(drawn(board, 120, 30))

    assert "raw records since start" in said
    assert "61 raw records" in said


@pytest.mark.parametrize(("reading", "said"), [(True, "begins"), (False, "no sources")])
def test_sources_that_are_not_known_yet_are_not_said_to_be_none(
    reading: bool, said: str
) -> None:
    assert said in "\n".join(drawn(Board(reading=reading), 120, 30))


@pytest.mark.parametrize("title", ["x" * 300, "马里" * 150, "هجوم مسلح " * 40])
@pytest.mark.parametrize(("width", "height"), [(40, 12), (80, 24), (200, 60)])
def test_the_view_fits_the_screen(title: str, width: int, height: int) -> None:
    board = Board()
    board.see([make_status(title) for _ in range(3)])
    board.lags = {"dedupe": 0, "annotate": 12, "correlate": 0, "index": 0}
    board.waiting = {"index": title}
    for number in range(50):
        board.add(make_incident(number, title=title))

    lines = drawn(board, width, height)

    assert all(cell_len(line) <= width for line in lines)
    assert len(lines) <= max(height, 18)


def test_an_incident_on_a_line_has_id_class_title_and_facts() -> None:
    line = incident_line(make_incident(1)).plain

    for fact in ("n" + "0" * 23 + "1", "battle", "A title", "15 killed", "Kayes, ML"):
        assert fact in line
    assert "\n" not in line


def test_ten_thousand_feeds_are_told_by_state_and_the_failing_ones_named() -> None:
    board = Board()
    many = [make_status(f"well {n}") for n in range(9_990)]
    ill = [make_status(f"ill {n}", "404")._replace(state="failing") for n in range(10)]
    board.see([*many, *ill])

    lines = drawn(board, 120, 36)

    assert any("9,990 good, 10 failing" in line for line in lines)
    assert sum("ill " in line for line in lines) == 10
    assert any("and 9,988 more" in line for line in lines)


def test_what_failed_before_a_restart_is_counted_as_failing() -> None:
    board = Board(reading=True)
    ill = [
        make_status(f"s{n}", "no answer")._replace(state="waiting") for n in range(9)
    ]
    board.see([*ill, make_status("well"), make_status("new")._replace(state="waiting")])
    assert any("1 waiting, 1 good, 9 failing" in line for line in drawn(board, 120, 20))
