"""``python -m tests.audit``: what is known against the distributions that we ship.

Asks a vulnerability service about every pin of ``requirements-runtime.lock``. Exit code
1 when something is known; when the service cannot be asked this is said, in capitals,
and no fault. What needs no service is in ``tests/unit/test_supply.py``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.request

from pathlib import Path
from typing import Any


LOCK = Path(__file__).parents[1] / "requirements-runtime.lock"
#: One that answers as OSV does (https://google.github.io/osv.dev/post-v1-querybatch/).
SERVICE_VARIABLE = "WIRETEST_OSV"
SERVICE = "https://api.osv.dev"
TIMEOUT_S = 20.0


class UnaskedError(Exception):
    """The service did not answer, or not as it should; says how."""


def main() -> int:
    """Ask, and print what is known."""
    pins = pinned(LOCK.read_text("utf-8"))
    try:
        known = ask(pins, os.environ.get(SERVICE_VARIABLE, SERVICE))
    except UnaskedError as error:
        print(f"DEPENDENCIES WERE NOT AUDITED: the service did not answer: {error}")
        return 0
    for (name, version), idents in known.items():
        print(f"{name} {version}: {', '.join(idents)}")
    print(f"{len(pins)} dependencies audited, {len(known)} with known vulnerabilities")
    return 1 if known else 0


def pinned(lock: str) -> list[tuple[str, str]]:
    """Return name and version of each requirement in *lock*."""
    return re.findall(r"^([a-z0-9._-]+)==([^\s;\\]+)", lock, re.MULTILINE)


def ask(pins: list[tuple[str, str]], service: str) -> dict[tuple[str, str], list[str]]:
    """Return the vulnerabilities of those of *pins* that have some; or UnaskedError."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in pins
    ]
    request = urllib.request.Request(  # noqa: S310 - http or https, ours
        f"{service}/v1/querybatch",
        json.dumps({"queries": queries}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
            results: list[dict[str, Any]] = json.load(answer)["results"]
        if len(results) != len(pins):
            raise UnaskedError(f"{len(results)} answers to {len(pins)} questions")
        return {
            pin: [one["id"] for one in result["vulns"]]
            for pin, result in zip(pins, results, strict=True)
            if result.get("vulns")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnaskedError(str(getattr(error, "reason", error))) from error


if __name__ == "__main__":
    sys.exit(main())
