from __future__ import annotations

import socket
import ssl

from pathlib import Path

import pytest

from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from streams.errors import AccessRefusedError, SettingsError
from streams.log.access import ask_why, connection, explain, ssl_context
from streams.log.kafka import errors_named
from streams.settings import Kafka
from tests.servers.identities import Identities


@pytest.fixture(scope="module")
def identities() -> Identities:
    return Identities({})


def test_without_tls_nothing_is_verified_and_no_name_is_sent() -> None:
    assert ssl_context(Kafka()) is None
    assert "sasl_plain_password" not in connection(Kafka(password="x"))  # noqa: S106 - none


def test_with_tls_hosts_are_verified(tmp_path: Path, identities: Identities) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(identities.ca)
    context = ssl_context(Kafka(security="SSL", ca_file=str(ca)))
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize("key", ["ca_file", "cert_file", "key_file"])
def test_a_file_that_is_not_there_is_named_by_its_setting(key: str) -> None:
    settings = {"security": "SSL", key: "/nowhere/a.pem"}
    with pytest.raises(SettingsError, match=rf"kafka\.{key}: there is no file"):
        ssl_context(Kafka(**settings))  # type: ignore[arg-type] # one key of three


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
def test_a_file_without_pem_is_named_by_its_setting(key: str, tmp_path: Path) -> None:
    file = tmp_path / "a.pem"
    file.write_text("no certificate")
    settings = {"security": "SSL", key: str(file)}
    with pytest.raises(SettingsError, match=rf"kafka\.{key} .* cannot be used"):
        ssl_context(Kafka(**settings))  # type: ignore[arg-type] # one key of three


def test_a_key_must_be_the_certificates(tmp_path: Path, identities: Identities) -> None:
    chain, _ = identities.of_user("a").files(tmp_path, "a")
    _, key = identities.of_user("b").files(tmp_path, "b")
    settings = Kafka(security="SSL", cert_file=str(chain), key_file=str(key))
    with pytest.raises(SettingsError, match="a certificate and its own key"):
        ssl_context(settings)


@pytest.mark.parametrize(
    ("error", "names"),
    [
        (TopicAuthorizationFailedError("items.raw"), "topic items.raw;"),
        (TopicAuthorizationFailedError({"b", "a"}), "topic a, b;"),
        (GroupAuthorizationFailedError("wirewatch-index"), "group wirewatch-index;"),
    ],
)
def test_a_missing_right_is_named_with_what_gives_it(
    error: KafkaError, names: str
) -> None:
    with (
        pytest.raises(AccessRefusedError, match="topics acls") as raised,
        errors_named("the log"),
    ):
        raise error
    assert f"no right to {names}" in str(raised.value)


def test_what_is_no_refusal_has_no_mending() -> None:
    for error in (KafkaConnectionError("closed"), OSError(111, "refused")):
        assert explain(error) == ""


async def test_brokers_that_are_away_are_no_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    reason = await ask_why(Kafka(bootstrap=f"127.0.0.1:{port},127.0.0.1:{port}"))
    assert isinstance(reason, OSError)
    assert not explain(reason)
