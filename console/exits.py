"""The exit codes of every command; ``docs/commands.md`` explains them to users."""

from __future__ import annotations

from enum import IntEnum

from streams.errors import WirewatchError


class TimeRanOutError(WirewatchError):
    """What a command waits for has not come in the time that it was given."""


class Exit(IntEnum):
    """What a command's exit code tells the program that ran it."""

    OK = 0
    #: Something was refused, does not balance, is not there, or needs mending.
    FAULT = 1
    #: The command line, the query or the configuration cannot be used; or what would
    #: be taken away for good was not agreed to.
    USAGE = 2
    #: A server or the log cannot be reached, time ran out, or the process must not go on.
    UNAVAILABLE = 3
    #: Ctrl-C in a command that would have ended by itself.
    INTERRUPTED = 130


#: The last lines of every command's help.
HELP = (
    "Exit codes: 0 done; 1 something was refused, does not balance or is not there; "
    "2 the command line, query or configuration is wrong, or you did not agree; 3 a "
    "server or the log is away, time ran out, or the process had to stop; 130 "
    "interrupted."
)
