from __future__ import annotations

import inspect
import re

from streams import errors


LEVELS = {"*": 0, "x": 1, "-": 2, ".": 3}


def drawn() -> dict[str, str]:
    """Return each error in the docstring's tree, and the one that it stands under."""
    parents: dict[str, str] = {}
    above = ["Exception"]
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr] # has one
        if match := re.match(r" *([*x.-]) (\w+Error)\b", line):
            level = LEVELS[match[1]]
            assert level < len(above), f"nothing stands above {match[2]}"
            parents[match[2]] = above[level]
            above[level + 1 :] = [match[2]]
    return parents


def defined() -> dict[str, str]:
    return {
        name: kind.__bases__[0].__name__
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, BaseException)
    }


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert drawn() == defined()


def test_no_error_is_both_permanent_and_transient() -> None:
    ways = (errors.PermanentError, errors.TransientError, errors.FatalError)
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.WirewatchError):
            assert sum(issubclass(kind, way) for way in ways) <= 1, kind


def test_a_query_error_knows_where() -> None:
    error = errors.QueryError("a quote is not closed", 7)
    assert (str(error), error.position) == ("a quote is not closed", 7)
