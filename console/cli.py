"""The ``wirewatch`` command."""

from __future__ import annotations

import os
import signal
import sys
import traceback

from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Annotated, TextIO

import structlog
import typer

from console import (
    audit,
    check,
    deadletters,
    escape,
    feeds,
    forget,
    ingest,
    inspect,
    logs,
    reindex,
    replay,
    roles,
    run,
    search,
    show,
    tail,
    topics,
    trace,
)
from console.context import Context
from console.exits import HELP
from console.options import OuterConfigOption, OuterDataOption, VerboseOption


START = (
    "To begin: wirewatch run --sample (no network needed), then in another terminal "
    "wirewatch search Kayes --data data-sample, and wirewatch COMMAND --help."
)

_log = structlog.get_logger()

app = typer.Typer(
    name="wirewatch",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"{START}\n\n{HELP}",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"wirewatch {version('wirewatch')}")
        raise typer.Exit


@app.callback()
def wirewatch(
    ctx: typer.Context,
    config: OuterConfigOption = None,
    data: OuterDataOption = None,
    verbose: VerboseOption = 0,
    version: Annotated[  # noqa: ARG001 its callback has answered already
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print it."),
    ] = False,
) -> None:
    """Watch news feeds and radio transcripts; search what they report."""
    ctx.obj = Context(config, data, verbose)


#: In the order of the help.
for _module in (
    run,
    feeds,
    ingest,
    inspect,
    search,
    show,
    tail,
    audit,
    trace,
    deadletters,
    reindex,
    replay,
    forget,
    check,
    topics,
    roles,
):
    _module.mount(app)


def main() -> None:
    """Run the command line; does not return."""
    # Closed ones are None, and their numbers would go to the next files opened.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    sys.excepthook = _show_traceback
    # As Ctrl-C; what runs until it is stopped has a handler of its own.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app(prog_name="wirewatch")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of a fault of ours; its message may quote a source."""
    if logs.LINES.form == "json":
        _log.critical("a fault of wirewatch", exc_info=(kind, error, trace))
        return
    lines = traceback.format_exception(kind, error, trace)
    sys.stderr.write(escape.block("".join(lines)))
