"""Log lines on standard error, configured once: ours, and those of what we use.

A line is logfmt, ``time level event key=value``, or an object of JSON. Faust and the
Kafka client repeat themselves many times a second while a server is away; here each of
their messages is passed on once in ten seconds, with how many were held back.
"""

from __future__ import annotations

import logging
import sys

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TextIO

import structlog

from structlog.typing import EventDict, WrappedLogger

from console import escape


REPEAT_S = 10.0
#: How many different messages are remembered; more than these are not rate-limited.
MESSAGES_MAX = 500
#: Our level and the libraries', from quiet to loud.
LEVELS = (
    (logging.WARNING, logging.CRITICAL),
    (logging.INFO, logging.WARNING),
    (logging.DEBUG, logging.WARNING),
    (logging.DEBUG, logging.DEBUG),
)

_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
]

Sink = Callable[[str], object]
Form = Literal["text", "json"]


class Libraries(logging.Filter):
    """Lets a library's message through once in *interval_s*, and says how often it came.

    Ours are structlog's and pass, always; of libraries only what is worth *level*.
    """

    def __init__(self, level: int, interval_s: float = REPEAT_S) -> None:
        super().__init__()
        self._level = level
        self._interval_s = interval_s
        self._last: dict[tuple[str, int, str], float] = {}
        self._held: dict[tuple[str, int, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether *record* is passed on."""
        if isinstance(record.msg, dict):
            return True
        if record.levelno < self._level:
            return False
        key = (record.name, record.levelno, str(record.msg))
        last = self._last.get(key)
        if last is not None and record.created - last < self._interval_s:
            self._held[key] = self._held.get(key, 0) + 1
            return False
        if len(self._last) < MESSAGES_MAX:
            self._last[key] = record.created
        if held := self._held.pop(key, 0):
            record.msg = f"{record.getMessage()} (and {held} times more before)"
            record.args = ()
        return True


class Lines(logging.Handler):
    """Writes each line to ``sink``; by default standard error as it is at that time."""

    def __init__(self) -> None:
        super().__init__()
        self.sink: Sink | None = None
        self.form: Form = "text"

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*; a reader that went away is no error."""
        try:
            line = self.format(record)
            if self.sink is None or not sys.stderr.isatty():
                _write(sys.stderr, line)
            if self.sink is not None and record.levelno >= logging.WARNING:
                self.sink(line)
        except (OSError, ValueError):
            return


LINES = Lines()


def configure(verbosity: int = 0, *, service: bool = False) -> None:
    """Send log lines to standard error.

    A service tells what it does, and what its libraries warn of; other commands only
    what they warn of themselves. Each step of *verbosity* (to 2) tells more.
    """
    own, libraries = LEVELS[min(verbosity + service, len(LEVELS) - 1)]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render_as("text")
    LINES.filters[:] = [Libraries(libraries)]
    # At debug it writes out every request, the one with the password among them.
    logging.getLogger("aiokafka.conn").setLevel(logging.INFO)
    root = logging.getLogger()
    root.handlers[:] = [LINES]
    root.setLevel(own)


def render_as(form: Form) -> None:
    """Write lines as text, or each as an object of JSON."""
    LINES.form = form
    LINES.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.processors.format_exc_info],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _one_line if form == "text" else _one_object,
            ],
        )
    )


@contextmanager
def into(sink: Sink) -> Iterator[None]:
    """Send warnings and errors to *sink*, and nothing to the terminal.

    Standard error that leads elsewhere, such as to a file, gets all lines as ever.
    """
    LINES.sink = sink
    try:
        yield
    finally:
        LINES.sink = None


def _one_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render ``time level event key=value``; what a source wrote stays on its line."""
    head = (event.pop("time", ""), event.pop("level", ""), event.pop("event", ""))
    pairs = (f"{key}={_value(value)}" for key, value in event.items())
    return escape.line(" ".join((*map(str, head), *pairs)))


def _one_object(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render an object: time, level and event, then what belongs to it."""
    head = {name: event.pop(name, "") for name in ("time", "level", "event")}
    return escape.dumps(head | {key: _plain(value) for key, value in event.items()})


def _plain(value: object) -> object:
    """Return *value* as JSON has it; as text what JSON does not know."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    return str(value)


def _value(value: object) -> str:
    text = str(value)
    plain = text and not any(c.isspace() or c in '="' for c in text)
    return text if plain else '"' + text.replace('"', '\\"') + '"'


def _write(stream: TextIO, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()
