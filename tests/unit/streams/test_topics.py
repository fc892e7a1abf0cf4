from __future__ import annotations

import re

import pytest

from streams import events, records, topics
from streams.topics import ALL, DECLARED, Topic


def names(declared: tuple[Topic, ...]) -> list[str]:
    return [topic.name for topic in declared]


@pytest.mark.parametrize("topic", DECLARED, ids=names(DECLARED))
def test_a_topic_has_a_name_that_both_logs_take(topic: Topic) -> None:
    assert re.fullmatch(r"[a-z0-9._-]{1,150}", topic.name)


def test_no_two_names_are_one_to_kafka() -> None:
    """Kafka's metrics take '.' for '_'; it warns of topics that then collide."""
    assert len({name.replace(".", "_") for name in names(DECLARED)}) == len(DECLARED)


@pytest.mark.parametrize("topic", DECLARED, ids=names(DECLARED))
def test_a_topic_is_found_by_its_name(topic: Topic) -> None:
    assert topics.by_name(topic.name) is topic
    assert topics.size_limit(topic.name) == topic.max_bytes


def test_an_undeclared_topic_is_not_found() -> None:
    with pytest.raises(KeyError):
        topics.by_name("items.rare")


@pytest.mark.parametrize("topic", DECLARED, ids=names(DECLARED))
def test_every_record_of_a_topic_can_be_decoded(topic: Topic) -> None:
    assert topic.record is None or topic.record in events._DECODERS


def test_every_record_has_a_topic() -> None:
    assert {t.record for t in ALL} - {None} == {
        records.RawItem,
        records.UniqueItem,
        records.TaggedItem,
        records.Item,
        records.Incident,
        records.Cursor,
        records.WatchedFeed,
        records.FeedHealth,
    }


def test_correlate_sees_everything_in_one_partition() -> None:
    assert topics.TAGGED.partitions == 1


def test_a_table_has_the_partitions_of_its_stages_input() -> None:
    assert topics.DEDUPE_TABLE.partitions == topics.RAW.partitions
    assert topics.CORRELATE_TABLE.partitions == topics.TAGGED.partitions


def test_a_table_never_forgets() -> None:
    table = topics.changelog("dedupe", "publications", 3)
    assert table.name == f"{topics.group('dedupe')}-publications-changelog"
    assert table.compacted
    assert table.kept_s is None


def test_what_connectors_let_in_leaves_room_for_what_stages_add() -> None:
    assert topics.RAW_MAX_BYTES + 100_000 < topics.RECORD_MAX_BYTES


def test_a_dead_letter_holds_the_largest_record_and_its_reason() -> None:
    largest = max(
        topic.max_bytes for topic in DECLARED if topic is not topics.DEADLETTERS
    )
    assert topics.DEADLETTERS.max_bytes >= largest + 100_000


def test_only_records_that_a_newer_one_replaces_are_kept_for_ever() -> None:
    assert all(topic.compacted for topic in DECLARED if topic.kept_s is None)


def test_a_dead_letter_outlives_the_record_that_it_came_from() -> None:
    assert topics.DEADLETTERS.kept_s is not None
    assert topics.RAW.kept_s is not None
    assert topics.DEADLETTERS.kept_s >= topics.RAW.kept_s
