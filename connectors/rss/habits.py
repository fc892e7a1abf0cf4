"""What a feed does to its guids, dates, links and texts from one document to the next.

Each habit is a level that evidence raises and calm lowers; it is taken up at
:data:`LEVEL_ON` and given up at 0, so that it does not flap. Pure.
"""

from __future__ import annotations

from typing import NamedTuple, Self


#: One document that is full of it is enough; of one that hints at it, two are needed.
LEVEL_ON = 4
LEVEL_MAX = 8
STRONG = 4
WEAK = 2
CALM = -2
_ON = 0x80
#: So many entries speak for themselves.
MANY = 3
#: Texts are edited by people: only where three quarters of so many change at once, in
#: two documents, is it the page that changes them.
TEXTS_MIN = 8
TEXTS_SHARE = 0.75


class Counts(NamedTuple):
    """Of so many entries that could show a habit, so many did."""

    shown: int = 0
    of: int = 0

    @property
    def weight(self) -> int:
        """What it is as evidence, where one entry can speak for the feed."""
        if 2 * self.shown > self.of:
            return STRONG if self.shown >= MANY else WEAK
        return CALM if self.of and not self.shown else 0

    def weight_of_many(self, least: int, share: float) -> int:
        """Return what it is as evidence, where people do it as well."""
        if self.of < least:
            return 0
        if self.shown >= share * self.of:
            return WEAK
        return CALM if 4 * self.shown < self.of else 0


class Habit(NamedTuple):
    """One habit: how much speaks for it, and whether it is taken up."""

    level: int = 0
    on: bool = False

    def after(self, weight: int) -> Self:
        """Return it after evidence of *weight*."""
        level = min(max(self.level + weight, 0), LEVEL_MAX)
        is_on = level >= LEVEL_ON or (self.on and level > 0)
        return type(self)(level, is_on)


class Habits(NamedTuple):
    """All that is known of a feed's habits."""

    #: A new guid for the same entry.
    guids: Habit = Habit()
    #: One guid for several entries.
    shared: Habit = Habit()
    #: A new date for the same text.
    dates: Habit = Habit()
    #: A new link, text, or enclosure for the same entry: the page's doing.
    links: Habit = Habit()
    texts: Habit = Habit()
    enclosures: Habit = Habit()

    @property
    def guids_change(self) -> bool:
        """Whether a guid says nothing, as the next document has another."""
        return self.guids.on

    @property
    def guids_shared(self) -> bool:
        """Whether a guid says nothing, as other entries have it, too."""
        return self.shared.on

    @property
    def flags(self) -> frozenset[str]:
        """What its health says of them."""
        told = {
            "guids_change": self.guids,
            "guids_shared": self.shared,
            "dates_bumped": self.dates,
        }
        flags = {name for name, habit in told.items() if habit.on}
        return frozenset(flags | ({"restless"} if self.restless else set()))

    @property
    def restless(self) -> frozenset[str]:
        """Parts of an entry whose changes are no edits."""
        told = {
            "link": self.links,
            "text": self.texts,
            "enclosures": self.enclosures,
        }
        return frozenset(name for name, habit in told.items() if habit.on)

    def packed(self) -> bytes:
        """Return them as :data:`SCORES` bytes."""
        return bytes(habit.level | (_ON if habit.on else 0) for habit in self)

    @classmethod
    def unpacked(cls, scores: bytes) -> Self:
        """Return the habits in *scores*, whatever bytes they are."""
        return cls(
            *(
                Habit(min(score & ~_ON, LEVEL_MAX), bool(score & _ON))
                for score in scores
            )
        )


SCORES = len(Habits._fields)
