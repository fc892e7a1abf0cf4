"""``wirewatch tail``: a topic as JSON lines."""

from __future__ import annotations

import base64
import json as text_json
import re

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast

import typer

from console import screen
from console.context import Context, command
from console.exits import Exit
from streams import clock
from streams.log.face import Log, Record
from streams.log.opening import open_log
from streams.topics import ALL, DECLARED


EXAMPLES = """\
Examples:

wirewatch tail incidents  (from now on; Ctrl-C ends it)

wirewatch tail items --from beginning --count 10 | jq .value.title

wirewatch tail items.raw --from -1h

wirewatch tail deadletters --from 2026-11-24T08:00Z
"""
_RELATIVE = re.compile(r"-([0-9]{1,9})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def mount(app: typer.Typer) -> None:
    """Add the command to *app*."""
    command(app, epilog=EXAMPLES)(tail)


async def tail(
    at: Context,
    topic: Annotated[
        str,
        typer.Argument(
            metavar="TOPIC", help=f"One of {', '.join(topic.name for topic in ALL)}."
        ),
    ],
    *,
    since: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="beginning|latest|TIME",
            help="Where to begin: what is kept, what comes, or a time in UTC.",
        ),
    ] = "latest",
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, help="End after so many records."),
    ] = None,
) -> Exit:
    """Follow a topic, a JSON line for each record.

    From the beginning it is a snapshot first, then what follows; in order within each
    partition. A value that is no JSON is given as base64.
    """
    if topic not in {declared.name for declared in DECLARED}:
        names = ", ".join(declared.name for declared in ALL)
        screen.complain(f"wirewatch: there is no topic {topic!r}; topics: {names}")
        return Exit.USAGE
    moment = parse_moment(since, now=clock.now())
    at.demand_data()
    async with open_log(at.settings) as log:
        begin = await _begin(log, topic, since, moment)
        left = count
        following = cast(AsyncGenerator[Record, None], log.follow(topic, begin))
        async with aclosing(following) as records:
            async for record in records:
                screen.emit(as_json(record))
                if left is not None:
                    left -= 1
                    if not left:
                        break
    return Exit.OK


def moment_in(text: str, option: str) -> datetime | None:
    """Return the time that *option* gives; None where it is not given."""
    return parse_moment(text, now=clock.now(), option=option) if text else None


def parse_moment(
    text: str, *, now: datetime, option: str = "--from"
) -> datetime | None:
    """Return the time that *text* names; None for beginning and latest.

    Raises BadParameter for text that is neither.
    """
    if text in ("beginning", "latest"):
        return None
    try:
        if match := _RELATIVE.fullmatch(text):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is neither beginning, latest, a time such as "
            "2026-11-24T08:00Z, nor -1h",
            param_hint=option,
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _begin(
    log: Log, topic: str, since: str, moment: datetime | None
) -> Mapping[int, int]:
    if moment is not None:
        return await log.offsets_at(topic, moment)
    return await (log.starts(topic) if since == "beginning" else log.ends(topic))


def as_json(record: Record) -> dict[str, Any]:
    """Return *record* for programs: its value as JSON where it is JSON."""
    line: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": clock.from_ms(record.timestamp_ms),
        "key": None if record.key is None else record.key.decode("utf-8", "replace"),
        "headers": {k: v.decode("utf-8", "replace") for k, v in record.headers},
    }
    if record.value is None:
        return line | {"value": None}
    try:
        value = text_json.loads(record.value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return line | {"value_base64": base64.b64encode(record.value).decode()}
    return line | {"value": value}


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
