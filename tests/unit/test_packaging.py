"""The files that ship beside the code agree with it, and with each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

from pathlib import Path
from typing import Any

import pytest

from typer.testing import CliRunner

from streams.settings import load
from tests.servers.containers import IMAGES


ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
COMPOSE = (ROOT / "docker-compose.yml").read_text()


def found(pattern: str, text: str) -> list[Any]:
    return re.findall(pattern, text, re.MULTILINE)


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=~! ]", one, maxsplit=1)[0].lower() for one in requirements}


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text()
    return dict(found(r"^([a-z0-9._-]+)==(\S+)", text))


def compose_command() -> list[str]:
    """Return a compose implementation; it needs no engine to check a file."""
    for command in (["docker", "compose"], ["docker-compose"], ["podman", "compose"]):
        if shutil.which(command[0]):
            asked = [*command, "version"]
            if subprocess.run(asked, check=False, capture_output=True).returncode == 0:
                return command
    pytest.skip("no compose implementation here")


def configured(
    environ: dict[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    file = str(ROOT / "docker-compose.yml")
    words = ["--file", file, *options, "config", "--quiet"]
    return subprocess.run(
        [*compose_command(), *words],
        cwd="/",  # no .env of the developer's
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent", **environ},
        check=False,
        capture_output=True,
        text=True,
    )


def test_every_dependency_is_pinned_in_both_locks() -> None:
    wanted = names(PROJECT["project"]["dependencies"])
    developing = names(PROJECT["dependency-groups"]["dev"])
    assert wanted <= pins("requirements-runtime.lock").keys()
    assert wanted | developing <= pins("requirements.lock").keys()


def test_the_image_gets_the_versions_that_were_tested() -> None:
    assert (
        pins("requirements-runtime.lock").items() <= pins("requirements.lock").items()
    )


def test_the_image_gets_nothing_that_is_only_for_developing() -> None:
    developing = names(PROJECT["dependency-groups"]["dev"])
    assert not developing & pins("requirements-runtime.lock").keys()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-runtime.lock"])
def test_a_lock_names_no_place_to_download_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--(index-url|extra-index-url|find-links)", text)


def test_every_dependency_is_explained() -> None:
    text = (ROOT / "docs/dependencies.md").read_text()
    explained = set(found(r"^\| ([a-z][a-z0-9-]*) \|", text))
    assert explained - {"package"} == names(
        PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    )


def test_the_image_gets_every_package() -> None:
    copied = found(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text())
    let_in = found(r"^!(\w+)$", (ROOT / ".dockerignore").read_text())
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(copied) == set(packages)
    assert set(packages) <= set(let_in)


def test_compose_sets_only_what_the_settings_know() -> None:
    environ = dict(found(r"^ +(WIREWATCH_\w+): (.+)$", COMPOSE))
    settings = load(environ=environ)
    assert settings.mode == "servers"
    assert settings.kafka.bootstrap == "kafka:19092"
    assert settings.elasticsearch.username == "elastic"
    assert settings.elasticsearch.password.startswith("${ELASTIC_PASSWORD:?")


@pytest.mark.parametrize("command", found(r"^    command: \[(.+)\]$", COMPOSE))
def test_compose_runs_only_what_the_command_line_knows(command: str) -> None:
    from console.cli import app  # noqa: PLC0415 - the others need no console

    words = [word.strip(' "') for word in command.split(",")]
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output


def test_compose_runs_what_the_tests_ran_against() -> None:
    for image in IMAGES.values():
        assert f"image: {image}\n" in COMPOSE


def test_compose_publishes_to_this_machine_alone() -> None:
    published = found(r'^    ports: \["(.+)"\]$', COMPOSE)
    assert len(published) == COMPOSE.count("ports:") == 4
    assert all(one.startswith("127.0.0.1:") for one in published)


def test_compose_gives_our_containers_nothing_that_they_do_not_need() -> None:
    ours = COMPOSE[COMPOSE.index("x-role:") : COMPOSE.index("services:")]
    for line in (
        "read_only: true",
        "cap_drop: [ALL]",
        'security_opt: ["no-new-privileges:true"]',
    ):
        assert f"\n  {line}\n" in ours
    assert "privileged:" not in COMPOSE
    assert "network_mode:" not in COMPOSE


def test_the_image_runs_as_nobody_of_importance() -> None:
    final = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert found(r"^USER (.+)$", final) == ["wirewatch"]
    assert "--uid 10001" in final


@pytest.mark.parametrize("profile", ["", "monitoring"])
def test_compose_takes_the_file(profile: str) -> None:
    done = configured({"ELASTIC_PASSWORD": "a $ecret"}, "--profile", profile)
    assert done.returncode == 0, done.stderr


def test_compose_refuses_to_start_without_a_password() -> None:
    for environ in ({}, {"ELASTIC_PASSWORD": ""}):
        done = configured(environ)
        assert done.returncode != 0
        assert "choose a password" in done.stderr


@pytest.mark.parametrize(("password", "code"), [("", 1), ("a $ecret", 0)])
def test_grafana_does_not_start_without_a_password(password: str, code: int) -> None:
    grafana = COMPOSE[COMPOSE.index("\n  grafana:") :]
    assert "GF_SECURITY_ADMIN_PASSWORD: ${GRAFANA_PASSWORD:-}\n" in grafana
    (script,) = found(r"^      - \|\n((?: {8}.*\n)+)", grafana)
    started = script.replace("$$", "$").replace("/run.sh", "echo started")
    done = subprocess.run(
        ["/bin/sh", "-c", started],
        env={"GF_SECURITY_ADMIN_PASSWORD": password, "PATH": "/usr/bin:/bin"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code
    assert ("GRAFANA_PASSWORD" in done.stderr) == ("started" not in done.stdout)
