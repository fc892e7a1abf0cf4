"""Transcripts from a real folder onto a real log."""

import errno
import os
import time

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from structlog.testing import capture_logs

from connectors.face import load_cursors
from connectors.radio import folder as folder_of_radio
from connectors.radio.connector import RadioConnector
from connectors.radio.folder import Taken
from streams.log.face import Log
from streams.settings import Radio, Settings, Station
from streams.topics import DEADLETTERS
from tests.integration.connecting import (
    embedded_log,
    published,
    records,
    running,
    until,
)


SENTENCES = [
    f"Sentence number {n} of the bulletin tells of a matter of its own."
    for n in range(40)
]


def srt(sentences: list[str]) -> str:
    return "\n".join(
        f"{n}\n00:{n // 60:02}:{n % 60:02},000 --> 00:{n // 60:02}:{n % 60:02},900\n{text}\n"
        for n, text in enumerate(sentences)
    )


def drop(folder: Path, name: str, text: str) -> None:
    """Put a file there as careful uploaders do: complete, then renamed."""
    folder.mkdir(exist_ok=True)
    hidden = folder / f".{name}"
    hidden.write_text(text, "utf-8")
    os.utime(hidden, (time.time() - 60,) * 2)
    hidden.rename(folder / name)


def watching(
    folder: Path, log: Log, *, settle_s: float = 0.2, words: int = 120
) -> RadioConnector:
    station = Station(
        id="kayes",
        name="Radio Kayes",
        folder=str(folder),
        timezone="Africa/Lagos",
        name_pattern="%Y-%m-%d_%H%M",
        media_url="https://radio.example/{name}.mp3",
        language="bm",
    )
    radio = Radio(
        settle_s=settle_s, interval_s=0.05, item_words=words, stations=(station,)
    )
    return RadioConnector(Settings(radio=radio), log)


def settled(connector: RadioConnector, published_: int, refused: int = 0) -> bool:
    status = connector.statuses()[0]
    return (status.published, status.refused) == (published_, refused)


async def test_a_transcript_becomes_items_that_tile_it(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log)
        async with running(connector):
            drop(folder, "2026-11-05_0700.srt", srt(SENTENCES))
            await until(lambda: settled(connector, 4))
        items = await published(log)
        assert " ".join(one.text for one in items) == " ".join(SENTENCES)
        assert all(one.text.endswith(".") for one in items)
        first = items[0]
        assert first.title == "Radio Kayes, 2026-11-05 07:00"
        assert first.published == datetime(2026, 11, 5, 6, tzinfo=UTC)
        assert (first.publisher, first.source.language) == ("kayes", "bm")
        assert first.recording is not None
        assert first.recording.recorded_from == "name"
        assert first.recording.media_url == "https://radio.example/2026-11-05_0700.mp3"
        assert not any(i.usable for i in first.identities if i.kind == "text")


async def test_no_file_is_taken_twice_also_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        drop(folder, "a.srt", srt(SENTENCES[:3]))
        connector = watching(folder, log)
        async with running(connector):
            await until(lambda: settled(connector, 1))
        known = (await load_cursors(log))["kayes/a.srt"].updated
        connector = watching(folder, log)
        async with running(connector):
            await until(lambda: connector.statuses()[0].last_good == known)
            os.utime(folder / "a.srt")
            drop(folder, "b.srt", srt(SENTENCES[5:8]))
            await until(lambda: settled(connector, 1))
        assert len(await published(log)) == 2
        assert set(await load_cursors(log)) == {"kayes/a.srt", "kayes/b.srt"}


async def test_a_file_that_still_grows_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    folder.mkdir()
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log, settle_s=0.5)
        async with running(connector):
            growing = folder / "live.srt"
            for end in range(1, 6):
                growing.write_text(srt(SENTENCES[:end]), "utf-8")
                # A complete file beside it shows that the folder was looked through.
                drop(folder, f"{end}.srt", srt(SENTENCES[10 + end : 11 + end]))
                await until(partial(settled, connector, end))
            await until(partial(settled, connector, 6))
        texts = [one.text for one in await published(log)]
        assert texts[-1] == " ".join(SENTENCES[:5])


async def test_a_corrected_file_is_a_revision_and_what_it_lost_is_withdrawn(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log)
        async with running(connector):
            drop(folder, "a.srt", srt(SENTENCES))
            await until(lambda: settled(connector, 4))
            drop(folder, "a.srt", srt(["Corrected.", *SENTENCES[1:28]]))
            await until(lambda: settled(connector, 8))
        items = await published(log)
        names = [one.identities[0].value for one in items]
        assert names[:4] == names[4:] == [f"kayes/a.srt#{n}" for n in range(1, 5)]
        assert [one.state for one in items[4:]] == ["present"] * 3 + ["withdrawn"]


async def test_another_programme_under_the_same_name_is_no_revision(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log)
        async with running(connector):
            drop(folder, "latest.srt", srt(["Le bulletin de sept heures commence."]))
            await until(lambda: settled(connector, 1))
            drop(
                folder, "latest.srt", srt(["Tout autre chose à midi, bonjour à tous."])
            )
            await until(lambda: settled(connector, 2))
        names = [one.identities[0].value for one in await published(log)]
        assert names == ["kayes/latest.srt#1", "kayes/latest.srt@2#1"]


async def test_what_is_no_transcript_is_a_dead_letter_once(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        drop(folder, "notes.txt", "no times in here")
        connector = watching(folder, log)
        async with running(connector):
            await until(lambda: settled(connector, 0, 1))
        connector = watching(folder, log)
        async with running(connector):
            drop(folder, "x.vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nA good one.")
            await until(lambda: settled(connector, 1))
        (letter,) = await records(log, DEADLETTERS.name)
        assert letter.header("ww_stage") == "connectors.radio"
        assert "no transcript" in letter.header("ww_reason")
        about = msgspec.json.decode(letter.value or b"")
        assert about["source"] == "kayes/notes.txt"
        assert about["size_bytes"] == 16


async def test_an_empty_file_is_refused_as_that_until_something_is_in_it(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log)
        async with running(connector):
            drop(folder, "2026-11-05_0700.srt", "\ufeff\n")
            await until(lambda: settled(connector, 0, 1))
            drop(folder, "2026-11-05_0700.srt", srt(SENTENCES[:1]))
            await until(lambda: settled(connector, 1, 1))
        (letter,) = await records(log, DEADLETTERS.name)
        assert letter.header("ww_kind") == "empty"


async def test_a_name_unlike_the_pattern_is_said_once(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log)
        with capture_logs() as lines:
            async with running(connector):
                drop(folder, "evening.srt", srt(SENTENCES[:2]))
                drop(folder, "2026-11-05_0700.srt", srt(SENTENCES[3:4]))
                await until(lambda: settled(connector, 2))
                drop(folder, "evening.srt", srt(SENTENCES[:3]))
                await until(lambda: settled(connector, 3))
        said = [one for one in lines if one["event"] == "radio.name_unlike_pattern"]
        assert [(one["log_level"], one["file"]) for one in said] == [
            ("warning", "evening.srt")
        ]
        assert said[0]["recorded_from"] == "mtime"


async def test_a_broken_cue_costs_that_cue_and_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log)
        with capture_logs() as lines:
            async with running(connector):
                text = "WEBVTT\n\n0:0 --> 1\nlost\n\n00:01.000 --> 00:02.000\nkept"
                drop(folder, "a.vtt", text)
                await until(lambda: settled(connector, 1))
        (item,) = await published(log)
        assert item.text == "kept"
        (fetched,) = [line for line in lines if line["event"] == "radio.fetched"]
        assert fetched["broken_cues"] == 1


async def test_a_folder_that_cannot_be_read_shows_and_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    folder.write_text("a file where the folder should be")
    async with embedded_log(tmp_path) as log:
        connector = watching(folder, log)
        async with running(connector):
            await until(lambda: connector.statuses()[0].state == "failing")
            assert str(folder) in connector.statuses()[0].last_error
            folder.unlink()
            drop(folder, "a.srt", srt(SENTENCES[:1]))
            await until(lambda: settled(connector, 1))
        assert connector.statuses()[0].last_error == ""


async def test_while_the_log_is_away_a_file_waits(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        log.away = True
        drop(folder, "a.srt", srt(SENTENCES[:1]))
        with capture_logs() as lines:
            async with running(watching(folder, log)):
                await until(
                    lambda: any(
                        line["event"] == "connector.waiting_for_log" for line in lines
                    )
                )
        log.away = False
        connector = watching(folder, log)
        async with running(connector):
            await until(lambda: settled(connector, 1))
        assert len(await published(log)) == 1


async def test_a_name_of_any_bytes_and_any_time_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        drop(folder, os.fsdecode(b"caf\xe9.srt"), srt(["Bonjour à tous."]))
        drop(folder, "9999-12-31_2359.srt", srt(["Good evening."]))
        connector = watching(folder, log)
        async with running(connector):
            await until(lambda: settled(connector, 2))
        names = {one.identities[0].value for one in await published(log)}
        assert names == {"kayes/caf\\xe9.srt#1", "kayes/9999-12-31_2359.srt#1"}
        connector = watching(folder, log)
        async with running(connector):
            drop(folder, "new.srt", srt(["Good morning."]))
            await until(lambda: settled(connector, 1))


async def test_a_file_that_may_not_be_read_is_said_once_and_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    def take(path: Path) -> Taken | None:
        # Whoever runs the tests may read everything: permissions would not do it.
        nonlocal tries
        if path.name == "closed.srt":
            tries += 1
            raise PermissionError(errno.EACCES, "Permission denied")
        return folder_of_radio.take(path)

    monkeypatch.setattr("connectors.radio.connector.take", take)
    folder = tmp_path / "radio"
    async with embedded_log(tmp_path) as log:
        drop(folder, "closed.srt", srt(["Bonjour."]))
        drop(folder, "open.srt", srt(["Bonsoir."]))
        connector = watching(folder, log)
        with capture_logs() as lines:
            async with running(connector):
                await until(lambda: tries > 3 and settled(connector, 1))
                assert connector.statuses()[0].last_error == (
                    "closed.srt: Permission denied"
                )
                (folder / "closed.srt").unlink()
                await until(lambda: not connector.statuses()[0].last_error)
        assert [one["event"] for one in lines].count("radio.failed") == 1
