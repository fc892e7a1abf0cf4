"""SLOW (25 s): a day of a simulated internet, with faults and two kill -9.

The installed command reads 120 feeds through a day that is made 4,320 times shorter.
``python -m bench.day`` is the same with 10,000 feeds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.day import Plan, day, report


PLAN = Plan(
    feeds=120,
    speed=4_320.0,
    kills=2,
    seed=20,
    mode="embedded",
    interval_s=7_200.0,
    under_way_s=4.0,
)


@pytest.mark.timeout(120)
async def test_a_day_with_faults_and_kills_loses_nothing_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    verdict = (result := await day(PLAN, tmp_path)).verdict
    told = report(PLAN, result)
    assert verdict.is_clean, told
    assert verdict.arrived > 1_000, told
    assert result.polls > 2 * PLAN.feeds, told
