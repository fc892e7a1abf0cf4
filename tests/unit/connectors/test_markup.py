import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.markup import one_line, tidy, to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("<p>One</p><p>two</p>", "One\n\ntwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<b>Kay</b>es", "Kayes"),
        ("a <i>b</i>\n c", "a b c"),
        ("5 &lt; 6 &amp; 7", "5 < 6 & 7"),
        ("&#1605;&#x627;&#108;&eacute;", "ما" + "lé"),
        ("x<script>alert('</p>')</script>y<style>p{}</style>z", "xyz"),
        ("<div>a<iframe><p>b</p></iframe>c</div>", "ac"),
        ("<head><title>t</title><body>b", "b"),
        ("<ul><li>a</li><li>b</li></ul>", "a\n\nb"),
        ("<td>a</td><td>b</td>", "a b"),
        ("a<!-- b -->c", "ac"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("<p>unclosed <b>and <i>nested", "unclosed and nested"),
        ("<img src=x onerror=alert(1)>picture", "picture"),
        ("<![CDATA[wrapped twice]]>", "wrapped twice"),
        ("&nbsp;a&nbsp;&nbsp;b", "a b"),
    ],
)
def test_a_reader_sees(html: str, text: str) -> None:
    assert to_text(html) == text


@given(st.text())
def test_any_text_gives_clean_text(html: str) -> None:
    text = to_text(html)
    assert text == tidy(text)
    text.encode()
    assert "\x00" not in text
    assert "\x1b" not in text


@given(st.text(alphabet="abc é\n\t", max_size=60))
def test_words_without_markup_are_kept(text: str) -> None:
    assert to_text(text).split() == text.split()
    assert one_line(text).split() == text.split()


def test_lone_surrogates_and_escape_codes_are_taken_out() -> None:
    assert one_line("a\ud800b\x1b[31mc\x9b") == "ab[31mc"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    [
        "<a ",
        "<a b='",
        "<",
        "</",
        "<!--",
        "<![",
        "<?",
        "<div>",
        "<script>",
        "&#",
        "&amp",
        "</a <",
    ],
)
def test_a_megabyte_of_anything_takes_no_time(piece: str) -> None:
    to_text(piece * (500_000 // len(piece)))


def test_a_quote_that_is_never_closed_costs_one_tag() -> None:
    assert to_text('<p>a<a href="x>b</a> <i class=y>c</i>') == "abc".replace(
        "bc", "b c"
    )


def test_a_tag_that_is_cut_off_at_the_end_is_no_text() -> None:
    assert to_text('<p>read <a href="https://e.org/') == "read"


WORDS = st.text(alphabet="abcé مر\n", max_size=8)
TAGS = st.sampled_from(
    ["<p>", "</p>", "<b class='x'>", "<br/>", '<a href="x>y">', "<td>", "<li x=1 y>"]
)


@given(st.lists(st.one_of(WORDS, TAGS)))
def test_no_markup_is_left(parts: list[str]) -> None:
    text = to_text("".join(parts))
    assert "<" not in text
    assert ">" not in text
    kept = "".join(part for part in parts if not part.startswith("<"))
    assert "".join(text.split()) == "".join(kept.split())
