"""TLS, credentials and rights, through the commands, on servers that demand them."""

from __future__ import annotations

import asyncio
import gc
import json

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from structlog import DropEvent
from structlog.typing import EventDict

from mappings.opening import open_index
from streams.acls import OPERATOR, READER, principal, rules
from streams.errors import AccessRefusedError, NotStoredError
from streams.log.access import connection
from streams.log.face import Output
from streams.log.opening import open_log
from streams.monitor.standing import Looker
from streams.settings import Kafka, Settings, load
from streams.topics import DECLARED, SOURCES, STAGES
from streams.worker import Worker
from tests.servers.doorman import Doorman, at_the_door
from tests.servers.identities import ADMIN
from tests.servers.secure import SecureKafkaServer


if TYPE_CHECKING:
    from tests.acceptance.conftest import Wirewatch

#: Of a TLS connection that is refused, asyncio leaves the transport to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. .(socket|function _SelectorTransport)"
    ":pytest.PytestUnraisableExceptionWarning"
)

#: Codes of the protocol (org.apache.kafka.common.acl, .resource).
OPERATIONS = {
    "Read": 3,
    "Write": 4,
    "Create": 5,
    "Delete": 6,
    "Describe": 8,
    "DescribeConfigs": 10,
    "AlterConfigs": 11,
}
RESOURCES = {"topic": (2, 3), "group": (3, 4)}  # literal names, beginnings of names
ALLOW = 3

API_KEY = "S2V5LW9mLXRoZS10ZXN0OnNlY3JldC1vZi1hcGkta2V5"
USER = ("indexer", "secret-of-elastic-user")

ENTRY = {
    "id": "one",
    "title": "Gunmen killed 4 drivers near Gao",
    "text": "Gunmen killed 4 drivers of a convoy near Gao on Monday, officials said.",
    "source": "feed",
    "publisher": "paper.example",
    "published": "2026-11-23T09:00:00Z",
}


@dataclass(frozen=True)
class Place:
    """The servers of a test, and the settings by which its roles reach them."""

    wirewatch: Wirewatch
    kafka: SecureKafkaServer
    doorman: Doorman
    index_url: str
    ca: Path
    prefix: str

    def as_role(self, role: str) -> Wirewatch:
        """Return the command with the settings of *role*."""
        self.wirewatch.settings = self.variables(role)
        return self.wirewatch

    def settings(self, role: str, **other: str) -> Settings:
        """Return the settings of *role*, with *other* values in some places."""
        return load(environ=self.variables(role, **other))

    def variables(self, role: str, **other: str) -> dict[str, str]:
        """Return the environment of *role*, over SASL_SSL and https."""
        name = ADMIN if role == ADMIN else f"wirewatch-{role}"
        return {
            "WIREWATCH_MODE": "servers",
            "WIREWATCH_ANNOTATE_PROCESSES": "1",
            "WIREWATCH_PREFIX": self.prefix,
            "WIREWATCH_KAFKA_BOOTSTRAP": self.kafka.address,
            "WIREWATCH_KAFKA_SECURITY": "SASL_SSL",
            "WIREWATCH_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "WIREWATCH_KAFKA_USERNAME": name,
            "WIREWATCH_KAFKA_PASSWORD": self.kafka.identities.passwords[name],
            "WIREWATCH_KAFKA_CA_FILE": str(self.ca),
            "WIREWATCH_ELASTICSEARCH_URL": self.index_url,
            "WIREWATCH_ELASTICSEARCH_API_KEY": API_KEY,
            "WIREWATCH_ELASTICSEARCH_CA_FILE": str(self.ca),
            **{f"WIREWATCH_{key}": value for key, value in other.items()},
        }

    def silent(self, said: str) -> str:
        """Return *said*, in which no secret may be."""
        for secret in (*self.kafka.identities.passwords.values(), API_KEY, USER[1]):
            assert secret not in said
        return " ".join(said.split())


async def _give_rights(server: SecureKafkaServer, ca: Path, prefix: str) -> None:
    settings = Kafka(
        bootstrap=server.address,
        security="SASL_SSL",
        username=ADMIN,
        password=server.identities.passwords[ADMIN],
        ca_file=str(ca),
    )
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        for rule in rules(prefix):
            kind, pattern = RESOURCES[rule.resource]
            for name in rule.names:
                for operation in rule.operations:
                    answer = await admin._send_request(
                        CreateAclsRequest(
                            kind,
                            name,
                            pattern,
                            principal(rule.role),
                            "*",
                            OPERATIONS[operation],
                            ALLOW,
                        )
                    )
                    assert [code for code, _ in answer.creation_responses] == [0]
    finally:
        await admin.close()


class Refusal:
    """Hears when something waits for its rights."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.lines: list[str] = []

    def __call__(self, _logger: object, _name: str, event: EventDict) -> EventDict:
        """Take a log line."""
        self.lines.append(str(event))
        if event["event"] == "waiting" and "no right to" in event["reason"]:
            self.heard.set()
        raise DropEvent


@pytest.fixture
def refusal() -> Iterator[Refusal]:
    configured = structlog.get_config()["processors"]
    former = list(configured)
    configured[:] = [heard := Refusal()]
    yield heard
    configured[:] = former


@pytest.fixture
def place(
    wirewatch: Wirewatch,
    secure_kafka: SecureKafkaServer,
    elasticsearch: str,
    prefix: str,
    tmp_path: Path,
) -> Iterator[Place]:
    ca = tmp_path / "ca.pem"
    ca.write_text(secure_kafka.identities.ca)
    doorman = Doorman(elasticsearch, api_key=API_KEY, user=USER)
    certificate = secure_kafka.identities.of_server()
    with at_the_door(doorman, certificate, tmp_path) as url:
        yield Place(wirewatch, secure_kafka, doorman, url, ca, prefix)
    gc.collect()  # here, and not in a test that would be blamed for it


async def test_every_role_waits_for_its_rights_and_does_its_work_with_no_more(
    place: Place, refusal: Refusal
) -> None:
    stop, ready = asyncio.Event(), [asyncio.Event() for _ in STAGES]
    workers = [
        asyncio.ensure_future(Worker(place.settings(s), stages=[s]).run(stop, ready=r))
        for s, r in zip(STAGES, ready, strict=True)
    ]
    await refusal.heard.wait()
    await _give_rights(place.kafka, place.ca, place.prefix)
    async with open_log(place.settings(OPERATOR)) as log:
        await log.create(DECLARED)
    await asyncio.gather(*(one.wait() for one in ready))
    file = place.wirewatch.folder / "entries.jsonl"
    file.write_text(json.dumps(ENTRY) + "\n")
    done = await asyncio.to_thread(place.as_role(OPERATOR), "ingest", file.name)
    assert "1 indexed" in done.stdout + done.stderr

    for stage in STAGES:
        async with open_log(place.settings(stage)) as log:
            looker = Looker(log)
            lags = (await looker.look([stage])).lags
            assert {topic for _, topic, _ in lags} == {t.name for t in SOURCES[stage]}
            assert (await looker.letters([stage]) is not None) == (stage == "index")
    reader = place.as_role(READER)
    (told,) = await asyncio.to_thread(reader.lines, "audit", "--json")
    assert told["balanced"]
    # Annotate may write, but not what connectors write.
    with pytest.raises(AccessRefusedError, match="no right to topic") as refused:
        await append(place.settings("annotate"))
    words = place.silent(str(refused.value))
    assert "items.raw" in words
    assert "wirewatch topics acls" in words
    with pytest.raises(AccessRefusedError, match="no right to"):
        await append(place.settings(READER))
    stop.set()
    await asyncio.gather(*workers)
    place.silent(" ".join(refusal.lines))


@pytest.mark.parametrize(
    ("settings", "mending"),
    [
        ({"KAFKA_PASSWORD": "guess"}, "see kafka.username, kafka.password"),
        (
            {"KAFKA_PASSWORD": "guess", "KAFKA_SASL_MECHANISM": "PLAIN"},
            "see kafka.username, kafka.password",
        ),
        ({"KAFKA_SASL_MECHANISM": "SCRAM-SHA-256"}, "kafka.sasl_mechanism"),
        ({"KAFKA_CA_FILE": ""}, "kafka.ca_file must hold who signed it"),
        ({"KAFKA_BOOTSTRAP": "localhost"}, "must name the host as its certificate"),
        ({"KAFKA_BOOTSTRAP": "expired"}, "certificate has expired"),
        ({"KAFKA_BOOTSTRAP": "by certificate"}, "kafka.cert_file"),
        ({"KAFKA_SECURITY": "SASL_PLAINTEXT"}, "another kafka.security"),
    ],
    ids=str,
)
async def test_what_kafka_refuses_is_told_by_the_setting_that_mends_it(
    settings: dict[str, str], mending: str, place: Place
) -> None:
    at = {
        "localhost": place.kafka.address.replace("127.0.0.1", "localhost"),
        "expired": place.kafka.expired,
        "by certificate": place.kafka.by_certificate,
    }
    given = {key: at.get(value, value) for key, value in settings.items()}
    if place.kafka.by_certificate in given.values():
        given["KAFKA_SECURITY"] = "SSL"
    with pytest.raises(NotStoredError) as refusal:
        await on_log(place.settings(ADMIN, **given))
    assert mending in place.silent(str(refusal.value))


async def test_brokers_may_know_us_by_a_certificate(place: Place) -> None:
    chain, key = place.kafka.identities.of_user(ADMIN).files(place.ca.parent, ADMIN)
    settings = place.settings(
        ADMIN,
        KAFKA_SECURITY="SSL",
        KAFKA_BOOTSTRAP=place.kafka.by_certificate,
        KAFKA_CERT_FILE=str(chain),
        KAFKA_KEY_FILE=str(key),
    )
    assert await on_log(settings) == 0


def test_who_has_no_right_is_told_by_check(place: Place) -> None:
    done = place.as_role("stranger")("check", "--json", code=1)
    place.silent(done.stdout + done.stderr)
    (fault,) = [
        f for f in map(json.loads, done.stdout.splitlines()) if f["what"] == "log"
    ]
    assert not fault["ok"]
    assert "wirewatch topics acls" in fault["detail"]


@pytest.mark.parametrize(
    ("settings", "mending"),
    [
        ({}, ""),
        ({"API_KEY": "", "USERNAME": USER[0], "PASSWORD": USER[1]}, ""),
        ({"URL": "several"}, ""),
        ({"API_KEY": "Z3Vlc3M6Z3Vlc3M="}, "HTTP 401"),
        ({"API_KEY": "Z3Vlc3Q6Z3Vlc3Q="}, "needs rights on the cluster"),
        (
            {"API_KEY": "", "USERNAME": "x", "PASSWORD": USER[1]},
            "see elasticsearch.api_",
        ),
        ({"CA_FILE": ""}, "see elasticsearch.ca_file"),
        ({"URL": "localhost"}, "Hostname mismatch"),
    ],
    ids=str,
)
async def test_the_index_is_reached_by_what_it_demands_or_says_what_to_mend(
    settings: dict[str, str], mending: str, place: Place
) -> None:
    at = {
        "localhost": place.index_url.replace("127.0.0.1", "localhost"),
        "several": f"https://127.0.0.1:1, {place.index_url}",
    }
    given = {f"ELASTICSEARCH_{k}": at.get(v, v) for k, v in settings.items()}
    async with open_index(place.settings(ADMIN, **given)) as index:
        found = "\n".join(await index.check())
    if mending:
        assert mending in place.silent(found)
    else:
        assert "HTTP" not in found
        assert "does not answer" not in found


async def on_log(settings: Settings) -> int:
    """Return how many partitions a topic has, once the brokers have let us in."""
    async with open_log(settings) as log:
        return await log.partitions("items.raw")


async def append(settings: Settings) -> None:
    async with open_log(settings) as log:
        await log.append([Output("items.raw", b"key", b"value")])
