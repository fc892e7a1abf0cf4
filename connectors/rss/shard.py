"""Which of several processes reads which feeds. Pure.

By the registrable domain: what is polite to a site must be decided in one process.
A static share, not a consumer group: which feeds a process has is known without a broker,
the same on both logs, and a feed's memory never moves while it is being asked.
"""

from __future__ import annotations

import re

from typing import NamedTuple, Self

from connectors.urls import registrable_domain
from streams.errors import SettingsError
from streams.text import fingerprint


_WRITTEN = re.compile(r"([0-9]{1,6})/([0-9]{1,6})", re.ASCII)


class Shard(NamedTuple):
    """One of ``total`` equal shares, counted from 1; ``str()`` is what parse reads."""

    number: int = 1
    total: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read such as ``2/8``; '' is the only one of one. Raises SettingsError."""
        if not text:
            return cls()
        found = _WRITTEN.fullmatch(text.strip())
        number, total = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= total:
            raise SettingsError(
                f"rss.shard is {text!r}: it must be such as 2/8, the second of eight"
            )
        return cls(number, total)

    def holds(self, host: str) -> bool:
        """Whether the feeds of *host* are read here: all hosts of a domain are together."""
        if self.total == 1:
            return True
        name = f"[{host}]" if ":" in host else host
        domain = registrable_domain(f"//{name}")
        return int(fingerprint(domain)[:16], 16) % self.total == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"
