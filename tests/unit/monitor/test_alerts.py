"""The alerts ask for what a process shows, and the operator's page answers each of them."""

from __future__ import annotations

import re

from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from streams.monitor.metrics import METRICS
from streams.monitor.sources import OUTCOMES, STATES
from streams.monitor.watched import Role


ROOT = Path(__file__).parents[3]
#: What Prometheus itself adds to what it scrapes.
SCRAPED = {"job", "instance"}
LABELS = {one.name: {*one.labels, *SCRAPED} for one in METRICS}
LABELS |= {
    f"{one.name}_bucket": {*one.labels, *SCRAPED, "le"}
    for one in METRICS
    if one.kind == "histogram"
}
LABELS |= {"up": SCRAPED, "process_start_time_seconds": SCRAPED}
#: What a label that is asked for by value may be; others name what is configured.
VALUES = {
    "outcome": set(OUTCOMES),
    "role": set(get_args(Role)),
    "connector": {"rss", "radio"},
    "state": set(STATES),
    "job": set(
        re.findall(r"job_name: (\w+)", (ROOT / "docs/prometheus.yml").read_text())
    ),
}
METRIC = re.compile(r"\b(up|(?:wirewatch|process)_[a-z_]+)(?:\{(.*?)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"(.*?)"')
GROUPED = re.compile(r"\b(?:sum|max|min|count) by \((.*?)\) \(")


class Alert(NamedTuple):
    name: str
    expression: str
    summary: str

    def metrics(self, text: str = "") -> list[str]:
        return [name for name, _ in METRIC.findall(text or self.expression)]

    def matchers(self) -> list[tuple[str, str, str]]:
        """Return (metric, label, value) of each condition in braces."""
        return [
            (metric, label, value)
            for metric, braces in METRIC.findall(self.expression)
            for label, value in MATCHER.findall(braces)
        ]

    def groupings(self) -> list[tuple[set[str], list[str]]]:
        """Return the labels that each ``by`` keeps, and the metrics that it groups."""
        return [
            (
                set(found.group(1).split(", ")),
                self.metrics(closed(self.expression, found.end())),
            )
            for found in GROUPED.finditer(self.expression)
        ]


def closed(text: str, start: int) -> str:
    """Return *text* from *start*, just after a parenthesis, to where that is closed."""
    depth = 1
    for at, sign in enumerate(text[start:], start):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if not depth:
            return text[start:at]
    raise AssertionError(f"a parenthesis is left open: {text}")


def alerts() -> list[Alert]:
    text = (ROOT / "docs/prometheus-alerts.yml").read_text("utf-8")
    found = []
    for block in text.split("- alert: ")[1:]:
        expression = re.search(
            r"expr: (?:>-\n)?(.*?)\n +(?:for|annotations):", block, re.DOTALL
        )
        summary = re.search(r'summary: "(.*)"', block)
        assert expression, block
        assert summary, block
        name = block.split(maxsplit=1)[0]
        found.append(Alert(name, " ".join(expression[1].split()), summary[1]))
    return found


ALERTS = alerts()
each = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)


@each
def test_an_alert_asks_for_metrics_by_labels_that_they_have(alert: Alert) -> None:
    assert alert.metrics()
    assert set(alert.metrics()) <= LABELS.keys()
    for metric, label, value in alert.matchers():
        assert label in LABELS[metric], (metric, label)
        assert value in VALUES[label], (label, value)
    for labels, metrics in alert.groupings():
        assert metrics
        for metric in metrics:
            assert labels <= LABELS[metric], metric


@each
def test_an_alert_names_only_what_its_expression_keeps(alert: Alert) -> None:
    kept = {label for labels, _ in alert.groupings() for label in labels}
    kept |= {label for _, label, _ in alert.matchers()} | (set() if kept else SCRAPED)
    assert set(re.findall(r"\$labels\.(\w+)", alert.summary)) <= kept


def test_a_counter_that_an_alert_watches_is_shown_before_it_counts() -> None:
    """What appears as 1 has not increased for Prometheus: the first one would be missed."""
    increased = re.compile(r"(?:increase|rate)\((\w+)")
    counters = {one for alert in ALERTS for one in increased.findall(alert.expression)}
    assert counters == {
        "wirewatch_source_looks_total",
        "wirewatch_item_delay_seconds_bucket",
    }


@each
def test_the_operators_page_says_what_to_do(alert: Alert) -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    rows = re.findall(
        rf"^\| [^|]*`{alert.name}`[^|]* \| [^|]+ \| [^|]+ \|$", page, re.MULTILINE
    )
    assert len(rows) == 1
