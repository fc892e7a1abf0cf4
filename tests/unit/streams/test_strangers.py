"""Headers that nobody of ours wrote: no command and no watch fails on them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mappings.embedded import EmbeddedIndex
from streams import letters
from streams.audit import audit
from streams.events import dead_letter
from streams.expiry import warn
from streams.fates import Fate
from streams.log.embedded import EmbeddedLog
from streams.log.face import Headers, Output, Record
from streams.monitor.standing import Looker
from streams.settings import EmbeddedLog as LogSettings
from streams.topics import DEADLETTERS, DECLARED, RAW, group


NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EmbeddedLog]:
    async with EmbeddedLog(tmp_path, LogSettings()) as opened:
        await opened.create(DECLARED)
        yield opened


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[EmbeddedIndex]:
    async with EmbeddedIndex(tmp_path) as opened:
        await opened.prepare()
        yield opened


@pytest.mark.parametrize("value", [b"{}", None])
@pytest.mark.parametrize(
    "headers",
    [
        (("ww_retry_of", b"x"),),
        (("ww_retry_of", b"items.raw/0/0"),),
        (("ww_letter", b"x"),),
        (("ww_origin", b"x"), ("ww_position", b"\xff")),
        (("ww_letter", b"deadletters/0/9"), ("ww_time", b"x")),
        (("ww_letter", b"deadletters/0/9"), ("ww_time", b"2026-01-01T00:00:00")),
        (("ww_letter", b"deadletters/0/9"), ("ww_retried_to", b"items.raw/x/y")),
    ],
    ids=str,
)
async def test_whoever_reads_dead_letters_bears_any_header(
    headers: Headers, value: bytes | None, log: EmbeddedLog, index: EmbeddedIndex
) -> None:
    await log.append([Output(DEADLETTERS.name, b"k", value, headers)])

    book = await letters.read(log)
    letters.to_purge(book, 1, NOW)
    await warn(log, NOW)
    assert await Looker(log).letters(["index"]) is not None
    assert (await audit(log, index)).balanced


async def test_a_record_that_claims_to_be_a_retry_has_a_fate_of_its_own(
    log: EmbeddedLog, index: EmbeddedIndex
) -> None:
    claims = (("ww_retry_of", b"x"), ("ww_letter", b"deadletters/0/0"))
    (at,) = await log.append([Output(RAW.name, b"k", b"not ours", claims)])
    record = Record(*at, 0, b"k", b"not ours", claims)
    refused = dead_letter(
        record, stage="dedupe", kind="RecordError", reason="", now=NOW
    )
    await log.append([refused])
    await log.log.commit(group("dedupe"), {(RAW.name, at.partition): at.offset + 1})

    assert (await audit(log, index)).counts == {Fate.DEAD_LETTER: 1}
    (letter,) = (await letters.read(log)).open()
    assert letter.lay_at == str(at)
