"""Which feed is asked next: the due one, of a host that is free, in fair turns. Pure.

A host has one request at a time, and a pause after it. Its due feeds wait within it, the
longest due first; hosts wait for each other, the one that has been ready longest first.
A host of 10,000 feeds so has one place in the queue, as every other.
"""

from __future__ import annotations

import heapq

from dataclasses import dataclass, field


#: Entries of feeds that were moved or dropped are kept up to so many, or half of all.
SLACK = 8


@dataclass(slots=True)
class _Host:
    #: Due time and feed; what was moved or dropped is found out when it comes up.
    waiting: list[tuple[float, str]] = field(default_factory=list)
    busy: bool = False
    free_s: float = 0.0
    #: Until when it asked to be left alone.
    paused_s: float = 0.0
    #: When it can be asked next, as the queue of hosts has it; None: it is not in it.
    ready_s: float | None = None
    #: Feeds that wait; ``waiting`` is longer where some were moved or dropped.
    count: int = 0


class Agenda:
    """The feeds by when they are due, and their hosts by when they may be asked.

    Times are seconds of one clock, any. Every operation is O(log n), amortised.
    """

    def __init__(self) -> None:
        self._feeds: dict[str, tuple[str, float]] = {}
        self._hosts: dict[str, _Host] = {}
        self._ready: list[tuple[float, str]] = []
        self._running: dict[str, str] = {}
        self._later: dict[str, tuple[str, float]] = {}
        #: Beyond so many hosts, those that nothing waits for are forgotten.
        self._hosts_max = SLACK

    def __len__(self) -> int:
        """Return how many feeds wait."""
        return len(self._feeds)

    def put(self, ident: str, host: str, due_s: float) -> None:
        """Enter a feed, or move one that is in it to another time or host.

        One that is being asked is entered when that is done.
        """
        if ident in self._running:
            self._later[ident] = (host, due_s)
            return
        if self._feeds.get(ident) == (host, due_s):
            return
        self.drop(ident)
        self._feeds[ident] = (host, due_s)
        known = self._hosts.setdefault(host, _Host())
        known.count += 1
        heapq.heappush(known.waiting, (due_s, ident))
        self._enqueue(host)

    def drop(self, ident: str) -> None:
        """Take a feed out; one that is being asked does not come back when it is done."""
        self._later.pop(ident, None)
        if before := self._feeds.pop(ident, None):
            self._hosts[before[0]].count -= 1
            self._enqueue(before[0])

    def take(self, now_s: float) -> str | None:
        """Return a feed to ask now, whose host is then busy until :meth:`done`."""
        while self._ready and self._ready[0][0] <= now_s:
            ready_s, name = heapq.heappop(self._ready)
            host = self._hosts.get(name)
            if host is None or host.ready_s != ready_s:
                continue
            host.ready_s = None
            ident = heapq.heappop(host.waiting)[1]
            del self._feeds[ident]
            host.count -= 1
            host.busy = True
            self._running[ident] = name
            return ident
        return None

    def done(self, ident: str, now_s: float, gap_s: float = 0.0) -> None:
        """Say that a feed was asked: its host may be asked again after *gap_s*."""
        name = self._running.pop(ident)
        host = self._hosts[name]
        host.busy = False
        host.free_s = max(host.free_s, now_s + gap_s)
        self._enqueue(name)
        if later := self._later.pop(ident, None):
            self.put(ident, *later)
        if len(self._hosts) > self._hosts_max:
            self._forget(now_s)

    def host_pause(self, host: str, until_s: float) -> None:
        """Leave a host alone until then, as it asked for."""
        known = self._hosts.setdefault(host, _Host())
        known.paused_s = max(known.paused_s, until_s)
        known.free_s = max(known.free_s, until_s)
        self._enqueue(host)

    def paused_until(self, ident: str) -> float:
        """Return until when the host of a feed that waits is left alone; 0: it is not."""
        if (waiting := self._feeds.get(ident)) is None:
            return 0.0
        return self._hosts[waiting[0]].paused_s

    def next_at(self) -> float | None:
        """Return when :meth:`take` may have a feed; None: not before something changes."""
        while self._ready:
            ready_s, name = self._ready[0]
            host = self._hosts.get(name)
            if host is not None and host.ready_s == ready_s:
                return ready_s
            heapq.heappop(self._ready)
        return None

    def _forget(self, now_s: float) -> None:
        """Forget hosts without a feed, once they might be asked again."""
        self._hosts = {
            name: host
            for name, host in self._hosts.items()
            if host.busy or host.count or host.free_s > now_s
        }
        self._hosts_max = SLACK + 2 * len(self._hosts)

    def _enqueue(self, name: str) -> None:
        """Bring a host's place in the queue up to date."""
        host = self._hosts[name]
        self._tidy(name, host)
        if host.busy or not host.waiting:
            host.ready_s = None
            return
        ready_s = max(host.waiting[0][0], host.free_s)
        if ready_s != host.ready_s:
            host.ready_s = ready_s
            heapq.heappush(self._ready, (ready_s, name))
        if len(self._ready) > SLACK + 2 * len(self._hosts):
            self._ready = [
                (host.ready_s, name)
                for name, host in self._hosts.items()
                if host.ready_s is not None
            ]
            heapq.heapify(self._ready)

    def _tidy(self, name: str, host: _Host) -> None:
        """Bring a feed that waits to the head; drop the rest when it is the most."""
        if len(host.waiting) > SLACK + 2 * host.count:
            host.waiting = [entry for entry in host.waiting if self._waits(name, entry)]
            heapq.heapify(host.waiting)
        while host.waiting and not self._waits(name, host.waiting[0]):
            heapq.heappop(host.waiting)

    def _waits(self, name: str, entry: tuple[float, str]) -> bool:
        due_s, ident = entry
        return self._feeds.get(ident) == (name, due_s)
