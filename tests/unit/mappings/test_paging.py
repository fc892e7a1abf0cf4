from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hypothesis import given
from hypothesis import strategies as st

from mappings import paging
from mappings.query import parse
from streams.errors import QueryError


QUERY = parse("flood", now=datetime(2026, 11, 24, tzinfo=UTC))


@given(st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_a_place_survives_the_way(key: float, ident: str) -> None:
    token = paging.encode(QUERY, "items", "newest", key, ident)
    place = paging.decode(token, QUERY, "items", "newest")
    assert place is not None
    assert (place.key, place.ident) == (key, ident)


@given(st.text(min_size=1))
def test_any_other_text_is_a_query_error(token: str) -> None:
    with pytest.raises(QueryError):
        paging.decode(token, QUERY, "items", "newest")


def test_a_place_in_another_order_is_a_query_error() -> None:
    token = paging.encode(QUERY, "items", "newest", 1.0, "i1")
    with pytest.raises(QueryError):
        paging.decode(token, QUERY, "items", "oldest")
    with pytest.raises(QueryError):
        paging.decode(token, QUERY, "incidents", "newest")


def test_no_token_is_the_first_page() -> None:
    assert paging.decode("", QUERY, "items", "newest") is None
