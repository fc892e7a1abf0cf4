import os

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.identities import file_time
from connectors.radio.folder import Look, Settling, looks, take
from connectors.radio.items import Start, read, start_of
from connectors.radio.sketch import same_programme, sketch
from streams.records import RawItem, Source
from streams.settings import Station


NOW = datetime(2026, 11, 5, 12, tzinfo=UTC)
STATION = Station(
    id="kayes",
    name="Radio Kayes",
    folder="f",
    timezone="Africa/Lagos",
    name_pattern="journal-%Y%m%d-%Hh%M",
)


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("journal-20261105-07h00", Start(datetime(2026, 11, 5, 6, tzinfo=UTC), "name")),
        ("journal-20261405-07h00", Start(NOW, "mtime")),
        ("something else", Start(NOW, "mtime")),
        ("journal-99991231-23h59", Start(NOW, "mtime")),
    ],
)
def test_the_name_tells_when_it_was_recorded_else_the_file_does(
    stem: str, expected: Start
) -> None:
    assert start_of(STATION, stem, NOW) == expected


@pytest.mark.parametrize(
    ("stem", "local"),
    [
        ("2026-11-05_0700", "07:00"),
        ("2026-11-05 07-00", "07:00"),
        ("2026-11-05T07-00-30", "07:00:30"),
        ("2026-11-05-0700-part2", "07:00"),
        ("kayes-2026-11-05_0700-journal", "07:00"),
        ("2026-11-05T0700Z", "08:00"),
        ("2026-11-05_0700Zamfara", "07:00"),
        ("2026-11-05", None),
        ("2026-11-05_7", None),
        ("2026-11-05_070", None),
        ("2026-11-05_07000", None),
        ("2026-11-05_2500", None),
        ("2026-13-05_0700", None),
        ("12026-11-05_0700", None),
        ("2026-11-05T0700+0100", None),
        ("2026-11-05_0700-2026-11-05_0800", None),
        ("9999-11-05_0700", None),
    ],
)
def test_without_a_pattern_one_date_and_time_in_the_name_is_understood(
    stem: str, local: str | None
) -> None:
    station = Station(id="s", folder="f", timezone="Africa/Lagos")
    expected = Start(NOW, "mtime")
    if local is not None:
        moment = datetime.fromisoformat(f"2026-11-05T{local}+01:00")
        expected = Start(moment.astimezone(UTC), "name")
    assert start_of(station, stem, NOW) == expected


def test_with_a_pattern_the_pattern_alone_counts() -> None:
    assert start_of(STATION, "2026-11-05_0700", NOW) == Start(NOW, "mtime")


def test_a_pattern_without_a_date_tells_nothing() -> None:
    station = Station(id="s", folder="f", name_pattern="%H%M")
    assert start_of(station, "0700", None) == Start(None, "unknown")


@pytest.mark.parametrize("year", [1, 1900, 9999])
def test_a_file_of_an_impossible_time_tells_nothing(year: int) -> None:
    written = datetime(year, 12, 31, tzinfo=UTC)
    assert start_of(STATION, "something else", written) == Start(None, "unknown")


def test_a_time_that_no_calendar_has_is_none() -> None:
    assert file_time(2**62) is not None
    assert file_time(2**62 * 1000) is None


def test_only_a_time_that_is_known_is_a_date_of_publication() -> None:
    data = b"WEBVTT\n\n00:00.000 --> 00:01.000\n" + b"word " * 30
    for start, published, title in (
        (Start(NOW, "name"), NOW, "Radio Kayes, 2026-11-05 13:00"),
        (
            Start(NOW, "mtime"),
            None,
            "word word word word word word word word word word…",
        ),
        (Start(None, "unknown"), None, "word " * 9 + "word…"),
    ):
        (item,), _ = read(
            data, name="a.vtt", station=STATION, start=start, fetched=NOW, words=50
        )
        assert (item.published, item.title) == (published, title)
        assert item.recording is not None
        assert item.recording.recorded_from == start.source


def test_a_file_is_complete_when_it_has_stood_still() -> None:
    settling = Settling(2.0)

    def complete(size: int, at_s: float, mtime_s: float = 1000.0) -> list[str]:
        found = {"a": Look(size, int(mtime_s * 1e9))}
        return list(settling.settled(found, now_s=at_s, wall_s=1000.0 + at_s))

    assert complete(1, 0.0) == []
    assert complete(1, 1.9, mtime_s=1001.0) == []
    assert complete(2, 3.0, mtime_s=1003.0) == []
    assert complete(2, 5.0, mtime_s=1003.0) == ["a"]


def test_a_file_renamed_in_is_complete_at_once() -> None:
    found = {"a": Look(1, 0)}
    assert list(Settling(2.0).settled(found, now_s=0, wall_s=1000)) == ["a"]


def test_a_file_from_the_future_is_complete_when_it_has_stood_still() -> None:
    settling = Settling(2.0)
    found = {"a": Look(1, int(2000e9))}
    assert list(settling.settled(found, now_s=0, wall_s=1000)) == []
    assert list(settling.settled(found, now_s=2, wall_s=1002)) == ["a"]


def test_hidden_and_unfinished_files_are_not_seen(tmp_path: Path) -> None:
    (tmp_path / "day").mkdir()
    for name in ("a.srt", ".b.srt", "c.srt.part", "day/d.vtt"):
        (tmp_path / name).write_text("x")
    assert list(looks(tmp_path)) == ["a.srt", "day/d.vtt"]
    taken = take(tmp_path / "a.srt")
    assert taken is not None
    assert taken.data == b"x"


def test_only_files_of_the_folder_itself_are_taken(tmp_path: Path) -> None:
    watched, outside = tmp_path / "watched", tmp_path / "secret.srt"
    watched.mkdir()
    outside.write_text("x")
    (watched / "link.srt").symlink_to(outside)
    (watched / "folder").symlink_to(tmp_path)
    os.mkfifo(watched / "pipe.srt")
    assert looks(watched) == {}
    # They may take a file's place after it was looked at: nothing is read or awaited.
    for name in ("link.srt", "pipe.srt"):
        with pytest.raises(OSError, match=r"it is no file|symbolic links"):
            take(watched / name)


def spoken(text: str) -> list[RawItem]:
    source = Source(connector="radio", id="s")
    return [
        RawItem(identities=(), publisher="s", source=source, text=text, fetched=NOW)
    ]


@given(st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=6), max_size=60))
def test_a_text_is_the_same_programme_as_itself(words: list[str]) -> None:
    drawn = sketch(spoken(" ".join(words)))
    assert same_programme(drawn, drawn)


def test_a_correction_is_told_from_another_programme() -> None:
    words = [f"word{n}" for n in range(400)]
    one = sketch(spoken(" ".join(words)))
    words[100:120] = ["corrected"] * 15
    assert same_programme(one, sketch(spoken(" ".join(words))))
    other = sketch(spoken(" ".join(f"term{n}" for n in range(400))))
    assert not same_programme(one, other)
