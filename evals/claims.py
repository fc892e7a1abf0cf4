"""What feedparser's own test documents claim of themselves, held against what we read.

A test says in a comment, as an expression of Python, what feedparser gives for it. Nothing
here runs that expression: it is taken apart into comparisons of a field with a literal,
and those whose field we have too are checked against our entry. Texts are compared as a
reader sees them, since we keep no markup and feedparser does. We keep no charset either:
one that is claimed must give the text that we read.
"""

from __future__ import annotations

import ast
import re

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from connectors.markup import one_line, to_text
from connectors.rss import charset
from connectors.rss.document import Entry, FeedDocument


_EXPECTED = re.compile(r"Description:.*?Expect:\s*(.*?)\s*-->", re.DOTALL)
_HEADER = re.compile(r"^\s*Header:\s+([^:\s]+):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)


class Claim(NamedTuple):
    """That a field has a value."""

    #: Such as ``("entries", 0, "title")``.
    path: tuple[str | int, ...]
    value: object

    @property
    def field(self) -> str:
        """Return the field, such as ``entries.title``."""
        return ".".join(str(part) for part in self.path if not isinstance(part, int))


class Verdict(NamedTuple):
    """What came of a claim."""

    claim: Claim
    #: None where we have no such field.
    agrees: bool | None
    ours: object = None


def headers_of(text: str) -> dict[str, str]:
    """Return the headers that the test *text* is to be served with, names in lower case."""
    return {name.lower(): value for name, value in _HEADER.findall(text)}


def claims_of(text: str) -> list[Claim]:
    """Return what *text* claims, as far as it is a comparison with a literal."""
    found = _EXPECTED.search(text)
    if found is None:
        return []
    try:
        tree = ast.parse(found[1].strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return []
    return list(_claims(tree))


def verdict(
    claim: Claim, document: FeedDocument, body: bytes = b"", content_type: str = ""
) -> Verdict:
    """Hold *claim* against *document*, which was read from *body*."""
    match claim.path:
        case ("encoding",):
            return _judge_charset(claim, body, content_type)
        case ("entries", "len"):
            count = len(document.entries)
            return Verdict(claim, count == claim.value, count)
        case ("entries", int(at), *fields):
            entry = document.entries[at] if at < len(document.entries) else Entry()
            return _judge(claim, _ENTRY.get(_name(fields)), entry)
        case ("feed", *fields):
            return _judge(claim, _FEED.get(_name(fields)), document)
    return Verdict(claim, None)


def _claims(tree: ast.expr) -> Iterator[Claim]:
    match tree:
        case ast.BoolOp(op=ast.And(), values=parts):
            for part in parts:
                yield from _claims(part)
        case ast.Compare(left=left, ops=ops, comparators=[*between, right]):
            if not all(isinstance(op, ast.Eq) for op in ops):
                return
            try:
                value = _literal(right)
            except ValueError:
                return
            for path in map(_path, [left, *between]):
                if path is not None:
                    yield Claim(path, value)


def _literal(tree: ast.expr) -> object:
    match tree:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_literal(left)}{_literal(right)}"  # a long text on several lines
    return ast.literal_eval(tree)


def _path(tree: ast.expr) -> tuple[str | int, ...] | None:
    match tree:
        case ast.Name(id=name):
            return (name,)
        case ast.Call(func=ast.Name(id="len"), args=[of]):
            inner = _path(of)
            return None if inner is None else (*inner, "len")
        case ast.Subscript(value=of, slice=ast.Constant(value=str() | int() as key)):
            inner = _path(of)
            return None if inner is None else (*inner, key)
        case ast.Attribute(value=of, attr=key):
            inner = _path(of)
            return None if inner is None else (*inner, key)
    return None


def _name(fields: list[str | int]) -> str:
    return ".".join("0" if isinstance(field, int) else field for field in fields)


def _judge(claim: Claim, ours_of: _Reader | None, ours: Any) -> Verdict:
    if ours_of is None:
        return Verdict(claim, None)
    at = next((part for part in claim.path[2:] if isinstance(part, int)), 0)
    try:
        found = ours_of(ours, at)
    except IndexError:
        found = None
    return Verdict(claim, _alike(found, claim.value), found)


def _judge_charset(claim: Claim, body: bytes, content_type: str) -> Verdict:
    ours = charset.decode(body, content_type)
    try:
        theirs = body.decode(str(claim.value), "replace").lstrip("\ufeff")
    except LookupError:
        return Verdict(claim, None)
    return Verdict(claim, ours == theirs, ours)


def _alike(ours: object, theirs: object) -> bool:
    if isinstance(ours, str) and isinstance(theirs, str):
        return one_line(ours) in {one_line(theirs), one_line(to_text(theirs))}
    if isinstance(theirs, tuple) and isinstance(ours, datetime):
        return tuple(ours.timetuple())[:6] == theirs[:6]
    return ours == theirs or (not ours and not theirs)


_Reader = Callable[[Any, int], object]
_TITLE: dict[str, _Reader] = {
    "title": lambda it, _: it.title,
    "title_detail.value": lambda it, _: it.title,
    "link": lambda it, _: it.link,
}
_TEXT: _Reader = lambda it, _: it.text  # noqa: E731 - one of a table
_PUBLISHED: _Reader = lambda it, _: it.published or it.updated  # noqa: E731
_UPDATED: _Reader = lambda it, _: it.updated or it.published  # noqa: E731
_ENTRY: dict[str, _Reader] = {
    **_TITLE,
    "description": _TEXT,
    "summary": _TEXT,
    "summary_detail.value": _TEXT,
    "content.0.value": _TEXT,
    "id": lambda it, _: it.guid,
    "guid": lambda it, _: it.guid,
    "published_parsed": _PUBLISHED,
    "issued_parsed": _PUBLISHED,
    "updated_parsed": _UPDATED,
    "modified_parsed": _UPDATED,
    "date_parsed": _UPDATED,
    "author_detail.name": lambda it, at: it.authors[at],
    "authors.0.name": lambda it, at: it.authors[at],
    "tags.0.term": lambda it, at: it.categories[at],
    "category": lambda it, _: it.categories[0],
    "categories.len": lambda it, _: len(it.categories),
    "tags.len": lambda it, _: len(it.categories),
    "enclosures.0.href": lambda it, at: it.enclosures[at].url,
    "enclosures.0.type": lambda it, at: it.enclosures[at].media_type,
    "enclosures.0.length": lambda it, at: str(it.enclosures[at].size_bytes),
    "media_content.0.url": lambda it, at: it.enclosures[at].url,
    "media_thumbnail.0.url": lambda it, at: it.enclosures[at].url,
    "where.coordinates": lambda it, _: it.point and (it.point.lon, it.point.lat),
}
_FEED: dict[str, _Reader] = {
    **_TITLE,
    "id": lambda it, _: it.ident,
    "language": lambda it, _: it.language,
    "ttl": lambda it, _: str(round(it.hints.ttl_s / 60)),
}
