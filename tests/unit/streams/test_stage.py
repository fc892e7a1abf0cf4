"""What the loop refuses of what a decision wants stored, and when it has waited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

import streams.stage as room

from streams import clock
from streams.stage import Decision, Refusal, Stage, _checked, attach
from streams.topics import RAW, RECORD_MAX_BYTES


def test_an_entry_that_its_changelog_would_never_take_is_a_refusal() -> None:
    outcome = _checked(Decision((), {b"key": b"x" * RECORD_MAX_BYTES}))
    assert isinstance(outcome, Refusal)
    assert outcome.kind == "OversizeError"
    assert "an entry of the stage's table has 1048579 bytes" in outcome.reason


def test_an_entry_at_the_limit_and_a_deletion_are_taken() -> None:
    decision = Decision((), {b"key": b"x" * (RECORD_MAX_BYTES - 3), b"gone": None})
    assert _checked(decision) is decision


class Batches:
    """A stream of empty batches, as an agent reads it."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.acked = 0

    def noack(self) -> Batches:
        return self

    async def events(self) -> AsyncIterator[Any]:
        for _ in range(self._count):
            yield SimpleNamespace(
                value=[], message=SimpleNamespace(tp="items.raw/0", generation_id=1)
            )

    async def ack(self, event: Any) -> None:
        del event
        self.acked += 1


class App:
    """As much of an application as a stage asks, with a lease that a test decides on."""

    def __init__(self, *, fresh: Callable[[], bool]) -> None:
        self.agents: list[Any] = []
        self.transport = SimpleNamespace(batch_topics=set())
        self.consumer = SimpleNamespace(
            holds=lambda _: True, lease_is_fresh=fresh, lease_age_s=lambda: 0.0
        )
        self.consumer_generation_id = 1

    def topic(self, *names: str, **_: Any) -> tuple[str, ...]:
        return names

    def agent(self, *_: Any, **__: Any) -> Any:
        return self.agents.append


async def nothing(batch: Any) -> list[Any]:
    assert not batch
    return []


STAGE = Stage(name="annotate", sources=[RAW], handle=nothing)


async def test_a_stage_whose_batch_has_moved_elsewhere_no_longer_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "PAUSE_FIRST_S", 0.0)
    app = App(fresh=lambda: True)
    fatal: list[BaseException] = []
    progress = attach(cast("Any", app), STAGE, prefix="", on_fatal=fatal.append)
    tries = 0

    async def decide_all(*_: Any) -> list[Any]:
        nonlocal tries
        tries += 1
        assert bool(progress.waiting) == (tries > 1)
        app.consumer_generation_id += tries > 1  # the second time it has moved
        raise OSError("no route to the index")

    monkeypatch.setattr(room._Loop, "_decide_all", decide_all)
    batches = Batches(1)
    await app.agents[0](batches)
    assert (tries, batches.acked, fatal) == (2, 0, [])
    assert progress.waiting == ""


async def test_a_lease_that_is_confirmed_ends_the_wait_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "LEASE_LOOK_S", 0.0)
    looks: list[str] = []

    def fresh() -> bool:
        looks.append(progress.waiting)
        return len(looks) > 2

    app = cast("Any", App(fresh=fresh))
    loop = room._Loop(app, STAGE, prefix="", now=clock.now)
    progress = loop.progress
    await loop._lease(SimpleNamespace(generation_id=1))
    assert looks[0] == ""
    assert "brokers" in looks[1]
    assert progress.waiting == ""
