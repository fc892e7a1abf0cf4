"""The query language: one parser, one syntax tree, for both indices. Pure.

::

    attaque convoi                  both words; AND may be written
    "convoi de carburant"           the words in this order
    fire OR flood                   either
    fire -forest, fire NOT forest   the one without the other
    (fire OR flood) lang:fr         parentheses
    jihad*                          words that begin so; three letters or more
    lang:fr class:protest           see :data:`FIELDS`
    after:2026-11 before:-7d        times in UTC; -7d is seven days before now

AND binds more tightly than OR. Operators are in capitals: 'and' is a word. A query word
finds its folded form and, in documents of each language, its stem. ``after`` is
inclusive and ``before`` exclusive, so ``after:2026-11 before:2026-12`` is November.
"""

from __future__ import annotations

import difflib
import re

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, get_args

from mappings import analysis
from streams.errors import QueryError
from streams.records import IncidentClass


DEPTH_MAX = 20
CLAUSES_MAX = 64
PREFIX_MIN = 3
LENGTH_MAX = 4096

#: Field -> what it compares, for help texts.
FIELDS = {
    "lang": "language, such as fr",
    "class": "class of incident, such as protest",
    "source": "id of a feed or station",
    "publisher": "who published it, such as a domain",
    "station": "id of a radio station",
    "story": "id of a story: all copies of one text",
    "incident": "id of an incident: all reports of one event",
    "after": "at or after a time: 2026-11-24, 2026-11, RFC 3339, or -7d, -24h",
    "before": "before a time",
    "seen-after": "first seen at or after a time, whenever it was published",
}
LABELS: tuple[str, ...] = get_args(IncidentClass)

TimeName = Literal["after", "before", "seen-after"]
LabelName = Literal[
    "lang", "class", "source", "publisher", "station", "story", "incident"
]


@dataclass(frozen=True)
class Word:
    """A word as typed; several (`l'attaque`) are a phrase."""

    text: str


@dataclass(frozen=True)
class Phrase:
    """Words in this order, as typed."""

    text: str


@dataclass(frozen=True)
class Prefix:
    """Words whose folded form begins with ``text``, which is folded."""

    text: str


@dataclass(frozen=True)
class Label:
    """A field that has exactly this value, case aside."""

    name: LabelName
    value: str


@dataclass(frozen=True)
class Time:
    """A time at or after, or before, ``moment``."""

    name: TimeName
    moment: datetime


@dataclass(frozen=True)
class Not:
    """What ``part`` does not find."""

    part: Node


@dataclass(frozen=True)
class And:
    """What all parts (two or more) find."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """What any part (two or more) finds."""

    parts: tuple[Node, ...]


Node = Word | Phrase | Prefix | Label | Time | Not | And | Or


@dataclass(frozen=True)
class Query:
    """A query, understood. ``root`` None finds everything."""

    root: Node | None = None

    def __str__(self) -> str:
        """Return text that parses to this query again."""
        return _render(self.root) if self.root is not None else ""

    def wanted(self) -> Iterator[Word | Phrase | Prefix]:
        """Yield the words that a result may have, for highlighting."""
        if self.root is not None:
            yield from _wanted(self.root)


def parse(text: str, *, now: datetime) -> Query:
    """Return what *text* asks for; ``now`` is what relative times count from.

    Raises QueryError, which says what is wrong, where, and what to write instead.
    """
    if len(text) > LENGTH_MAX:
        raise QueryError(f"a query has at most {LENGTH_MAX} characters", LENGTH_MAX)
    if odd := _NO_CHARACTER.search(text):
        raise QueryError("this is no character: is the query UTF-8?", odd.start())
    root = _Parser(list(_tokens(text)), len(text), now).parse()
    if root is None and text.strip():
        raise QueryError("there is no word to search for", 0)
    return Query(root)


#: What Python makes of bytes that are not in the terminal's encoding (PEP 383).
_NO_CHARACTER = re.compile("[\ud800-\udfff]")


class _Token(NamedTuple):
    kind: Literal["(", ")", "-", "and", "or", "not", "word", "phrase"]
    text: str
    at: int


_QUOTES = '"“”„«»'
_LEXER = re.compile(
    rf"""\s+
    | (?P<open>\() | (?P<close>\))
    | (?P<field>[A-Za-z][A-Za-z-]*:)[{_QUOTES}](?P<value>[^{_QUOTES}]*)[{_QUOTES}]
    | [{_QUOTES}](?P<phrase>[^{_QUOTES}]*)[{_QUOTES}]
    | (?P<quote>[{_QUOTES}])
    | (?P<minus>-(?=[^\s)]))
    | (?P<word>[^\s(){_QUOTES}]+)""",
    re.VERBOSE,
)
_OPERATORS: dict[str, Literal["and", "or", "not"]] = {
    "AND": "and",
    "OR": "or",
    "NOT": "not",
}


def _tokens(text: str) -> Iterator[_Token]:
    for match in _LEXER.finditer(text):
        at = match.start()
        kind, piece = match.lastgroup, match.group()
        if kind == "open":
            yield _Token("(", piece, at)
        elif kind == "close":
            yield _Token(")", piece, at)
        elif kind == "minus":
            yield _Token("-", piece, at)
        elif kind == "phrase":
            yield _Token("phrase", match["phrase"], at)
        elif kind == "quote":
            raise QueryError("this quotation mark has no partner", at)
        elif kind == "value":
            yield _Token("word", match["field"] + match["value"], at)
        elif kind == "word":
            yield _Token(_OPERATORS.get(piece, "word"), piece, at)


class _Parser:
    """Recursive descent over the tokens; one level of recursion a parenthesis."""

    def __init__(self, tokens: list[_Token], end: int, now: datetime) -> None:
        self._tokens = tokens
        self._end = end
        self._now = now
        self._next = 0
        self._depth = 0
        self._clauses = 0

    def parse(self) -> Node | None:
        if not self._tokens:
            return None
        node = self._either()
        if (token := self._peek()) is not None:
            raise QueryError("this parenthesis closes nothing", token.at)
        return node

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, *kinds: str) -> _Token | None:
        token = self._peek()
        if token is None or token.kind not in kinds:
            return None
        self._next += 1
        return token

    def _either(self) -> Node | None:
        parts = [self._all()]
        while (operator := self._take("or")) is not None:
            part = self._all()
            if parts[-1] is None or part is None:
                raise QueryError(
                    'OR stands between two words; quote it ("OR") to search for it',
                    operator.at,
                )
            parts.append(part)
        return _join(Or, [part for part in parts if part is not None])

    def _all(self) -> Node | None:
        parts: list[Node] = []
        pending: _Token | None = None
        while (token := self._peek()) is not None and token.kind not in (")", "or"):
            if token.kind == "and":
                misplaced = not parts or pending is not None
                pending = self._take("and")
                if misplaced:
                    break
            elif (part := self._one()) is not None:
                parts.append(part)
                pending = None
        if pending is not None:
            raise QueryError(
                'AND stands between two words; quote it ("AND") to search for it',
                pending.at,
            )
        return _join(And, parts)

    def _one(self) -> Node | None:
        token = self._tokens[self._next]
        self._next += 1
        if token.kind in ("-", "not"):
            return self._negated(token)
        if token.kind == "(":
            return self._group(token)
        node = _leaf(token, self._now)
        if node is not None:
            self._clauses += 1
            if self._clauses > CLAUSES_MAX:
                raise QueryError(
                    f"a query has at most {CLAUSES_MAX} words and fields", token.at
                )
        return node

    def _negated(self, operator: _Token) -> Node:
        following = self._peek()
        if following is None or following.kind in (")", "and", "or"):
            raise QueryError(
                f"{operator.text} stands before a word; quote it to search for it",
                operator.at,
            )
        self._deeper(operator)
        part = self._one()
        self._depth -= 1
        if part is None:
            raise QueryError("there is no word to leave out here", following.at)
        return Not(part)

    def _group(self, opening: _Token) -> Node | None:
        self._deeper(opening)
        node = self._either()
        self._depth -= 1
        if self._take(")") is None:
            raise QueryError("this parenthesis is never closed", opening.at)
        return node

    def _deeper(self, token: _Token) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise QueryError(f"nested deeper than {DEPTH_MAX}", token.at)


def _join(kind: type[And | Or], parts: list[Node]) -> Node | None:
    """Return *parts* as one node; a group of the same kind is taken apart."""
    flat: list[Node] = []
    for part in parts:
        flat += (
            part.parts if isinstance(part, And | Or) and type(part) is kind else [part]
        )
    if len(flat) > 1:
        return kind(tuple(flat))
    return flat[0] if flat else None


def _leaf(token: _Token, now: datetime) -> Node | None:
    """Return what one word or phrase asks for; None if it has no letter or digit."""
    if token.kind == "phrase":
        return Phrase(token.text) if analysis.folded(token.text) else None
    if (field := _field(token, now)) is not None:
        return field
    if "*" in token.text:
        return _prefix(token)
    return Word(token.text) if analysis.folded(token.text) else None


def _prefix(token: _Token) -> Prefix:
    body = token.text[:-1]
    if "*" in body or not token.text.endswith("*"):
        raise QueryError(
            "* stands at the end of a word; quote the word to search for it",
            token.at + token.text.index("*"),
        )
    found = analysis.folded(body)
    if len(found) != 1 or len(found[0]) < PREFIX_MIN:
        raise QueryError(
            f"* needs one word of {PREFIX_MIN} letters or more before it", token.at
        )
    return Prefix(found[0])


_FIELD = re.compile(r"([A-Za-z][A-Za-z-]*):(.*)", re.DOTALL)
#: What somebody means as a field: `langg:fr`, but not `12:30`, `https://`, `Mali:`.
_MEANT = re.compile(r"[a-z][a-z-]{2,}:[^/\s]")


def _field(token: _Token, now: datetime) -> Label | Time | None:
    match = _FIELD.fullmatch(token.text)
    if match is None:
        return None
    name, value = match[1].lower(), match[2].strip()
    value_at = token.at + len(match[1]) + 1
    if name not in FIELDS:
        if _MEANT.match(token.text):
            nearest = difflib.get_close_matches(name, FIELDS, 1)
            hint = f"did you mean {nearest[0]}:?" if nearest else f"known: {_known()}"
            raise QueryError(
                f"unknown field {name!r}: {hint} (quote it to search for the text)",
                token.at,
            )
        return None
    if not value:
        raise QueryError(f"{name}: needs a value: {FIELDS[name]}", token.at)
    if name in get_args(TimeName):
        return Time(name, _moment(value, value_at, now))  # type: ignore[arg-type]  # just checked
    return Label(name, _label(name, value, value_at))  # type: ignore[arg-type]  # what is left


def _known() -> str:
    return ", ".join(FIELDS)


def _label(name: str, value: str, at: int) -> str:
    value = value.casefold()
    if name == "lang" and not re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", value):
        raise QueryError(f"{value!r} is no language code such as fr or ar", at)
    if name == "class":
        value = value.replace("-", "_").replace(" ", "_")
        if value not in LABELS:
            nearest = difflib.get_close_matches(value, LABELS, 1, cutoff=0.5)
            hint = (
                f"did you mean {nearest[0]}?"
                if nearest
                else f"known: {', '.join(LABELS)}"
            )
            raise QueryError(f"unknown class {value!r}: {hint}", at)
    return value


_RELATIVE = re.compile(r"-([0-9]{1,6})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FIRST_YEAR, _LAST_YEAR = 1900, 2200


def _moment(value: str, at: int, now: datetime) -> datetime:
    """Return the time that *value* names, or in which the day or month begins."""
    try:
        if match := _RELATIVE.fullmatch(value):
            moment = now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        elif re.fullmatch(r"[0-9]{4}-[0-9]{2}", value, re.ASCII):
            moment = datetime.fromisoformat(f"{value}-01").replace(tzinfo=UTC)
        elif re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
            moment = datetime.fromisoformat(value).replace(tzinfo=UTC)
        else:
            moment = datetime.fromisoformat(value.upper())
            if moment.tzinfo is None:
                raise QueryError(
                    f"{value!r} has no time zone: end it with Z for UTC", at
                )
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise QueryError(
            f"{value!r} is no time such as 2026-11-24, 2026-11, "
            "2026-11-24T12:30:00Z, -7d or -24h",
            at,
        ) from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise QueryError(f"years lie between {_FIRST_YEAR} and {_LAST_YEAR}", at)
    return moment


def _render(node: Node) -> str:  # noqa: PLR0911 - one a kind of node
    match node:
        case Word(text):
            return text
        case Phrase(text):
            return f'"{text}"'
        case Prefix(text):
            return f"{text}*"
        case Label(name, value):
            return f'{name}:"{value}"'
        case Time(name, moment):
            return f"{name}:{moment.isoformat().replace('+00:00', 'Z')}"
        case Not(part):
            return f"-{_grouped(part)}"
        case And(parts):
            return " ".join(map(_grouped, parts))
        case Or(parts):
            return " OR ".join(map(_grouped, parts))


def _grouped(node: Node) -> str:
    return f"({_render(node)})" if isinstance(node, And | Or) else _render(node)


def _wanted(node: Node) -> Iterator[Word | Phrase | Prefix]:
    match node:
        case Word() | Phrase() | Prefix():
            yield node
        case And(parts) | Or(parts):
            for part in parts:
                yield from _wanted(part)
