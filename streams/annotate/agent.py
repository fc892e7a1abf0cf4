"""The annotate stage: batches of unique items, read by worker processes."""

from __future__ import annotations

import asyncio
import os

from collections.abc import Sequence
from itertools import chain

from streams import events
from streams.annotate.annotate import annotate
from streams.annotate.concepts import LANGUAGES, lexicon
from streams.annotate.language import detect
from streams.errors import PoolCallError
from streams.log.face import Output
from streams.pool import Pool
from streams.records import UniqueItem
from streams.settings import Settings
from streams.stage import Decision, Outcome, Received, Refusal, Stage
from streams.topics import SOURCES


#: A call into a worker carries so many items: large enough that the call costs little,
#: small enough that every process has some of a batch.
CHUNK = 32
#: Reading takes a millisecond an item; a document that takes this long never ends.
TIMEOUT_S = 30.0
REFUSAL = "annotator"


def stage(settings: Settings) -> Stage:
    """Return the stage; its worker processes live as long as it runs."""
    processes = settings.annotate.processes or os.cpu_count() or 1
    pool = Pool(processes, timeout_s=TIMEOUT_S, initializer=warm_up, name="annotate")

    async def handle(batch: Sequence[Received]) -> Sequence[Outcome]:
        values = [received.record.value or b"" for received in batch]
        chunks = [values[at : at + CHUNK] for at in range(0, len(values), CHUNK)]
        read = await asyncio.gather(*(_read(pool, chunk) for chunk in chunks))
        return list(chain.from_iterable(read))

    sources = SOURCES["annotate"]
    return Stage(name="annotate", sources=sources, handle=handle, resources=(pool,))


async def _read(pool: Pool, values: Sequence[bytes]) -> list[Outcome]:
    """Return the outcome of each of *values*; one that hangs or kills costs itself."""
    try:
        return [_outcome(read) for read in await pool.run(tag, values)]
    except PoolCallError as error:
        if len(values) == 1:
            return [Refusal(REFUSAL, str(error))]
    return [outcome for value in values for outcome in await _read(pool, [value])]


def _outcome(read: Output | str) -> Outcome:
    return Refusal(REFUSAL, read) if isinstance(read, str) else Decision([read])


def tag(values: Sequence[bytes]) -> list[Output | str]:
    """Read encoded items, in a worker; for one that cannot be read, say why."""
    return [_tag(value) for value in values]


def _tag(value: bytes) -> Output | str:
    try:
        return events.tagged(annotate(events.decode(UniqueItem, value)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the document brought it
        return f"{type(error).__name__}: {error}"


def warm_up() -> None:
    """Load lexicons and language profiles before the first item waits for them."""
    for code in (*LANGUAGES, "und"):
        lexicon(code)
    detect("A sentence that is long enough to be worth a guess.")
