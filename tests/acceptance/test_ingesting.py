"""Ingesting: each item searchable once, whatever happens on the way."""

from __future__ import annotations

import json
import random
import time

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

FEED = """<rss version="2.0"><channel><title>{title}</title>
<link>https://news.example.org/</link>
<item><title>{title}</title><link>https://news.example.org/1</link><guid>g1</guid>
<description>Gunmen killed 15 drivers of a fuel convoy near Kayes.</description></item>
</channel></rss>"""
HOSTILE = "\x1b]0;owned\x07\x1b[31mred \u202egnp.exe [bold]x[/bold]"


def short_items(count: int, word: str) -> str:
    return "".join(
        json.dumps({"id": f"{word}{n}", "text": f"Gunmen attacked {word} number{n}."})
        + "\n"
        for n in range(count)
    )


def total(wirewatch: Wirewatch, *words: str) -> int:
    found: int = wirewatch.lines("search", *words, "-n", "1", "--json")[-1]["total"]
    return found


def test_what_is_ingested_while_run_is_up_is_found_shown_and_accounted_for(
    watched: Wirewatch,
) -> None:
    (watched.folder / "feed.xml").write_text(FEED.format(title="Convoy hit"), "utf-8")

    fates = watched.lines("ingest", "feed.xml", "--json")
    found = watched.lines("search", "drivers convoy", "--json")
    ident = found[0]["document"]["id"]

    assert [one["fate"] for one in fates] == ["indexed"]
    assert fates[0]["id"] == ident
    assert "Convoy hit" in watched("show", ident).stdout
    assert total(watched, "--incidents", "convoy") == 1
    assert "balanced" in watched("audit").stdout


def test_what_is_ingested_twice_is_there_once(watched: Wirewatch) -> None:
    lines = short_items(3, "twicely")

    first = watched.lines("ingest", "-", "--json", stdin=lines)
    second = watched.lines("ingest", "-", "--json", stdin=lines)

    assert [one["fate"] for one in first] == ["indexed"] * 3
    assert [one["fate"] for one in second] == ["duplicate"] * 3
    assert total(watched, "twicely") == 3


def test_ingest_killed_at_any_moment_can_be_run_again(wirewatch: Wirewatch) -> None:
    items = wirewatch.folder / "items.jsonl"
    items.write_text(short_items(500, "village"), "utf-8")
    seed = random.SystemRandom().randrange(10_000)
    rng = random.Random(seed)

    for _ in range(3):
        running = wirewatch.start("ingest", "items.jsonl")
        # Which moment it is, is the point: from before the log is open to near the end.
        time.sleep(rng.uniform(0.2, 5.0))
        running.kill()
    wirewatch("ingest", "items.jsonl")

    assert total(wirewatch, "village") == 500, seed
    assert total(wirewatch, "number77") == 1, seed
    account = wirewatch.lines("audit", "--json")[0]
    assert account["balanced"], (seed, account)
    assert not account["fates"]["pending"], (seed, account)


def test_what_is_refused_is_named_with_its_reason(watched: Wirewatch) -> None:
    done = watched(
        "ingest", "-", stdin=f'{{"text": 7}}\n{short_items(1, "after")}', code=1
    )

    assert "standard input:1" in done.stdout
    assert "1 refused" in done.stdout
    letter = watched.lines("deadletters", "list", "--json")[-1]
    assert letter["stage"] == "connectors.ingest"
    shown = watched("deadletters", "show", str(letter["offset"])).stdout
    assert letter["kind"] in shown


def test_a_file_that_is_not_there_is_said_and_leaves_no_dead_letter(
    watched: Wirewatch,
) -> None:
    before = watched.lines("deadletters", "list", "--json")
    assert "no such file" in watched("ingest", "nowhere.xml", code=1).stdout
    assert watched.lines("deadletters", "list", "--json") == before


def test_without_waiting_it_only_publishes(wirewatch: Wirewatch) -> None:
    done = wirewatch("ingest", "-", "--no-wait", stdin=short_items(2, "later"))

    assert "2 items published" in done.stdout
    assert "no worker runs" in done.stderr
    raw = wirewatch.lines("tail", "items.raw", "--from", "beginning", "--count", "2")
    assert {one["value"]["text"][-8:] for one in raw} == {"number0.", "number1."}


def test_inspect_shows_what_would_be_published_and_publishes_nothing(
    wirewatch: Wirewatch,
) -> None:
    (wirewatch.folder / "feed.xml").write_text(FEED.format(title="Convoy hit"), "utf-8")

    done = wirewatch("inspect", "feed.xml", "nowhere.xml", code=1)

    assert json.loads(done.stdout)["title"] == "Convoy hit"
    assert "nowhere.xml" in done.stderr
    assert not (wirewatch.folder / "data").exists()


def test_escape_codes_of_a_source_never_reach_the_terminal(watched: Wirewatch) -> None:
    line = json.dumps({"title": HOSTILE, "text": f"Gunmen killed ostriches. {HOSTILE}"})
    said = watched("ingest", "-", stdin=line).stdout
    found = watched("search", "ostriches").stdout
    ident = watched.lines("search", "ostriches", "--json")[0]["document"]["id"]
    raw = watched("search", "ostriches", "--json").stdout
    tail = watched("tail", "items", "--from", "-1h", "--count", "1").stdout

    for text in (said, found, watched("show", ident).stdout, raw, tail):
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[bold]x[/bold]" in found
