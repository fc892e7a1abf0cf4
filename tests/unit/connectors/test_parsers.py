"""What strangers wrote is parsed within bounds, whoever asks for it."""

from __future__ import annotations

import re

from pathlib import Path


ROOT = Path(__file__).parents[3]


def test_no_parser_runs_without_a_limit_on_time_and_memory() -> None:
    makers = {
        path.relative_to(ROOT).as_posix()
        for room in ("connectors", "console", "evals")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\bPool\(", path.read_text("utf-8"))
    }
    assert makers == {"connectors/parsers.py"}
