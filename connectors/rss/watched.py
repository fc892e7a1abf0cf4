"""One feed as the connector holds it in memory: small, since there are many."""

from __future__ import annotations

import time

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from connectors.face import SourceStatus
from connectors.rss.health import fresh, wants_probe
from connectors.rss.look import Look
from connectors.rss.poll import Question
from connectors.rss.recovery import Kept
from connectors.rss.roster import Rolled
from connectors.rss.subscription import subscription
from connectors.urls import host_of, public_url
from streams import clock
from streams.records import FeedHealth
from streams.settings import Feed
from streams.text import fingerprint


State = Literal["waiting", "fresh", "unchanged", "failing"]
#: What a look counts as, and how the feed then is, by its outcome.
COUNTED: dict[str, tuple[Literal["new", "unchanged", "failed"], State]] = {
    "new": ("new", "fresh"),
    "known": ("unchanged", "unchanged"),
    "same": ("unchanged", "unchanged"),
    "unmodified": ("unchanged", "unchanged"),
    "failed": ("failed", "failing"),
}


@dataclass(slots=True, eq=False)
class Watched:
    """One feed, and what is known of it."""

    ident: str
    feed: Feed
    paused: bool
    kept: Kept
    health: FeedHealth
    #: By the monotonic clock; None: not before something changes.
    due_s: float | None = None
    #: It is off the list, and its last poll is under way.
    leaving: bool = False
    #: Since the connector was started.
    state: State = "waiting"
    published: int = 0
    refused: int = 0
    known: int = 0
    looks: dict[str, int] | None = None
    refusals: dict[str, int] | None = None

    @property
    def url(self) -> str:
        """Where it is asked: as configured, or where it has moved for good."""
        has_moved = self.health.url != public_url(self.feed.url)
        return self.health.url if has_moved else self.feed.url

    @property
    def host(self) -> str:
        """Whose turn it takes when it is asked."""
        return host_of(self.url)

    def question(self, now: datetime) -> Question:
        """Return what it is asked now."""
        health = self.health
        return Question(
            url=self.url,
            about=subscription(self.feed),
            entries=self.kept.entries,
            etag=health.etag,
            last_modified=health.last_modified,
            body=health.body,
            due=health.next_poll or now,
            probe=wants_probe(health, now),
            full_text=self.feed.full_text,
        )

    def take_up(self, rolled: Rolled, now: datetime) -> bool:
        """Become what the list says; return whether it may be asked at another time."""
        before = (self.feed, self.paused, self.leaving)
        after = (rolled.feed, rolled.paused, False)
        held, self.health = self.health, revived(self.health, rolled)
        if before == after and self.health is held:
            return False
        self.feed, self.paused, self.leaving = after
        if before[0].url != rolled.feed.url:
            self.health = elsewhere(self.health, rolled.feed.url, now)
        if before[0].interval_s != rolled.feed.interval_s:
            self.health = msgspec.structs.replace(self.health, next_poll=None)
        if before[1] != rolled.paused:
            state: Literal["paused", "waiting"] = (
                "paused" if rolled.paused else "waiting"
            )
            self.health = msgspec.structs.replace(
                self.health, state=state, next_poll=None, updated=now
            )
        return True

    def count(self, look: Look, *, published: int, known: int) -> None:
        """Take note of a look for :meth:`status`."""
        counted, self.state = COUNTED[look.outcome]
        looks = self.looks = self.looks or {}
        looks[counted] = looks.get(counted, 0) + 1
        self.published += published
        self.known += known

    def count_refused(self, kind: str) -> None:
        """Take note of a refusal for :meth:`status`."""
        refusals = self.refusals = self.refusals or {}
        refusals[kind] = refusals.get(kind, 0) + 1
        self.refused += 1

    def status(
        self, now: datetime, now_s: float, paused_until_s: float
    ) -> SourceStatus:
        """Return how it does; ``paused_until_s`` is when its host may be asked again."""
        health = self.health
        due = None
        if self.due_s is not None and not self.paused:
            due = now + timedelta(seconds=max(self.due_s, paused_until_s) - now_s)
        lasting = health.state in {"parked", "gone", "paused"}
        return SourceStatus(
            connector="rss",
            id=self.ident,
            name=self.feed.name or self.ident,
            state=health.state if lasting else self.state,
            last_good=health.good,
            published=self.published,
            refused=self.refused,
            last_error=health.because,
            looks=self.looks or {},
            known=self.known,
            refusals=self.refusals or {},
            due=due,
            lateness_s=health.lateness_s,
            resting=paused_until_s > now_s and not self.paused,
        )


def watched(
    ident: str, rolled: Rolled, kept: Kept | None, health: FeedHealth | None
) -> Watched:
    """Return the feed as it was left; validators count with what they were for alone."""
    now = clock.now()
    feed = rolled.feed
    url = public_url(feed.url)
    health = health or fresh(ident, url, now)
    if kept is None:
        health = msgspec.structs.replace(health, etag="", last_modified="", body="")
    is_known = kept and kept.url == fingerprint(feed.url)
    if health.url != url and not is_known:
        health = elsewhere(health, feed.url, now)
    if health.hub_until is not None:
        # Subscriptions end with their process: what a hub could not deliver is asked for.
        health = msgspec.structs.replace(health, hub_until=None, next_poll=None)
    if health.state == "paused" and not rolled.paused:
        health = msgspec.structs.replace(health, state="waiting", next_poll=None)
    health = revived(health, rolled)
    return Watched(ident, feed, rolled.paused, kept or Kept(), health)


def revived(health: FeedHealth, rolled: Rolled) -> FeedHealth:
    """Return *health*; of a feed that is at rest, and resumed since, so that it is asked."""
    if health.state not in {"parked", "gone"} or rolled.paused:
        return health
    if rolled.said is None or health.polled is None or rolled.said <= health.polled:
        return health
    told = tuple(one for one in health.told if one not in {"parked", "gone"})
    return msgspec.structs.replace(
        health,
        state="waiting",
        failures=0.0,
        failed_in_a_row=0,
        next_poll=None,
        told=told,
        updated=rolled.said,
    )


def brought_back(health: FeedHealth, url: str, now: datetime) -> FeedHealth:
    """Return *health*; of a feed that is at rest where it had moved to, at *url* again.

    That is what the user gives: there the move may have been undone.
    """
    if health.state not in {"parked", "gone"} or health.url == public_url(url):
        return health
    return elsewhere(health, url, now)


def elsewhere(health: FeedHealth, url: str, now: datetime) -> FeedHealth:
    """Return *health* for the address that the user gives now: it is asked at once."""
    anew = fresh(health.source, public_url(url), now)
    return msgspec.structs.replace(
        anew,
        title=health.title,
        daily=health.daily,
        habit=health.habit,
        good=health.good,
        fresh=health.fresh,
        polls=health.polls,
        polls_new=health.polls_new,
        published=health.published,
        edited=health.edited,
        withdrawn=health.withdrawn,
        refused=health.refused,
        gaps=health.gaps,
    )


def due_in_s(health: FeedHealth, now: datetime) -> float:
    """Return the seconds until the feed is to be asked; 0 where that is over.

    Never more than was meant when it was asked last: the clock may have gone back.
    """
    if health.next_poll is None:
        return 0.0
    wait_s = (health.next_poll - now).total_seconds()
    if health.polled is not None:
        wait_s = min(wait_s, (health.next_poll - health.polled).total_seconds())
    return max(wait_s, 0.0)


def is_still_asked(one: Watched, question: Question) -> bool:
    """Whether what *question* brings is still wanted."""
    return not (one.leaving or one.paused) and one.url == question.url


def now_s() -> float:
    """Return the time by which feeds are due: it never jumps."""
    return time.monotonic()
