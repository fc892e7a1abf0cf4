"""What one process has to show, and whether it is ready. Nothing here asks anybody."""

from __future__ import annotations

import math
import time

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from connectors.face import Connector, SourceStatus
from streams.monitor.sources import FAILING, by_connector, state_of
from streams.stage import Progress
from streams.tally import Tally


Role = Literal["run", "worker", "connect-rss", "connect-radio"]
#: Waiting and lateness below this are everyday; above it a process is not ready.
WAITING_MAX_S = 30.0
#: No batch takes so long that does not hang; a document that hangs costs half a minute.
BUSY_MAX_S = 600.0
#: A look at a source may take the time-outs of its answer and of its reading, and some.
OVERDUE_MAX_S = 120.0


@dataclass(kw_only=True)
class Watched:
    """A process, as it changes: the owners of its parts keep them up to date."""

    role: Role
    #: Whether it has begun its work: stages take records, connectors read.
    ready: Callable[[], bool]
    progress: Mapping[str, Progress] = field(default_factory=dict)
    #: None where no index stage runs.
    delays_s: Tally | None = None
    connectors: Sequence[Connector] = ()
    #: Unheard of for so long, a worker has lost its partitions (kafka.session_timeout_s).
    session_s: float = math.inf
    started_s: float = field(default_factory=time.monotonic)

    @property
    def uptime_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_s

    def sources(self) -> Iterator[SourceStatus]:
        """Yield each source of each connector."""
        for connector in self.connectors:
            yield from connector.statuses()


def unready(watched: Watched, *, now: datetime, now_s: float) -> list[str]:
    """Return why *watched* should not be relied upon; [] if it is ready.

    ``now_s`` is the monotonic clock's.
    """
    if not watched.ready():
        return [f"{watched.role} is starting"]
    reasons = []
    for stage, progress in watched.progress.items():
        waited_s = now_s - progress.waiting_since_s
        if progress.waiting and waited_s > WAITING_MAX_S:
            reasons.append(f"{stage} waits for {waited_s:.0f} s: {progress.waiting}")
        busy_s = now_s - (progress.busy_since_s or now_s)
        if not progress.waiting and busy_s > BUSY_MAX_S:
            reasons.append(f"{stage} has been at one batch for {busy_s:.0f} s")
        lease_s = progress.lease_age_s()
        if lease_s is not None and lease_s > watched.session_s:
            reasons.append(f"{stage} has not heard its coordinator for {lease_s:.0f} s")
    dues = [one.due for one in watched.sources() if one.due is not None]
    late_s = [(now - due).total_seconds() for due in dues]
    if late_s and min(late_s) > OVERDUE_MAX_S:
        reasons.append(f"no source was looked at for {min(late_s):.0f} s")
    return reasons


def degraded(watched: Watched) -> list[str]:
    """Return what is wrong with *watched* that waiting mends, or nobody here can.

    It is ready all the same: a network that is away is no fault of the process, and to
    start it again would not help.
    """
    told = []
    for connector, group in by_connector(watched.sources()).items():
        asked = [one for one in group if one.state not in {"paused", "waiting"}]
        if asked and all(state_of(one) in FAILING for one in asked):
            such = f"{asked[0].id}: {asked[0].last_error}"
            told.append(f"{connector}: all of {len(asked):,} fail, such as {such}")
    return told
