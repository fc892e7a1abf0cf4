"""The table of a run: what each fault cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Injection:
    """One fault, as it was injected."""

    fault: str
    held_s: float
    #: Editions that the source published from its strike to its end.
    published: int
    #: From its end until what was then published was searchable.
    recovery_s: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """All injections of one fault, and what did not hold after them."""

    fault: str
    times: int
    published: int
    lost: int
    duplicated: int
    recovery_median_s: float
    recovery_max_s: float


HEADINGS = ("fault", "times", "items", "lost", "duplicates", "back after s", "at most")


def rows(
    injections: Sequence[Injection], *, lost: Sequence[str], duplicated: Sequence[str]
) -> list[Row]:
    """Return a row a fault.

    *lost* and *duplicated* name the fault in whose time each item was published that is
    missing, or there twice.
    """
    found = []
    for name in sorted({one.fault for one in injections}):
        of = [one for one in injections if one.fault == name]
        back = [one.recovery_s for one in of]
        found.append(
            Row(
                fault=name,
                times=len(of),
                published=sum(one.published for one in of),
                lost=lost.count(name),
                duplicated=duplicated.count(name),
                recovery_median_s=median(back),
                recovery_max_s=max(back),
            )
        )
    return found


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
        published=sum(row.published for row in table),
        lost=sum(row.lost for row in table),
        duplicated=sum(row.duplicated for row in table),
        recovery_median_s=median(row.recovery_median_s for row in table),
        recovery_max_s=max(row.recovery_max_s for row in table),
    )
