"""One poll of a feed: asked, read, and judged. Publishing is the connector's."""

from __future__ import annotations

import asyncio
import hashlib

from datetime import datetime
from typing import NamedTuple

from connectors.failures import Failure, fetch_error
from connectors.http import Document, HttpClient, NotModified
from connectors.rss.fulltext import Pages
from connectors.rss.look import Hints, Look
from connectors.rss.reading import Reading, look_into, remembered
from connectors.rss.subscription import Subscription
from streams.errors import (
    PoolCallError,
    SourceError,
    SourceUnavailableError,
    WirewatchError,
)
from streams.pool import Pool
from streams.records import RawItem


#: A document that waits for a parser, and the pages of its entries, take at most so long.
READ_MAX_S = 300.0
#: What a poll may raise that is the feed's fault.
FAULTS = (SourceError, SourceUnavailableError, PoolCallError)


class Question(NamedTuple):
    """What a feed is asked for, and what is known of it."""

    url: str
    about: Subscription
    #: What was published of it (:mod:`connectors.rss.memory`).
    entries: bytes
    #: Of the body that was read last.
    etag: str
    last_modified: str
    body: str
    due: datetime
    #: To be asked without validators, to see whether they lie.
    probe: bool = False
    full_text: bool = False


class Found(NamedTuple):
    """What a poll gave; the look is true once the rest is stored."""

    look: Look
    items: tuple[RawItem, ...] = ()
    known: int = 0
    #: What to remember then; None: as before.
    entries: bytes | None = None
    refused: tuple[str, ...] = ()
    hub: str = ""
    topic: str = ""
    #: What was read; None where nothing was.
    document: Document | None = None


async def ask(http: HttpClient, question: Question) -> NotModified | Document:
    """Return what the feed answers; raises one of :data:`FAULTS`."""
    if question.probe:
        return await http.get(question.url)
    return await http.get(
        question.url, etag=question.etag, last_modified=question.last_modified
    )


class Reader:
    """Reads what feeds answer, in worker processes."""

    def __init__(self, pool: Pool, pages: Pages) -> None:
        self._pool = pool
        self._pages = pages

    async def read(
        self,
        question: Question,
        answer: NotModified | Document,
        now: datetime,
        *,
        pushed: bool = False,
    ) -> Found:
        """Return what is in *answer*; raises one of :data:`FAULTS`.

        A body that was read before never reaches the parser.
        """
        look = Look(
            outcome="unmodified",
            at=now,
            due=question.due,
            hints=Hints(max_age_s=answer.max_age_s),
            probe=question.probe,
            moved_to=answer.moved_to,
            pushed=pushed,
            etag=answer.etag,
            last_modified=answer.last_modified,
            body=question.body,
        )
        if isinstance(answer, NotModified):
            return Found(look)
        look = look._replace(outcome="same", body=digest(answer.body))
        if look.body == question.body:
            return Found(look, hub=answer.hub, topic=answer.topic)
        if not answer.body.strip():
            raise fetch_error("empty", "the answer has no content")
        async with asyncio.timeout(READ_MAX_S) as limit:
            try:
                return await self._read(question, answer, look)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise fetch_error(
                    "timeout", f"it was not read within {READ_MAX_S:g} s"
                ) from None

    async def _read(self, question: Question, document: Document, look: Look) -> Found:
        reading = await self._parsed(question, document, look.at)
        items, entries, gap = reading.items, reading.memory, reading.gap
        if look.pushed:
            # A hub may deliver what is new alone: what is not there was not taken away.
            items = tuple(item for item in items if item.state == "present")
            # A second for thousands of entries: not on the loop.
            entries = await asyncio.to_thread(
                remembered, question.entries, items, delivered=True
            )
            gap = False
        if question.full_text:
            items = await self._pages.read(items)
        return Found(
            look._replace(
                outcome="new" if items else "known",
                hints=reading.hints._replace(
                    max_age_s=document.max_age_s or reading.hints.max_age_s
                ),
                entries=reading.entries,
                new=reading.new,
                published=reading.published,
                edited=reading.edited,
                withdrawn=sum(item.state == "withdrawn" for item in items),
                gap=gap,
                habits=reading.habits,
                title=reading.title,
            ),
            items=items,
            known=reading.known,
            entries=entries,
            refused=reading.refused,
            hub=document.hub or reading.hub,
            topic=document.topic or reading.topic,
            document=document,
        )

    async def _parsed(
        self, question: Question, document: Document, now: datetime
    ) -> Reading:
        try:
            return await self._pool.run(
                look_into,
                document.body,
                question.about,
                now,
                question.entries,
                content_type=document.content_type,
                content_language=document.content_language,
                url=document.url,
            )
        except WirewatchError:
            raise
        except Exception as error:
            # Reading is a function of the document: whatever it raises is about that.
            raise fetch_error(
                "parser", f"it cannot be parsed: {type(error).__name__}: {error}"
            ) from error


def failed(question: Question, error: Exception, now: datetime) -> Found:
    """Return what a poll gave that raised *error*, one of :data:`FAULTS`."""
    look = Look(
        outcome="failed",
        at=now,
        due=question.due,
        failure=_failure_of(error),
        probe=question.probe,
    )
    return Found(look)


def digest(body: bytes) -> str:
    """Return what tells *body* from others of its feed: 128 bits in hex."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _failure_of(error: Exception) -> Failure:
    given = getattr(error, "failure", None)
    if isinstance(given, Failure):
        return given
    if isinstance(error, PoolCallError):
        return Failure("parser", str(error))
    return Failure("not_a_feed", str(error))
