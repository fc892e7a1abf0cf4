"""``wirewatch replay annotate``: old items, read anew by the models of today."""

from __future__ import annotations

import asyncio

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Annotated, Any, Literal

import typer

from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from console import escape, flow, screen, tail, wording
from console.context import Context, command
from console.exits import Exit
from console.hands import Hands
from console.options import JsonOption
from mappings.opening import open_index
from streams import clock
from streams import replay as replaying
from streams.log.face import Log
from streams.log.opening import open_log
from streams.replay import Changes, Plan, Replay, Tell
from streams.topics import INCIDENTS, UNIQUE


EXAMPLES = """\
Examples:

wirewatch replay annotate --dry-run  (what would change)

wirewatch replay annotate --from -30d

wirewatch replay annotate --json | jq .classes
"""
LOOK_S = 0.1
#: Kinds of change that are listed; the rest is counted.
SHOWN_MAX = 12


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(replay)


async def replay(
    at: Context,
    stage: Annotated[
        Literal["annotate"], typer.Argument(help="The stage whose work is done anew.")
    ],
    *,
    since: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="start|TIME|OFFSET",
            help="Where to begin: all that is kept, a time in UTC (-30d is one), or "
            "an offset of each partition of items.unique.",
        ),
    ] = "start",
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also items that today's models have read already."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would change.")
    ] = False,
    json: JsonOption = False,
) -> Exit:
    """Read old items anew, after a change of models, and tell what that changes.

    Live items go first. What follows from a replay is marked with its name, in the
    header ww_replay. It can be ended at any moment, and goes on where it was.
    """
    del stage  # there is one
    at.demand_data()
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(at.settings))
        hands = Hands(at.settings)
        if not dry_run:
            await stack.enter_async_context(hands)
        index = await stack.enter_async_context(open_index(at.settings))
        now = clock.now()
        plan = Plan(
            name=replaying.replay_name(now),
            begin=await _begin(log, since),
            everything=everything,
            dry=dry_run,
            now=now,
        )
        before = {} if dry_run else await replaying.standing(log)
        ends = await log.ends(INCIDENTS.name)
        with _progress(quiet=json) as draw:

            def tell(state: Replay) -> None:
                draw(state)
                if not dry_run:
                    hands.check()  # its worker may have ended, and then we work

            state = await replaying.replay(log, index, at.settings, plan, tell)
            await _come_through(log, state, hands)
        await replaying.incidents_after(log, state, before, ends)
    _show(state, dry=dry_run, json=json)
    return Exit.FAULT if state.refused else Exit.OK


async def _begin(log: Log, since: str) -> Mapping[int, int]:
    starts = await log.starts(UNIQUE.name)
    if since == "start":
        return starts
    if since.isascii() and since.isdecimal():
        return {p: max(start, int(since)) for p, start in starts.items()}
    moment = tail.parse_moment(since, now=clock.now())
    if moment is None:
        raise typer.BadParameter(
            f"{since!r} is neither start, a time, nor an offset", param_hint="--from"
        )
    return await log.offsets_at(UNIQUE.name, moment)


async def _come_through(log: Log, state: Replay, hands: Hands) -> None:
    """Return when all that was sent is in the index."""
    passage = flow.Passage(log, state.sent)
    while await passage.look() < 1.0:
        hands.check()
        await asyncio.sleep(LOOK_S)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Tell]:
    """Return what draws how far it is, on standard error if that is a terminal."""
    console = screen.err()
    shown = Progress(
        TextColumn("reading anew"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    task = shown.add_task("", total=None)

    def tell(state: Replay) -> None:
        shown.update(task, completed=state.done, total=state.total)

    with shown:
        yield tell


def _show(state: Replay, *, dry: bool, json: bool) -> None:
    if json:
        screen.emit(_as_json(state, dry=dry))
        return
    did = "would be read anew" if dry else "read anew"
    screen.show(
        Text(
            f"{wording.counted(state.read, 'item')} {did}, {state.current:,} left as "
            "they are" + ("." if dry else f": {state.name}.")
        )
    )
    for title, changes in _kinds(state).items():
        if not changes.counts:
            continue
        screen.show(Text(f"{title}: {changes.counts.total():,}", style="bold"))
        for pair, count in changes.counts.most_common(SHOWN_MAX):
            was, became = (name or "not known" for name in pair)
            screen.show(
                Padding(escape.shown(f"{was} → {became}: {count:,}"), (0, 0, 0, 2))
            )
            for example in changes.examples[pair]:
                screen.show(
                    Padding(
                        escape.shown(f"{example.id}  {example.title}", "dim"),
                        (0, 0, 0, 4),
                    )
                )
        if (more := len(changes.counts) - SHOWN_MAX) > 0:
            screen.show(Text(f"  and {more:,} kinds more: --json lists all", "dim"))
    if state.refused:
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in state.refused.items())
        screen.show(escape.shown(f"Could not be read, left as they are: {kinds}"))


def _kinds(state: Replay) -> dict[str, Changes]:
    return {
        "Classes": state.classes,
        "Languages": state.languages,
        "Places": state.places,
        "Incidents": state.incidents,
    }


def _as_json(state: Replay, *, dry: bool) -> dict[str, Any]:
    return {
        "replay": state.name,
        "dry_run": dry,
        "read": state.read,
        "current": state.current,
        "refused": state.refused,
        **{name.lower(): _changes(one) for name, one in _kinds(state).items()},
    }


def _changes(changes: Changes) -> list[dict[str, Any]]:
    return [
        {
            "from": was,
            "to": became,
            "count": count,
            "examples": [one._asdict() for one in changes.examples[was, became]],
        }
        for (was, became), count in changes.counts.most_common()
    ]
