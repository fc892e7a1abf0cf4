from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.delivery.harness import Bench, open_bench, settings_for


@pytest.fixture(params=["embedded", pytest.param("servers", marks=pytest.mark.kafka)])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, prefix: str
) -> AsyncIterator[Bench]:
    """Both logs, one after the other; topics are the test's to make."""
    mode = request.param
    kafka = request.getfixturevalue("kafka") if mode == "servers" else ""
    settings = settings_for(mode, tmp_path / "data", kafka=kafka, prefix=prefix)
    bench = await open_bench(settings, tmp_path)
    yield bench
    await bench.end()
    await bench.log.__aexit__(None, None, None)
