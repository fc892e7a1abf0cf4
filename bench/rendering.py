"""The documents of a simulated internet: what a feed shows, in its format. Pure."""

from __future__ import annotations

import json
import re

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple
from xml.sax.saxutils import escape

from bench.texts import SENTENCES
from bench.world import BEGIN, DAY_S, Feed, Shown, World


MEDIA_TYPES = {
    "rss": "application/rss+xml; charset=utf-8",
    "atom": "application/atom+xml",
    "json": "application/feed+json",
    "rdf": "application/rdf+xml",
}
FH = 'xmlns:fh="http://purl.org/syndication/history/1.0"'
LANGUAGES = sorted(SENTENCES)
#: Stands in each text, so that who finds it knows which text it is.
REFERENCE = re.compile(r"\bref-(\d+)-(\d+)-(\d+)\b")


class Clock(NamedTuple):
    """How the days of a world lie in ours."""

    #: When :data:`~bench.world.BEGIN` is, in seconds since the Unix epoch.
    begins: float
    speed: float

    def day(self, moment: float) -> float:
        """Return the world's day at *moment*."""
        return BEGIN + (moment - self.begins) * self.speed / DAY_S

    def moment(self, day: float) -> float:
        """Return when *day* is."""
        return self.begins + (day - BEGIN) * DAY_S / self.speed

    def time(self, day: float) -> datetime:
        """Return when *day* is, in UTC."""
        return datetime.fromtimestamp(self.moment(day), UTC)


class Entry(NamedTuple):
    """One entry, ready to be written in any format."""

    title: str
    text: str
    link: str
    guid: str
    published: datetime


def render(
    world: World, feed: Feed, shown: tuple[Shown, ...], day: float, clock: Clock
) -> bytes:
    """Return the document in which *feed* shows *shown* at *day*."""
    entries = [_entry(world, feed, one, day, clock) for one in shown]
    built = day if feed.habit == "restless" else world.changed(feed, day)
    write = {"rss": _rss, "atom": _atom, "json": _json, "rdf": _rdf}[feed.format]
    return write(feed, entries, clock.time(built)).encode()


def home(feed: Feed) -> str:
    """Return the address of the site that *feed* is of."""
    return f"http://h{feed.host}.sim.localhost"


def _entry(world: World, feed: Feed, one: Shown, day: float, clock: Clock) -> Entry:
    sentences = SENTENCES[LANGUAGES[feed.number % len(LANGUAGES)]]
    said = [
        sentences[(feed.number + one.number * turn) % len(sentences)]
        for turn in range(3, 5 + one.number % 4)
    ]
    reference = f"ref-{feed.number}-{one.number}-{one.revision}"
    link = f"{home(feed)}/f{feed.number}/e{one.number}"
    guid = f"tag:h{feed.host}.sim.localhost,2026:f{feed.number}:e{one.number}"
    if feed.habit == "tracked":
        link += f"?utm_source=rss&utm_campaign={day:.6f}"
    elif feed.habit == "no_guid":
        guid = ""
    elif feed.habit == "guid_changes":
        guid += f":{day:.6f}"
    elif feed.habit == "guid_shared":
        guid = home(feed)
    bumped = feed.habit == "dates_bumped"
    return Entry(
        title=f"{said[0][:60]} {one.number}",
        text=f"{reference}: {' '.join(said)}",
        link=link,
        guid=guid,
        published=clock.time(day if bumped else world.published(feed, one.number)),
    )


def _rss(feed: Feed, entries: list[Entry], built: datetime) -> str:
    items = "".join(
        f"<item><title>{escape(entry.title)}</title><link>{escape(entry.link)}</link>"
        + (f'<guid isPermaLink="false">{entry.guid}</guid>' if entry.guid else "")
        + f"<pubDate>{format_datetime(entry.published)}</pubDate>"
        f"<description>{escape(entry.text)}</description></item>\n"
        for entry in entries
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" {FH}><channel>'
        f"<title>Feed {feed.number}</title><link>{home(feed)}/</link>"
        f"<description>News</description>{'<fh:complete/>' if feed.complete else ''}"
        f"<lastBuildDate>{format_datetime(built)}</lastBuildDate>\n{items}"
        "</channel></rss>\n"
    )


def _atom(feed: Feed, entries: list[Entry], built: datetime) -> str:
    items = "".join(
        f"<entry><title>{escape(entry.title)}</title>"
        f'<link href="{escape(entry.link)}"/>'
        + (f"<id>{entry.guid}</id>" if entry.guid else "")
        + f"<published>{entry.published.isoformat()}</published>"
        f"<updated>{entry.published.isoformat()}</updated>"
        f"<content type='html'>&lt;p&gt;{escape(entry.text)}&lt;/p&gt;</content>"
        "</entry>\n"
        for entry in entries
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<feed xmlns="http://www.w3.org/2005/Atom" {FH}>'
        f"<title>Feed {feed.number}</title><id>urn:feed:{feed.number}</id>"
        f'<link href="{home(feed)}/"/>{"<fh:complete/>" if feed.complete else ""}'
        f"<updated>{built.isoformat()}</updated>\n{items}</feed>\n"
    )


def _json(feed: Feed, entries: list[Entry], built: datetime) -> str:
    return json.dumps(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": f"Feed {feed.number}",
            "home_page_url": f"{home(feed)}/",
            "_built": built.isoformat(),
            "items": [
                {
                    "id": entry.guid,
                    "url": entry.link,
                    "title": entry.title,
                    "content_text": entry.text,
                    "date_published": entry.published.isoformat(),
                }
                for entry in entries
            ],
        },
        ensure_ascii=False,
    )


def _rdf(feed: Feed, entries: list[Entry], built: datetime) -> str:
    items = "".join(
        f'<item rdf:about="{entry.guid}"><title>{escape(entry.title)}</title>'
        f"<link>{escape(entry.link)}</link>"
        f"<dc:date>{entry.published.isoformat()}</dc:date>"
        f"<description>{escape(entry.text)}</description></item>\n"
        for entry in entries
    )
    return (
        '<?xml version="1.0"?>\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<channel rdf:about="{home(feed)}/"><title>Feed {feed.number}</title>'
        f"<link>{home(feed)}/</link><description>News</description>"
        f"<dc:date>{built.isoformat()}</dc:date></channel>\n{items}</rdf:RDF>\n"
    )
