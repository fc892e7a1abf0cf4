"""Run one server, and end it when whoever asked for it is gone.

Started as a program (``guard.py ORDERS``) between the test run and the server: a test
run that is killed with -9 can clean up nothing, but its guards see their standard input
end, or themselves adopted by another parent, and do it. SIGTERM asks for the same. When
the server ends by itself, or is killed by a test, the guard ends too and cleans up
nothing: the data stay, for the next start.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys

from pathlib import Path
from types import FrameType
from typing import TypedDict


LOOK_EVERY_S = 0.2


class Orders(TypedDict):
    """What a guard is told, as JSON."""

    #: Run to its end before the command, such as what formats a folder; may be empty.
    before: list[str]
    command: list[str]
    cwd: str
    env: dict[str, str]
    #: Run the commands as this user; None: as the one who asks.
    user: str | None
    #: Appended to.
    log: str
    #: Run at the end, such as the removal of a container; may be empty.
    ending: list[str]
    #: Removed at the end.
    folder: str


class Unwanted(Exception):  # noqa: N818 - not an error: the other way for a server to end
    """Nobody wants the server any more."""


class Asker:
    """Whoever asked for the server: it is gone, or says so by SIGTERM, or wants it."""

    def __init__(self) -> None:
        self._parent = os.getppid()
        self._asked_to_end = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self._asked_to_end = True

    def tell(self, pid: int) -> None:
        """Say which process the server is."""
        try:
            os.write(sys.stdout.fileno(), b"%d\n" % pid)
        except BrokenPipeError:
            raise Unwanted from None

    def check(self) -> None:
        """Wait a moment; raise Unwanted when the server is not wanted any more."""
        ended, _, _ = select.select([sys.stdin], [], [], LOOK_EVERY_S)
        if ended or self._asked_to_end or os.getppid() != self._parent:
            raise Unwanted


def main(orders: Orders) -> int:
    """Watch over one server until it ends, or until nobody wants it any more."""
    asker = Asker()
    try:
        if orders["before"]:
            code = _watch(_start(orders["before"], orders), asker)
            if code != 0:
                return code
        server = _start(orders["command"], orders)
        return _watch(server, asker, told=True)
    except Unwanted:
        if orders["ending"]:
            subprocess.run(orders["ending"], check=False, capture_output=True)
        shutil.rmtree(orders["folder"], ignore_errors=True)
        return 0


def _watch(server: subprocess.Popen[bytes], asker: Asker, *, told: bool = False) -> int:
    """Return the exit code of *server*; kill it and raise Unwanted if it is unwanted."""
    try:
        if told:
            asker.tell(server.pid)
        while server.poll() is None:
            asker.check()
    except Unwanted:
        # With its children, and also when it is paused.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        raise
    return server.returncode


def _start(command: list[str], orders: Orders) -> subprocess.Popen[bytes]:
    with Path(orders["log"]).open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=orders["cwd"],
            env=orders["env"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **_identity(orders["user"]),
        )


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _identity(user: str | None) -> _Identity:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
