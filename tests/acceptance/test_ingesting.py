"""Ingesting: each item searchable once, whatever happens on the way."""

from __future__ import annotations

import json
import random
import time

from typing import TYPE_CHECKING

import pytest


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

FEED = """<rss version="2.0"><channel><title>{title}</title>
<link>https://news.example.org/</link>
<item><title>{title}</title><link>https://news.example.org/1</link><guid>g1</guid>
<description>Gunmen killed 15 drivers of a fuel convoy near Kayes.</description></item>
</channel></rss>"""
HOSTILE = "\x1b]0;owned\x07\x1b[31mred \u202egnp.exe [bold]x[/bold]"


def short_items(count: int) -> str:
    return "".join(
        json.dumps({"id": f"a{n}", "text": f"Gunmen attacked village number{n}."})
        + "\n"
        for n in range(count)
    )


def test_what_is_ingested_is_found_shown_and_accounted_for(
    wirewatch: Wirewatch,
) -> None:
    (wirewatch.folder / "feed.xml").write_text(FEED.format(title="Convoy hit"), "utf-8")

    fates = wirewatch.lines("ingest", "feed.xml", "--json")
    found = wirewatch.lines("search", "drivers convoy", "--json")
    ident = found[0]["document"]["id"]

    assert [one["fate"] for one in fates] == ["indexed"]
    assert fates[0]["id"] == ident
    assert "Convoy hit" in wirewatch("show", ident).stdout
    assert (
        wirewatch.lines("search", "--incidents", "convoy", "--json")[-1]["total"] == 1
    )
    assert "balanced" in wirewatch("audit").stdout


def test_what_is_ingested_twice_is_there_once(wirewatch: Wirewatch) -> None:
    first = wirewatch.lines("ingest", "-", "--json", stdin=short_items(3))
    second = wirewatch.lines("ingest", "-", "--json", stdin=short_items(3))

    assert [one["fate"] for one in first] == ["indexed"] * 3
    assert [one["fate"] for one in second] == ["duplicate"] * 3
    assert wirewatch.lines("search", "village", "--json")[-1]["total"] == 3


@pytest.mark.parametrize("seed", range(3))
def test_ingest_killed_at_any_moment_can_be_run_again(
    wirewatch: Wirewatch, seed: int
) -> None:
    (wirewatch.folder / "items.jsonl").write_text(short_items(500), "utf-8")
    rng = random.Random(seed)

    for _ in range(2):
        running = wirewatch.start("ingest", "items.jsonl")
        # Which moment it is, is the point: from before the log is open to near the end.
        time.sleep(rng.uniform(0.2, 4.0))
        running.process.kill()
        running.process.communicate()
    wirewatch("ingest", "items.jsonl")

    assert wirewatch.lines("search", "village", "-n", "1", "--json")[-1]["total"] == 500
    assert wirewatch.lines("search", "number77", "--json")[-1]["total"] == 1
    assert "balanced" in wirewatch("audit", "--wait").stdout


def test_what_is_refused_is_named_with_its_reason(wirewatch: Wirewatch) -> None:
    done = wirewatch("ingest", "-", stdin=f'{{"text": 7}}\n{short_items(1)}', code=1)

    assert "standard input:1" in done.stdout
    assert "1 refused" in done.stdout
    letters = wirewatch.lines("deadletters", "list", "--json")
    assert len(letters) == 1
    assert letters[0]["reason"] in wirewatch("deadletters", "show", "0").stdout


def test_a_file_that_is_not_there_is_refused(wirewatch: Wirewatch) -> None:
    assert "no such file" in wirewatch("ingest", "nowhere.xml", code=1).stdout


def test_without_waiting_it_only_publishes(wirewatch: Wirewatch) -> None:
    done = wirewatch("ingest", "-", "--no-wait", stdin=short_items(2))

    assert "2 items published" in done.stdout
    assert "pending" in wirewatch("audit", code=0).stdout
    raw = wirewatch.lines("tail", "items.raw", "--from", "beginning", "--count", "2")
    assert {one["value"]["identities"][0]["value"] for one in raw} >= set()


def test_inspect_shows_what_would_be_published_and_publishes_nothing(
    wirewatch: Wirewatch,
) -> None:
    (wirewatch.folder / "feed.xml").write_text(FEED.format(title="Convoy hit"), "utf-8")

    done = wirewatch("inspect", "feed.xml", "nowhere.xml", code=1)

    assert json.loads(done.stdout)["title"] == "Convoy hit"
    assert "nowhere.xml" in done.stderr
    assert not (wirewatch.folder / "data").exists()


def test_escape_codes_of_a_feed_never_reach_the_terminal(wirewatch: Wirewatch) -> None:
    line = json.dumps({"title": HOSTILE, "text": f"Gunmen killed ten. {HOSTILE}"})
    said = wirewatch("ingest", "-", stdin=line).stdout
    found = wirewatch("search", "gunmen").stdout
    ident = wirewatch.lines("search", "gunmen", "--json")[0]["document"]["id"]
    raw = wirewatch("search", "gunmen", "--json").stdout
    tail = wirewatch("tail", "items", "--from", "beginning", "--count", "1").stdout

    for text in (said, found, wirewatch("show", ident).stdout, raw, tail):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[bold]x[/bold]" in found
