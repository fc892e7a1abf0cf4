from __future__ import annotations

from pathlib import Path

from streams.apps import make_app
from streams.settings import Kafka, Settings
from streams.stage import Decision, Stage, attach
from streams.topics import CORRELATE_TABLE, TAGGED


class Telling:
    """A cluster whose brokers tell of nothing but *partitions* just now."""

    def __init__(self, **partitions: int) -> None:
        self._partitions = partitions

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        count = self._partitions.get(topic.replace(".", "_"))
        return None if count is None else set(range(count))


async def test_a_topic_that_brokers_do_not_tell_of_just_now_is_given_out_all_the_same(
    tmp_path: Path,
) -> None:
    """Found by chaos, seed 3: without its changelog, correlate stood still for ever."""
    settings = Settings(mode="servers", prefix="p-", kafka=Kafka(bootstrap="here:1"))
    app = make_app(settings, "correlate", str(tmp_path))
    stage = Stage(
        name="correlate",
        sources=[TAGGED],
        decide=lambda _received, _state: Decision(),
        table=CORRELATE_TABLE,
    )
    attach(app, stage, prefix="p-", on_fatal=lambda _error: None)
    topics = {f"p-{TAGGED.name}", f"p-{CORRELATE_TABLE.name}"}
    metadata = app.assignor.metadata(topics)
    cluster = Telling(**{"p-items_tagged": 1})
    given = app.assignor.assign(cluster, {"me": metadata})["me"]
    assert dict(given.assignment) == {topic: [0] for topic in topics}
