"""A process that is asked to end does so within the stated time, whatever hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console.exits import Exit
from console.signals import DRAIN_S


WIREWATCH = str(Path(sys.executable).with_name("wirewatch"))
#: The interpreter's own end, on a busy machine.
MARGIN_S = 2.0
BLOCKED = """
import asyncio, time
from console.signals import stopping

async def main():
    stop = asyncio.Event()
    with stopping(stop, drain_s=0.3):
        print("ready", flush=True)
        await stop.wait()
        time.sleep(60)  # the loop itself hangs

asyncio.run(main())
"""


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Accept, and never answer; the port, and an event for the first who came."""
    came, over = asyncio.Event(), asyncio.Event()

    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1")
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        over.set()
        server.close()


async def ended(
    *command: str, once: asyncio.Event | str, **environ: str
) -> tuple[int | None, float]:
    """Run *command*, ask it to end when *once* it has come so far; code and seconds."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={k: v for k, v in os.environ.items() if k[:10] != "WIREWATCH_"} | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if isinstance(once, str):
            assert process.stdout is not None
            assert once in (await process.stdout.readline()).decode()
        else:
            await asyncio.wait_for(once.wait(), 60)
        since = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), 60)
        return code, time.monotonic() - since
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_feed_that_never_answers_holds_up_no_end(tmp_path: Path) -> None:
    async with silent_server() as (port, came):
        config = tmp_path / "own.toml"
        config.write_text(
            '[http]\nallow_private = ["127.0.0.1"]\n'
            f'[[rss.feeds]]\nurl = "http://127.0.0.1:{port}/feed"\n'
        )
        command = (WIREWATCH, "run", "--config", str(config))
        code, took_s = await ended(*command, once=came)
    assert code == Exit.OK
    assert took_s < DRAIN_S


@pytest.mark.parametrize("role", [("worker",), ("connect", "radio")], ids=" ".join)
async def test_brokers_that_never_answer_hold_up_no_end(
    tmp_path: Path, role: tuple[str, ...]
) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[[radio.stations]]\nid = "one"\nfolder = "radio"\n')
    async with silent_server() as (port, came):
        code, took_s = await ended(
            *(WIREWATCH, *role, "--config", str(config)),
            once=came,
            WIREWATCH_MODE="servers",
            WIREWATCH_KAFKA_BOOTSTRAP=f"127.0.0.1:{port}",
        )
    assert code == Exit.OK
    assert took_s < DRAIN_S


async def test_a_loop_that_hangs_is_ended_by_a_thread() -> None:
    code, took_s = await ended(sys.executable, "-c", BLOCKED, once="ready")
    assert code == Exit.OK
    assert took_s < 0.3 + MARGIN_S
