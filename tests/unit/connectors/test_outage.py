"""An outage of ours is told from those of others."""

from __future__ import annotations

import pytest

from connectors.failures import FailureKind
from connectors.rss.outage import HOSTS_MIN, Outage


HOSTS = [f"h{number}.example" for number in range(3 * HOSTS_MIN)]


def begun() -> Outage:
    outage = Outage()
    said = [outage.note(host, "dns", begins=True) for host in HOSTS[:HOSTS_MIN]]
    assert said == [""] * (HOSTS_MIN - 1) + ["begun"]
    return outage


@pytest.mark.parametrize("answer", [None, "not_found", "slow_down"])
def test_it_begins_and_is_over_once_each(answer: FailureKind | None) -> None:
    outage = begun()
    assert outage.note(HOSTS[-1], "dns", begins=True) == ""
    assert outage.note(HOSTS[-1], answer, begins=False) == "over"
    assert outage.note(HOSTS[-1], answer, begins=True) == ""
    assert outage.note(HOSTS[-1], "dns", begins=True) == ""


@pytest.mark.parametrize("kind", ["tls", "not_a_feed"])
def test_a_login_page_for_all_feeds_is_an_outage_of_ours(kind: FailureKind) -> None:
    outage = Outage()
    said = [outage.note(host, kind, begins=True) for host in HOSTS[:HOSTS_MIN]]
    assert said[-1] == "begun"
    assert outage.is_on


def test_feeds_of_one_host_are_its_own_matter() -> None:
    outage = Outage()
    said = {outage.note(HOSTS[0], "server", begins=True) for _ in HOSTS}
    assert said == {""}


def test_hosts_that_fail_among_others_that_answer_are_no_outage() -> None:
    outage = Outage()
    for number, host in enumerate(HOSTS):
        assert outage.note(host, "timeout", begins=True) == ""
        if number % (HOSTS_MIN - 1) == 0:
            assert outage.note("good.example", None, begins=True) == ""


def test_a_list_of_dead_feeds_is_no_outage_however_often_they_are_asked() -> None:
    outage = Outage()
    for _ in range(3):
        assert {outage.note(host, "dns", begins=False) for host in HOSTS} == {""}
        assert outage.note("good.example", None, begins=True) == ""


def test_an_outage_outlives_a_restart() -> None:
    outage = Outage()
    outage.resume(HOSTS[1:], HOSTS)
    assert outage.note(HOSTS[0], None, begins=True) == "over"
    outage.resume(HOSTS[:HOSTS_MIN], HOSTS)
    assert outage.note(HOSTS[-1], None, begins=True) == ""
