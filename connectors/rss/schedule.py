"""When a feed is asked again: a decision, not a loop. Pure."""

from __future__ import annotations

import random


#: A feed that fails is asked ever more rarely, but never given up.
BACKOFF_MAX_S = 6 * 3600.0
#: Feeds of one interval must not all be asked at once.
JITTER = 0.1
#: At the start all feeds are due; they are spread over so long.
FIRST_SPREAD_S = 10.0


def delay_s(
    interval_s: float,
    *,
    failures: int,
    retry_after_s: float = 0.0,
    rng: random.Random,
) -> float:
    """Return the seconds until the next poll, after *failures* in a row.

    Never sooner than the server asks for, give or take nothing.
    """
    backed_off = interval_s * 2.0 ** min(failures, 16)
    base = max(interval_s, min(backed_off, BACKOFF_MAX_S))
    return max(base * rng.uniform(1 - JITTER, 1 + JITTER), retry_after_s)
