"""What dedupe remembers: publications, the names they go by, and when they last moved.

Five kinds of entries stand in the table, told apart by the first letter of the key:

=====================  ================================================================
``a/NAME``             id of the publication that a name belongs to; never changes hands
``p/ID``               a :class:`Publication`, as a MessagePack array
``t/PARTITION/OFFSET``  id of the publication that was last touched by that record
``s/PARTITION``        where the sweep of ``t/`` stands (:mod:`streams.dedupe.memory`)
``c/PARTITION``        its clock, and the latest append time (:mod:`streams.forgetting`)
=====================  ================================================================

A NAME is the fingerprint of publisher, kind and value of an identity: nothing is ever
compared across publishers. Names are handled as their keys, ``a/`` included.
"""

from __future__ import annotations

import re

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

import msgspec

from streams.clock import to_ms
from streams.records import Identity, RawItem, Sighting, State
from streams.text import fingerprint, normalize


#: Texts that were shown; one of them coming back from another feed is no news.
HISTORY_MAX = 32
#: A publication that goes by so many names takes no more of them.
NAMES_MAX = 64

_ALIAS = b"a/"
_STRENGTH = {"guid": 0, "link": 1, "text": 2}


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One record, as far as dedupe looks at it."""

    source: str
    state: State
    content_hash: str
    #: Code points of the normalised text.
    length: int
    partition: int
    offset: int
    #: Append time, in milliseconds from the Unix epoch.
    appended_ms: int
    fetched: datetime
    published: datetime | None
    #: Its source says that its link or files are other ones.
    moved: bool = False
    #: It was read before, and comes from where that was kept.
    archived: bool = False
    #: Its text is the page that the feed leads to, which no archive keeps.
    is_article: bool = False

    @property
    def mark(self) -> str:
        """What the source says now: the hash of its text, or '' for a withdrawal."""
        return self.content_hash if self.state == "present" else ""


class Sequence(msgspec.Struct, frozen=True, array_like=True):
    """Where one source stands with a publication: what it says, and since when."""

    source: str
    #: As :attr:`Sight.mark`.
    mark: str
    partition: int
    offset: int
    #: When it was read (ms from the Unix epoch), or what was said before, if by a clock
    #: that was set back since; 0: an older version wrote this.
    fetched_ms: int = 0
    is_article: bool = False


class Publication(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One publication of one publisher, over all sources that carry it."""

    revision: int
    state: State
    #: Of the text that is shown, and whose text that is.
    content_hash: str
    length: int
    shown: str
    #: Partition and offset of the record that was emitted last.
    cause: tuple[int, int]
    #: As they were when the cause was emitted; later notes travel with the next one.
    seen_in: tuple[Sighting, ...] = ()
    first_seen: datetime
    anchor: datetime
    sequences: tuple[Sequence, ...]
    #: Hashes of the texts that were shown, or that an archive has from before; latest last.
    history: tuple[str, ...] = ()
    names: tuple[bytes, ...] = ()
    #: Partition and offset of the record that wrote this last, and the sweep's clock then.
    touched: tuple[int, int, int]
    #: Texts that a source had beside the one shown, and has replaced; never shown.
    noted: tuple[str, ...] = ()

    def sequence(self, source: str) -> Sequence | None:
        """Return where *source* stands; None if it never carried this."""
        for sequence in self.sequences:
            if sequence.source == source:
                return sequence
        return None

    def noting(self, sight: Sight) -> Self:
        """Return this with what *sight*'s source says now; nothing else changes."""
        now = _standing(sight)
        before = self.sequence(sight.source)
        if before is None:
            sequences = (*self.sequences, now)
            return msgspec.structs.replace(self, sequences=sequences)
        read_ms = max(before.fetched_ms, now.fetched_ms)
        now = msgspec.structs.replace(now, fetched_ms=read_ms)
        noted = self.noted
        if before.mark and before.mark not in {*self.history, *noted}:
            noted = (*noted, before.mark)[-HISTORY_MAX:]
        return msgspec.structs.replace(
            self,
            sequences=tuple(now if one is before else one for one in self.sequences),
            noted=noted,
        )

    def is_later_than(self, sight: Sight) -> bool:
        """Whether what is shown was read after *sight*, which comes from an archive."""
        shown = self.sequence(self.shown)
        if shown is None or not sight.archived:
            return False
        return to_ms(sight.fetched) < shown.fetched_ms

    def overrules(self, sight: Sight) -> bool:
        """Whether *sight*, from an archive, is none that follows what its source says.

        An archive has what was said up to that, and it has the entries of feeds alone:
        none takes the place of the article that it leads to.
        """
        before = self.sequence(sight.source)
        if before is None or not sight.archived:
            return False
        if to_ms(sight.fetched) <= before.fetched_ms:
            return True
        is_emptied = self.shown == sight.source and self.length > 0 == sight.length
        is_teaser = before.is_article or is_emptied
        return is_teaser and self.state == sight.state == "present"

    def recalling(self, sight: Sight) -> Self:
        """Return this with the text of *sight* as one from before what is shown."""
        if not sight.mark or sight.mark in self.history:
            return self
        history = (sight.mark, *self.history)[-HISTORY_MAX:]
        return msgspec.structs.replace(self, history=history)

    def accounts_for(self, sight: Sight) -> bool:
        """Whether *sight*'s record may have been passed over without an output.

        For the audit: what it says must stand here, in its source's sequence or among
        the texts that were there before, and it must not be what is emitted.
        """
        before = self.sequence(sight.source)
        if before is None or self.cause == (sight.partition, sight.offset):
            return False
        if before.partition == sight.partition and before.offset <= sight.offset:
            is_recalled = sight.archived and sight.mark in self.history
            return before.mark == sight.mark or is_recalled or self.overrules(sight)
        if not sight.mark:
            return True
        return (
            sight.mark in self.history
            or sight.mark in self.noted
            or HISTORY_MAX in {len(self.history), len(self.noted)}
        )

    def forgotten(self, sight: Sight, revision: int) -> Self:
        """Return this as *sight* closes it: it keeps its names, so that it stays closed."""
        return msgspec.structs.replace(
            self,
            revision=revision,
            state="forgotten",
            content_hash="",
            length=0,
            shown="",
            cause=(sight.partition, sight.offset),
            seen_in=(),
            sequences=(),
            history=(),
            noted=(),
        )

    def showing(self, sight: Sight, revision: int) -> Self:
        """Return this with *sight*, which must be noted, as what readers get."""
        content = sight.content_hash
        history = self.history
        if sight.state == "present":
            kept = tuple(one for one in history if one != content)
            history = (*kept, content)[-HISTORY_MAX:]
        return msgspec.structs.replace(
            self,
            revision=revision,
            state=sight.state,
            content_hash=content,
            length=sight.length,
            shown=sight.source,
            cause=(sight.partition, sight.offset),
            seen_in=tuple(
                Sighting(source=one.source, same_text=one.mark == content)
                for one in self.sequences
                if one.source != sight.source
            ),
            history=history,
        )


_encode: Callable[[Publication], bytes] = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Publication] = msgspec.msgpack.Decoder(Publication).decode


def first(sight: Sight, anchor: datetime) -> Publication:
    """Return the publication that *sight* is the first of."""
    return Publication(
        revision=1,
        state=sight.state,
        content_hash=sight.content_hash,
        length=sight.length,
        shown=sight.source,
        cause=(sight.partition, sight.offset),
        first_seen=sight.fetched.astimezone(UTC),
        anchor=anchor.astimezone(UTC),
        sequences=(_standing(sight),),
        history=(sight.content_hash,) if sight.state == "present" else (),
        touched=(sight.partition, sight.offset, sight.appended_ms),
    )


def _standing(sight: Sight) -> Sequence:
    return Sequence(
        source=sight.source,
        mark=sight.mark,
        partition=sight.partition,
        offset=sight.offset,
        fetched_ms=to_ms(sight.fetched),
        is_article=sight.is_article,
    )


def dump(publication: Publication) -> bytes:
    """Return *publication* as the table holds it."""
    return _encode(publication)


def load(value: bytes) -> Publication:
    """Return the publication in *value*, from a ``p/`` entry."""
    return _decode(value)


def publication_key(ident: bytes) -> bytes:
    """Return the key of the publication *ident*."""
    return b"p/" + ident


def ident_in(key: bytes) -> str | None:
    """Return the id that *key* is the publication's key of; None for other keys."""
    return key[2:].decode("utf-8", "replace") if key.startswith(b"p/") else None


def touch_key(partition: int, offset: int) -> bytes:
    """Return the key of what the record there touched last."""
    return b"t/%d/%d" % (partition, offset)


def offset_in(key: bytes) -> int | None:
    """Return the offset in a key that :func:`touch_key` made; None for other keys."""
    found = re.fullmatch(rb"t/\d+/(\d+)", key)
    return None if found is None else int(found[1])


def sweep_key(partition: int) -> bytes:
    """Return the key of the sweep's standing in *partition*."""
    return b"s/%d" % partition


def clock_key(partition: int) -> bytes:
    """Return the key of the sweep's clock in *partition*."""
    return b"c/%d" % partition


def ident_of(name: bytes) -> bytes:
    """Return the id of a publication whose strongest name at first sight is *name*."""
    return b"i" + name.removeprefix(_ALIAS)


def first_name(ident: bytes) -> bytes:
    """Return the strongest name at first sight of the publication *ident*."""
    return _ALIAS + ident.removeprefix(b"i")


def content_of(item: RawItem) -> tuple[str, int]:
    """Return the fingerprint of *item*'s normalised title and text; the text's length."""
    text = normalize(item.text)
    return fingerprint(normalize(item.title), text), len(text)


def names_of(item: RawItem, content_hash: str) -> list[bytes]:
    """Return the names that *item* goes by, strongest first; at least one.

    An item whose source gave nothing usable is named by its content: it may be a copy
    that nobody recognises, but it is never dropped.
    """
    if item.forgetting is not None:
        return [first_name(item.forgetting.id.encode())]
    usable = [one for one in item.identities if one.usable and one.value]
    usable.sort(key=_strength)
    names: list[bytes] = []
    for one in usable or [_last_resort(item, content_hash)]:
        name = _ALIAS + fingerprint(item.publisher, one.kind, one.value).encode()
        if name not in names:
            names.append(name)
    return names


def _strength(identity: Identity) -> int:
    return _STRENGTH[identity.kind]


def _last_resort(item: RawItem, content_hash: str) -> Identity:
    if item.title.strip() or item.text.strip():
        return Identity(kind="text", value=content_hash)
    if item.link:
        return Identity(kind="link", value=item.link)
    for one in item.identities:
        if one.value:
            return one
    return Identity(kind="guid", value=item.source.id)
