import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.radio.cut import LONGEST, SHORTEST, cut
from streams.records import Segment


SEGMENTS = st.lists(
    st.builds(
        lambda words, length, speaker: (" ".join(words), length, speaker),
        st.lists(
            st.sampled_from(["one", "two.", "Three", "four!", "M.", "خمسة؟"]),
            max_size=40,
        ),
        st.floats(0, 30),
        st.sampled_from(["", "Awa"]),
    ),
    max_size=20,
).map(
    lambda parts: [
        Segment(start_s=at * 40.0, end_s=at * 40 + length, text=text, speaker=speaker)
        for at, (text, length, speaker) in enumerate(parts)
    ]
)


@given(SEGMENTS, st.integers(1, 60))
def test_the_pieces_have_every_word_once_and_in_order(
    segments: list[Segment], words: int
) -> None:
    pieces = cut(segments, words)
    spoken = [word for segment in segments for word in segment.text.split()]
    assert [word for piece in pieces for word in piece.text.split()] == spoken
    within = [
        word
        for piece in pieces
        for segment in piece.segments
        for word in segment.text.split()
    ]
    assert within == spoken


@given(SEGMENTS, st.integers(4, 60))
def test_pieces_are_of_a_fair_size(segments: list[Segment], words: int) -> None:
    sizes = [len(piece.text.split()) for piece in cut(segments, words)]
    assert all(size <= round(LONGEST * words) for size in sizes)
    if len(sizes) > 1:
        assert all(size >= int(SHORTEST * words) for size in sizes)


@given(SEGMENTS, st.integers(1, 60))
def test_a_segment_that_is_cut_keeps_its_time_and_speaker(
    segments: list[Segment], words: int
) -> None:
    parts = [part for piece in cut(segments, words) for part in piece.segments]
    assert all(part.start_s <= part.end_s for part in parts)
    starts = [part.start_s for part in parts]
    assert starts == sorted(starts)
    spans = [(s.start_s, s.end_s, s.speaker) for s in segments]
    for part in parts:
        assert any(
            start - 0.001 <= part.start_s
            and part.end_s <= end + 0.001
            and part.speaker == speaker
            for start, end, speaker in spans
        )


def said(*texts: str, gap_s: float = 0.0) -> list[Segment]:
    return [
        Segment(start_s=at * (10 + gap_s), end_s=at * (10 + gap_s) + 10, text=text)
        for at, text in enumerate(texts)
    ]


def test_it_cuts_at_the_end_of_a_sentence() -> None:
    segments = said("a b c d e f golf. H i j k l m n o p q romeo.", "S t uniform.")
    assert [piece.text for piece in cut(segments, 10)] == [
        "a b c d e f golf.",
        "H i j k l m n o p q romeo. S t uniform.",
    ]


def test_a_pause_after_a_sentence_is_the_best_place() -> None:
    segments = [
        Segment(start_s=0, end_s=5, text="a b c d e f g hotel."),
        Segment(start_s=5, end_s=9, text="I j kilo."),
        Segment(start_s=20, end_s=30, text="L m n o p q r s t u v."),
    ]
    assert cut(segments, 8)[0].text == "a b c d e f g hotel. I j kilo."


def test_a_title_or_initials_end_no_sentence() -> None:
    segments = said(
        "Le gén. a b c d e M. Keita f g hotel. Il i j k l m n o p q r s t u v w"
    )
    assert cut(segments, 10)[0].text.endswith("g hotel.")


def test_a_cut_segment_is_divided_in_proportion() -> None:
    segments = [Segment(start_s=100, end_s=110, text="a b c d echo. F g h i juliet.")]
    first, second = cut(segments, 5)
    assert (first.segments[0].start_s, first.segments[0].end_s) == (100, 105)
    assert (second.segments[0].start_s, second.segments[0].end_s) == (105, 110)


@pytest.mark.timeout(20)
def test_one_endless_segment_costs_no_more_than_many() -> None:
    pieces = cut([Segment(start_s=0, end_s=9, text="word " * 100_000)], 250)
    assert sum(len(piece.text.split()) for piece in pieces) == 100_000
