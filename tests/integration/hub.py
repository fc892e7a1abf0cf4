"""A small hub by the W3C's WebSub: subscribes, verifies, distributes, forgets leases."""

from __future__ import annotations

import asyncio
import hmac
import secrets

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from aiohttp import web
from aiohttp.test_utils import TestServer


#: Section 7: a hub tries again what a subscriber did not take.
RETRIES = 3
RETRY_S = 0.05


@dataclass(frozen=True)
class Subscriber:
    callback: str
    secret: str
    ends_s: float


class Hub:
    """Its answers are a test's to change."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        #: Of each topic.
        self.subscribers: dict[str, dict[str, Subscriber]] = {}
        #: The forms that came in.
        self.requests: list[dict[str, str]] = []
        self.lease_s = 600.0
        self.status = 202
        self.denies = False
        self.verifies = True

    async def answer(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.requests.append(form)
        if request.path == "/moved":
            return web.Response(status=308, headers={"Location": "/hub"})
        if self.status == 202 and self.verifies:
            task = asyncio.create_task(self._verify(form))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return web.Response(status=self.status)

    async def _verify(self, form: Mapping[str, str]) -> None:
        topic, callback = form["hub.topic"], form["hub.callback"]
        if self.denies:
            denial = {"hub.mode": "denied", "hub.topic": topic, "hub.reason": "no"}
            await self.get(callback, denial)
            return
        challenge = secrets.token_hex(8)
        asked = {
            "hub.mode": form["hub.mode"],
            "hub.topic": topic,
            "hub.challenge": challenge,
            "hub.lease_seconds": f"{self.lease_s:.0f}",
        }
        status, text = await self.get(callback, asked)
        if not 200 <= status < 300 or text != challenge:
            return
        of_topic = self.subscribers.setdefault(topic, {})
        of_topic.pop(callback, None)
        if form["hub.mode"] == "subscribe":
            ends_s = asyncio.get_running_loop().time() + self.lease_s
            of_topic[callback] = Subscriber(callback, form["hub.secret"], ends_s)

    async def get(self, callback: str, query: Mapping[str, str]) -> tuple[int, str]:
        async with self._client.get(callback, params=query) as answer:
            return answer.status, await answer.text()

    async def publish(
        self,
        topic: str,
        body: bytes,
        *,
        method: str = "sha256",
        headers: Mapping[str, str] | None = None,
    ) -> list[int]:
        """Distribute *body*; return what each subscriber answered in the end."""
        answers = []
        now_s = asyncio.get_running_loop().time()
        for one in list(self.subscribers.get(topic, {}).values()):
            if one.ends_s < now_s:
                del self.subscribers[topic][one.callback]
                continue
            digest = hmac.new(one.secret.encode(), body, method).hexdigest()
            signed = {
                "Content-Type": "application/rss+xml",
                "Link": f'<{topic}>; rel="self", <{self.url}>; rel="hub"',
                "X-Hub-Signature": f"{method}={digest}",
            } | dict(headers or {})
            answers.append(await self._post(one.callback, body, signed))
            if answers[-1] == 410:
                del self.subscribers[topic][one.callback]
        return answers

    async def _post(
        self, callback: str, body: bytes, headers: Mapping[str, str]
    ) -> int:
        status = 0
        for _ in range(RETRIES):
            with suppress(aiohttp.ClientConnectionError):
                async with self._client.post(
                    callback, data=body, headers=headers
                ) as answer:
                    status = answer.status
                if status < 500:
                    break
            await asyncio.sleep(RETRY_S)
        return status


@asynccontextmanager
async def a_hub() -> AsyncIterator[Hub]:
    async with aiohttp.ClientSession() as client:
        hub = Hub(client)
        app = web.Application()
        app.router.add_post("/{path:.*}", hub.answer)
        async with TestServer(app) as server:
            hub.url = f"http://127.0.0.1:{server.port}/hub"
            yield hub
