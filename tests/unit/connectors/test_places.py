"""On the embedded log the sources of a kind are read by one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.places import is_taken, taken
from streams.errors import AlreadyRunningError
from streams.settings import Rss, Settings


def settings(folder: Path, shard: str = "", mode: str = "embedded") -> Settings:
    return Settings(data=str(folder), mode=mode, rss=Rss(shard=shard))  # type: ignore[arg-type]  # one of two


async def test_who_reads_the_feeds_does_so_alone_and_makes_room(tmp_path: Path) -> None:
    one = settings(tmp_path)
    async with taken(one, "rss", "radio"):
        with pytest.raises(AlreadyRunningError, match="reads the feeds"):
            await taken(one, "rss").__aenter__()
        with pytest.raises(AlreadyRunningError, match="reads the stations"):
            await taken(one, "radio").__aenter__()
    async with taken(one, "rss"), taken(one, "radio"):
        pass


async def test_of_several_places_all_are_free_again_if_one_is_not(
    tmp_path: Path,
) -> None:
    one = settings(tmp_path)
    async with taken(one, "radio"):
        with pytest.raises(AlreadyRunningError):
            await taken(one, "rss", "radio").__aenter__()
        async with taken(one, "rss"):
            pass


async def test_shards_are_read_side_by_side_each_by_one(tmp_path: Path) -> None:
    first, second = settings(tmp_path, "1/2"), settings(tmp_path, "2/2")
    async with taken(first, "rss"), taken(second, "rss"):
        for refused in (first, settings(tmp_path)):
            with pytest.raises(AlreadyRunningError):
                await taken(refused, "rss").__aenter__()


async def test_on_servers_nobody_is_refused(tmp_path: Path) -> None:
    one = settings(tmp_path, mode="servers")
    async with taken(one, "rss"), taken(one, "rss"):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shard", ["", "1/2"])
async def test_whether_somebody_reads_the_feeds_can_be_asked(
    tmp_path: Path, shard: str
) -> None:
    one = settings(tmp_path)
    assert not is_taken(one, "rss")
    async with taken(settings(tmp_path, shard), "rss"):
        assert is_taken(one, "rss")
        assert not is_taken(one, "radio")
    assert not is_taken(one, "rss")
