"""The options that every command takes, before its name or after.

Only the ones before the name look into the environment: otherwise a variable would go
over an option that was typed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


PANEL = "Common options"


def _config(envvar: str | None = None) -> Any:
    return typer.Option(
        "--config",
        metavar="FILE",
        envvar=envvar,
        show_envvar=False,
        help="Configuration file; ./wirewatch.toml if there is one. "
        "WIREWATCH_CONFIG in the environment names it too.",
        rich_help_panel=PANEL,
    )


def _data(envvar: str | None = None) -> Any:
    return typer.Option(
        "--data",
        metavar="DIR",
        envvar=envvar,
        show_envvar=False,
        help="Folder of the embedded log and index, over what the configuration says. "
        "WIREWATCH_DATA in the environment names it too.",
        rich_help_panel=PANEL,
    )


ConfigOption = Annotated[Path | None, _config()]
DataOption = Annotated[str | None, _data()]
OuterConfigOption = Annotated[Path | None, _config("WIREWATCH_CONFIG")]
OuterDataOption = Annotated[str | None, _data("WIREWATCH_DATA")]
VerboseOption = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="More log lines, and tracebacks; twice: those of the libraries too.",
        rich_help_panel=PANEL,
        show_default=False,
    ),
]
ListenOption = Annotated[
    str | None,
    typer.Option(
        "--listen",
        metavar="HOST:PORT",
        help="Serve /metrics, /healthz and /readyz there, over what the configuration "
        "says (monitor.listen); port 0 is any that is free.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="A line of JSON each, for programs.")
]
