"""What a feed's cursor remembers of the last document: which entry had which text. Pure.

It keeps a poll from publishing again what the one before did. Forgetting is safe: what
is published twice, dedupe recognises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from streams.records import RawItem
from streams.text import fingerprint


#: Hex digits of a name and of a text: 64 bits each.
DIGITS = 16
#: More entries would not fit into a cursor; those beyond are published at each change.
ENTRIES_MAX = 20_000


class Sifted(NamedTuple):
    """A document's items, told apart."""

    new: tuple[RawItem, ...]
    known: int
    #: What to remember of this document.
    memory: str


def sift(items: Sequence[RawItem], memory: str) -> Sifted:
    """Return which of *items* are not, as they are, in *memory* ('' is empty)."""
    before = _unpacked(memory)
    now: dict[str, str] = {}
    new: list[RawItem] = []
    for item in items:
        name, content = _name(item), _content(item)
        if before.get(name) != content and now.get(name) != content:
            new.append(item)
        now[name] = content
    return Sifted(tuple(new), len(items) - len(new), _packed(now))


def _name(item: RawItem) -> str:
    strongest = next((one for one in item.identities if one.usable), None)
    if strongest is None:
        return fingerprint(item.title, item.text, item.link)[:DIGITS]
    return fingerprint(strongest.kind, strongest.value)[:DIGITS]


def _content(item: RawItem) -> str:
    # Not the dates: some feeds set them anew at each request.
    return fingerprint(item.state, item.title, item.text)[:DIGITS]


def _packed(entries: Mapping[str, str]) -> str:
    pairs = list(entries.items())[:ENTRIES_MAX]
    return "".join(name + content for name, content in pairs)


def _unpacked(memory: str) -> dict[str, str]:
    starts = range(0, len(memory), 2 * DIGITS)
    return {
        memory[at : at + DIGITS]: memory[at + DIGITS : at + 2 * DIGITS] for at in starts
    }


def as_text(memory: bytes) -> str:
    """Return *memory* as a cursor on the topic holds it."""
    return memory.hex()


def as_bytes(text: str) -> bytes:
    """Return the memory in *text*; none if it is not one."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def with_items(memory: bytes, items: Sequence[RawItem]) -> bytes:
    """Return *memory* with *items* in it."""
    now = _unpacked(as_text(memory)) | {_name(item): _content(item) for item in items}
    return as_bytes(_packed(now))
