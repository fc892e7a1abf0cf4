from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from streams.meanwhile import meanwhile


async def test_works_end_with_what_they_go_on_beside() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with meanwhile(work()):
        await asyncio.sleep(0)
        assert not ended.is_set()
    assert ended.is_set()


async def test_a_work_that_fails_is_told_of_and_ends_alone() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        raise KeyError("x")

    with capture_logs() as lines:
        async with meanwhile(work()):
            await begun.wait()
    (line,) = lines
    assert line["log_level"] == "error"
    assert isinstance(line["exc_info"], KeyError)
