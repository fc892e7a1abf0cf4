"""``wirewatch replay annotate``: old items, read anew by the models of today."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated, Any, Literal

import typer

from rich.padding import Padding
from rich.text import Text

from console import escape, moments, screen, waiting, wording
from console.context import Context, command
from console.exits import Exit
from console.flow import Transit
from console.hands import Hands
from console.options import JsonOption, TimeoutOption
from mappings.opening import open_index
from streams import clock
from streams import replay as replaying
from streams.log.opening import open_log
from streams.replay import Changes, Plan, Replay
from streams.topics import INCIDENTS, UNIQUE


EXAMPLES = """\
Examples:

wirewatch replay annotate --dry-run  (what would change)

wirewatch replay annotate --from -30d

wirewatch replay annotate --json | jq .classes
"""
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
            metavar=moments.PLACES,
            help="Where to begin: all that is kept, what comes, a time in UTC (-30d is "
            "one), or an offset of each partition of items.unique.",
        ),
    ] = moments.BEGINNING,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also items that today's models have read already."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would change.")
    ] = False,
    timeout_s: TimeoutOption = None,
    json: JsonOption = False,
) -> Exit:
    """Read old items anew, after a change of models, and tell what that changes.

    Live items go first. What follows from a replay is marked with its name, in the
    header ww_replay. It can be ended at any moment, and goes on where it was.
    """
    del stage  # there is one
    place = moments.place(since, "--from")
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
            begin=await moments.offsets(log, UNIQUE.name, place),
            everything=everything,
            dry=dry_run,
            now=now,
        )
        before = {} if dry_run else await replaying.standing(log)
        ends = await log.ends(INCIDENTS.name)
        draw = stack.enter_context(screen.progress("reading anew", quiet=json))
        stillness = waiting.Stillness()

        def tell(state: Replay) -> None:
            draw(
                f"reading anew, {state.done:,} of {state.total:,} records",
                state.done / max(state.total, 1),
            )
            if not dry_run:
                stillness.look(state.done, "correlate")
                hands.check()  # its worker may have ended, and then we work

        late = (
            f"it is not done; '{at.again('replay', 'annotate')}' goes on where it was"
        )
        async with waiting.limited(timeout_s, late):
            state = await replaying.replay(log, index, at.settings, plan, tell)
            if state.sent:
                await waiting.come_through(Transit(log, state.sent), hands, draw)
        await replaying.incidents_after(log, state, before, ends)
    _show(state, dry=dry_run, json=json)
    return Exit.FAULT if state.refused else Exit.OK


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
