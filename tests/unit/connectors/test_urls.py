import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from connectors.urls import (
    canonical,
    host_of,
    public_url,
    registrable_domain,
    without_secrets,
)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("http://www.example.org/a/b/", "https://example.org/a/b"),
        ("HTTP://WWW.Example.ORG:80/a/b#c", "https://example.org/a/b"),
        ("https://example.org/a?b=2&a=1", "https://example.org/a?a=1&b=2"),
        (
            "https://example.org/a?utm_source=x&id=7&fbclid=y",
            "https://example.org/a?id=7",
        ),
        ("https://example.org/a?at_medium=RSS&at_campaign=k", "https://example.org/a"),
        ("https://u:p@example.org/a", "https://example.org/a"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("https://example.org/a/./b/../c//d", "https://example.org/a/c/d"),
        ("https://example.org/%7Ea/%e9", "https://example.org/~a/%E9"),
        ("https://example.org/é", "https://example.org/%C3%A9"),
        ("https://example.org/a b", "https://example.org/a%20b"),
        ("https://example.org", "https://example.org/"),
        ("https://صحيفة.example/", "https://xn--mgb5aj8cyb.example/"),
        ("https://www.org/x", "https://www.org/x"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
        ("mailto:a@b.example", ""),
        ("javascript:alert(1)", ""),
        ("/relative", ""),
        ("https://[broken/", ""),
        ("https://example.org:port/", ""),
        ("", ""),
    ],
)
def test_addresses_of_one_page_have_one_form(url: str, same: str) -> None:
    if "xn--" in same:
        same = f"https://{url.split('/')[2].encode('idna').decode()}/"
    assert canonical(url) == canonical(same)
    assert canonical(url).rstrip("/") == same.rstrip("/")


def test_an_escaped_delimiter_is_no_delimiter() -> None:
    assert canonical("https://e.org/a%2Fb") != canonical("https://e.org/a/b")
    assert canonical("https://e.org/?q=a%26b") != canonical("https://e.org/?q=a&b")


ADDRESSES = st.one_of(
    st.text(),
    st.builds(
        "{}://{}{}/{}?{}#{}".format,
        st.sampled_from(["http", "https", "HTTP", "ftp"]),
        st.sampled_from(["", "u:p@", "www.", "www2.www."]),
        st.one_of(
            st.text(max_size=12), st.sampled_from(["e.org", "e.org:80", "[::1]"])
        ),
        st.text(max_size=12),
        st.lists(
            st.builds(
                "{}={}".format,
                st.one_of(
                    st.sampled_from(["utm_x", "id", "a%26b"]), st.text(max_size=4)
                ),
                st.text(max_size=6),
            ),
            max_size=4,
        ).map("&".join),
        st.text(max_size=5),
    ),
)


@given(ADDRESSES)
@example("http://www.www.www.e.org/%2541%25")
@example("http://e.org/ ")
@example("http://e.org/?=&&a")
def test_canonical_is_idempotent_and_never_raises(url: str) -> None:
    once = canonical(url)
    assert canonical(once) == once
    assert once.isascii() or not once


@given(ADDRESSES)
def test_nothing_raises_on_a_hostile_address(url: str) -> None:
    public_url(url)
    host_of(url)
    registrable_domain(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@e.org/feed", "https://e.org/feed"),
        ("https://e.org/feed?id=3&token=secret", "https://e.org/feed?id=3&token=***"),
        ("https://e.org/?api_key=secret", "https://e.org/?api_key=***"),
        ("https://e.org/?access%5Ftoken=secret", "https://e.org/?access%5Ftoken=***"),
        ("https://e.org/?page=2", "https://e.org/?page=2"),
    ],
)
def test_credentials_do_not_show(url: str, shown: str) -> None:
    assert public_url(url) == shown


@given(st.text(alphabet="abcdefghij0123456789", min_size=8))
def test_no_secret_of_a_url_survives(secret: str) -> None:
    for url in (
        f"https://{secret}@e.org/",
        f"https://u:{secret}@e.org/",
        f"https://e.org/?auth={secret}&x=y",
        f"http://[{secret}",
    ):
        assert secret not in public_url(url)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://feeds.bbci.co.uk/news/rss.xml", "bbci.co.uk"),
        ("https://news.example.com.ng/feed", "example.com.ng"),
        ("https://one.blogspot.com/feed", "one.blogspot.com"),
        ("http://127.0.0.1:8000/feed", "127.0.0.1"),
        ("http://localhost/feed", "localhost"),
        ("not an address", ""),
    ],
)
def test_the_publisher_is_who_registered_the_domain(url: str, domain: str) -> None:
    assert registrable_domain(url) == domain


@pytest.mark.parametrize(
    "url",
    [
        "http://me:ses/ame@paper.example/",
        "http://me:ses#ame@paper.example/",
        "http://me:ses?ame@paper.example/",
        "http://me:ses ame@paper.example/",
        "http://me:sesame@[bad/",
    ],
)
def test_a_password_with_a_slash_in_it_is_not_taken_for_a_port_and_path(
    url: str,
) -> None:
    assert "ses" not in public_url(url)


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("<guid>https://e.org/1?key=news&amp;p=2</guid>", "/1?key=***&amp;p=2<"),
        ("https://me:word@e.org/1", "https://e.org/1<"),
        ("the pass is 0f3a9c77e1d24b58", "the pass is ***"),
        ("https://e.org/1?sig=0f3a9c77e1d24b58", "?sig=***<"),
        ("https://e.org/news?section=news&key=newsletter", "=news&key=newsletter<"),
        ("me and my word, news", "me and my word, news<"),
    ],
)
def test_what_repeats_a_credential_of_its_address_is_without_it(
    body: str, kept: str
) -> None:
    url = "https://me:word@e.org/feed?key=news&token=0f3a9c77e1d24b58&page=2"
    found = without_secrets(f"{body}<".encode(), url).decode()
    assert kept in found
    assert without_secrets(body.encode(), "https://e.org/feed?page=2") == body.encode()
