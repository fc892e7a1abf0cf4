from __future__ import annotations

from pathlib import Path

import pytest

from streams.apps import make_app
from streams.settings import Kafka, Settings


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("BROKER_URL", "kafka://elsewhere"),
        ("CONSUMER_AUTO_OFFSET_RESET", "latest"),
        ("STREAM_WAIT_EMPTY", "0"),
        ("BROKER_MAX_POLL_INTERVAL", "2"),
    ],
)
async def test_what_faust_finds_in_the_environment_changes_nothing(
    name: str, foreign: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = Settings(mode="servers", kafka=Kafka(bootstrap="here:9092"))
    usual = make_app(settings, "dedupe", str(tmp_path)).conf
    monkeypatch.setenv(name, foreign)
    conf = make_app(settings, "dedupe", str(tmp_path)).conf
    assert conf.broker == usual.broker
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.stream_wait_empty
    assert conf.broker_max_poll_interval == usual.broker_max_poll_interval
