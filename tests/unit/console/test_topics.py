from __future__ import annotations

import asyncio
import dataclasses
import json

from pathlib import Path

import pytest
import typer

from typer.testing import CliRunner, Result

from console import topics
from streams import schema
from streams.log.opening import open_log
from streams.settings import load
from streams.topics import ALL, DECLARED, RAW, Topic


@pytest.fixture
def wirewatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.chdir(tmp_path)  # so that no configuration file is found
    app = typer.Typer(pretty_exceptions_enable=False)
    topics.mount(app)
    return app


def run(app: typer.Typer, *words: str) -> Result:
    return CliRunner().invoke(app, ["topics", *words], env={"COLUMNS": "100"})


def test_every_topic_is_described_to_a_person(wirewatch: typer.Typer) -> None:
    said = run(wirewatch, "describe").stdout
    for topic in ALL:
        assert topic.name in said


def test_a_topics_name_is_never_broken(wirewatch: typer.Typer) -> None:
    said = CliRunner().invoke(wirewatch, ["topics", "describe"], env={"COLUMNS": "60"})
    for topic in ALL:
        assert topic.name in said.stdout


def test_every_topic_is_a_line_for_a_program(wirewatch: typer.Typer) -> None:
    lines = run(wirewatch, "describe", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == [t.name for t in DECLARED]


def test_the_asyncapi_document_is_the_one_in_docs(wirewatch: typer.Typer) -> None:
    said = run(wirewatch, "describe", "--asyncapi").stdout
    assert said == schema.render(schema.asyncapi())


def test_json_schema_is_of_one_topic_or_of_all(wirewatch: typer.Typer) -> None:
    one = run(wirewatch, "describe", "--json-schema", RAW.name).stdout
    assert one == schema.render(schema.json_schema(RAW))
    every = json.loads(run(wirewatch, "describe", "--json-schema").stdout)
    assert every.keys() == {topic.name for topic in ALL if topic.record}
    assert every[RAW.name] == json.loads(one)


@pytest.mark.parametrize(
    "words",
    [
        ("items.row",),
        ("--json-schema", "deadletters"),
        ("--json", "--asyncapi"),
        ("--asyncapi", "items"),
    ],
)
def test_a_question_without_an_answer_is_a_usage_error(
    wirewatch: typer.Typer, words: tuple[str, ...]
) -> None:
    assert run(wirewatch, "describe", *words).exit_code == 2


def test_an_unknown_topic_is_answered_with_the_nearest(wirewatch: typer.Typer) -> None:
    assert "items.raw" in run(wirewatch, "describe", "items.row").stderr


def test_create_makes_what_is_missing_and_then_only_checks(
    wirewatch: typer.Typer, tmp_path: Path
) -> None:
    data = ("--data", str(tmp_path / "data"))
    first, second = (run(wirewatch, "create", *data) for _ in range(2))
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout.count("made") == len(DECLARED)
    assert "made" not in second.stdout


async def _make(topic: Topic, data: Path) -> None:
    async with open_log(load(data=str(data), environ={})) as log:
        await log.create([topic])


async def test_create_explains_a_mismatch_and_exits_with_one(
    wirewatch: typer.Typer, tmp_path: Path
) -> None:
    await _make(dataclasses.replace(RAW, partitions=3), tmp_path / "data")
    result = await asyncio.to_thread(
        run, wirewatch, "create", "--data", str(tmp_path / "data")
    )
    assert result.exit_code == 1
    assert "items.raw: has 3 partitions, needs 8" in result.stderr
