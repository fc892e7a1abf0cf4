"""``wirewatch topics``: what stands on the log, for people and for programs."""

from __future__ import annotations

import shlex

from dataclasses import asdict
from typing import Annotated, Any

import typer

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from console import options, screen, wording
from console.context import Context, command
from console.exits import Exit
from console.options import JsonOption
from streams import schema
from streams.acls import ROLES, principal, rules
from streams.errors import TopicMismatchError
from streams.log.opening import open_log
from streams.topics import ALL, DAY_S, DECLARED, Topic


DESCRIBE_EXAMPLES = """Examples:

wirewatch topics describe items  (one of them)

wirewatch topics describe --asyncapi > asyncapi.json

wirewatch topics describe --json-schema items.raw > items.raw.json"""

ACLS_EXAMPLES = """Examples:

wirewatch topics acls  (of all roles)

wirewatch topics acls --role dedupe --bootstrap-server kafka:9093 | sh"""

topics = typer.Typer(
    no_args_is_help=True, help="The topics: what they hold; making and checking them."
)


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(topics, epilog=DESCRIBE_EXAMPLES)(describe)
    command(topics, epilog="Example: wirewatch topics create --config production.toml")(
        create
    )
    command(topics, epilog=ACLS_EXAMPLES)(acls)
    app.add_typer(topics, name="topics")


def describe(
    at: Context,
    topic: Annotated[
        str,
        typer.Argument(metavar="TOPIC", help="Only this one.", show_default=False),
    ] = "",
    *,
    asyncapi: Annotated[
        bool,
        typer.Option("--asyncapi", help="The AsyncAPI 3.0 document of all topics."),
    ] = False,
    json_schema: Annotated[
        bool,
        typer.Option(
            "--json-schema",
            help="The JSON Schema of the topic's values; of all by name, without TOPIC.",
        ),
    ] = False,
    json: JsonOption = False,
) -> Exit:
    """Say what each topic holds, who writes it, and how long it is kept."""
    if asyncapi + json_schema + json > 1:
        raise typer.BadParameter("give one of --json, --asyncapi and --json-schema")
    if asyncapi and topic:
        raise typer.BadParameter("--asyncapi describes all topics: leave TOPIC out")
    chosen = [_named(topic)] if topic else list(DECLARED)
    if asyncapi:
        _print(schema.asyncapi())
    elif json_schema:
        _print(_schemas(chosen, alone=bool(topic)))
    elif json:
        for one in chosen:
            screen.emit(_as_json(one))
    else:
        screen.show(_table(chosen), *_about_names(at.settings.prefix))
    return Exit.OK


async def create(at: Context) -> Exit:
    """Make the topics that are missing, and check all the others.

    Exit code 1 when one differs from what is declared in a way that must not be
    changed in place; each difference is explained.
    """
    async with open_log(at.settings) as log:
        try:
            made = await log.create(DECLARED)
        except TopicMismatchError as error:
            for line in str(error).splitlines():
                screen.complain(f"wirewatch: {line}")
            return Exit.FAULT
    for line in made:
        screen.show(Text(line))
    screen.show(Text(f"{len(DECLARED)} topics are as declared.", style="bold"))
    return Exit.OK


def acls(
    at: Context,
    *,
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only of this role; may be repeated."),
    ] = None,
    bootstrap_server: Annotated[
        str,
        typer.Option(
            "--bootstrap-server",
            metavar="HOST:PORT",
            help="Where the rights are given; by default kafka.bootstrap.",
            show_default=False,
        ),
    ] = "",
    json: JsonOption = False,
) -> Exit:
    """Print the kafka-acls.sh commands that give each role the rights it needs.

    Changes nothing. A role's user is called wirewatch-ROLE; admin.properties, in the
    folder where the commands are run, says how its administrator logs in.
    """
    for one in role or ():
        options.nearest(one, ROLES, "role", "--role")
    settings = at.settings
    server = bootstrap_server or settings.kafka.bootstrap
    for rule in rules(settings.prefix):
        if role and rule.role not in role:
            continue
        if json:
            told = {"principal": principal(rule.role), "pattern": rule.pattern}
            screen.emit(asdict(rule) | told)
        else:
            typer.echo(shlex.join(rule.command(server)))
    return Exit.OK


def _named(name: str) -> Topic:
    known = {topic.name: topic for topic in DECLARED}
    options.nearest(name, known, "topic", "TOPIC")
    return known[name]


def _schemas(chosen: list[Topic], *, alone: bool) -> schema.Document:
    if not alone:
        return {one.name: schema.json_schema(one) for one in chosen if one.record}
    try:
        return schema.json_schema(chosen[0])
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _print(document: schema.Document) -> None:
    typer.echo(schema.render(document), nl=False)


def _as_json(topic: Topic) -> dict[str, Any]:
    return {
        "name": topic.name,
        "public": topic in ALL,
        "key": topic.key,
        "partitions": topic.partitions,
        "compacted": topic.compacted,
        "kept_s": topic.kept_s,
        "max_bytes": topic.max_bytes,
        "schema": schema.schema_id(topic.record) if topic.record else None,
        "writers": topic.writers,
        "about": topic.about,
    }


def _table(chosen: list[Topic]) -> Table:
    table = Table(box=None, padding=(0, 2, 1, 0), header_style="bold")
    # Rich breaks a word only where the column is narrower than it.
    longest = max(len(topic.name) for topic in chosen)
    table.add_column("Topic", ratio=1, min_width=longest, overflow="fold")
    table.add_column("Key", no_wrap=True)
    table.add_column("Parts", justify="right", no_wrap=True)
    table.add_column("Kept", no_wrap=True)
    table.add_column("Record", no_wrap=True)
    table.add_column("Written by", no_wrap=True)
    for topic in chosen:
        table.add_row(
            Text.assemble((topic.name, "cyan"), "\n", (topic.about, "dim")),
            topic.key,
            str(topic.partitions),
            _kept(topic),
            topic.record.__name__ if topic.record else "bytes",
            "\n".join(topic.writers),
        )
    return table


def _kept(topic: Topic) -> str:
    days = wording.counted(topic.kept_s // DAY_S, "day") if topic.kept_s else ""
    latest = "latest of a key" if topic.compacted else ""
    return "\n".join(line for line in (days, latest) if line)


def _about_names(prefix: str) -> list[Padding]:
    if not prefix:
        return []
    return [Padding(Text(f"On this log every name begins with {prefix}"), (0, 0, 1, 0))]
