"""What each role may do on the brokers: one writer a topic, as the topics declare it.

A role is a program that runs under a user of its own. Two are people's: the *reader*
asks and follows and changes nothing; the *operator* makes topics, publishes by hand, and
brings back or deletes what was refused, and so may write where a program does.

Least privilege by Kafka's own names (``org.apache.kafka.common.acl.AclOperation``); Read,
Write and Alter there imply Describe. An idempotent producer needs Write on some topic,
nothing more (KIP-679).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from streams.topics import (
    CORRELATE_TABLE,
    CURSORS,
    DEADLETTERS,
    DECLARED,
    DEDUPE_TABLE,
    FEEDS,
    HEALTH,
    INCIDENTS,
    ITEMS,
    RAW,
    SOURCES,
    STAGES,
    TAGGED,
    UNIQUE,
    Topic,
    group,
)


Operation = Literal[
    "Read", "Write", "Create", "Delete", "Describe", "DescribeConfigs", "AlterConfigs"
]
Resource = Literal["topic", "group"]

READER: Final = "reader"
OPERATOR: Final = "operator"
#: What programs read beside what they work on. Who runs the index stage counts the dead
#: letters, and warns before they expire.
_BESIDE: Final[Mapping[str, Sequence[Topic]]] = {
    "connectors": (RAW, CURSORS, FEEDS, HEALTH),
    "dedupe": (DEDUPE_TABLE,),
    "correlate": (CORRELATE_TABLE,),
    "index": (DEADLETTERS,),
}
#: What each program reads; what it writes, the topics say.
READS: Final[Mapping[str, Sequence[Topic]]] = {
    program: (*SOURCES.get(program, ()), *_BESIDE.get(program, ()))
    for program in ("connectors", *STAGES)
}
ROLES: Final = (*READS, READER, OPERATOR)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Lets a role do *operations* on all of *names*.

    A topic is meant by its whole name, a group by how its name begins.
    """

    role: str
    resource: Resource
    names: tuple[str, ...]
    operations: tuple[Operation, ...]

    @property
    def pattern(self) -> Literal["literal", "prefixed"]:
        """How names are meant, in Kafka's words."""
        return "prefixed" if self.resource == "group" else "literal"

    def command(self, bootstrap: str) -> list[str]:
        """Return the words of the ``kafka-acls.sh`` that adds it."""
        words = ["kafka-acls.sh", "--bootstrap-server", bootstrap]
        words += ["--command-config", "admin.properties", "--add"]
        words += ["--allow-principal", principal(self.role)]
        for operation in self.operations:
            words += ["--operation", operation]
        if self.pattern == "prefixed":
            words += ["--resource-pattern-type", self.pattern]
        for name in self.names:
            words += [f"--{self.resource}", name]
        return words


def principal(role: str) -> str:
    """Return the user as whom *role* logs in."""
    return f"User:wirewatch-{role}"


def rules(prefix: str = "") -> Iterator[Rule]:
    """Yield what every role may, on topics and groups that begin with *prefix*."""
    for role in ROLES:
        yield _on_topics(role, DECLARED, prefix, "Describe", "DescribeConfigs")
        yield _on_topics(role, READS.get(role, DECLARED), prefix, "Read")
        if role in READS:
            written = [topic for topic in DECLARED if role in topic.writers]
            yield _on_topics(role, written, prefix, "Write")
        if role in STAGES:
            yield _on_groups(role, [role], prefix, "Read")
    yield _on_groups(READER, STAGES, prefix, "Describe")
    yield _on_topics(OPERATOR, DECLARED, prefix, "Create", "AlterConfigs")
    by_hand = (RAW, UNIQUE, TAGGED, ITEMS, INCIDENTS, DEADLETTERS, FEEDS)
    yield _on_topics(OPERATOR, by_hand, prefix, "Write")
    yield _on_topics(OPERATOR, (DEADLETTERS,), prefix, "Delete")
    yield _on_groups(OPERATOR, STAGES, prefix, "Read", "Delete")


def _on_topics(
    role: str, topics: Sequence[Topic], prefix: str, *operations: Operation
) -> Rule:
    names = tuple(prefix + topic.name for topic in topics)
    return Rule(role=role, resource="topic", names=names, operations=operations)


def _on_groups(
    role: str, stages: Sequence[str], prefix: str, *operations: Operation
) -> Rule:
    names = tuple(prefix + group(stage) for stage in stages)
    return Rule(role=role, resource="group", names=names, operations=operations)
