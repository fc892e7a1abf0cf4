"""What is the article on a page, and what only looks like one."""

import itertools

from collections.abc import Callable

import pytest

from hypothesis import given
from hypothesis import strategies as st
from resiliparse.extract.html2text import extract_plain_text

from connectors.rss.article import article, decoded, judged
from tests.unit.connectors.newspages import (
    CONSENT,
    FLOOD,
    MARKET,
    MOPTI,
    NAV,
    RELATED,
    SHAPES,
    STORIES,
    Story,
    body_of,
    interleaved,
    paywall,
    wordpress,
)


def found(
    html: str, story: Story, *, charset: str = "", encoding: str = "utf-8"
) -> str:
    return article(html.encode(encoding), charset, story.title, story.summary).text


def verdict(html: str, story: Story, said: str | None = None) -> str:
    said = story.summary if said is None else said
    return article(html.encode(), "", story.title, said).verdict


@pytest.mark.parametrize(("shape", "story"), list(itertools.product(SHAPES, STORIES)))
def test_the_whole_article_is_found_and_little_else(
    shape: Callable[[Story], str], story: Story
) -> None:
    text = found(shape(story), story)
    assert all(paragraph in text for paragraph in story.paragraphs)
    assert len(text) < 1.07 * len("\n\n".join(story.paragraphs))
    assert "843 partners" not in text
    assert "Commentaire" not in text
    assert "prix du sucre flambe" not in text


def test_where_resiliparse_finds_too_little_trafilatura_is_asked() -> None:
    page = f"<h1>{MOPTI.title}</h1><div class='sidebar'>{body_of(MOPTI)}</div>"
    quick = extract_plain_text(page, main_content=True)
    assert MOPTI.paragraphs[0] not in quick
    text = found(page, MOPTI)
    assert all(paragraph in text for paragraph in MOPTI.paragraphs)


def test_the_title_is_not_repeated_in_the_text() -> None:
    assert found(wordpress(MOPTI), MOPTI).startswith("Douze civils")


def test_what_is_found_is_plain_text() -> None:
    story = MOPTI._replace(
        paragraphs=(
            *MOPTI.paragraphs,
            "a\u0000b &lt;b&gt;gras&lt;/b&gt; <script>x</script>",
        )
    )
    text = found(wordpress(story), story)
    assert "\u0000" not in text
    assert "gras" in text
    assert "<b>" not in text
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("encoding", "charset", "declared"),
    [
        ("windows-1252", "ISO-8859-1", "utf-8"),
        ("windows-1252", "", "iso-8859-1"),
        ("utf-8", "iso-8859-1", "iso-8859-1"),
        ("utf-16", "", "utf-8"),
    ],
    ids=["the header's", "the page's own", "UTF-8 whatever is declared", "UTF-16"],
)
def test_the_charset_is_found(encoding: str, charset: str, declared: str) -> None:
    html = wordpress(MOPTI).replace('charset="utf-8"', f'charset="{declared}"')
    text = found(html, MOPTI, charset=charset, encoding=encoding)
    assert MOPTI.paragraphs[0] in text


def test_a_charset_in_arabic_is_found() -> None:
    html = interleaved(MARKET).replace("charset=utf-8", "charset=windows-1256")
    assert MARKET.paragraphs[0] in found(
        html.replace("É", "E").replace("©", ""), MARKET, encoding="windows-1256"
    )


def test_a_consent_wall_is_not_the_article() -> None:
    assert verdict(CONSENT, MOPTI) in {"wall", "nothing"}
    assert judged("Before you continue: we use cookies.", "", "") == "wall"


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.lang)
def test_a_paywall_s_teaser_is_not_the_article(story: Story) -> None:
    assert verdict(paywall(story), story) == "wall"


def test_another_article_than_the_entry_s_is_not_taken() -> None:
    other = MOPTI._replace(
        title="Le prix du sucre flambe encore au marché de Kati",
        paragraphs=(
            (
                "Depuis une semaine, le kilogramme de sucre se vend sept cents francs au marché "
                "de Kati, contre six cents auparavant, selon des détaillants."
            ),
            (
                "Les commerçants mettent en cause la hausse du coût du transport depuis le port "
                "de Dakar. Le ministère du commerce annonce des contrôles dans les boutiques."
            ),
        ),
    )
    assert verdict(wordpress(other), MOPTI) == "unrelated"


def test_a_page_with_the_entry_s_title_is_its_page_whatever_words_the_feed_used() -> (
    None
):
    said = "Drame sur la RN15 : nos correspondants font le point, minute par minute."
    assert verdict(wordpress(MOPTI), MOPTI, said) == "article"
    renamed = wordpress(MOPTI._replace(title="Mali"))
    assert (
        verdict(renamed, MOPTI._replace(title="Carnage au Mali"), said) == "unrelated"
    )


def test_an_entry_without_words_takes_what_is_on_its_page() -> None:
    text = "\n".join(FLOOD.paragraphs)
    assert judged(text, "", "", headline=FLOOD.title) == "article"
    assert judged(text, "", MOPTI.summary, headline=FLOOD.title) == "unrelated"


def test_what_is_no_longer_than_the_feed_s_text_is_not_taken() -> None:
    assert verdict(wordpress(FLOOD), FLOOD, " ".join(FLOOD.paragraphs)) == "no_longer"


def test_a_page_with_the_title_only_gives_nothing() -> None:
    html = (
        f"<html><head><title>x</title></head><body><h1>{MOPTI.title}</h1></body></html>"
    )
    assert verdict(html, MOPTI) in {"nothing", "no_longer"}


def test_a_front_page_is_no_article() -> None:
    teasers = "".join(f"<li><a href='/x'>{s.title}</a></li>" for s in (MOPTI,) * 30)
    html = f"<html><body><ul>{NAV}</ul><div><ul>{RELATED}{teasers}</ul></div></body></html>"
    assert verdict(html, MOPTI) != "article"


def test_a_page_of_endless_depth_is_left() -> None:
    assert verdict("<div><p>" * 20_000, MOPTI) == "too_long"


def test_a_script_without_spaces_is_compared_by_letters() -> None:
    title = "マリ中部で襲撃、市民12人が死亡"
    text = "マリ中部のモプティ近郊で火曜日、武装集団が商人の車列を襲撃し、市民12人が死亡した。"
    assert judged(text * 3, title, "") == "article"
    assert (
        judged("砂糖の価格がまた上がったと小売業者が話している。" * 5, title, "")
        == "unrelated"
    )


@given(st.binary(max_size=400), st.text(max_size=20))
def test_any_bytes_are_text_in_some_charset(body: bytes, charset: str) -> None:
    assert isinstance(decoded(body, charset), str)


@given(
    st.lists(
        st.sampled_from(["<p>", "</div>", "<table>", "<td>", "x ", "<!--", "&#0;"])
    ),
)
def test_broken_markup_is_judged_like_any_other(parts: list[str]) -> None:
    assert article("".join(parts).encode(), "", "title", "said").verdict != "article"
