"""Lists of feeds: OPML, TOML, an address a line."""

from __future__ import annotations

import time

import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.rss import lists, opml
from streams.errors import SourceError
from streams.settings import Feed


NESTED = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
<opml version="1.1"><head><title>Mine</title></head><body>
<outline text="Sahel"><outline text="Mali &amp; co">
  <outline type="rss" text="Studio" title="Studio Tamani" language="fr"
    xmlUrl="https://tamani.example/feed?a=1&b=2" htmlUrl="https://tamani.example/"/>
  <outline text="caf\xe9" XMLURL="feed://cafe.example/rss"></outline>
</outline></outline>
<outline type="rss" text="nothing"/>
<outline type="link" text="more" url="https://lists.example/more.opml"/>
<outline type="rss" text="again" xmlUrl="http://www.tamani.example/feed?b=2&amp;a=1" category="/radio,/fr"/>
<outline type="rss" text="paid" xmlUrl="https://user:pw@paid.example/feed"/>
<outline type="rss" text="odd" xmlUrl="javascript:alert(1)"/>
</body></opml>"""


def test_opml_import_keeps_folders_as_tags() -> None:
    studio, cafe = lists.read(NESTED).feeds
    assert studio.tags == ("Sahel/Mali & co", "radio", "fr")
    assert (studio.name, studio.language) == ("Studio Tamani", "fr")
    assert cafe == Feed(
        url="http://cafe.example/rss", name="café", tags=("Sahel/Mali & co",)
    )


def test_each_line_that_is_no_feed_is_refused_with_its_reason() -> None:
    refused = "\n".join(lists.read(NESTED).refused)
    for told in (
        "line 8: 'nothing' has no xmlUrl",
        "line 9: https://lists.example/more.opml is another list",
        "line 11: https://paid.example/feed: its address holds credentials",
        "line 12: javascript:alert(1): its address is not http or https",
    ):
        assert told in refused
    assert "pw" not in refused


def test_a_feed_in_two_folders_is_one_feed_with_both_tags() -> None:
    assert len([f for f in lists.read(NESTED).feeds if "tamani" in f.url]) == 1


@pytest.mark.parametrize(
    "broken",
    [
        b'<opml><body><outline text="A"><outline xmlUrl="https://a.example/1">',
        b"<opml><body><outline text='A'>\n<outline xmlurl=https://a.example/1 text=x &>",
        b'<OPML><outline title="A"><outline type="rss" xmlUrl="https://a.example/1"/></x></opml>junk',
    ],
)
def test_malformed_opml_is_read_all_the_same(broken: bytes) -> None:
    (feed,) = lists.read(broken).feeds
    assert (feed.url, feed.tags) == ("https://a.example/1", ("A",))


@pytest.mark.parametrize("unended", ["<a ", "<a b='", "<!--", "<outline text='"])
def test_what_never_ends_takes_no_time_and_is_not_passed_over(unended: str) -> None:
    body = f'<opml>\n<outline xmlUrl="https://a.example/1"/>\n{unended * 50_000}'
    began = time.monotonic()
    found = lists.read(body.encode())
    assert time.monotonic() - began < 2
    assert [feed.url for feed in found.feeds] == ["https://a.example/1"]
    assert found.refused == (f"line 3: {opml.UNENDED}",)


def test_folders_without_end_take_no_memory() -> None:
    deep = '<outline text="a">' * 20_000 + '<outline xmlUrl="https://a.example/1"/>'
    (feed,) = lists.read(f"<opml>{deep}".encode()).feeds
    assert len(feed.tags[0]) < opml.TAG_MAX
    long = f'<outline category="{"a" * 10_000}" xmlUrl="https://a.example/1"/>'
    assert "longer than" in lists.read(f"<opml>{long}".encode()).refused[0]


def test_opml_expands_no_entities_and_opens_no_file() -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    hostile = (
        '<?xml version="1.0"?><!DOCTYPE opml [<!ENTITY l0 "ha">'
        f'<!ENTITY x SYSTEM "file:///etc/passwd">{laughs}]>'
        '<opml><body><outline text="&l11;&x;" xmlUrl="https://a.example/"/></body></opml>'
    )
    began = time.monotonic()
    (feed,) = lists.read(hostile.encode()).feeds
    assert feed.name == "&l11;&x;"
    assert time.monotonic() - began < 1


def test_a_bare_ampersand_of_an_address_is_no_entity() -> None:
    body = b'<opml><outline xmlUrl="https://a.example/?a=1&section=2&copy=3"/></opml>'
    assert lists.read(body).feeds[0].url == "https://a.example/?a=1&section=2&copy=3"


def test_encodings_go_by_mark_then_declaration_then_guess() -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-8"):
        body = '<opml><outline text="é" xmlUrl="https://a.example/"/></opml>'
        assert lists.read(body.encode(encoding)).feeds[0].name == "é"
    wrong = (
        '<?xml encoding="ascii"?><opml><outline text="é" xmlUrl="https://a.example/"/>'
    )
    assert lists.read(wrong.encode("cp1252")).feeds[0].name == "é"


def test_a_plain_list_is_an_address_a_line() -> None:
    body = b"# mine\nhttps://a.example/feed  The A\n\nb.example/rss\nftp://c.example/\n"
    found = lists.read(body)
    assert [(f.url, f.name) for f in found.feeds] == [
        ("https://a.example/feed", "The A"),
        ("https://b.example/rss", ""),
    ]
    assert found.refused[0].startswith("line 5: ftp://c.example/: its address")


def test_prose_is_no_list_of_addresses() -> None:
    found = lists.read(b"Hello world\n- one\n../up\nme:pw@a.example/feed\n")
    assert found.feeds == ()
    assert len(found.refused) == 4
    assert "credentials" in found.refused[3]
    assert "pw" not in "".join(found.refused)


def test_a_wrong_table_of_a_toml_list_is_refused_alone() -> None:
    body = b'[[feeds]]\nurl = "https://a.example/"\n[[feeds]]\nurl = 3\n'
    found = lists.read(body)
    assert [feed.url for feed in found.feeds] == ["https://a.example/"]
    assert found.refused[0].startswith("feed 2: Expected `str`")


@pytest.mark.parametrize(
    "body",
    [b"<rss><channel/></rss>", b"[[feeds\n", b"[x]\na=1", b"feeds=" + b"[" * 99_999],
)
def test_what_is_no_list_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(SourceError):
        lists.read(body)


def test_a_token_that_was_taken_out_is_asked_for() -> None:
    (refused,) = lists.read(b"https://a.example/?token=***\n").refused
    assert "put it in again" in refused


_words = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters=",/"),
    min_size=1,
    max_size=8,
)
_feeds = st.builds(
    Feed,
    url=st.integers(0, 10**6).map(lambda n: f"https://h{n}.example/f?x=1&copy={n}"),
    id=st.just("") | _words,
    name=st.just("") | st.lists(_words, min_size=1, max_size=3).map(" ".join),
    publisher=st.just("") | _words,
    country=st.sampled_from(["", "ML", "NE"]),
    language=st.sampled_from(["", "fr", "pt-BR"]),
    interval_s=st.just(0.0) | st.floats(1, 1e6),
    tags=st.lists(
        st.lists(_words, min_size=1, max_size=3).map("/".join), max_size=3, unique=True
    ).map(tuple),
    full_text=st.booleans(),
)
_many = st.lists(_feeds, max_size=8, unique_by=lambda feed: feed.url)


@given(_many)
def test_opml_export_and_import_round_trip(feeds: list[Feed]) -> None:
    found = lists.read(opml.write(feeds, title="<&>").encode())
    assert found.refused == ()
    assert sorted(found.feeds, key=lambda f: f.url) == sorted(
        feeds, key=lambda f: f.url
    )


@given(_many.filter(bool))
def test_toml_export_and_import_round_trip(feeds: list[Feed]) -> None:
    assert lists.read(lists.to_toml(feeds).encode()).feeds == tuple(feeds)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_a_list_holds_it_is_read_or_refused(body: bytes) -> None:
    for prefix in (b"", b"<opml><outline text='", b'[[feeds]]\nurl="'):
        try:
            found = lists.read(prefix + body)
        except SourceError:
            continue
        assert all(lists.fault(feed) == "" for feed in found.feeds)


@given(st.text(max_size=30))
def test_a_tag_that_is_kept_stays_as_it_is(written: str) -> None:
    kept = lists.tag(written)
    assert lists.tag(kept) == kept


def test_twenty_thousand_outlines_are_read_in_seconds() -> None:
    feeds = [Feed(url=f"https://h{n}.example/", tags=("a/b",)) for n in range(20_000)]
    began = time.monotonic()
    assert len(lists.read(opml.write(feeds, title="").encode()).feeds) == len(feeds)
    assert time.monotonic() - began < 10
