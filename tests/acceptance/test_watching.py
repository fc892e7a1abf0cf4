"""Watching: everything in one process, and what others see of it meanwhile."""

from __future__ import annotations

import json
import signal

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

STOP_MAX_S = 5.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_shows_the_incidents_of_the_sample_and_ends_cleanly(
    wirewatch: Wirewatch, number: signal.Signals
) -> None:
    running = wirewatch.start("run", "--sample", "--json")

    seen = [json.loads(running.line()) for _ in range(3)]
    code, took_s = running.end(number)

    assert all(one["incident_class"] != "none" for one in seen)
    assert code == 0
    assert took_s < STOP_MAX_S


def test_what_run_saw_is_found_afterwards(wirewatch: Wirewatch) -> None:
    running = wirewatch.start("run", "--sample", "--json")
    incident = json.loads(running.line())
    running.end()

    wirewatch("ingest", "-", stdin='{"text": "a word of mine"}')
    shown = wirewatch.lines("show", incident["id"], "--json")

    assert shown[0]["id"] == incident["id"]


def test_ingest_works_while_run_is_up(wirewatch: Wirewatch) -> None:
    running = wirewatch.start("run")
    running.errors_until("run.ready")

    fates = wirewatch.lines(
        "ingest", "-", "--json", stdin='{"text": "Fuel convoy attacked near Kayes"}'
    )
    found = wirewatch.lines("search", "convoy", "--json")
    code, _ = running.end()

    assert [one["fate"] for one in fates] == ["indexed"]
    assert found[-1]["total"] == 1
    assert code == 0


def test_a_second_run_on_the_same_data_says_so(wirewatch: Wirewatch) -> None:
    first = wirewatch.start("run")
    first.errors_until("run.ready")

    second = wirewatch("run", code=3)

    assert "another worker runs" in second.stderr
    assert "Traceback" not in second.stderr


def test_run_on_servers_names_the_commands_to_use(wirewatch: Wirewatch) -> None:
    (wirewatch.folder / "wirewatch.toml").write_text('mode = "servers"', "utf-8")

    assert "wirewatch worker" in wirewatch("run", code=2).stderr
