"""What is forgotten leaves no trace in an embedded log and index, stages in small."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.http import Document
from connectors.rss.archive import Archive, Kept, read
from connectors.rss.reading import look_into
from connectors.rss.subscription import subscription
from console.archive import erase_from_archive, find_in_archive
from mappings.embedded import EmbeddedIndex
from streams import events, forget, replay
from streams.correlate.decide import decide as correlate
from streams.dedupe.decide import decide as dedupe
from streams.errors import NotStoredError
from streams.log.embedded import EmbeddedLog
from streams.log.face import Output, Record
from streams.records import (
    Classification,
    Event,
    Identity,
    Incident,
    Item,
    RawItem,
    Recording,
    Source,
    Span,
    TaggedItem,
    UniqueItem,
)
from streams.reindex import reindex
from streams.settings import EmbeddedLog as Limits
from streams.settings import Feed, Rss
from streams.stage import Decide, Received
from streams.topics import (
    CORRELATE_TABLE,
    DECLARED,
    DEDUPE_TABLE,
    INCIDENTS,
    ITEMS,
    RAW,
    TAGGED,
    UNIQUE,
    Topic,
)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = "Gunmen killed Ousmane Wobblezap near Kayes."
ATTACK = Classification(
    label="battle", confidence=0.9, why=(Span(field="text", start=0, end=6),)
)


class Works:
    """A log, an index, and the stages between them, each run by hand."""

    def __init__(self, folder: Path, log: EmbeddedLog, index: EmbeddedIndex) -> None:
        self.folder = folder
        self.log = log
        self.index = index
        self.tables: dict[str, dict[bytes, bytes]] = {"dedupe": {}, "correlate": {}}
        self.stands: dict[str, dict[int, int]] = {}

    async def publish(self, *items: RawItem) -> None:
        await self.log.append([events.raw(one) for one in items])
        await self.come_through()

    async def come_through(self) -> None:
        """Have every stage read what is there."""
        async for record in self._new(RAW):
            await self._decide(dedupe, "dedupe", record, RawItem, DEDUPE_TABLE)
        async for record in self._new(UNIQUE):
            item = events.decode(UniqueItem, record.value)
            there = item.state == "present"
            tagged = TaggedItem(
                **msgspec.structs.asdict(item),
                events=(Event(incident_class=ATTACK),) if there else (),
                signature=item.text,
            )
            await self._send([events.tagged(tagged)], record)
        async for record in self._new(TAGGED):
            await self._decide(
                correlate, "correlate", record, TaggedItem, CORRELATE_TABLE
            )
        async for record in self._new(ITEMS):
            await self.index.write([events.decode(Item, record.value)])
        async for record in self._new(INCIDENTS):
            await self.index.write([events.decode(Incident, record.value)])

    async def forget(self, ident: str) -> None:
        """Ask for it, and erase what is left, as the command does."""
        document = await self.index.get(ident)
        assert isinstance(document, Item)
        if document.state != "forgotten":
            told = forget.Quoting(document, await forget.quoting(self.log, ident))
            await self.log.append([forget.request(told, because="asked", now=NOON)])
            await self.come_through()
        stub = await self.index.get(ident)
        assert isinstance(stub, Item)
        gone = await forget.erasures(self.log, stub)
        await self.log.append(forget.notices(gone))
        await self.log.erase(gone)
        await self.index.erase()

    def traces(self, *words: str) -> list[str]:
        """Return which of *words* stand in which file."""
        files = [one for one in self.folder.rglob("*") if one.is_file()]
        return [
            f"{word} in {file.name}"
            for file in files
            for word in words
            if word.encode() in file.read_bytes()
        ]

    async def _new(self, topic: Topic) -> AsyncIterator[Record]:
        ends = await self.log.ends(topic.name)
        begin = self.stands.get(topic.name) or await self.log.starts(topic.name)
        self.stands[topic.name] = ends
        async for record in self.log.read(topic.name, begin, ends):
            yield record

    async def _decide(
        self, decide: Decide, stage: str, record: Record, kind: type[Any], table: Topic
    ) -> None:
        data = events.decode(kind, record.value)
        decision = decide(Received(record, data), self.tables[stage])
        await self._send(decision.outputs, record)
        for key, value in decision.writes.items():
            if value is None:
                self.tables[stage].pop(key, None)
            else:
                self.tables[stage][key] = value
            entry = Output(table.name, key, value, partition=record.partition)
            await self.log.append([entry])

    async def _send(self, outputs: Any, cause: Record) -> None:
        thread = events.thread_of(cause)
        await self.log.append(
            [one._replace(headers=(*one.headers, *thread)) for one in outputs]
        )


@pytest.fixture
async def works(tmp_path: Path) -> AsyncIterator[Works]:
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(EmbeddedLog(tmp_path, Limits()))
        await log.create(DECLARED)
        index = await stack.enter_async_context(EmbeddedIndex(tmp_path))
        await index.prepare()
        yield Works(tmp_path, log, index)


def piece(text: str, *, state: Any = "present", fetched: datetime = NOON) -> RawItem:
    """Return a piece of a recording, which its file names, and nothing else does."""
    guid = Identity(kind="guid", value="kayes/moukhtaroubel.srt#1")
    return RawItem(
        identities=(guid,),
        publisher="kayes",
        source=Source(connector="radio", id="kayes", name="Radio Kayes"),
        state=state,
        text=text,
        fetched=fetched,
        recording=Recording(media_url="file:///kayes/moukhtaroubel.mp3"),
    )


def line(*names: tuple[Any, str], text: str, state: Any = "present") -> RawItem:
    """Return an item as a whole JSON line gives it."""
    return RawItem(
        identities=tuple(Identity(kind=kind, value=value) for kind, value in names),
        publisher="paper.example",
        source=Source(connector="ingest", id="lines"),
        state=state,
        text=text,
        fetched=NOON,
    )


async def only(works: Works) -> str:
    """Return the id of the one publication."""
    name = UNIQUE.name
    starts, ends = await works.log.starts(name), await works.log.ends(name)
    keys = {one.key async for one in works.log.read(name, starts, ends)}
    (ident,) = (key.decode() for key in keys if key is not None)
    return ident


async def test_nothing_is_left_of_a_recording_that_was_corrected_and_taken_back(
    works: Works,
) -> None:
    await works.publish(piece(TEXT), piece(f"{TEXT} Corrected."))
    await works.publish(piece("", state="withdrawn"))
    assert works.traces("Wobblezap", "moukhtaroubel")
    await works.forget(await only(works))
    assert works.traces("Wobblezap", "moukhtaroubel") == []


async def test_nothing_is_left_of_what_a_withdrawal_named_otherwise(
    works: Works,
) -> None:
    link = "https://paper.example/moukhtaroubel"
    await works.publish(line(("guid", "quuxfoo"), ("link", link), text=TEXT))
    await works.publish(line(("link", link), text="", state="withdrawn"))
    await works.forget(await only(works))
    assert works.traces("Wobblezap", "moukhtaroubel", "quuxfoo") == []


async def test_what_is_only_known_as_withdrawn_is_forgotten(works: Works) -> None:
    await works.publish(line(("guid", "quuxfoo"), text="", state="withdrawn"))
    ident = await only(works)
    await works.forget(ident)
    assert works.traces("quuxfoo") == []
    await works.publish(line(("guid", "quuxfoo"), text=TEXT))
    held = (await works.index.held([ident]))[ident]
    assert held.state == "forgotten"


async def test_nothing_is_left_of_it_in_the_archive_of_fetches(works: Works) -> None:
    folder = works.folder / "archive"
    kept, about = Archive(folder, 30), subscription(Feed(url="https://paper.example/f"))
    other = subscription(Feed(url="https://other.example/f"))
    for titles, whose in (
        (("Wobblezap", "Drought"), about),
        (("Flood",), about),
        (("Wobblezap",), other),
    ):
        entries = "".join(
            f"<item><guid>{title}</guid><title>{title}</title></item>"
            for title in titles
        )
        body = f"<rss><channel>{entries}</channel></rss>"
        document = Document(body.encode(), "https://e.example/", "text/xml", "", "", "")
        await works.publish(*look_into(document.body, whose, NOON, b"").items)
        await kept.keep(document, whose, NOON)
    names = about.publisher, "Wobblezap"
    ident = await the_one(works, *names)
    await works.forget(ident)
    stub = await works.index.get(ident)
    assert isinstance(stub, Item)
    rss = Rss(archive=str(folder))
    # Another publisher's copy stays unless it is forgotten too.
    for take in (find_in_archive, erase_from_archive):
        share = (await take(rss, works.log, [stub]))[ident]
        assert (share.fetches, len(share.others), share.unreadable) == (1, 1, 0)
    assert (await find_in_archive(rss, works.log, [stub]))[ident].fetches == 0
    with next(folder.iterdir()).open("rb") as file:
        left = [one for one in read(file, 10_000) if isinstance(one, Kept)]
    assert [
        (one.about.publisher, b"Wobblezap" in one.body) for one in left if one.about
    ] == [("paper.example", False), ("other.example", True)]


async def the_one(works: Works, publisher: str, title: str) -> str:
    """Return the id of what *publisher* calls *title*."""
    name = UNIQUE.name
    starts, ends = await works.log.starts(name), await works.log.ends(name)
    async for record in works.log.read(name, starts, ends):
        item = events.decode(UniqueItem, record.value)
        if (item.publisher, item.title) == (publisher, title):
            return item.id
    raise AssertionError(title)


async def test_a_forgetting_that_was_killed_is_finished_by_the_next_one(
    works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    await works.publish(piece(TEXT))
    ident = await only(works)
    with monkeypatch.context() as patch:

        async def dies(_: object) -> None:
            raise NotStoredError("killed")

        patch.setattr(works.log, "erase", dies)
        with pytest.raises(NotStoredError):
            await works.forget(ident)
    assert works.traces("Wobblezap")
    await works.forget(ident)
    assert works.traces("Wobblezap", "moukhtaroubel") == []


async def test_what_a_deleted_file_has_left_beside_it_is_erased_too(
    works: Works,
) -> None:
    await works.publish(piece(TEXT))
    live = (works.folder / "index.db").resolve()
    await reindex(works.log, works.index, tell=lambda _: None)
    left = live.with_name(live.name + "-wal")
    left.write_text("Wobblezap")
    await works.forget(await only(works))
    assert works.traces("Wobblezap") == []


async def test_what_is_no_record_hinders_neither_forgetting_nor_replaying(
    works: Works,
) -> None:
    await works.publish(piece(TEXT))
    ident = await only(works)
    junk = b"\xff{" + ident.encode()
    await works.log.append(
        [Output(topic.name, ident.encode(), junk) for topic in (UNIQUE, INCIDENTS)]
    )
    emitted = await forget.last_emission(works.log, ident)
    assert emitted is not None
    assert emitted.text == TEXT
    assert len(await forget.quoting(works.log, ident)) == 1
    assert len(await replay.standing(works.log)) == 1
