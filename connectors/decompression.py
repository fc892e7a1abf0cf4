"""Response bodies, decompressed chunk by chunk and never past a limit.

A bomb is 1,000 times smaller than what comes out of it, so the limit holds while the
data comes out, not afterwards.
"""

from __future__ import annotations

import zlib

from streams.errors import SourceError, SourceUnavailableError


#: What the client asks for; what is not here is refused.
ACCEPTED = "gzip, deflate"

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
#: What headers, names and blocks may take beside the data.
_OVERHEAD_MAX = 65_536


class BoundedBody:
    """Collects a body of at most ``size_max`` bytes as decompressed.

    ``encoding`` is the Content-Encoding header. A gzip file is unpacked in any case.
    Raises SourceError for what is too large or not in its encoding.
    """

    def __init__(self, encoding: str, size_max: int) -> None:
        self._encoding = encoding.strip().lower().removeprefix("x-")
        if self._encoding not in {"", "identity", "gzip", "deflate"}:
            raise SourceError(f"its content encoding is {self._encoding[:40]!r}")
        self._size_max = size_max
        self._parts: list[bytes] = []
        self._size = 0
        self._received = 0
        self._head = b""
        self._started = False
        self._inflater: zlib._Decompress | None = None

    @property
    def held_bytes(self) -> int:
        """How much is in memory: at most one byte more than allowed."""
        return sum(map(len, self._parts))

    def feed(self, chunk: bytes) -> None:
        """Add what came from the wire."""
        if not self._started:
            self._head += chunk
            if len(self._head) < len(_GZIP_MAGIC):
                return
            chunk = self._start()
        self._take(chunk)

    def finish(self) -> bytes:
        """Return the whole; SourceUnavailableError if it was cut short."""
        if not self._started:
            self._take(self._start())
        if self._inflater is not None and self._size and not self._inflater.eof:
            raise SourceUnavailableError("the answer was cut short")
        return b"".join(self._parts)

    def _start(self) -> bytes:
        """Choose how to unpack by the first two bytes, which servers lie about less."""
        self._started = True
        head, self._head = self._head, b""
        if head.startswith(_GZIP_MAGIC):
            self._inflater = zlib.decompressobj(_GZIP)
        elif self._encoding == "deflate" and head:
            # RFC 9110 section 8.4.1.2: some send the data without the zlib wrapper.
            wrapped = (
                head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2]) % 31 == 0
            )
            bits = zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
            self._inflater = zlib.decompressobj(bits)
        return head

    def _take(self, chunk: bytes) -> None:
        if self._inflater is None:
            self._keep(chunk)
            return
        self._received += len(chunk)
        if self._received > 2 * self._size_max + _OVERHEAD_MAX:
            # Empty blocks or members: it could go on for ever and come to nothing.
            raise SourceError("its compressed form is larger than its text can be")
        while chunk:
            if self._inflater.eof:
                # Members may follow one another (RFC 1952 section 2.2); padding may too.
                if not chunk.startswith(_GZIP_MAGIC):
                    return
                self._inflater = zlib.decompressobj(_GZIP)
            room = self._size_max - self._size + 1
            try:
                self._keep(self._inflater.decompress(chunk, room))
            except zlib.error as error:
                raise SourceError(f"it cannot be decompressed: {error}") from None
            chunk = self._inflater.unconsumed_tail or self._inflater.unused_data

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._size_max:
            raise SourceError(f"it is larger than {self._size_max:,} bytes")
        self._parts.append(data)
