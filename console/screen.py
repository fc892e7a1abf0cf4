"""Standard output and standard error, as a person or as a program reads them."""

from __future__ import annotations

import sys

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from console import escape


#: Where standard output is no terminal there is no width to ask for.
PIPE_WIDTH = 100

#: Told what is being done and, once that is known, the share of it that is done.
Tell = Callable[[str, float | None], None]


def out() -> Console:
    """Return the console on standard output; colours only on a terminal."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console on standard error."""
    return _console(stderr=True)


def show(*parts: RenderableType) -> None:
    """Print renderables on standard output. Source text comes as ``Text``, escaped.

    A ``Text`` of its own is folded by the terminal alone, so that it copies as one
    line; within a table or a padding, rich folds. Where there is no terminal, lines
    end with their last word.
    """
    console = out()
    for part in parts:
        soft_wrap = isinstance(part, Text)
        if console.is_terminal:
            console.print(part, soft_wrap=soft_wrap)
            continue
        with console.capture() as capture:
            console.print(part, soft_wrap=soft_wrap)
        lines = capture.get().splitlines()
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))
    sys.stdout.flush()


def emit(value: Any) -> None:
    """Print *value* as a line of JSON on standard output, at once."""
    sys.stdout.write(escape.dumps(value) + "\n")
    sys.stdout.flush()


def complain(message: str) -> None:
    """Print *message* on standard error; it may quote a source."""
    tell(escape.shown(message))


def tell(*parts: Text) -> None:
    """Print lines on standard error. Source text comes escaped."""
    console = err()
    for part in parts:
        console.print(part, soft_wrap=not console.is_terminal)


def agreed(question: str) -> bool:
    """Ask on standard error whether to go on; *question* may quote a source.

    False, with a word about --yes, if the answer is no or nobody is there to give one.
    """
    if not sys.stdin.isatty():
        complain(f"wirewatch: {question} Nobody is here to answer: say --yes")
        return False
    try:
        if typer.confirm(escape.line(question), err=True):
            return True
    except typer.Abort:
        sys.stderr.write("\n")
    complain("wirewatch: nothing was done; --yes does not ask")
    return False


@contextmanager
def progress(doing: str, *, quiet: bool = False) -> Iterator[Tell]:
    """Show a bar on standard error, if that is a terminal; *doing* is said first."""
    console = err()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as bar:
        task = bar.add_task(doing, total=None)

        def tell(doing: str, share: float | None) -> None:
            total = None if share is None else 1.0
            bar.update(task, description=doing, total=total, completed=share or 0.0)

        yield tell


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
