"""What machines that watch are told: names, values, readiness, addresses."""

from __future__ import annotations

import re
import time

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from connectors.face import SourceStatus
from streams.errors import AddressError
from streams.monitor.metrics import METRICS, Metrics, registry
from streams.monitor.server import Address, address, monitored
from streams.monitor.sources import EACH_MAX
from streams.monitor.standing import OpenLetters, Standing
from streams.monitor.summary import summed_up
from streams.monitor.watched import (
    BUSY_MAX_S,
    OVERDUE_MAX_S,
    WAITING_MAX_S,
    Watched,
    degraded,
    unready,
)
from streams.settings import Monitor, Settings
from streams.stage import Progress
from streams.tally import Tally


ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


class Feeds:
    """A connector that says what it is told to."""

    def __init__(self, *statuses: SourceStatus) -> None:
        self._statuses = list(statuses)

    async def run(self, stop: object) -> None:
        """Never called."""

    def statuses(self) -> list[SourceStatus]:
        return self._statuses


def feed(**changes: Any) -> SourceStatus:
    status = SourceStatus("rss", "desk", "Desk", "fresh", NOW, 3, 1, "")
    return status._replace(**changes)


def watched(*, ready: bool = True, **parts: Any) -> Watched:
    return Watched(role="run", ready=lambda: ready, **parts)


def busy() -> Progress:
    progress = Progress(entries=lambda: 7, lease_age_s=lambda: 0.5)
    progress.count(10, 8, ["RecordError", "RecordError"], 0.02)
    progress.retries["storing"] += 1
    progress.outcomes["duplicate"] += 2
    return progress


STANDING = Standing(
    lags={("index", "items", 0): 4, ("index", "items", 1): 0},
    oldest={("index", "items"): NOW - timedelta(seconds=9)},
    size_bytes=50,
    limit_bytes=100,
)
LETTERS = OpenLetters(
    counts={("dedupe", "RecordError"): 2}, oldest=NOW - timedelta(hours=1)
)


def metrics_of(one: Watched, standing: Standing | None = STANDING) -> Metrics:
    return Metrics(
        one,
        version="9",
        standing=lambda: standing,
        letters=lambda: LETTERS,
        ready=lambda: True,
        now=lambda: NOW,
    )


def scraped(one: Watched, standing: Standing | None = STANDING) -> str:
    return generate_latest(registry(metrics_of(one, standing))).decode()


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def everything() -> str:
    delays = Tally((1, 10))
    delays.add(2.0)
    source = feed(looks={"new": 2, "failed": 1}, known=5, refusals={"oversize": 1})
    source = source._replace(lateness_s=60.0)
    parts: dict[str, Any] = {"progress": {"dedupe": busy()}, "delays_s": delays}
    return scraped(watched(connectors=[Feeds(source)], **parts))


def test_each_part_of_a_process_shows_its_values() -> None:
    found = values(everything())

    assert found["wirewatch_stage_records_total", "dedupe"] == 10
    assert found["wirewatch_stage_refused_total", "RecordError", "dedupe"] == 2
    assert found["wirewatch_stage_outcomes_total", "dedupe", "duplicate"] == 2
    assert found["wirewatch_stage_retries_total", "dedupe", "storing"] == 1
    assert found["wirewatch_stage_batch_seconds_bucket", "0.01", "dedupe"] == 0
    assert found["wirewatch_stage_batch_seconds_bucket", "0.05", "dedupe"] == 1
    assert found["wirewatch_stage_batch_seconds_count", "dedupe"] == 1
    assert found["wirewatch_stage_table_entries", "dedupe"] == 7
    assert found["wirewatch_stage_lease_age_seconds", "dedupe"] == 0.5
    assert found["wirewatch_stage_lag_records", "0", "index", "items"] == 4
    assert found["wirewatch_stage_oldest_unread_seconds", "index", "items"] == 9
    assert found["wirewatch_item_delay_seconds_sum",] == 2
    assert found["wirewatch_deadletters_oldest_open_seconds",] == 3600
    assert found["wirewatch_log_full_ratio",] == 0.5
    assert found["wirewatch_source_looks_total", "desk", "failed", "rss"] == 1
    assert found["wirewatch_connector_refused_total", "oversize", "rss"] == 1


def test_a_source_that_never_answered_is_shown_from_zero_and_since_the_start() -> None:
    never = feed(last_good=None, looks={"failed": 1})
    found = values(scraped(watched(connectors=[Feeds(never)], started_s=0.0)))

    looks = {key[1:]: n for key, n in found.items() if key[0].endswith("looks_total")}
    assert looks == {
        ("desk", "new", "rss"): 0,
        ("desk", "rss", "unchanged"): 0,
        ("desk", "failed", "rss"): 1,
    }
    since = found["wirewatch_source_last_good_timestamp_seconds", "desk", "rss"]
    assert since == pytest.approx(NOW.timestamp() - time.monotonic(), abs=5)


def test_many_sources_are_counted_together_and_alerts_over_them_stay_right() -> None:
    many = [
        feed(
            id=f"f{n}",
            looks={"failed": 1},
            state="failing",
            lateness_s=float(n),
            due=NOW - timedelta(seconds=n),
        )
        for n in range(EACH_MAX + 1)
    ]
    text = scraped(watched(connectors=[Feeds(*many)]))
    found = values(text)

    assert len(text.splitlines()) < 300
    assert found["wirewatch_source_looks_total", "*", "failed", "rss"] == len(many)
    assert found["wirewatch_sources", "failing", "rss"] == len(many)
    assert found["wirewatch_sources", "good", "rss"] == 0
    assert found["wirewatch_source_overdue_seconds", "rss"] == EACH_MAX
    assert found["wirewatch_source_lateness_seconds", "0.5", "rss"] == 501
    assert found["wirewatch_source_lateness_seconds", "0.99", "rss"] == 990


def test_a_removed_feed_takes_nothing_from_what_many_counted() -> None:
    feeds = Feeds(*(feed(id=f"f{n}") for n in range(EACH_MAX + 2)))
    one = registry(metrics_of(watched(connectors=[feeds])))
    before = values(generate_latest(one).decode())
    feeds.statuses().pop()
    after = values(generate_latest(one).decode())
    name = ("wirewatch_source_published_total", "*", "rss")
    assert after[name] == before[name] == 3 * (EACH_MAX + 2)


def test_sources_whose_host_asks_for_patience_are_counted() -> None:
    some = (feed(), feed(resting=True), feed(resting=True))
    found = values(scraped(watched(connectors=[Feeds(*some)])))
    assert found["wirewatch_sources_resting", "rss"] == 2


def test_a_paused_feed_is_not_silent() -> None:
    text = scraped(watched(connectors=[Feeds(feed(state="paused"))]))
    assert not [k for k in values(text) if k[0].endswith("last_good_timestamp_seconds")]


def test_a_process_all_of_whose_feeds_fail_is_ready_and_degraded() -> None:
    ill = feed(state="failing", last_error="no connection")
    one = watched(connectors=[Feeds(ill, feed(state="paused"))])
    assert degraded(one) == ["rss: all of 1 fail, such as desk: no connection"]
    assert unready(one, now=NOW, now_s=0.0) == []
    assert degraded(watched(connectors=[Feeds(ill, feed())])) == []
    assert degraded(watched(connectors=[Feeds(feed(state="waiting"))])) == []


def test_a_log_that_does_not_answer_hides_no_other_metric() -> None:
    found = values(scraped(watched(progress={"dedupe": busy()}), standing=None))

    assert found["wirewatch_log_reachable",] == 0
    assert found["wirewatch_stage_records_total", "dedupe"] == 10
    assert not any(name.startswith("wirewatch_stage_lag") for name, *_ in found)


@pytest.mark.parametrize("metric", METRICS, ids=lambda one: one.name)
def test_names_follow_the_conventions(metric: Any) -> None:
    assert re.fullmatch(r"wirewatch(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.about.endswith(".")
    if metric.kind == "histogram":
        assert metric.name.endswith("_seconds")
    assert not set(metric.labels) & {"le", "job", "instance"}


def test_the_documented_table_is_what_a_process_shows() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(wirewatch_\w+)` \| (\w+) \| (.*?) \| (.+) \|$", text, re.MULTILINE
    )
    assert rows == [
        (one.name, one.kind, ", ".join(f"`{label}`" for label in one.labels), one.about)
        for one in METRICS
    ]
    shown = re.findall(r"^# TYPE (wirewatch_\w+) \w+$", everything(), re.MULTILINE)
    assert shown == [one.name for one in METRICS]


def used(name: str) -> set[str]:
    text = (ROOT / name).read_text("utf-8")
    return set(re.findall(r"\b(?:wirewatch|process)_[a-z_]+", text))


@pytest.mark.parametrize(
    "name", ["docs/grafana/wirewatch.json", "docs/prometheus-alerts.yml"]
)
def test_dashboard_and_alerts_ask_for_metrics_that_exist(name: str) -> None:
    shown = {name for name, *_ in values(everything())}
    assert used(name) - {"wirewatch_alerts"} <= shown
    assert len(used(name)) > 5


def test_a_process_is_not_ready_before_it_works() -> None:
    one = watched(ready=False)
    assert unready(one, now=NOW, now_s=0) == ["run is starting"]


@pytest.mark.parametrize(("waited_s", "count"), [(WAITING_MAX_S - 1, 0), (99, 1)])
def test_a_stage_that_waits_long_makes_it_unready(waited_s: float, count: int) -> None:
    progress = Progress(waiting="storing: no connection", waiting_since_s=1000)
    one = watched(progress={"index": progress})
    reasons = unready(one, now=NOW, now_s=1000 + waited_s)
    assert len(reasons) == count
    assert all("index waits for 99 s: storing: no connection" in r for r in reasons)


@pytest.mark.parametrize(("age_s", "count"), [(9, 0), (11, 1), (None, 0)])
def test_an_idle_worker_that_its_coordinator_has_let_go_is_not_ready(
    age_s: float | None, count: int
) -> None:
    progress = Progress(lease_age_s=lambda: age_s)
    one = watched(progress={"correlate": progress}, session_s=10)
    reasons = unready(one, now=NOW, now_s=0)
    assert reasons == ["correlate has not heard its coordinator for 11 s"][:count]


@pytest.mark.parametrize("waiting", ["", "storing: no connection"])
def test_a_batch_that_never_ends_makes_it_unready(waiting: str) -> None:
    progress = Progress(busy_since_s=1, waiting=waiting, waiting_since_s=BUSY_MAX_S)
    one = watched(progress={"annotate": progress})
    told = unready(one, now=NOW, now_s=BUSY_MAX_S + 2)
    assert told == ([] if waiting else ["annotate has been at one batch for 601 s"])


def test_one_hanging_source_is_borne_but_not_all() -> None:
    late = feed(due=NOW - timedelta(seconds=OVERDUE_MAX_S + 1))
    early = feed(due=NOW + timedelta(seconds=5))
    borne = watched(connectors=[Feeds(late, early)])
    stuck = watched(connectors=[Feeds(late, late)])
    assert unready(borne, now=NOW, now_s=0) == []
    assert unready(stuck, now=NOW, now_s=0) == ["no source was looked at for 121 s"]


def test_waiting_counts_from_when_it_began() -> None:
    progress = Progress()
    progress.waits("a")
    since_s = progress.waiting_since_s
    progress.waits("b")
    assert (progress.waiting, progress.waiting_since_s) == ("b", since_s)


async def test_a_line_sums_up_what_a_stage_did_since_the_last() -> None:
    progress = {"dedupe": busy(), "index": Progress()}
    with capture_logs() as lines:
        async with summed_up(progress):
            pass
    (line,) = lines
    assert line["stage"] == "dedupe"
    assert line["handled"] == 10
    assert line["refused_RecordError"] == 2
    assert line["slowest_s"] == 0.02


@given(st.lists(st.floats(0, 100)), st.sets(st.floats(0, 100), min_size=1))
def test_a_tally_counts_as_a_naive_one(found: list[float], limits: set[float]) -> None:
    bounds = sorted(limits)
    tally = Tally(bounds)
    for value in found:
        tally.add(value)
    naive = [sum(value <= bound for value in found) for bound in bounds]
    assert tally.cumulative() == [*naive, len(found)]
    assert tally.count == len(found)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:9464", True),
        ("[::1]:0", True),
        ("localhost:1", True),
        ("0.0.0.0:9464", False),
        ("[::]:9464", False),
        ("monitor.example:9464", False),
    ],
)
def test_an_address_says_whether_it_is_this_machine_alone(
    text: str, loopback: bool
) -> None:
    assert address(text).is_loopback is loopback


@pytest.mark.parametrize(
    "text", ["9464", "127.0.0.1", ":9464", "a:b", "h:70000", "u@h:1", "h:1/x", "[::1:2"]
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="HOST:PORT"):
        address(text)


def test_an_address_is_read_in_parts() -> None:
    assert address("[::1]:9464") == Address("::1", 9464)


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], Settings]:
    return lambda listen: Settings(data=str(tmp_path), monitor=Monitor(listen=listen))


async def test_it_tells_loudly_that_others_can_read(
    settings: Callable[[str], Settings],
) -> None:
    with capture_logs() as lines:
        async with monitored(settings("0.0.0.0:0"), watched()):
            pass
    (loud,) = [line for line in lines if line["log_level"] == "warning"]
    assert "whoever reaches this machine" in loud["event"]


async def test_a_process_that_is_not_ready_says_why_and_lives(
    settings: Callable[[str], Settings],
) -> None:
    with capture_logs() as lines:
        async with (
            monitored(settings("127.0.0.1:0"), watched(ready=False)),
            aiohttp.ClientSession() as session,
        ):
            (line,) = lines
            url = f"http://{line['listen']}"
            with pytest.raises(AddressError, match="in use"):
                async with monitored(settings(line["listen"]), watched()):
                    pass
            async with session.get(f"{url}/healthz") as answer:
                assert answer.status == 200
            async with session.get(f"{url}/metrics") as answer:
                assert "wirewatch_ready 0.0" in await answer.text()
            async with session.get(f"{url}/readyz") as answer:
                told = await answer.json()
    assert answer.status == 503
    assert told["reasons"] == ["run is starting"]
