"""A process looks at what its own stages may read, and loses nothing when it is slow."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from structlog.testing import capture_logs

from streams import acls, forget, letters
from streams.errors import AccessRefusedError
from streams.events import dead_letter
from streams.log.embedded import EmbeddedLog
from streams.log.face import Output, Record
from streams.log.sqlite_log import Erased
from streams.monitor.standing import Looker
from streams.settings import EmbeddedLog as LogSettings
from streams.topics import DEADLETTERS, DECLARED, RAW, SOURCES, STAGES
from tests.unit.monitor.test_monitor import NOW


class Guarded(EmbeddedLog):
    """A log that lets a role do what the ACLs give it, and no more."""

    rules: tuple[acls.Rule, ...] = ()

    def demand(self, operation: acls.Operation, name: str) -> None:
        implied = {"Read", "Write"} if operation == "Describe" else set()
        if not any(
            name in rule.names and {operation, *implied} & set(rule.operations)
            for rule in self.rules
        ):
            raise AccessRefusedError(f"no right to {operation} {name}")

    async def starts(self, topic: str) -> dict[int, int]:
        self.demand("Describe", topic)
        return await super().starts(topic)

    async def ends(self, topic: str) -> dict[int, int]:
        self.demand("Describe", topic)
        return await super().ends(topic)

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        self.demand("Describe", group)
        return await super().committed(group, topic)

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        self.demand("Read", topic)
        async for record in super().read(topic, offsets, until):
            yield record


class Slow(EmbeddedLog):
    """A log that gives so many records, and then hangs."""

    gives = 3

    async def read(
        self, topic: str, offsets: Mapping[int, int], until: Mapping[int, int]
    ) -> AsyncIterator[Record]:
        given = 0
        async for record in super().read(topic, offsets, until):
            if given == self.gives:
                await asyncio.Event().wait()
            given += 1
            yield record


async def put_aside(log: EmbeddedLog, count: int) -> None:
    record = Record(RAW.name, 0, 7, 0, b"k", b"v", ())
    letter = dead_letter(record, stage="dedupe", kind="odd", reason="", now=NOW)
    await log.append([letter] * count)


@pytest.mark.parametrize("program", ["connectors", *STAGES])
async def test_every_program_sees_its_own_with_the_rights_it_is_given(
    program: str, tmp_path: Path
) -> None:
    async with Guarded(tmp_path, LogSettings()) as log:
        await log.create(DECLARED)
        sources = SOURCES.get(program, ())
        await log.append([Output(topic.name, b"k", b"v") for topic in sources])
        await put_aside(log, 2)
        log.rules = tuple(rule for rule in acls.rules() if rule.role == program)
        stages = [program] if sources else []
        looker = Looker(log)
        with capture_logs() as lines:
            standing = await looker.look(stages)
            seen = await looker.letters(stages)

    lags = {
        (stage, topic): lag for (stage, topic, _), lag in standing.lags.items() if lag
    }
    assert lags == {(program, topic.name): 1 for topic in sources}
    assert (seen is not None) == (program == "index")
    assert lines == []


async def test_what_is_refused_is_left_out_and_said_once(tmp_path: Path) -> None:
    async with Guarded(tmp_path, LogSettings()) as log:
        await log.create(DECLARED)
        log.rules = tuple(rule for rule in acls.rules() if rule.role == "dedupe")
        looker = Looker(log)
        with capture_logs() as lines:
            for _ in range(3):
                standing = await looker.look(["dedupe", "annotate"])
    assert {stage for stage, _, _ in standing.lags} == {"dedupe"}
    assert [line["of"] for line in lines] == ["annotate"]


async def test_a_look_at_dead_letters_that_is_cut_short_goes_on_from_there(
    tmp_path: Path,
) -> None:
    async with Slow(tmp_path, LogSettings()) as log:
        await log.create(DECLARED)
        await put_aside(log, 7)
        looker = Looker(log)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await looker.letters(["index"])
        seen = await looker.letters(["index"])
    assert seen is not None
    assert seen.counts == {("dedupe", "odd"): 7}


async def test_a_letter_is_no_longer_open_once_it_is_purged(tmp_path: Path) -> None:
    async with EmbeddedLog(tmp_path, LogSettings()) as log:
        await log.create(DECLARED)
        await put_aside(log, 2)
        looker = Looker(log)
        await looker.letters(["index"])
        book = await letters.read(log)
        await log.append(letters.to_purge(book, 2, NOW))
        await log.delete_before(DEADLETTERS.name, {0: 2})
        seen = await looker.letters(["index"])
    assert seen is not None
    assert not seen.counts
    assert seen.oldest is None


async def test_a_letter_is_no_longer_open_once_what_it_holds_is_forgotten(
    tmp_path: Path,
) -> None:
    async with EmbeddedLog(tmp_path, LogSettings()) as log:
        await log.create(DECLARED)
        await put_aside(log, 2)
        looker = Looker(log)
        await looker.letters(["index"])
        about = (("ww_letter", b"deadletters/0/1"), ("ww_state", b"purged"))
        gone = [Erased(DEADLETTERS.name, 0, 1, headers=about)]
        await log.append(forget.notices(gone), intake=False)
        await log.erase(gone)
        seen = await looker.letters(["index"])
        anew = await Looker(log).letters(["index"])
    assert seen == anew
    assert seen is not None
    assert seen.counts == {("dedupe", "odd"): 1}
