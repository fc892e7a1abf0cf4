"""What must hold after any faults: observed state -> violations. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.chaos.stories import Text


class Expected(NamedTuple):
    """A publication as its source knows it."""

    guid: str
    #: None is a withdrawal.
    editions: tuple[Text | None, ...]
    #: Texts that a connector has said to have taken.
    taken: frozenset[Text]
    #: Whether one feed alone carries it, so that its revisions come in order.
    ordered: bool


class Document(NamedTuple):
    """An item in the index, once for each place where it stands."""

    place: str
    id: str
    guid: str
    revision: int
    #: None of one that is withdrawn.
    text: Text | None


class Emission(NamedTuple):
    """A record of ``items.unique`` or ``items``, in the order of its partition."""

    position: str
    id: str
    guid: str
    revision: int
    text: Text | None


class Letter(NamedTuple):
    """A dead letter: the record that it is of, and why."""

    of: str
    stage: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Everything that the log and the index hold."""

    balanced: bool
    pending: int
    unaccounted: Sequence[str]
    #: What ``items.raw`` has of each name.
    raw: Mapping[str, Collection[Text]]
    documents: Sequence[Document]
    unique: Sequence[Emission]
    items: Sequence[Emission]
    #: Incident -> items that it names, in the index and on the log.
    incidents: Mapping[str, frozenset[str]]
    letters: Sequence[Letter]


class Violation(NamedTuple):
    """What did not hold: which claim, of what, and what was found."""

    claim: str
    subject: str
    found: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.subject}: {self.found}"


TAKEN = "what a connector has taken it has published"
LOST = "nothing that was published is missing"
LAST = "the index holds the last text"
ONCE = "each publication is in the index once"


def violations(
    expected: Sequence[Expected], malformed: Sequence[str], observed: Observed
) -> list[Violation]:
    """Return all that does not hold; *malformed*: positions of what was injected."""
    return [
        *_unbalanced(observed),
        *_untaken(expected, observed.raw),
        *_lost(expected, observed.documents),
        *_twice(observed.documents),
        *_disordered(expected, observed),
        *_orphaned(observed),
        *_letters(malformed, observed.letters),
    ]


def _unbalanced(observed: Observed) -> Iterator[Violation]:
    if not observed.balanced:
        where = ", ".join(observed.unaccounted)
        yield Violation("the audit balances", "items.raw", f"without a fate: {where}")
    if observed.pending:
        yield Violation("nothing stays pending", "items.raw", f"{observed.pending}")


def _untaken(
    expected: Sequence[Expected], raw: Mapping[str, Collection[Text]]
) -> Iterator[Violation]:
    for one in expected:
        if missing := one.taken.difference(raw.get(one.guid, ())):
            told = "; ".join(text.text[-60:] for text in missing)
            yield Violation(TAKEN, one.guid, f"not on items.raw: {told}")


def _lost(
    expected: Sequence[Expected], documents: Sequence[Document]
) -> Iterator[Violation]:
    by_guid = {one.guid: one for one in documents}
    for one in expected:
        found = by_guid.get(one.guid)
        if found is None:
            yield Violation(LOST, one.guid, f"{len(one.taken)} texts were taken")
        elif found.text != one.editions[-1]:
            at = one.editions.index(found.text) if found.text in one.editions else None
            yield Violation(
                LAST,
                f"{one.guid} ({found.id})",
                f"edition {at} of {len(one.editions)}, as revision {found.revision}",
            )


def _twice(documents: Sequence[Document]) -> Iterator[Violation]:
    for guid, count in Counter(one.guid for one in documents).items():
        if count > 1:
            where = [f"{d.place}/{d.id}" for d in documents if d.guid == guid]
            yield Violation(ONCE, guid, ", ".join(where))


def _disordered(
    expected: Sequence[Expected], observed: Observed
) -> Iterator[Violation]:
    editions = {one.guid: one.editions for one in expected if one.ordered}
    for topic, emissions in (
        ("items.unique", observed.unique),
        ("items", observed.items),
    ):
        of: dict[str, list[Emission]] = defaultdict(list)
        for emission in emissions:
            of[emission.id].append(emission)
        for ident, said in of.items():
            yield from _out_of_order(topic, ident, said)
            if said[0].guid in editions:
                yield from _changed_within(topic, ident, said)
                yield from _never_said(topic, ident, said, editions[said[0].guid])


def _out_of_order(topic: str, ident: str, said: list[Emission]) -> Iterator[Violation]:
    """Revisions come in order the first time; what comes again, a reader passes over."""
    firsts = list(dict.fromkeys(emission.revision for emission in said))
    if firsts != sorted(firsts):
        yield Violation(f"revisions are in order on {topic}", ident, f"{firsts}")


def _changed_within(
    topic: str, ident: str, said: list[Emission]
) -> Iterator[Violation]:
    """A revision that comes again says the same again.

    Where two feeds carry a publication, a fuller text may come under the same one.
    """
    texts: dict[int, Text | None] = {}
    for emission in said:
        if texts.setdefault(emission.revision, emission.text) != emission.text:
            claim = f"a revision says one thing on {topic}"
            yield Violation(claim, ident, f"{emission.position} r{emission.revision}")


def _never_said(
    topic: str, ident: str, said: list[Emission], editions: Sequence[Text | None]
) -> Iterator[Violation]:
    """The texts by revision are the source's, some left out, none turned round."""
    texts = {emission.revision: emission.text for emission in said}
    rest = iter(editions)
    if not all(any(text == one for one in rest) for _, text in sorted(texts.items())):
        yield Violation(
            f"revisions follow the source's editions on {topic}",
            ident,
            ", ".join(f"{one.position} r{one.revision}" for one in said),
        )


def _orphaned(observed: Observed) -> Iterator[Violation]:
    known = {one.id for one in observed.documents}
    for incident, named in observed.incidents.items():
        if missing := named - known:
            yield Violation(
                "incidents name items that exist", incident, ", ".join(sorted(missing))
            )


def _letters(
    malformed: Sequence[str], letters: Sequence[Letter]
) -> Iterator[Violation]:
    claim = "dead letters are the malformed records"
    found = {one.of: one for one in letters}
    for position in set(malformed) - set(found):
        yield Violation(claim, position, "no dead letter")
    for position in set(found) - set(malformed):
        letter = found[position]
        yield Violation(claim, position, f"{letter.stage} refused it: {letter.kind}")
