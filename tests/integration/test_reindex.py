"""A new generation of the search index beside the live one, on both indices."""

from __future__ import annotations

import asyncio
import threading

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from elasticsearch import ConnectionTimeout
from structlog.testing import capture_logs

from mappings import analysis, elastic
from mappings.elastic import ElasticIndex
from mappings.embedded import EmbeddedIndex
from mappings.face import SearchIndex, Stored
from mappings.files import FILE, Files
from mappings.generations import Generations
from mappings.query import parse
from streams import events
from streams.errors import AlreadyRunningError, FatalError, IndexUnavailableError
from streams.index.standing import lost
from streams.log.embedded import EmbeddedLog
from streams.log.face import Log
from streams.log.opening import open_log
from streams.reindex import Reindexed, reindex
from streams.settings import Elasticsearch, Settings
from streams.topics import INCIDENTS, ITEMS, group
from tests.integration.test_search_index import NOW, incident, item


Open = Callable[[], SearchIndex]


@pytest.fixture(
    params=[
        "embedded",
        pytest.param("elastic", marks=pytest.mark.elasticsearch),
    ]
)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Return what opens one index, as often as a test has processes."""
    if request.param == "embedded":
        return lambda: EmbeddedIndex(tmp_path / "index", synchronous="NORMAL")
    url = request.getfixturevalue("elasticsearch")
    prefix = request.getfixturevalue("prefix")
    return lambda: ElasticIndex(Elasticsearch(url=url), prefix)


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    async with open_log(Settings(data=str(tmp_path / "log"))) as log:
        await log.create((ITEMS, INCIDENTS))
        yield log


async def again(log: Log, index: SearchIndex) -> Reindexed:
    return await reindex(log, index, tell=lambda _: None)


async def total(index: SearchIndex, text: str) -> int:
    return (await index.search(parse(text, now=NOW))).total


async def test_a_reindex_brings_all_and_search_never_finds_less(
    log: Log, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.reindex.BATCH", 10)
    many = [item(f"i{number}", text="flood") for number in range(30)]
    outputs = [*map(events.item, many), events.incident(incident("n1"))]
    async with opened() as stage, opened() as reader, opened() as builder:
        await stage.prepare()
        await stage.write([*many, incident("n1")])
        await stage.refresh()
        await log.append(outputs)
        done = asyncio.Event()
        seen: list[int] = []

        async def search() -> None:
            while not done.is_set():
                seen.append(await total(reader, "flood"))

        async def live() -> None:
            number = 0
            while not done.is_set():
                fresh = item(f"live{number}", text="drought", version=number + 1)
                await log.append([events.item(fresh)])
                await stage.write([fresh])
                number += 1
            said.append(number)

        said: list[int] = []
        tasks = [
            asyncio.create_task(search()),
            asyncio.create_task(live()),
        ]
        result = await again(log, builder)
        done.set()
        await asyncio.gather(*tasks)

        await reader.refresh()
        assert set(seen) == {30}
        assert await total(reader, "drought") == said[0] > 0
        assert result.after["items"] >= result.before["items"] >= 30
        assert result.after["incidents"] == result.before["incidents"] == 1
        assert await builder.check() == []


class LateFiles(Files):
    """Waits before it tells a second time which generation is live."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked = 0
        self.reached, self.released = threading.Event(), threading.Event()

    def live(self) -> Path | None:
        self.asked += 1
        if self.asked == 2:
            self.reached.set()
            self.released.wait(30)
        return super().live()


class LateGenerations(Generations):
    """Waits before it tells a second time which generation is live."""

    def stop_at(self, call: int) -> None:
        self.asked = -call
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    async def live(self) -> int:
        self.asked += 1
        if self.asked == 0:
            self.reached.set()
            await self.released.wait()
        return await super().live()


class Late:
    """A writer that is stopped between its write and its second look."""

    def __init__(self, index: SearchIndex) -> None:
        self.gate: Any
        if isinstance(index, EmbeddedIndex):
            self.gate = index._files = LateFiles(index._files.folder)
        elif isinstance(index, ElasticIndex):
            self.gate = LateGenerations(index._client, index._prefix)
            self.gate.stop_at(2)
            index._generations = self.gate
        self._index = index

    async def stopped(self) -> None:
        reached = self.gate.reached
        if isinstance(reached, threading.Event):
            await asyncio.to_thread(reached.wait, 30)
        else:
            await asyncio.wait_for(reached.wait(), 30)


async def test_a_writer_that_was_stopped_before_the_switch_writes_again(
    log: Log, opened: Open
) -> None:
    """Its record is not on the log here: nobody but the writer can bring it."""
    async with opened() as writer, opened() as builder:
        await builder.prepare()
        late = Late(writer)
        writing = asyncio.create_task(writer.write([item("i1", text="flood")]))
        await late.stopped()
        await again(log, builder)
        late.gate.released.set()

        assert await writing == [Stored.STORED]
        await builder.refresh()
        assert await total(builder, "flood") == 1
        assert await builder.check() == []


async def test_a_writer_that_wakes_up_late_brings_no_deleted_generation_back(
    log: Log, opened: Open
) -> None:
    async with opened() as writer, opened() as builder:
        await builder.prepare()
        await writer.write([item("i1", text="flood")])
        await again(log, builder)
        other_month = item("i2", text="flood", anchor=NOW.replace(month=9))

        assert await writer.write([item("i1", text="flood"), other_month]) == [
            Stored.STORED,
            Stored.STORED,
        ]
        await builder.refresh()
        assert await total(builder, "flood") == 2
        assert await builder.check() == []
        assert await builder.abandon() == []


@pytest.mark.elasticsearch
async def test_elasticsearch_makes_no_index_by_a_late_write(
    elasticsearch: str, prefix: str
) -> None:
    async with ElasticIndex(Elasticsearch(url=elasticsearch), prefix) as index:
        await index.prepare()
        operations = [{"index": {"_index": f"{prefix}items-000007-2026.11"}}, {}]
        answer = await index._client.bulk(operations=operations)

        assert answer["items"][0]["index"]["status"] == 404
        assert list(await index._generations.all()) == [f"{prefix}incidents-000001"]


async def test_a_reindex_that_ends_early_leaves_the_live_index_as_it_was(
    opened: Open,
) -> None:
    async with opened() as index:
        await index.prepare()
        await index.write([item("i1", text="flood")])
        ending = AsyncExitStack()
        rebuild = await ending.enter_async_context(index.rebuild())
        await rebuild.fresh.write([item("i2", text="flood")])
        ending.push_async_exit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            await ending.aclose()

        await index.refresh()
        assert await total(index, "flood") == 1
        assert await index.check() == []


async def test_one_reindexes_at_a_time_and_nobody_erases_meanwhile(
    opened: Open,
) -> None:
    async with opened() as one, opened() as other:
        await one.prepare()
        async with one.rebuild() as rebuild:
            with pytest.raises(AlreadyRunningError):
                await other.rebuild().__aenter__()
            # What is built may hold the words.
            with pytest.raises(AlreadyRunningError, match="again when"):
                await other.erase()
            await rebuild.switch()
        await other.erase()
        assert await one.check() == []


async def test_what_a_dead_reindex_has_left_is_reported_and_abandoned(
    opened: Open,
) -> None:
    async with opened() as index, opened() as dead:
        await index.prepare()
        await index.write([item("i1", text="flood")])
        await half_build(dead, 2)

        (line,) = await index.check()
        assert "wirewatch reindex" in line
        with pytest.raises(AlreadyRunningError, match="wirewatch reindex"):
            await index.erase()
        assert await index.abandon() != []
        assert await index.check() == []
        await index.refresh()
        assert await total(index, "flood") == 1


async def test_a_reindex_that_died_after_its_switch_is_reported_and_mended(
    log: Log, opened: Open
) -> None:
    await log.append([events.item(item("i1", text="flood"))])
    async with opened() as index:
        await index.prepare()
        ending = AsyncExitStack()
        rebuild = await ending.enter_async_context(index.rebuild())
        await rebuild.switch()
        ending.push_async_exit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            await ending.aclose()
        (line,) = await index.check()
        assert "after its switch" in line

        await again(log, index)

        assert await total(index, "flood") == 1
        assert await index.check() == []


async def test_a_stale_record_that_compaction_left_alone_brings_nothing_back(
    log: Log, opened: Open
) -> None:
    """A worker that was paused wrote it behind the stub, which is gone since."""
    async with opened() as index:
        await index.prepare()
        await index.write(
            [item("i1", state="withdrawn", version=9), incident("n1", version=9)]
        )
        await log.append(
            [
                events.item(item("i1", text="flood", version=8)),
                events.incident(incident("n1", title="flood", version=8)),
                events.item(item("i2", text="flood", version=8)),
            ]
        )

        await again(log, index)

        assert await total(index, "flood") == 1
        for ident in ("i1", "n1"):
            held = await index.get(ident)
            assert held is not None
            assert held.version == 9


async def test_what_the_analysis_of_another_version_has_made_is_taken_over_too(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        await index.write([item("i1", state="withdrawn", version=9)])
        await log.append([events.item(item("i1", text="flood", version=8))])
        monkeypatch.setattr(analysis, "VERSION", "later")

        await again(log, index)

        assert await total(index, "flood") == 0
        assert (await index.held(["i1"]))["i1"].version == 9


async def test_a_reindex_waits_for_what_can_pass_and_says_so(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = IndexUnavailableError("HTTP 429: too many requests")
    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        await log.append([events.item(item("i1", text="flood"))])
        answers: list[IndexUnavailableError | None] = [busy, None]
        unsteady(answers, monkeypatch)

        with capture_logs() as said:
            result = await again(log, index)

        assert result.written == 1
        assert await total(index, "flood") == 1
        (line,) = said
        assert (line["log_level"], line["reason"]) == ("warning", str(busy))


async def test_a_reindex_that_waits_can_be_ended(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        await log.append([events.item(item("i1", text="flood"))])
        waits = unsteady([IndexUnavailableError("no room")] * 99, monkeypatch)
        running = asyncio.create_task(again(log, index))
        await asyncio.wait_for(waits.wait(), 30)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert running.cancelled()
        assert await index.check() == []


async def test_without_the_link_to_it_an_index_is_kept_until_another_is_live(
    tmp_path: Path,
) -> None:
    """A backup may have left the link out."""
    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        await index.write([item("i1", text="flood")])
    (tmp_path / FILE).unlink()
    file = tmp_path / "index-000001.db"
    async with EmbeddedIndex(tmp_path) as index:
        ending = AsyncExitStack()
        await ending.enter_async_context(index.rebuild())
        ending.push_async_exit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            await ending.aclose()
        with pytest.raises(IndexUnavailableError):
            await index.abandon()
        (line,) = await index.check()

        assert "wirewatch reindex" in line
        assert f"ln -sf {file.name}" in line
        (tmp_path / FILE).symlink_to(file.name)
        assert await total(index, "flood") == 1


@pytest.mark.elasticsearch
async def test_a_switch_without_an_answer_is_found_out(
    log: Log, elasticsearch: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ElasticIndex(Elasticsearch(url=elasticsearch), prefix) as index:
        await index.prepare()
        await log.append([events.item(item("i1", text="flood"))])
        indices = index._client.indices
        update, asked = indices.update_aliases, []

        async def unanswered(**options: Any) -> Any:
            answer = await update(**options)
            asked.append(options)
            if len(asked) == 1:
                raise ConnectionTimeout("no answer")
            return answer

        monkeypatch.setattr(indices, "update_aliases", unanswered)
        await again(log, index)

        assert await total(index, "flood") == 1
        assert await index.check() == []


@pytest.mark.elasticsearch
async def test_a_switch_that_comes_late_finds_what_it_leads_to(
    elasticsearch: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Elasticsearch(url=elasticsearch)
    async with (
        ElasticIndex(settings, prefix) as index,
        ElasticIndex(settings, prefix) as builder,
    ):
        await index.prepare()
        queue: list[Any] = []

        async def unanswered(**options: Any) -> Any:
            queue.append(options)
            raise ConnectionTimeout("no answer")

        async def switched() -> None:
            async with builder.rebuild() as rebuild:
                await rebuild.fresh.write([item("i1", text="flood")])
                monkeypatch.setattr(
                    builder._client.indices, "update_aliases", unanswered
                )
                await rebuild.switch()

        with pytest.raises(IndexUnavailableError, match="wirewatch check"):
            await switched()
        switch, *_ = queue
        await index._client.indices.update_aliases(**switch)

        await index.refresh()
        assert await total(index, "flood") == 1


@pytest.mark.elasticsearch
async def test_who_was_abandoned_cannot_switch_to_what_another_builds(
    elasticsearch: str, prefix: str
) -> None:
    settings = Elasticsearch(url=elasticsearch)
    async with (
        ElasticIndex(settings, prefix) as index,
        ElasticIndex(settings, prefix) as stopped,
    ):
        await index.prepare()
        await index.write([item("i1", text="flood")])
        await index.refresh()
        first, second = AsyncExitStack(), AsyncExitStack()
        abandoned = await first.enter_async_context(stopped.rebuild())
        assert await index.abandon() != []
        for lost in (item("i2"), incident("n1")):
            with pytest.raises(FatalError, match="abandoned"):
                await abandoned.fresh.write([lost])
        await second.enter_async_context(index.rebuild())

        with pytest.raises(FatalError, match="abandoned"):
            await abandoned.switch()
        await first.aclose()

        assert await total(index, "flood") == 1
        assert len(await index.check()) == 1  # the second one is still built
        await second.aclose()
        assert await index.check() == []


@pytest.mark.elasticsearch
async def test_months_of_release_0_1_are_replaced_by_a_reindex(
    log: Log, elasticsearch: str, prefix: str
) -> None:
    async with ElasticIndex(Elasticsearch(url=elasticsearch), prefix) as index:
        await index.prepare()
        old = f"{prefix}items-2026.11"
        await index._client.indices.create(index=old, aliases={f"{prefix}items": {}})
        await log.append([events.item(item("i1", text="flood"))])
        with pytest.raises(FatalError, match=f"{old}: of release 0.1"):
            await index.prepare()
        (line,) = await index.check()
        assert old in line

        await again(log, index)

        assert await index.prepare() == []
        assert await index.check() == []
        assert old not in await index._generations.all()
        assert await total(index, "flood") == 1


@pytest.mark.elasticsearch
async def test_a_search_whose_indices_are_deleted_while_it_runs_is_asked_once_more(
    elasticsearch: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ElasticIndex(Elasticsearch(url=elasticsearch), prefix) as index:
        await index.prepare()
        await index.write([item("i1", text="flood")])
        await index.refresh()
        ask, asked = index._ask, []

        async def deleted(*given: Any) -> Any:
            asked.append(given)
            if len(asked) == 1:  # as the server tells of an index that was deleted
                await index._client.search(index=f"{prefix}gone")
            return await ask(*given)

        monkeypatch.setattr(index, "_ask", translated(deleted))
        assert await total(index, "flood") == 1
        assert len(asked) == 2


async def test_who_had_the_index_open_follows_when_it_is_deleted_and_built_anew(
    log: Log, opened: Open
) -> None:
    """Found by the chaos run: the new file had the name of the deleted one."""
    await log.append([events.item(item("i1", text="flood"))])
    async with opened() as writer, opened() as reader, opened() as builder:
        await writer.prepare()
        await writer.write([item("i1", text="flood")])
        await reader.refresh()
        assert await total(reader, "flood") == 1
        await delete(builder)
        with pytest.raises(IndexUnavailableError, match="wirewatch reindex"):
            await writer.write([item("i2", text="flood")])

        await again(log, builder)

        assert await writer.write([item("i2", text="flood")]) == [Stored.STORED]
        await reader.refresh()
        assert await total(reader, "flood") == 2
        assert await builder.check() == []


async def test_half_an_index_is_none_where_the_former_was_deleted(opened: Open) -> None:
    async with opened() as index:
        await index.prepare()
        await delete(index)
        ending = AsyncExitStack()
        rebuild = await ending.enter_async_context(index.rebuild())
        await rebuild.fresh.write([item("i1", text="flood")])
        ending.push_async_exit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            await ending.aclose()

        assert not await index.exists()


async def test_an_index_is_lost_when_it_is_gone_and_the_stage_has_passed_its_records(
    log: Log, opened: Open
) -> None:
    assert isinstance(log, EmbeddedLog)
    async with opened() as index:
        await log.append([events.item(item("i1"))])
        assert not await lost(index, log)  # the stage will read it

        offsets = {
            (ITEMS.name, p): end for p, end in (await log.ends(ITEMS.name)).items()
        }
        await log.log.commit(group("index"), offsets)
        assert await lost(index, log)

        await again(log, index)
        assert not await lost(index, log)


async def delete(index: SearchIndex) -> None:
    """Delete what somebody would who wants room."""
    if isinstance(index, EmbeddedIndex):
        for file in index._files.folder.glob("index*"):
            file.unlink()
    elif isinstance(index, ElasticIndex):
        for name in await index._generations.all():
            await index._client.indices.delete(index=name)


async def interrupt(*_: object) -> bool:
    raise KeyboardInterrupt


def unsteady(
    answers: list[IndexUnavailableError | None], monkeypatch: pytest.MonkeyPatch
) -> asyncio.Event:
    """Have each write fail by what is next in *answers*; set after the first."""
    write, failed = EmbeddedIndex.write, asyncio.Event()

    async def next_answer(index: Any, documents: Any) -> Any:
        answer = answers.pop(0)
        failed.set()
        if answer is not None:
            raise answer
        return await write(index, documents)

    monkeypatch.setattr(EmbeddedIndex, "write", next_answer)
    return failed


def translated(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return *step* with the client's errors turned into ours."""

    async def inside(*given: Any) -> Any:
        with elastic._translated("http://server"):
            return await step(*given)

    return inside


async def half_build(index: SearchIndex, number: int) -> None:
    """Leave behind what a killed reindex would."""
    if isinstance(index, EmbeddedIndex):
        path = index._files.path(number)
        async with EmbeddedIndex(index._files.folder, only=path) as fresh:
            await fresh.prepare()
    elif isinstance(index, ElasticIndex):
        await index._generations.claim(number)
