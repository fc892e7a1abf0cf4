"""Nothing of a feed's markup is left in an item, whichever field it came in."""

from __future__ import annotations

import json
import re

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec
import pytest

from connectors.rss.items import read
from streams.records import RawItem


NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
#: Said around each payload: it must come out, or the test has tested nothing.
BEFORE, AFTER = "Gunmen attacked", "a convoy near Gao"
PAYLOADS = {
    "script": "<script>evil()</script>",
    "unclosed": "<script src=//evil.example",
    "attribute": '<img src=x onerror="evil()">',
    "svg": "<svg/onload=evil()><desc><![CDATA[</desc><script>evil()</script>]]></svg>",
    "style": "<style>*{background:url(javascript:evil())}</style>",
    "comment": "<!--<img src=--><img src=x onerror=evil()//-->",
    "iframe": "<iframe srcdoc='&lt;script&gt;evil()&lt;/script&gt;'></iframe>",
    "link": "<a href='javascript:evil()'>there</a>",
    "nested": "<scr<script>ipt>evil()</scr</script>ipt>",
    "math": "<math><mtext><table><mglyph><style><img src=x onerror=evil()>",
    "template": "<template><script>evil()</script></template>",
    "null": "<scr\0ipt>evil()</scr\0ipt>",
}
#: What a browser might run.
LIVE = re.compile(
    r"</?(?:script|img|svg|style|iframe|a|math|template)\b|onerror|onload|javascript:",
    re.IGNORECASE,
)
RSS = """<?xml version="1.0"?><rss version="2.0"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"
 xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">
<channel><title>{it}</title><link>https://paper.example/</link>
<description>{it}</description><language>{it}</language>
<item><guid isPermaLink="false">{it}</guid><title>{it}</title>
<description>{it}</description><content:encoded>{it}</content:encoded>
<author>{it}</author><dc:creator>{it}</dc:creator><category>{it}</category>
<itunes:summary>{it}</itunes:summary><itunes:keywords>{it}</itunes:keywords>
<media:title>{it}</media:title><media:description>{it}</media:description>
<enclosure url="https://paper.example/1.mp3" type="{quoted}" length="{quoted}"/>
<link>https://paper.example/1</link></item></channel></rss>"""
ATOM = """<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{quoted}">
<title type="html">{it}</title><entry><id>{it}</id>
<link href="https://paper.example/1" title="{quoted}"/>
<title type="{kind}">{it}</title><summary type="{kind}">{it}</summary>
<content type="{kind}">{it}</content><author><name>{it}</name><email>{it}</email></author>
<category term="{quoted}" label="{quoted}"/><rights type="{kind}">{it}</rights>
</entry></feed>"""


def feeds(payload: str) -> Iterator[str]:
    said = f"{BEFORE} {payload} {AFTER}"
    once, twice = escape(said.replace("\0", "")), escape(escape(said.replace("\0", "")))
    cdata = said.replace("]]>", "]]]]><![CDATA[>").replace("\0", "")
    for it in (once, twice, f"<![CDATA[{cdata}]]>"):
        yield RSS.format(it=it, quoted=once)
        for kind in ("html", "text"):
            yield ATOM.format(it=it, quoted=twice, kind=kind)
    entry: dict[str, Any] = {
        "id": said,
        "url": "https://paper.example/1",
        "title": said,
        "authors": [{"name": said}],
        "tags": [said],
        "language": said,
        "attachments": [{"url": "https://paper.example/1.mp3", "mime_type": said}],
    }
    for text in ({"content_html": said}, {"content_text": said}, {"summary": said}):
        yield json.dumps(
            {
                "version": "https://jsonfeed.org/version/1.1",
                "title": said,
                "items": [entry | text],
            }
        )


def shown(item: RawItem) -> Iterator[str]:
    """Yield every string in *item* that is told to people."""
    told = msgspec.to_builtins(item)
    # Names for machines: compared, never shown as text.
    told.pop("identities")

    def strings(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for one in value.values():
                yield from strings(one)
        elif isinstance(value, list | tuple):
            for one in value:
                yield from strings(one)

    yield from strings(told)


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_html_and_script_in_every_field_come_out_as_text_or_not_at_all(
    name: str,
) -> None:
    for document in feeds(PAYLOADS[name]):
        (item,), _ = read(document.encode(), None, NOW)
        assert BEFORE in item.title
        assert BEFORE in item.text
        for text in shown(item):
            assert not LIVE.search(text), document


@pytest.mark.parametrize(
    "address",
    [
        "javascript:evil()",
        "JaVaScRiPt:evil()",
        "java\tscript:evil()",
        " javascript:evil()",
        "&#106;avascript:evil()",
        "data:text/html,<script>evil()</script>",
        "vbscript:evil()",
        "file:///etc/passwd",
        "blob:https://paper.example/1",
        "view-source:javascript:evil()",
    ],
)
def test_only_links_to_the_web_are_kept(address: str) -> None:
    quoted = address if address.startswith("&#") else escape(address)
    feed = f"""<?xml version="1.0"?><rss version="2.0"
 xmlns:media="http://search.yahoo.com/mrss/"><channel>
<title>Paper</title><link>{quoted}</link><item><guid>{quoted}</guid><title>News</title>
<link>{quoted}</link><enclosure url="{quoted}" type="audio/mpeg" length="1"/>
<media:content url="{quoted}"/><media:thumbnail url="{quoted}"/></item></channel></rss>"""
    atom = f"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">
<title>Paper</title><entry><id>1</id><title>News</title><link href="{quoted}"/>
<link rel="enclosure" href="{quoted}"/></entry></feed>"""
    entry = {
        "id": "1",
        "title": "News",
        "url": address,
        "external_url": address,
        "image": address,
        "attachments": [{"url": address, "mime_type": "audio/mpeg"}],
    }
    version = "https://jsonfeed.org/version/1.1"
    for document in (
        feed,
        atom,
        json.dumps({"version": version, "title": "P", "items": [entry]}),
    ):
        (item,), _ = read(document.encode(), None, NOW, url="https://paper.example/f")
        assert not item.link or item.link.startswith("https://paper.example/")
        for enclosure in item.enclosures:
            assert enclosure.url.startswith("https://paper.example/")
