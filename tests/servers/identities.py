"""Who is who on a broker with security: an authority, certificates, users with passwords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from cryptography.hazmat.primitives import serialization


HOST = "127.0.0.1"
ADMIN = "admin"


@dataclass(frozen=True)
class Certificate:
    """A key (PKCS #8, which is all that Kafka reads) and its chain, in PEM."""

    key: str
    chain: str

    def files(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write both into *folder*; return the chain's file and the key's."""
        chain, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        chain.write_text(self.chain)
        key.write_text(self.key)
        return chain, key


@dataclass(frozen=True)
class Identities:
    """The people and programs of one test, with the authority that vouches for them."""

    #: Of each user, its password; *admin* may do everything.
    passwords: Mapping[str, str]
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def ca(self) -> str:
        """The authority's certificate, in PEM."""
        return self.authority.cert_pem.bytes().decode()

    def of_server(self, *, expired: bool = False) -> Certificate:
        """Return a certificate for the host of the tests, by its address alone."""
        now = datetime.now(UTC)
        end = now - timedelta(days=1) if expired else now + timedelta(days=30)
        begin = now - timedelta(days=2)
        leaf = self.authority.issue_cert(HOST, not_before=begin, not_after=end)
        return _certificate(leaf)

    def of_user(self, name: str) -> Certificate:
        """Return a certificate by which *name* is known."""
        # Java reads no certificate whose list of other names is empty.
        leaf = self.authority.issue_cert(f"{name}.example.org", common_name=name)
        return _certificate(leaf)


def _certificate(leaf: trustme.LeafCert) -> Certificate:
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
    return Certificate(pem.decode(), chain)
