"""What the chaos source tells: attacks, floods and markets, in several languages."""

from __future__ import annotations

import random

from typing import NamedTuple


PLACES = ("Kayes", "Gao", "Kidal", "Mopti", "Sikasso", "Ansongo", "Djibo", "Diffa")
DEEDS = (
    "Gunmen killed {n} drivers of a fuel convoy near {place}",
    "Des hommes armés ont tué {n} chauffeurs de camions-citernes près de {place}",
    "Hombres armados mataron a {n} conductores cerca de {place}",
    "مسلحون يقتلون {n} من سائقي الشاحنات قرب {place}",
    "'Yan bindiga sun kashe direbobi {n} a kusa da {place}",
    "Floods destroyed {n} houses in {place}",
    "Teachers marched in {place}, {n} schools stayed closed",
    "The mayor of {place} opened {n} new wells",
)
WORDS = """market river lorry bridge cattle harvest border clinic council rain road village
 radio minister station fuel water morning witness officer family report""".split()  # noqa: SIM905 - reads as text


class Text(NamedTuple):
    """A title and a text."""

    title: str
    text: str

    def changed(self, number: int) -> Text:
        """Return this with a correction."""
        return self._replace(text=f"{self.text} Correction {number:016x}.")


def told(rng: random.Random, mark: str) -> Text:
    """Return a text like no other: *mark* is in it."""
    deed = rng.choice(DEEDS).format(n=rng.randint(2, 40), place=rng.choice(PLACES))
    rest = " ".join(rng.choices(WORDS, k=30))
    return Text(deed, f"{deed}, said an official. The {rest}. Number {mark}.")
