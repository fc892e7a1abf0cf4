"""What became of records, as a person reads it, and as a program does. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from connectors.face import Refused
from console import escape, wording
from console.publishing import Given, Sent
from streams.audit import Audit
from streams.fates import Fate, Reason, Verdict


FATE_STYLE: Mapping[Fate, str] = {
    Fate.INDEXED: "green",
    Fate.SUPERSEDED: "cyan",
    Fate.DUPLICATE: "cyan",
    Fate.WITHDRAWN: "cyan",
    Fate.FORGOTTEN: "cyan",
    Fate.DEAD_LETTER: "bold red",
    Fate.EXPIRED: "dim",
    Fate.PENDING: "yellow",
    Fate.UNACCOUNTED: "bold red",
}
#: Up to so many items are listed one by one, more are counted.
ITEMS_LISTED = 20
REASONS_LISTED = 30


def of_given(
    given: Given, audit: Audit, revisions: Mapping[str, int] | None = None
) -> list[RenderableType]:
    """Return what became of documents given by hand: each if few, and the counts.

    ``revisions`` has the revision that the index holds of an item, by its id.
    """
    revisions = revisions or {}
    parts: list[RenderableType] = []
    if 0 < len(given.items) <= ITEMS_LISTED:
        table = Table.grid(padding=(0, 1))
        table.add_column(min_width=12)
        table.add_column(overflow="fold")
        for sent in given.items:
            verdict = audit.fates[sent.position]
            table.add_row(name(verdict.fate), escape.shown(sent.title))
            about = _because(verdict, revisions.get(verdict.ident, 1))
            table.add_row("", escape.shown(about, "dim"))
        parts += [table, ""]
    parts += _refused(given.refused)
    counts = [(audit.counts.get(fate, 0), fate.value) for fate in Fate]
    parts.append(_published(given, counts))
    return parts


def published(given: Given) -> list[RenderableType]:
    """Return what was published; nobody has looked at it yet."""
    return [*_refused(given.refused), _published(given, [])]


def published_as_json(given: Given) -> Iterable[dict[str, Any]]:
    """Yield a line for each item published, then for each thing refused."""
    for sent in given.items:
        yield _verdict_as_json(sent, Verdict(Fate.PENDING, because="dedupe"))
    yield from _refused_as_json(given)


def of_given_as_json(given: Given, audit: Audit) -> Iterable[dict[str, Any]]:
    """Yield a line for each item published, then for each thing refused."""
    for sent in given.items:
        yield _verdict_as_json(sent, audit.fates[sent.position])
    yield from _refused_as_json(given)


def of_audit(audit: Audit, *, waited: bool) -> list[RenderableType]:
    """Return the whole account, and whether it balances."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for fate in Fate:
        if count := audit.counts.get(fate, 0):
            table.add_row(name(fate), f"{count:,}")
    table.add_row(Text("raw records", "bold"), Text(f"{audit.total:,}", "bold"))
    parts: list[RenderableType] = [table, ""]
    parts += _reasons("Put aside by the stages", audit.refused)
    parts += _reasons("Refused by connectors, never published", audit.at_door)
    return [*parts, _balance(audit, waited=waited)]


def audit_as_json(audit: Audit) -> dict[str, Any]:
    """Return the account for programs."""
    return {
        "balanced": audit.balanced,
        "total": audit.total,
        "fates": {fate.value: audit.counts.get(fate, 0) for fate in Fate},
        "unaccounted": [str(position) for position in audit.unaccounted],
        "refused": [one._asdict() | {"count": n} for one, n in audit.refused.items()],
        "at_door": [one._asdict() | {"count": n} for one, n in audit.at_door.items()],
    }


def _balance(audit: Audit, *, waited: bool) -> Text:
    if not audit.balanced:
        lost = wording.counted(audit.counts[Fate.UNACCOUNTED], "record")
        where = ", ".join(map(str, audit.unaccounted))
        return Text(f"NOT balanced: {lost} without a fate: {where}", "bold red")
    text = Text("balanced: every raw record has a fate", "bold green")
    if audit.pending:
        hint = "still on their way" if waited else "on their way; --wait waits for them"
        text.append(f" ({audit.pending:,} {hint})", "yellow")
    return text


def _reasons(heading: str, reasons: Mapping[Reason, int]) -> list[RenderableType]:
    if not reasons:
        return []
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    for reason, count in sorted(reasons.items(), key=lambda one: -one[1]):
        table.add_row(
            f"{count:,}",
            escape.shown(reason.stage, "cyan"),
            escape.shown(reason.kind, "yellow"),
            escape.shown(reason.reason if count == 1 else f"e.g. {reason.reason}"),
        )
    return [Text(heading, "bold"), table, ""]


def _published(given: Given, counts: Iterable[tuple[int, str]]) -> Text:
    told = ", ".join(f"{count:,} {name}" for count, name in counts if count)
    text = Text(f"{wording.counted(len(given.items), 'item')} published", "bold")
    text.append(f": {told}" if told else "")
    if given.refused:
        text.append(f"; {len(given.refused):,} refused", "red")
    return text


def _refused(refused: list[Refused]) -> Iterable[Text]:
    """Yield a line for each; the many after the first are counted by kind."""
    for one in refused[:REASONS_LISTED]:
        words = escape.line(f" {wording.refusal(one)}")
        yield Text("refused", "bold red").append(words, "not bold default")
    rest = Counter(one.kind for one in refused[REASONS_LISTED:])
    if rest:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in rest.most_common())
        more = f"and {rest.total():,} more ({kinds}): --json shows all"
        yield escape.shown(more, "dim")


def name(fate: Fate) -> Text:
    """Return what a fate is called, in its colour."""
    return Text(fate.value, FATE_STYLE[fate])


def _because(verdict: Verdict, revision: int) -> str:
    """Return which item a record is of, and why its fate is what it is."""
    ident, because = verdict.ident, verdict.because
    if verdict.fate is Fate.INDEXED and revision > 1:
        return f"revision {revision} of {ident}"
    if verdict.fate is Fate.DUPLICATE:
        return f"a copy of {ident} ({because})" if because else f"a copy of {ident}"
    if verdict.fate is Fate.SUPERSEDED:
        because = f"by {because}"
    if verdict.fate is Fate.PENDING:
        because = f"waits for {because}"
    return " · ".join(part for part in (ident, because) if part)


def _verdict_as_json(sent: Sent, verdict: Verdict) -> dict[str, Any]:
    return {
        "fate": verdict.fate.value,
        "id": verdict.ident,
        "because": verdict.because,
        "position": str(sent.position),
        "source": sent.source.id,
        "title": sent.title,
    }


def _refused_as_json(given: Given) -> Iterable[dict[str, Any]]:
    return ({"fate": "refused"} | one._asdict() for one in given.refused)
