"""How feeds read to a person: a line each, a page of one, a summary. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec

from rich.text import Text

from connectors.urls import public_url
from console import escape, wording
from console.feeds_known import Known, State
from streams.records import FeedHealth


Sort = Literal[
    "worst", "id", "name", "good", "next", "daily", "lateness", "gaps", "failures"
]
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
    polls_an_hour: float
    #: When a feed of it was asked last and failed, and why.
    failed: datetime | None
    because: str


def line(one: Known, now: datetime) -> Text:
    """Return a feed on one line, under :data:`HEAD`."""
    health = one.health
    state = Text(f"{one.state:8}", STYLES[one.state])
    rests = one.state in AT_REST
    due = None if rests or health.next_poll is None else health.next_poll - now
    values = (
        f"{_since(health.good, now):>7}"
        f"{'-' if due is None else _until(due):>7}"
        f"{short(health.interval_s):>7}"
        f"{_rate(health.daily):>8}"
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


def summary(feeds: Iterable[Known]) -> str:
    """Return how many there are by state, how often they are asked, and what it brings."""
    feeds = list(feeds)
    states = Counter(one.state for one in feeds)
    counted = ", ".join(f"{states[s]:,} {s}" for s in reversed(STATES) if states[s])
    polls = sum(one.health.polls for one in feeds)
    told = wording.counted(len(feeds), "feed")
    if counted:
        told += f": {counted}"
    if hourly := sum(map(polls_an_hour, feeds)):
        told += f" · {hourly:,.0f} polls an hour"
    if polls:
        share = sum(one.health.polls_new for one in feeds) / polls
        told += f", {share:.0%} of them brought something new"
    return told


def polls_an_hour(one: Known) -> float:
    """Return how often it is asked."""
    if one.state in AT_REST or not one.health.interval_s:
        return 0.0
    return _HOUR_S / one.health.interval_s


def ordered(feeds: Iterable[Known], sort: Sort) -> list[Known]:
    """Return *feeds* in an order: the most, the latest or the worst first."""
    return sorted(feeds, key=_ORDERS[sort])


_ORDERS: dict[Sort, Callable[[Known], Any]] = {
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


def hosts(feeds: Iterable[Known]) -> list[Host]:
    """Return the hosts, those with most failing feeds first."""
    groups: defaultdict[str, list[Known]] = defaultdict(list)
    for one in feeds:
        groups[one.host].append(one)
    found = [_host(host, group) for host, group in groups.items()]
    return sorted(found, key=lambda one: (-one.failing, -one.parked, -one.feeds))


def host_line(one: Host, now: datetime) -> Text:
    """Return a host on one line."""
    text = Text(f"{one.feeds:>7,}")
    text.append(f"{one.failing or '-':>9}", "yellow" if one.failing else "")
    text.append(f"{one.parked or '-':>8}", "red" if one.parked else "")
    text.append(f"{one.polls_an_hour:>9,.1f}  ")
    text.append_text(escape.shown(one.host or "(no host)"))
    if one.failed is not None:
        age = wording.ago((now - one.failed).total_seconds())
        text.append_text(escape.shown(f"  {age}: {one.because}", "dim"))
    return text


HOSTS_HEAD = f"{'FEEDS':>7}{'FAILING':>9}{'PARKED':>8}{'POLLS/H':>9}  HOST"


def page(one: Known, file: str, now: datetime) -> Iterator[Text]:
    """Yield the lines that tell everything of a feed; *file* holds the configured ones."""
    yield escape.shown(one.name or one.id, "bold")
    for label, value in _page(one, file, now):
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
    yield "new last", _moment(health.fresh, now)
    yield "asked next", "" if one.state in AT_REST else _moment(health.next_poll, now)
    wish = f" (asked for: {short(feed.interval_s)})" if feed.interval_s else ""
    if health.interval_s or wish:
        yield "interval", f"{short(health.interval_s)}{wish}"
    if health.hub_until is not None:
        yield "delivered", f"by its hub until {wording.moment(health.hub_until)}"
    if health.polls:
        yield from _figures(health)
    if health.failed_in_a_row:
        yield (
            "failures",
            (
                f"{health.failed_in_a_row:,} in a row ({health.failure}), "
                f"{health.failures:g} as graded"
            ),
        )


def _figures(health: FeedHealth) -> Iterator[tuple[str, str]]:
    yield "items a day", _rate(health.daily)
    yield "lateness", f"{short(health.lateness_s)} from publication to reading, lately"
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


def _host(host: str, feeds: list[Known]) -> Host:
    bad = [one for one in feeds if one.state in BAD]
    last = max(bad, key=lambda one: one.health.polled or _EPOCH, default=None)
    return Host(
        host,
        len(feeds),
        sum(one.state == "failing" for one in bad),
        sum(one.state != "failing" for one in bad),
        sum(map(polls_an_hour, feeds)),
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


def _rate(daily: float) -> str:
    return f"{daily:,.1f}" if daily else "-"
