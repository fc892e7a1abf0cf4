"""On the embedded log dead letters expire at their age, and never without a warning."""

from __future__ import annotations

import tempfile

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from streams import clock, events
from streams.expiry import warn
from streams.letters import KEPT, WARNED_BEFORE
from streams.log.embedded import EmbeddedLog
from streams.log.face import Record
from streams.settings import EmbeddedLog as LogSettings
from streams.topics import DEADLETTERS, RAW


BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAME = DEADLETTERS.name


class Days:
    """A log of dead letters, one put aside a day, on which a worker runs some days."""

    def __init__(self, log: EmbeddedLog) -> None:
        self.log = log
        self.warned: dict[int, int] = {}

    async def put_aside(self, day: int) -> None:
        at = BEGIN + timedelta(days=day)
        record = Record(RAW.name, 0, 1, 0, b"k", b"v", ())
        letter = events.dead_letter(record, stage="index", kind="k", reason="", now=at)
        await self.log.append([letter._replace(timestamp_ms=clock.to_ms(at))])

    async def work(self, day: int) -> int:
        """Warn and clean; return the offset of the first letter that is kept."""
        now = BEGIN + timedelta(days=day)
        await warn(self.log, now)
        (end,) = (await self.log.offsets_at(NAME, now - KEPT + WARNED_BEFORE)).values()
        for offset in range(end):
            self.warned.setdefault(offset, day)
        await self.log.log.clean(now.timestamp())
        return (await self.log.starts(NAME))[0]


async def test_letters_wait_for_their_warning_where_nothing_ran(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path, LogSettings()) as log:
        await log.create([DEADLETTERS])
        days = Days(log)
        for day in range(10):
            await days.put_aside(day)
        late = KEPT.days + 20
        assert await days.work(late) == 0
        assert await days.work(late + WARNED_BEFORE.days - 1) == 0
        assert await days.work(late + WARNED_BEFORE.days) == 9  # the last one stays


async def test_letters_expire_at_their_age_where_something_runs(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path, LogSettings()) as log:
        await log.create([DEADLETTERS])
        days = Days(log)
        for day in range(120):
            await days.put_aside(day)
            assert await days.work(day) == max(0, day - KEPT.days)


@settings(max_examples=8, deadline=None)
@given(gaps=st.lists(st.integers(1, 40), min_size=1, max_size=12))
async def test_no_letter_goes_sooner_than_its_warning_allows(gaps: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await _hold(Path(folder), gaps)


async def _hold(folder: Path, gaps: list[int]) -> None:
    async with EmbeddedLog(folder, LogSettings()) as log:
        await log.create([DEADLETTERS])
        days = Days(log)
        for day in range(20):
            await days.put_aside(day)
        day = 60
        for gap in gaps:
            day += gap
            start = await days.work(day)
            assert all(
                day - days.warned[offset] >= WARNED_BEFORE.days
                for offset in range(start)
            )
