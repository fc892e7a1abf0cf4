"""Hubs that deliver feeds as they change: our end of W3C WebSub."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable
from datetime import datetime

from connectors.http import Document, HttpClient
from streams.settings import Settings


Deliver = Callable[[str, Document], Awaitable[None]]


class Hubs:
    """Subscribes at hubs and takes what they deliver; one a connector."""

    def __init__(self, settings: Settings, http: HttpClient, deliver: Deliver) -> None:
        self._settings = settings
        self._http = http
        self._deliver = deliver

    async def run(self, stop: asyncio.Event) -> None:
        """Listen and subscribe until *stop* is set; returns at once when it is off."""
        await stop.wait()

    def offer(self, ident: str, topic: str, hub: str) -> None:
        """Take note that *hub* delivers *topic*, which is the feed *ident*."""

    def drop(self, ident: str) -> None:
        """Let the feed *ident* go."""

    def until(self, ident: str) -> datetime | None:
        """Return until when a hub delivers the feed *ident*; None: nobody does."""
        return None
