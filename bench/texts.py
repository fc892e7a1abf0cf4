"""Items for the benches: news of some 1.5 kB in five languages, the same for a seed."""

from __future__ import annotations

import random

from collections.abc import Iterator
from datetime import UTC, datetime

from streams.records import Identity, RawItem, Source


FETCHED = datetime(2026, 11, 24, 6, tzinfo=UTC)
BODY_CHARS = 1100
#: One item in so many is sent a second time, as feeds do.
REPEAT_EVERY = 5

SENTENCES: dict[str, tuple[str, ...]] = {
    "en": (
        "Gunmen attacked a fuel convoy on the road to the border and killed drivers.",
        "The ministry of trade said that prices of cereals had hardly changed.",
        "Heavy rain flooded several quarters of the town during the night.",
        "The home side won by two goals in front of a large crowd.",
        "Residents told a local station that they had heard several explosions.",
        "The report on the budget will be discussed in parliament next month.",
    ),
    "fr": (
        "Des hommes armés ont attaqué un convoi de carburant sur la route nationale.",
        "Le ministère du commerce a déclaré que les prix avaient peu changé.",
        "De fortes pluies ont inondé plusieurs quartiers de la ville pendant la nuit.",
        "L'équipe locale a gagné par deux buts devant un public nombreux.",
        "Des habitants ont raconté à une radio locale avoir entendu des explosions.",
        "Le rapport sur le budget sera discuté au parlement le mois prochain.",
    ),
    "es": (
        "Hombres armados atacaron un convoy de combustible cerca de la frontera.",
        "El ministerio de comercio dijo que los precios apenas habían cambiado.",
        "Las fuertes lluvias inundaron varios barrios de la ciudad por la noche.",
        "El equipo local ganó por dos goles ante un público numeroso.",
    ),
    "ar": (
        "هاجم مسلحون قافلة وقود على الطريق المؤدي إلى الحدود وقتلوا السائقين.",
        "قالت وزارة التجارة إن أسعار الحبوب لم تتغير إلا قليلا هذا الشهر.",
        "غمرت الأمطار الغزيرة عدة أحياء من المدينة خلال الليل.",
    ),
    "ha": (
        "Wasu ƴan bindiga sun kai hari kan ayarin motocin mai a kan hanya.",
        "Ma'aikatar kasuwanci ta ce farashin hatsi bai canja sosai ba.",
        "Ruwan sama mai ƙarfi ya mamaye unguwanni da dama a cikin dare.",
    ),
}


def items(count: int, *, seed: int = 1, first: int = 0) -> Iterator[RawItem]:
    """Yield *count* items, every fifth one a repetition of an earlier one."""
    rng = random.Random(seed)
    languages = sorted(SENTENCES)
    earlier: list[RawItem] = []
    for number in range(first, first + count):
        if earlier and number % REPEAT_EVERY == 0:
            yield rng.choice(earlier)
            continue
        item = _item(number, rng.choice(languages), rng)
        earlier.append(item)
        if len(earlier) > 1000:
            earlier.pop(0)
        yield item


def _item(number: int, language: str, rng: random.Random) -> RawItem:
    sentences = SENTENCES[language]
    body = [f"{rng.choice(sentences)} ({number})"]
    while sum(map(len, body)) < BODY_CHARS:
        body.append(rng.choice(sentences))
    publisher = f"publisher-{number % 50}.example"
    link = f"https://{publisher}/{number}"
    return RawItem(
        identities=(
            Identity(kind="guid", value=link),
            Identity(kind="link", value=link),
        ),
        publisher=publisher,
        source=Source(connector="ingest", id=f"{publisher}/feed"),
        link=link,
        title=f"{rng.choice(sentences)[:60]} {number}",
        text=" ".join(body),
        published=FETCHED,
        fetched=FETCHED,
    )
