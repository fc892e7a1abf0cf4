"""What every command has in common: its options, its settings, and how it ends."""

from __future__ import annotations

import asyncio
import inspect
import os
import shlex
import shutil
import sys
import traceback

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
import typer

from typer.core import TyperCommand

from console import escape, logs, screen
from console.exits import HELP, Exit, TimeRanOutError
from console.options import ConfigOption, DataOption, VerboseOption
from mappings.files import FILE as INDEX_FILE
from streams import settings
from streams.errors import (
    AccessRefusedError,
    AddressError,
    FatalError,
    QueryError,
    SettingsError,
    TransientError,
    WirewatchError,
)
from streams.log.embedded import FILE_NAME as LOG_FILE


PROGRAM = "wirewatch"
DEFAULT_CONFIG = Path("wirewatch.toml")
#: The sample's data folder is called as the configured one, and this.
SAMPLE_SUFFIX = "-sample"

_log = structlog.get_logger()


class NothingYetError(WirewatchError):
    """A command asks about a data folder in which nothing ever ran."""

    def __init__(self, folder: Path, sample: Path | None) -> None:
        other = f"the sample's is {sample}" if sample else "'run --sample' has its own"
        super().__init__(
            f"there is nothing in {folder} yet: first 'wirewatch run' or 'wirewatch "
            f"ingest PATH'; --data names another folder ({other})"
        )


@dataclass(frozen=True)
class Context:
    """The common options of one invocation, and what they name."""

    config: Path | None = None
    data: str | None = None
    verbose: int = 0

    @cached_property
    def settings(self) -> settings.Settings:
        """The configuration; raises SettingsError."""
        return settings.load(self.config_file, data=self.data)

    @property
    def config_file(self) -> Path | None:
        """The file that is read, if any."""
        if self.config is None and DEFAULT_CONFIG.is_file():
            return DEFAULT_CONFIG
        return self.config

    @property
    def file_to_edit(self) -> Path:
        """Where settings are, or would be read from if it were there."""
        return self.config_file or DEFAULT_CONFIG

    def under(self, outer: Context) -> Context:
        """Return these options, and those of *outer* where these are not given."""
        return Context(
            config=self.config or outer.config,
            data=self.data if self.data is not None else outer.data,
            verbose=max(self.verbose, outer.verbose),
        )

    def demand_data(self) -> None:
        """Raise NothingYetError if nothing ever ran on the data folder."""
        if self.settings.mode != "embedded":
            return
        folder = self.settings.data_folder
        if not any((folder / name).exists() for name in (LOG_FILE, INDEX_FILE)):
            sample = self.for_sample().settings.data_folder
            raise NothingYetError(folder, sample if sample.exists() else None)

    def for_sample(self) -> Context:
        """Return these options with a data folder of the sample's own.

        It lies beside the configured one, so that no invented report is ever found
        among real ones. A folder that was asked for is kept. Raises SettingsError.
        """
        if self.data is not None:
            return self
        own = self.settings.data_folder
        apart = own.with_name(own.name + SAMPLE_SUFFIX)
        here = Path.cwd()
        near = apart.relative_to(here) if apart.is_relative_to(here) else apart
        return replace(self, data=str(near))

    def again(self, *words: str) -> str:
        """Return the command line that runs *words* with the same options."""
        options = ["--config", str(self.config)] if self.config else []
        options += ["--data", self.data] if self.data is not None else []
        return shlex.join((_called(), *words, *options))


def _called() -> str:
    """Return what a shell finds us by: our name, or the path that began this process."""
    began = Path(sys.argv[0])
    if began.name != PROGRAM or shutil.which(PROGRAM):
        return PROGRAM
    return sys.argv[0]


#: What a command returns: its exit code, None for 0.
Result = int | None
Body = Callable[..., Result | Coroutine[Any, Any, Result]]


def command(
    app: typer.Typer,
    name: str | None = None,
    *,
    epilog: str = "",
    service: bool = False,
    cls: type[TyperCommand] = TyperCommand,
) -> Callable[[Body], Body]:
    """Add a function to *app* as a command that takes the common options too.

    Its first parameter is the :class:`Context`; the others are declared as Typer
    reads them. It may be a coroutine function, returns an exit code or None, and lets
    errors rise. ``epilog`` holds examples, shown under the help. A service runs until
    it is stopped, and tells in log lines what it does. ``cls`` reads its arguments.
    """

    def add(body: Body) -> Body:
        end = "\n\n".join(_unfolded(part) for part in (epilog, HELP) if part)
        app.command(name, epilog=end, cls=cls)(_as_typer(body, service=service))
        return body

    return add


def _as_typer(body: Body, *, service: bool) -> Callable[..., None]:
    """Return *body* with the common options in place of its first parameter."""

    def call(
        ctx: typer.Context,
        *,
        config: Path | None,
        data: str | None,
        verbose: int,
        **values: Any,
    ) -> None:
        outer = ctx.find_root().obj or Context()
        at = Context(config, data, verbose).under(outer)
        logs.configure(at.verbose, service=service)

        def begin() -> Result | Coroutine[Any, Any, Result]:
            if service:
                logs.render_as(at.settings.logs.format)
            return body(at, **values)

        raise typer.Exit(finish(begin, verbose=at.verbose))

    of_body = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    common = [
        inspect.Parameter("config", kind, default=None, annotation=ConfigOption),
        inspect.Parameter("data", kind, default=None, annotation=DataOption),
        inspect.Parameter("verbose", kind, default=0, annotation=VerboseOption),
    ]
    context = inspect.Parameter("ctx", kind, annotation=typer.Context)
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *(p.replace(kind=kind) for p in of_body), *common]
    )
    call.__doc__ = _unfolded(inspect.cleandoc(body.__doc__ or ""))
    call.__name__ = body.__name__
    return call


def _unfolded(text: str) -> str:
    """Return *text* a line a paragraph: the terminal folds it where it is wide enough."""
    return "\n\n".join(" ".join(part.split("\n")) for part in text.split("\n\n"))


def finish(
    body: Callable[[], Result | Coroutine[Any, Any, Result]], *, verbose: int = 0
) -> Exit:
    """Run *body* and return its exit code; an error becomes one line."""
    try:
        result = body()
        if not isinstance(result, int | None):
            result = asyncio.run(result)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing more can be written.
        _write_no_more()
        return Exit.OK
    except (KeyboardInterrupt, asyncio.CancelledError):
        return Exit.INTERRUPTED
    except (WirewatchError, OSError) as error:
        if verbose:
            sys.stderr.write(escape.block(traceback.format_exc()) + "\n")
        if isinstance(error, WirewatchError):
            return explain(error)
        return _explain_system(error)
    return Exit(result or Exit.OK)


def _explain_system(error: OSError) -> Exit:
    """Say what the system refused: a folder, a file, room on the device."""
    try:
        sys.stdout.flush()
    except OSError:
        _write_no_more()
    what = error.strerror or str(error)
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    _complain(f"{where}{what}")
    return Exit.UNAVAILABLE


def _write_no_more() -> None:
    """Let what standard output still holds go nowhere, or Python's end would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def explain(error: WirewatchError) -> Exit:
    """Say on standard error what went wrong, and return the code for it."""
    if isinstance(error, QueryError | AddressError):
        _complain(str(error))
        return Exit.USAGE
    if isinstance(error, SettingsError):
        _complain(f"configuration: {error}")
        return Exit.USAGE
    if isinstance(error, TransientError):
        refused = isinstance(error, AccessRefusedError)
        _complain(f"{error}{'' if refused else '; trying again later can help'}")
        return Exit.UNAVAILABLE
    if isinstance(error, FatalError):
        _complain(f"stopped: {error}")
        return Exit.UNAVAILABLE
    _complain(str(error))
    ended = isinstance(error, NothingYetError | TimeRanOutError)
    return Exit.UNAVAILABLE if ended else Exit.FAULT


def _complain(message: str) -> None:
    """Say why the command ends; among log lines for programs it is one of them."""
    if logs.LINES.form == "json":
        _log.critical(message)
    else:
        screen.complain(f"wirewatch: {message}")
