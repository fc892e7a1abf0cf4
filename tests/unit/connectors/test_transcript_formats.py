import pytest

from hypothesis import example, given
from hypothesis import strategies as st

from connectors.radio import detect
from connectors.radio.formats import srt, webvtt
from connectors.radio.formats.cues import decode
from streams.errors import SourceError
from streams.records import Segment


VTT = """WEBVTT - Bulletin de sept heures
Kind: captions

STYLE
::cue { color: white }

REGION
id:bottom

NOTE one
of two lines

intro
00:01.000 --> 00:04.500 align:start line:0
<v Awa Traoré>Bonjour &amp; bienvenue.</v>
<v.loud Moussa>Merci, <i>Awa</i>.

1:02:03.000 --> 01:02:04.000
A digit too few in the hours.

01:02:03.250 --> 01:02:04.000
<00:00:01.000><c.yellow>Quinze</c> chauffeurs &lt;tués&gt;, 5 < 6
et la suite
00:05.000 --> 00:06.000
No empty line before this one.
"""

SRT = """1
00:00:01,000 --> 00:00:04,500
<i>Bonjour</i> &amp; bienvenue.
{\\an8}Merci.

2
00:00:05.2 --> 00:00:07 X1:0 X2:9
Deux lignes

après un vide
3
00:00:08,000 --> broken
lost

4
00:01:08,000 --> 00:01:07,000
Ends before it begins.

5
00:01:10,000 --> 00:01:11,000

6
01:10 --> 01:11
No hours.
"""


def test_webvtt_by_the_specification() -> None:
    cues = webvtt.parse(VTT)
    assert cues.broken == 1
    assert cues.segments == (
        Segment(
            start_s=1, end_s=4.5, text="Bonjour & bienvenue.", speaker="Awa Traoré"
        ),
        Segment(start_s=1, end_s=4.5, text="Merci, Awa.", speaker="Moussa"),
        Segment(
            start_s=3723.25,
            end_s=3724,
            text="Quinze chauffeurs <tués>, 5 < 6 et la suite",
        ),
        Segment(start_s=5, end_s=6, text="No empty line before this one."),
    )


def test_srt_as_players_read_it() -> None:
    cues = srt.parse(SRT)
    assert cues.broken == 1
    assert cues.segments == (
        Segment(start_s=1, end_s=4.5, text="Bonjour & bienvenue. Merci."),
        Segment(start_s=5.2, end_s=7, text="Deux lignes après un vide"),
        Segment(start_s=68, end_s=68, text="Ends before it begins."),
        Segment(start_s=70, end_s=71, text="No hours."),
    )


@pytest.mark.parametrize(
    "times",
    [
        "00:00:99,000 --> 00:0",
        "00:00:99,000 --> 00:01:40,000",
        "00:61:00,000 --> 00:62:00,000",
        "00:00:09,000 --> 00:0",
        "00:00:09,000 -",
        "00:00:09,000 -> 00:00:10,000",
        "00:00:0",
    ],
)
def test_malformed_times_cost_the_cue_and_are_never_said(times: str) -> None:
    whole = "1\n00:00:01,000 --> 00:00:02,000\nkept\n\n2\n"
    assert srt.parse(f"{whole}{times}") == srt.parse(f"{whole}{times}\nlost\n\n")
    cues = srt.parse(f"{whole}{times}\nlost\n\n3\n00:00:11,000 --> 00:00:12,000\nalso")
    assert [one.text for one in cues.segments] == ["kept", "also"]
    assert cues.broken == 1


def test_the_number_of_a_cue_that_was_cut_off_is_not_said() -> None:
    for end in ("\n\n2", "\n\n2\n\n"):
        cues = srt.parse(f"1\n00:00:01,000 --> 00:00:02,000\nkept{end}")
        assert [one.text for one in cues.segments] == ["kept"]
        assert cues.broken == 1
    ((said,), broken) = srt.parse(
        "1\n00:00:01,000 --> 00:00:02,000\nthe answer is\n42\n"
    )
    assert (said.text, broken) == ("the answer is 42", 0)


@pytest.mark.parametrize(
    ("parse", "text"), [(webvtt.parse, VTT), (srt.parse, SRT)], ids=["webvtt", "srt"]
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_breaks_and_marks_make_no_difference(
    parse: object, text: str, line_break: str, mark: str
) -> None:
    assert callable(parse)
    assert parse(mark + text.replace("\n", line_break)) == parse(text)


WORDS = st.lists(
    st.text(
        st.characters(categories=["Lu", "Ll", "Lo"], include_characters="',.?!"),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=8,
).map(" ".join)
SEGMENTS = st.lists(
    st.tuples(st.integers(0, 359_999_999), st.integers(0, 100_000), WORDS), max_size=6
)


def stamp(milliseconds: int, mark: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{fraction:03}"


@given(SEGMENTS)
def test_what_is_written_is_read(segments: list[tuple[int, int, str]]) -> None:
    expected = [
        (start / 1000, (start + length) / 1000, said)
        for start, length, said in segments
    ]
    for parse, head, mark in ((webvtt.parse, "WEBVTT\n\n", "."), (srt.parse, "", ",")):
        text = head + "".join(
            f"{n}\n{stamp(start, mark)} --> {stamp(start + length, mark)}\n{said}\n\n"
            for n, (start, length, said) in enumerate(segments, 1)
        )
        cues = parse(text)
        assert cues.broken == 0
        read = [(one.start_s, one.end_s, one.text) for one in cues.segments]
        assert [said for _, _, said in read] == [said for _, _, said in expected]
        for (start, end, _), (start_x, end_x, _) in zip(read, expected, strict=True):
            assert start == pytest.approx(start_x)
            assert end == pytest.approx(end_x)


@given(
    st.text(
        st.sampled_from("WEBVTT \n\r:.,->0123456789<v>/&;{}\\NOTESTYLEé\0\ufeff"),
        max_size=200,
    )
)
@example("WEBVTT\n\n-->\n-->")
@example("WEBVTT\n00:00.000 --> 00:00.000")
def test_any_text_is_read_without_a_crash(text: str) -> None:
    for parse in (webvtt.parse, srt.parse):
        for segment in parse(text).segments:
            assert 0 <= segment.start_s <= segment.end_s
            assert segment.text == " ".join(segment.text.split()) != ""


def test_words_after_a_tag_that_is_never_closed_are_kept() -> None:
    for text in (
        "WEBVTT\n\n00:00.000 --> 00:01.000\n<b>a</b> <i and b",
        "1\n00:00:00,000 --> 00:00:01,000\n<b>a</b> <i and b",
    ):
        ((segment,), _) = detect.read(text.encode())
        assert segment.text == "a <i and b"


def test_a_long_line_of_blanks_costs_no_time() -> None:
    detect.recognise(b" \n" * 100_000)
    srt.parse(" " * 1_000_000 + "-->" + " " * 1_000_000)
    srt.parse("\n1\n0:0" + " " * 1_000_000 + "x" + "\n\n1\n" * 100_000)
    detect.resembles(b" " * 1_000_000 + b"1" * 1_000_000, "")
    webvtt.parse("WEBVTT\n\n" + " " * 1_000_000 + "-->" + "<" * 100_000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_older_encodings_are_read(encoding: str) -> None:
    assert decode("é\nà".encode(encoding)) == "é\nà"


def test_a_format_is_recognised_by_its_content() -> None:
    for data, name in ((VTT.encode(), "webvtt"), (SRT.encode("utf-16"), "srt")):
        known = detect.recognise(data)
        assert known is not None
        assert known.name == name
    for data in (b"", b"WEBVTTX", b"text --> text", b"<rss/>", b"\x00\xff"):
        assert detect.recognise(data) is None


def test_what_is_no_transcript_says_so_and_silence_is_one() -> None:
    assert detect.read(b"WEBVTT\n") == ((), 0)
    with pytest.raises(SourceError, match="no transcript that is known"):
        detect.read(b"notes from the meeting")
    for data in (
        b"WEBVTT\n\n0:0 --> 0:1\nlost",
        b"1\n\n00:00:01;0 --> 00:00:02;0\nlost",
        b"WEBVTT\n00:01.000 --> 00:02.000\n0:0 --> 0:1\nthe one before is silent",
    ):
        with pytest.raises(SourceError, match=r"is a transcript.* in line 3: '0"):
            detect.read(data)
    with pytest.raises(SourceError, match="called a transcript, but there is no cue"):
        detect.read(b"notes from the meeting", "notes.srt")
    assert not detect.resembles(b"<!-- a comment of 2026 -->", "page.html")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("hostile", ["<v ", "<c.a", "<c" + " " * 99, "<00:", "</v <"])
def test_tags_that_are_never_closed_cost_no_time(hostile: str) -> None:
    webvtt.parse("WEBVTT\n\n00:00.000 --> 00:01.000\n" + hostile * 100_000)


@pytest.mark.parametrize("hours", ["10000", "9" * 400, "9" * 5000])
def test_hours_that_no_recording_has_cost_the_cue(hours: str) -> None:
    timed = f"WEBVTT\n\n{hours}:00:00.000 --> 00:00:01.000\nlost\n"
    assert webvtt.parse(timed) == ((), 1)
