"""Watching: everything in one process, and what others see of it meanwhile."""

from __future__ import annotations

import json
import signal

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

#: Nothing may hold an end up for longer (docs/operations.md); and a second of this machine.
STOP_MAX_S = 10.0


def test_run_shows_the_incidents_of_the_sample_and_ends_cleanly(
    wirewatch: Wirewatch,
) -> None:
    running = wirewatch.start("run", "--sample", "--json")

    seen = [json.loads(running.line()) for _ in range(3)]
    code, took_s = running.end(signal.SIGINT)

    assert all(one["incident_class"] != "none" for one in seen)
    assert code == 0
    assert took_s < STOP_MAX_S
    # What it saw is found afterwards, when nothing runs.
    assert wirewatch.lines("show", seen[0]["id"], "--json")[0]["id"] == seen[0]["id"]


def test_a_new_run_does_not_repeat_the_incidents_of_earlier_ones(
    wirewatch: Wirewatch,
) -> None:
    def ingest(ident: str, text: str) -> None:
        wirewatch("ingest", "-", stdin=json.dumps({"id": ident, "text": text}))

    ingest("old", "A bomb attack killed nine people in Gao market.")
    running = wirewatch.start("run", "--json")
    running.errors_until("run.ready")
    ingest("new", "A flood destroyed hundreds of houses in Niamey on Monday.")

    assert json.loads(running.line())["incident_class"] == "disaster"


def test_sigterm_ends_run_as_cleanly(wirewatch: Wirewatch) -> None:
    running = wirewatch.start("run")
    running.errors_until("run.ready")

    code, took_s = running.end(signal.SIGTERM)

    assert code == 0
    assert took_s < STOP_MAX_S


def test_a_second_run_on_the_same_data_says_so(watched: Wirewatch) -> None:
    second = watched("run", code=3)

    assert "another process reads the feeds" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_connector_beside_run_is_refused_and_run_goes_on(watched: Wirewatch) -> None:
    second = watched("connect", "rss", code=3)

    assert "'wirewatch run'" in second.stderr
    assert "Traceback" not in second.stderr


def test_run_on_servers_names_the_commands_to_use(wirewatch: Wirewatch) -> None:
    (wirewatch.folder / "wirewatch.toml").write_text('mode = "servers"', "utf-8")

    assert "wirewatch worker" in wirewatch("run", code=2).stderr
