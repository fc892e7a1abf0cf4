"""Whether it is us that nothing answers. Pure.

Feeds of many hosts do not begin to fail together: our name server, our line or our proxy
does, or there was no network to begin with. When it is back nobody should wait as long
as it has lasted allows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from connectors.failures import FailureKind
from connectors.rss.health import OUTAGES


#: What feeds of many hosts fail with when it is us: what answers for a network that wants
#: a login, or a proxy that nobody trusts, is a page, or cannot prove who it is.
OURS: Final[frozenset[FailureKind]] = OUTAGES | {"tls", "not_a_feed"}
#: So many have feeds that begin to fail, and no other feed answers in between.
HOSTS_MIN: Final = 10
#: At a restart: of all hosts, those that fail already.
SHARE_MIN: Final = 0.5


class Outage:
    """Told of each poll; knows when an outage of ours begins, and when it is over."""

    def __init__(self) -> None:
        self._failing: set[str] = set()
        self._is_on = False

    @property
    def is_on(self) -> bool:
        """Whether nothing has answered since it began."""
        return self._is_on

    def resume(self, failing: Collection[str], hosts: Collection[str]) -> None:
        """Go on after a restart, at which *failing* of *hosts* had feeds that failed so."""
        enough = max(HOSTS_MIN, SHARE_MIN * len(hosts))
        self._is_on = len(failing) >= enough

    def note(
        self, host: str, failure: FailureKind | None, *, begins: bool
    ) -> Literal["", "begun", "over"]:
        """Return what it shows that a feed of *host* answered, or failed.

        What does not begin to fail, but failed before, shows nothing, else feeds that are
        dead would be an outage.
        """
        if failure not in OURS:
            was_on, self._is_on = self._is_on, False
            self._failing.clear()
            return "over" if was_on else ""
        if self._is_on or not begins:
            return ""
        self._failing.add(host)
        self._is_on = len(self._failing) >= HOSTS_MIN
        return "begun" if self._is_on else ""
