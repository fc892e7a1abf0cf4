from __future__ import annotations

import json

from importlib import resources

import msgspec
import pytest

from mappings import analysis, schema
from mappings.face import Kind
from streams.records import Incident, Item


@pytest.mark.parametrize("kind", ["items", "incidents"])
def test_the_template_that_ships_is_what_the_records_say(kind: Kind) -> None:
    file = resources.files("mappings").joinpath("templates", f"{kind}.json")
    assert json.loads(file.read_text("utf-8")) == schema.template(kind), (
        "run: python -m mappings.schema"
    )


@pytest.mark.parametrize(("kind", "record"), [("items", Item), ("incidents", Incident)])
def test_every_field_of_the_record_is_mapped(
    kind: Kind, record: type[msgspec.Struct]
) -> None:
    mappings = schema.template(kind)["template"]["mappings"]
    assert mappings["dynamic"] is False
    assert set(mappings["properties"]) == {*record.__struct_fields__, "search"}


def test_every_language_has_its_fields_and_analyzer() -> None:
    template = schema.template("items")["template"]
    search = template["mappings"]["properties"]["search"]["properties"]
    for code in analysis.STEMMERS:
        analyzer = search[code]["properties"]["text"]["analyzer"]
        assert analyzer in template["settings"]["analysis"]["analyzer"]


def test_the_digest_changes_with_prefix_and_content() -> None:
    def digest(prefix: str, replicas: int) -> str:
        loaded = schema.load("items", prefix=prefix, replicas=replicas)
        named: str = loaded["_meta"]["digest"]
        return named

    assert digest("a-", 0) == digest("a-", 0)
    assert len({digest("a-", 0), digest("b-", 0), digest("a-", 1)}) == 3
