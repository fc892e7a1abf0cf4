import gzip
import zlib

from collections.abc import Callable

import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.decompression import BoundedBody
from streams.errors import SourceError, SourceUnavailableError


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "identity": lambda data: data,
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
}


@given(
    st.binary(max_size=2000).filter(lambda data: not data.startswith(b"\x1f\x8b")),
    st.sampled_from(sorted(ENCODERS)),
    st.integers(1, 50),
)
def test_any_split_of_any_encoding_gives_the_data(
    data: bytes, encoding: str, step: int
) -> None:
    sent = ENCODERS[encoding](data)
    body = BoundedBody(encoding, 2000)
    for at in range(0, len(sent), step):
        body.feed(sent[at : at + step])
    assert body.finish() == data


def test_deflate_without_its_wrapper_and_many_members_are_read() -> None:
    body = BoundedBody("deflate", 100)
    body.feed(raw_deflate(b"text"))
    assert body.finish() == b"text"
    body = BoundedBody("gzip", 100)
    body.feed(gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0\0")
    assert body.finish() == b"one two"


def test_a_gzip_file_is_unpacked_though_nobody_said_so() -> None:
    body = BoundedBody("", 100)
    body.feed(gzip.compress(b"text"))
    assert body.finish() == b"text"


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_the_limit_holds_while_data_comes_out(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(50_000_000))
    body = BoundedBody(encoding, 10_000)
    with pytest.raises(SourceError, match="larger than 10,000 bytes"):
        body.feed(bomb)
    assert body.held_bytes <= 10_001


def test_what_fits_exactly_is_taken() -> None:
    body = BoundedBody("gzip", 10_000)
    body.feed(gzip.compress(bytes(10_000)))
    assert len(body.finish()) == 10_000


def test_a_cut_answer_is_no_whole_one() -> None:
    body = BoundedBody("gzip", 10_000)
    body.feed(gzip.compress(b"text" * 100)[:-10])
    with pytest.raises(SourceUnavailableError, match="cut short"):
        body.finish()


def test_what_never_comes_to_anything_is_refused() -> None:
    body = BoundedBody("gzip", 10_000)
    with pytest.raises(SourceError, match="compressed form"):
        body.feed(gzip.compress(b"") * 10_000)


def test_garbage_and_unknown_encodings_are_refused() -> None:
    body = BoundedBody("gzip", 100)
    with pytest.raises(SourceError, match="cannot be decompressed"):
        body.feed(b"\x1f\x8b" + b"garbage" * 10)
    with pytest.raises(SourceError, match="'compress'"):
        BoundedBody("compress", 100)
