"""A feed's document and what is remembered of it -> what is to be published. Pure.

It runs in a worker process: :func:`look_into` is a function of its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from connectors.rss.items import items
from connectors.rss.look import Hints
from connectors.rss.memory import as_bytes, as_text, sift, with_items
from connectors.rss.parse import parse
from connectors.rss.subscription import Subscription
from streams.records import RawItem


class Reading(NamedTuple):
    """What one document of a feed gave."""

    #: To publish: first seen, edited (``changed`` is set), withdrawn.
    items: tuple[RawItem, ...]
    #: What to remember once they are published.
    memory: bytes
    entries: int
    known: int
    new: int
    edited: int
    withdrawn: int
    #: When each of the new ones says that it was published.
    published: tuple[datetime | None, ...]
    refused: tuple[str, ...]
    gap: bool
    habits: frozenset[str]
    hints: Hints
    hub: str
    topic: str
    moved_to: str
    title: str


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
    found = items(document, about, fetched)
    sifted = sift(found.items, as_text(memory))
    withdrawn = sum(item.state == "withdrawn" for item in sifted.new)
    return Reading(
        items=sifted.new,
        memory=as_bytes(sifted.memory),
        entries=len(document.entries),
        known=sifted.known,
        new=len(sifted.new) - withdrawn,
        edited=0,
        withdrawn=withdrawn,
        published=tuple(
            item.published for item in sifted.new if item.state == "present"
        ),
        refused=found.refused,
        gap=False,
        habits=frozenset(),
        hints=getattr(document, "hints", Hints()),
        hub=getattr(document, "hub", ""),
        topic=getattr(document, "topic", ""),
        moved_to=getattr(document, "moved_to", ""),
        title=document.title,
    )


def remembered(memory: bytes, items: Sequence[RawItem]) -> bytes:
    """Return *memory* once *items* are published: part of a document, or all of it."""
    return with_items(memory, items)
