"""Both indices answer every query alike: the same results, and the same order by time."""

# ruff: noqa: RUF001, SIM905 - the letters are the point; lists of words read as text
from __future__ import annotations

import random
import unicodedata

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from elasticsearch import AsyncElasticsearch

from mappings import analysis, overrides, schema
from mappings.elastic import ElasticIndex
from mappings.embedded import EmbeddedIndex
from mappings.face import Kind, SearchIndex, Sort
from mappings.query import parse
from streams.records import (
    Actor,
    Classification,
    Event,
    Identity,
    Incident,
    Item,
    Language,
    Place,
    Recording,
    Report,
    Sighting,
    Source,
    Story,
)
from streams.settings import Elasticsearch


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ITEMS, INCIDENTS, RANDOM_QUERIES = 400, 80, 150

pytestmark = [
    pytest.mark.elasticsearch,
    pytest.mark.asyncio(loop_scope="module"),
]

#: Sentences to draw from and to mix; in each language some in several forms of a word.
SENTENCES: dict[str, list[str]] = {
    "en": [
        "Gunmen attacked a fuel convoy on the road to Kayes.",
        "The attacks left fifteen drivers dead, an official said.",
        "International organizations called the emergency a catastrophe.",
        "Teachers' unions were striking; the strike enters its 3rd week.",
        "Mali's universities stay closed until 12:30, says the ministry's website.",
        "Meteorologists warned of flooding after the river had risen.",
    ],
    "fr": [
        "Des hommes armés ont attaqué un convoi de carburant près de Kayes.",
        "Les attaques ont tué quinze chauffeurs, selon l'armée sénégalaise.",
        "L'attaque s'est produite à l'aube ; les blessées ont été évacuées.",
        "Les événements d'aujourd'hui inquiètent les évêques et les élèves.",
        "Manifestation à N’Djaména : des manifestants arrêtés, œuvres brûlées.",
        "Les inondations ont détruit des écoles françaises et des palais.",
    ],
    "es": [
        "Los atacantes dispararon contra el convoy en la carretera.",
        "Las inundaciones dejaron cientos de familias sin hogar.",
        "La policía detuvo a los manifestantes en la plaza mayor.",
        "El niño habló con los años de sequía en la montaña.",
    ],
    "pt": [
        "Os ataques contra aldeias em Cabo Delgado continuam.",
        "A população fugiu das inundações na província.",
        "Manifestações foram proibidas pela polícia.",
    ],
    "ar": [
        "هاجم مسلحون قافلة وقود على الطريق إلى كايس",
        "الهجوم أسفر عن مقتل خمسة عشر سائقاً في المدينة",
        "المدارس مغلقة بسبب الفيضانات في الولاية الشماليّة",
        "مدرسه جديدة للأطفال في مدينة على النهر",
        "مظـــاهرات في الخرطوم، والشرطة تفرق المتظاهرين",
    ],
    "ha": [
        "'Yan bindiga sun kai hari ƙauyen Ɗan Musa da daddare.",
        "Ƴan bindigar sun sace ɗalibai daga makarantar ƙaramar hukuma.",
        "Ambaliyar ruwa ta rushe gidaje a Ɓirnin Kudu.",
        "Dalibai sun koma makaranta a kauyen.",
    ],
    "ru": [
        "Наводнение разрушило дома в области, ещё трое пропали.",
        "Нападение на колонну с топливом: погибли водители.",
        "Водитель колонны погиб, идёт расследование.",
    ],
    "tr": [
        "İstanbul'da düzenlenen gösteride göstericiler gözaltına alındı.",
        "Depremde yıkılan evlerin sakinleri çadırlarda yaşıyor.",
    ],
    "it": ["Le alluvioni hanno distrutto le case; l'alluvione è la peggiore."],
    "hi": ["बाढ़ में कई घर बह गए, लोगों ने सड़कें बंद कीं।", "सड़क दुर्घटना में पाँच लोगों की मौत"],
    "id": ["Banjir merendam rumah warga, penduduk mengungsi ke sekolah."],
    "und": [
        "Jɛkulu ye ɲɔgɔn sɔrɔ Bamako, kɛlɛ ma ban.",
        "洪水が首都を襲った。政府は対応を急ぐ。",
        "𞤆𞤵𞤤𞤢𞤪 𞤲𞤣𞤭𞤴𞤢𞤥 Kayes",
        "ﬁre №5 at the depot: 1,500 litres, 3.5 km²; e-mail x@y.example",
        "Ăn uống ở Đà Nẵng; Übergröße, Łódź, ÆØÅ, ﺍﻟﺴﻼﻡ",
    ],
}

WORDS = """
    attack attacks attacked attaque attaques attaqué l'attaque convoy convoi convois
    inondation inondaciones inundações flooding floods evenement événements sénégalais
    sénégalaise française français palais organisation organization international
    emergency university Mali's N'Djaména N’Djamena djamena aujourd'hui œuvres oeuvre
    habló hablo ninos niño policia policía manifestante manifestaciones manifestação
    هجوم الهجوم مدرسة المدارس مدينه المدينة الى إلى مظاهرات الشماليه سائق
    kauye ƙauye ƙauyen Dan ɗan yan 'yan ƴan bindiga bindigar ɗalibai dalibai birnin
    наводнение наводнения водитель водители еще ещё колонн Istanbul İstanbul ıstanbul
    gösterici alluvione alluvioni घर सड़क सड़कें banjir sekolah jɛkulu jekulu kele kɛlɛ
    首都 洪水 fire ﬁre 12:30 1,500 3.5 km² km2 x@y.example https://kayes.example/a
    Đà da nang ubergrosse Übergröße Lodz السلام kayes Kayes KAYES absentword
    meteorologist meteorologists the of de striking strike
""".split()

PHRASES = (
    "fuel convoy",
    "convoi de carburant",
    "attaques ont tué",
    "l'attaque s'est",
    "attack a fuel",
    "قافلة وقود",
    "yan bindiga",
    "首都を",
    "road to Kayes",
    "Kayes road",
    "in the",
    "Syndicat Kayes",
    "12:30",
)

FIELDS = """
    lang:fr lang:en lang:pt-BR lang:und class:protest class:none source:"a.example/rss"
    source:A.EXAMPLE/rss publisher:b.example station:radio-kayes story:s3 incident:n5
    after:2026-11 before:2026-11 after:-7d before:-24h seen-after:-2d
    after:2026-11-20T06:00:00Z source:nowhere
""".split()

PREFIXES = "atta* man* éve* eve* الم* ƙau* kau* наво* int* abs* kay* 150*".split()


class Pair(NamedTuple):
    embedded: SearchIndex
    elastic: SearchIndex


def items(rng: random.Random) -> list[Item]:
    made = []
    for number in range(ITEMS):
        language = rng.choice(list(SENTENCES))
        text = " ".join(
            rng.choice(SENTENCES[language]) for _ in range(rng.randint(1, 4))
        )
        if rng.random() < 0.1:  # quotes another language
            text += " " + rng.choice(SENTENCES[rng.choice(list(SENTENCES))])
        source = rng.choice(("a.example/rss", "b.example/rss", "radio-kayes"))
        anchor = NOW - timedelta(hours=rng.randint(0, 1500))
        label: Any = rng.choice(("protest", "battle", "disaster", "accident"))
        judged = Classification(label=label, confidence=0.5)
        made.append(
            Item(
                identities=(Identity(kind="guid", value=str(number)),),
                publisher=source.partition("/")[0],
                source=Source(connector="rss", id=source),
                state="withdrawn" if rng.random() < 0.05 else "present",
                title=rng.choice(SENTENCES[language]),
                text=text,
                fetched=anchor,
                recording=Recording() if source == "radio-kayes" else None,
                id=f"i{number:04}",
                revision=1,
                content_hash=str(number),
                first_seen=anchor + timedelta(hours=rng.randint(0, 30)),
                anchor=anchor,
                seen_in=(Sighting(source="b.example/rss", same_text=True),)
                if rng.random() < 0.1
                else (),
                language=Language(code="pt-BR" if language == "pt" else language),
                events=(Event(incident_class=judged),) if rng.random() < 0.7 else (),
                version=1 + number,
                story=Story(id=f"s{number % 20}"),
                incidents=(f"n{number % 40}",) if rng.random() < 0.5 else (),
            )
        )
    return made


def incidents(rng: random.Random) -> list[Incident]:
    made = []
    for number in range(INCIDENTS):
        languages = rng.sample(list(SENTENCES), rng.randint(1, 3))
        seen = NOW - timedelta(hours=rng.randint(0, 900))
        made.append(
            Incident(
                id=f"n{number}",
                version=1,
                incident_class=rng.choice(("protest", "battle", "disaster")),
                title=rng.choice(SENTENCES[languages[0]]),
                first_seen=seen,
                last_seen=seen + timedelta(hours=rng.randint(0, 50)),
                place=Place(name="Kayes") if rng.random() < 0.3 else None,
                actors=(Actor(name="Syndicat", role="target"),),
                reports=tuple(
                    Report(
                        item=f"i{at:04}",
                        story=f"s{at}",
                        source=rng.choice(("a.example/rss", "radio-kayes")),
                        publisher="b.example",
                        language=language,
                        seen=seen,
                        quote=rng.choice(SENTENCES[language]),
                    )
                    for at, language in enumerate(languages)
                ),
                merged_into="n0" if rng.random() < 0.05 else "",
            )
        )
    return made


def random_query(rng: random.Random, depth: int = 0) -> str:  # noqa: PLR0911 - one a kind
    kind = rng.random()
    if depth > 3 or kind < 0.45:
        return rng.choice(WORDS)
    if kind < 0.52:
        return f'"{rng.choice(PHRASES)}"'
    if kind < 0.58:
        return rng.choice(PREFIXES)
    if kind < 0.66:
        return rng.choice(FIELDS)
    inner = [random_query(rng, depth + 1) for _ in range(rng.randint(2, 3))]
    if kind < 0.8:
        return f"({' OR '.join(inner)})"
    if kind < 0.9:
        return f"({' '.join(inner)})"
    return f"-{inner[0]}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    elasticsearch: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    rng = random.Random(20261124)
    documents: list[Item | Incident] = [*items(rng), *incidents(rng)]
    folder: Path = tmp_path_factory.mktemp("parity")
    prefix = f"{folder.name.lower().replace('_', '-')}-{rng.randint(0, 9999)}-"
    async with (
        EmbeddedIndex(folder) as embedded,
        ElasticIndex(Elasticsearch(url=elasticsearch), prefix) as elastic,
    ):
        for index in (embedded, elastic):
            await index.prepare()
            await index.write(documents)
            await index.refresh()
        yield Pair(embedded, elastic)
    await _remove(elasticsearch, prefix)


async def _remove(url: str, prefix: str) -> None:
    async with AsyncElasticsearch(url) as client:
        for name in await client.indices.get(index=f"{prefix}*"):
            await client.indices.delete(index=name)
        for kind in schema.RECORDS:
            await client.indices.delete_index_template(name=f"{prefix}wirewatch-{kind}")


async def results(index: SearchIndex, text: str, kind: Kind, sort: Sort) -> list[str]:
    query = parse(text, now=NOW)
    page = await index.search(query, kind=kind, sort=sort, size=ITEMS)
    assert page.total == len(page.hits)
    return [hit.document.id for hit in page.hits]


async def differences(pair: Pair, texts: list[str]) -> list[str]:
    found = []
    for text in texts:
        for kind in ("items", "incidents"):
            mine = await results(pair.embedded, text, kind, "newest")
            theirs = await results(pair.elastic, text, kind, "newest")
            if mine != theirs:
                only = set(mine) ^ set(theirs)
                found.append(f"{text!r} over {kind}: {sorted(only)[:5] or 'order'}")
    return found


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(WORDS, id="words"),
        pytest.param([f'"{phrase}"' for phrase in PHRASES], id="phrases"),
        pytest.param(FIELDS, id="fields"),
        pytest.param(PREFIXES, id="prefixes"),
        pytest.param(["", *(f"-{word}" for word in WORDS[:20])], id="all but"),
    ],
)
async def test_each_kind_of_query_finds_the_same(pair: Pair, texts: list[str]) -> None:
    assert await differences(pair, list(texts)) == []


async def test_any_tree_of_them_finds_the_same(pair: Pair) -> None:
    rng = random.Random(7)
    texts = [random_query(rng) for _ in range(RANDOM_QUERIES)]
    assert await differences(pair, texts) == []


@pytest.mark.parametrize("text", ["attaque", "الهجوم", "kauyen", "fuel OR lang:fr", ""])
async def test_order_by_relevance_holds_the_same_set(pair: Pair, text: str) -> None:
    mine = await results(pair.embedded, text, "items", "relevance")
    theirs = await results(pair.elastic, text, "items", "relevance")
    assert mine
    assert sorted(mine) == sorted(theirs)


@pytest.mark.parametrize("text", ["", "attaque", "lang:ar", "-convoy class:protest"])
async def test_facets_are_the_same(pair: Pair, text: str) -> None:
    for kind in ("items", "incidents"):
        query = parse(text, now=NOW)
        mine = await pair.embedded.facets(query, kind=kind)
        theirs = await pair.elastic.facets(query, kind=kind)
        assert mine == theirs


async def test_snippets_are_the_same(pair: Pair) -> None:
    for word in WORDS:
        query = parse(word, now=NOW)
        pages = [await index.search(query, sort="newest", size=50) for index in pair]
        mine, theirs = ([hit.snippets for hit in page.hits] for page in pages)
        assert mine == theirs


@pytest.mark.parametrize(
    ("query", "language", "word"),
    [
        ("attaques", "fr", "attaque"),
        ("هجوم", "ar", "الهجوم"),
        ("الهجوم", "ar", "هجوم"),
        ("kauyen", "ha", "ƙauyen"),
        ("ɗalibai", "ha", "Dalibai"),
        ("evenements", "fr", "événements"),
        ("sénégalais", "fr", "sénégalaise"),
        ("inundación", "es", "inundaciones"),
    ],
)
async def test_a_word_is_found_in_its_other_forms(
    pair: Pair, query: str, language: str, word: str
) -> None:
    for index in pair:
        page = await index.search(parse(f"{query} lang:{language}", now=NOW), size=50)
        texts = [
            f"{hit.document.title} {getattr(hit.document, 'text', '')}"
            for hit in page.hits
        ]
        assert any(word in text for text in texts), (type(index).__name__, query)


# The analyzers themselves, over far more words than documents have.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyzers(
    elasticsearch: str,
) -> AsyncIterator[tuple[AsyncElasticsearch, str]]:
    name = f"analyzers-{random.Random().randint(0, 10**9)}"
    template = schema.load("items", prefix="unused-", replicas=0)["template"]
    async with AsyncElasticsearch(elasticsearch) as client:
        await client.indices.create(index=name, settings=template["settings"])
        yield client, name
        await client.indices.delete(index=name)


async def analysed(
    analyzers: tuple[AsyncElasticsearch, str], analyzer: str, text: str
) -> list[str]:
    client, index = analyzers
    prepared = analysis.prepare(text)
    found = await client.indices.analyze(index=index, analyzer=analyzer, text=prepared)
    return [token["token"] for token in found["tokens"]]


async def test_every_letter_folds_alike(
    analyzers: tuple[AsyncElasticsearch, str],
) -> None:
    letters = [
        chr(code)
        for code in range(0x20, 0x20000)
        if unicodedata.category(chr(code)) not in ("Cn", "Cs")
    ]
    for start in range(0, len(letters), 1500):
        text = " . ".join(letters[start : start + 1500])
        assert await analysed(analyzers, "folded", text) == analysis.folded(text)


#: Words in which German does not differ (see :mod:`mappings.overrides`).
_GERMAN = """
    Angriff Angriffe Angriffen Angreifer Überschwemmung Überschwemmungen Straße Straßen
    überfluten Häuser Haus verletzt Verletzte Verletzten Lehrer streikten Streik
    gewaltsame gewaltsamen größte Größe Behörden Flüchtlinge freundlich freiheitlich
""".split()

#: Endings that the Snowball algorithms take off, for words that nobody chose.
_ENDINGS = """
    s es ed ing ly ness ations ization ement ements ées és er ait aient euse euses ité
    ción ciones mente ando ieron aba ções ção ar ava ungen ung heit lich isch
    ами ого ение ться لر ات ون ين ها هم ية ler lar lardan ında ki nya kan zione zioni
    ों ियाँ ता ने ist ists ity
""".split()


@pytest.mark.parametrize("language", analysis.STEMMERS)
async def test_many_words_have_the_same_stem(
    analyzers: tuple[AsyncElasticsearch, str], language: str
) -> None:
    rng = random.Random(language)
    words = [
        word
        for sentences in SENTENCES.values()
        for sentence in sentences
        for word in sentence.split()
    ]
    words = words if language != "de" else list(_GERMAN)
    alphabet = "".join(sorted({letter for word in words for letter in word.lower()}))
    script = [
        letter
        for letter in alphabet
        if letter.isalpha()
        and (letter < "\u0250") == (language not in ("ar", "hi", "ru"))
    ]
    for _ in range(2000 if language != "de" else 0):
        stem = "".join(rng.choice(script) for _ in range(rng.randint(2, 7)))
        words.append(stem + rng.choice(_ENDINGS))
    words += [
        word
        for _, known in overrides.OVERRIDES.get(language, ())
        for word in known.split()
    ]
    text = " ".join(words)
    mine = analysis.stems(text, language)
    theirs = await analysed(analyzers, f"stem_{language}", text)
    assert len(mine) == len(theirs)
    assert [pair for pair in zip(mine, theirs, strict=True) if pair[0] != pair[1]] == []
