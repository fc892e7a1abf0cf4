"""Hypothesis strategies for the records, made from the records themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from hypothesis import strategies as st
from msgspec import inspect

from streams.records import SCHEMA_VERSION


T = TypeVar("T", bound=msgspec.Struct)

#: What a program may meet in an error's message or a broken file: lone surrogates too.
HOSTILE = st.lists(st.characters() | st.sampled_from("\ud800\udfff\u0301 ")).map(
    "".join
)
#: What UTF-8 can hold; a lone surrogate is no text that a record may carry.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
TIMES = st.datetimes(
    datetime(1900, 1, 1),  # noqa: DTZ001 - a bound
    datetime(2100, 1, 1),  # noqa: DTZ001 - a bound
    timezones=st.just(UTC),
)


def of(record: type[T]) -> st.SearchStrategy[T]:
    """Draw any *record* that its types allow."""
    return _of(inspect.type_info(record))


def _of(kind: inspect.Type) -> st.SearchStrategy[Any]:  # noqa: C901, PLR0911 - one a type
    match kind:
        case inspect.StructType():
            fields = {field.name: _of(field.type) for field in kind.fields}
            if "schema" in fields:  # we write none but ours
                fields["schema"] = st.just(SCHEMA_VERSION)
            return st.builds(kind.cls, **fields)
        case inspect.UnionType():
            return st.one_of([_of(one) for one in kind.types])
        case inspect.VarTupleType():
            return st.lists(_of(kind.item_type), max_size=2).map(tuple)
        case inspect.DictType():
            return st.dictionaries(_of(kind.key_type), _of(kind.value_type), max_size=2)
        case inspect.LiteralType():
            return st.sampled_from(kind.values)
        case inspect.IntType():
            return st.integers(-(2**53), 2**53)
        case inspect.FloatType():
            least = 0.0 if kind.ge is None else kind.ge
            most = 1e9 if kind.le is None else kind.le
            return st.floats(least, most)
        case inspect.StrType():
            return TEXTS
        case inspect.BoolType():
            return st.booleans()
        case inspect.NoneType():
            return st.none()
        case inspect.DateTimeType():
            return TIMES
    raise NotImplementedError(f"draw {kind} in {__name__}")
