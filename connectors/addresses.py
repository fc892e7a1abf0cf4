"""Which addresses the outside world is allowed to send us to.

Pure. A name is not judged, only the address that a socket is about to connect to, so
neither DNS rebinding nor an odd spelling (``127.1``, ``0x7f000001``) gets around it.
"""

from __future__ import annotations

import re

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address


#: The only IPv6 space that is routed on the internet (RFC 4291 section 2.4).
GLOBAL_UNICAST = IPv6Network("2000::/3")
#: IPv4 inside IPv6 (RFC 6052 section 2.1).
NAT64 = IPv6Network("64:ff9b::/96")

_PATTERN = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(\d+))?|([0-9a-f:.]*)")


class PrivateHosts:
    """The hosts whose addresses may be private: ``http.allow_private``.

    Each is a name or an address, ``*.`` before a name for all names under it, with or
    without a port (``127.0.0.1:8080``, ``[::1]:8080``, ``*.intranet.example``).
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._hosts: set[tuple[str, str]] = set()
        for pattern in patterns:
            if match := _PATTERN.fullmatch(pattern.strip().lower()):
                host, port, bare = match.groups("")
                name = (bare or host).strip("[]").rstrip(".")
                self._hosts.add((name, port))
        self._hosts.discard(("", ""))

    def holds(self, host: str, port: int) -> bool:
        """Return whether *host* (an IPv6 address without brackets) may be private."""
        if not self._hosts:
            return False
        name = host.lower().rstrip(".")
        is_address = ":" in name or name[-1:].isdecimal()
        labels = [] if is_address else name.split(".")
        names = [name]
        names += ["*." + ".".join(labels[at:]) for at in range(1, len(labels))]
        return any((one, p) in self._hosts for one in names for p in ("", str(port)))


def is_public(address: str) -> bool:
    """Return whether *address*, as in a socket address, is one of the public internet.

    False for private, loopback, link-local (cloud metadata too), shared (CGNAT),
    multicast, reserved and unspecified addresses, for IPv4 of that kind inside IPv6, and
    for what is no address at all.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        embedded = _embedded(parsed)
        if embedded is not None:
            return is_public(str(embedded))
        return parsed in GLOBAL_UNICAST and parsed.is_global
    return parsed.is_global and not parsed.is_multicast


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to *address* end up at, if any."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
