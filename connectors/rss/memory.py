"""What is remembered of a feed: its last entries, as traces in packed bytes. Pure.

Memory keeps a poll from publishing again what the one before did, and tells what is new
in an entry. Forgetting is safe: what is published twice, dedupe recognises. A trace
takes :data:`TRACE_BYTES`; a feed of 30 entries that has shown 30 others takes 1.6 KB.
A collision of hashes loses an entry only if all of its parts collide.
"""

from __future__ import annotations

import hashlib
import struct
import zlib

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Self

import msgspec

from connectors.rss.habits import SCORES, Habits
from connectors.rss.sameness import enclosures_core, text_core, title_core
from streams.records import Identity, RawItem


#: Of the layout below; a memory of another one is none.
VERSION = 1
#: Entries of which the parts are known; of those behind them only that they were there.
TRACES_MAX = 10_000
TAIL_MAX = 40_000
#: Entries that left the document and are remembered, where it is shorter than that.
LEFT_MIN = 20
#: Of a complete feed: so that an entry that vanishes can be withdrawn by its name.
NAMES_MAX = 2_000
NAMES_BYTES_MAX = 200_000

#: Its publisher took it back.
WITHDRAWN = 1
#: The guid, the link, the text names others, too.
NO_GUID = 2
NO_LINK = 4
NO_TEXT = 8
#: It is not in the last document.
LEFT = 16
#: It was published of a document that was not settled: the process died.
LOOSE = 32
#: Two bits above: how often it went back to the text before.
RETURN = 64
RETURNS_MAX = 2

_TRACE = struct.Struct("5s5s3s4s2s2s4sB")
TRACE_BYTES = _TRACE.size
_TAIL_BYTES = 6
_HEAD = struct.Struct(f"<B?{SCORES}sIIIII")
_NAMES = msgspec.msgpack.Decoder(dict[bytes, tuple[str, str]])


class Trace(NamedTuple):
    """One entry: hashes of its parts, zeros where it lacks one."""

    guid: bytes
    link: bytes
    title: bytes
    text: bytes
    enclosures: bytes = bytes(2)
    published: bytes = bytes(2)
    #: Title and text together, as they were before the last change.
    earlier: bytes = bytes(4)
    flags: int = 0

    @property
    def key(self) -> bytes:
        """What tells this version of this entry from all others."""
        return b"".join(self[:5])

    @property
    def content(self) -> bytes:
        """Title and text."""
        return self.title + self.text

    @property
    def returns(self) -> int:
        """How often it went back to the text before."""
        return self.flags // RETURN

    def returns_to(self, before: Self) -> bool:
        """Whether this is the version before *before*."""
        return (
            self.content != before.content
            and any(before.earlier)
            and digest(4, self.content.hex()) == before.earlier
        )

    def after(self, before: Self) -> Self:
        """Return this with what to remember of the version *before* it."""
        if self.content == before.content:
            return self._replace(
                earlier=before.earlier,
                flags=self.flags % RETURN + before.returns * RETURN,
            )
        returns = 0
        if self.returns_to(before):
            returns = min(before.returns + 1, RETURNS_MAX)
        return self._replace(
            earlier=digest(4, before.content.hex()),
            flags=self.flags % RETURN + returns * RETURN,
        )

    def has(self, flag: int) -> bool:
        """Whether *flag* is set."""
        return bool(self.flags & flag)


class Memory(NamedTuple):
    """What is remembered of a feed."""

    #: Those of the last document first, in its order.
    traces: tuple[Trace, ...] = ()
    #: Of the entries behind them: hashes of their keys.
    tail: frozenset[bytes] = frozenset()
    habits: Habits = Habits()
    #: The latest publication claimed, in minutes from the Unix epoch; 0: none.
    newest_min: int = 0
    #: Entries of a document, lately at most.
    window: int = 0
    #: Strongest usable name of each entry by its key; of a complete feed only.
    names: Mapping[bytes, Identity] = {}

    @property
    def complete(self) -> bool:
        """Whether what was not in the last document was not in the feed."""
        return bool(self.names)


def trace_of(item: RawItem) -> Trace:
    """Return the trace of *item*, by the text that its feed gave."""
    names = {one.kind: one for one in item.identities}
    guid, link = names.get("guid"), names.get("link")
    flags = WITHDRAWN if item.state == "withdrawn" else 0
    for kind, flag in (("guid", NO_GUID), ("link", NO_LINK)):
        if kind in names and not names[kind].usable:
            flags |= flag
    if "text" not in names or not names["text"].usable:
        flags |= NO_TEXT
    minutes = minutes_of(item.published)
    return Trace(
        guid=digest(5, guid.value if guid else ""),
        link=digest(5, link.value if link else ""),
        title=digest(3, title_core(item.title)),
        text=digest(4, text_core(item.summary or item.text)),
        enclosures=digest(2, enclosures_core(item.enclosures)),
        published=digest(2, str(minutes) if minutes else ""),
        flags=flags,
    )


def digest(size: int, text: str) -> bytes:
    """Return *size* bytes that stand for *text*: zeros for '', and for no other."""
    if not text:
        return bytes(size)
    encoded = text.encode("utf-8", "surrogatepass")
    found = hashlib.blake2b(encoded, digest_size=size).digest()
    return found if any(found) else b"\x01" * size


def tail_digest(trace: Trace, habits: Habits) -> bytes:
    """Return what is remembered of an entry behind :data:`TRACES_MAX` others."""
    guid = b"" if habits.guids_change else trace.guid
    told = guid + trace.link + trace.content + bytes([trace.flags & WITHDRAWN])
    return hashlib.blake2b(told, digest_size=_TAIL_BYTES).digest()


def minutes_of(moment: datetime | None) -> int:
    """Return *moment* in minutes from the Unix epoch; 0 for none."""
    return 0 if moment is None else max(0, int(moment.timestamp()) // 60)


def pack(memory: Memory) -> bytes:
    """Return *memory* in at most 0.75 MB: what is too much for it goes to the tail."""
    kept, rest = memory.traces[:TRACES_MAX], memory.traces[TRACES_MAX:]
    behind = [tail_digest(trace, memory.habits) for trace in rest]
    tail = list(dict.fromkeys((*behind, *sorted(memory.tail))))[:TAIL_MAX]
    names = _packed_names(memory.names)
    head = _HEAD.pack(
        VERSION,
        memory.complete,
        memory.habits.packed(),
        memory.newest_min,
        memory.window,
        len(kept),
        len(tail),
        len(names),
    )
    traces = b"".join(_TRACE.pack(*trace) for trace in kept)
    return b"".join((head, traces, *tail, names))


def unpack(packed: bytes) -> Memory:
    """Return the memory in *packed*; an empty one if there is none in it."""
    if len(packed) < _HEAD.size or packed[0] != VERSION:
        return Memory()
    _, _, scores, newest_min, window, traces, tail, names = _HEAD.unpack_from(packed)
    sizes = (_HEAD.size, traces * TRACE_BYTES, tail * _TAIL_BYTES, names)
    if len(packed) != sum(sizes):
        return Memory()
    tail_at = _HEAD.size + traces * TRACE_BYTES
    names_at = tail_at + tail * _TAIL_BYTES
    return Memory(
        traces=tuple(map(Trace._make, _TRACE.iter_unpack(packed[sizes[0] : tail_at]))),
        tail=frozenset(
            packed[at : at + _TAIL_BYTES]
            for at in range(tail_at, names_at, _TAIL_BYTES)
        ),
        habits=Habits.unpacked(scores),
        newest_min=newest_min,
        window=window,
        names=_unpacked_names(packed[names_at:]),
    )


def as_text(packed: bytes) -> str:
    """Return a packed memory as a cursor holds it on the topic."""
    return b64encode(packed).decode("ascii")


def as_bytes(text: str) -> bytes:
    """Return the packed memory in *text*; an empty one if it is none."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


def names_of(pairs: Iterable[tuple[Trace, RawItem]]) -> dict[bytes, Identity]:
    """Return the names to remember of a complete feed; none if they are too many."""
    names = {
        trace.key: name
        for trace, item in pairs
        if not trace.has(WITHDRAWN) and (name := _strongest(item)) is not None
    }
    fits = len(names) <= NAMES_MAX and len(_packed_names(names)) <= NAMES_BYTES_MAX
    return names if fits else {}


def _strongest(item: RawItem) -> Identity | None:
    usable = (one for one in item.identities if one.usable and one.kind != "text")
    return next(usable, None)


def _packed_names(names: Mapping[bytes, Identity]) -> bytes:
    if not names:
        return b""
    written = {key: (one.kind, one.value) for key, one in names.items()}
    return zlib.compress(msgspec.msgpack.encode(written))


def _unpacked_names(packed: bytes) -> dict[bytes, Identity]:
    if not packed:
        return {}
    try:
        written = _NAMES.decode(zlib.decompress(packed))
        return {
            key: msgspec.convert({"kind": kind, "value": value}, Identity)
            for key, (kind, value) in written.items()
        }
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
