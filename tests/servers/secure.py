"""A broker that asks everybody who they are: TLS, SASL or certificates, and rights.

Listeners, all on loopback: ``SASL`` (SASL_SSL with PLAIN and SCRAM-SHA-512), ``TLS`` (by
certificate) and ``OLD`` (as SASL, with a certificate that has expired).
"""

from __future__ import annotations

from tests.servers import config
from tests.servers.handles import KafkaServer, free_ports
from tests.servers.identities import ADMIN, HOST, Certificate, Identities
from tests.servers.maven import Maven, new_folder
from tests.servers.runners import Process


MECHANISMS = ("PLAIN", "SCRAM-SHA-512")


class SecureKafkaServer(KafkaServer):
    """See the module; ``address`` is the listener SASL."""

    def __init__(self, runner: Process, ports: list[int], who: Identities) -> None:
        super().__init__(runner, ports[0])
        self.identities = who
        self.by_certificate, self.expired = (f"{HOST}:{port}" for port in ports[1:])


def secure_kafka(source: Maven, identities: Identities) -> SecureKafkaServer:
    """Return a broker for *identities*, not yet started."""
    folder = new_folder("kafka")
    folder.chmod(0o700)
    *ports, controller_port = free_ports(4)
    settings = _settings(ports, controller_port, identities)
    settings["log.dirs"] = str(folder / "data")
    file = folder / "server.properties"
    # Java reads the escape in a value as the end of a line.
    lines = (f"{k}={v}".replace("\n", "\\n") + "\n" for k, v in settings.items())
    file.write_text("".join(lines))
    users = [
        word
        for name, password in identities.passwords.items()
        for word in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
    ]
    runner = Process(
        folder,
        source.kafka_command(file),
        before=[*source.kafka_format(file), *users],
    )
    return SecureKafkaServer(runner, ports, identities)


def _settings(
    ports: list[int], controller_port: int, identities: Identities
) -> dict[str, str]:
    names = ("SASL", "TLS", "OLD")
    listeners = ",".join(f"{n}://{HOST}:{p}" for n, p in zip(names, ports, strict=True))
    good = identities.of_server()
    settings = config.kafka(ports[0], controller_port, host=HOST) | {
        "listeners": f"{listeners},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": (
            "SASL:SASL_SSL,TLS:SSL,OLD:SASL_SSL,CONTROLLER:PLAINTEXT"
        ),
        "inter.broker.listener.name": "SASL",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The controller's own listener knows nobody's name.
        "super.users": f"User:{ADMIN};User:ANONYMOUS",
    }
    for name in ("SASL", "OLD"):
        settings |= _sasl(name, identities)
    settings |= _tls("SASL", good, identities.ca)
    settings |= _tls("TLS", good, identities.ca)
    settings |= _tls("OLD", identities.of_server(expired=True), identities.ca)
    settings["listener.name.tls.ssl.client.auth"] = "required"
    settings["listener.name.tls.ssl.principal.mapping.rules"] = (
        "RULE:^CN=([^,]+).*$/$1/"
    )
    return settings


def _tls(listener: str, certificate: Certificate, ca: str) -> dict[str, str]:
    of = f"listener.name.{listener.lower()}.ssl"
    return {
        f"{of}.keystore.type": "PEM",
        f"{of}.keystore.key": certificate.key,
        f"{of}.keystore.certificate.chain": certificate.chain,
        f"{of}.truststore.type": "PEM",
        f"{of}.truststore.certificates": ca,
    }


def _sasl(listener: str, identities: Identities) -> dict[str, str]:
    of = f"listener.name.{listener.lower()}"
    module = "org.apache.kafka.common.security"
    users = " ".join(f'user_{n}="{p}"' for n, p in identities.passwords.items())
    own = f'username="{ADMIN}" password="{identities.passwords[ADMIN]}"'
    return {
        f"{of}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        f"{of}.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required {own} {users};",
        f"{of}.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
    }
