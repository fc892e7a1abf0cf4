"""Decide what a raw record is: a first sight, a new revision, a withdrawal, or a copy.

A *revision* is a change of text within one source's sequence. Feeds of one publisher
that disagree (a teaser here, the whole text there; one an hour behind the other) are
noted beside each other and never make revisions in turn. Nor is a new link or file of the
text that is shown one: it is shown under the same revision.

What comes from an archive was read when it says, and what its source has said since
stays. Only there does the time of reading count: the clock of a connector may be set back,
and what it reads then is news all the same.

Everything is a function of the record and the table, and each record may come again:
the table names the record that caused a publication's present state; that one, and no
other, is answered with the same bytes again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, NamedTuple, cast

import msgspec

from streams import events
from streams.clock import to_ms
from streams.dedupe import memory
from streams.dedupe.publication import (
    NAMES_MAX,
    Publication,
    Sequence,
    Sight,
    content_of,
    dump,
    first,
    ident_of,
    load,
    names_of,
    publication_key,
)
from streams.errors import RecordError
from streams.log.face import Position, Record
from streams.records import Forgetting, RawItem, UniqueItem
from streams.stage import Decision, Received, State


#: A claimed date of publication further from the fetch than this is not believed.
PUBLISHED_BEFORE_FETCH_MAX = timedelta(days=365)
PUBLISHED_AFTER_FETCH_MAX = timedelta(days=1)


_MOVING = frozenset({"link", "enclosures"})

#: What a record is taken for; 'fuller' is another feed's longer text, 'moved' the text that
#: is shown with other links or files, 'superseded' what an archive has from before what
#: its source says now, 'forgotten' also what comes of a publication after it was
#: forgotten.
Outcome = Literal[
    "new",
    "revision",
    "fuller",
    "moved",
    "withdrawn",
    "superseded",
    "forgotten",
    "duplicate",
    "replay",
]


class Judgement(NamedTuple):
    """What a publication is after a record, and whether readers hear of it."""

    publication: Publication
    emitted: bool
    outcome: Outcome


def decide(received: Received, state: State) -> Decision:
    """Return what the raw record *received* leads to, given dedupe's table."""
    item = cast(RawItem, received.data)
    if (item.state == "forgotten") != (item.forgetting is not None):
        raise RecordError("an item is forgotten if and only if it says which and why")
    sight = look(received.record, item)
    names = names_of(item, sight.content_hash)
    if item.forgetting is not None:
        ident, free, own = _asked_for(item.forgetting, names[0], state)
    else:
        ident, free, own = _resolve(names, state)
    stored = state.get(publication_key(ident))
    known = load(stored) if stored is not None else None

    if item.forgetting is not None:
        after, emitted, outcome = close(known, sight, item.forgetting)
    else:
        after, emitted, outcome = judge(known, sight)
    after = _named(after, own)
    here = _where_it_lies(received.record, sight)
    if after is not known or memory.is_fading(after, here, state):
        after = memory.touched(after, here, state)
    writes: dict[bytes, bytes | None] = {
        name: ident for name in (own if emitted else free) if name in after.names
    }
    if emitted or memory.is_touched_by(after, here):
        writes[publication_key(ident)] = dump(after)
        writes |= memory.places(ident, after, known)
    memory.sweep(here, state, writes)
    said = [events.unique(_as_unique(item, sight, ident, after))] if emitted else ()
    return Decision(said, writes, outcome)


def judge(known: Publication | None, sight: Sight) -> Judgement:
    """Return what *sight* makes of the publication it belongs to (None: a new one)."""
    if known is None:
        return Judgement(first(sight, anchor_of(sight)), emitted=True, outcome="new")
    before = known.sequence(sight.source)
    if before is not None and _is_replay(before, sight):
        return _again(known, sight)
    if known.state == "forgotten":
        return Judgement(known, emitted=False, outcome="forgotten")
    if before is not None and known.overrules(sight):
        return _overruled(known, before, sight)
    return _compared(known, before, sight)


def _compared(known: Publication, before: Sequence | None, sight: Sight) -> Judgement:
    """Return what is made of what a source says after what it said *before*."""
    is_moved = _has_moved(known, before, sight)
    says_the_same = before is not None and before.mark == sight.mark
    if says_the_same and not is_moved:
        # That it was still said then overrules what an archive has from before that.
        after = known.noting(sight) if sight.archived else known
        return Judgement(after, emitted=False, outcome="duplicate")
    noted = known.noting(sight)
    if known.is_later_than(sight):
        return Judgement(noted, emitted=False, outcome="duplicate")
    if is_moved or (before is None and _tells_more(known, sight)):
        # A retried one lay before what is shown, and under one revision would not be
        # the later word.
        is_earlier = (sight.partition, sight.offset) < known.cause
        shown = noted.showing(sight, known.revision + is_earlier)
        outcome: Outcome = "moved" if is_moved else "fuller"
        return Judgement(shown, emitted=True, outcome=outcome)
    if _makes_revision(known, before, sight):
        outcome = "withdrawn" if sight.state == "withdrawn" else "revision"
        shown = noted.showing(sight, known.revision + 1)
        return Judgement(shown, emitted=True, outcome=outcome)
    return Judgement(noted, emitted=False, outcome="duplicate")


def close(known: Publication | None, sight: Sight, forgetting: Forgetting) -> Judgement:
    """Return what a publication is once an operator has had it forgotten.

    For one that is not known (it lies in the index alone) the request says what the
    index held, so that the stub replaces that.
    """
    if known is not None and known.state == "forgotten":
        return _again(known, sight)
    publication = known or first(sight, forgetting.anchor)
    held = max(forgetting.revision, known.revision if known else 0)
    closed = publication.forgotten(sight, held + 1)
    return Judgement(closed, emitted=True, outcome="forgotten")


def _overruled(known: Publication, before: Sequence, sight: Sight) -> Judgement:
    """Return what is made of what its source had said *before*, or said better.

    What was read at the same moment and tells more was read by a better parser.
    """
    if before.mark == sight.mark:
        return Judgement(known, emitted=False, outcome="duplicate")
    is_reread = (
        to_ms(sight.fetched) == before.fetched_ms
        and not before.is_article
        and sight.mark not in known.noted
    )
    if is_reread and not known.is_later_than(sight) and _tells_more(known, sight):
        shown = known.noting(sight).showing(sight, known.revision)
        return Judgement(shown, emitted=True, outcome="fuller")
    return Judgement(known.recalling(sight), emitted=False, outcome="superseded")


def _again(known: Publication, sight: Sight) -> Judgement:
    """Return what is said when a record comes again: that of the last one is repeated."""
    is_cause = known.cause == (sight.partition, sight.offset)
    return Judgement(known, emitted=is_cause, outcome="replay")


def _is_replay(before: Sequence, sight: Sight) -> bool:
    return before.partition == sight.partition and sight.offset <= before.offset


def _has_moved(known: Publication, before: Sequence | None, sight: Sight) -> bool:
    """Whether what is shown, and nothing else, has another link or file."""
    return (
        sight.moved
        and before is not None
        and known.shown == sight.source
        and known.state == sight.state == "present"
        and known.content_hash == before.mark == sight.mark
    )


def _makes_revision(known: Publication, before: Sequence | None, sight: Sight) -> bool:
    if sight.state == "withdrawn":
        return known.state == "present"
    if before is None:
        return False
    if sight.source == known.shown:
        return True
    if known.state == "withdrawn" and not before.mark:
        return True  # this source had withdrawn it too, and now takes that back
    return sight.content_hash not in known.history


def _tells_more(known: Publication, sight: Sight) -> bool:
    """Whether a second feed's first text is the fuller one of the two."""
    return (
        known.state == sight.state == "present"
        and sight.length > known.length
        and sight.content_hash not in known.history
    )


def look(record: Record, item: RawItem) -> Sight:
    """Return *record*, which holds *item*, as dedupe looks at it.

    One that was put back for a dead letter is seen where it first lay: what its source
    has said since stays the later word, and a second retry is a replay of the first.
    """
    content_hash, length = content_of(item)
    first_lay = _first_lay(record)
    return Sight(
        source=item.source.id,
        state=item.state,
        content_hash=content_hash,
        length=length,
        partition=first_lay.partition,
        offset=first_lay.offset,
        appended_ms=record.timestamp_ms,
        fetched=item.fetched,
        published=item.published,
        moved=not _MOVING.isdisjoint(item.changed),
        archived=item.archived,
        is_article=bool(item.summary),
    )


def _first_lay(record: Record) -> Position:
    origin = Position.parse(events.origin_of(record))
    is_retry = events.retry_of(record) is not None
    if is_retry and origin is not None and origin.topic == record.topic:
        return origin
    return record.position


def _where_it_lies(record: Record, sight: Sight) -> Sight:
    """Return *sight* for the order of age, which is that of the records as stored."""
    return msgspec.structs.replace(
        sight, partition=record.partition, offset=record.offset
    )


def anchor_of(sight: Sight) -> datetime:
    """Return the time that decides the index month: as claimed, if that can be."""
    if sight.published is None:
        return sight.fetched
    ahead = sight.published - sight.fetched
    if -PUBLISHED_BEFORE_FETCH_MAX <= ahead <= PUBLISHED_AFTER_FETCH_MAX:
        return sight.published
    return sight.fetched


def _resolve(
    names: list[bytes], state: State
) -> tuple[bytes, list[bytes], list[bytes]]:
    """Return the id that *names* belong to, those of them nobody has, and all its own.

    The strongest known name decides. A name of another publication stays with it.
    """
    owners = [state.get(name) for name in names]
    owner = next((one for one in owners if one is not None), None)
    free = [name for name, one in zip(names, owners, strict=True) if one is None]
    if owner is None:
        return ident_of(names[0]), free, names
    own = [
        name for name, one in zip(names, owners, strict=True) if one in {None, owner}
    ]
    return owner, free, own


def _asked_for(
    forgetting: Forgetting, name: bytes, state: State
) -> tuple[bytes, list[bytes], list[bytes]]:
    """As :func:`_resolve`: the id is given, whoever owns its first name by now."""
    ident, owner = forgetting.id.encode(), state.get(name)
    own = [name] if owner in {None, ident} else []
    return ident, own if owner is None else [], own


def _named(publication: Publication, names: list[bytes]) -> Publication:
    """Return *publication* with those of *names* that are new to it, if it has room."""
    added = [name for name in names if name not in publication.names]
    room = NAMES_MAX - len(publication.names)
    if not added or room <= 0:
        return publication
    return msgspec.structs.replace(
        publication, names=(*publication.names, *added[:room])
    )


def _as_unique(
    item: RawItem, sight: Sight, ident: bytes, publication: Publication
) -> UniqueItem:
    return UniqueItem(
        **msgspec.structs.asdict(item),
        id=ident.decode(),
        revision=publication.revision,
        content_hash=sight.content_hash,
        first_seen=publication.first_seen,
        anchor=publication.anchor,
        seen_in=publication.seen_in,
    )
