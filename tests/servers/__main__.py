"""``python -m tests.servers start|stop|status``: servers for trying things by hand.

They listen where Wirewatch looks for servers when nothing is configured (9092, 9200), or
on other ports when those are taken. A process in the background holds them; as long as
it lives it has the state file locked.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.servers.errors import ServerError, UnavailableError
from tests.servers.handles import is_free
from tests.servers.suite import CACHE_VARIABLE, find_source


ROOT = Path(__file__).parents[2]
STATE = ROOT / ".servers" / "running.json"
KAFKA_PORT = 9092
ELASTICSEARCH_PORT = 9200


def main(words: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 when the servers are as was asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers")
    parser.add_argument("command", choices=["start", "stop", "status", "hold"])
    command = parser.parse_args(words).command
    return {"start": start, "stop": stop, "status": status, "hold": hold}[command]()


def start() -> int:
    """Have both servers running, in the background."""
    if _is_held():
        return status()
    holder = subprocess.Popen(
        [sys.executable, "-m", "tests.servers", "hold"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert holder.stdout is not None
    if not holder.stdout.readline():
        return holder.wait() or 1
    return status()


def stop() -> int:
    """End both servers; their data go."""
    if _is_held():
        os.kill(json.loads(STATE.read_text())["pid"], signal.SIGTERM)
        with STATE.open() as state:
            fcntl.flock(state, fcntl.LOCK_SH)  # free when the holder is gone
    print("no servers run")
    return 0


def status() -> int:
    """Print where the servers are, as settings for a shell."""
    if not _is_held():
        print("no servers run; start them with `make servers`")
        return 1
    running = json.loads(STATE.read_text())
    print(f"# from {running['source']}; end them with `make stop-servers`")
    print("export WIREWATCH_MODE=servers")
    print(f"export WIREWATCH_KAFKA_BOOTSTRAP={running['kafka']}")
    print(f"export WIREWATCH_ELASTICSEARCH_URL={running['elasticsearch']}")
    return 0


def hold() -> int:
    """Start both servers and keep them until SIGTERM; print a line when they serve."""
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: asked_to_end.set())
    try:
        with _state() as state, _servers() as running:
            state.write_text(json.dumps({"pid": os.getpid(), **running}))
            print("ready", flush=True)
            asked_to_end.wait()
    except (UnavailableError, ServerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def _state() -> Iterator[Path]:
    """Hold the state file's lock; what is in it counts only while it is held."""
    STATE.parent.mkdir(exist_ok=True)
    with STATE.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield STATE


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    source = find_source(os.environ.get(CACHE_VARIABLE))
    source.fetch("kafka")
    source.fetch("elasticsearch")
    kafka = source.kafka(KAFKA_PORT if is_free(KAFKA_PORT) else None)
    elasticsearch = source.elasticsearch(
        ELASTICSEARCH_PORT if is_free(ELASTICSEARCH_PORT) else None
    )
    try:
        with ThreadPoolExecutor() as starters:
            list(starters.map(lambda server: server.start(), (kafka, elasticsearch)))
        yield {
            "source": source.name,
            "kafka": kafka.address,
            "elasticsearch": elasticsearch.url,
        }
    finally:
        kafka.end()
        elasticsearch.end()


def _is_held() -> bool:
    if not STATE.exists():
        return False
    with STATE.open() as state:
        try:
            fcntl.flock(state, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
