"""How feeds read to a person: a line each, a page of one, a summary. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from rich.text import Text

from connectors.rss.health import PARKED_AT
from connectors.rss.shard import Shard
from connectors.urls import host_of, public_url
from console import escape, wording
from console.feeds_known import Known, State


#: The worst first.
STATES: tuple[State, ...] = ("gone", "parked", "failing", "paused", "waiting", "good")
#: States in which a person may have to do something.
BAD: frozenset[State] = frozenset({"gone", "parked", "failing"})
#: States in which a feed is not asked by its interval.
AT_REST: frozenset[State] = frozenset({"gone", "parked", "paused"})
STYLES: dict[State, str] = {
    "gone": "bold red",
    "parked": "red",
    "failing": "yellow",
    "paused": "dim",
    "waiting": "dim",
    "good": "green",
}
FLAGS = {
    "silent": "nothing new for far longer than its habit",
    "lying_validators": "its server says 'unchanged' while it changes",
    "guids_change": "new guids for the same entries at each fetch",
    "guids_shared": "one guid for several entries",
    "dates_bumped": "new dates for old entries at each fetch",
    "restless": "new links, texts or files for old entries at each fetch",
    "full_of_gaps": "entries are often missed between two polls",
}
HEAD = (
    f"{'STATE':8}{'GOOD':>7}{'NEXT':>7}{'EVERY':>7}{'A DAY':>8}{'LATE':>7}{'GAPS':>6}"
    "  FEED"
)
_HOUR_S, _DAY_S = 3600.0, 86_400.0
_UNITS = ((2 * _DAY_S, _DAY_S, "d"), (2 * _HOUR_S, _HOUR_S, "h"), (120.0, 60.0, "m"))
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


class Host(NamedTuple):
    """The feeds of one host."""

    host: str
    feeds: int
    failing: int
    parked: int
    gone: int
    polls_an_hour: float
    #: When a feed of it was asked last and failed, and why.
    failed: datetime | None
    because: str


def line(one: Known, now: datetime) -> Text:
    """Return a feed on one line, under :data:`HEAD`."""
    health = one.health
    state = Text(f"{one.state:8}", STYLES[one.state])
    is_asked = one.state != "paused" and health.next_poll is not None
    due = health.next_poll - now if is_asked and health.next_poll else None
    values = (
        f"{_since(health.good, now):>7}"
        f"{'-' if due is None else _until(due):>7}"
        f"{short(health.interval_s):>7}"
        f"{_rate(one):>8}"
        f"{short(health.lateness_s):>7}"
        f"{health.gaps or '-':>6}  "
    )
    parts = [state, Text(values), escape.shown(one.id)]
    if one.name and one.name != one.id:
        parts.append(escape.shown(f"  {one.name}", "dim"))
    if health.flags:
        parts.append(Text(f"  [{', '.join(health.flags)}]", "yellow"))
    if one.state in BAD and health.because:
        cause = wording.cause(health.because)
        parts.append(escape.shown(f"  {cause}", STYLES[one.state]))
    return Text().join(parts)


def summary(feeds: Iterable[Known], gap_s: float = 0.0) -> str:
    """Return how many there are by state, how often they are asked, and what it brings.

    ``gap_s`` is what lies between two requests to a host (``rss.host_gap_s``).
    """
    feeds = list(feeds)
    states = Counter(one.state for one in feeds)
    counted = ", ".join(f"{states[s]:,} {s}" for s in reversed(STATES) if states[s])
    polls = sum(one.health.polls for one in feeds)
    told = wording.counted(len(feeds), "feed")
    if counted:
        told += f": {counted}"
    if hourly := sum(polls_an_hour(group, gap_s) for group in _by_host(feeds).values()):
        told += f" · {hourly:,.0f} polls an hour"
    if polls:
        share = sum(one.health.polls_new for one in feeds) / polls
        counted = wording.counted(polls, "poll")
        told += f" · {share:.0%} of {counted} so far brought something new"
    return told


def polls_an_hour(group: Iterable[Known], gap_s: float) -> float:
    """Return how often the feeds of one host are asked, ``gap_s`` apart at least."""
    wished = sum(map(_polls_an_hour, group))
    return min(wished, _HOUR_S / gap_s) if gap_s else wished


def _polls_an_hour(one: Known) -> float:
    """Return how often it is due; one that fails by the wait that it has now."""
    health = one.health
    if one.state in AT_REST or not health.interval_s:
        return 0.0
    wait_s = health.interval_s
    if one.state == "failing" and health.next_poll and health.polled:
        wait_s = max(wait_s, (health.next_poll - health.polled).total_seconds())
    return _HOUR_S / wait_s


def ordered(feeds: Iterable[Known], sort: str) -> list[Known]:
    """Return *feeds* in one of :data:`ORDERS`: the most, the latest or the worst first."""
    return sorted(feeds, key=ORDERS[sort])


ORDERS: dict[str, Callable[[Known], Any]] = {
    "worst": lambda one: (STATES.index(one.state), not one.health.flags, one.id),
    "id": lambda one: one.id,
    "name": lambda one: (one.name or one.id).lower(),
    "good": lambda one: one.health.good or _EPOCH,
    "next": lambda one: (one.health.next_poll is None, one.health.next_poll or _EPOCH),
    "daily": lambda one: -one.health.daily,
    "lateness": lambda one: -one.health.lateness_s,
    "gaps": lambda one: -one.health.gaps,
    "failures": lambda one: -one.health.failures,
}


def hosts(feeds: Iterable[Known], gap_s: float = 0.0) -> list[Host]:
    """Return the hosts, those with most failing feeds first; ``gap_s`` as in summary."""
    groups = _by_host(feeds).items()
    found = [_host(host, group, gap_s) for host, group in groups]
    return sorted(
        found, key=lambda one: (-one.failing, -one.parked - one.gone, -one.feeds)
    )


def _by_host(feeds: Iterable[Known]) -> Mapping[str, list[Known]]:
    groups: defaultdict[str, list[Known]] = defaultdict(list)
    for one in feeds:
        groups[one.host].append(one)
    return groups


def host_line(one: Host, now: datetime) -> Text:
    """Return a host on one line."""
    text = Text(f"{one.feeds:>7,}")
    text.append(f"{one.failing or '-':>9}", "yellow" if one.failing else "")
    text.append(f"{one.parked or '-':>8}", "red" if one.parked else "")
    text.append(f"{one.gone or '-':>6}", "bold red" if one.gone else "")
    text.append(f"{one.polls_an_hour:>9,.1f}  ")
    text.append_text(escape.shown(one.host or "(no host)"))
    if one.failed is not None:
        age = wording.ago((now - one.failed).total_seconds())
        text.append_text(escape.shown(f"  {age}: {one.because}", "dim"))
    return text


HOSTS_HEAD = f"{'FEEDS':>7}{'FAILING':>9}{'PARKED':>8}{'GONE':>6}{'POLLS/H':>9}  HOST"


def page(one: Known, file: str, now: datetime, shards: int = 1) -> Iterator[Text]:
    """Yield the lines that tell everything of a feed.

    *file* holds the configured ones; so many *shards* share them.
    """
    yield escape.shown(one.name or one.id, "bold")
    read_by = (Shard(n, shards) for n in range(1, shards + 1))
    shard = next((str(s) for s in read_by if s.holds(host_of(one.feed.url))), "")
    about = [*_page(one, file, now), ("shard", shard if shards > 1 else "")]
    for label, value in about:
        if value:
            yield Text(f"  {label:<16}", "dim").append_text(escape.shown(value))


def as_json(one: Known) -> dict[str, Any]:
    """Return a feed for programs: what is configured, what is known, no credentials."""
    feed: dict[str, Any] = msgspec.to_builtins(one.feed) | {
        "id": one.id,
        "url": public_url(one.feed.url),
    }
    health: dict[str, Any] = msgspec.to_builtins(one.health)
    for inner in ("schema", "source", "told", "body", "etag", "last_modified"):
        health.pop(inner, None)
    return feed | {"state": one.state, "origin": one.origin, "health": health}


def short(seconds: float) -> str:
    """Return a length of time in five characters or less, such as 45s, 12m, 3h, 9d."""
    if not seconds:
        return "-"
    for least, unit, name in _UNITS:
        if seconds >= least:
            return f"{seconds / unit:.0f}{name}"
    return f"{seconds:.0f}s"


def _page(one: Known, file: str, now: datetime) -> Iterator[tuple[str, str]]:
    health, feed = one.health, one.feed
    stands = {"file": f"in {file}", "added": "added at run time", "removed": "removed"}
    yield "id", one.id
    yield "url", one.url
    yield (
        "configured url",
        public_url(feed.url) if one.url != public_url(feed.url) else "",
    )
    yield "listed", stands[one.origin]
    yield "publisher", feed.publisher
    yield "country", feed.country
    yield "language", feed.language
    yield "tags", ", ".join(feed.tags)
    yield "full text", "yes" if feed.full_text else ""
    yield "state", ": ".join(filter(None, (one.state, wording.cause(health.because))))
    for flag in health.flags:
        yield "flag", f"{flag}: {FLAGS.get(flag, flag)}"
    if health.moved_to:
        times = wording.counted(health.moved_times, "time")
        yield "moved to", f"{health.moved_to} (said {times} in a row)"
    yield "asked last", _moment(health.polled, now)
    yield "good last", _moment(health.good, now)
    yield "new entry last", _moment(health.fresh, now)
    yield "asked next", "" if one.state == "paused" else _moment(health.next_poll, now)
    wish = f" (asked for: {short(feed.interval_s)})" if feed.interval_s else ""
    if health.interval_s or wish:
        yield "interval", f"{short(health.interval_s)}{wish}"
    if health.hub_until is not None:
        yield "delivered", f"by its hub until {wording.moment(health.hub_until)}"
    if health.polls:
        yield from _figures(one)
    if health.failed_in_a_row:
        yield (
            "failures",
            (
                f"{health.failed_in_a_row:,} in a row ({health.failure}): "
                f"{health.failures:g} of the {PARKED_AT:g} points that park it"
            ),
        )


def _figures(one: Known) -> Iterator[tuple[str, str]]:
    health = one.health
    yield "entries a day", _rate(one) if health.good else ""
    late = f"{short(health.lateness_s)} from publication to reading (median of late)"
    yield "lateness", late if health.lateness_s else ""
    yield (
        "polls",
        f"{health.polls:,}, {health.polls_new:,} of them brought something new",
    )
    items = (
        f"{health.published:,} published, {health.edited:,} edited, "
        f"{health.withdrawn:,} withdrawn, {health.refused:,} refused"
    )
    yield "items", items
    before = wording.counted(health.gaps, "poll")
    yield "gaps", f"before {before} entries were probably missed" if health.gaps else ""


def _host(host: str, feeds: list[Known], gap_s: float) -> Host:
    bad = [one for one in feeds if one.state in BAD]
    last = max(bad, key=lambda one: one.health.polled or _EPOCH, default=None)
    return Host(
        host,
        len(feeds),
        sum(one.state == "failing" for one in bad),
        sum(one.state == "parked" for one in bad),
        sum(one.state == "gone" for one in bad),
        polls_an_hour(feeds, gap_s),
        last.health.polled if last else None,
        wording.cause(last.health.because) if last else "",
    )


def _moment(at: datetime | None, now: datetime) -> str:
    if at is None:
        return ""
    apart = (now - at).total_seconds()
    near = wording.ago(apart) if apart >= 0 else f"in {short(-apart)}"
    return f"{wording.moment(at)} ({near})"


def _since(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else short(max(1.0, (now - at).total_seconds()))


def _until(due: timedelta) -> str:
    return "now" if due.total_seconds() < 1 else short(due.total_seconds())


def _rate(one: Known) -> str:
    """Return what is estimated; of one that never answered nothing is known."""
    health = one.health
    return f"{health.daily:,.1f}" if health.daily and health.good else "-"
