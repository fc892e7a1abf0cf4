"""``/metrics``, ``/healthz`` and ``/readyz``, on loopback unless told otherwise."""

from __future__ import annotations

import asyncio
import ipaddress
import time

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streams import clock
from streams.errors import AddressError, TransientError
from streams.log.face import Log
from streams.log.opening import open_log
from streams.monitor.metrics import Metrics, registry
from streams.monitor.standing import Looker, OpenLetters, Standing
from streams.monitor.watched import Watched, degraded, unready
from streams.settings import Settings


#: The log is asked no more often than this, however often metrics are.
LOOK_S = 5.0
#: Prometheus gives up after 10 s; the rest of the metrics must not wait for the log.
LOOK_TIMEOUT_S = 5.0
LETTERS_TIMEOUT_S = 2.5
UNAVAILABLE = 503
#: What an address is given by.
SETTING = "monitor.listen"
OPTION = "--listen"

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Address(NamedTuple):
    """Where to listen; port 0 is any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine gets there."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name: who knows what it is


def address(listen: str, given: str = SETTING) -> Address:
    """Read HOST:PORT; raises AddressError, which blames what it was *given* by."""
    try:
        parts = urlsplit(f"//{listen}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.netloc != listen or "@" in listen:
        raise AddressError(
            f"{given} must be HOST:PORT, such as 127.0.0.1:9464 or [::1]:0"
        )
    return Address(host, port)


@asynccontextmanager
async def monitored(
    settings: Settings, watched: Watched, *, listen: str | None = None
) -> AsyncIterator[None]:
    """Serve what *watched* has to show, at *listen* or where the settings say; or not.

    Raises AddressError when that address cannot be listened on.
    """
    where = settings.monitor.listen if listen is None else listen
    if not where:
        yield
        return
    given = SETTING if listen is None else OPTION
    at = address(where, given)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(settings))
        runner = web.AppRunner(
            _Monitor(watched, log).app(), access_log=None, shutdown_timeout=0.5
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, at.host, at.port).start()
        except OSError as error:
            why = error.strerror or error
            raise AddressError(f"{given}: {where}: {why}") from None
        host, port = runner.addresses[0][:2]
        _log.info("monitor.ready", listen=f"{host}:{port}")
        if not at.is_loopback:
            _log.warning(
                "monitor.open: whoever reaches this machine can read the metrics; they "
                "name sources. Listen on 127.0.0.1, or let a firewall guard it",
                listen=f"{host}:{port}",
            )
        yield


class _Monitor:
    """Answers for one process."""

    def __init__(self, watched: Watched, log: Log) -> None:
        self._watched = watched
        self._looker = Looker(log)
        self._looking = asyncio.Lock()
        self._looked_s = -LOOK_S
        self._standing: Standing | None = None
        self._letters: OpenLetters | None = None
        self._version = version("wirewatch")
        self._registry = registry(
            Metrics(
                watched,
                version=self._version,
                standing=lambda: self._standing,
                letters=lambda: self._letters,
                ready=lambda: not self._reasons(),
                now=clock.now,
            )
        )

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._readiness)
        return app

    async def _metrics(self, _: web.Request) -> web.Response:
        await self._look()
        body = generate_latest(self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"} | self._about())

    async def _readiness(self, _: web.Request) -> web.Response:
        reasons = self._reasons()
        told: dict[str, object] = {
            "status": "waiting" if reasons else "ready",
            "reasons": reasons,
            "degraded": degraded(self._watched),
        }
        return _json(told | self._about(), status=UNAVAILABLE if reasons else 200)

    def _about(self) -> dict[str, object]:
        return {
            "role": self._watched.role,
            "version": self._version,
            "uptime_s": round(self._watched.uptime_s, 1),
        }

    def _reasons(self) -> list[str]:
        return unready(self._watched, now=clock.now(), now_s=time.monotonic())

    async def _look(self) -> None:
        """Look at the log, unless that was done just now."""
        async with self._looking:
            if time.monotonic() - self._looked_s < LOOK_S or not self._watched.ready():
                return
            stages = tuple(self._watched.progress)
            self._standing = await _within(LOOK_TIMEOUT_S, self._looker.look(stages))
            self._letters = None
            if self._standing is not None:
                letters = self._looker.letters(stages)
                self._letters = await _within(LETTERS_TIMEOUT_S, letters)
            self._looked_s = time.monotonic()


async def _within(seconds: float, look: Awaitable[T]) -> T | None:
    """Return what *look* sees; None if the log does not answer, or not in time."""
    try:
        async with asyncio.timeout(seconds):
            return await look
    except TimeoutError:
        _log.warning("the log cannot be looked at", reason=f"not in {seconds:g} s")
    except TransientError as error:
        _log.warning("the log cannot be looked at", reason=str(error))
    return None


def _json(body: dict[str, object], status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body) + b"\n",
        status=status,
        content_type="application/json",
    )
