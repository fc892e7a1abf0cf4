"""Which feed is asked next: one at a time per host, none forgotten, all hosts alike."""

from __future__ import annotations

import random

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectors.rss.agenda import SLACK, Agenda


FEEDS = st.sampled_from([f"f{number}" for number in range(8)])
HOSTS = st.sampled_from(["a.example", "b.example", "c.example"])
DELAYS = st.sampled_from([0.0, 0.5, 1.0, 7.0, 60.0])


class Agendas(RuleBasedStateMachine):
    """An agenda beside a plain model of it: put, drop, take, done in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.agenda = Agenda()
        self.now_s = 0.0
        self.waiting: dict[str, tuple[str, float]] = {}
        self.later: dict[str, tuple[str, float]] = {}
        self.running: dict[str, str] = {}
        self.free: dict[str, float] = {}

    @rule(ident=FEEDS, host=HOSTS, delay_s=DELAYS)
    def put(self, ident: str, host: str, delay_s: float) -> None:
        self.agenda.put(ident, host, self.now_s + delay_s)
        place = self.later if ident in self.running else self.waiting
        place[ident] = (host, self.now_s + delay_s)

    @rule(ident=FEEDS)
    def drop(self, ident: str) -> None:
        self.agenda.drop(ident)
        self.waiting.pop(ident, None)
        self.later.pop(ident, None)

    @rule(host=HOSTS, delay_s=DELAYS)
    def pause(self, host: str, delay_s: float) -> None:
        self.agenda.host_pause(host, self.now_s + delay_s)
        self.free[host] = max(self.free.get(host, 0.0), self.now_s + delay_s)

    @rule(delay_s=DELAYS)
    def wait(self, delay_s: float) -> None:
        self.now_s += delay_s

    @rule()
    def take(self) -> None:
        ident = self.agenda.take(self.now_s)
        takeable = self.takeable()
        if ident is None:
            assert not takeable
            return
        assert ident in takeable
        host, due_s = self.waiting.pop(ident)
        others = [due for where, due in self.waiting.values() if where == host]
        assert due_s <= min(others, default=due_s)
        self.running[ident] = host

    @precondition(lambda self: self.running)
    @rule(data=st.data(), gap_s=DELAYS)
    def done(self, data: st.DataObject, gap_s: float) -> None:
        ident = data.draw(st.sampled_from(sorted(self.running)))
        self.agenda.done(ident, self.now_s, gap_s=gap_s)
        host = self.running.pop(ident)
        self.free[host] = max(self.free.get(host, 0.0), self.now_s + gap_s)
        if later := self.later.pop(ident, None):
            self.waiting[ident] = later

    @invariant()
    def never_two_of_a_host_at_once(self) -> None:
        hosts = list(self.running.values())
        assert len(hosts) == len(set(hosts))

    @invariant()
    def it_says_when_the_next_can_be_taken(self) -> None:
        assert self.agenda.next_at() == min(
            (
                max(due_s, self.free.get(host, 0.0))
                for host, due_s in self.waiting.values()
                if host not in self.running.values()
            ),
            default=None,
        )

    @invariant()
    def it_counts_what_waits(self) -> None:
        assert len(self.agenda) == len(self.waiting)

    def takeable(self) -> set[str]:
        return {
            ident
            for ident, (host, due_s) in self.waiting.items()
            if due_s <= self.now_s
            and self.free.get(host, 0.0) <= self.now_s
            and host not in self.running.values()
        }


TestAgendas = Agendas.TestCase


@given(st.integers(0, 2**32))
def test_one_connection_at_a_time_per_host_and_a_polite_rate(seed: int) -> None:
    rng = random.Random(seed)
    agenda, now_s, gap_s = Agenda(), 0.0, 1.0
    for number in range(30):
        agenda.put(f"f{number}", f"h{rng.randrange(3)}", rng.uniform(0, 5))
    hosts = {ident: host for ident, (host, _) in agenda._feeds.items()}
    asked: dict[str, float] = {}
    taken = 0
    while (moment := agenda.next_at()) is not None:
        now_s = max(now_s, moment)
        ident = agenda.take(now_s)
        assert ident is not None
        host = hosts[ident]
        assert now_s >= asked.get(host, -gap_s) + gap_s
        now_s += rng.uniform(0, 0.2)
        agenda.done(ident, now_s, gap_s=gap_s)
        asked[host] = now_s
        taken += 1
    assert taken == 30


def test_a_host_of_10_000_feeds_does_not_delay_others() -> None:
    agenda = Agenda()
    for number in range(10_000):
        agenda.put(f"big{number}", "big.example", 0.0)
    for number in range(50):
        agenda.put(f"small{number}", f"h{number}.example", 1.0)
    now_s, rounds = 2.0, Counter[str]()
    for _ in range(100):
        ident = agenda.take(now_s)
        assert ident is not None
        rounds["big" if ident.startswith("big") else "small"] += 1
        agenda.done(ident, now_s, gap_s=0.0)
        now_s += 0.01
        if rounds["small"] == 50:
            break
    # All of the others had their turn, and the host with many had some too.
    assert rounds["small"] == 50
    assert 1 <= rounds["big"] <= 50


def test_no_due_feed_starves_while_others_of_its_host_come_back_at_once() -> None:
    agenda = Agenda()
    for number in range(20):
        agenda.put(f"f{number}", "a.example", float(number))
    seen: set[str] = set()
    now_s = 100.0
    for _ in range(20):
        ident = agenda.take(now_s)
        assert ident is not None
        seen.add(ident)
        agenda.done(ident, now_s)
        agenda.put(ident, "a.example", now_s)
        now_s += 1
    assert len(seen) == 20


def test_a_feed_that_is_asked_is_not_asked_a_second_time_under_another_host() -> None:
    agenda = Agenda()
    agenda.put("f", "a.example", 0.0)
    assert agenda.take(0.0) == "f"
    agenda.put("f", "b.example", 0.0)
    assert agenda.take(0.0) is None
    agenda.done("f", 1.0)
    assert agenda.take(1.0) == "f"


def test_a_feed_moved_for_ever_takes_no_more_memory() -> None:
    agenda = Agenda()
    for number in range(10_000):
        agenda.put("f", "a.example", float(-number))
        agenda.put("g", f"h{number % 3}.example", float(number))
    assert sum(len(host.waiting) for host in agenda._hosts.values()) < 10 * SLACK
    assert len(agenda._ready) < 10 * SLACK


def test_hosts_whose_feeds_have_gone_are_forgotten_and_their_pauses_are_not() -> None:
    agenda = Agenda()
    agenda.host_pause("slow.example", 1e6)
    for number in range(1_000):
        agenda.put(f"f{number}", f"h{number}.example", float(number))
        assert agenda.take(float(number)) == f"f{number}"
        agenda.done(f"f{number}", float(number), gap_s=5.0)
    assert len(agenda._hosts) < 50
    agenda.put("late", "slow.example", 1_000.0)
    agenda.put("soon", "h999.example", 1_000.0)
    assert agenda.next_at() == 1_004.0
    assert agenda.take(1_004.0) == "soon"
    assert agenda.take(1_004.0) is None
