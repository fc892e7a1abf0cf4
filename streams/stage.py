"""The one safe loop that every agent runs in; the only place that touches Faust's events.

A stage reads a topic in batches, hands each batch to its handler, stores what comes
back, and only then moves on: a crash at any moment repeats work, it never skips work.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streams.log.face import Output, Record
from streams.topics import Topic


class Received(NamedTuple):
    """A record as it lay on the log, and what it says."""

    record: Record
    data: Any


class Decision(NamedTuple):
    """What one record leads to: records to publish, and entries for the stage's table.

    Both are data. The loop applies them when the record has succeeded, never earlier:
    ``writes`` (key -> value, None deletes) are seen by later records of the same batch.
    """

    outputs: Sequence[Output] = ()
    writes: Mapping[bytes, bytes | None] = {}


class Refusal(NamedTuple):
    """The record is at fault itself: it becomes a dead letter."""

    kind: str
    reason: str


Outcome = Decision | Refusal
#: The stage's table as of the record: what is stored, and what the batch added.
State = Mapping[bytes, bytes]
#: Decides on one record; raises PermanentError for one that is at fault itself.
Decide = Callable[[Received, State], Decision]
#: Works on a whole batch; one outcome a record, in order. Raises TransientError to
#: have the batch repeated, after a pause, for as long as it takes.
Handle = Callable[[Sequence[Received]], Awaitable[Sequence[Outcome]]]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage: give either ``decide`` (pure, with a table) or ``handle`` (a batch)."""

    name: str
    sources: Sequence[Topic]
    decide: Decide | None = None
    handle: Handle | None = None
    #: The changelog behind ``decide``'s table, if it has one.
    table: Topic | None = None
    #: Entered before the first record, left after the last: pools, clients.
    resources: Sequence[AbstractAsyncContextManager[Any]] = field(default=())
