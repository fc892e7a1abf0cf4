"""``wirewatch feeds``, beside a connector that runs."""

from __future__ import annotations

import json
import time

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from typer.testing import CliRunner, Result

from console.cli import app
from tests.newspaper import Site, a_newspaper


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

PATIENCE_S = 60.0
INTERVAL_S = 0.2


@pytest.fixture
def site() -> Iterator[Site]:
    with a_newspaper() as found:
        yield found


class Desk:
    """The command where a connector runs: within this process, which takes a tenth."""

    def __init__(self, wirewatch: Wirewatch) -> None:
        file = wirewatch.folder / "wirewatch.toml"
        file.write_text(
            "[http]\nallow_private = ['127.0.0.1']\n"
            f"[rss]\ninterval_min_s = {INTERVAL_S}\nhost_gap_s = 0.0\n"
        )
        self._at = ["--config", str(file), "--data", str(wirewatch.folder / "data")]

    def __call__(self, *words: str) -> Result:
        """Run ``wirewatch feeds`` with *words*."""
        done = CliRunner().invoke(app, ["feeds", *words, *self._at])
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done

    def lines(self, *words: str) -> list[Any]:
        """Run it; return its lines of JSON."""
        return [json.loads(line) for line in self(*words, "--json").stdout.splitlines()]


@pytest.fixture
def desk(wirewatch: Wirewatch) -> Iterator[Desk]:
    before = structlog.get_config()
    yield Desk(wirewatch)
    structlog.configure(**before)


def until(what: Callable[[], Any]) -> Any:
    """Return what *what* returns once it is something."""
    ends = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < ends, what
        time.sleep(0.1)
    return found


def test_a_feed_that_is_added_is_read_at_once_and_paused_no_more(
    wirewatch: Wirewatch, desk: Desk, site: Site
) -> None:
    running = wirewatch.start("run", "--json")
    running.errors_until("run.ready")

    added = desk("add", site("/"), "--tag", "Sahel/Mali", "--interval", str(INTERVAL_S))

    assert "a running connector takes it up within seconds" in added.stderr
    assert "near Gao" in running.line()

    desk("pause", "--tag", "Sahel")
    running.errors_until("rss.list_taken_up")
    (paused,) = desk.lines("list", "--state", "paused")

    def is_left_alone() -> bool:
        asked = len(site.asked)
        time.sleep(3 * INTERVAL_S)
        return len(site.asked) == asked

    until(is_left_alone)
    feed = until(lambda: next((f for f in desk.lines() if "good" in f["health"]), None))
    assert feed["id"] == paused["id"]
    assert feed["url"] == site("/papers/a")
    assert (feed["name"], feed["tags"]) == ("Paper a", ["Sahel/Mali"])
    assert feed["health"]["published"] > 0
    running.stop()
