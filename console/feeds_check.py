"""``wirewatch feeds check`` and ``feeds discover``: what a poll would find, step by step."""

from __future__ import annotations

import asyncio
import random

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple

import typer

from rich.text import Text

from connectors.addresses import PrivateHosts, is_public
from connectors.failures import Failure, FailureKind
from connectors.http import Document, HttpClient, NotModified
from connectors.parsers import parsers
from connectors.resolver import DaemonResolver
from connectors.rss import lists
from connectors.rss.discover import Discoverer, Seen
from connectors.rss.health import after, fresh
from connectors.rss.look import Look
from connectors.rss.parse import parse
from connectors.rss.reading import Reading, look_into
from connectors.rss.robots import Robots
from connectors.rss.schedule import limits
from connectors.rss.subscription import subscription
from connectors.urls import canonical, host_of, public_url
from console import escape, screen, wording
from console.check import Finding
from console.check import line as finding_line
from console.context import Context, command
from console.exits import Exit
from console.feeds_known import demand, known
from console.feeds_lines import FLAGS, short
from console.options import JsonOption
from streams import clock
from streams.errors import (
    PoolCallError,
    SourceError,
    SourceUnavailableError,
)
from streams.pool import Pool
from streams.settings import Feed, Settings


#: Later than this a date is wrong, not early.
FUTURE_MAX = timedelta(hours=1)
#: With fewer dates there is no rate.
DATES_MIN = 2
DAY_S = 86_400.0
#: How kinds of identities read.
BY = {"guid": "their guid", "link": "their link", "text": "their text alone"}
#: What may be done about an answer that gives nothing.
STEPS: dict[FailureKind, str] = {
    "not_found": "look at the address; 'wirewatch feeds discover SITE' finds feeds",
    "gone": "it is meant to be gone; 'wirewatch feeds discover SITE' finds others",
    "client": "see whether a browser is answered; some servers want an http.contact",
    "slow_down": "wait, or raise rss.host_gap_s: it is asked too often",
    "tls": "see whether a browser trusts it; its owner renews the certificate",
    "connection": "see whether a browser is answered, and whether a proxy is between",
    "timeout": "try again later, or raise http.timeout_s",
    "server": "try again later: it is the server's fault",
    "too_large": "raise http.size_max_mb, if it is meant to be so large",
    "empty": "try again later: there is nothing in it",
}


def mount(app: typer.Typer) -> None:
    """Add the commands to *app*."""
    command(app, epilog="Example: wirewatch feeds check https://example.org/feed.xml")(
        check
    )
    command(app, epilog="Example: wirewatch feeds discover https://example.org/")(
        discover
    )


async def check(
    at: Context,
    which: Annotated[
        str, typer.Argument(metavar="URL|ID", help="An address, or a watched feed.")
    ],
    *,
    json: JsonOption = False,
) -> Exit:
    """Ask a feed twice, as a poll would, and say what each step gave; publish nothing.

    Name, answer, redirects, validators, format, entries, dates, identities, hub, pages,
    and how often it would be asked. Exit code 1 when something is wrong.
    """
    feed = await _meant(at, which)
    well = True
    async for finding in _steps(feed, at.settings):
        well = well and finding.ok
        if json:
            screen.emit(finding._asdict())
        else:
            screen.show(finding_line(finding))
    return Exit.OK if well else Exit.FAULT


async def discover(
    at: Context,
    site: Annotated[str, typer.Argument(metavar="SITE", help="A page's address.")],
    *,
    json: JsonOption = False,
) -> Exit:
    """Find the feeds of a site: those its page names, else where feeds commonly lie.

    A line each: address, title, entries. Exit code 1 when there is none.
    """
    async with (
        HttpClient(at.settings.http) as http,
        Discoverer(at.settings, http) as discoverer,
    ):
        page = await discoverer.look(lists.address(site))
        found = [page] if page.document else await discoverer.named_by(page)
    for one in found:
        told = _told(one)
        if json:
            screen.emit(told._asdict())
        else:
            entries = wording.counted(told.entries, "entry", "entries")
            text = escape.shown(f"{told.url}  {told.title}  ")
            screen.show(text.append_text(Text(entries, "dim")))
    if not found:
        screen.complain(f"wirewatch: no feed was found: {page.fault}")
        return Exit.FAULT
    return Exit.OK


class _Told(NamedTuple):
    url: str
    title: str
    entries: int


def _told(seen: Seen) -> _Told:
    assert seen.document is not None
    entries = sum(not one.withdrawn for one in seen.document.entries)
    return _Told(public_url(seen.url), seen.document.title, entries)


async def _meant(at: Context, which: str) -> Feed:
    """Return the watched feed that is meant, else one at the address that is meant."""
    feeds = await known(at)
    url = lists.address(which)
    for one in feeds.values():
        if which == one.id or canonical(url) == canonical(one.feed.url):
            return one.feed
    if "/" in which or "." in which:
        return Feed(url=url)
    return demand(feeds, [which])[0].feed


async def _steps(feed: Feed, settings: Settings) -> AsyncIterator[Finding]:
    """Yield what each step gave; the first that fails is the last."""
    if not canonical(feed.url):
        yield Finding("address", ok=False, detail="it is not http or https")
        return
    named = await _name(feed, settings)
    yield named
    if not named.ok:
        return
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(HttpClient(settings.http))
        try:
            answer = await http.get(feed.url)
        except (SourceError, SourceUnavailableError) as error:
            told = f"{_without(error, feed.url)}{_next_step(error)}"
            yield Finding("answer", ok=False, detail=told)
            return
        assert isinstance(answer, Document), "no validators were sent"
        for finding in _of_answer(answer):
            yield finding
        pool = await stack.enter_async_context(parsers(settings.rss, name="check"))
        reading = await _read(pool, feed, answer, b"")
        if isinstance(reading, Finding):
            yield reading
            return
        for finding in _of_reading(reading, clock.now()):
            yield finding
        async for finding in _form(pool, answer):
            yield finding
        await asyncio.sleep(settings.rss.host_gap_s)
        async for finding in _again(http, pool, feed, answer, reading):
            yield finding
        yield _hub(answer, reading)
        yield await _pages(reading, Robots(http, pool, settings.http.user_agent))
        yield _interval(feed, answer, reading, settings)


async def _name(feed: Feed, settings: Settings) -> Finding:
    """Look the host's name up, as the connector would."""
    host = host_of(feed.url)
    resolver = DaemonResolver()
    try:
        found = await resolver.resolve(host)
    except OSError as error:
        why = error.strerror or "it has no address"
        return Finding("name", ok=False, detail=f"{host}: {why}")
    finally:
        await resolver.close()
    addresses = list(dict.fromkeys(str(one["host"]) for one in found))
    told = f"{host} is at {', '.join(addresses)}"
    own = [one for one in addresses if not is_public(one)]
    allowed = PrivateHosts(settings.http.allow_private)
    if own and not any(allowed.holds(host, port) for port in (0, *_ports(feed.url))):
        told += ": not public; if that is right, add the host to http.allow_private"
        return Finding("name", ok=False, detail=told)
    return Finding("name", ok=True, detail=told)


def _ports(url: str) -> list[int]:
    """Return the port of an address, if it names one."""
    port = canonical(url).partition("://")[2].partition("/")[0].rpartition(":")[2]
    return [int(port)] if port.isdecimal() else []


def _of_answer(answer: Document) -> Iterator[Finding]:
    size = f"{len(answer.body):,} bytes"
    kind = answer.content_type or "no content type"
    yield Finding("answer", ok=True, detail=f"{answer.status}, {size}, {kind}")
    if answer.turns:
        told = ", ".join(f"{status} to {url}" for status, url in answer.turns)
        lasting = bool(answer.moved_to)
        told += ": moved for good, watch it there" if lasting else ": for now"
        yield Finding("redirects", ok=True, look=lasting, detail=told)


async def _read(
    pool: Pool, feed: Feed, answer: Document, memory: bytes
) -> Reading | Finding:
    try:
        return await pool.run(
            look_into,
            answer.body,
            subscription(feed),
            clock.now(),
            memory,
            content_type=answer.content_type,
            content_language=answer.content_language,
            url=answer.url,
        )
    except (SourceError, PoolCallError) as error:
        told = str(error)
        if "names feeds" in told:
            told += ": watch one of them"
        elif "web page" in told:
            told += ": 'wirewatch feeds discover' looks for its feeds"
        return Finding("format", ok=False, detail=told)


async def _form(pool: Pool, answer: Document) -> AsyncIterator[Finding]:
    """Tell what is wrong with a document that could be read all the same."""
    try:
        document = await pool.run(
            parse, answer.body, content_type=answer.content_type, url=answer.url
        )
    except (SourceError, PoolCallError):
        return  # it was read a moment ago: the pool's time or memory ran out
    if document.cut_off:
        told = "it ends before its markup does: what came before counts"
        yield Finding("form", ok=True, look=True, detail=told)
    if document.broken:
        told = "its XML is not well-formed: it is read as well as can be"
        yield Finding("form", ok=True, look=True, detail=told)


def _of_reading(reading: Reading, now: datetime) -> Iterator[Finding]:
    told = wording.counted(reading.entries, "entry", "entries")
    if reading.title:
        told += f" in '{escape.line(reading.title)}'"
    yield Finding("format", ok=True, detail=told)
    if not reading.entries:
        yield Finding("entries", ok=True, look=True, detail="it has none")
    for reason in reading.refused:
        yield Finding("entries", ok=True, look=True, detail=f"refused: {reason}")
    if reading.items:
        yield _dates(reading, now)
        yield _identities(reading)


def _dates(reading: Reading, now: datetime) -> Finding:
    dates = [one for one in reading.published if one]
    if not dates:
        return Finding("dates", ok=True, look=True, detail="no entry has a usable one")
    told = f"from {wording.moment(min(dates))} to {wording.moment(max(dates))}"
    if without := len(reading.published) - len(dates):
        told += f"; {without:,} without a usable one"
    changes = sum(bool(one.updated and not one.published) for one in reading.items)
    told += f"; {changes:,} say only when they were updated" if changes else ""
    early = sum(one > now + FUTURE_MAX for one in dates)
    told += f"; {early:,} in the future" if early else ""
    return Finding("dates", ok=True, look=bool(without or early), detail=told)


def _identities(reading: Reading) -> Finding:
    """Tell by what the connector will know the entries again."""
    by: dict[str, int] = {}
    for item in reading.items:
        kind = next((one.kind for one in item.identities if one.usable), "nothing")
        by[kind] = by.get(kind, 0) + 1
    told = ", ".join(f"{count:,} by {BY.get(kind, kind)}" for kind, count in by.items())
    weak = by.get("text", 0) + by.get("nothing", 0)
    told = f"its entries are known again: {told}"
    return Finding("identities", ok=True, look=bool(weak), detail=told)


async def _again(
    http: HttpClient, pool: Pool, feed: Feed, answer: Document, reading: Reading
) -> AsyncIterator[Finding]:
    """Ask once more: whether validators are honoured, and what the guids do."""
    given = {"etag": answer.etag, "last_modified": answer.last_modified}
    names = [name for name, value in given.items() if value]
    try:
        second = await http.get(feed.url, **given)
    except (SourceError, SourceUnavailableError) as error:
        detail = f"asked a second time: {_without(error, feed.url)}"
        yield Finding("validators", ok=False, detail=detail)
        return
    if isinstance(second, NotModified):
        yield Finding("validators", ok=True, detail=f"honoured ({', '.join(names)})")
        return
    told = f"not honoured ({', '.join(names)})" if names else "none are given"
    told += ": it is transferred whole at each poll"
    yield Finding("validators", ok=True, look=True, detail=told)
    later = await _read(pool, feed, second, reading.memory)
    if isinstance(later, Reading):
        for habit in sorted(later.habits | reading.habits):
            detail = f"{habit}: {FLAGS.get(habit, habit)}"
            yield Finding("habits", ok=True, look=True, detail=detail)


def _hub(answer: Document, reading: Reading) -> Finding:
    hub = answer.hub or reading.hub
    told = f"{public_url(hub)} delivers it (WebSub)" if hub else "none: it is polled"
    return Finding("hub", ok=True, detail=told)


async def _pages(reading: Reading, robots: Robots) -> Finding:
    """Tell whether the articles' pages may be read, for ``full_text``."""
    link = next((item.link for item in reading.items if item.link), "")
    if not link:
        return Finding("pages", ok=True, detail="its entries link to none")
    leave = await robots.leave(link)
    told = "may be read"
    if not leave.given:
        told = "may not be read: their robots.txt forbids it, or cannot be had now"
    return Finding("pages", ok=True, look=not leave.given, detail=told)


def _interval(
    feed: Feed, answer: Document, reading: Reading, settings: Settings
) -> Finding:
    """Tell how lively it is, and how often it would be asked after this first poll."""
    now = clock.now()
    about = subscription(feed).source
    look = Look(
        outcome="new" if reading.new else "known",
        at=now,
        due=now,
        hints=reading.hints._replace(max_age_s=answer.max_age_s),
        entries=reading.entries,
        new=reading.new,
        published=reading.published,
    )
    bounds = limits(settings.rss)._replace(own_s=feed.interval_s)
    health = after(fresh(about.id, about.url, now), look, bounds, random.Random(0))  # noqa: S311 - it is only shown
    dates = sorted(one for one in reading.published if one)
    told = f"asked every {short(health.interval_s)}"
    if len(dates) >= DATES_MIN:
        days = max((now - dates[0]).total_seconds() / DAY_S, 1 / 24)
        told = f"about {len(dates) / days:,.1f} entries a day; {told}"
    return Finding("interval", ok=True, detail=told)


def _next_step(error: Exception) -> str:
    """Return what a person may do about *error*, after a colon; '' if nothing is known."""
    failure = getattr(error, "failure", None)
    step = STEPS.get(failure.kind, "") if isinstance(failure, Failure) else ""
    return f": {step}" if step else ""


def _without(error: Exception, url: str) -> str:
    return str(error).removeprefix(f"{public_url(url)}: ")
