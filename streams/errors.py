"""Our exception hierarchy.

* WirewatchError
  x PermanentError         the document's own fault: it becomes a dead letter
    - RecordError             the bytes on a topic are not the record they should be
    - OversizeError           an output is over its topic's size limit
    - PoolCallError           work on it hangs, takes too much memory, or kills its process
  x TransientError         trying again can help: the stage waits, visibly, for ever
    - NotStoredError          the log did not take the records
      . AccessRefusedError      the brokers refuse our name, or what we may do
    - IndexUnavailableError   the search index cannot be reached, or is too busy
    - SourceUnavailableError  a source cannot be read now
  x FatalError             the process must stop, and its supervisor look at it
    - LogDamagedError         the embedded log's file is not what was written
    - AlreadyRunningError     another process works on this data folder
    - TopicMismatchError      a topic is not what the code needs it to be
    - RefusalRunError         so many refusals in a row that it is not the documents
    - PoolBrokenError         worker processes cannot be started, or are closed
  x SettingsError          the configuration does not describe a runnable system
  x AddressError           the address to listen at cannot be used
  x QueryError             a search query cannot be understood; says where
  x SourceError            a source was read, and what it gave is unusable

Permanent and transient are different types because the stage loop
(:mod:`streams.stage`) treats them differently: only a document's own fault is ever
put aside, everything else waits or stops.
"""

from __future__ import annotations

from typing import Literal


class WirewatchError(Exception):
    """Base of every error raised on purpose."""


class PermanentError(WirewatchError):
    """Trying again cannot help: the record goes to the dead letters."""


class RecordError(PermanentError):
    """Bytes could not be decoded; the decoder's own error is chained."""


class OversizeError(PermanentError):
    """A record is larger than its topic allows."""


class PoolCallError(PermanentError):
    """A call in a worker process gave nothing; ``kind`` is timeout, memory or crash."""

    def __init__(
        self, kind: Literal["timeout", "memory", "crash"], message: str
    ) -> None:
        super().__init__(kind, message)
        self.kind = kind

    def __str__(self) -> str:
        return f"{self.kind}: {self.args[1]}"


class TransientError(WirewatchError):
    """Trying again can help: whoever catches this waits and repeats."""


class NotStoredError(TransientError):
    """The log did not store everything; the same call may succeed later.

    Some of the records may be stored all the same: repeat the whole call, or stop.
    """


class AccessRefusedError(NotStoredError):
    """The brokers refuse who we are or what we ask; the message says what to mend."""


class IndexUnavailableError(TransientError):
    """The search index is away, overloaded, out of room or blocked for writing."""


class SourceUnavailableError(TransientError):
    """A source is down or asks us to slow down."""


class FatalError(WirewatchError):
    """Going on would hide a fault that a person must see."""


class LogDamagedError(FatalError):
    """The embedded log's file is malformed, or its device fails."""


class AlreadyRunningError(FatalError):
    """Another worker runs on this data folder; the embedded log takes one."""


class TopicMismatchError(FatalError):
    """A topic is missing, not as declared, or not the one that a stage has read."""


class RefusalRunError(FatalError):
    """More refusals in a row than documents alone can explain."""


class PoolBrokenError(FatalError):
    """The worker processes cannot be started, or are closed already."""


class SettingsError(WirewatchError):
    """The configuration cannot be used; the message says what to change."""


class AddressError(WirewatchError):
    """The address to listen at cannot be used; the message begins with who gave it."""


class QueryError(WirewatchError):
    """A search query is wrong at *position* (0-based, in code points)."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class SourceError(WirewatchError):
    """A document of a source cannot be used: not a feed, too large, too slow."""
