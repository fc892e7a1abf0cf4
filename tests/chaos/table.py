"""The table of a run: what each fault cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One fault, as it was injected."""

    fault: str
    #: Whether another one struck at the same time.
    mixed: bool
    #: Editions that the source published from its strike to its end.
    published: int
    #: From its end until what was then published was searchable.
    recovery_s: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """All injections of one fault, and what did not hold after them."""

    fault: str
    times: int
    mixed: int
    published: int
    lost: int
    duplicated: int
    recovery_median_s: float
    recovery_max_s: float


HEADINGS = (
    "fault",
    "times",
    "mixed",
    "items",
    "lost",
    "duplicates",
    "back after s",
    "at most",
)


def rows(
    injections: Sequence[Injection], *, lost: Sequence[str], duplicated: Sequence[str]
) -> list[Row]:
    """Return a row a fault.

    *lost* and *duplicated* name the fault (or both, joined by +) in whose time each item
    was published that is missing, or there twice.
    """
    found = []
    for name in sorted({one.fault for one in injections}):
        of = [one for one in injections if one.fault == name]
        back = [one.recovery_s for one in of]
        found.append(
            Row(
                fault=name,
                times=len(of),
                mixed=sum(one.mixed for one in of),
                published=sum(one.published for one in of),
                lost=_count(lost, name),
                duplicated=_count(duplicated, name),
                recovery_median_s=median(back),
                recovery_max_s=max(back),
            )
        )
    return found


def _count(blamed: Sequence[str], name: str) -> int:
    return sum(name in one.split(" + ") for one in blamed)


def rendered(table: Sequence[Row]) -> str:
    """Return the table as text."""
    cells = [HEADINGS, *(_cells(row) for row in table), _cells(_total(table))]
    widths = [max(len(row[at]) for row in cells) for at in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.fault,
        f"{row.times}",
        f"{row.mixed}",
        f"{row.published:,}",
        f"{row.lost}",
        f"{row.duplicated}",
        f"{row.recovery_median_s:.1f}",
        f"{row.recovery_max_s:.1f}",
    )


def _total(table: Sequence[Row]) -> Row:
    return Row(
        fault="all",
        times=sum(row.times for row in table),
        mixed=sum(row.mixed for row in table),
        published=sum(row.published for row in table),
        lost=sum(row.lost for row in table),
        duplicated=sum(row.duplicated for row in table),
        recovery_median_s=median(row.recovery_median_s for row in table),
        recovery_max_s=max(row.recovery_max_s for row in table),
    )
