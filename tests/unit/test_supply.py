"""What we take from others: pinned, under licences that we may ship, and audited."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import pytest

from tests import audit


ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-runtime.lock")
#: Installed without the lock: what a virtual environment begins with, and ourselves.
OF_THE_ENVIRONMENT = {"pip", "setuptools", "wheel", "wirewatch"}
#: Licences that let us ship what is under them, by what their names begin with.
PERMISSIVE = re.compile(
    r"(Apache|MIT|BSD|ISC|PSF|Python Software Foundation|CNRI-Python|MPL-[12]\.[01]"
    r"|Mozilla Public License 2\.0|Repoze Public License|0BSD|Unlicense)"
)


PINS = dict(audit.pinned((ROOT / "requirements.lock").read_text()))


def name_of(distribution: Distribution) -> str:
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()


def installed() -> list[Distribution]:
    return [d for d in distributions() if name_of(d) not in OF_THE_ENVIRONMENT]


def locked() -> list[Distribution]:
    """Return what of the lock is installed; a developer may have more beside it."""
    return [d for d in installed() if name_of(d) in PINS]


def licences(distribution: Distribution) -> list[str]:
    about = distribution.metadata
    if "License-Expression" in about:
        return [about["License-Expression"]]
    classified = [
        one.rpartition("::")[2].strip()
        for one in about.get_all("Classifier", [])
        if one.startswith("License ::") and not one.endswith("DFSG approved")
    ]
    return classified or about.get_all("License", [])


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_by_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    for entry in re.split(r"\n(?=\S)", text):
        if not entry.startswith("#") and entry.strip():
            assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry


def test_what_is_installed_is_of_the_version_that_the_lock_names() -> None:
    assert {name_of(d): d.version for d in locked()}.items() <= PINS.items()


@pytest.fixture
def nothing_extra() -> None:
    """Skip where a developer has tools beside the lock, which CI may not have."""
    if extra := {name_of(d) for d in installed()} - PINS.keys():
        told = f"installed beside the lock: {', '.join(sorted(extra))}"
        assert os.environ.get("CI", "").lower() in {"", "0", "false"}, told
        pytest.skip(told)


@pytest.mark.usefixtures("nothing_extra")
def test_what_is_installed_is_of_the_lock_alone_and_fits_together() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("distribution", locked(), ids=name_of)
def test_a_licence_is_one_that_we_may_ship(distribution: Distribution) -> None:
    named = licences(distribution)
    assert named
    # Of "A OR B" one is ours to choose, of "A AND B" both hold.
    for one in named:
        for term in re.split(r"\s+AND\s+", one):
            assert any(PERMISSIVE.match(c) for c in re.split(r"\s+OR\s+", term)), one


@contextmanager
def service(answer: Any, status: int = 200) -> Iterator[tuple[str, list[Any]]]:
    """Answer every question with *answer*; yields the address, and what was asked."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            asked.append(json.loads(self.rfile.read(size)))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


ASKED = [("aiohttp", "3.0"), ("rich", "15.0")]


def test_what_is_known_of_a_dependency_is_told_with_its_version() -> None:
    with service({"results": [{"vulns": [{"id": "GHSA-1"}]}, {}]}) as (url, asked):
        assert audit.ask(ASKED, url) == {("aiohttp", "3.0"): ["GHSA-1"]}
    assert asked[0]["queries"][0] == {
        "package": {"name": "aiohttp", "ecosystem": "PyPI"},
        "version": "3.0",
    }


@pytest.mark.parametrize(
    ("answer", "status"), [({"results": []}, 200), ([], 200), ({}, 503), ({}, 200)]
)
def test_a_service_that_does_not_tell_is_not_taken_for_a_clean_bill(
    answer: Any, status: int
) -> None:
    with service(answer, status) as (url, _), pytest.raises(audit.UnaskedError):
        audit.ask(ASKED, url)


def test_an_audit_that_was_not_possible_says_so_loudly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(audit.SERVICE_VARIABLE, "http://127.0.0.1:1")
    assert audit.main() == 0
    assert "NOT AUDITED" in capsys.readouterr().out


def test_a_known_vulnerability_fails_the_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = audit.pinned(audit.LOCK.read_text())
    found: list[Any] = [{} for _ in pins]
    found[0] = {"vulns": [{"id": "CVE-1"}]}
    with service({"results": found}) as (url, _):
        monkeypatch.setenv(audit.SERVICE_VARIABLE, url)
        assert audit.main() == 1
    assert f"{pins[0][0]} {pins[0][1]}: CVE-1" in capsys.readouterr().out


def test_every_pin_is_audited() -> None:
    text = audit.LOCK.read_text()
    assert len(audit.pinned(text)) == len(re.findall(r"^[a-z].*==", text, re.MULTILINE))
