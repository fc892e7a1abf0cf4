"""Retrying, warning and purging on both logs, beside a real index; no stage runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from structlog.testing import capture_logs

from connectors.face import OVERSIZE
from console.putting_back import Done, put_all_back
from mappings.embedded import EmbeddedIndex
from streams import clock, events, expiry, letters
from streams.errors import NotStoredError
from streams.log.face import Log, Output, Position, Record
from streams.log.opening import open_log
from streams.records import Identity, Item, RawItem, Source
from streams.settings import Kafka, Settings
from streams.topics import DEADLETTERS, DECLARED, ITEMS, RAW, TAGGED


#: Not a fixed day: the logs stamp what they store.
NOW = clock.now().replace(microsecond=0)


def item(version: int, revision: int = 1, **changes: Any) -> Item:
    fields: dict[str, Any] = {
        "identities": (Identity(kind="guid", value="g"),),
        "publisher": "example.org",
        "source": Source(connector="rss", id="world"),
        "text": f"text {revision}",
        "fetched": NOW,
        "id": "i1",
        "revision": revision,
        "content_hash": "c",
        "first_seen": NOW,
        "anchor": NOW,
        "version": version,
    }
    return Item(**(fields | changes))


class Desk:
    """A log with dead letters, and an index."""

    def __init__(self, log: Log, index: EmbeddedIndex) -> None:
        self.log = log
        self.index = index

    async def refuse(self, output: Output, stage: str) -> Position:
        """Publish *output*, and put it aside as *stage* would."""
        (place,) = await self.log.append([output])
        (record,) = [one async for one in self._read(place.topic) if one[:3] == place]
        letter = events.dead_letter(
            record, stage=stage, kind="odd", reason="why", now=NOW
        )
        (lies,) = await self.log.append([letter])
        return lies

    async def retry(self, *which: Position, **options: Any) -> list[Done]:
        records = [
            one async for one in self._read(DEADLETTERS.name) if one.position in which
        ]
        done = await put_all_back(self.log, self.index, records, **options)
        return [one.done for one in done]

    async def all(self, topic: str) -> list[Record]:
        return [one async for one in self._read(topic)]

    async def _read(self, topic: str) -> AsyncIterator[Record]:
        starts, ends = await self.log.starts(topic), await self.log.ends(topic)
        async for record in self.log.read(topic, starts, ends):
            yield record


@pytest.fixture(params=["embedded", pytest.param("servers", marks=pytest.mark.kafka)])
async def desk(
    request: pytest.FixtureRequest, tmp_path: Path, prefix: str
) -> AsyncIterator[Desk]:
    bootstrap = (
        request.getfixturevalue("kafka") if request.param == "servers" else "unused"
    )
    settings = Settings(
        mode=request.param,
        data=str(tmp_path / "data"),
        prefix=prefix,
        kafka=Kafka(bootstrap=bootstrap),
    )
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(settings))
        await log.create(DECLARED)
        index = await stack.enter_async_context(EmbeddedIndex(tmp_path))
        await index.prepare()
        yield Desk(log, index)


async def test_a_record_is_put_back_with_its_key_its_headers_and_its_letter(
    desk: Desk,
) -> None:
    output = Output(RAW.name, b"publisher", b"{broken", (("ce_id", b"1"),))
    which = await desk.refuse(output, "dedupe")

    assert await desk.retry(which, value=b"mended") == [Done.PUT_BACK]

    first, again = await desk.all(RAW.name)
    assert (again.partition, again.key, again.value) == (
        first.partition,
        b"publisher",
        b"mended",
    )
    assert again.header("ce_id") == "1"
    assert again.header(events.ORIGIN) == str(first.position)
    assert again.header(events.RETRY_OF) == str(which)
    book = await letters.read(desk.log)
    assert not list(book.open())
    (notice,) = book.notices[str(which)]
    assert (str(notice.to), notice.origin) == (str(again.position), str(first.position))

    # Given up for good, what was done stays on record.
    end = max(book.ends.values())
    await desk.log.append(letters.to_purge(book, end, NOW))
    await desk.log.delete_before(DEADLETTERS.name, {0: end})
    left = await letters.read(desk.log)
    assert not left.letters
    assert [one.to for one in left.gone()] == [notice.to]


async def test_a_retry_killed_before_its_notice_leaves_the_letter_open(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    which = await desk.refuse(Output(RAW.name, b"p", b"v"), "dedupe")
    append = desk.log.append

    async def dies(outputs: list[Output], *, intake: bool = True) -> list[Position]:
        if any(one.topic == DEADLETTERS.name for one in outputs):
            raise NotStoredError("killed")
        return await append(outputs, intake=intake)

    with monkeypatch.context() as patch:
        patch.setattr(desk.log, "append", dies)
        with pytest.raises(NotStoredError):
            await desk.retry(which)
    assert list((await letters.read(desk.log)).open())

    assert await desk.retry(which) == [Done.PUT_BACK]
    first, once, twice = await desk.all(RAW.name)
    assert once.headers == twice.headers
    assert events.origin_of(twice) == str(first.position)
    assert not list((await letters.read(desk.log)).open())


async def test_what_the_index_refused_is_written_to_it_and_never_over_a_newer_one(
    desk: Desk,
) -> None:
    old = await desk.refuse(events.item(item(1)), "index")
    held = len(await desk.all(ITEMS.name))

    assert await desk.retry(old) == [Done.INDEXED]
    assert await desk.retry(old) == [Done.SUPERSEDED]
    await desk.index.write([item(2, revision=2)])
    assert await desk.retry(old) == [Done.SUPERSEDED]

    assert (await desk.index.held(["i1"]))["i1"].version == 2
    assert len(await desk.all(ITEMS.name)) == held


async def test_what_the_index_cannot_read_is_refused_again_in_a_chain(
    desk: Desk,
) -> None:
    which = await desk.refuse(Output(ITEMS.name, b"i1", b"{broken"), "index")
    assert await desk.retry(which) == [Done.REFUSED]
    book = await letters.read(desk.log)
    (last,) = book.last()
    assert [one.position for one in book.tries(last)] == [which, last.position]
    assert (last.kind, last.lay_at) == ("RecordError", book.letters[str(which)].lay_at)


async def test_a_text_that_was_replaced_meanwhile_is_not_put_back(desk: Desk) -> None:
    # Correlate may have forgotten the newer one: letters are kept for longer.
    tagged = events.item(item(1))._replace(topic=TAGGED.name)
    which = await desk.refuse(tagged, "correlate")
    await desk.index.write([item(2, revision=2)])
    assert await desk.retry(which) == [Done.SUPERSEDED]
    assert len(await desk.all(TAGGED.name)) == 1
    assert not list((await letters.read(desk.log)).open())


async def test_a_shorter_text_of_the_same_revision_is_not_put_back(desk: Desk) -> None:
    tagged = events.item(item(1))._replace(topic=TAGGED.name)
    origin = ((events.ORIGIN, b"items.raw/3/4"),)
    marked = tagged._replace(headers=tagged.headers + origin)
    which = [await desk.refuse(marked, "correlate") for _ in range(2)]
    await desk.index.write([item(2, origin="items.raw/3/4")])
    assert await desk.retry(which[0]) == [Done.PUT_BACK]
    await desk.index.write([item(3, text="and more", origin="items.raw/3/5")])
    assert await desk.retry(which[1]) == [Done.SUPERSEDED]


async def test_what_was_refused_at_the_door_has_nothing_to_put_back(desk: Desk) -> None:
    letter = events.refused_at_door(
        stage="connectors.rss", source="s", kind=OVERSIZE, reason="r", document={}
    )
    (which,) = await desk.log.append([letter])
    assert await desk.retry(which) == [Done.NOTHING]
    assert list((await letters.read(desk.log)).open())


async def test_the_worker_warns_of_letters_that_expire_and_says_what_keeps_them(
    desk: Desk,
) -> None:
    raw = events.raw(
        RawItem(
            identities=(), publisher="p", source=item(1).source, text="t", fetched=NOW
        )
    )
    which = await desk.refuse(raw, "dedupe")
    late = NOW + timedelta(days=80)
    with capture_logs() as said:
        await expiry.warn(desk.log, NOW)
        await expiry.warn(desk.log, late)
    (line,) = said
    assert (line["log_level"], line["letters"]) == ("warning", 1)
    assert line["first"][:10] in {
        (NOW + letters.KEPT + timedelta(days=day)).date().isoformat() for day in (0, 1)
    }
    assert "deadletters retry" in line["to_keep"]

    await desk.retry(which)
    with capture_logs() as said:
        await expiry.warn(desk.log, late)
    assert said == []
