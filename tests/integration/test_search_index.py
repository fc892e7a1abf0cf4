"""One contract, both search indices: embedded, and on a real Elasticsearch."""

from __future__ import annotations

import asyncio
import sqlite3
import stat

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from elasticsearch import AsyncElasticsearch

from mappings.elastic import ElasticIndex
from mappings.embedded import EmbeddedIndex
from mappings.face import Held, Refused, SearchIndex, Stored
from mappings.files import FILE
from mappings.query import parse
from mappings.snippets import END, START
from streams.errors import IndexUnavailableError, LogDamagedError, QueryError
from streams.records import (
    Actor,
    Classification,
    Event,
    Identity,
    Incident,
    Item,
    Language,
    Place,
    Report,
    Source,
    Story,
)
from streams.settings import Elasticsearch
from tests.servers.handles import ElasticsearchServer


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ELASTIC = pytest.param("elastic", marks=pytest.mark.elasticsearch)


def item(ident: str, **changes: Any) -> Item:
    language = changes.pop("language", "en")
    anchor = changes.pop("anchor", NOW)
    given: dict[str, Any] = {
        "identities": (Identity(kind="guid", value=ident),),
        "publisher": "paper.example",
        "source": Source(connector="rss", id="paper.example/world"),
        "title": "",
        "text": "",
        "fetched": NOW,
        "id": ident,
        "revision": 1,
        "content_hash": "h",
        "first_seen": NOW,
        "anchor": anchor,
        "language": Language(code=language, confidence=0.9),
        "version": 1,
        "origin": "items.raw/3/14",
    }
    return Item(**{**given, **changes})


def incident(ident: str, **changes: Any) -> Incident:
    given: dict[str, Any] = {
        "id": ident,
        "version": 1,
        "incident_class": "protest",
        "title": "Teachers march in the capital",
        "first_seen": NOW,
        "last_seen": NOW,
        "reports": (
            Report(
                item="i1",
                story="s1",
                source="radio-one",
                publisher="Radio One",
                language="fr",
                seen=NOW,
                quote="Les enseignants ont marché vers le ministère",
            ),
        ),
        "actors": (Actor(name="Syndicat", role="perpetrator"),),
        "place": Place(name="Ouagadougou"),
    }
    return Incident(**{**given, **changes})


def classed(label: str) -> tuple[Event, ...]:
    judged = Classification(label=label, confidence=0.8)  # type: ignore[arg-type]  # parametrised
    return (Event(incident_class=judged),)


@pytest.fixture(params=["embedded", ELASTIC])
async def index(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[SearchIndex]:
    if request.param == "embedded":
        async with EmbeddedIndex(tmp_path) as embedded:
            await embedded.prepare()
            yield embedded
        return
    url = request.getfixturevalue("elasticsearch")
    prefix = request.getfixturevalue("prefix")
    async with ElasticIndex(Elasticsearch(url=url), prefix) as elastic:
        await elastic.prepare()
        yield elastic


async def found(index: SearchIndex, text: str, **options: Any) -> list[str]:
    await index.refresh()
    page = await index.search(parse(text, now=NOW), **options)
    assert page.total == len(page.hits)
    return [hit.document.id for hit in page.hits]


async def test_many_items_are_fetched_whole_at_once(index: SearchIndex) -> None:
    written = [item(f"i{number}", text="flood", version=7) for number in range(3)]
    await index.write([*written, incident("n1")])
    assert await index.items(["i2", "i0", "n1", "none"]) == {
        "i0": written[0],
        "i2": written[2],
    }
    assert await index.items([]) == {}


async def test_a_document_comes_back_exactly_as_it_was_written(
    index: SearchIndex,
) -> None:
    written = item(
        "i1",
        title="A « quoted » title",
        text="Text with \u0000 control, emoji 🚒, and a lone '\\u0000'.",
        events=classed("protest"),
        places=(Place(name="Kayes", lat=14.4469, lon=-11.4445, confidence=0.1 + 0.2),),
        story=Story(id="s1", similarity=1 / 3),
        models={"langdetect": "1.0.9"},
        incidents=("n1",),
        published=NOW - timedelta(microseconds=1),
    )
    assert await index.write([written, incident("n1")]) == [Stored.STORED] * 2
    assert await index.get("i1") == written
    assert await index.get("n1") == incident("n1")
    assert await index.get("i2") is None


async def test_an_older_version_never_replaces_a_newer_one(index: SearchIndex) -> None:
    third = item("i1", version=3, text="third")
    assert await index.write([third]) == [Stored.STORED]
    older = [item("i1", version=version, text="older") for version in (1, 2, 3)]
    assert await index.write(older) == [Stored.STALE] * 3
    assert await index.get("i1") == third
    fourth = item("i1", version=4, text="fourth")
    assert await index.write([fourth]) == [Stored.STORED]
    assert await found(index, "third") == []
    assert await found(index, "fourth") == ["i1"]


async def test_versions_within_one_call_end_with_the_newest(index: SearchIndex) -> None:
    documents = [item("i1", version=version) for version in (2, 1, 5, 4, 5)]
    assert await index.write(documents) == [
        Stored.STORED,
        Stored.STALE,
        Stored.STORED,
        Stored.STALE,
        Stored.STALE,
    ]
    assert (await index.held(["i1"]))["i1"].version == 5


async def test_writing_the_same_again_changes_nothing(index: SearchIndex) -> None:
    documents: list[Item | Incident] = [item("i1", text="flood"), incident("n1")]
    await index.write(documents)
    assert await index.write(documents) == [Stored.STALE] * 2
    assert await found(index, "flood") == ["i1"]


async def test_a_refused_document_does_not_harm_its_neighbours(
    index: SearchIndex,
) -> None:
    fates = await index.write(
        [item("i1"), item("x" * 513), item("i2", version=0), item("i3")]
    )
    assert fates[0] == fates[3] == Stored.STORED
    refusals = [fate for fate in fates if isinstance(fate, Refused)]
    assert [refusal.kind for refusal in refusals] == ["id_length", "version_range"]
    assert all(refusal.reason for refusal in refusals)
    assert await found(index, "", sort="oldest") == ["i1", "i3"]


async def test_held_sees_what_is_written_before_it_is_searchable(
    index: SearchIndex,
) -> None:
    await index.write(
        [item("i1", version=7, revision=2), item("i2", state="withdrawn", version=9)]
    )
    assert await index.held(["i1", "i2", "absent"]) == {
        "i1": Held(7, 2, "present", "items.raw/3/14", NOW),
        "i2": Held(9, 1, "withdrawn", "items.raw/3/14", NOW),
    }
    assert await index.held([]) == {}


async def test_a_withdrawn_item_is_a_stub_that_no_query_finds(
    index: SearchIndex,
) -> None:
    await index.write([item("i1", title="Flood", text="A flood.")])
    gone = item("i1", title="Flood", text="A flood.", state="withdrawn", version=2)
    await index.write([gone])
    for text in ("flood", "", "-fire", "source:paper.example/world"):
        assert await found(index, text) == []
    assert (await index.facets(parse("", now=NOW)))["day"] == []
    stub = await index.get("i1")
    assert isinstance(stub, Item)
    assert (stub.state, stub.version, stub.title, stub.text) == ("withdrawn", 2, "", "")


async def test_a_merged_incident_is_read_but_not_found(index: SearchIndex) -> None:
    await index.write(
        [
            incident("n1", merged_into="n2"),
            incident("n2", status="retracted"),
        ]
    )
    assert await found(index, "teachers", kind="incidents") == ["n2"]
    merged = await index.get("n1")
    assert isinstance(merged, Incident)
    assert merged.merged_into == "n2"


async def test_an_incident_is_found_by_title_quote_place_and_actor(
    index: SearchIndex,
) -> None:
    await index.write([incident("n1"), item("i1", text="Teachers march")])
    for text in (
        "teachers",
        "enseignant",
        '"ont marché vers"',
        "ouagadougou",
        "syndicat",
        "class:protest lang:fr source:radio-one",
        'publisher:"radio one" story:s1 incident:n1',
    ):
        assert await found(index, text, kind="incidents") == ["n1"], text
    assert await found(index, '"ministere ouagadougou"', kind="incidents") == []


@pytest.mark.parametrize("sort", ["newest", "oldest", "relevance"])
async def test_pages_go_to_any_depth_and_meet_each_result_once(
    index: SearchIndex, sort: Any
) -> None:
    ties = [NOW - timedelta(hours=hours) for hours in range(10)]
    items = [
        item(
            f"i{number:03}", text="flood " * (number % 4 + 1), anchor=ties[number % 10]
        )
        for number in range(320)
    ]
    await index.write(items)
    await index.refresh()
    query = parse("flood", now=NOW)
    seen: list[str] = []
    after = ""
    while True:
        page = await index.search(query, sort=sort, size=7, after=after)
        assert page.total == 320
        seen += [hit.document.id for hit in page.hits]
        if not (after := page.after):
            break
    assert len(seen) == 320
    assert len(set(seen)) == 320
    if sort != "relevance":
        sign = -1 if sort == "newest" else 1
        ordered = sorted(items, key=lambda one: (sign * one.anchor.timestamp(), one.id))
        assert seen == [one.id for one in ordered]


async def test_a_page_token_of_another_query_is_refused(index: SearchIndex) -> None:
    await index.write([item("i1", text="flood"), item("i2", text="flood")])
    await index.refresh()
    page = await index.search(parse("flood", now=NOW), size=1)
    for text, after in (("fire", page.after), ("flood", "no token"), ("flood", "é")):
        with pytest.raises(QueryError):
            await index.search(parse(text, now=NOW), after=after)


async def test_a_snippet_marks_what_was_searched_for(index: SearchIndex) -> None:
    await index.write([item("i1", language="fr", title="Deux attaques à Kayes")])
    await index.refresh()
    (hit,) = (await index.search(parse("attaque", now=NOW))).hits
    assert hit.snippets == (f"Deux {START}attaques{END} à Kayes",)


async def test_a_title_counts_more_than_the_text(index: SearchIndex) -> None:
    await index.write(
        [
            item("i1", title="Market prices", text="A flood of goods came in."),
            item("i2", title="Flood", text="Market prices and goods came in."),
        ]
    )
    await index.refresh()
    page = await index.search(parse("flood", now=NOW))
    assert [hit.document.id for hit in page.hits] == ["i2", "i1"]
    assert page.hits[0].score > page.hits[1].score > 0


async def test_facets_count_by_class_language_source_and_day(
    index: SearchIndex,
) -> None:
    await index.write(
        [
            item("i1", text="flood", language="fr", events=classed("disaster")),
            item("i2", text="flood", language="fr", anchor=NOW - timedelta(days=40)),
            item("i3", text="flood", language="pt-BR", events=classed("disaster")),
            item("i4", text="fire", language="ha"),
        ]
    )
    await index.refresh()
    assert await index.facets(parse("flood", now=NOW)) == {
        "class": [("disaster", 2), ("none", 1)],
        "language": [("fr", 2), ("pt", 1)],
        "source": [("paper.example/world", 3)],
        "day": [("2026-10-15", 1), ("2026-11-24", 2)],
    }
    few = await index.facets(parse("", now=NOW), size=1)
    assert few["class"] == [("disaster", 2)]
    assert few["day"] == [("2026-11-24", 3)]


async def test_nothing_written_is_nothing_found(index: SearchIndex) -> None:
    assert await found(index, "flood") == []
    assert await found(index, "", kind="incidents") == []
    assert (await index.facets(parse("", now=NOW)))["class"] == []
    assert await index.expire(NOW) == 0


async def test_whole_months_expire_and_the_others_stay(index: SearchIndex) -> None:
    anchors = {
        "i1": datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC),
        "i2": datetime(2026, 10, 1, tzinfo=UTC),
        "i3": datetime(2026, 11, 2, tzinfo=UTC),
    }
    await index.write(
        [item(ident, text="flood", anchor=anchor) for ident, anchor in anchors.items()]
    )
    await index.write([incident("n1", first_seen=anchors["i1"])])
    assert await index.expire(datetime(2026, 10, 31, tzinfo=UTC)) == 1
    assert await index.get("i1") is None
    assert await found(index, "flood", sort="newest") == ["i3", "i2"]
    assert await found(index, "flood -flood") == []
    assert await index.get("n1") is not None


async def test_preparing_again_changes_nothing(index: SearchIndex) -> None:
    await index.write([item("i1", text="flood")])
    assert await index.prepare() == []
    assert await index.check() == []
    assert await found(index, "flood") == ["i1"]


async def test_two_workers_may_prepare_and_write_at_once(
    request: pytest.FixtureRequest, index: SearchIndex, tmp_path: Path
) -> None:
    def another() -> SearchIndex:
        if isinstance(index, EmbeddedIndex):
            return EmbeddedIndex(tmp_path / "new")
        url = request.getfixturevalue("elasticsearch")
        name = request.getfixturevalue("prefix") + "new-"
        return ElasticIndex(Elasticsearch(url=url), name)

    async with another() as one, another() as two:
        await asyncio.gather(one.prepare(), two.prepare())
        documents = [item(f"i{number}", text="flood") for number in range(50)]
        fates = await asyncio.gather(one.write(documents), two.write(documents))
        assert sorted(map(str, fates[0] + fates[1])) == sorted(
            map(str, [Stored.STORED, Stored.STALE] * 50)
        )
        assert len(await found(one, "flood", size=100)) == 50
        assert await two.check() == []


async def test_a_clause_limit_full_of_words_is_answered(index: SearchIndex) -> None:
    await index.write([item("i1", text="w0 w63")])
    await index.refresh()
    words = " OR ".join(f"w{number}" for number in range(64))
    assert await found(index, words) == ["i1"]


async def test_a_long_word_and_a_long_text_are_searchable(index: SearchIndex) -> None:
    await index.write([item("i1", text="a" * 100_000 + " flood")])
    assert await found(index, "flood") == ["i1"]


# Elasticsearch only.


@pytest.fixture
async def client(elasticsearch: str) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch(elasticsearch) as opened:
        yield opened


@pytest.fixture
async def elastic(elasticsearch: str, prefix: str) -> AsyncIterator[ElasticIndex]:
    async with ElasticIndex(Elasticsearch(url=elasticsearch), prefix) as opened:
        await opened.prepare()
        yield opened


@pytest.mark.elasticsearch
async def test_an_item_lies_in_the_month_of_its_anchor(
    elastic: ElasticIndex, client: AsyncElasticsearch, prefix: str
) -> None:
    late = datetime(2026, 10, 31, 22, tzinfo=UTC).astimezone(UTC)
    await elastic.write([item("i1"), item("i2", anchor=late), incident("n1")])
    names = set(await client.indices.get(index=f"{prefix}*"))
    assert names == {
        f"{prefix}items-000001-2026.10",
        f"{prefix}items-000001-2026.11",
        f"{prefix}incidents-000001",
    }


@pytest.mark.elasticsearch
async def test_a_document_that_elasticsearch_refuses_is_named(
    elastic: ElasticIndex,
) -> None:
    bad = item("i2", places=(Place(name="Kayes", geonames_id=2**70),))
    fates = await elastic.write([item("i1"), bad, item("i3")])
    assert fates[0] == fates[2] == Stored.STORED
    assert isinstance(fates[1], Refused)
    assert fates[1].kind == "document_parsing_exception"
    assert "geonames_id" in fates[1].reason


@pytest.mark.elasticsearch
@pytest.mark.parametrize("block", ["read_only", "read_only_allow_delete", "write"])
async def test_a_block_is_waited_out(
    elastic: ElasticIndex, client: AsyncElasticsearch, prefix: str, block: str
) -> None:
    await elastic.write([item("i1", text="flood")])
    blocked = f"{prefix}items-000001-2026.11"
    await client.indices.put_settings(
        index=blocked, settings={f"index.blocks.{block}": True}
    )
    with pytest.raises(IndexUnavailableError, match="block"):
        await elastic.write([item("i2", text="flood")])
    assert any(blocked in line for line in await elastic.check())
    await client.indices.put_settings(
        index=blocked, settings={f"index.blocks.{block}": False}
    )
    assert await elastic.write([item("i2", text="flood")]) == [Stored.STORED]


@pytest.mark.elasticsearch
async def test_a_shard_that_is_on_no_node_is_waited_out(
    elastic: ElasticIndex,
    client: AsyncElasticsearch,
    elasticsearch: str,
    prefix: str,
) -> None:
    month = f"{prefix}items-000001-2026.11"
    nowhere = "index.routing.allocation.require._name"
    await client.indices.create(
        index=month, settings={nowhere: "none"}, wait_for_active_shards=0
    )
    hasty = Elasticsearch(url=elasticsearch, request_timeout_s=0.5)
    async with ElasticIndex(hasty, prefix) as impatient:
        with pytest.raises(IndexUnavailableError):
            await impatient.write([item("i1")])
    assert any(month in line and "red" in line for line in await elastic.check())
    await client.indices.put_settings(index=month, settings={nowhere: "*"})
    await client.cluster.health(index=month, wait_for_status="green")
    # The server may have kept the first request, and carried it out.
    assert (await elastic.write([item("i1")]))[0] in (Stored.STORED, Stored.STALE)
    assert await elastic.get("i1") == item("i1")


@pytest.mark.elasticsearch
async def test_the_limit_of_shards_and_a_dead_server_are_waited_out(
    own_elasticsearch: Callable[[], ElasticsearchServer],
) -> None:
    server = own_elasticsearch()
    async with (
        ElasticIndex(Elasticsearch(url=server.url), "own-") as index,
        AsyncElasticsearch(server.url) as client,
    ):
        await index.prepare()
        await client.cluster.put_settings(persistent={"cluster.max_shards_per_node": 1})
        with pytest.raises(IndexUnavailableError, match=r"maximum .* shards"):
            await index.write([item("i1")])
        await client.cluster.put_settings(
            persistent={"cluster.max_shards_per_node": None}
        )
        assert await index.write([item("i1")]) == [Stored.STORED]
        server.kill()
        with pytest.raises(IndexUnavailableError):
            await index.write([item("i2")])


@pytest.mark.elasticsearch
async def test_a_server_that_is_away_is_transient() -> None:
    async with ElasticIndex(Elasticsearch(url="http://127.0.0.1:9"), "x-") as away:
        calls: list[Callable[[], Any]] = [
            away.prepare,
            away.refresh,
            lambda: away.write([item("i1")]),
            lambda: away.get("i1"),
            lambda: away.held(["i1"]),
            lambda: away.search(parse("flood", now=NOW)),
            lambda: away.facets(parse("flood", now=NOW)),
            lambda: away.expire(NOW),
        ]
        for call in calls:
            with pytest.raises(IndexUnavailableError):
                await call()
        (line,) = await away.check()
        assert "check the address" in line


@pytest.mark.elasticsearch
async def test_fields_that_were_added_reach_the_indices_that_exist(
    elastic: ElasticIndex, client: AsyncElasticsearch, prefix: str
) -> None:
    month = f"{prefix}items-000001-2026.01"
    await elastic.write([item("i1", anchor=datetime(2026, 1, 9, tzinfo=UTC))])
    await client.indices.put_mapping(index=month, meta={"digest": "an older one"})
    assert await elastic.prepare() == [f"updated the mappings of {month}"]
    assert await elastic.prepare() == []


# The embedded index only.


async def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    async with EmbeddedIndex(folder) as index:
        await index.prepare()
        await index.write([item("i1")])
        modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_another_analysis_builds_the_index_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        await index.write([item(f"i{number}", text="flood") for number in range(700)])
    monkeypatch.setattr("mappings.analysis.VERSION", "another")
    async with EmbeddedIndex(tmp_path) as index:
        with pytest.raises(IndexUnavailableError, match="was made by"):
            await found(index, "flood")
        with pytest.raises(IndexUnavailableError, match="was made by"):
            await index.write([item("i1")])
        (line,) = await index.prepare()
        assert "700 records" in line
        page = await index.search(parse("flood", now=NOW))
        assert page.total == 700


async def test_another_process_reads_while_one_writes(tmp_path: Path) -> None:
    async with EmbeddedIndex(tmp_path) as writer, EmbeddedIndex(tmp_path) as reader:
        await writer.prepare()
        await writer.write([item("i1", text="flood")])
        assert await found(reader, "flood") == ["i1"]
        await writer.write([item("i2", text="flood")])
        assert await found(reader, "flood") == ["i1", "i2"]


async def test_an_index_that_does_not_exist_is_said(tmp_path: Path) -> None:
    async with EmbeddedIndex(tmp_path / "none") as index:
        with pytest.raises(IndexUnavailableError, match="no index"):
            await index.search(parse("", now=NOW))
        assert len(await index.check()) == 1
    assert not (tmp_path / "none").exists()


async def test_a_locked_file_is_transient(tmp_path: Path) -> None:
    async with EmbeddedIndex(tmp_path, busy_max_s=0.05) as index:
        await index.prepare()
        other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnavailableError, match="locked"):
            await index.write([item("i1")])
        other.execute("ROLLBACK")
        other.close()
        assert await index.write([item("i1")]) == [Stored.STORED]


async def test_a_full_disk_is_transient_and_loses_nothing(tmp_path: Path) -> None:
    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        await index.write([item("i0", text="flood")])
        assert index._writing is not None
        (pages,) = index._writing.execute("PRAGMA page_count").fetchone()
        index._writing.execute(f"PRAGMA max_page_count={pages}")
        many = [item(f"i{number}", text="flood " * 900) for number in range(1, 60)]
        with pytest.raises(IndexUnavailableError, match="full"):
            await index.write(many)
        assert await found(index, "flood") == ["i0"]
        index._writing.execute("PRAGMA max_page_count=1073741823")
        assert await index.write(many) == [Stored.STORED] * 59


async def test_a_damaged_file_stops_the_process(tmp_path: Path) -> None:
    async with EmbeddedIndex(tmp_path) as index:
        await index.prepare()
        await index.write([item(f"i{number}", text="flood") for number in range(400)])
    file = tmp_path / FILE
    whole = bytearray(file.read_bytes())
    whole[4096:] = b"\xff" * (len(whole) - 4096)
    file.write_bytes(whole)
    async with EmbeddedIndex(tmp_path) as index:
        with pytest.raises(LogDamagedError, match="reindex"):
            await index.write([item("i1", version=2)])
        assert await index.check() != []
