"""From a query to Elasticsearch's query DSL. Pure."""

from __future__ import annotations

from typing import Any

from mappings import analysis
from mappings.face import Sort
from mappings.paging import Place
from mappings.query import And, Label, Node, Not, Or, Phrase, Prefix, Query, Time, Word
from streams.clock import to_ms


#: A word in a title says more; as in :data:`mappings.sql.WEIGHTS`.
TITLE_BOOST = 3

#: Where a word is looked for: every text folded, and each language's texts by stem.
#: Elasticsearch analyses the word for each field as it analysed the field.
_FIELDS = [
    field
    for name in ("any", *analysis.STEMMERS)
    for field in (f"search.{name}.title^{TITLE_BOOST}", f"search.{name}.text")
]
_PREFIX_FIELDS = ("search.any.title", "search.any.text")


def compile_query(query: Query) -> dict[str, Any]:
    """Return the ``query`` of a search body; fields only filter, words score too."""
    wanted: dict[str, Any] = {"filter": [{"term": {"search.findable": True}}]}
    if query.root is not None:
        wanted["must"] = [_clause(query.root)]
    return {"bool": wanted}


def order(sort: Sort) -> list[dict[str, Any]]:
    """Return the ``sort`` of a search body; results that are alike go by id."""
    by_id = {"id": {"order": "asc", "unmapped_type": "keyword"}}
    if sort == "relevance":
        return [{"_score": {"order": "desc"}}, by_id]
    direction = "desc" if sort == "newest" else "asc"
    moment = {"order": direction, "unmapped_type": "date"}
    return [{"search.moment": moment}, by_id]


def search_after(sort: Sort, place: Place) -> list[Any]:
    """Return the ``search_after`` for what follows *place*."""
    return [place.key if sort == "relevance" else int(place.key), place.ident]


def facets(names: dict[str, str], size: int) -> dict[str, Any]:
    """Return the ``aggs`` that count by label (label -> name of the facet) and day."""
    # Every shard (a month) returns more than is asked, so that sums are exact.
    deep = max(1000, 10 * size)
    by_label = {
        shown: {
            "terms": {
                "field": f"search.{name}",
                "size": size,
                "shard_size": deep,
                "order": [{"_count": "desc"}, {"_key": "asc"}],
            }
        }
        for name, shown in names.items()
    }
    days = {"field": "search.day", "size": size, "order": {"_key": "desc"}}
    return {**by_label, "day": {"terms": days}}


def _clause(node: Node) -> dict[str, Any]:  # noqa: PLR0911 - one a kind of node
    match node:
        case Word(text) | Phrase(text):
            prepared = analysis.prepare(text)
            return {
                "multi_match": {"query": prepared, "type": "phrase", "fields": _FIELDS}
            }
        case Prefix(text):
            parts = [{"prefix": {field: {"value": text}}} for field in _PREFIX_FIELDS]
            return {"dis_max": {"queries": parts}}
        case Label(name, value):
            value = analysis.language_of(value) if name == "lang" else value
            return {"bool": {"filter": [{"term": {f"search.{name}": value}}]}}
        case Time(name, moment):
            field = "search.seen" if name == "seen-after" else "search.moment"
            operator = "lt" if name == "before" else "gte"
            bound = {operator: to_ms(moment), "format": "epoch_millis"}
            return {"bool": {"filter": [{"range": {field: bound}}]}}
        case Not(part):
            return {"bool": {"must_not": [_clause(part)]}}
        case And(parts):
            return {"bool": {"must": [_clause(part) for part in parts]}}
        case Or(parts):
            clauses = [_clause(part) for part in parts]
            return {"bool": {"should": clauses, "minimum_should_match": 1}}
