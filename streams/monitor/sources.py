"""What sources show: each of them where they are few, all together where they are many.

A series a feed is what Prometheus pays for: of a connector with more sources than
:data:`EACH_MAX` they are counted under one name, :data:`ALL`, so that sums, rates and
alerts over them stay as they are; which feed it is, ``wirewatch feeds`` tells.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from connectors.face import SourceStatus


#: Sources of one connector that have series of their own.
EACH_MAX = 1_000
#: The name under which more of them are counted.
ALL = "*"
#: What a look at a source may end with.
OUTCOMES = ("new", "unchanged", "failed")
STATES = ("waiting", "good", "failing", "parked", "gone", "paused")
#: In which a source gives nothing, and somebody may have to do something.
FAILING = frozenset({"failing", "parked", "gone"})
QUANTILES = (0.5, 0.9, 0.99)

_GOOD = frozenset({"fresh", "unchanged", "good"})
_LATENESS = "wirewatch_source_lateness_seconds"


class Value(NamedTuple):
    """What a metric is, for some labels."""

    name: str
    labels: tuple[str, ...]
    value: float


def state_of(source: SourceStatus) -> str:
    """Return which of :data:`STATES` *source* is in.

    One that was not asked since the start, and failed before it, still fails.
    """
    if source.state == "waiting" and source.last_error:
        return "failing"
    return "good" if source.state in _GOOD else source.state


def by_connector(sources: Iterable[SourceStatus]) -> dict[str, list[SourceStatus]]:
    """Return the sources of each connector."""
    groups: defaultdict[str, list[SourceStatus]] = defaultdict(list)
    for source in sources:
        groups[source.connector].append(source)
    return groups


def shown(
    sources: Iterable[SourceStatus], *, started: datetime, now: datetime
) -> Iterator[Value]:
    """Yield what metrics say of *sources* in a process that began at *started*."""
    for connector, group in by_connector(sources).items():
        if len(group) <= EACH_MAX:
            for source in group:
                yield from _of((connector, source.id), [source], started)
        else:
            yield from _of((connector, ALL), group, started)
        yield from _together(connector, group, now)


def _of(
    labels: tuple[str, str], group: Sequence[SourceStatus], started: datetime
) -> Iterator[Value]:
    published = sum(one.published for one in group)
    yield Value("wirewatch_source_published_total", labels, published)
    known = sum(one.known for one in group)
    yield Value("wirewatch_source_known_total", labels, known)
    # From zero on: what begins at one has no increase.
    looks = _summed(one.looks for one in group)
    for outcome in OUTCOMES:
        at = (*labels, outcome)
        yield Value("wirewatch_source_looks_total", at, looks[outcome])
    if asked := [one.last_good or started for one in group if one.state != "paused"]:
        name = "wirewatch_source_last_good_timestamp_seconds"
        yield Value(name, labels, max(asked).timestamp())


def _together(
    connector: str, group: Sequence[SourceStatus], now: datetime
) -> Iterator[Value]:
    states = Counter(map(state_of, group))
    for state in STATES:
        yield Value("wirewatch_sources", (connector, state), states[state])
    resting = sum(one.resting for one in group)
    yield Value("wirewatch_sources_resting", (connector,), resting)
    late_s = [(now - one.due).total_seconds() for one in group if one.due is not None]
    overdue_s = max(0.0, *late_s) if late_s else 0.0
    yield Value("wirewatch_source_overdue_seconds", (connector,), overdue_s)
    lateness_s = sorted(one.lateness_s for one in group if one.lateness_s)
    for share in QUANTILES if lateness_s else ():
        value = lateness_s[round(share * (len(lateness_s) - 1))]
        yield Value(_LATENESS, (connector, str(share)), value)
    for kind, count in _summed(one.refusals for one in group).items():
        yield Value("wirewatch_connector_refused_total", (connector, kind), count)


def _summed(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in counts:
        for key, count in one.items():
            total[key] += count
    return total
