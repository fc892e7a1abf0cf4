"""A feed's document and what is remembered of it -> what is to be published. Pure.

It runs in a worker process: :func:`look_into` is a function of its arguments. An entry
that is there as it was is known; one that is there otherwise is edited; others are new.
Which is which decides :mod:`connectors.rss.matching`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from connectors.rss.document import FeedDocument
from connectors.rss.items import items
from connectors.rss.look import Hints
from connectors.rss.matching import (
    Match,
    Recollection,
    changed_parts,
    guid_habits,
    page_habits,
    since,
)
from connectors.rss.memory import (
    LEFT,
    LEFT_MIN,
    LOOSE,
    NO_GUID,
    NO_LINK,
    NO_TEXT,
    WITHDRAWN,
    Memory,
    Trace,
    minutes_of,
    names_of,
    pack,
    trace_of,
    unpack,
)
from connectors.rss.parse import parse
from connectors.rss.subscription import Subscription
from streams.records import RawItem


#: In a document of fewer entries, all are new now and then, and nothing was missed.
GAP_ENTRIES_MIN = 3
#: So many of a document's entries can be pinned to its top.
PINNED_SHARE = 0.2
#: If more than half of a complete feed's entries, and more than so many, vanish at
#: once, something is broken, and nothing was taken back.
VANISHED_MAX = 3
#: Between two polls, so many times a document's entries may be delivered by a hub.
DELIVERED_KEPT = 4
#: What is published of a document.
_KINDS = frozenset({"new", "edited", "withdrawn"})
#: A feed's longest document is forgotten by a tenth with each shorter one.
_WINDOW_KEPT = 0.9


class Reading(NamedTuple):
    """What one document of a feed gave."""

    #: To publish: first seen, edited (``changed`` is set), withdrawn.
    items: tuple[RawItem, ...]
    #: What to remember once they are published.
    memory: bytes
    entries: int
    known: int
    new: int
    #: Edited, or back after a withdrawal.
    edited: int
    withdrawn: int
    #: When each of the new ones says that it was published; else when it was updated, as
    #: Atom has it at least, which is the same of one that was not there before.
    published: tuple[datetime | None, ...]
    refused: tuple[str, ...]
    #: All entries are new though others had been known: some were probably missed.
    gap: bool
    #: What the guids and dates of the feed do (``FeedHealth.flags``).
    habits: frozenset[str]
    hints: Hints
    hub: str
    topic: str
    title: str


class _Seen(NamedTuple):
    """An entry of the document, compared with what is remembered."""

    #: One of :data:`_KINDS`, or known, or repeated: it stands in the document twice.
    kind: str
    item: RawItem
    #: What to remember of it.
    trace: Trace
    match: Match

    @property
    def before(self) -> Trace | None:
        """What was remembered of it."""
        return self.match.before

    @property
    def was_known(self) -> bool:
        """Whether it was before this document, not only since we began on it."""
        if self.before is None:
            return self.match.known == "tail"
        return not self.before.has(LOOSE)


def look_into(
    body: bytes,
    about: Subscription,
    fetched: datetime,
    memory: bytes,
    *,
    content_type: str = "",
    content_language: str = "",
    url: str = "",
) -> Reading:
    """Return what is new, edited or withdrawn in *body*, as far as *memory* tells.

    Raises SourceError if it is no feed.
    """
    document = parse(
        body, content_type=content_type, content_language=content_language, url=url
    )
    return compare(document, about, fetched, memory)


def compare(
    document: FeedDocument, about: Subscription, fetched: datetime, memory: bytes
) -> Reading:
    """Return what is new, edited or withdrawn in *document*; see :func:`look_into`."""
    found = items(document, about, fetched)
    before = unpack(memory)
    pairs = [(trace_of(item), item) for item in found.items]
    recollection = Recollection(before, [trace for trace, _ in pairs])
    habits = guid_habits(recollection)
    matches = [recollection.match(trace, habits) for trace, _ in pairs]
    habits = page_habits(matches, habits)
    current = before._replace(habits=habits)
    seen = list(_seen(pairs, matches, current))
    gone = tuple(_vanished(document, seen, before, about, fetched))
    told = [one for one in seen if one.kind in _KINDS]
    count = Counter(one.kind for one in told)
    return Reading(
        items=(*(one.item for one in told), *(item for _, item in gone)),
        memory=pack(_settled(document, seen, [trace for trace, _ in gone], current)),
        entries=len(document.entries),
        known=len(seen) - len(told),
        new=count["new"],
        edited=count["edited"],
        withdrawn=count["withdrawn"] + len(gone),
        published=tuple(
            one.item.published or one.item.updated for one in told if one.kind == "new"
        ),
        refused=found.refused,
        gap=_is_gap(seen, before),
        habits=habits.flags,
        hints=document.hints,
        hub=document.hub,
        topic=document.topic,
        title=document.title,
    )


def prepare() -> None:
    """Do nothing: a worker process that has this at hand has loaded the parsers."""


def remembered(
    memory: bytes, items: Sequence[RawItem], *, delivered: bool = False
) -> bytes:
    """Return *memory* once *items* are published: part of a reading, or all of it.

    *items* are in the order in which they were published: what was said last of an
    entry is what it is. A document that is read with it gives the rest of its reading,
    and what it says of gaps. Only the memory of the reading itself settles what was in
    the document; but what a hub has *delivered* is settled, as no such document is read
    again.
    """
    before = unpack(memory)
    pairs = [(trace_of(item), item) for item in items]
    recollection = Recollection(before, [trace for trace, _ in pairs])
    edits: list[tuple[Trace, Trace]] = []
    #: The newest last.
    added: dict[bytes, Trace] = {}
    for trace, item in pairs:
        told = trace
        if delivered and item.changed:
            was = recollection.match(trace, before.habits).before
            if was is not None:
                edits.append((trace, was))
                told = _followed(trace, was)
        for one in _meant(told, recollection, added):
            flags = one.flags & ~WITHDRAWN | trace.flags & WITHDRAWN
            if not delivered and one.key not in recollection:
                flags |= LOOSE
            added.pop(one.key, None)
            added[one.key] = one._replace(flags=flags)
    followed = {*added, *(was.key for _, was in edits)}
    kept = [one for one in before.traces if one.key not in followed]
    if delivered:
        guids = _trusted_guids(added.values())
        parts = _parts_since(edits, before)
        kept = [
            one
            for one in kept
            if one.guid not in guids and not parts & {one.link, one.content}
        ]
        del kept[DELIVERED_KEPT * max(LEFT_MIN, before.window) :]
        claims = (minutes_of(item.published) for item in items)
        before = before._replace(newest_min=max((before.newest_min, *claims)))
    return pack(before._replace(traces=(*reversed(added.values()), *kept)))


def _meant(
    trace: Trace, recollection: Recollection, added: Mapping[bytes, Trace]
) -> Sequence[Trace]:
    """Return what *trace*, of what was published, is about: as remembered, else *trace*."""
    if not trace.has(WITHDRAWN):
        return [added.get(trace.key) or recollection.exact(trace) or trace]
    known = {one.key: one for one in recollection.named(trace)}
    known |= {
        one.key: one
        for one in added.values()
        if (any(one.guid) and one.guid == trace.guid)
        or (any(one.link) and one.link == trace.link)
    }
    return list(known.values()) or [trace]


def _seen(
    pairs: Sequence[tuple[Trace, RawItem]], matches: Sequence[Match], memory: Memory
) -> Iterator[_Seen]:
    """Yield what each entry is."""
    met: set[bytes] = set()
    for (trace, item), match in zip(pairs, matches, strict=True):
        flags = trace.flags | match.flags
        one = _judged(trace._replace(flags=flags), item, match, memory)
        if trace.key in met:
            one = one._replace(kind="repeated")
        met.add(trace.key)
        yield one


def _judged(trace: Trace, item: RawItem, match: Match, memory: Memory) -> _Seen:
    before = match.before
    told = _as_told(item, trace, memory)
    if trace.has(WITHDRAWN):
        is_known = before is not None and before.has(WITHDRAWN)
        kept = before._replace(flags=before.flags | WITHDRAWN) if before else trace
        return _Seen("known" if is_known else "withdrawn", told, kept, match)
    if before is None:
        return _Seen("known" if match.known else "new", told, trace, match)
    changed = changed_parts(trace, before, memory.habits)
    after = _followed(trace, before)
    if not match.known and (changed or before.has(WITHDRAWN)):
        told = msgspec.structs.replace(told, changed=changed)
        return _Seen("edited", told, after, match)
    return _Seen("known", told, after, match)


def _as_told(item: RawItem, trace: Trace, memory: Memory) -> RawItem:
    """Return *item* with what the feed's habits leave of its names and dates."""
    unusable = {
        kind
        for kind, flag in (("guid", NO_GUID), ("link", NO_LINK), ("text", NO_TEXT))
        if trace.has(flag)
    }
    names = tuple(
        msgspec.structs.replace(one, usable=False) if one.kind in unusable else one
        for one in item.identities
    )
    told = msgspec.structs.replace(item, identities=names)
    if memory.habits.dates.on:
        return msgspec.structs.replace(told, published=None, updated=None)
    return told


def _followed(trace: Trace, before: Trace) -> Trace:
    """Return what to remember of an entry that was remembered as *before*."""
    kept = before.flags & (NO_GUID | NO_LINK)
    if trace.content == before.content:
        kept |= before.flags & NO_TEXT
    return trace._replace(flags=trace.flags | kept).after(before)


def _vanished(
    document: FeedDocument,
    seen: Sequence[_Seen],
    memory: Memory,
    about: Subscription,
    fetched: datetime,
) -> Iterator[tuple[Trace, RawItem]]:
    """Yield the entries that a complete feed no longer has, as withdrawn (RFC 5005)."""
    is_whole = document.complete and not document.cut_off and not document.omitted
    if not is_whole or not memory.complete or not seen:
        return
    there = {one.trace.key for one in seen} | {
        one.before.key for one in seen if one.before is not None
    }
    held = [one for one in memory.traces if not one.flags & (LEFT | WITHDRAWN)]
    gone = [one for one in held if one.key not in there and one.key in memory.names]
    if len(gone) > max(VANISHED_MAX, len(held) // 2):
        return
    for trace in gone:
        item = RawItem(
            identities=(memory.names[trace.key],),
            publisher=about.publisher,
            source=about.source,
            state="withdrawn",
            fetched=fetched,
        )
        yield trace._replace(flags=trace.flags | WITHDRAWN), item


def _is_gap(seen: Sequence[_Seen], memory: Memory) -> bool:
    """Whether no entry was known, though the feed's last ones had been.

    Not where there are but few, nor where all are of one moment (an edition that
    replaces the last), nor where one is older than the newest that was known. A few
    that are pinned do not count: they are known, and older than that.
    """
    present = [one for one in seen if not one.trace.has(WITHDRAWN)]
    if min(len(present), memory.window) < GAP_ENTRIES_MIN:
        return False
    known = [one for one in present if one.was_known]
    if len(known) > len(present) * PINNED_SHARE or not all(
        0 < minutes_of(one.item.published) < memory.newest_min for one in known
    ):
        return False
    new = [one.item.published for one in present if not one.was_known]
    claims = [claim for claim in new if claim is not None]
    if not claims:
        return not known
    if len(claims) == len(new) and len(set(claims)) == 1:
        return False
    return minutes_of(min(claims)) >= memory.newest_min


def _settled(
    document: FeedDocument,
    seen: Sequence[_Seen],
    gone: Sequence[Trace],
    memory: Memory,
) -> Memory:
    """Return what to remember after the document, once all of it is published."""
    present = {
        one.trace.key: one.trace._replace(flags=one.trace.flags & ~(LEFT | LOOSE))
        for one in seen
    }
    followed = {one.before.key for one in seen if one.before is not None}
    followed |= present.keys()
    # What a process that died had published of an entry is not its last version.
    guids = _trusted_guids(present.values())
    parts = _parts_since([(one.trace, one.before) for one in seen], memory)
    withdrawn = {trace.key: trace for trace in gone}
    left = (
        withdrawn.get(trace.key, trace)
        for trace in memory.traces
        if trace.key not in followed
        and trace.guid not in guids
        and not parts & {trace.link, trace.content}
    )
    room = max(LEFT_MIN, memory.window, len(present))
    left_now = [
        trace._replace(flags=(trace.flags | LEFT) & ~LOOSE)
        for trace, _ in zip(left, range(room), strict=False)
    ]
    claims = (minutes_of(one.item.published) for one in seen)
    pairs = [(one.trace, one.item) for one in seen]
    return Memory(
        traces=(*present.values(), *left_now),
        habits=memory.habits,
        newest_min=max((memory.newest_min, *claims)),
        window=max(len(seen), int(memory.window * _WINDOW_KEPT))
        if seen
        else memory.window,
        names=names_of(pairs) if document.complete else {},
    )


def _parts_since(
    present: Iterable[tuple[Trace, Trace | None]], memory: Memory
) -> set[bytes]:
    """Return links and contents of what was published since the last settled document.

    Of these of the entries *present* (as they are, as they were) there may be several
    versions in *memory*, of which only the present one counts.
    """
    recent = {one.key for one in since(memory.traces)}
    versions = [
        version
        for now, was in present
        if now.key in recent or (was and was.key in recent)
        for version in (now, was)
        if version is not None
    ]
    parts = {part for one in versions for part in (one.link, one.content)}
    return {part for part in parts if any(part)}


def _trusted_guids(traces: Iterable[Trace]) -> set[bytes]:
    return {one.guid for one in traces if any(one.guid) and not one.has(NO_GUID)}
