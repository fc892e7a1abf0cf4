"""What an operator asks a running system: its health, its metrics, the way of an item."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request

from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Running, Wirewatch


ITEM = {
    "source": "desk",
    "id": "1",
    "title": "Gunmen attack a convoy near Kayes",
    "text": "Gunmen killed twelve drivers on Thursday, officials said.",
    "link": "https://desk.example/news/1",
}


def put(folder: Path, *items: dict[str, str], name: str = "items.jsonl") -> str:
    path = folder / name
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return str(path)


def listening(running: Running) -> str:
    line = running.errors_until("monitor.ready")
    found = re.search(r"listen=(\S+)", line)
    assert found, line
    return f"http://{found[1]}"


def asked(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_run_tells_its_health_and_its_metrics(wirewatch: Wirewatch) -> None:
    running = wirewatch.start("run", "--listen", "127.0.0.1:0")
    url = listening(running)

    assert asked(f"{url}/healthz")[1]["status"] == "ok"
    early = asked(f"{url}/readyz")
    assert early[0] == 200 or early[1]["reasons"] == ["run is starting"]
    running.errors_until("run.ready")
    wirewatch("ingest", put(wirewatch.folder, ITEM))

    assert asked(f"{url}/readyz")[0] == 200
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - our own
        metrics = answer.read().decode()
    assert 'wirewatch_stage_records_total{stage="index"}' in metrics
    assert "wirewatch_item_delay_seconds_count 1.0" in metrics
    assert 'wirewatch_build_info{role="run"' in metrics
    code, took_s = running.end()
    assert (code, took_s < 10) == (0, True)


def test_trace_shows_each_stage_and_each_revision(watched: Wirewatch) -> None:
    changed = ITEM | {"text": "Gunmen killed fifteen drivers, the army said."}
    watched("ingest", put(watched.folder, ITEM))
    watched("ingest", put(watched.folder, changed, name="changed.jsonl"))
    (traced,) = watched.lines("trace", ITEM["link"], "--json")

    first, second = traced["records"]

    way = ["fetched", "appended", "unique", "tagged", "correlated"]
    assert [step["what"] for step in first["steps"]] == way[:-1]
    assert [step["what"] for step in second["steps"]] == way
    assert all(step["after_s"] >= 0 for step in second["steps"][2:])
    # A compacted topic keeps the last version of an id, and that is said.
    assert "replaced" in {one["why"] for one in traced["gone"]}
    assert (first["fate"], second["fate"]) == ("superseded", "indexed")
    assert traced["held"]["revision"] == 2

    by_position = watched.lines("trace", first["origin"], "--json")
    by_incident = watched.lines("trace", traced["incidents"][0], "--json")
    assert [traced] == by_position
    assert traced in by_incident
    assert "correlated" in watched("trace", traced["id"]).stdout


def test_trace_shows_why_a_copy_went_no_further(watched: Wirewatch) -> None:
    item = ITEM | {
        "id": "2",
        "link": "https://desk.example/news/2",
        "text": "A flood cut the road to Gao.",
    }
    name = put(watched.folder, item, name="once.jsonl")
    watched("ingest", name)
    (copy,) = watched.lines("ingest", name, "--json")

    (traced,) = watched.lines("trace", copy["position"], "--json")

    assert [one["fate"] for one in traced["records"]] == ["indexed", "duplicate"]
    assert traced["records"][1]["because"] == traced["records"][0]["origin"]


def test_an_index_that_is_deleted_is_missed_until_it_is_built_anew(
    wirewatch: Wirewatch,
) -> None:
    """Found by the chaos run: an empty one took its place, and all was said to be well."""
    wirewatch("ingest", put(wirewatch.folder, ITEM))
    for file in (wirewatch.folder / "data").glob("index*"):
        file.unlink()

    running = wirewatch.start("run")
    assert "wirewatch reindex" in running.errors_until("no search index")
    running.errors_until("run.ready")
    (fault,) = [
        one for one in wirewatch.lines("check", "--json", code=1) if not one["ok"]
    ]
    assert "wirewatch reindex" in fault["detail"]

    wirewatch("reindex")

    wirewatch("check")
    (_, found) = wirewatch.lines("search", "convoy", "--json")
    assert found["total"] == 1
