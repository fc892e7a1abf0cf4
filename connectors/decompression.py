"""Response bodies, decompressed chunk by chunk and never past a limit.

A bomb is 1,000 times smaller than what comes out of it, with Zstandard 30,000 times, so
the limit holds while the data comes out, not afterwards.
"""

from __future__ import annotations

import zlib

from collections.abc import Callable, Iterator

import brotli
import zstandard

from connectors.failures import fetch_error


#: What the client asks for; what is not here is refused.
ACCEPTED = "gzip, deflate, br, zstd"

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_HEAD_BYTES = len(_ZSTD_MAGIC)
#: RFC 9659: nobody may need more to read what is sent over HTTP.
_ZSTD_WINDOW_MAX = 8 * 1_048_576
#: The libraries take twice what they give at a time.
_PIECE = 262_144
#: A block of 4 bytes may stand for 128 kB (RFC 8878 section 3.1.1.2), and these
#: for 4 MB.
_ZSTD_INPUT = 128
#: What headers, names and blocks may take beside the data.
_OVERHEAD_MAX = 65_536
_NAMES = {"x-gzip": "gzip", "identity": "", "none": ""}


class BoundedBody:
    """Collects a body of at most ``size_max`` bytes as decompressed.

    ``encoding`` is the Content-Encoding header. What begins as a gzip or Zstandard file
    is unpacked in any case. Raises FetchRefusedError (too_large, encoding) and, from
    :meth:`finish`, FetchFailedError (connection) for what was cut short.
    """

    def __init__(self, encoding: str, size_max: int) -> None:
        codings = [_NAMES.get(one, one) for one in _tokens(encoding)]
        codings = [one for one in codings if one]
        if len(codings) > 1 or not {*codings} <= {*_tokens(ACCEPTED)}:
            raise fetch_error(
                "encoding", f"its content encoding is {', '.join(codings)[:40]!r}"
            )
        self._encoding = "".join(codings)
        self._size_max = size_max
        self._parts: list[bytes] = []
        self._size = 0
        self._received = 0
        self._head = b""
        self._decoder: _Inflate | _Brotli | _Zstandard | None = None
        self._started = False

    @property
    def held_bytes(self) -> int:
        """How much is in memory: at most one piece more than allowed."""
        return sum(map(len, self._parts))

    def expect(self, length: int) -> None:
        """Refuse at once what says that it is too large, packed or not."""
        if length > self._size_max:
            raise self._too_large()

    def feed(self, chunk: bytes) -> None:
        """Add what came from the wire."""
        if not self._started:
            self._head += chunk
            if len(self._head) < _HEAD_BYTES:
                return
            chunk = self._start()
        self._take(chunk)

    def finish(self) -> bytes:
        """Return the whole."""
        if not self._started:
            self._take(self._start())
        if self._decoder is not None and self._received and not self._decoder.done:
            raise fetch_error("connection", "the answer was cut short")
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _start(self) -> bytes:
        """Choose how to unpack by the first bytes, which servers lie about less."""
        self._started = True
        head, self._head = self._head, b""
        if head.startswith(_GZIP_MAGIC):
            self._decoder = _Inflate(_GZIP)
        elif head.startswith(_ZSTD_MAGIC):
            self._decoder = _Zstandard()
        elif self._encoding == "deflate" and head:
            # RFC 9110 section 8.4.1.2: some send the data without the zlib wrapper.
            wrapped = (
                head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head[:2]) % 31 == 0
            )
            self._decoder = _Inflate(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)
        elif self._encoding == "br":
            self._decoder = _Brotli()
        elif self._encoding == "zstd":
            self._decoder = _Zstandard()
        return head

    def _take(self, chunk: bytes) -> None:
        if self._decoder is None:
            self._keep(chunk)
            return
        self._received += len(chunk)
        if self._received > 2 * self._size_max + _OVERHEAD_MAX:
            # Empty blocks or members: it could go on for ever and come to nothing.
            raise fetch_error(
                "too_large", "its compressed form is larger than its text can be"
            )
        try:
            for piece in self._decoder.unpack(chunk, self._room):
                self._keep(piece)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise fetch_error(
                "encoding", f"it cannot be decompressed: {error}"
            ) from None

    def _room(self) -> int:
        return min(self._size_max - self._size + 1, _PIECE)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > self._size_max:
            raise self._too_large()
        if data:
            self._parts.append(data)

    def _too_large(self) -> Exception:
        return fetch_error("too_large", f"it is larger than {self._size_max:,} bytes")


class _Inflate:
    """gzip, zlib and bare deflate. Members may follow one another (RFC 1952 2.2)."""

    def __init__(self, bits: int) -> None:
        self._inflater = zlib.decompressobj(bits)

    @property
    def done(self) -> bool:
        return self._inflater.eof

    def unpack(self, chunk: bytes, room: Callable[[], int]) -> Iterator[bytes]:
        full = False
        while chunk or full:
            if self._inflater.eof:
                if not chunk.startswith(_GZIP_MAGIC):
                    return  # padding
                self._inflater = zlib.decompressobj(_GZIP)
            most = room()
            piece = self._inflater.decompress(chunk, most)
            yield piece
            # With all of the input taken there may still be output to come.
            full = len(piece) == most
            chunk = self._inflater.unconsumed_tail or self._inflater.unused_data


class _Brotli:
    """RFC 7932. What follows its end is none of it."""

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    @property
    def done(self) -> bool:
        return bool(self._decoder.is_finished())

    def unpack(self, chunk: bytes, room: Callable[[], int]) -> Iterator[bytes]:
        if self.done:
            return
        while piece := self._decoder.process(chunk, output_buffer_limit=room()):
            yield piece
            chunk = b""


class _Zstandard:
    """RFC 8878. Frames may follow one another."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX)
        self._decoder = self._context.decompressobj()

    @property
    def done(self) -> bool:
        return self._decoder.eof

    def unpack(self, chunk: bytes, room: Callable[[], int]) -> Iterator[bytes]:
        del room  # the library knows of none
        for at in range(0, len(chunk), _ZSTD_INPUT):
            piece = chunk[at : at + _ZSTD_INPUT]
            while piece:
                if self._decoder.eof:
                    self._decoder = self._context.decompressobj()
                yield self._decoder.decompress(piece)
                piece = self._decoder.unused_data


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",") if token.strip()]
