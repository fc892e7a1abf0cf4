"""The processes in which what strangers wrote is parsed, within time and memory."""

from __future__ import annotations

from collections.abc import Callable

from streams.pool import Pool
from streams.settings import Rss


#: What one document may take; 1 MB of hostile markup takes some seconds.
PARSE_TIMEOUT_S = 20.0


def parsers(
    rss: Rss,
    processes: int = 1,
    *,
    name: str,
    initializer: Callable[[], None] | None = None,
) -> Pool:
    """Return a pool of parsers, each bounded as *rss* says."""
    return Pool(
        processes,
        timeout_s=PARSE_TIMEOUT_S,
        memory_max_bytes=rss.parser_memory_mb * 1_000_000,
        initializer=initializer,
        name=name,
    )
