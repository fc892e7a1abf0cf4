"""The stage as the loop calls it, on real worker processes."""

from __future__ import annotations

from contextlib import AsyncExitStack

import msgspec
import pytest

from streams import events
from streams.annotate.agent import CHUNK, REFUSAL, stage, tag
from streams.errors import PoolCallError
from streams.log.face import Record
from streams.records import TaggedItem
from streams.settings import Annotate, Settings
from streams.stage import Decision, Received, Refusal
from streams.topics import TAGGED, UNIQUE
from tests.unit.annotate.test_annotate import ITEM


def _received(number: int, value: bytes | None = None) -> Received:
    item = msgspec.structs.replace(ITEM, id=f"i{number}")
    value = events.encode(item) if value is None else value
    return Received(Record(UNIQUE.name, 0, number, 0, b"", value, ()), item)


async def test_a_batch_comes_back_whole_and_in_order() -> None:
    batch = [_received(number) for number in range(2 * CHUNK + 3)]
    made = stage(Settings(annotate=Annotate(processes=2)))
    assert made.handle is not None
    async with AsyncExitStack() as stack:
        for resource in made.resources:
            await stack.enter_async_context(resource)
        outcomes = await made.handle(batch)
    keys = []
    for outcome in outcomes:
        assert isinstance(outcome, Decision)
        (output,) = outcome.outputs
        assert output.topic == TAGGED.name
        assert output.value is not None
        keys.append(events.decode(TaggedItem, output.value).id)
    assert keys == [one.data.id for one in batch]


def test_what_cannot_be_read_says_why_and_spoils_nothing_else() -> None:
    bad, good = tag([b"{", events.encode(ITEM)])
    assert isinstance(bad, str)
    assert "RecordError" in bad
    assert not isinstance(good, str)


async def test_a_document_that_hangs_or_kills_costs_only_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = stage(Settings(annotate=Annotate(processes=1)))
    assert made.handle is not None
    (pool,) = made.resources

    async def run(function: object, values: list[bytes]) -> object:
        del function
        if any(b'"i5"' in value for value in values):
            raise PoolCallError("crash", "tag: its worker died 2 times (SIGKILL)")
        return tag(values)

    monkeypatch.setattr(pool, "run", run)
    outcomes = await made.handle([_received(number) for number in range(CHUNK + 1)])
    refused = [at for at, one in enumerate(outcomes) if isinstance(one, Refusal)]
    assert refused == [5]
    assert outcomes[5] == Refusal(
        REFUSAL, "crash: tag: its worker died 2 times (SIGKILL)"
    )
