import gzip
import subprocess
import sys
import zlib

from collections.abc import Callable

import brotli
import pytest
import zstandard

from hypothesis import given, settings
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
    "br": lambda data: brotli.compress(data, quality=1),
    "zstd": zstandard.ZstdCompressor().compress,
    " identity , GZIP ": gzip.compress,
}
#: What names itself is unpacked whatever the header says.
MAGIC = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")


@given(
    st.binary(max_size=2000).filter(lambda data: not data.startswith(MAGIC)),
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


@settings(max_examples=30)
@given(st.sampled_from(sorted(ENCODERS)), st.integers(1, 9), st.integers(50, 300_000))
def test_text_that_comes_out_in_several_pieces_is_whole(
    encoding: str, unit: int, step: int
) -> None:
    data = bytes(range(unit)) * (1_000_000 // unit) + b"end"
    sent = ENCODERS[encoding](data)
    body = BoundedBody(encoding, len(data))
    step = min(step, len(sent))
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


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate", "br", "zstd"])
def test_the_limit_holds_while_data_comes_out(encoding: str) -> None:
    bomb = ENCODERS[encoding](bytes(50_000_000))
    body = BoundedBody(encoding, 10_000)
    with pytest.raises(SourceError, match="larger than 10,000 bytes"):
        body.feed(bomb)
    assert body.held_bytes <= 10_001


def test_what_fits_exactly_is_taken() -> None:
    for encoding, encode in ENCODERS.items():
        body = BoundedBody(encoding, 10_000)
        body.feed(encode(bytes(10_000)))
        assert len(body.finish()) == 10_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_cut_answer_is_no_whole_one(encoding: str) -> None:
    body = BoundedBody(encoding, 10_000)
    body.feed(ENCODERS[encoding](bytes(range(256)) * 10)[:-10])
    with pytest.raises(SourceUnavailableError, match="cut short"):
        body.finish()


def test_what_never_comes_to_anything_is_refused() -> None:
    body = BoundedBody("gzip", 10_000)
    with pytest.raises(SourceError, match="compressed form"):
        body.feed(gzip.compress(b"") * 10_000)


def test_what_says_that_it_is_too_large_is_not_waited_for() -> None:
    with pytest.raises(SourceError, match="larger than 10,000 bytes"):
        BoundedBody("gzip", 10_000).expect(10_001)
    BoundedBody("gzip", 10_000).expect(10_000)


def test_several_encodings_over_one_another_are_refused() -> None:
    with pytest.raises(SourceError, match="'gzip, br'"):
        BoundedBody("gzip, br", 100)


def test_a_zstandard_window_over_8_mb_is_refused() -> None:
    """RFC 9659: whoever wants more of the reader's memory gets nothing."""
    parameters = zstandard.ZstdCompressionParameters(window_log=24, enable_ldm=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = BoundedBody("zstd", 100_000_000)
    with pytest.raises(SourceError, match="cannot be decompressed"):
        body.feed(packer.compress(bytes(20_000_000)) + packer.flush())


BOMBS = r"""
import sys, zlib
from pathlib import Path
from connectors.decompression import BoundedBody
from connectors.failures import FetchRefusedError
import brotli
kind, size_max = sys.argv[1], 10_000_000
if kind == "zstd":  # a frame without a size, blocks that repeat a byte: 4 bytes for 128 kB
    block = (131_072 << 3 | 0b010).to_bytes(3, "little") + b"x"
    bomb = b"\x28\xb5\x2f\xfd\x00\x58" + block * 80_000  # 10 GB in 320 kB
elif kind == "br":
    packer = brotli.Compressor(quality=1)
    bomb = b"".join(packer.process(bytes(1_000_000)) for _ in range(100)) + packer.finish()
else:
    wbits = {"gzip": 31, "deflate": 15}[kind]
    packer = zlib.compressobj(1, wbits=wbits)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()
def peak_kb():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
before = peak_kb()
body = BoundedBody(kind, size_max)
try:
    for at in range(0, len(bomb), 65_536):
        body.feed(bomb[at:at + 65_536])
except FetchRefusedError as error:
    print(error.failure.kind, peak_kb() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("kind", ["gzip", "deflate", "br", "zstd"])
def test_bombs_cost_little_more_memory_than_the_limit(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, kind],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    failure, kilobytes = done.stdout.split()
    assert failure == "too_large"
    assert int(kilobytes) < 20_000


def test_garbage_and_unknown_encodings_are_refused() -> None:
    body = BoundedBody("gzip", 100)
    with pytest.raises(SourceError, match="cannot be decompressed"):
        body.feed(b"\x1f\x8b" + b"garbage" * 10)
    with pytest.raises(SourceError, match="'compress'"):
        BoundedBody("compress", 100)
