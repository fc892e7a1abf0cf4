from __future__ import annotations

import pytest

from streams import acls
from streams.correlate import agent as correlate
from streams.dedupe import agent as dedupe
from streams.stage import Stage
from streams.topics import DEADLETTERS, DECLARED, STAGES, UNIQUE


def allowed(role: str, operation: str, resource: str = "topic") -> set[str]:
    return {
        name
        for rule in acls.rules()
        if (rule.role, rule.resource) == (role, resource)
        if operation in rule.operations
        for name in rule.names
    }


def test_every_program_has_a_role_and_no_other() -> None:
    writers = {writer for topic in DECLARED for writer in topic.writers}
    assert writers - {acls.OPERATOR} | set(STAGES) == set(acls.READS)


def test_one_program_writes_a_topic_but_for_dead_letters() -> None:
    for topic in DECLARED:
        may = {role for role in acls.READS if topic.name in allowed(role, "Write")}
        assert may == set(topic.writers) - {acls.OPERATOR}
        if acls.OPERATOR in topic.writers:
            assert topic.name in allowed(acls.OPERATOR, "Write")
            continue
        assert len(may) == 1 or topic is DEADLETTERS


@pytest.mark.parametrize(
    "stage", [dedupe.stage(), correlate.stage()], ids=lambda stage: stage.name
)
def test_a_stage_reads_its_sources_and_its_table(stage: Stage) -> None:
    table = {stage.table.name} if stage.table else set()
    assert allowed(stage.name, "Read") == {t.name for t in stage.sources} | table
    assert allowed(stage.name, "Read", "group") == {f"wirewatch-{stage.name}"}


def test_a_reader_changes_nothing() -> None:
    changes = {"Write", "Create", "Delete", "AlterConfigs"}
    assert not any(
        changes & set(rule.operations)
        for rule in acls.rules()
        if rule.role == acls.READER
    )
    assert allowed(acls.READER, "Read") == {topic.name for topic in DECLARED}


def test_names_begin_with_the_prefix() -> None:
    assert all(
        name.startswith("t1-") for rule in acls.rules("t1-") for name in rule.names
    )


def test_a_command_names_user_operation_and_topic() -> None:
    rule = acls.Rule(
        role="annotate", resource="topic", names=(UNIQUE.name,), operations=("Read",)
    )
    assert " ".join(rule.command("kafka:9093")) == (
        "kafka-acls.sh --bootstrap-server kafka:9093 --command-config admin.properties "
        "--add --allow-principal User:wirewatch-annotate --operation Read "
        "--topic items.unique"
    )
