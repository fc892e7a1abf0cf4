"""What a source wrote never moves the cursor, colours the terminal or runs."""

from __future__ import annotations

import io
import json
import unicodedata

import pytest

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from console import escape


BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
#: Any code point, lone surrogates too, and often the ones that are dangerous.
HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x9b\x07\x08\r\n[]<>m\\;:/" + BIDI + "\ud800\udfff\u2028"),
    )
)


def printed(text: Text, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    Console(file=stream, force_terminal=terminal, width=500, highlight=False).print(
        text, soft_wrap=True
    )
    return stream.getvalue().removesuffix("\n")


@given(HOSTILE)
def test_a_line_holds_no_control_no_bidi_control_and_no_surrogate(text: str) -> None:
    safe = escape.line(text)

    assert not [c for c in safe if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not set(safe) & set(BIDI)


@given(HOSTILE)
def test_a_block_adds_only_line_feeds_to_that(text: str) -> None:
    assert all(part == escape.line(part) for part in escape.block(text).split("\n"))


@given(HOSTILE)
def test_escaping_twice_is_escaping_once(text: str) -> None:
    assert escape.line(escape.line(text)) == escape.line(text)
    assert escape.block(escape.block(text)) == escape.block(text)


@pytest.mark.parametrize(
    "text",
    [
        "Attaque près de Kayes : 15 morts",
        "مقتل خمسة عشر سائقاً قرب كايس",
        "Ƙungiyar direbobi ta ɗauki mataki a Ɓauci",
        "三名司机获救",
        "می‌خواهم",
        "👩‍🚒 [bold]not markup[/bold] :smile:",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert escape.line(text) == text
    assert printed(escape.shown(text)) == text


def test_an_escape_sequence_becomes_a_visible_sign() -> None:
    assert escape.line("\x1b[31mred\x9b2J") == "␛[31mred\ufffd2J"


@given(HOSTILE)
def test_rich_prints_a_shown_text_without_a_single_escape(text: str) -> None:
    assert "\x1b" not in printed(escape.shown(text), terminal=True)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("javascript:alert(1)", "javascript"),
        ("JaVaScRiPt:alert(1)", "javascript"),
        ("java\x00script:alert(1)", "no scheme"),
        ("data:text/html,x", "data"),
        ("file:///etc/passwd", "file"),
        ("//example.org/x", "no scheme"),
        ("https:", "https"),
    ],
)
def test_a_link_that_is_not_of_the_web_is_withheld(url: str, kind: str) -> None:
    assert escape.link(url).plain == f"[link withheld: {kind}]"


def test_a_link_of_the_web_can_be_clicked() -> None:
    assert "\x1b]8;" in printed(escape.link("https://example.org/a"), terminal=True)


@given(HOSTILE)
def test_a_link_cannot_end_its_own_escape_sequence(tail: str) -> None:
    seen = printed(escape.link(f"https://example.org/{tail}"), terminal=True)

    assert seen.count("\x1b") in (0, 2 * 2) or "withheld" in seen
    assert "\x07" not in seen


@given(
    st.recursive(
        HOSTILE, lambda inner: st.lists(inner) | st.dictionaries(HOSTILE, inner)
    )
)
def test_json_says_the_same_and_holds_nothing_a_terminal_obeys(value: object) -> None:
    line = escape.dumps(value)

    # Two surrogates that meet are one character to every reader of JSON.
    assert json.loads(line) == json.loads(json.dumps(value))
    assert line == escape.line(line)


def test_json_keeps_every_script_readable() -> None:
    assert escape.dumps({"t": "كايس"}) == '{"t": "كايس"}'
