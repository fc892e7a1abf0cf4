from __future__ import annotations

import subprocess
import sys

from collections.abc import Callable
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[3]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

NEEDS_KAFKA = """
import pytest
def test_with_kafka(kafka): assert kafka == "broker:1"
def test_without(): pass
"""
NEEDS_MAVEN = """
def test_with_maven(maven): pass
def test_with_a_broker_of_it(secure_kafka): pass
"""
MARKED_AND_SKIPPED = """
import pytest
@pytest.mark.kafka
def test_that_skips_itself(): pytest.skip("no mood")
"""
SKIPPED = """
import pytest
def test_that_skips_itself(): pytest.skip("not on this system")
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a test file in a pytest of its own, on a machine without Maven or engine."""

    def run(source: str, **environ: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "test_it.py"
        file.write_text(source)
        words = [
            "-c",
            "/dev/null",
            "--rootdir",
            str(tmp_path),
            "-p",
            "no:cacheprovider",
        ]
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *words,
                "-p",
                "tests.servers.plugin",
                file,
            ],
            cwd=ROOT,
            env={"PATH": str(tmp_path), **environ},
            check=False,
            capture_output=True,
            text=True,
        )

    return run


def test_without_servers_their_tests_are_skipped_loudly(run: Run) -> None:
    done = run(NEEDS_KAFKA)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert "TESTS THAT NEED KAFKA DID NOT RUN: no container engine" in done.stdout
    assert "no Maven" in done.stdout
    assert "ELASTICSEARCH" not in done.stdout


def test_in_ci_a_skip_for_want_of_a_server_is_a_failure(run: Run) -> None:
    done = run(NEEDS_KAFKA, CI="true")
    assert done.returncode == 1, done.stdout
    assert "skipped, which in CI is a failure" in done.stdout


def test_in_ci_a_servers_test_may_not_skip_itself_either(run: Run) -> None:
    assert run(MARKED_AND_SKIPPED, WIRETEST_KAFKA="broker:1").returncode == 0
    assert run(MARKED_AND_SKIPPED, WIRETEST_KAFKA="broker:1", CI="true").returncode == 1


def test_in_ci_other_tests_may_skip(run: Run) -> None:
    assert run(SKIPPED, CI="true").returncode == 0


def test_what_only_maven_can_serve_no_named_server_stands_in_for(run: Run) -> None:
    done = run(NEEDS_MAVEN, WIRETEST_KAFKA="broker:1", CI="true")
    assert done.returncode == 1, done.stdout
    assert "no server: it must be Maven's: no Maven" in done.stdout
    assert "2 errors" in done.stdout


def test_a_server_named_in_the_environment_is_used(run: Run) -> None:
    done = run(NEEDS_KAFKA, WIRETEST_KAFKA="broker:1", CI="true")
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_a_fixture_marks_its_tests(run: Run) -> None:
    done = run(NEEDS_KAFKA, WIRETEST_KAFKA="broker:1", PYTEST_ADDOPTS="-m kafka")
    assert "1 passed, 1 deselected" in done.stdout
