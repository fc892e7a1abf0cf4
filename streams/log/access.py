"""Who we are to the brokers, who they must be to us, and what a refusal means.

A refusal is transient (:class:`AccessRefusedError`): what mends it lies on the brokers'
side as often as on ours (a user made later, a rotation, a renewed certificate, a right
given), so a worker waits for it and says so; a command reports it and ends. A file that
cannot be used is ours alone, and a SettingsError.
"""

from __future__ import annotations

import ssl

from pathlib import Path
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from streams.errors import SettingsError
from streams.settings import Kafka


REQUEST_TIMEOUT_MS = 30_000
#: How long a broker that refuses us may take to say why.
ASKING_MAX_MS = 5_000
#: The credentials are not the brokers'.
UNKNOWN_USER = (
    AuthenticationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
#: They know who we are, and that we may not.
FORBIDDEN = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)


def connection(settings: Kafka) -> dict[str, Any]:
    """Return what every aiokafka client needs to reach the brokers."""
    return {
        "bootstrap_servers": settings.bootstrap,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        **_identity(settings),
    }


def _identity(settings: Kafka) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.security}
    if settings.security.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password,
        }
    if context := ssl_context(settings):
        options["ssl_context"] = context
    return options


def ssl_context(settings: Kafka) -> ssl.SSLContext | None:
    """Return how brokers are verified, and we by them; None without TLS.

    Raises SettingsError, which names the setting whose file cannot be used.
    """
    if not settings.security.endswith("SSL"):
        return None
    for key in ("ca_file", "cert_file", "key_file"):
        file = getattr(settings, key)
        if file and not Path(file).is_file():
            raise SettingsError(f"kafka.{key}: there is no file {file}")
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:  # ssl's among them
        raise SettingsError(
            f"kafka.ca_file {settings.ca_file} cannot be used: it must hold "
            f"certificates in PEM ({error.strerror or type(error).__name__})"
        ) from None
    if settings.cert_file:
        try:
            context.load_cert_chain(
                settings.cert_file, settings.key_file or None, password=_no_password
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise SettingsError(
                f"kafka.cert_file {settings.cert_file} (and kafka.key_file) cannot be "
                f"used: a certificate and its own key, not encrypted, in PEM ({why})"
            ) from None
    return context


def _no_password() -> str:
    """Keep OpenSSL from asking for one on the terminal."""
    return ""


async def ask_why(settings: Kafka) -> Exception | None:
    """Return why a broker does not take a connection; None if one does now.

    aiokafka tells only its log.
    """
    reason: Exception | None = None
    for host, port, _ in collect_hosts(settings.bootstrap):
        try:
            conn = await create_conn(
                host, port, request_timeout_ms=ASKING_MAX_MS, **_identity(settings)
            )
        except (OSError, KafkaError) as error:
            if explain(error):
                return error
            reason = reason or error
        else:
            conn.close()
            return None
    return reason


def explain(error: BaseException) -> str:
    """Return what to mend when *error* is a refusal; '' when it is something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _of_certificate(error)
    if isinstance(error, ssl.SSLError):
        return _of_handshake(error)
    if isinstance(error, UNKNOWN_USER):
        return (
            "the broker refuses the credentials: see kafka.username, kafka.password "
            "and kafka.sasl_mechanism"
        )
    return _of_right(error) if isinstance(error, FORBIDDEN) else ""


def _of_handshake(error: ssl.SSLError) -> str:
    if "ALERT" in (error.reason or ""):
        return (
            f"the broker refuses our certificate ({error.reason}): see "
            "kafka.cert_file and kafka.key_file"
        )
    return f"no TLS is spoken there ({error.reason}): see kafka.security"


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    why = error.verify_message
    if "ostname mismatch" in why or "IP address mismatch" in why:
        return f"{why}: kafka.bootstrap (or what the brokers advertise) must name the host as its certificate does"
    if "expired" in why or "not yet valid" in why:
        return f"the broker's certificate: {why}; renew it, or mend a clock"
    return f"the broker's certificate: {why}; kafka.ca_file must hold who signed it"


def _of_right(error: KafkaError) -> str:
    kind = {
        TopicAuthorizationFailedError: "topic",
        GroupAuthorizationFailedError: "group",
    }.get(type(error), "cluster")
    names = ", ".join(sorted(_names(error)))
    return (
        f"the user of kafka.username (or kafka.cert_file) has no right to {kind} "
        f"{names}".rstrip()
        + "; 'wirewatch topics acls' prints what each role needs"
    )


def _names(error: KafkaError) -> set[str]:
    """Return the topics or group in *error*, which holds one, or a collection."""
    return {
        str(name)
        for one in error.args
        for name in (one if isinstance(one, set | frozenset | list | tuple) else [one])
    }
