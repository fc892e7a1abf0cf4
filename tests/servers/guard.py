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

    command: list[str]
    cwd: str
    env: dict[str, str]
    #: Run the command as this user; None: as the one who asks.
    user: str | None
    #: Appended to.
    log: str
    #: Run at the end, such as the removal of a container; may be empty.
    ending: list[str]
    #: Removed at the end.
    folder: str


class _Asked:
    """Becomes true when a SIGTERM arrives."""

    def __init__(self) -> None:
        self.to_end = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, _number: int, _frame: FrameType | None) -> None:
        self.to_end = True


def main(orders: Orders) -> int:
    """Watch over one server until it ends, or until nobody wants it any more."""
    parent = os.getppid()
    asked = _Asked()
    server = _start(orders)
    print(server.pid, flush=True)  # noqa: T201 - the test run reads it from the pipe
    while server.poll() is None:
        ended, _, _ = select.select([sys.stdin], [], [], LOOK_EVERY_S)
        if ended or asked.to_end or os.getppid() != parent:
            _end(server, orders)
            return 0
    return server.returncode


def _start(orders: Orders) -> subprocess.Popen[bytes]:
    with Path(orders["log"]).open("ab") as log:
        return subprocess.Popen(
            orders["command"],
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


def _end(server: subprocess.Popen[bytes], orders: Orders) -> None:
    os.killpg(server.pid, signal.SIGKILL)  # its children too; also when it is stopped
    server.wait()
    if orders["ending"]:
        subprocess.run(orders["ending"], check=False, capture_output=True)
    shutil.rmtree(orders["folder"], ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
