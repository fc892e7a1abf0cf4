"""How a feed does after each poll, when it is asked next, what its user is told. Pure.

Failures are graded as Media Cloud grades them (rss-fetcher, ``tasks.py``): what lasts
counts 1, what may pass 0.5, what the server says will pass 0.25; at 30 a feed is parked.
Nothing is given up: what is parked or gone is asked once a week, and comes back by
itself when it answers.
"""

from __future__ import annotations

import random

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from connectors.failures import Failure, FailureKind
from connectors.rss.look import Look
from connectors.rss.schedule import (
    DAY_S,
    HOUR_S,
    PRIOR_DAILY,
    Limits,
    after_good,
    interval_s,
    jittered,
    learned,
)
from streams.records import FeedHealth


Grade = Literal["hard", "soft", "temporary"]
POINTS: Final[Mapping[Grade, float]] = MappingProxyType(
    {"hard": 1.0, "soft": 0.5, "temporary": 0.25}
)
#: Up to which the interval doubles with each failure in a row.
BACKOFF_MAX_S: Final[Mapping[Grade, float]] = MappingProxyType(
    {"hard": DAY_S, "soft": 6 * HOUR_S, "temporary": HOUR_S}
)
GRADES: Final[Mapping[FailureKind, Grade]] = MappingProxyType(
    {
        "dns": "soft",  # names do come back, says Media Cloud
        "connection": "soft",
        "tls": "soft",
        "timeout": "soft",
        "forbidden": "hard",
        "redirects": "soft",
        "client": "hard",
        "not_found": "soft",  # so do these
        "gone": "hard",
        "slow_down": "temporary",
        "server": "soft",
        "too_large": "soft",
        "encoding": "soft",
        "not_a_feed": "soft",
        "empty": "temporary",
        "parser": "soft",
    }
)
#: What an outage looks like, of theirs or of ours: a feed must not stay away for long
#: when it is over, so it is asked again after a quarter of the time that it has lasted.
OUTAGES: Final[frozenset[FailureKind]] = frozenset(
    {"dns", "connection", "timeout", "server"}
)
OUTAGE_SHARE = 0.25
#: A feed that has never answered may wait for a network: after so long, then twice as long.
FIRST_S = 60.0
PARKED_AT = 30.0
#: So many 404 in a row, the backoff being what it is, span more than a day.
NOT_FOUND_MAX = 12
#: What is parked or gone is asked after a day, then once a week.
PROBE_FIRST_S = DAY_S
PROBE_S = 7 * DAY_S
#: A server that wants to be left alone for longer is asked all the same.
RETRY_AFTER_MAX_S = 7 * DAY_S

#: A permanent redirect is believed when it was met so often, over so long.
MOVED_TIMES = 3
MOVED_S = DAY_S

#: A Poisson process is silent for so many of its mean gaps once in 22,000 (e**-10).
SILENT_GAPS = 10
#: Nights and week-ends are no silence.
SILENT_S = 3 * DAY_S
#: Of a feed whose habit is not known.
SILENT_UNKNOWN_S = 7 * DAY_S
#: Validators that were not seen to be true for so long are tried.
VALIDATORS_S = DAY_S
#: Gaps are many when there are so many, and one in so many polls with news.
GAPS_MIN = 3
GAPS_SHARE = 0.2
#: A median that is followed by steps of this factor (Ma, Muthukrishnan and Sandler,
#: *Frugal Streaming for Estimating Quantiles*, 2013).
LATENESS_STEP = 1.1

Flag = Literal[
    "silent",
    "lying_validators",
    "guids_change",
    "guids_shared",
    "dates_bumped",
    "restless",
    "full_of_gaps",
]
HABITS: Final[frozenset[Flag]] = frozenset(
    {"guids_change", "guids_shared", "dates_bumped", "restless"}
)
_TOLD_FLAGS: Final[frozenset[Flag]] = frozenset({"silent", "lying_validators"})


def fresh(source: str, url: str, now: datetime) -> FeedHealth:
    """Return the health of a feed that was never asked. ``url`` is without credentials."""
    return FeedHealth(source=source, url=url, daily=PRIOR_DAILY, updated=now)


def wants_probe(health: FeedHealth, now: datetime) -> bool:
    """Return whether to ask without validators, to see whether they lie, or as they do."""
    if "lying_validators" in health.flags:
        return True
    if not (health.etag or health.last_modified):
        return False
    return health.probed is None or _since(health.probed, now) >= VALIDATORS_S


def after(
    health: FeedHealth, look: Look, limits: Limits, rng: random.Random
) -> FeedHealth:
    """Return how the feed does after *look*, and when it is asked next."""
    counted = msgspec.structs.replace(
        health, polls=health.polls + (not look.pushed), polled=look.at, updated=look.at
    )
    if look.failure is not None:
        return _failed(counted, look, look.failure, limits, rng)
    return _succeeded(counted, look, limits, rng)


def tidings(before: FeedHealth, after: FeedHealth) -> list[str]:
    """Return what the user is told of the step from *before* to *after*: each once."""
    said = [
        _TIDINGS[told.partition(" ")[0]](after)
        for told in after.told
        if told not in before.told
    ]
    if before.state in {"parked", "gone"} and after.state == "good":
        said.append("it answers again, and is asked as often as before")
    return said


def _failed(
    health: FeedHealth,
    look: Look,
    failure: Failure,
    limits: Limits,
    rng: random.Random,
) -> FeedHealth:
    grade = GRADES[failure.kind]
    in_a_row = health.failed_in_a_row + 1
    counted = 0.0 if look.ours else POINTS[grade]
    points = min(health.failures + counted, PARKED_AT)
    state = _state(health, failure, in_a_row, points)
    usual_s = interval_s(health, limits)
    if state == "failing":
        least_s, most_s = _patience_s(health, look, failure.kind, limits, usual_s)
        wait_s = max(least_s, min(usual_s * 2.0 ** min(in_a_row, 16), most_s))
    else:
        wait_s = PROBE_S if health.state == state else PROBE_FIRST_S
    asked_s = min(failure.retry_after_s, RETRY_AFTER_MAX_S)
    next_poll = max(
        look.at + timedelta(seconds=asked_s),
        look.at + jittered(wait_s, rng),
    )
    return msgspec.structs.replace(
        health,
        state=state,
        because=failure.message,
        failure=failure.kind,
        failures=points,
        failed_in_a_row=in_a_row,
        next_poll=next_poll,
        interval_s=usual_s,
        told=_told(health.told, {state} & {"parked", "gone"}, ()),
    )


def _patience_s(
    health: FeedHealth, look: Look, kind: FailureKind, limits: Limits, usual_s: float
) -> tuple[float, float]:
    """Return between what a feed that fails waits, in seconds; the former counts more."""
    most_s = BACKOFF_MAX_S[GRADES[kind]]
    if kind not in OUTAGES:
        return usual_s, most_s
    if health.good is not None:
        return usual_s, min(most_s, _since(health.good, look.at) * OUTAGE_SHARE)
    first_s = FIRST_S * 2.0 ** min(health.failed_in_a_row, 16)
    return usual_s if limits.own_s else limits.min_s, min(most_s, first_s)


def _state(
    health: FeedHealth, failure: Failure, in_a_row: int, points: float
) -> Literal["failing", "parked", "gone"]:
    if failure.kind == "gone":
        return "gone"
    is_missing = failure.kind == "not_found" == health.failure
    if is_missing and in_a_row >= NOT_FOUND_MAX:
        return "gone"
    if health.state == "gone":
        return "gone"
    return "parked" if points >= PARKED_AT else "failing"


def _succeeded(
    health: FeedHealth, look: Look, limits: Limits, rng: random.Random
) -> FeedHealth:
    known = _moved(learned(_counted(health, look), look), look)
    flags = _flags(known, look)
    answered = msgspec.structs.replace(
        known,
        state="good",
        because="",
        failure="",
        failures=0.0,
        failed_in_a_row=0,
        good=look.at,
        fresh=look.at if look.new else known.fresh,
        title=look.title or known.title,
        flags=tuple(sorted(flags)),
        told=_told(
            known.told, flags & _TOLD_FLAGS, {"parked", "gone", "silent"} - flags
        ),
        probed=look.at if _tried(look) else known.probed,
        etag=look.etag or known.etag if look.outcome == "unmodified" else look.etag,
        last_modified=look.last_modified or known.last_modified
        if look.outcome == "unmodified"
        else look.last_modified,
        body=look.body or known.body,
    )
    return _planned(answered, look, limits, rng)


def _planned(
    health: FeedHealth, look: Look, limits: Limits, rng: random.Random
) -> FeedHealth:
    usual_s = interval_s(health, limits, look.hints)
    is_delivered = health.hub_until is not None and health.hub_until > look.at
    wait_s = max(limits.max_s, usual_s) if is_delivered else usual_s
    return msgspec.structs.replace(
        health,
        interval_s=usual_s,
        next_poll=after_good(
            look.at, health, limits, rng, wait_s=wait_s, hints=look.hints
        ),
    )


def _counted(health: FeedHealth, look: Look) -> FeedHealth:
    return msgspec.structs.replace(
        health,
        polls_new=health.polls_new + (look.outcome == "new" and not look.pushed),
        published=health.published + look.new,
        edited=health.edited + look.edited,
        withdrawn=health.withdrawn + look.withdrawn,
        refused=health.refused + look.refused,
        gaps=health.gaps + look.gap,
        lateness_s=_lateness_s(health, look),
    )


def _lateness_s(health: FeedHealth, look: Look) -> float:
    """Return the median after the entries of *look*; those of the first look are old."""
    median_s = health.lateness_s
    if health.good is None or "dates_bumped" in look.habits:
        return median_s
    for moment in look.published:
        if moment is None or moment > look.at:
            continue
        late_s = max(_since(moment, look.at), 1.0)
        step = LATENESS_STEP if late_s > median_s else 1 / LATENESS_STEP
        median_s = median_s * step if median_s else late_s
    return median_s


def _moved(health: FeedHealth, look: Look) -> FeedHealth:
    """Return *health* with what a permanent redirect says, taken over once it is sure."""
    if look.pushed or look.outcome == "failed":
        return health
    if look.moved_to in {"", health.url}:
        return msgspec.structs.replace(
            health, moved_to="", moved_times=0, moved_since=None
        )
    is_same = look.moved_to == health.moved_to
    times = health.moved_times + 1 if is_same else 1
    since = health.moved_since if is_same and health.moved_since else look.at
    if times < MOVED_TIMES or _since(since, look.at) < MOVED_S:
        return msgspec.structs.replace(
            health, moved_to=look.moved_to, moved_times=times, moved_since=since
        )
    return msgspec.structs.replace(
        health,
        url=look.moved_to,
        moved_to="",
        moved_times=0,
        moved_since=None,
        told=(
            *(one for one in health.told if not one.startswith("moved ")),
            f"moved {look.moved_to}",
        ),
    )


def _flags(health: FeedHealth, look: Look) -> set[Flag]:
    read = look.habits if look.outcome in {"new", "known"} else set(health.flags)
    flags = {habit for habit in HABITS if habit in read}
    if "lying_validators" in health.flags or _lies(health, look):
        flags.add("lying_validators")
    if _is_silent(health):
        flags.add("silent")
    if health.gaps >= max(GAPS_MIN, GAPS_SHARE * health.polls_new):
        flags.add("full_of_gaps")
    return flags


def _lies(health: FeedHealth, look: Look) -> bool:
    """Return whether the server would have told us that nothing is new, though it is.

    A body that differs without anything new in it (the time of the request in a
    comment) does no harm: what a weak validator says of it is true (RFC 9110, 8.8.1).
    """
    was = health.etag or health.last_modified
    now = look.etag if health.etag else look.last_modified
    return look.probe and look.outcome == "new" and was != "" and was == now


def _tried(look: Look) -> bool:
    """Return whether *look* shows if validators lie: asked with them, news shows it too."""
    return look.probe or look.outcome == "new"


def _is_silent(health: FeedHealth) -> bool:
    usual_s = health.habit.gap_s
    patience_s = max(SILENT_S, SILENT_GAPS * usual_s) if usual_s else SILENT_UNKNOWN_S
    return health.habit.quiet_s > patience_s


def _told(
    told: tuple[str, ...], added: Iterable[str], over: Iterable[str]
) -> tuple[str, ...]:
    """Return *told* with what is *added*, and without what is *over*."""
    ended = set(over)
    kept = [one for one in told if one not in ended]
    return (*kept, *sorted(set(added) - set(kept)))


def _since(then: datetime, now: datetime) -> float:
    return (now - then).total_seconds()


def _on_gone(health: FeedHealth) -> str:
    return f"it is gone ({health.because}); it is still asked once a week"


def _on_parked(health: FeedHealth) -> str:
    return (
        f"it is parked after {health.failed_in_a_row} failures in a row "
        f"({health.because}); it is still asked once a week"
    )


def _on_moved(health: FeedHealth) -> str:
    return f"it has moved to {health.url} for good, and is asked there from now on"


def _on_silent(health: FeedHealth) -> str:
    since = f"since {health.fresh:%Y-%m-%d %H:%M} UTC" if health.fresh else "ever"
    return (
        f"it answers, but has given nothing new {since}, which is far longer than its "
        "habit"
    )


def _on_lying(_: FeedHealth) -> str:
    return (
        "its server says 'not modified' though it is: it is asked without validators "
        "from now on"
    )


_TIDINGS: Final[Mapping[str, Callable[[FeedHealth], str]]] = MappingProxyType(
    {
        "moved": _on_moved,
        "parked": _on_parked,
        "gone": _on_gone,
        "silent": _on_silent,
        "lying_validators": _on_lying,
    }
)
