"""The feeds: asked in turn, read in worker processes, published.

One process watches as many feeds as anybody has: a feed is a few kilobytes of memory and a
place on the agenda, not a task. ``rss.parallel`` workers take from the agenda what is due.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import traceback

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType
from weakref import WeakValueDictionary

import msgspec
import structlog

from connectors.face import (
    Published,
    Refused,
    SourceStatus,
    log_fetch,
    patiently,
    pause,
    until_stopped,
)
from connectors.http import Document, HttpClient
from connectors.parsers import parsers
from connectors.rss.agenda import Agenda
from connectors.rss.archive import Archive
from connectors.rss.fulltext import Pages
from connectors.rss.health import after, tidings
from connectors.rss.healthbook import HealthBook
from connectors.rss.look import Look
from connectors.rss.outage import OURS, Outage
from connectors.rss.poll import FAULTS, Found, Question, Reader, ask, failed
from connectors.rss.reading import prepare
from connectors.rss.recovery import CHECKPOINT_S, Kept, Ledger
from connectors.rss.roster import Rolled, Roster
from connectors.rss.schedule import limits, pace
from connectors.rss.shard import Shard
from connectors.rss.watched import (
    Watched,
    brought_back,
    due_in_s,
    is_still_asked,
    now_s,
    watched,
)
from connectors.rss.websub import Hubs
from connectors.urls import host_of
from streams import clock
from streams.errors import FatalError, TransientError
from streams.log.face import Log
from streams.records import FeedHealth
from streams.settings import Settings
from streams.text import fingerprint


#: Feeds that are overdue at the start are asked so many a second, the liveliest first;
#: or faster, so that all of them come up within so long.
OVERDUE_PER_S = 50.0
OVERDUE_MAX_S = 60.0
#: Where a host asks for a pause without saying how long, and at most.
HOST_PAUSE_S = 60.0
HOST_PAUSE_MAX_S = 3_600.0
#: Of the time at most, for telling how the feeds do: 0.4 s for 100,000 of them.
STATUSES_SHARE = 0.05
#: Between two estimates of the pace, which moves slowly.
PACE_S = 60.0
#: In an outage of ours a feed is asked so often, to see whether it is over.
SOUND_S = 30.0
HINTS = MappingProxyType(
    {
        "tls": "does something stand in between: a login page, a proxy? is the clock right?",
        "not_a_feed": "does something stand in between: a login page, a proxy?",
    }
)
HINT = "no feed answers: is there a network?"
#: What may be written at the end, within the 2 s that stopping takes.
CLOSE_MAX_S = 1.0
#: Of the workers, what feeds with pages may take: they may wait a minute for them.
PAGES_SHARE = 0.5
#: After which such a feed comes up again, at least.
PAGES_LATER_S = 10.0
#: A feed at which we stumble is asked again after so long; so many in a row, with no
#: other poll in between, are not about the feeds: the process ends.
STUMBLED_S = 3_600.0
STUMBLES_MAX = 20

_log = structlog.get_logger()


class RssConnector:
    """Polls the feeds on the list; see :class:`connectors.face.Connector`.

    ``file`` is the configuration file, whose changes are followed.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        *,
        file: Path | None = None,
        checkpoint_s: float = CHECKPOINT_S,
    ) -> None:
        self._settings = settings
        self._shard = Shard.parse(settings.rss.shard)
        self._roster = Roster(settings, log, file=file)
        self._ledger = Ledger(log, self._shard, checkpoint_s=checkpoint_s)
        self._book = HealthBook(log)
        rss = settings.rss
        self._archive = (
            Archive(Path(rss.archive), rss.archive_days) if rss.archive else None
        )
        self._watched: dict[str, Watched] = {}
        self._agenda = Agenda()
        self._woken = asyncio.Event()
        #: Of the workers that have nothing to do one waits for what is due.
        self._turn = asyncio.Lock()
        #: Of feeds that are polled or delivered now: one at a time.
        self._alone: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._statuses: list[SourceStatus] = []
        self._statuses_good_s = 0.0
        self._limits = limits(settings.rss)
        self._rng = random.Random()  # noqa: S311 - spreads requests
        self._outage = Outage()
        #: Of the workers, those at a feed with pages.
        self._with_pages = 0
        #: Polls in a row that raised what nobody foresaw.
        self._stumbles = 0

    def statuses(self) -> list[SourceStatus]:
        """Return how each feed does: of very many feeds as it was some seconds ago."""
        began_s = now_s()
        if began_s >= self._statuses_good_s:
            now = clock.now()
            self._statuses = [
                one.status(now, began_s, self._agenda.paused_until(one.ident))
                for one in self._watched.values()
                if not one.leaving
            ]
            took_s = now_s() - began_s
            self._statuses_good_s = began_s + took_s / STATUSES_SHARE
        return self._statuses

    async def run(self, stop: asyncio.Event) -> None:
        """Poll until *stop* is set.

        Raises FatalError if the log or the pool is broken, or another process has taken
        over the shard; SettingsError if two feeds of the file have one id.
        """
        # What a long log takes to read holds up no end.
        await until_stopped(stop, [self._open(stop)])
        try:
            if not stop.is_set():
                await self._poll_all(stop)
        finally:
            await self._close()

    async def _open(self, stop: asyncio.Event) -> None:
        """Enter the feeds as they were left."""
        rolled = await self._first_list(stop)
        if rolled is None:
            return
        opening = partial(self._ledger.open, rolled)
        kept = await patiently(opening, stop, doing="reading the cursors")
        loading = partial(self._book.load, rolled)
        healths = await patiently(loading, stop, doing="reading how the feeds do")
        if kept is not None and healths is not None:
            self._join(rolled, kept, healths)
            failing = {one.host for one in self._failed_in_outage()}
            self._outage.resume(failing, {one.host for one in self._watched.values()})

    async def _first_list(self, stop: asyncio.Event) -> dict[str, Rolled] | None:
        """Return the feeds once there are any; None when *stop* is set before."""
        loading = "reading the list of feeds"
        rolled = await patiently(self._roster.load, stop, doing=loading)
        is_told = False
        while rolled is not None and not (held := self._held(rolled)):
            if not is_told:
                tell = _log.warning if rolled else _log.info
                tell("rss.no_feeds", shard=str(self._shard), listed=len(rolled))
                is_told = True
            rolled = await self._roster.changed(stop)
        return None if rolled is None else held

    async def _poll_all(self, stop: asyncio.Event) -> None:
        settings = self._settings
        processes = settings.rss.parsers or max(1, (os.cpu_count() or 1) // 2)
        self._stop = stop
        async with (
            HttpClient(settings.http, parallel=settings.rss.parallel) as http,
            parsers(
                settings.rss,
                processes,
                # Else the first answers wait for that, and die with us if we do.
                initializer=prepare,
                name="feeds",
            ) as pool,
        ):
            self._http = http
            self._reader = Reader(pool, Pages(http, pool, settings))
            self._hubs = Hubs(settings, http, self.deliver)
            for one in self._watched.values():
                if one.health.hub and not one.paused:
                    self._hubs.offer(one.ident, one.health.topic, one.health.hub)
            # What is under way at the end is asked again at the next start.
            await until_stopped(
                stop,
                [
                    *(self._work() for _ in range(settings.rss.parallel)),
                    self._follow(stop),
                    self._pace(stop),
                    self._sound(stop),
                    _lasting(self._ledger.run, stop),
                    _lasting(self._book.run, stop),
                    _lasting(self._hubs.run, stop),
                ],
            )

    async def _close(self) -> None:
        """Write what is known, if the log takes it soon; without it a feed is asked again."""
        if self._ledger.lost:
            return
        try:
            async with asyncio.timeout(CLOSE_MAX_S):
                await self._book.flush()
                await self._ledger.close()
        except (TransientError, TimeoutError) as error:
            _log.warning("rss.not_closed", error=str(error) or "the log is too slow")

    # -- the list ----------------------------------------------------------------------

    def _held(self, rolled: Mapping[str, Rolled]) -> dict[str, Rolled]:
        """Return those that this process reads."""
        if self._shard.total == 1:
            return dict(rolled)
        holds = self._shard.holds
        return {i: one for i, one in rolled.items() if holds(host_of(one.feed.url))}

    async def _follow(self, stop: asyncio.Event) -> None:
        while (rolled := await self._roster.changed(stop)) is not None:
            # Seconds for very many: not on the loop.
            held = await asyncio.to_thread(self._held, rolled)
            take_up = partial(self._take_up, held)
            await patiently(take_up, stop, doing="taking up the list of feeds")
        await stop.wait()

    async def _take_up(self, rolled: Mapping[str, Rolled]) -> bool:
        """Become what the list says: some feeds join, leave or change."""
        kept, healths = await self._recalled(rolled)
        joining = {i: one for i, one in rolled.items() if i not in self._watched}
        leaving = [ident for ident in self._watched if ident not in rolled]
        for ident in leaving:
            self._leave(self._watched[ident])
        now = clock.now()
        changed = [
            one
            for ident, one in self._watched.items()
            if ident in rolled and one.take_up(rolled[ident], now)
        ]
        for one in changed:
            self._book.note(one.health)
        self._schedule(changed)
        self._join(joining, kept, healths)
        self._watched = {i: self._watched[i] for i in rolled} | self._watched
        _log.info(
            "rss.list_taken_up",
            feeds=len(rolled),
            joined=len(joining),
            left=len(leaving),
            changed=len(changed),
        )
        return True

    async def _recalled(
        self, rolled: Mapping[str, Rolled]
    ) -> tuple[dict[str, Kept], dict[str, FeedHealth]]:
        """Return what is known of those of *rolled* that are not watched."""
        kept: dict[str, Kept] = {}
        healths: dict[str, FeedHealth] = {}
        recalled: set[str] = set()
        # Meanwhile the last poll of one that left may end: what it stored counts too.
        while joining := rolled.keys() - self._watched.keys() - recalled:
            kept |= await self._ledger.kept(joining)
            healths |= await self._book.load(joining)
            recalled |= joining
        return kept, healths

    def _join(
        self,
        rolled: Mapping[str, Rolled],
        kept: Mapping[str, Kept],
        healths: Mapping[str, FeedHealth],
    ) -> None:
        joining = {
            ident: watched(ident, one, kept.get(ident), healths.get(ident))
            for ident, one in rolled.items()
        }
        self._watched |= joining
        self._schedule(joining.values())

    def _leave(self, one: Watched) -> None:
        self._agenda.drop(one.ident)
        self._hubs.drop(one.ident)
        one.leaving = True
        if one.ident not in self._alone:
            del self._watched[one.ident]

    # -- the agenda --------------------------------------------------------------------

    def _schedule(self, some: Collection[Watched]) -> None:
        """Enter *some* feeds; those that are overdue not all at once."""
        now, mono_s = clock.now(), now_s()
        waits = [(due_in_s(one.health, now), one) for one in some]
        overdue = [one for wait_s, one in waits if not wait_s and not one.paused]
        overdue.sort(key=lambda one: (one.health.interval_s, self._rng.random()))
        for wait_s, one in waits:
            if one.paused:
                one.due_s = None
                self._agenda.drop(one.ident)
            elif wait_s:
                self._put(one, mono_s + wait_s)
        step_s = min(1 / OVERDUE_PER_S, OVERDUE_MAX_S / max(len(overdue), 1))
        for place, one in enumerate(overdue):
            self._put(one, mono_s + place * step_s)

    def _put(self, one: Watched, due_s: float) -> None:
        one.due_s = due_s
        self._agenda.put(one.ident, one.host, due_s)
        self._woken.set()

    async def _next(self) -> Watched:
        """Return the next feed to ask, when it is due; its host is busy from then on."""
        while (one := self._take()) is None:
            at = self._agenda.next_at()
            self._woken.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if at is None else at - now_s()):
                    await self._woken.wait()
        return one

    def _take(self) -> Watched | None:
        """Return a feed that is due; one with pages comes later if others wait for theirs."""
        most = max(1, round(self._settings.rss.parallel * PAGES_SHARE))
        while (ident := self._agenda.take(now_s())) is not None:
            one = self._watched[ident]
            if not one.feed.full_text or self._with_pages < most:
                return one
            self._agenda.done(ident, now_s())
            self._put(one, now_s() + PAGES_LATER_S * self._rng.uniform(1, 2))
        return None

    def _free(self, one: Watched) -> None:
        """Let the host be asked again."""
        self._agenda.done(one.ident, now_s(), self._settings.rss.host_gap_s)
        self._woken.set()

    async def _pace(self, stop: asyncio.Event) -> None:
        """Keep the pace at which all feeds together are asked as often as is wanted."""
        stopped = False
        while not stopped:
            by_rate = [
                one.health
                for one in self._watched.values()
                if not (one.paused or one.feed.interval_s or one.health.hub_until)
                and one.health.state not in {"parked", "gone"}
            ]
            # A quarter of a second for very many: not on the loop.
            found = await asyncio.to_thread(pace, by_rate, self._limits)
            self._limits = self._limits._replace(pace=found)
            stopped = await pause(stop, PACE_S)

    # -- a poll ------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            async with self._turn:
                one = await self._next()
                has_pages = one.feed.full_text
                self._with_pages += has_pages
            try:
                async with self._only(one):
                    with ExitStack() as host:
                        host.callback(self._free, one)
                        await self._poll(one, host)
                    self._stumbles = 0
            finally:
                self._with_pages -= has_pages

    @asynccontextmanager
    async def _only(self, one: Watched) -> AsyncIterator[None]:
        """One at a time reads a feed: a poll, or what a hub delivers.

        What it raises, unless that is fatal, is a fault of ours, and costs this feed.
        """
        lock = self._alone.setdefault(one.ident, asyncio.Lock())
        async with lock:
            try:
                yield
            except FatalError:
                raise
            except Exception as error:  # noqa: BLE001 - else one feed would stop them all
                self._stumble(one, error)
            finally:
                # Another of its name may have joined meanwhile.
                if one.leaving and self._watched.get(one.ident) is one:
                    del self._watched[one.ident]

    def _stumble(self, one: Watched, error: Exception) -> None:
        """Put a feed aside for a while, and say so; raise *error* if all are like it."""
        self._stumbles += 1
        if self._stumbles >= STUMBLES_MAX:
            raise error
        name = type(error).__name__
        # What the error says may hold the feed's password.
        at = "".join(traceback.format_tb(error.__traceback__))
        _log.error("rss.stumbled", source=one.ident, error=name, at=at)
        if one.leaving or one.paused:
            return
        now, later = clock.now(), timedelta(seconds=STUMBLED_S)
        one.state = "failing"
        one.health = msgspec.structs.replace(
            one.health,
            state="failing",
            because=f"a fault of ours: {name}; the line rss.stumbled says where",
            failure="parser",
            next_poll=now + later,
            updated=now,
        )
        self._book.note(one.health)
        self._put(one, now_s() + STUMBLED_S)

    async def _poll(self, one: Watched, host: ExitStack) -> None:
        question = one.question(clock.now())
        with host:
            found = await self._asked(question, host)
        look = self._judged(one, question, found.look)
        found = found._replace(look=look)
        if is_still_asked(one, question):
            await self._settle(one, question, found)
        elif not (one.leaving or one.paused):
            self._put(one, now_s())

    def _judged(self, one: Watched, question: Question, look: Look) -> Look:
        """Return *look*, which may have failed in an outage of ours: then it says so.

        When that is over those that failed in it are asked.
        """
        kind = look.failure.kind if look.failure else None
        begins = not one.health.failed_in_a_row
        said = self._outage.note(host_of(question.url), kind, begins=begins)
        if look.failure and said == "begun":
            _log.warning(
                "rss.nothing_answers",
                hint=HINT,
                failure=kind,
                error=look.failure.message,
            )
        elif said == "over":
            failed = self._failed_in_outage()
            self._ask_now(failed)
            _log.warning("rss.answered_again", asked_now=len(failed))
        return look._replace(ours=self._outage.is_on)

    def _ask_now(self, some: Collection[Watched]) -> None:
        for one in some:
            one.health = msgspec.structs.replace(one.health, next_poll=None)
        self._schedule(some)

    async def _sound(self, stop: asyncio.Event) -> None:
        """While an outage of ours lasts, see now and then whether it is over."""
        while not await pause(stop, SOUND_S):
            if self._outage.is_on and (failing := self._failed_in_outage()):
                self._ask_now([self._rng.choice(failing)])

    def _failed_in_outage(self) -> list[Watched]:
        return [
            one
            for one in self._watched.values()
            if one.health.state == "failing"
            and one.health.failure in OURS
            and not (one.leaving or one.paused)
        ]

    async def _asked(self, question: Question, host: ExitStack) -> Found:
        """Ask and read; *host* is free (closed) when it has answered.

        Where the pages of its entries are read too, they most likely lie with the same
        host, which then is free after those.
        """
        try:
            answer = await ask(self._http, question)
            if not question.full_text:
                host.close()
            return await self._reader.read(question, answer, clock.now())
        except FAULTS as error:
            found = failed(question, error, clock.now())
            self._leave_alone(question, found)
            return found

    def _leave_alone(self, question: Question, found: Found) -> None:
        """Pause a host that asks for it; what else fails is no matter of the host."""
        failure = found.look.failure
        if failure is None or failure.kind != "slow_down":
            return
        host = host_of(question.url)
        wait_s = min(failure.retry_after_s or HOST_PAUSE_S, HOST_PAUSE_MAX_S)
        self._agenda.host_pause(host, now_s() + wait_s)
        until = found.look.at + timedelta(seconds=wait_s)
        _log.info(
            "rss.host_rests",
            host=host,
            until=until.isoformat(timespec="seconds"),
            source=question.about.source.id,
            error=failure.message,
        )

    async def deliver(self, ident: str, document: Document) -> None:
        """Take what a hub delivers: the feed *ident*, or what is new in it."""
        one = self._watched.get(ident)
        if one is None or one.paused or one.leaving:
            return
        async with self._only(one):
            question = one.question(clock.now())._replace(probe=False)
            try:
                found = await self._reader.read(
                    question, document, clock.now(), pushed=True
                )
            except FAULTS as error:
                # Whoever the hub is, it says nothing about the feed's own server.
                _log.warning("rss.delivery_unusable", source=ident, error=str(error))
                return
            if is_still_asked(one, question):
                await self._settle(one, question, found)

    async def _settle(self, one: Watched, question: Question, found: Found) -> None:
        """Store what a poll gave, and only then what it says about the feed."""
        published = await self._publish(one, found)
        if not published.complete:
            return
        if self._archive and found.items and found.document:
            await self._archive.keep(found.document, question.about, found.look.at)
        one.count(found.look, published=len(found.items), known=found.known)
        for refused in published.refused:
            one.count_refused(refused.kind)
        if not is_still_asked(one, question):
            return
        if (found.document or found.hub) and not found.look.pushed:
            self._hubs.offer(one.ident, found.topic or question.url, found.hub)
            if found.look.new:
                self._hubs.missed(one.ident)
        self._learn(one, found.look._replace(refused=len(published.refused)))
        _tell(one, found, published)

    async def _publish(self, one: Watched, found: Found) -> Published:
        if found.entries is None:
            return Published((), (), complete=True)
        faults = found.refused
        before = one.kept
        kept = Kept(
            entries=found.entries,
            refused=fingerprint(*faults) if faults else "",
            url=fingerprint(one.feed.url),
        )
        refused = [] if kept.refused == before.refused else _letters(one, found)
        published = await self._ledger.publish(
            one.ident,
            found.items,
            before=before,
            after=kept,
            refused=refused,
            stop=self._stop,
        )
        if published.complete:
            one.kept = kept
        return published

    def _learn(self, one: Watched, look: Look) -> None:
        """Let the feed's health know of *look*, and its next poll follow from that."""
        until = self._hubs.until(one.ident)
        topic, hub = self._hubs.subscription(one.ident)
        before = msgspec.structs.replace(
            one.health, hub_until=until, topic=topic, hub=hub
        )
        with_own = self._limits._replace(own_s=one.feed.interval_s)
        judged = after(before, look, with_own, self._rng)
        health = brought_back(judged, one.feed.url, look.at)
        said = tidings(before, health)
        if health is not judged:
            said.append(
                f"where it had moved to it is {judged.state} ({judged.because}): it is "
                "asked at the address that you gave"
            )
        for each in said:
            _log.warning("rss.feed", source=one.ident, said=each)
        one.health = health
        self._book.note(health, soon=look.gap)
        wait_s = (health.next_poll - look.at).total_seconds() if health.next_poll else 0
        self._put(one, now_s() + max(wait_s, 0.0))


def _letters(one: Watched, found: Found) -> list[Refused]:
    """Return what of the document is refused."""
    body = found.document.body if found.document else b""
    name = hashlib.sha256(body).hexdigest()
    return [Refused(one.ident, "broken", why, name, len(body)) for why in found.refused]


def _tell(one: Watched, found: Found, published: Published) -> None:
    """Write the one line of a poll."""
    look, health = found.look, one.health
    if look.failure is not None:
        again = look.ours or health.failed_in_a_row > 1
        tell = _log.info if again else _log.warning
        tell(
            "rss.failed",
            source=one.ident,
            failure=look.failure.kind,
            failures=health.failed_in_a_row,
            error=look.failure.message,
        )
    elif found.document is None:
        _log.debug("rss.unchanged", source=one.ident, because=look.outcome)
    else:
        log_fetch(
            "rss",
            one.ident,
            entries=len(found.items) + found.known + len(published.refused),
            known=found.known,
            published=published,
            detail={"bytes": len(found.document.body)},
        )


async def _lasting(
    run: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Run what may end on its own: that ends nothing else."""
    await run(stop)
    await stop.wait()
