"""The options that every command takes, before its name or after, and that several do.

Of the first only the ones before the name look into the environment: otherwise a variable would go
over an option that was typed.
"""

from __future__ import annotations

import difflib

from collections.abc import Iterable
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
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="Wait no longer than so."),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def waits(*, wait: bool, timeout_s: float | None) -> None:
    """Raise BadParameter for a limit on a wait that is not asked for."""
    if timeout_s is not None and not wait:
        raise typer.BadParameter(
            "nothing is waited for, so there is nothing to limit",
            param_hint="--timeout",
        )


def nearest(name: str, known: Iterable[str], what: str, option: str) -> None:
    """Raise BadParameter unless *name* is one of *known*, with the one it resembles."""
    names = list(known)
    if name in names:
        return
    alike = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {alike[0]}?" if alike else f"one of {', '.join(names)}"
    raise typer.BadParameter(
        f"there is no {what} {name!r}: {hint}", param_hint=option or None
    )
