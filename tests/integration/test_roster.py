"""The list of feeds, followed on a real log and a real file."""

from __future__ import annotations

import asyncio
import os

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from structlog.testing import capture_logs

from connectors.rss import roster
from connectors.rss.roster import Rolled, Roster
from streams import clock, settings
from streams.errors import SettingsError
from streams.events import watched_feed
from streams.log.face import Log, Output
from streams.log.opening import open_log
from streams.records import WatchedFeed
from streams.settings import Feed
from streams.topics import DECLARED, FEEDS


PATIENCE_S = 20.0
A = '[[rss.feeds]]\nurl = "https://a.example/feed"\n'
B = '[[rss.feeds]]\nurl = "https://b.example/feed"\nid = "b"\n'


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "LOOK_S", 0.05)


class Desk:
    """A configuration file, a log, and a roster over both."""

    def __init__(self, file: Path, log: Log, roster: Roster) -> None:
        self.file, self.log, self.roster = file, log, roster
        self.stop = asyncio.Event()

    async def says(self, **values: object) -> None:
        """Append a record of the topic."""
        record = WatchedFeed(**{"added": clock.now()} | values)  # type: ignore[arg-type]
        await self.log.append([watched_feed(record)])

    async def changed(self) -> dict[str, Rolled]:
        """Return the next list."""
        async with asyncio.timeout(PATIENCE_S):
            rolled = await self.roster.changed(self.stop)
        assert rolled is not None
        return rolled


@asynccontextmanager
async def desk(folder: Path, content: str = A) -> AsyncIterator[Desk]:
    file = folder / "wirewatch.toml"
    file.write_text(content)
    read = settings.load(file, environ={})
    async with open_log(read) as log:
        await log.create(DECLARED)
        yield Desk(file, log, Roster(read, log, file=file))


async def test_feeds_of_file_and_topic_are_one_list(tmp_path: Path) -> None:
    async with desk(tmp_path, A + B) as at:
        await at.says(id="c", url="https://c.example/", tags=("x",), interval_s=60)
        await at.says(id="b", url="https://elsewhere.example/", paused=True)
        await at.says(id="nobody", paused=True)
        rolled = await at.roster.load()
        assert set(rolled) == {"a.example/feed", "b", "c"}
        assert rolled["c"].feed == Feed(
            id="c", url="https://c.example/", tags=("x",), interval_s=60
        )
        # The configured one counts, paused as it was said.
        assert rolled["b"].feed.url == "https://b.example/feed"
        assert (rolled["b"].origin, rolled["b"].paused) == ("file", True)


async def test_what_is_added_paused_and_removed_is_taken_up(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.roster.load()
        await at.says(id="c", url="https://c.example/")
        assert "c" in await at.changed()
        await at.says(id="c", url="https://c.example/", paused=True)
        assert (await at.changed())["c"].paused
        await at.log.append([Output(FEEDS.name, b"c", None)])
        assert set(await at.changed()) == {"a.example/feed"}


async def test_changes_of_the_configuration_need_no_restart(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.roster.load()
        at.file.write_text(A + B)
        assert set(await at.changed()) == {"a.example/feed", "b"}
        # As careful editors write: beside it, then renamed over it.
        other = tmp_path / "new"
        other.write_text(B)
        os.utime(other, ns=(at.file.stat().st_mtime_ns,) * 2)
        other.replace(at.file)
        assert set(await at.changed()) == {"b"}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("", "is empty"),
        (A + "[[rss.feeds", "cannot be read"),
        (A + A, "two feeds are called"),
        (A + "[rss]\nintervals = 3\n", "intervals"),
    ],
)
async def test_a_wrong_file_is_told_of_once_and_the_old_list_stays(
    tmp_path: Path, wrong: str, why: str
) -> None:
    async with desk(tmp_path) as at:
        before = await at.roster.load()
        with capture_logs() as told:
            following = asyncio.create_task(at.changed())
            at.file.write_text(wrong)
            while not told:  # noqa: ASYNC110 - a log line is no event
                await asyncio.sleep(0.05)
            await at.says(id="c", url="https://c.example/")
            assert set(await following) == {*before, "c"}
        (line,) = [one for one in told if one["log_level"] == "warning"]
        assert why in line["error"]


async def test_a_file_that_was_mended_is_told(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.roster.load()
        with capture_logs() as told:
            following = asyncio.create_task(at.changed())
            at.file.write_text("[rss\n")
            while not told:  # noqa: ASYNC110 - a log line is no event
                await asyncio.sleep(0.05)
            at.file.write_text(A + B)
            await following
        names = [one["event"].partition(":")[0] for one in told]
        assert names == ["roster.file_unusable", "roster.file_usable"]


async def test_other_settings_that_changed_take_a_restart_which_is_said_once(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        await at.roster.load()
        with capture_logs() as told:
            for feeds in (A + B, A, A + B):
                at.file.write_text("[http]\ntimeout_s = 5\n" + feeds)
                await at.changed()
        (line,) = told
        assert line["event"].startswith("roster.restart_needed")
        assert line["settings"] == "http.timeout_s"

        with capture_logs() as told:
            at.file.write_text(A)
            await at.changed()
        (line,) = told
        assert line["event"].startswith("roster.restart_needless")


async def test_records_that_are_none_are_passed_over(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.log.append([Output(FEEDS.name, b"x", b"{}")])
        await at.says(id="secret", url="https://user:pw@c.example/")
        await at.says(id="odd", url="file:///etc/passwd")
        with capture_logs() as told:
            assert set(await at.roster.load()) == {"a.example/feed"}
        assert len(told) == 3
        assert "pw" not in str(told)


async def test_two_feeds_of_one_id_are_refused(tmp_path: Path) -> None:
    tokens = "".join(
        f'[[rss.feeds]]\nurl = "https://a.example/feed?token={n}"\n' for n in (1, 2)
    )
    async with desk(tmp_path, tokens) as at:
        with pytest.raises(SettingsError, match="have the id of another"):
            await at.roster.load()


async def test_feeds_of_one_address_are_reported_once(tmp_path: Path) -> None:
    async with desk(tmp_path, A) as at:
        await at.says(id="twin", url="http://www.a.example/feed/?utm_source=x")
        with capture_logs() as told:
            await at.roster.load()
            await at.says(id="c", url="https://c.example/")
            await at.changed()
        (line,) = told
        assert line["such_as"] == "a.example/feed and twin"


async def test_following_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.roster.load()
        following = asyncio.create_task(at.roster.changed(at.stop))
        at.stop.set()
        with suppress(TimeoutError):
            assert await asyncio.wait_for(following, PATIENCE_S) is None
