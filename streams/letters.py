"""Dead letters: what has become of each, told from their topic alone. Pure.

Two kinds of records lie on ``deadletters``. A *letter* is a record as received, with
the reason in its headers. A *notice* (header ``ww_letter``) is about a letter, without
a value: it was *retried*, so its bytes were put back where they lay, or it was
*purged*. A notice repeats where the record lay, its origin, and who refused it, so that
the audit is told the same when the letter itself is gone.

A record that was put back and is refused again makes a new letter, whose
``ww_retry_of`` names the one before: a chain of tries, of which the last one counts.
"""

from __future__ import annotations

import re

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from streams import clock, events
from streams.log.face import Log, Output, Position, Record
from streams.topics import DEADLETTERS, INCIDENTS, ITEMS, RAW


State = Literal["open", "retried", "purged"]

KEPT = timedelta(seconds=DEADLETTERS.kept_s or 0)
#: An open letter that expires sooner than this is warned of.
WARNED_BEFORE = timedelta(days=14)
#: The audit asks about raw records; older notices tell it nothing.
_ASKED_FOR = timedelta(seconds=RAW.kept_s or 0) * 2

_POSITION = re.compile(r"[\w.-]+/\d+/\d+")
_IDENT = re.compile(r"\b(?:[isn][0-9a-f]{24}|(?=[a-f]*\d)[0-9a-f]{8,})\b")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


class Letter(NamedTuple):
    """A dead letter without its bytes, of which there may be megabytes."""

    position: Position
    at: datetime
    key: bytes | None
    stage: str
    kind: str
    reason: str
    #: Where the record lay, as text; '' if it was refused before it was published.
    lay_at: str
    origin: str
    #: The source, as the record's own header says.
    source: str
    #: Position of the letter that this one's record was a retry of, as text.
    retry_of: str

    @property
    def topic(self) -> str:
        """The topic that the record lay on; '' if it never lay on one."""
        return self.lay_at.rsplit("/", 2)[0] if self.lay_at else ""

    @property
    def of(self) -> str:
        """What the letter is of: what was read, or whose record lay where. Not escaped."""
        key = (self.key or b"").decode("utf-8", "replace")
        if not self.lay_at:
            return key
        whose = self.source or key
        return f"{whose} · {self.lay_at}" if whose else self.lay_at


class Notice(NamedTuple):
    """What was done with a letter, and what of that the audit needs."""

    position: Position
    at: datetime
    letter: str
    state: Literal["retried", "purged"]
    #: Where the retry lies; None if it was written to the index, or the letter purged.
    to: Position | None
    lay_at: str
    origin: str
    stage: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Book:
    """All letters and notices, by the letter's position as text."""

    #: Where the topic ended when it was read.
    ends: Mapping[int, int] = field(default_factory=dict)
    letters: dict[str, Letter] = field(default_factory=dict)
    notices: dict[str, list[Notice]] = field(default_factory=dict)
    #: The letter that a letter's retry led to.
    followers: dict[str, str] = field(default_factory=dict)

    def enter(self, record: Record) -> None:
        """Take in a record of the topic; the order is that of the topic."""
        if is_notice(record):
            notice = notice_in(record)
            self.notices.setdefault(notice.letter, []).append(notice)
            return
        letter = letter_in(record)
        self.letters[str(letter.position)] = letter
        if letter.retry_of:
            self.followers[letter.retry_of] = str(letter.position)

    def state(self, letter: Letter) -> State:
        """Return what *letter* is; a retry that nobody noted is told by its refusal."""
        name = str(letter.position)
        states = {notice.state for notice in self.notices.get(name, ())}
        if "purged" in states:
            return "purged"
        return "retried" if states or name in self.followers else "open"

    def last(self) -> Iterator[Letter]:
        """Yield each letter whose retry, if there was one, was not refused again."""
        for name, letter in self.letters.items():
            if name not in self.followers:
                yield letter

    def tries(self, letter: Letter) -> list[Letter]:
        """Return the chain that led to *letter*, first refusal first, itself last."""
        chain = [letter]
        while (before := self.letters.get(chain[-1].retry_of)) and before not in chain:
            chain.append(before)
        return chain[::-1]

    def open(self) -> Iterator[Letter]:
        """Yield the letters that nothing was done about."""
        return (one for one in self.letters.values() if self.state(one) == "open")

    def gone(self) -> Iterator[Notice]:
        """Yield the last notice of each letter that is no longer there."""
        for name, notices in self.notices.items():
            if name not in self.letters:
                yield notices[-1]


def is_notice(record: Record) -> bool:
    """Whether a record of the topic is about a letter, and not one itself."""
    return record.value is None and _named(record) is not None


def _named(notice: Record) -> Position | None:
    return Position.parse(notice.header(events.NOTICE_LETTER))


def letter_in(record: Record) -> Letter:
    """Return the letter that *record* holds."""
    return Letter(
        position=record.position,
        at=clock.from_ms(record.timestamp_ms),
        key=record.key,
        stage=record.header(events.DEAD_STAGE),
        kind=record.header(events.DEAD_KIND),
        reason=record.header(events.DEAD_REASON),
        lay_at=record.header(events.DEAD_POSITION),
        origin=record.header(events.ORIGIN),
        source=record.header("ce_source"),
        retry_of=str(events.retry_of(record) or ""),
    )


def notice_in(record: Record) -> Notice:
    """Return the notice that *record* is."""
    purged = record.header(events.NOTICE_STATE) == "purged"
    written = clock.parse(record.header(events.DEAD_TIME))  # on one that was carried
    return Notice(
        position=record.position,
        at=written or clock.from_ms(record.timestamp_ms),
        letter=str(_named(record) or ""),
        state="purged" if purged else "retried",
        to=Position.parse(record.header(events.NOTICE_TO)),
        lay_at=record.header(events.DEAD_POSITION),
        origin=record.header(events.ORIGIN),
        stage=record.header(events.DEAD_STAGE),
        kind=record.header(events.DEAD_KIND),
        reason=record.header(events.DEAD_REASON),
    )


async def records(log: Log) -> AsyncIterator[Record]:
    """Yield what lies on the topic as of now, letters and notices."""
    name = DEADLETTERS.name
    async for record in log.read(name, await log.starts(name), await log.ends(name)):
        yield record


async def read(log: Log) -> Book:
    """Return all letters and notices as of now."""
    name = DEADLETTERS.name
    book = Book(await log.ends(name))
    async for record in log.read(name, await log.starts(name), book.ends):
        book.enter(record)
    return book


async def read_more(log: Log, book: Book) -> None:
    """Add to *book* the letters that have come since it was read, but no notices."""
    name = DEADLETTERS.name
    async for record in log.read(name, book.ends, await log.ends(name)):
        if not is_notice(record):
            book.enter(record)


def retried(letter: Letter, to: Position | None) -> Output:
    """Return the notice that *letter* was put back at *to* (None: into the index)."""
    return _notice(letter, "retried", to)


def purged(letter: Letter) -> Output:
    """Return the notice that *letter* was given up."""
    return _notice(letter, "purged", None)


def carried(notice: Notice) -> Output:
    """Return *notice* once more, as old as it is: what it lay among is deleted."""
    again = _notice(notice, notice.state, notice.to, letter=notice.letter)
    written = (events.DEAD_TIME, notice.at.isoformat().encode())
    return again._replace(headers=(*again.headers, written))


def _notice(
    about: Letter | Notice, state: str, to: Position | None, *, letter: str = ""
) -> Output:
    told = {
        events.NOTICE_LETTER: letter or str(about.position),
        events.NOTICE_STATE: state,
        events.NOTICE_TO: str(to or ""),
        events.DEAD_POSITION: about.lay_at,
        events.ORIGIN: about.origin,
        events.DEAD_STAGE: about.stage,
        events.DEAD_KIND: about.kind,
        events.DEAD_REASON: about.reason,
    }
    headers = tuple(
        (name, text.encode("utf-8", "replace")) for name, text in told.items()
    )
    return Output(DEADLETTERS.name, told[events.NOTICE_LETTER].encode(), None, headers)


#: What a letter adds to the headers of its record; a retry goes without.
_ADDED = frozenset(
    {
        events.DEAD_STAGE,
        events.DEAD_KIND,
        events.DEAD_REASON,
        events.DEAD_POSITION,
        events.DEAD_TIME,
        events.RETRY_OF,
    }
)


def put_back(record: Record, *, value: bytes | None = None) -> Output:
    """Return what lay where the letter in *record* came from, to be stored there again.

    Key and headers are as they were, the origin among them; ``value`` is a mended one.
    Only for a letter that is :func:`retryable` and whose topic is not compacted.
    """
    letter = letter_in(record)
    headers = tuple(header for header in record.headers if header[0] not in _ADDED)
    named = (events.RETRY_OF, str(letter.position).encode())
    kept = record.value if value is None else value
    return Output(letter.topic, record.key, kept, (*headers, named))


def goes_to_index(letter: Letter) -> bool:
    """Whether a retry of *letter* is a write to the index.

    ``items`` and ``incidents`` are compacted: there an older version, put at the end,
    would replace a newer one.
    """
    return letter.topic in {ITEMS.name, INCIDENTS.name}


def to_purge(book: Book, before: int, now: datetime) -> list[Output]:
    """Return the notices to store before everything below offset *before* is deleted.

    One for each open letter, and again each older notice that would go with them and
    that the audit may still ask for.
    """
    given_up = [
        purged(letter) for letter in book.open() if letter.position.offset < before
    ]
    noted = (notice for notices in book.notices.values() for notice in notices)
    return given_up + [
        carried(notice)
        for notice in noted
        if notice.position.offset < before and now - notice.at < _ASKED_FOR
    ]


def expiring(
    book: Book, now: datetime, within: timedelta = WARNED_BEFORE
) -> list[Letter]:
    """Return the open letters that their topic will let go *within* that time."""
    return [one for one in book.open() if one.at + KEPT - now <= within]


class Group(NamedTuple):
    """Letters that are alike in stage, kind and reason."""

    stage: str
    kind: str
    #: With numbers and ids masked.
    reason: str
    size: int
    first: datetime
    last: datetime
    #: The latest of them.
    example: Position


def grouped(letters: Iterable[Letter]) -> list[Group]:
    """Return *letters* in groups of alike reasons, the largest first."""
    groups: dict[tuple[str, str, str], list[Letter]] = {}
    for one in letters:
        alike = (one.stage, one.kind, masked(one.reason.removeprefix(f"{one.of}: ")))
        groups.setdefault(alike, []).append(one)
    found = [
        Group(
            *alike,
            size=len(members),
            first=min(one.at for one in members),
            last=max(one.at for one in members),
            example=max(one.position for one in members),
        )
        for alike, members in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.size, group[:3]))


def masked(reason: str) -> str:
    """Return *reason* with positions, ids and numbers as ``#``: alike ones are equal."""
    for pattern in (_POSITION, _IDENT, _NUMBER):
        reason = pattern.sub("#", reason)
    return reason
