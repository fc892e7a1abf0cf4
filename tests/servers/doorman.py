"""An Elasticsearch behind TLS and credentials: a proxy of ours before a node without them.

The node that tests get from Maven is built without security that can be switched on, so
what stands here answers as the real one does (401 and 403 with its error bodies, as its
reference shows them), and passes on everything else.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import ClientSession, web

from tests.servers.handles import free_ports
from tests.servers.identities import HOST, Certificate


#: Headers that belong to one connection (RFC 9110 section 7.6.1), or to its coding.
OF_CONNECTION = {
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "transfer-encoding",
}


class Doorman:
    """Lets in who shows *api_key*, or *username* and *password*; knows a guest, too."""

    def __init__(self, node: str, *, api_key: str, user: tuple[str, str]) -> None:
        self._node = node
        basic = base64.b64encode(":".join(user).encode()).decode()
        self._known = {f"ApiKey {api_key}", f"Basic {basic}"}
        #: What was shown at the door.
        self.shown: list[str] = []
        #: What somebody shows who is known, and may do nothing.
        self.guest = "Z3Vlc3Q6Z3Vlc3Q="
        self._session: ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer as the node does, or in its place."""
        shown = request.headers.get("Authorization", "")
        self.shown.append(shown)
        if shown == f"ApiKey {self.guest}":
            return _refusal(403, f"action [{request.path}] is unauthorized for user")
        if shown not in self._known:
            return _refusal(401, "unable to authenticate for REST request")
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in {*OF_CONNECTION, "accept-encoding", "authorization"}
        }
        if self._session is None:
            self._session = ClientSession()
        body = await request.read()
        async with self._session.request(
            request.method,
            self._node + request.raw_path,
            headers=headers,
            data=body,
        ) as answer:
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                headers={
                    name: value
                    for name, value in answer.headers.items()
                    if name.lower() not in OF_CONNECTION
                },
            )

    async def close(self) -> None:
        """Close what was opened to the node."""
        if self._session is not None:
            await self._session.close()


def _refusal(status: int, reason: str) -> web.Response:
    cause = {"type": "security_exception", "reason": reason}
    return web.json_response(
        {"error": {"root_cause": [cause], **cause}, "status": status},
        status=status,
        headers={
            "WWW-Authenticate": 'ApiKey, Basic realm="security"',
            "X-Elastic-Product": "Elasticsearch",
        },
    )


@contextmanager
def at_the_door(
    doorman: Doorman, certificate: Certificate, folder: Path
) -> Iterator[str]:
    """Have *doorman* work in a thread of its own; yields its URL."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate.files(folder, "doorman"))
    (port,) = free_ports(1)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", doorman.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, port, ssl_context=context).start()
        return runner

    async def end(runner: web.AppRunner) -> None:
        await doorman.close()
        await runner.cleanup()

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"https://{HOST}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(end(runner), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
