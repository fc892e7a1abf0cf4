"""What all commands agree on: who is asked, who waits, and which code says what."""

from __future__ import annotations

import json
import socket

import pytest

from tests.acceptance.conftest import Wirewatch


ITEM = json.dumps({"id": "1", "source": "desk", "text": "Gunmen killed ten in Kayes."})


def test_asking_does_no_work_and_time_that_ran_out_has_a_code_of_its_own(
    wirewatch: Wirewatch,
) -> None:
    wirewatch("ingest", "-", "--no-wait", stdin=ITEM)

    (told,) = wirewatch.lines("replay", "annotate", "--dry-run", "--json")
    assert (told["dry_run"], told["read"]) == (True, 0)
    assert wirewatch.lines("audit", "--json")[0]["fates"]["pending"] == 1

    assert (
        "nothing is waited for" in wirewatch("audit", "--timeout", "1", code=2).stderr
    )
    wirewatch("audit", "--wait", "--timeout", "0", code=3)
    said = wirewatch("ingest", "-", "--timeout", "0", stdin=ITEM, code=3).stderr
    assert "audit --wait" in said


def test_a_program_is_told_what_would_go_before_anything_goes(
    wirewatch: Wirewatch,
) -> None:
    (indexed,) = wirewatch.lines("ingest", "-", "--json", stdin=ITEM)
    words = ("forget", indexed["id"], "--because", "asked for", "--json")

    (told,) = wirewatch.lines(*words, "--dry-run")
    assert (told["id"], told["forgotten"]) == (indexed["id"], False)

    asked = wirewatch(*words, code=2)
    assert asked.stdout == ""
    assert "Gunmen killed ten" in asked.stderr
    assert "--yes" in asked.stderr

    (told,) = wirewatch.lines(*words, "--yes")
    assert told["forgotten"]


@pytest.mark.parametrize("listen", ["nowhere", "busy"])
def test_an_address_that_was_typed_is_blamed_and_nothing_else_is_said(
    wirewatch: Wirewatch, listen: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if listen == "busy":
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
        said = wirewatch("run", "--listen", listen, code=2).stderr

    assert "wirewatch: --listen" in said
    assert "configuration" not in said
    assert "Warning" not in said
