"""The metrics: declared once, filled from what the process and the log tell.

Names follow Prometheus' conventions (https://prometheus.io/docs/practices/naming): base
units, the unit last, ``_total`` for what only grows. Labels are bounded: stages, topics,
partitions, kinds of error, and sources up to a number (:mod:`streams.monitor.sources`).
"""

from __future__ import annotations

import time

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from streams.monitor import sources
from streams.monitor.standing import OpenLetters, Standing
from streams.monitor.watched import Watched
from streams.tally import Tally


class Declared(NamedTuple):
    """A metric; ``name`` as a query writes it, a histogram's without ``_bucket``."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    about: str


class Sample(NamedTuple):
    """A value of the metric called ``name``."""

    name: str
    labels: tuple[str, ...]
    value: float | Tally


_STAGE = ("stage",)
_SOURCE = ("connector", "source")
METRICS = (
    Declared("wirewatch_build_info", "gauge", ("version", "role"), "Always 1."),
    Declared(
        "wirewatch_ready", "gauge", (), "Whether /readyz says yes: 1, or 0 for no."
    ),
    Declared(
        "wirewatch_stage_records_total", "counter", _STAGE, "Records that were handled."
    ),
    Declared(
        "wirewatch_stage_outputs_total",
        "counter",
        _STAGE,
        "Records that were written on; dead letters are not counted.",
    ),
    Declared(
        "wirewatch_stage_refused_total",
        "counter",
        ("stage", "kind"),
        "Records that became dead letters.",
    ),
    Declared(
        "wirewatch_stage_outcomes_total",
        "counter",
        ("stage", "outcome"),
        "What dedupe took records for: new, revision, fuller, moved (another link or "
        "file), withdrawn, superseded (from an archive, and older than what its source "
        "says), forgotten, duplicate, replay.",
    ),
    Declared(
        "wirewatch_stage_retries_total",
        "counter",
        ("stage", "step"),
        "Steps that were tried again after a pause.",
    ),
    Declared(
        "wirewatch_stage_batch_seconds",
        "histogram",
        _STAGE,
        "From a batch's arrival until it was stored, waiting included.",
    ),
    Declared(
        "wirewatch_stage_waiting",
        "gauge",
        _STAGE,
        "Whether the stage waits for what can pass.",
    ),
    Declared(
        "wirewatch_stage_waiting_seconds",
        "gauge",
        _STAGE,
        "For how long it has been waiting; 0 while it works.",
    ),
    Declared(
        "wirewatch_stage_lease_age_seconds",
        "gauge",
        _STAGE,
        "Since the group's coordinator was heard; only on Kafka.",
    ),
    Declared(
        "wirewatch_stage_table_entries",
        "gauge",
        _STAGE,
        "Entries of the stage's table in this process.",
    ),
    Declared(
        "wirewatch_stage_lag_records",
        "gauge",
        ("stage", "topic", "partition"),
        "Records that the stage has yet to read, whoever runs it.",
    ),
    Declared(
        "wirewatch_stage_oldest_unread_seconds",
        "gauge",
        ("stage", "topic"),
        "Age of the oldest record that the stage has yet to read; 0 when there is none.",
    ),
    Declared(
        "wirewatch_item_delay_seconds",
        "histogram",
        (),
        "From the reading of a source until the index had the item.",
    ),
    Declared(
        "wirewatch_log_reachable", "gauge", (), "Whether the log answered when asked."
    ),
    Declared(
        "wirewatch_log_size_bytes",
        "gauge",
        (),
        "What the embedded log holds; not on Kafka.",
    ),
    Declared(
        "wirewatch_log_full_ratio",
        "gauge",
        (),
        "Share of log.size_max_gb that is used; from 0.8 on intake waits.",
    ),
    Declared(
        "wirewatch_deadletters_open_records",
        "gauge",
        ("stage", "kind"),
        "Dead letters that nothing was done about.",
    ),
    Declared(
        "wirewatch_deadletters_oldest_open_seconds",
        "gauge",
        (),
        "Age of the oldest of them; 0 when there is none.",
    ),
    Declared(
        "wirewatch_source_looks_total",
        "counter",
        (*_SOURCE, "outcome"),
        "Looks at a source: new, unchanged or failed.",
    ),
    Declared(
        "wirewatch_source_published_total",
        "counter",
        _SOURCE,
        "Items that were published.",
    ),
    Declared(
        "wirewatch_source_known_total",
        "counter",
        _SOURCE,
        "Entries that had been published before.",
    ),
    Declared(
        "wirewatch_source_last_good_timestamp_seconds",
        "gauge",
        _SOURCE,
        "When a feed last gave a good answer, or a station a transcript; as far as is "
        "known, or the process's start.",
    ),
    Declared(
        "wirewatch_sources",
        "gauge",
        ("connector", "state"),
        "Sources by state: waiting, good, failing, parked, gone or paused.",
    ),
    Declared(
        "wirewatch_sources_resting",
        "gauge",
        ("connector",),
        "Sources whose host asks to be left alone for now: not asked, and not overdue.",
    ),
    Declared(
        "wirewatch_source_overdue_seconds",
        "gauge",
        ("connector",),
        "By how long the look that is most overdue is late; 0 when none is.",
    ),
    Declared(
        "wirewatch_source_lateness_seconds",
        "gauge",
        ("connector", "quantile"),
        "From publication to reading, lately: the median, 0.9 and 0.99 over the sources.",
    ),
    Declared(
        "wirewatch_connector_refused_total",
        "counter",
        ("connector", "kind"),
        "What sources gave that was refused at the door.",
    ),
)


class Metrics(Collector):
    """Collects the metrics of one process."""

    def __init__(
        self,
        watched: Watched,
        *,
        version: str,
        standing: Callable[[], Standing | None],
        letters: Callable[[], OpenLetters | None],
        ready: Callable[[], bool],
        now: Callable[[], datetime],
    ) -> None:
        self._watched = watched
        self._version = version
        self._standing = standing
        self._letters = letters
        self._ready = ready
        self._now = now
        self._highest: dict[tuple[str, tuple[str, ...]], float] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, those without a value too."""
        found: dict[str, list[Sample]] = {one.name: [] for one in METRICS}
        for sample in self._samples():
            found[sample.name].append(sample)
        for declared in METRICS:
            yield _family(declared, found[declared.name])

    def _samples(self) -> Iterator[Sample]:
        info = (self._version, self._watched.role)
        yield Sample("wirewatch_build_info", info, 1)
        yield Sample("wirewatch_ready", (), self._ready())
        standing = self._standing()
        yield Sample("wirewatch_log_reachable", (), standing is not None)
        if standing is not None:
            yield from _of_log(standing, self._now())
        if (letters := self._letters()) is not None:
            yield from _of_letters(letters, self._now())
        yield from _of_stages(self._watched)
        started = self._now() - timedelta(seconds=self._watched.uptime_s)
        for one in sources.shown(
            self._watched.sources(), started=started, now=self._now()
        ):
            yield Sample(*self._never_less(one))

    def _never_less(self, one: sources.Value) -> sources.Value:
        """Return *one*; a sum over sources stays when one of them is removed.

        A counter that falls is taken for one that began anew.
        """
        if sources.ALL not in one.labels or not one.name.endswith("_total"):
            return one
        at = (one.name, one.labels)
        self._highest[at] = max(self._highest.get(at, 0.0), one.value)
        return one._replace(value=self._highest[at])


def registry(metrics: Metrics) -> CollectorRegistry:
    """Return a registry with *metrics*, and what the process uses of the system."""
    own = CollectorRegistry()
    own.register(metrics)
    ProcessCollector(registry=own)
    return own


def _of_stages(watched: Watched) -> Iterator[Sample]:
    for stage, progress in watched.progress.items():
        name = (stage,)
        waited_s = 0.0
        if progress.waiting:
            waited_s = time.monotonic() - progress.waiting_since_s
        yield Sample("wirewatch_stage_records_total", name, progress.handled)
        yield Sample("wirewatch_stage_outputs_total", name, progress.outputs)
        yield Sample("wirewatch_stage_batch_seconds", name, progress.batches_s)
        yield Sample("wirewatch_stage_waiting", name, bool(progress.waiting))
        yield Sample("wirewatch_stage_waiting_seconds", name, waited_s)
        for kind, count in progress.refusals.items():
            yield Sample("wirewatch_stage_refused_total", (stage, kind), count)
        for outcome, count in progress.outcomes.items():
            yield Sample("wirewatch_stage_outcomes_total", (stage, outcome), count)
        for step, count in progress.retries.items():
            yield Sample("wirewatch_stage_retries_total", (stage, step), count)
        if not watched.ready():
            continue
        if progress.entries is not None:
            yield Sample("wirewatch_stage_table_entries", name, progress.entries())
        if (age_s := progress.lease_age_s()) is not None:
            yield Sample("wirewatch_stage_lease_age_seconds", name, age_s)
    if watched.delays_s is not None:
        yield Sample("wirewatch_item_delay_seconds", (), watched.delays_s)


def _of_log(standing: Standing, now: datetime) -> Iterator[Sample]:
    for (stage, topic, partition), lag in standing.lags.items():
        labels = (stage, topic, str(partition))
        yield Sample("wirewatch_stage_lag_records", labels, lag)
    for stage, topic in dict.fromkeys(lag[:2] for lag in standing.lags):
        age_s = _age_s(standing.oldest.get((stage, topic)), now)
        yield Sample("wirewatch_stage_oldest_unread_seconds", (stage, topic), age_s)
    if standing.size_bytes is not None and standing.limit_bytes:
        share = standing.size_bytes / standing.limit_bytes
        yield Sample("wirewatch_log_size_bytes", (), standing.size_bytes)
        yield Sample("wirewatch_log_full_ratio", (), share)


def _of_letters(letters: OpenLetters, now: datetime) -> Iterator[Sample]:
    for labels, count in letters.counts.items():
        yield Sample("wirewatch_deadletters_open_records", labels, count)
    age_s = _age_s(letters.oldest, now)
    yield Sample("wirewatch_deadletters_oldest_open_seconds", (), age_s)


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _family(declared: Declared, samples: Iterable[Sample]) -> Metric:
    name, kind, labels, about = declared
    if kind == "histogram":
        histogram = HistogramMetricFamily(name, about, labels=labels)
        for sample in samples:
            assert isinstance(sample.value, Tally), name
            buckets = _buckets(sample.value)
            histogram.add_metric(sample.labels, buckets, sample.value.total)
        return histogram
    made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    family = made(name, about, labels=labels)
    for sample in samples:
        assert not isinstance(sample.value, Tally), name
        family.add_metric(sample.labels, float(sample.value))
    return family


def _buckets(tally: Tally) -> list[tuple[str, float]]:
    bounds = [*(str(float(bound)) for bound in tally.bounds), "+Inf"]
    return [(b, float(n)) for b, n in zip(bounds, tally.cumulative(), strict=True)]
