"""``wirewatch reindex``: the search index anew, from the topics, without a pause."""

from __future__ import annotations

import time

from typing import Annotated, Any

import typer

from rich.text import Text

from console import escape, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.options import JsonOption
from mappings.opening import open_index
from streams import reindex as reindexing
from streams.log.opening import open_log
from streams.reindex import Reindexed


EXAMPLES = """\
Examples:

wirewatch reindex  (searches go on meanwhile, and so does the worker)

wirewatch reindex --json | jq .after

wirewatch reindex --abandon  (deletes what a reindex that died has left half-built)
"""


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(reindex)


async def reindex(
    at: Context,
    *,
    abandon: Annotated[
        bool,
        typer.Option(
            "--abandon",
            help="Only delete a half-built index. On Elasticsearch also one that "
            "somebody builds still, whose reindex then fails.",
        ),
    ] = False,
    json: JsonOption = False,
) -> Exit:
    """Build the search index anew from the topics, beside the one that is in use.

    Searches find the old one until the new one is complete, then the new one, in one
    step. What can pass, such as a server that is busy, is waited for. Ctrl-C leaves the
    old one as it is. Exit code 3 when another reindex runs.
    """
    at.demand_data()
    async with open_index(at.settings) as index:
        if abandon:
            _show_lines(await index.abandon(), json=json)
            return Exit.OK
        since = time.monotonic()
        async with open_log(at.settings) as log:
            with screen.progress("reading the topics", quiet=json) as draw:

                def tell(progress: reindexing.Progress) -> None:
                    share = progress.done / max(progress.total, 1)
                    draw(_doing(progress, since), share)

                result = await reindexing.reindex(log, index, tell=tell)
    _show(result, time.monotonic() - since, json=json)
    return Exit.OK


def _show_lines(lines: list[str], *, json: bool) -> None:
    if json:
        screen.emit({"deleted": lines})
        return
    screen.show(*map(escape.shown, lines or ["Nothing was left half-built."]))


def _doing(progress: reindexing.Progress, since: float) -> str:
    rate = progress.written / max(time.monotonic() - since, 0.001)
    return (
        f"reading the topics, {progress.done:,} of {progress.total:,} offsets, "
        f"{rate:,.0f} docs/s"
    )


def _show(result: Reindexed, took_s: float, *, json: bool) -> None:
    if json:
        screen.emit(_as_json(result, took_s))
        return
    parts = [_kind_line(result, "items"), _kind_line(result, "incidents")]
    done = Text("The index is built anew", style="bold")
    done.append(
        f" in {took_s:.1f} s: {'; '.join(parts)}. "
        f"{wording.counted(result.written, 'document')} written, {result.late:,} of "
        "them after the switch.",
        style="not bold",
    )
    screen.show(done)
    if missing := _missing(result):
        screen.show(Text(missing))
    if result.refused:
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in result.refused.items())
        screen.show(escape.shown(f"Refused, as before: {kinds}.", "yellow"))


def _kind_line(result: Reindexed, kind: Any) -> str:
    after = result.after[kind]
    if kind not in result.before:
        return f"{after:,} {kind}"
    return f"{after:,} {kind} ({result.before[kind]:,} before)"


def _missing(result: Reindexed) -> str:
    """Say why there are fewer than before, if there are."""
    fewer = sum(max(0, n - result.after[kind]) for kind, n in result.before.items())
    if not fewer:
        return ""
    verb = "is" if fewer == 1 else "are"
    return (
        f"{wording.counted(fewer, 'document')} of the former index {verb} on the topics "
        "no longer: expired there, or forgotten."
    )


def _as_json(result: Reindexed, took_s: float) -> dict[str, Any]:
    return {
        "before": result.before,
        "after": result.after,
        "written": result.written,
        "late": result.late,
        "refused": result.refused,
        "took_s": round(took_s, 3),
    }
