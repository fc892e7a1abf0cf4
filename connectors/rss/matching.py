"""Which entry of a document is which that is remembered: by guid, else link, else text.

A feed's entries say who they are, and cannot be trusted to: guids change at each
request, are the same in all entries, or come again with another story. What is decided
for one entry depends on the document as a whole and on what is remembered, never on
the order of the entries. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from connectors.rss.habits import (
    MANY,
    TEXTS_MIN,
    TEXTS_SHARE,
    Counts,
    Habits,
)
from connectors.rss.memory import (
    LOOSE,
    NO_GUID,
    NO_LINK,
    NO_TEXT,
    RETURNS_MAX,
    WITHDRAWN,
    Memory,
    Trace,
    tail_digest,
)


Part = Literal["title", "text", "link", "enclosures"]
PARTS: tuple[Part, ...] = get_args(Part)
_Many = defaultdict[bytes, list[Trace]]
#: Of those that have a part in common with an entry, those that it may have been.
_Eligible = Callable[[Iterable[Trace]], list[Trace]]


class Match(NamedTuple):
    """What an entry is, as far as it is remembered."""

    trace: Trace
    #: As it was; None: it is not remembered.
    before: Trace | None = None
    #: Names of its own that are another's, too (NO_GUID, NO_LINK, NO_TEXT).
    flags: int = 0
    #: It is known as it is, whatever it was: behind the traces, or from a document that
    #: was not settled.
    known: Literal["", "tail", "loose"] = ""


class Recollection:
    """What is remembered of a feed, looked up by the parts of the entries of a document."""

    def __init__(self, memory: Memory, present: Sequence[Trace]) -> None:
        self.memory = memory
        self.present = present
        self._keys = {trace.key for trace in present}
        self._guids = {trace.guid for trace in present}
        self._taken_back = {one.guid for one in present if one.has(WITHDRAWN)}
        self._links = {trace.link for trace in present}
        self._by_key = {trace.key: trace for trace in memory.traces}
        self._by_guid = _grouped(memory.traces, lambda trace: trace.guid)
        self._by_link = _grouped(memory.traces, lambda trace: trace.link)
        self._by_content = _grouped(memory.traces, lambda trace: trace.content)
        #: The order of what was published since the last document that was settled.
        self._since = {one.key: at for at, one in enumerate(since(memory.traces))}

    def __contains__(self, key: bytes) -> bool:
        return key in self._by_key

    def exact(self, trace: Trace) -> Trace | None:
        """Return the entry as it is now, if it is remembered so."""
        return self._by_key.get(trace.key)

    def named(self, trace: Trace) -> list[Trace]:
        """Return the entries that a withdrawal means."""
        return self._by_guid[trace.guid] or self._by_link[trace.link]

    def match(self, trace: Trace, habits: Habits) -> Match:
        """Return what *trace* is."""
        flags = _distrusted(habits)
        if trace.has(WITHDRAWN):
            named = self.named(trace)
            last = [one for one in named if one.key in self._since][:1]
            marked = [one for one in named if one.has(WITHDRAWN)]
            return Match(trace, next(iter(last or marked or named), None), 0)
        before = self.exact(trace)
        doubted = trace._replace(flags=trace.flags | flags)
        if self._since:
            later = self._predecessor(doubted, self._later(before))
            if later.before is not None:
                return later
        if before is not None and not before.has(LOOSE):
            return Match(trace, before, flags | _own(before))
        if before is None and tail_digest(trace, habits) in self.memory.tail:
            return Match(trace, None, flags, "tail")
        if before is None:
            return self._predecessor(doubted, self._others)
        return self._predecessor(doubted, self._settled)._replace(known="loose")

    def _predecessor(self, trace: Trace, eligible: _Eligible) -> Match:
        for find in (self._by_its_guid, self._by_its_link, self._by_its_content):
            before, doubt = find(trace, eligible)
            if before is not None:
                return Match(trace, before, trace.flags | _own(before))
            trace = trace._replace(flags=trace.flags | doubt)
        return Match(trace, None, trace.flags)

    def _by_its_guid(
        self, trace: Trace, eligible: _Eligible
    ) -> tuple[Trace | None, int]:
        if trace.has(NO_GUID):
            return None, 0
        best = self._last(trace, eligible(self._by_guid[trace.guid]))
        if best is None:
            return None, 0
        return (None, NO_GUID) if _is_reused(trace, best) else (best, 0)

    def _by_its_link(
        self, trace: Trace, eligible: _Eligible
    ) -> tuple[Trace | None, int]:
        if trace.has(NO_LINK):
            return None, 0
        others = eligible(self._by_link[trace.link])
        if trace.has(NO_GUID) or not any(trace.guid):
            return self._last(trace, others), 0
        # Its guid is new: is it the same entry under another, or another entry?
        alike = [
            one
            for one in others
            if not any(one.guid)
            or (one.guid not in self._guids and _says_the_same(trace, one))
        ]
        return self._last(trace, alike), NO_LINK if others and not alike else 0

    def _by_its_content(
        self, trace: Trace, eligible: _Eligible
    ) -> tuple[Trace | None, int]:
        if trace.has(NO_TEXT):
            return None, 0
        alike = [
            one
            for one in eligible(self._by_content[trace.content])
            if (trace.has(NO_GUID) or not any(one.guid) or one.guid not in self._guids)
            and (not any(one.link) or one.link not in self._links)
        ]
        other = [one for one in alike if _is_another_issue(trace, one)]
        same = [one for one in alike if one not in other]
        return self._last(trace, same), NO_TEXT if other and not same else 0

    def _others(self, traces: Iterable[Trace]) -> list[Trace]:
        """Return those of *traces* that are not in the document as they were."""
        return [
            one
            for one in traces
            if one.key not in self._keys and one.guid not in self._taken_back
        ]

    def _later(self, known: Trace | None) -> _Eligible:
        """Return what finds what was published of an entry after it was as *known*."""
        end = len(self._since)
        known_at = self._since.get(known.key, end) if known is not None else end

        def eligible(traces: Iterable[Trace]) -> list[Trace]:
            return [
                one
                for one in self._others(traces)
                if self._since.get(one.key, end) < known_at and not one.has(WITHDRAWN)
            ]

        return eligible

    def _last(self, trace: Trace, versions: Sequence[Trace]) -> Trace | None:
        """Return the one that was published last, if that is known, else the likest."""
        later = [one for one in versions if one.key in self._since]
        if later:
            return min(later, key=lambda one: self._since[one.key])
        return _likest(trace, versions)

    def _settled(self, traces: Iterable[Trace]) -> list[Trace]:
        return [one for one in self._others(traces) if not one.has(LOOSE)]

    def twin(self, trace: Trace) -> Trace | None:
        """Return what is surely the same entry, whatever its guid: for evidence."""
        settled = (
            [one for one in self._by_link[trace.link] if not one.has(LOOSE)]
            if not trace.has(NO_LINK)
            else [one for one in self._by_content[trace.content] if not one.has(LOOSE)]
            if not trace.has(NO_TEXT)
            else []
        )
        same = [one for one in settled if _says_the_same(trace, one)]
        known = [one for one in same if one.guid == trace.guid]
        if known:
            return known[0]
        free = [one for one in same if any(one.guid) and one.guid not in self._guids]
        return free[0] if len(free) == 1 and not self._by_guid[trace.guid] else None

    def reuse(self) -> Counts:
        """Return how many of the entries that are not known have a guid that is."""
        unknown = [
            trace
            for trace in self.present
            if any(trace.guid)
            and not trace.has(WITHDRAWN | NO_GUID)
            and self.exact(trace) is None
        ]
        held = [(t, _likest(t, self._others(self._by_guid[t.guid]))) for t in unknown]
        reused = sum(best is not None and _is_reused(t, best) for t, best in held)
        return Counts(reused, reused + sum(best is None for _, best in held))


def guid_habits(recollection: Recollection) -> Habits:
    """Return the feed's habits after what the document shows of its guids."""
    before = recollection.memory.habits
    named = [t for t in recollection.present if any(t.guid) and not t.has(WITHDRAWN)]
    twins = [(trace, recollection.twin(trace)) for trace in named]
    pairs = [(trace, twin) for trace, twin in twins if twin is not None]
    changed = Counts(sum(a.guid != b.guid for a, b in pairs), len(pairs))
    shared = Counts(sum(trace.has(NO_GUID) for trace in named), len(named))
    weight = max(shared.weight, 0) or recollection.reuse().weight
    return before._replace(
        guids=before.guids.after(changed.weight), shared=before.shared.after(weight)
    )


def page_habits(matches: Sequence[Match], habits: Habits) -> Habits:
    """Return the feed's habits after what the document shows of dates and pages."""
    pairs = [
        (match.trace, match.before)
        for match in matches
        if match.before is not None and not match.before.flags & (LOOSE | WITHDRAWN)
    ]
    dated = [
        a.published != b.published
        for a, b in pairs
        if a.content == b.content and any(a.published) and any(b.published)
    ]
    texts = Counts(sum(a.text != b.text for a, b in pairs), len(pairs))
    links = Counts(sum(a.link != b.link for a, b in pairs), len(pairs))
    files = Counts(sum(a.enclosures != b.enclosures for a, b in pairs), len(pairs))
    return habits._replace(
        dates=habits.dates.after(Counts(sum(dated), len(dated)).weight),
        texts=habits.texts.after(texts.weight_of_many(TEXTS_MIN, TEXTS_SHARE)),
        links=habits.links.after(links.weight_of_many(MANY, 0.5)),
        enclosures=habits.enclosures.after(files.weight_of_many(MANY, 0.5)),
    )


def changed_parts(trace: Trace, before: Trace, habits: Habits) -> tuple[Part, ...]:
    """Return which parts of an entry are other ones than *before*, and count.

    What is no longer said is no edit. Nor is the return to the text before, once that
    has happened :data:`~connectors.rss.memory.RETURNS_MAX` times: caches that disagree
    answer in turn.
    """
    ignored = {
        *habits.restless,
        *(("title", "text") if is_flapping(trace, before) else ()),
    }
    return tuple(
        part
        for part in PARTS
        if part not in ignored
        and any(new := getattr(trace, part))
        and new != getattr(before, part)
    )


def is_flapping(trace: Trace, before: Trace) -> bool:
    """Whether an entry goes to and fro between two texts."""
    return trace.returns_to(before) and before.returns >= RETURNS_MAX


def since(traces: Sequence[Trace]) -> Sequence[Trace]:
    """Return what was published since the last document that was settled, newest first.

    That is what stands before the last loose one, and that.
    """
    ends = (at for at in range(len(traces), 0, -1) if traces[at - 1].has(LOOSE))
    return traces[: next(ends, 0)]


def _grouped(traces: Iterable[Trace], part: Callable[[Trace], bytes]) -> _Many:
    groups: _Many = defaultdict(list)
    for trace in traces:
        if any(value := part(trace)):
            groups[value].append(trace)
    return groups


def _own(before: Trace) -> int:
    """Return the names of an entry that had been another's, too, and stay so."""
    return before.flags & (NO_GUID | NO_LINK)


def _distrusted(habits: Habits) -> int:
    return NO_GUID if habits.guids_change or habits.guids_shared else 0


def _likest(trace: Trace, others: Iterable[Trace]) -> Trace | None:
    """Return the one of *others* that has most in common with *trace*."""
    return max(
        others,
        key=lambda one: (
            sum(mine == its for mine, its in zip(trace[:6], one[:6], strict=True)),
            one,
        ),
        default=None,
    )


def _says_the_same(trace: Trace, other: Trace) -> bool:
    return (any(trace.title) and trace.title == other.title) or (
        any(trace.text) and trace.text == other.text
    )


def _is_reused(trace: Trace, other: Trace) -> bool:
    """Whether two entries with one guid are two: link, title, text and date are others.

    Editors change a title, and the link with it, and then the text; but not the date of
    publication as well.
    """
    parts = zip(trace[1:4], other[1:4], strict=True)
    return (
        any(trace.link)
        and any(other.link)
        and not any(mine == its and any(mine) for mine, its in parts)
        and (trace.published != other.published or not any(trace.published))
    )


def _is_another_issue(trace: Trace, other: Trace) -> bool:
    """Whether two entries with one text are two: guid is other, and date or files are."""
    dated = any(trace.published) and any(other.published)
    return (
        any(trace.guid)
        and any(other.guid)
        and not trace.has(NO_GUID)
        and trace.guid != other.guid
        and (
            (dated and trace.published != other.published)
            or trace.enclosures != other.enclosures
        )
    )
