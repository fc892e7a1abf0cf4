"""What each feed of a simulated internet shows, and when: a pure function of a seed.

Nothing is stored: entry *k* of a feed has its moment of publication in closed form, so a
server, a bench and a judge in three processes agree on what was to be seen at any time.
Times are virtual days since the world began; a world is looked at from its day
:data:`BEGIN` on, when every feed has a past.
"""

from __future__ import annotations

import math

from enum import IntEnum, auto
from functools import cache
from statistics import NormalDist
from typing import Literal, NamedTuple, TypeVar


DAY_S = 86_400.0
BEGIN = 4000.0
#: Of the posting rates a day: most post less than once, a few hundreds of times.
RATE_MEDIAN, RATE_SPREAD, RATE_MAX = 0.6, 1.9, 400.0
#: A third of the day is night, with a tenth of the posts.
NIGHT, NIGHT_POSTS = 1 / 3, 0.1
#: What the entries of a burst are apart, as a share of what bursts are.
BURST_GAP = 0.002
#: Hosts that hold thousands of feeds, and the share of all feeds that they hold.
HUGE_HOSTS, HUGE_SHARE = 3, 0.06
FEEDS_PER_HOST = 5
#: How long an episode lasts, in days.
EPISODE = 0.08

Format = Literal["rss", "atom", "json", "rdf"]
Manner = Literal["mixed", "unmodified", "same", "new"]
Validators = Literal["both", "etag", "last_modified", "none", "lying"]
Habit = Literal[
    "", "no_guid", "guid_changes", "guid_shared", "dates_bumped", "tracked", "restless"
]
Fault = Literal[
    "",
    "server",
    "unavailable",
    "slow_down",
    "slow",
    "drip",
    "reset",
    "not_a_feed",
    "broken",
    "not_found",
    "gone",
    "found",
    "moved",
    "empty",
]
#: What an episode of a feed may be of, and one of a whole host.
EPISODE_FAULTS: tuple[Fault, ...] = (
    *("server", "unavailable", "slow_down", "slow", "drip", "reset"),
    *("not_a_feed", "broken", "not_found", "found", "empty"),
)
OUTAGE_FAULTS: tuple[Fault, ...] = ("server", "unavailable", "slow", "reset")
OUTAGES = 0.005
#: Where all feeds are alike: something new every four seconds, or never.
NEWS_DAILY, NO_NEWS_DAILY = DAY_S / 4, 0.01
WINDOW = 15
#: Shares of the feeds.
FATES: tuple[tuple[Fault, float], ...] = (
    *(("moved", 0.03), ("gone", 0.01), ("not_found", 0.01), ("not_a_feed", 0.01)),
)
HABITS: tuple[tuple[Habit, float], ...] = (
    *(("no_guid", 0.03), ("guid_changes", 0.01), ("guid_shared", 0.005)),
    *(("dates_bumped", 0.01), ("tracked", 0.03), ("restless", 0.05)),
)
#: Their bodies are other ones at each request.
RESTLESS = frozenset({"guid_changes", "dates_bumped", "tracked", "restless"})

T = TypeVar("T")


class Draw(IntEnum):
    """What a number is drawn for: each is independent of the others."""

    RATE = auto()
    PHASE = auto()
    BURST = auto()
    WINDOW = auto()
    FORMAT = auto()
    HABIT = auto()
    VALIDATORS = auto()
    FATE = auto()
    FATE_AT = auto()
    HOST = auto()
    EDITS = auto()
    MOMENT = auto()
    EDITED = auto()
    EDITED_AT = auto()
    RETRACTED = auto()
    EPISODE = auto()
    HUGE = auto()
    OUTAGE = auto()


class Feed(NamedTuple):
    """What a feed is like."""

    number: int
    host: int
    #: Entries a day.
    rate: float
    #: When its night begins, in days.
    phase: float
    #: Entries that come together.
    burst: int
    #: How many of its newest entries it shows.
    window: int
    format: Format
    habit: Habit
    validators: Validators
    #: What becomes of it for good, and at which day.
    fate: Fault
    fate_at: float
    #: Of its episodes, how many are bad ones.
    flaky: float
    #: Of its entries, how many are edited.
    edits: float
    #: Says that it shows all that it has (RFC 5005), and takes back some.
    complete: bool


class Shown(NamedTuple):
    """One text of an entry."""

    number: int
    revision: int


class World:
    """All feeds of a seed.

    ``faults`` scales how often something goes wrong. Unless ``manner`` is "mixed", all
    feeds are alike, each on a host of its own, and a poll of any gives the same outcome.
    """

    def __init__(
        self, seed: int, feeds: int, *, faults: float = 1.0, manner: Manner = "mixed"
    ) -> None:
        self.seed, self.feeds, self.faults, self.manner = seed, feeds, faults, manner
        self.hosts = max(HUGE_HOSTS + 1, feeds // FEEDS_PER_HOST)
        self.feed = cache(self._feed)

    def draw(self, what: Draw, *numbers: int) -> float:
        """Return a number in [0, 1), the same each time."""
        mixed = hash((self.seed, int(what), *numbers)) * 0x9E3779B97F4A7C15
        mixed ^= (mixed >> 29) & 0xFFFFFFFFFFFF
        return (mixed * 0xBF58476D1CE4E5B9 >> 11 & (1 << 53) - 1) / (1 << 53)

    def _feed(self, number: int) -> Feed:
        def draw(what: Draw) -> float:
            return self.draw(what, number)

        manner = draw(Draw.EDITS)
        complete = manner >= 0.97
        form: Format = (
            _among(draw(Draw.FORMAT), ("atom", 0.2), ("json", 0.04), ("rdf", 0.04))
            or "rss"
        )
        if complete and form not in {"rss", "atom"}:
            form = "rss"
        # Some cannot be in JSON or RDF, where an entry's name is its address.
        habit: Habit = ""
        if not complete and form in {"rss", "atom"}:
            habit = _among(draw(Draw.HABIT), *HABITS) or ""
        faults = self.faults
        rate = RATE_MEDIAN * math.exp(
            RATE_SPREAD * NormalDist().inv_cdf(max(draw(Draw.RATE), 1e-9))
        )
        fate: Fault = (
            _among(draw(Draw.FATE), *((name, share * faults) for name, share in FATES))
            or ""
        )
        validators: Validators = (
            _among(
                draw(Draw.VALIDATORS),
                *(("etag", 0.15), ("last_modified", 0.15), ("none", 0.1)),
                ("lying", 0.01 * faults),
            )
            or "both"
        )
        feed = Feed(
            number=number,
            host=self._host(number),
            rate=min(rate, 20.0 if complete else RATE_MAX),
            phase=draw(Draw.PHASE),
            burst=max(1, int(9 - 40 * draw(Draw.BURST))),
            window=10 + int(41 * draw(Draw.WINDOW) ** 2),
            format=form,
            habit=habit,
            # Where the body is another each time, no validator holds.
            validators="none" if habit in RESTLESS else validators,
            fate=fate,
            # Half of what befalls feeds befell them before we came to know them.
            fate_at=BEGIN + max(0.0, 2 * draw(Draw.FATE_AT) - 1),
            flaky=faults * (0.15 if draw(Draw.EPISODE) < 0.1 else 0.004),
            edits=0.2 if manner < 0.1 else 0.0,
            complete=complete,
        )
        return feed if self.manner == "mixed" else _alike(feed, self.manner)

    def _host(self, number: int) -> int:
        if self.draw(Draw.HUGE, number) < HUGE_SHARE:
            return int(HUGE_HOSTS * self.draw(Draw.HOST, number))
        small = self.hosts - HUGE_HOSTS
        return HUGE_HOSTS + int(small * self.draw(Draw.HOST, number) ** 1.5)

    # When its entries come.

    def published(self, feed: Feed, entry: int) -> float:
        """Return the day on which *entry* (counted from 0) appears."""
        burst, place = divmod(entry, feed.burst)
        start = burst + 0.9 * self.draw(Draw.MOMENT, feed.number, burst)
        return _awake_inverse(
            (start + BURST_GAP * place) * feed.burst / feed.rate, feed.phase
        )

    def newest(self, feed: Feed, day: float) -> int:
        """Return the last entry published at *day*; -1 if there is none."""
        bursts = _awake(day, feed.phase) * feed.rate / feed.burst
        burst = math.floor(bursts)
        since = bursts - burst - 0.9 * self.draw(Draw.MOMENT, feed.number, burst)
        entry = burst * feed.burst - 1
        if since >= 0:
            entry += min(feed.burst, int(since / BURST_GAP) + 1)
        # The way back is not exact to the last bit.
        while self.published(feed, entry + 1) <= day:
            entry += 1
        while entry >= 0 and self.published(feed, entry) > day:
            entry -= 1
        return entry

    def edited(self, feed: Feed, entry: int) -> tuple[float, ...]:
        """Return the days on which *entry* gets its second, third text."""
        chance = self.draw(Draw.EDITED, feed.number, entry)
        if chance >= feed.edits:
            return ()
        # From five minutes to six hours after it appeared, or after the last edit.
        moments, at = [], self.published(feed, entry)
        for turn in range(1 if chance < feed.edits / 2 else 2):
            late = self.draw(Draw.EDITED_AT, feed.number, entry, turn)
            at += 300 / DAY_S * 72**late
            moments.append(at)
        return tuple(moments)

    def retracted(self, feed: Feed, entry: int) -> float:
        """Return the day on which *entry* is taken back."""
        chance = self.draw(Draw.RETRACTED, feed.number, entry)
        if not feed.complete or chance >= 0.05:
            return math.inf
        return self.published(feed, entry) + 0.04 + 6 * chance

    def shown(self, feed: Feed, day: float) -> tuple[Shown, ...]:
        """Return what *feed* shows at *day*, newest first."""
        newest = self.newest(feed, day)
        first = self._first(feed, newest)
        return tuple(
            Shown(entry, sum(moment <= day for moment in self.edited(feed, entry)))
            for entry in range(newest, max(first, 0) - 1, -1)
            if self.retracted(feed, entry) > day
        )

    def changed(self, feed: Feed, day: float) -> float:
        """Return the day of the latest change in what *feed* shows at *day*."""
        newest = self.newest(feed, day)
        entries = range(max(0, self._first(feed, newest)), newest + 1)
        return max(
            (
                moment
                for entry in entries
                for moment in (
                    self.published(feed, entry),
                    *self.edited(feed, entry),
                    self.retracted(feed, entry),
                )
                if moment <= day
            ),
            default=BEGIN,
        )

    def _first(self, feed: Feed, newest: int) -> int:
        """Return the oldest entry that is shown beside *newest*; it may be below 0."""
        if feed.complete:
            # It has all since some day: nothing leaves it but what is taken back.
            newest = self.newest(feed, BEGIN)
        return newest - feed.window + 1

    # What goes wrong.

    def fault(self, feed: Feed, day: float) -> Fault:
        """Return what is wrong with *feed* at *day*; '' mostly."""
        if feed.fate and day >= feed.fate_at:
            return feed.fate
        slot = int(day / EPISODE)
        chance = self.draw(Draw.OUTAGE, feed.host, slot)
        if chance < (outages := OUTAGES * self.faults):
            return OUTAGE_FAULTS[int(chance / outages * len(OUTAGE_FAULTS))]
        chance = self.draw(Draw.EPISODE, feed.number, slot)
        if chance < feed.flaky:
            return EPISODE_FAULTS[int(chance / feed.flaky * len(EPISODE_FAULTS))]
        return ""


def _alike(feed: Feed, manner: Manner) -> Feed:
    return feed._replace(
        host=feed.number,
        rate=NEWS_DAILY if manner == "new" else NO_NEWS_DAILY,
        phase=0.5,
        burst=1,
        window=WINDOW,
        format="rss",
        habit="",
        validators="both" if manner == "unmodified" else "none",
        edits=0.0,
        complete=False,
    )


def _among(chance: float, *shares: tuple[T, float]) -> T | None:
    """Return what *chance* falls to; None for the rest."""
    for name, share in shares:
        chance -= share
        if chance < 0:
            return name
    return None


def _awake(day: float, phase: float) -> float:
    """Return how many days' worth of posts there were until *day*."""
    whole, part = divmod(day + phase, 1.0)
    if part < NIGHT:
        return whole + part / NIGHT * NIGHT_POSTS
    return whole + NIGHT_POSTS + (part - NIGHT) / (1 - NIGHT) * (1 - NIGHT_POSTS)


def _awake_inverse(posts: float, phase: float) -> float:
    whole, part = divmod(posts, 1.0)
    if part < NIGHT_POSTS:
        return whole + part / NIGHT_POSTS * NIGHT - phase
    return (
        whole + NIGHT + (part - NIGHT_POSTS) / (1 - NIGHT_POSTS) * (1 - NIGHT) - phase
    )
