"""Lists of feeds as people keep them: OPML, TOML, an address a line. Pure.

A list is read as far as it can be: each entry that is no feed to watch is refused on its
own, with its place and the reason. Nothing in it is looked up: no entity, no inclusion.
"""

from __future__ import annotations

import codecs
import json
import re
import tomllib

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from connectors.rss import opml
from connectors.urls import HIDDEN, canonical, public_url
from streams.errors import SourceError
from streams.settings import Feed, fault_of


#: ``feed:`` is how browsers once handed an address to a reader.
_HANDED = re.compile(r"^feed:(?://)?(?=https?:)|^feed:(?=//)", re.IGNORECASE)
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_HOST = re.compile(r"[^/?#.\s]+\.[^/?#\s]")
_PORT = re.compile(r"^[^/:]+:\d+(?:/|$)")
_NAMED = re.compile(r"[^/?#\s]+@")
_USER = re.compile(r"[^/]*//[^/?#]*@")
_TOML = re.compile(r"^\s*(?:\[\[?|feeds\s*=)", re.MULTILINE)
_MARKUP = re.compile(r"\s*<")
_DECLARED = re.compile(rb"""<\?xml[^>]*\bencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_HEAD = 1_000
CREDENTIALS = (
    "its address holds credentials, which no topic may: put it into [[rss.feeds]] of "
    "the configuration file"
)


class Listing(NamedTuple):
    """What a list holds."""

    feeds: tuple[Feed, ...]
    #: For a person: which entry is no feed to watch, and why.
    refused: tuple[str, ...]


def read(body: bytes) -> Listing:
    """Return the feeds of a list in any of the three forms, each address once.

    Of one that stands in several folders, all tags. Raises SourceError when it is no
    list at all.
    """
    text = _decoded(body)
    found: Iterable[opml.Entry]
    if opml.is_opml(text):
        found = opml.read(text)
    elif _MARKUP.match(text):
        raise SourceError(
            "it is markup, but no OPML; if it is a feed or a site, use 'feeds add'"
        )
    elif _TOML.search(text):
        found = _of_toml(text)
    else:
        found = _of_lines(text)
    return _checked(found)


def to_toml(feeds: Iterable[Feed]) -> str:
    """Return *feeds* as they may stand in the configuration file, what is default left out."""
    return "\n".join(_table(feed) for feed in feeds)


def holds_credentials(url: str) -> bool:
    """Whether *url* has a user, a password or a token in it."""
    return bool(_USER.match(url)) or public_url(url).count(HIDDEN) > url.count(HIDDEN)


def address(written: str) -> str:
    """Return the address that *written* means: without ``feed:``, with a scheme.

    A word that names no host is none, and stays as it is.
    """
    url = _HANDED.sub("", written.strip())
    if url.startswith("//"):
        return f"http:{url}"
    bare = not _SCHEME.match(url) and _HOST.match(url)
    if bare or _PORT.match(url) or _NAMED.match(url):
        return f"https://{url}"
    return url


def fault(feed: Feed) -> str:
    """Return why *feed* cannot be added at run time; '' if it can."""
    if not canonical(feed.url):
        return "its address is not http or https"
    if HIDDEN in feed.url:
        return "its token was taken out when the list was exported: put it in again"
    if holds_credentials(feed.url):
        return CREDENTIALS
    if any(len(one) > opml.TAG_MAX for one in feed.tags):
        return f"a tag of it is longer than {opml.TAG_MAX} characters"
    return fault_of(feed)


def tag(written: str) -> str:
    """Return a tag as it is kept: a path of folders, its parts divided by ``/``."""
    parts = (" ".join(part.replace(",", " ").split()) for part in written.split("/"))
    return "/".join(part for part in parts if part)


def _checked(found: Iterable[opml.Entry]) -> Listing:
    feeds: dict[str, Feed] = {}
    refused: list[str] = []
    for where, entry in found:
        if isinstance(entry, str):
            refused.append(f"{where}: {entry}")
            continue
        tags = dict.fromkeys(filter(None, map(tag, entry.tags)))
        url = address(entry.url)
        feed = msgspec.structs.replace(entry, url=url, tags=tuple(tags))
        if reason := fault(feed):
            refused.append(f"{where}: {public_url(url)}: {reason}")
            continue
        key = canonical(feed.url)
        if (held := feeds.get(key)) is not None:
            both = tuple(dict.fromkeys((*held.tags, *feed.tags)))
            feed = msgspec.structs.replace(held, tags=both)
        feeds[key] = feed
    return Listing(tuple(feeds.values()), tuple(refused))


def _of_toml(text: str) -> Iterator[opml.Entry]:
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise SourceError("it looks like TOML, and is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"it looks like TOML, and is not: {error}") from None
    rss = document.get("rss")
    tables: Any = document.get("feeds")
    if isinstance(rss, dict):
        tables = rss.get("feeds", tables)
    if not isinstance(tables, list):
        raise SourceError("there is neither [[rss.feeds]] nor [[feeds]] in it")
    for number, table in enumerate(tables, 1):
        try:
            yield f"feed {number}", msgspec.convert(table, Feed)
        except msgspec.ValidationError as error:
            yield f"feed {number}", str(error).replace("`$.", "`")


def _of_lines(text: str) -> Iterator[opml.Entry]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(maxsplit=1)
        if words and not words[0].startswith("#"):
            name = words[1].strip() if len(words) > 1 else ""
            yield f"line {number}", Feed(url=words[0], name=name)


def _table(feed: Feed) -> str:
    lines = ["[[rss.feeds]]"]
    for field in msgspec.structs.fields(Feed):
        value = getattr(feed, field.name)
        if field.name == "url" or value != field.default:
            lines.append(f"{field.name} = {_literal(value)}")
    return "\n".join(lines) + "\n"


def _literal(value: str | float | bool | tuple[str, ...]) -> str:
    """Return *value* in TOML, whose strings are JSON's but for DEL."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _decoded(body: bytes) -> str:
    """Return the text of *body*: by its mark, its declaration, as UTF-8, as Windows'."""
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    if found := _DECLARED.search(body[:_HEAD]):
        try:
            return body.decode(found[1].decode())
        except (LookupError, UnicodeDecodeError):
            pass  # a declaration that does not hold is no declaration
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")
