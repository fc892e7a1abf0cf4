from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from pathlib import Path

import psutil
import pytest

from tests.servers import guard
from tests.servers.errors import ServerError
from tests.servers.runners import Process


ROOT = Path(__file__).parents[3]
WAIT_S = 20.0

#: Stands for a server: says so when it is up, has a child of its own, stays for ever.
SERVER = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("child").write_text(str(child.pid))
print("up", flush=True)
time.sleep(600)
"""
#: Stands for a test run: starts a server, says where, and waits.
TEST_RUN = f"""
import pathlib, sys
from tests.servers.runners import Process
folder = pathlib.Path(sys.argv[1])
server = Process(folder, [sys.executable, "-c", {SERVER!r}])
server.start()
while "up" not in server.printed():
    pass
print("up", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "server"
    folder.mkdir()
    return folder


def test_a_guard_that_was_orphaned_from_the_start_runs_nothing_on(
    folder: Path,
) -> None:
    orders = Process(folder, [sys.executable, "-c", SERVER])._orders()
    reader, writer = os.pipe()
    os.close(reader)  # whoever asked is gone before it can be told
    with subprocess.Popen(
        [sys.executable, "-IS", guard.__file__, json.dumps(orders)],
        stdin=subprocess.PIPE,
        stdout=writer,
    ) as guarding:
        os.close(writer)
        assert guarding.wait(WAIT_S) == 0
    assert not folder.exists()


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_test_run_that_dies_leaves_no_server(
    sent: signal.Signals, folder: Path
) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", TEST_RUN, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        child = psutil.Process(int((folder / "child").read_text()))
        server = child.parent()
        assert server is not None
        guard = server.parent()
        assert guard is not None
        run.send_signal(sent)
    _, alive = psutil.wait_procs([child, server, guard], WAIT_S)
    assert not alive
    assert not folder.exists()


def test_ending_a_paused_server_takes_no_resume(folder: Path) -> None:
    server = _up(folder)
    server.pause()
    server.end()
    assert not server.running()
    assert not folder.exists()


def test_a_killed_server_keeps_its_folder_and_starts_again(folder: Path) -> None:
    server = _up(folder)
    server.kill()
    assert not server.running()
    assert folder.exists()
    server.start()
    assert server.running()
    server.end()


def test_printed_is_what_was_logged_since_the_last_start(folder: Path) -> None:
    server = _up(folder)
    server.kill()
    server.start()
    _wait_up(server)
    assert server.printed() == "up\n"
    server.end()


def test_a_server_that_cannot_be_run_is_an_error(folder: Path) -> None:
    server = Process(folder, ["/no/such/command"])
    with pytest.raises(ServerError, match=r"cannot be run: (?s:.*)/no/such/command"):
        server.start()
    server.end()


def test_what_comes_before_a_server_is_done_once(folder: Path) -> None:
    note = "open('notes', 'a').write('x')"
    server = Process(
        folder,
        [sys.executable, "-c", SERVER],
        before=[sys.executable, "-c", note],
    )
    server.start()
    server.kill()
    server.start()
    assert (folder / "notes").read_text() == "x"
    server.end()


def test_a_server_is_not_run_when_what_comes_before_it_fails(folder: Path) -> None:
    server = Process(
        folder,
        [sys.executable, "-c", SERVER],
        before=[sys.executable, "-c", "raise SystemExit('no room')"],
    )
    with pytest.raises(ServerError, match="no room"):
        server.start()
    server.end()


def test_what_was_ended_before_its_start_never_starts(folder: Path) -> None:
    server = Process(folder, [sys.executable, "-c", SERVER])
    server.end()
    with pytest.raises(ServerError, match="ended before"):
        server.start()


def _up(folder: Path) -> Process:
    server = Process(folder, [sys.executable, "-c", SERVER])
    server.start()
    _wait_up(server)
    return server


def _wait_up(server: Process) -> None:
    while "up" not in server.printed():
        assert server.running()
