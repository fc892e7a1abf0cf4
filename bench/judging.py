"""What was to be seen of a simulated internet against what came of it. Pure.

A *text* is an entry in one revision. One that stood in an answer must be on
``items.raw`` once; one that no answer showed cannot be, and the feed's gap counter
should know of it. An answer to a process that was killed a moment later may have died
with it, if it was the last one of its feed and the process did not say that it was
stored: what only such an answer showed is told apart.
"""

from __future__ import annotations

import math

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from bench.internet import Poll, Said
from bench.world import BEGIN, Fault, Feed, Shown, World


#: What goes wrong, and yet the feed is shown.
SHOWING: frozenset[Fault] = frozenset({"", "moved", "found", "slow", "broken"})
#: Feeds that are asked again at one interval.
SAMPLE = 1_000


@dataclass
class Arrived:
    """What is on ``items.raw``."""

    #: By feed: how often each text is there, and how often each entry was withdrawn.
    texts: dict[int, Counter[Shown]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    withdrawn: dict[int, Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )


@dataclass
class Verdict:
    """What became of the texts of all feeds; lists name those that should not be."""

    #: Of the day, and those that stood in the feeds when it began and were shown.
    published: int = 0
    arrived: int = 0
    #: Texts that no answer showed: their entry had left the feed between two answers, or
    #: been edited again or taken back; or the feed had not answered yet, or no more.
    missed: int = 0
    overwritten: int = 0
    out_of_reach: int = 0
    #: Of those missed, how many in feeds of which the connector counted all gaps.
    missed_counted: int = 0
    #: Shown only to a process that was ended: by how many days it came before that.
    died: list[float] = field(default_factory=list)
    withdrawals: int = 0
    #: Polls before which entries were missed, what the connector counted, and in how
    #: many feeds the two agree.
    gaps: int = 0
    gaps_counted: int = 0
    gaps_found: int = 0
    #: Polls that had nothing in common with the one before, and yet nothing was missed:
    #: whoever does not know the feed cannot tell them from gaps.
    alike: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    #: Nobody ever showed it.
    invented: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is there that should not, and nothing is missing."""
        return not (self.lost or self.twice or self.invented)


def judge(
    world: World,
    polls: Iterable[Poll],
    arrived: Arrived,
    gaps: Mapping[int, int],
    *,
    ends: float,
    interrupted: Iterable[tuple[float, float]] = (),
    stored: Mapping[int, Sequence[float]] = MappingProxyType({}),
) -> Verdict:
    """Return what became of what *world* published until day *ends*.

    ``gaps`` is what the connector counted by feed; ``interrupted`` are the spans of days
    whose answers may have died with their process; ``stored`` is when it said by feed,
    in order, that what an answer brought was on the log.
    """
    spans = tuple(interrupted)
    answers: defaultdict[int, list[float]] = defaultdict(list)
    asked: defaultdict[int, list[float]] = defaultdict(list)
    for poll in polls:
        asked[poll.feed].append(poll.day)
        if poll.said == Said.SHOWN:
            answers[poll.feed].append(poll.day)
    verdict = Verdict()
    for number in range(world.feeds):
        # A feed is not asked again before what its last answer brought is stored.
        over = (asked[number], stored.get(number, ()))
        _judge_feed(
            _History(world, world.feed(number), answers[number], spans, over),
            verdict,
            arrived,
            ends,
            gaps.get(number, 0),
        )
    return verdict


class _History:
    """What the answers of one feed showed."""

    def __init__(
        self,
        world: World,
        feed: Feed,
        days: list[float],
        spans: tuple[tuple[float, float], ...],
        over: tuple[Sequence[float], Sequence[float]],
    ) -> None:
        self.world, self.feed = world, feed
        self.safe: set[Shown] = set()
        #: What was shown shortly before an end: how shortly.
        self.risky: dict[Shown, float] = {}
        #: Entries of a complete feed that had been there and were no more, for sure, and
        #: perhaps.
        self.withdrawn: set[int] = set()
        self.vanished: set[int] = set()
        self.last = days[-1] if days else -math.inf
        self.gaps = self.alike = 0
        newest = -1
        for day in days:
            shown = set(world.shown(feed, day))
            numbers = {one.number for one in shown}
            if feed.complete:
                self.vanished |= self.numbers - numbers
            elif numbers and newest >= 0:
                self.gaps += newest < min(numbers) - 1
                self.alike += newest == min(numbers) - 1
            newest = max({newest} | numbers)
            left = next(
                (
                    end - day
                    for since, end in spans
                    if since <= day <= end
                    and not any(_any_between(days, day, end) for days in over)
                ),
                None,
            )
            if left is not None:
                self.risky |= dict.fromkeys(shown, left)
                continue
            if feed.complete:
                self.withdrawn |= {one.number for one in self.safe} - numbers
            self.safe |= shown

    @property
    def texts(self) -> set[Shown]:
        """All that was shown."""
        return self.safe | self.risky.keys()

    @property
    def numbers(self) -> set[int]:
        """The entries that were shown."""
        return {one.number for one in self.texts}


def _any_between(days: Sequence[float], since: float, until: float) -> bool:
    """Whether one of *days*, in order, is after *since* and not after *until*."""
    place = bisect_right(days, since)
    return place < len(days) and days[place] <= until


def _judge_feed(
    history: _History, verdict: Verdict, arrived: Arrived, ends: float, counted: int
) -> None:
    feed, seen = history.feed, history.texts
    texts = arrived.texts[feed.number]
    published = set(_published(history.world, feed, ends))
    verdict.published += len(published | seen)
    verdict.arrived += sum(1 for one in texts if one in seen)
    for one in sorted(seen | texts.keys()):
        name = f"f{feed.number}/e{one.number}/r{one.revision}"
        if one not in seen:
            verdict.invented.append(name)
        elif texts[one] > 1:
            verdict.twice.append(f"{name} x{texts[one]}")
        elif not texts[one] and one in history.safe:
            verdict.lost.append(name)
        elif not texts[one]:
            verdict.died.append(history.risky[one])
    _unseen(history, verdict, published - seen, counted)
    _withdrawals(history, verdict, arrived.withdrawn[feed.number])
    verdict.gaps += history.gaps
    verdict.alike += history.alike
    verdict.gaps_counted += counted
    verdict.gaps_found += min(history.gaps, counted)


def _published(world: World, feed: Feed, ends: float) -> Iterable[Shown]:
    """Yield the texts that came to be in the day."""
    first = max(0, world.newest(feed, BEGIN) - feed.window)
    for entry in range(first, world.newest(feed, ends) + 1):
        moments = (world.published(feed, entry), *world.edited(feed, entry))
        for revision, moment in enumerate(moments):
            if BEGIN < moment <= ends:
                yield Shown(entry, revision)


def _unseen(
    history: _History, verdict: Verdict, unseen: set[Shown], counted: int
) -> None:
    """Say why no answer showed *unseen*."""
    world, feed, numbers = history.world, history.feed, history.numbers
    for one in unseen:
        moments = (world.published(feed, one.number), *world.edited(feed, one.number))
        if moments[one.revision] > history.last or one.number < min(numbers):
            verdict.out_of_reach += 1
        elif one.number in numbers or world.retracted(feed, one.number) < history.last:
            verdict.overwritten += 1
        else:
            verdict.missed += 1
            verdict.missed_counted += counted >= history.gaps


def _withdrawals(history: _History, verdict: Verdict, withdrawn: Counter[int]) -> None:
    verdict.withdrawals += len(withdrawn)
    for entry in sorted(history.withdrawn | withdrawn.keys()):
        name = f"f{history.feed.number}/e{entry} withdrawn"
        if entry not in history.vanished:
            verdict.invented.append(name)
        elif withdrawn[entry] > 1:
            verdict.twice.append(name)
        elif not withdrawn[entry]:
            verdict.lost.append(name)


class News(NamedTuple):
    """Shares of the polls that brought a text that no poll before them had brought."""

    found: float
    #: Had each feed been asked as often in all, at one interval for all.
    at_one_interval: float


def news(world: World, polls: Iterable[Poll], *, ends: float) -> News:
    """Return what the polls were worth; the first of each feed do not count."""
    answers: defaultdict[int, list[float]] = defaultdict(list)
    asked = brought = 0
    for poll in polls:
        asked += poll.said != Said.REDIRECT
        if poll.said == Said.SHOWN:
            answers[poll.feed].append(poll.day)
    for number, days in answers.items():
        brought += _fresh(world, world.feed(number), days)
    asked = max(1, asked - len(answers))
    each = max(1, round(asked / world.feeds))
    regular = [BEGIN + (ends - BEGIN) / each * turn for turn in range(each + 1)]
    sample = [world.feed(n) for n in range(0, world.feeds, 1 + world.feeds // SAMPLE)]
    would = sum(
        _fresh(world, feed, _answering(world, feed, regular)) for feed in sample
    )
    return News(brought / asked, would / (each * len(sample)))


def _answering(world: World, feed: Feed, days: list[float]) -> list[float]:
    """Return on which of *days* a look would have shown what the feed has."""
    if feed.validators == "lying":
        return days[:1]
    return [day for day in days if world.fault(feed, day) in SHOWING]


def _fresh(world: World, feed: Feed, days: list[float]) -> int:
    """Return how many of the looks at *days*, but for the first, show a new text."""
    seen: set[Shown] = set()
    fresh = -1
    for day in days:
        shown = set(world.shown(feed, day))
        fresh += not shown <= seen or not seen
        seen |= shown
    return max(0, fresh)
