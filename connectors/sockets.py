"""Sockets that are judged by the address they will be connected to, and counted."""

from __future__ import annotations

import errno
import socket

from weakref import WeakSet

from aiohttp.connector import AddrInfoType

from connectors.addresses import is_public


class AddressRefusedError(OSError):
    """A name leads to an address that is not of the public internet."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "not a public address")


class Sockets:
    """Makes the sockets of one client; ``len()`` is how many of them are open."""

    def __init__(self) -> None:
        self._open: WeakSet[socket.socket] = WeakSet()

    def __len__(self) -> int:
        return len(self._open)

    def to_public(self, info: AddrInfoType) -> socket.socket:
        """Return a socket for an address; AddressRefusedError if it is not public."""
        if not is_public(str(info[4][0])):
            raise AddressRefusedError
        return self.to_any(info)

    def to_any(self, info: AddrInfoType) -> socket.socket:
        """Return a socket for an address."""
        family, kind, protocol, _, _ = info
        made = _Counted(family, kind, protocol)
        made.counted_in = self._open
        self._open.add(made)
        return made


class _Counted(socket.socket):
    counted_in: WeakSet[socket.socket]

    def close(self) -> None:
        self.counted_in.discard(self)
        super().close()
