"""The feeds of a site: what its page names, and which of them are meant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Document
from connectors.rss.discover import Seen, common, main, named
from connectors.rss.document import FeedDocument


HERE = "https://paper.example/news/index.html"


def seen(url: str, title: str) -> Seen:
    answer = Document(b"", url, "", "", "", "")
    return Seen(url, answer, FeedDocument(title, "", "", ()))


def test_a_pages_alternate_links_come_first_and_are_resolved() -> None:
    page = b"""<head><link rel="ALTERNATE nofollow" type="application/rss+xml;x" href=../rss>
    <link rel=alternate hreflang=fr type=text/html href=/fr>
    <link rel='alternate' type='application/atom+xml' href='//other.example/atom?a=1&amp;b=2'>
    <link rel=feed href=/json></head><a href="/blog/feed/">Feed</a><a href=/feedback>Say</a>"""
    assert named(page, HERE) == [
        "https://paper.example/rss",
        "https://other.example/atom?a=1&b=2",
        "https://paper.example/json",
        "https://paper.example/blog/feed/",
    ]


def test_a_pages_base_counts_also_where_it_is_relative() -> None:
    page = b'<base href="/x/"><link rel=alternate type=application/rss+xml href=feed>'
    assert named(page, HERE) == ["https://paper.example/x/feed"]


def test_an_address_that_is_named_twice_is_tried_once_and_the_page_itself_never() -> (
    None
):
    page = (
        b"<a href=/rss/><a href='http://www.paper.example/rss?utm_source=x'><a href=''>"
    )
    assert len(named(page, "https://paper.example/")) == 1
    assert named(b"<a href=/feed>", "https://paper.example/feed") == []


def test_only_web_addresses_are_tried() -> None:
    page = b"<a href='javascript:feed/'><a href='file:///feed'><a href='http://[feed/'>"
    assert named(page, HERE) == []


def test_common_paths_are_those_of_the_folder_then_of_the_site() -> None:
    paths = common(HERE)
    assert paths[0] == "https://paper.example/news/feed/"
    assert "https://paper.example/rss.xml" in paths
    assert len(common("https://paper.example/")) == len(set(paths)) // 2


def test_comments_and_other_forms_of_one_feed_are_not_meant() -> None:
    found = [
        seen("https://a.example/feed", "The A"),
        seen("https://a.example/atom", "The A"),
        seen("https://a.example/comments/feed", "Comments on: The A"),
        seen("https://a.example/sport", "The A: sport"),
    ]
    assert [one.url for one in main(found)] == [
        "https://a.example/feed",
        "https://a.example/sport",
    ]
    assert main(found[2:3]) == found[2:3]


@given(
    st.binary(max_size=300) | st.text("<>a='\" /hreflink", max_size=200).map(str.encode)
)
def test_any_page_is_looked_through(page: bytes) -> None:
    assert all(isinstance(one, str) for one in named(page, HERE))
