"""Names are looked up once, remembered, and never wait for one another."""

import asyncio
import socket
import threading

from collections.abc import Sequence

import pytest

from connectors import resolver as module
from connectors.resolver import (
    FRESH_S,
    NEGATIVE_S,
    STALE_MAX_S,
    Address,
    DaemonResolver,
)


PUBLIC: list[Address] = [(socket.AF_INET, "93.184.215.14")]


class Names:
    """What the system would say, and a clock that is turned by hand."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: OSError | None = None
        self.now_s = 0.0

    def look_up(self, name: str) -> Sequence[Address]:
        self.asked.append(name)
        if self.error is not None:
            raise self.error
        return PUBLIC

    def clock(self) -> float:
        return self.now_s

    def resolver(self) -> DaemonResolver:
        return DaemonResolver(self.look_up, monotonic=self.clock)


async def addresses(resolver: DaemonResolver, name: str) -> list[str]:
    return [one["host"] for one in await resolver.resolve(name, 80)]


async def test_a_name_is_looked_up_once_while_the_answer_is_fresh() -> None:
    names = Names()
    resolver = names.resolver()
    for name in ("paper.example", "PAPER.example", "paper.example."):
        assert await addresses(resolver, name) == ["93.184.215.14"]
    assert names.asked == ["paper.example"]
    names.now_s = FRESH_S + 1
    await addresses(resolver, "paper.example")
    assert len(names.asked) == 2


async def test_that_a_name_has_no_address_is_remembered_briefly() -> None:
    names = Names()
    names.error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    resolver = names.resolver()
    for _ in range(3):
        with pytest.raises(socket.gaierror, match="not known"):
            await addresses(resolver, "gone.example")
    assert len(names.asked) == 1
    names.now_s, names.error = NEGATIVE_S + 1, None
    assert await addresses(resolver, "gone.example") == ["93.184.215.14"]


async def test_while_name_servers_are_away_the_last_answer_holds_for_a_day() -> None:
    names = Names()
    resolver = names.resolver()
    await addresses(resolver, "paper.example")
    names.error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure")
    names.now_s = FRESH_S + 1
    assert await addresses(resolver, "paper.example") == ["93.184.215.14"]
    assert await addresses(resolver, "paper.example") == ["93.184.215.14"]
    assert len(names.asked) == 2, "not asked again at once"
    names.now_s = STALE_MAX_S + 1
    with pytest.raises(socket.gaierror):
        await addresses(resolver, "paper.example")


async def test_a_name_that_is_gone_is_not_kept_alive() -> None:
    names = Names()
    resolver = names.resolver()
    await addresses(resolver, "paper.example")
    names.error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    names.now_s = FRESH_S + 1
    with pytest.raises(socket.gaierror):
        await addresses(resolver, "paper.example")


async def test_a_name_server_that_hangs_holds_up_its_own_name_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOOK_UP_MAX_S", 0.2)
    release = threading.Event()
    asked: list[str] = []

    def look_up(name: str) -> Sequence[Address]:
        asked.append(name)
        if name == "hangs.example":
            release.wait(30)
        return PUBLIC

    resolver = DaemonResolver(look_up)
    waiting = [asyncio.create_task(addresses(resolver, "hangs.example")) for _ in "ab"]
    await asyncio.sleep(0)
    assert await addresses(resolver, "paper.example") == ["93.184.215.14"]
    for task in waiting:
        with pytest.raises(socket.gaierror, match=r"no answer within 0\.2 s"):
            await task
    with pytest.raises(socket.gaierror):
        await addresses(resolver, "hangs.example")
    assert sorted(asked) == ["hangs.example", "paper.example"]
    release.set()


async def test_who_gives_up_on_a_name_does_not_take_it_from_others() -> None:
    release = threading.Event()

    def look_up(name: str) -> Sequence[Address]:
        del name
        release.wait(30)
        return PUBLIC

    resolver = DaemonResolver(look_up)
    first, second = (
        asyncio.create_task(addresses(resolver, "slow.example")) for _ in "ab"
    )
    await asyncio.sleep(0)
    first.cancel()
    release.set()
    assert await second == ["93.184.215.14"]
    assert first.cancelled()


async def test_so_many_names_are_remembered_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "NAMES_MAX", 3)
    names = Names()
    resolver = names.resolver()
    for name in ("a", "b", "c", "d", "d", "a"):
        await addresses(resolver, name)
    assert names.asked == ["a", "b", "c", "d", "a"]


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "feed-7.sim.localhost"])
async def test_names_under_localhost_are_loopback_without_asking(name: str) -> None:
    names = Names()
    assert await addresses(names.resolver(), name) == ["127.0.0.1", "::1"]
    assert names.asked == []


@pytest.mark.parametrize("name", ["no.such.invalid", "hidden.onion"])
async def test_names_that_lead_nowhere_are_not_asked_for(name: str) -> None:
    names = Names()
    with pytest.raises(socket.gaierror):
        await addresses(names.resolver(), name)
    assert names.asked == []


async def test_an_answer_of_thousands_of_addresses_is_cut() -> None:
    def look_up(name: str) -> Sequence[Address]:
        del name
        return [(socket.AF_INET, f"10.0.{n >> 8}.{n & 255}") for n in range(5_000)]

    assert len(await addresses(DaemonResolver(look_up), "many.example")) == 16


@pytest.mark.parametrize("name", ["a" * 70 + ".example", "\udcff.example", "a..b"])
async def test_what_is_no_host_name_has_no_address(name: str) -> None:
    with pytest.raises(OSError, match=r".*"):
        await addresses(DaemonResolver(), name)
