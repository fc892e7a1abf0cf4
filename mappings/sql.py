"""From a query to SQL over the embedded index's tables. Pure.

Words are asked of the full-text table in one MATCH expression wherever the tree allows;
fields are conditions on ``entry`` and ``label``. In the full-text table a stem carries
its language before it (``frattaqu``), so that only texts of that language have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mappings import analysis
from mappings.face import Kind, Sort
from mappings.fields import Passage
from mappings.paging import Place
from mappings.query import And, Label, Node, Not, Or, Phrase, Prefix, Query, Time, Word
from streams.clock import to_ms


#: Columns of the full-text table: folded forms, and stems with their language.
WORD_COLUMNS = ("title", "text", "title_stems", "text_stems")
#: bm25 weights of those columns: a word in a title says more.
WEIGHTS = (3.0, 1.0, 3.0, 1.0)
#: Between two passages of one column, so that no phrase goes from one to the next.
GAP = "\ue000"

_FOLDED = "{title text}"
_STEMS = "{title_stems text_stems}"


class Statement(NamedTuple):
    """SQL and what its question marks stand for."""

    sql: str
    values: list[object]


def columns(title: Iterable[Passage], text: Iterable[Passage]) -> tuple[str, ...]:
    """Return what the full-text table is given, in the order of WORD_COLUMNS."""
    titles, title_stems = _analysed(title)
    texts, text_stems = _analysed(text)
    return titles, texts, title_stems, text_stems


def _analysed(passages: Iterable[Passage]) -> tuple[str, str]:
    folded, tagged = [], []
    for language, text in passages:
        if language:
            words, stems = analysis.both(text, language)
            tagged.append(_tagged(stems, language))
        else:
            words = " ".join(analysis.folded(text))
        folded.append(words)
    return f" {GAP} ".join(folded), f" {GAP} ".join(tagged)


def _tagged(stems: str, language: str) -> str:
    return language + stems.replace(" ", f" {language}") if stems else ""


def page(
    query: Query, kind: Kind, sort: Sort, size: int, after: Place | None
) -> Statement:
    """Return the SELECT of one page, in order: rowid, id, sort key, and the total."""
    found = _found(query.root, kind, scored=sort == "relevance")
    ascending = sort != "newest"
    key = "score" if sort == "relevance" else "moment"
    where, bounds = "", list[object]()
    if after is not None:
        where = f" WHERE {key} {'>' if ascending else '<'}= ? AND NOT ({key} = ? AND id <= ?)"
        bounds = [after.key, after.key, after.ident]
    # Finding is what costs: once for page and total. Without words and labels the page
    # is read off an index, and the total off another.
    once = _is_found_by_lookup(query.root)
    materialized = "MATERIALIZED" if once else "NOT MATERIALIZED"
    total = count(query, kind)
    counted = "SELECT count(*) FROM found" if once else total.sql
    return Statement(
        f"WITH found AS {materialized} ({found.sql})"  # noqa: S608 - fixed names only
        f" SELECT rowid, id, {key}, ({counted}) FROM found{where}"
        f" ORDER BY {key} {'ASC' if ascending else 'DESC'}, id LIMIT ?",
        [*found.values, *([] if once else total.values), *bounds, size],
    )


def count(query: Query, kind: Kind) -> Statement:
    """Return the SELECT of how many results there are."""
    found = _found(query.root, kind, scored=False)
    return Statement(f"SELECT count(*) FROM ({found.sql})", found.values)  # noqa: S608


def facets(query: Query, kind: Kind, names: Sequence[str]) -> Statement:
    """Return the SELECT of (name, value, count) over all results, days among them."""
    found = _found(query.root, kind, scored=False)
    marks = ", ".join("?" * len(names))
    return Statement(
        f"WITH found AS MATERIALIZED ({found.sql})"  # noqa: S608
        f" SELECT name, value, count(*) FROM found JOIN {kind}_label USING (rowid)"
        f" WHERE name IN ({marks}) GROUP BY name, value"
        " UNION ALL SELECT 'day', day, count(*) FROM found GROUP BY day",
        [*found.values, *names],
    )


def _found(root: Node | None, kind: Kind, *, scored: bool) -> Statement:
    """Return the SELECT of all results, which starts from what finds the fewest."""
    words, others = _split(root)
    if words:
        matches = _match(And(tuple(words)) if len(words) > 1 else words[0])
        start = Statement(
            f"{kind}_words CROSS JOIN {kind}_entry e"
            f" ON e.rowid = {kind}_words.rowid AND {kind}_words MATCH ?",
            [matches],
        )
        score = _score(kind) if scored else "0.0"
    else:
        label = next((node for node in others if isinstance(node, Label)), None)
        others = [node for node in others if node is not label]
        start, score = _without_words(root, label, kind, scored=scored)
    conditions = [_condition(node, kind) for node in others]
    where = "".join(f" AND {one.sql}" for one in conditions)
    return Statement(
        "SELECT e.rowid AS rowid, e.id AS id, e.moment AS moment, e.day AS day,"  # noqa: S608
        f" {score} AS score FROM {start.sql} WHERE e.findable{where}",
        [*start.values, *(value for one in conditions for value in one.values)],
    )


def _without_words(
    root: Node | None, label: Label | None, kind: Kind, *, scored: bool
) -> tuple[Statement, str]:
    """Return the FROM of a query that no MATCH begins, and its score."""
    start, values = f"{kind}_entry e", list[object]()
    if label is not None:
        start = (
            f"{kind}_label d CROSS JOIN {kind}_entry e"
            " ON d.name = ? AND d.value = ? AND e.rowid = d.rowid"
        )
        values += _named(label)
    wanted = tuple(Query(root).wanted())
    if not scored or not wanted:
        return Statement(start, values), "0.0"
    # Words are only one of several ways in: they score where they are found.
    matches = _match(Or(wanted) if len(wanted) > 1 else wanted[0])
    start += (
        f" LEFT JOIN (SELECT rowid, {_score(kind)} AS score FROM {kind}_words"  # noqa: S608
        f" WHERE {kind}_words MATCH ?) r ON r.rowid = e.rowid"
    )
    return Statement(start, [*values, matches]), "coalesce(r.score, 0.0)"


def _score(kind: Kind) -> str:
    return f"bm25({kind}_words, {', '.join(map(str, WEIGHTS))})"


def _named(label: Label) -> list[object]:
    """Return name and value of the row that a label has."""
    is_language = label.name == "lang"
    value = analysis.language_of(label.value) if is_language else label.value
    return [label.name, value]


def _is_found_by_lookup(root: Node | None) -> bool:
    words, others = _split(root)
    return bool(words) or any(isinstance(node, Label) for node in others)


def _split(root: Node | None) -> tuple[list[Node], list[Node]]:
    """Return what one MATCH can ask of every result, and the other conditions."""
    if root is None:
        return [], []
    parts = root.parts if isinstance(root, And) else (root,)
    words = [part for part in parts if _is_match(part)]
    return words, [part for part in parts if not _is_match(part)]


def _is_match(node: Node) -> bool:
    """Whether MATCH alone can say it: FTS5 has no NOT without a left side."""
    match node:
        case Word() | Phrase() | Prefix():
            return True
        case Or(parts):
            return all(map(_is_match, parts))
        case And(parts):
            return all(map(_is_match_or_not, parts)) and any(map(_is_match, parts))
        case _:
            return False


def _is_match_or_not(node: Node) -> bool:
    return _is_match(node.part if isinstance(node, Not) else node)


def _match(node: Node) -> str:
    """Return the MATCH expression of a node for which :func:`_is_match` holds."""
    match node:
        case Prefix(text):
            return f'({_FOLDED} : "{text}" *)'
        case Word(text) | Phrase(text):
            return _leaf(text)
        case Or(parts):
            return f"({' OR '.join(map(_match, parts))})"
        case And(parts):
            wanted = [_match(part) for part in parts if not isinstance(part, Not)]
            expression = f"({' AND '.join(wanted)})"
            for part in parts:
                if isinstance(part, Not):
                    expression = f"({expression} NOT {_match(part.part)})"
            return expression
        case _:
            raise AssertionError(node)


def _leaf(text: str) -> str:
    folded = " ".join(analysis.folded(text))
    stems = " OR ".join(
        f'"{_tagged(analysis.both(text, language)[1], language)}"'
        for language in analysis.STEMMERS
    )
    return f'({_FOLDED} : "{folded}" OR {_STEMS} : ({stems}))'


def _condition(node: Node, kind: Kind) -> Statement:
    """Return a condition on the row ``e`` of the entry table."""
    if _is_match(node):
        return Statement(
            f"e.rowid IN (SELECT rowid FROM {kind}_words WHERE {kind}_words MATCH ?)",  # noqa: S608
            [_match(node)],
        )
    match node:
        case Label():
            return Statement(
                f"EXISTS (SELECT 1 FROM {kind}_label l WHERE l.name = ?"  # noqa: S608
                " AND l.value = ? AND l.rowid = e.rowid)",
                _named(node),
            )
        case Time(name, moment):
            column = "seen" if name == "seen-after" else "moment"
            operator = "<" if name == "before" else ">="
            return Statement(f"e.{column} {operator} ?", [to_ms(moment)])
        case Not(part):
            inner = _condition(part, kind)
            return Statement(f"NOT {inner.sql}", inner.values)
        case And(parts) | Or(parts):
            inners = [_condition(part, kind) for part in parts]
            glue = " AND " if isinstance(node, And) else " OR "
            return Statement(
                f"({glue.join(inner.sql for inner in inners)})",
                [value for inner in inners for value in inner.values],
            )
        case _:
            raise AssertionError(node)
