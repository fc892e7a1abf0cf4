"""What Elasticsearch's answer means for a document. Pure.

Only what is on the list of :data:`REFUSALS` is the document's own fault. Everything
else, known or not, is taken for the server's state: it waits, and nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.face import Fate, Refused, Stored


_BAD_REQUEST = 400
_CONFLICT = 409
_CREATED = frozenset({200, 201})

#: Type of error -> what its reason must contain ('' for anything).
REFUSALS: Mapping[str, str] = {
    "document_parsing_exception": "",
    "mapper_parsing_exception": "",
    "strict_dynamic_mapping_exception": "",
    "illegal_argument_exception": "immense term",
    "max_bytes_length_exceeded_exception": "",
}


def judge(result: Mapping[str, Any]) -> Fate | None:
    """Return the fate in one item of a bulk response; None when it must wait."""
    status, error = result.get("status"), result.get("error") or {}
    if status in _CREATED:
        return Stored.STORED
    kind, reason = str(error.get("type", "")), explain(error)
    if status == _CONFLICT and kind == "version_conflict_engine_exception":
        return Stored.STALE
    needle = REFUSALS.get(kind)
    if status == _BAD_REQUEST and needle is not None and needle in reason:
        return Refused(kind, reason)
    return None


def explain(error: Mapping[str, Any]) -> str:
    """Return an error's reason and what caused it, on one line."""
    reasons = []
    cause: Any = error
    while isinstance(cause, Mapping):
        reasons.append(str(cause.get("reason", cause.get("type", ""))))
        cause = cause.get("caused_by")
    return ": ".join(filter(None, reasons))
