"""Whoever waits is told on what, and not for ever."""

from __future__ import annotations

import asyncio

import pytest

from console.exits import TimeRanOutError
from console.waiting import STILL_S, Stillness, limited


def test_when_nothing_moves_it_is_said_once_on_which_stage_one_waits(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times = iter([0.0, 0.0, STILL_S, STILL_S + 1, STILL_S + 2, STILL_S + 3])
    stillness = Stillness(lambda: next(times))

    for _ in range(5):
        stillness.look(0.25, "annotate")

    said = capsys.readouterr().err
    assert said.count("annotate has done nothing for 15 s") == 1


def test_what_moves_is_not_complained_of(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter(range(0, 1000, 10))
    stillness = Stillness(lambda: next(times))

    for share in range(20):
        stillness.look(share, "annotate")

    assert capsys.readouterr().err == ""


async def test_a_wait_that_is_limited_ends_with_what_is_not_done() -> None:
    with pytest.raises(TimeRanOutError, match=r"after 0\.01 s it is not done"):
        async with limited(0.01, "it is not done"):
            await asyncio.Event().wait()


async def test_a_time_out_of_something_else_is_not_taken_for_the_limit() -> None:
    with pytest.raises(TimeoutError):
        async with limited(60, "it is not done"):
            raise TimeoutError
