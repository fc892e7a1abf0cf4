from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hypothesis import given
from hypothesis import strategies as st

from mappings.query import (
    CLAUSES_MAX,
    DEPTH_MAX,
    FIELDS,
    LABELS,
    LENGTH_MAX,
    And,
    Label,
    Node,
    Not,
    Or,
    Phrase,
    Prefix,
    Query,
    Time,
    Word,
    parse,
)
from streams.errors import QueryError


NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)


def root(text: str) -> Node | None:
    return parse(text, now=NOW).root


def error(text: str) -> tuple[int, str]:
    with pytest.raises(QueryError) as raised:
        parse(text, now=NOW)
    return raised.value.position, str(raised.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("  ", None),
        ("attaque", Word("attaque")),
        ("a b", And((Word("a"), Word("b")))),
        ("a AND b", And((Word("a"), Word("b")))),
        ("a OR b c", Or((Word("a"), And((Word("b"), Word("c")))))),
        ("a OR b OR c", Or((Word("a"), Word("b"), Word("c")))),
        ("(a OR b) c", And((Or((Word("a"), Word("b"))), Word("c")))),
        ("(a b) c", And((Word("a"), Word("b"), Word("c")))),
        ("a -b", And((Word("a"), Not(Word("b"))))),
        ("a NOT b", And((Word("a"), Not(Word("b"))))),
        ("-(a b)", Not(And((Word("a"), Word("b"))))),
        ('"fuel convoy"', Phrase("fuel convoy")),
        ("«convoi de» “fuel”", And((Phrase("convoi de"), Phrase("fuel")))),
        ('-"a b"', Not(Phrase("a b"))),
        ("Jihad*", Prefix("jihad")),
        ("Ɗalib*", Prefix("dalib")),
        ("and or not", And((Word("and"), Word("or"), Word("not")))),
        ('"AND"', Phrase("AND")),
        ("a & b", And((Word("a"), Word("b")))),
        ("a - b", And((Word("a"), Word("b")))),
        ("12:30", Word("12:30")),
        ("https://example.org/?a=b", Word("https://example.org/?a=b")),
        ("Mali:", Word("Mali:")),
        ("BREAKING:Mali", Word("BREAKING:Mali")),
        ("lang:FR", Label("lang", "fr")),
        ("class:remote-violence", Label("class", "remote_violence")),
        ('class:"remote violence"', Label("class", "remote_violence")),
        ('station:"Radio Kayes"', Label("station", "radio kayes")),
        ("source:a.example/rss:x", Label("source", "a.example/rss:x")),
        ("-lang:fr", Not(Label("lang", "fr"))),
        ("after:2026-11", Time("after", datetime(2026, 11, 1, tzinfo=UTC))),
        ("before:2026-11-24", Time("before", datetime(2026, 11, 24, tzinfo=UTC))),
        ("after:-24h", Time("after", NOW - timedelta(hours=24))),
        ("seen-after:-7d", Time("seen-after", NOW - timedelta(days=7))),
        (
            "after:2026-11-24T12:00:00+02:00",
            Time("after", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ),
    ],
)
def test_a_query_means(text: str, expected: Node | None) -> None:
    assert root(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "says"),
    [
        ('a "b', 2, "partner"),
        ("(a", 0, "never closed"),
        ("a)", 1, "closes nothing"),
        ("AND a", 0, "AND stands between"),
        ("a AND", 2, "AND stands between"),
        ("a AND AND b", 6, "AND stands between"),
        ("a OR", 2, "OR stands between"),
        ("a OR OR b", 2, "OR stands between"),
        ("NOT", 0, "before a word"),
        ("a NOT AND b", 2, "before a word"),
        ("ab*", 0, "3 letters"),
        ("l'att*", 0, "one word"),
        ("at*que", 2, "end of a word"),
        ("langg:fr", 0, "did you mean lang:"),
        ("a country:ml", 2, "known: lang"),
        ("lang:", 0, "needs a value"),
        ("lang:french", 5, "no language code"),
        ("class:protst", 6, "did you mean protest?"),
        ("class:xyzzy", 6, "known: battle"),
        ("after:yesterday", 6, "-7d"),
        ("after:2026-13", 6, "2026-11-24"),
        ("after:2026-11-24T12:00:00", 6, "time zone"),
        ("after:-999999w", 6, "no time"),
        ("after:1066-10-14", 6, "years lie"),
        ("???", 0, "no word"),
        ("a -???", 3, "leave out"),
        ("x" * (LENGTH_MAX + 1), LENGTH_MAX, "at most"),
        ("(" * (DEPTH_MAX + 1) + "a", DEPTH_MAX, "nested"),
        ("-" * (DEPTH_MAX + 1) + "a", DEPTH_MAX, "nested"),
        ("a " * (CLAUSES_MAX + 1), 2 * CLAUSES_MAX, "at most"),
    ],
)
def test_a_bad_query_says_where_and_why(text: str, position: int, says: str) -> None:
    assert error(text)[0] == position
    assert says in error(text)[1]


def test_the_bounds_themselves_are_allowed() -> None:
    assert root("(" * DEPTH_MAX + "a" + ")" * DEPTH_MAX) == Word("a")
    assert isinstance(root("a " * CLAUSES_MAX), And)


def test_only_what_a_result_may_have_is_highlighted() -> None:
    query = parse('a (bcd* OR "c d") -e lang:fr', now=NOW)
    assert list(query.wanted()) == [Word("a"), Prefix("bcd"), Phrase("c d")]


_PIECES = st.sampled_from(
    [
        *[
            "a",
            "été",
            "AND",
            "OR",
            "NOT",
            "-",
            "(",
            ")",
            '"',
            "*",
            ":",
            "lang:",
            "abc*",
            "class:",
            "after:",
            "-7d",
            "«",
            "12:30",
            "//",
        ],
        " ",
    ]
)


@given(st.one_of(st.text(), st.lists(_PIECES).map("".join)))
def test_any_text_is_a_query_or_a_query_error_within_it(text: str) -> None:
    try:
        query = parse(text, now=NOW)
    except QueryError as raised:
        at, said = raised.position, str(raised)
        assert said
        assert 0 <= at <= len(text)
    else:
        assert parse(str(query), now=NOW) == query


_WORDS = st.from_regex(r"[^\W_]{1,12}", fullmatch=True).filter(
    lambda word: word not in ("AND", "OR", "NOT")
)
_TIMES = st.datetimes(datetime(1900, 1, 2), datetime(2200, 1, 1)).map(  # noqa: DTZ001 - the zone follows
    lambda naive: naive.replace(tzinfo=UTC)
)
_LEAVES: st.SearchStrategy[Node] = st.one_of(
    _WORDS.map(Word),
    st.lists(_WORDS, min_size=1, max_size=4).map(" ".join).map(Phrase),
    st.from_regex(r"[a-z]{3,9}", fullmatch=True).map(Prefix),
    st.sampled_from(LABELS).map(lambda label: Label("class", label)),
    st.from_regex(r"[a-z0-9./ -]{0,9}[a-z]", fullmatch=True).map(
        lambda value: Label("source", value.strip())
    ),
    _TIMES.map(lambda moment: Time("before", moment)),
)


def _flat(kind: type[And | Or], parts: list[Node]) -> Node:
    inner: list[Node] = []
    for part in parts:
        inner += part.parts if isinstance(part, kind) else [part]
    return kind(tuple(inner))


_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _flat(And, parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _flat(Or, parts)),
    ),
    max_leaves=12,
)


@given(_TREES)
def test_a_tree_written_out_is_read_as_the_same_tree(tree: Node) -> None:
    assert parse(str(Query(tree)), now=NOW) == Query(tree)


def test_every_field_is_explained() -> None:
    assert all(FIELDS.values())


def test_bytes_that_are_no_text_are_pointed_at() -> None:
    with pytest.raises(QueryError, match="no character") as caught:
        parse('station:"caf\udce9"', now=NOW)
    assert caught.value.position == 12
