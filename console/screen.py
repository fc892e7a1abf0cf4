"""Standard output and standard error, as a person or as a program reads them."""

from __future__ import annotations

import sys

from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from console import escape


#: Where standard output is no terminal there is no width to ask for.
PIPE_WIDTH = 100


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
    console = err()
    console.print(escape.shown(message), soft_wrap=not console.is_terminal)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console
