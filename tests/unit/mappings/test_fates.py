from __future__ import annotations

from typing import Any

import pytest

from mappings.face import Refused, Stored
from mappings.fates import judge


def failed(status: int, kind: str, reason: str = "") -> dict[str, Any]:
    return {"status": status, "error": {"type": kind, "reason": reason}}


@pytest.mark.parametrize("status", [200, 201])
def test_what_was_written_is_stored(status: int) -> None:
    assert judge({"status": status}) is Stored.STORED


def test_a_version_conflict_is_stale() -> None:
    assert judge(failed(409, "version_conflict_engine_exception")) is Stored.STALE


@pytest.mark.parametrize(
    "result",
    [
        failed(400, "document_parsing_exception", "failed to parse field [version]"),
        failed(400, "mapper_parsing_exception", "failed to parse"),
        failed(400, "strict_dynamic_mapping_exception", "not allowed"),
        failed(400, "illegal_argument_exception", "at least one immense term in field"),
    ],
)
def test_the_documents_own_fault_is_named(result: dict[str, Any]) -> None:
    fate = judge(result)
    assert isinstance(fate, Refused)
    assert fate.kind == result["error"]["type"]
    assert fate.reason == result["error"]["reason"]


@pytest.mark.parametrize(
    "result",
    [
        failed(429, "es_rejected_execution_exception"),
        failed(429, "circuit_breaking_exception"),
        failed(429, "cluster_block_exception", "flood-stage watermark"),
        failed(403, "cluster_block_exception", "index read-only (api)"),
        failed(503, "unavailable_shards_exception"),
        failed(400, "validation_exception", "this action would add [2] shards"),
        failed(400, "illegal_argument_exception", "Limit of total fields exceeded"),
        failed(404, "index_not_found_exception"),
        failed(409, "resource_already_exists_exception"),
        failed(403, "security_exception"),
        failed(400, "an_exception_of_a_later_release"),
        {"status": 500},
    ],
)
def test_everything_else_waits(result: dict[str, Any]) -> None:
    assert judge(result) is None


def test_the_reason_tells_the_whole_chain() -> None:
    error = {
        "type": "document_parsing_exception",
        "reason": "failed to parse",
        "caused_by": {"type": "input_coercion_exception", "reason": "out of range"},
    }
    fate = judge({"status": 400, "error": error})
    assert isinstance(fate, Refused)
    assert fate.reason == "failed to parse: out of range"
