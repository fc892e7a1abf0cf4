"""The topics: the public interface, declared in this one place.

Partition counts never change in place: keys would move between partitions, and with
them the order of an id's revisions. ``wirewatch topics create`` makes what is missing
and refuses to work over what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from streams import records


DAY_S = 86_400

#: Connectors refuse larger items at the door, so that what the stages add still fits.
RAW_MAX_BYTES = 900_000
RECORD_MAX_BYTES = 1_048_576
#: A dead letter holds a record of the largest size whole, and the reason beside it.
DEADLETTER_MAX_BYTES = 2 * RECORD_MAX_BYTES

#: On servers a topic's files are closed at this age, so that compaction and expiry, which
#: pass the open one over, come to every record.
SEGMENT_S = 7 * DAY_S
#: On servers compaction has come to a record at this age (of what it may compact).
COMPACTED_WITHIN_S = 7 * DAY_S

#: How long the index keeps items and incidents, and the compacted topics with it.
INDEX_KEPT_S = 2 * 365 * DAY_S


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One topic as it must be on every log; ``name`` is without the prefix.

    ``record`` is None where the value is bytes as received. ``kept_s`` is None where a
    record stays until a newer one of its key replaces it (compaction without expiry).
    """

    name: str
    key: str
    partitions: int
    record: type[msgspec.Struct] | None
    compacted: bool
    kept_s: int | None
    max_bytes: int
    writers: tuple[str, ...]
    about: str
    #: On servers: of records of one key that are older than this the last one is enough.
    #: (On the embedded log `wirewatch forget` deletes the others itself.)
    compacted_after_s: int | None = None

    @property
    def gone_after_s(self) -> int | None:
        """How long, on servers, a record lies here at most once a newer one has its key.

        None where nothing but age takes it away and it has none.
        """
        if self.compacted:
            return COMPACTED_WITHIN_S
        if self.compacted_after_s is not None:
            return self.compacted_after_s + COMPACTED_WITHIN_S
        return None if self.kept_s is None else self.kept_s + SEGMENT_S


RAW = Topic(
    name="items.raw",
    key="publisher",
    partitions=8,
    record=records.RawItem,
    compacted=False,
    kept_s=30 * DAY_S,
    max_bytes=RECORD_MAX_BYTES,
    writers=("connectors",),
    about="Publications as their source gave them, with the names it knows them by.",
)
UNIQUE = Topic(
    name="items.unique",
    key="id",
    partitions=8,
    record=records.UniqueItem,
    compacted=False,
    kept_s=365 * DAY_S,
    # The audit asks for every emission of a raw record that is still there.
    compacted_after_s=35 * DAY_S,
    max_bytes=RECORD_MAX_BYTES,
    writers=("dedupe",),
    about="First sight of a publication, a changed text, a withdrawal, or its end.",
)
TAGGED = Topic(
    name="items.tagged",
    key="id",
    partitions=1,  # correlate compares everything with everything
    record=records.TaggedItem,
    compacted=False,
    kept_s=30 * DAY_S,
    max_bytes=RECORD_MAX_BYTES,
    writers=("annotate",),
    about="Items with their language, events and places.",
)
ITEMS = Topic(
    name="items",
    key="id",
    partitions=8,
    record=records.Item,
    compacted=True,
    kept_s=INDEX_KEPT_S,
    max_bytes=RECORD_MAX_BYTES,
    writers=("correlate",),
    about="Items with their story and incidents; the highest version of an id counts.",
)
INCIDENTS = Topic(
    name="incidents",
    key="id",
    partitions=8,
    record=records.Incident,
    compacted=True,
    kept_s=INDEX_KEPT_S,
    max_bytes=RECORD_MAX_BYTES,
    writers=("correlate",),
    about="Incidents, whole, each time one changes; the highest version counts.",
)
DEADLETTERS = Topic(
    name="deadletters",
    key="as received",
    partitions=1,
    record=None,
    compacted=False,
    kept_s=90 * DAY_S,
    max_bytes=DEADLETTER_MAX_BYTES,
    writers=("connectors", "dedupe", "annotate", "correlate", "index"),
    about="What could not be handled, as received, the reason in the headers; and "
    "notices (header ww_letter, no value) of what was done with a letter.",
)
CURSORS = Topic(
    name="connectors.cursors",
    key="source id",
    partitions=1,
    record=records.Cursor,
    compacted=True,
    kept_s=None,
    max_bytes=RECORD_MAX_BYTES,
    writers=("connectors",),
    about="Where each source stands; a connector goes on from here.",
)

FEEDS = Topic(
    name="connectors.feeds",
    key="feed id",
    partitions=1,
    record=records.WatchedFeed,
    compacted=True,
    kept_s=None,
    max_bytes=RECORD_MAX_BYTES,
    writers=("operator",),
    about="Feeds that were added, paused or resumed at run time; connectors follow it.",
)

HEALTH = Topic(
    name="connectors.health",
    key="source id",
    partitions=1,
    record=records.FeedHealth,
    compacted=True,
    kept_s=None,
    max_bytes=RECORD_MAX_BYTES,
    writers=("connectors",),
    about="How each feed does, what it was last asked, and when it is asked next.",
)

ALL = (RAW, UNIQUE, TAGGED, ITEMS, INCIDENTS, DEADLETTERS, CURSORS, FEEDS, HEALTH)


def group(stage: str) -> str:
    """Return the consumer group of *stage*, which is also its Faust app's id."""
    return f"wirewatch-{stage}"


def changelog(stage: str, table: str, partitions: int) -> Topic:
    """Return the topic behind a stage's table; Faust's naming, our settings."""
    return Topic(
        name=f"{group(stage)}-{table}-changelog",
        key="table key",
        partitions=partitions,
        record=None,
        compacted=True,
        kept_s=None,
        max_bytes=RECORD_MAX_BYTES,
        writers=(stage,),
        about=f"What {stage} remembers in its table {table!r}; not for subscribers.",
    )


DEDUPE_TABLE = changelog("dedupe", "publications", RAW.partitions)
CORRELATE_TABLE = changelog("correlate", "stories", TAGGED.partitions)

#: What `topics create` makes: the public topics, and the tables behind the stages.
DECLARED = (*ALL, DEDUPE_TABLE, CORRELATE_TABLE)

#: The stages in the order of the way, and what each works on; what it writes, the topics say.
SOURCES: Final[Mapping[str, tuple[Topic, ...]]] = {
    "dedupe": (RAW,),
    "annotate": (UNIQUE,),
    "correlate": (TAGGED,),
    "index": (ITEMS, INCIDENTS),
}
STAGES: Final = tuple(SOURCES)


def gone_after_s() -> int:
    """Return after how long, on servers, no topic holds what a newer record replaced."""
    return max(topic.gone_after_s or 0 for topic in DECLARED)


def by_name(name: str) -> Topic:
    """Return the declared topic called *name*; KeyError if none."""
    return {topic.name: topic for topic in DECLARED}[name]


_COUNTS = {topic.name: topic.partitions for topic in DECLARED}
_LIMITS = {topic.name: topic.max_bytes for topic in DECLARED}


def declared_count(name: str) -> int | None:
    """Return how many partitions topic *name* must have; None if it is not declared."""
    return _COUNTS.get(name)


def size_limit(name: str) -> int:
    """Return how large a record of topic *name* may be, key and value, in bytes."""
    return _LIMITS.get(name, RECORD_MAX_BYTES)
