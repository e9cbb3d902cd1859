"""gzip and zstd are inflated in bounded steps; broken streams are refused in clear words."""

import gzip

import pytest
import zstandard

from pgsluice.ingest.body import as_text
from pgsluice.ingest.compression import capped, content_codings, inflate, inflate_file
from pgsluice.ingest.errors import BadOption, MalformedBody, TooLarge
from pgsluice.ingest.format import CompressionName

from .stage import split
from .streams import collect, stream

TEXT = b"".join(b"%d,some text\n" % i for i in range(50_000))
BOTH = pytest.mark.parametrize("name", ["gzip", "zstd"])


def pack(name: CompressionName, data: bytes) -> bytes:
    """The data compressed."""
    return gzip.compress(data) if name == "gzip" else zstandard.compress(data)


@BOTH
@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
async def test_what_was_compressed_comes_back(name: CompressionName, size: int) -> None:
    text = TEXT[:20_000] if size == 1 else TEXT
    assert await collect(inflate(stream(split(pack(name, text), [size])), name)) == text


@BOTH
@pytest.mark.parametrize("size", [7, 1 << 20])
async def test_several_members_are_one_file(name: CompressionName, size: int) -> None:
    data = pack(name, b"a\n") + pack(name, b"") + pack(name, b"b\n")
    assert await collect(inflate(stream(split(data, [size])), name)) == b"a\nb\n"


async def test_padding_behind_gzip_is_ignored() -> None:
    assert await collect(inflate(stream([gzip.compress(b"a") + b"\0\0", b"\0"]), "gzip")) == b"a"


@BOTH
@pytest.mark.parametrize("keep", [0, 1, 10, 0.5, -1])
async def test_a_truncated_stream_is_refused(name: CompressionName, keep: float) -> None:
    data = pack(name, TEXT)
    cut = data[: int(len(data) * keep) if isinstance(keep, float) else keep]
    with pytest.raises(MalformedBody, match="cut off"):
        await collect(inflate(stream([cut]), name))


@BOTH
async def test_a_corrupt_stream_is_refused(name: CompressionName) -> None:
    data = bytearray(pack(name, TEXT))
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    with pytest.raises(MalformedBody, match=r"cannot be read|cut off"):
        await collect(inflate(stream([bytes(data)]), name))
    with pytest.raises(MalformedBody, match="is corrupt"):
        await collect(inflate(stream([b"hello, this is no compressed file"]), name))


@BOTH
async def test_a_bomb_is_stopped_and_never_held(name: CompressionName) -> None:
    bomb = pack(name, bytes(200_000_000))
    steps = [len(step) async for step in inflate(stream([bomb]), name)]
    assert sum(steps) == 200_000_000
    assert max(steps) <= 16 << 20
    with pytest.raises(TooLarge, match="more than 1000000 bytes"):
        await collect(capped(inflate(stream([bomb]), name), 1_000_000))


async def test_a_zstd_window_that_is_too_large_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = compressor.compress(b"x" * 1000) + compressor.flush()
    with pytest.raises(MalformedBody, match="window"):
        await collect(inflate(stream([data]), "zstd"))


@BOTH
async def test_compression_by_header_by_name_by_bytes_and_twice(name: CompressionName) -> None:
    once = pack(name, TEXT)
    twice = pack("gzip", once)
    assert await collect(as_text(stream([once]), compression=name)) == TEXT
    assert await collect(as_text(stream([once]))) == TEXT
    assert await collect(as_text(stream([once]), content_encoding=name)) == TEXT
    assert await collect(as_text(stream([once]), content_encoding=name, compression=name)) == TEXT
    both = as_text(stream([twice]), content_encoding="gzip", compression=name)
    assert await collect(both) == TEXT
    assert await collect(as_text(stream([twice]), content_encoding=f"{name}, gzip")) == TEXT


async def test_a_name_that_lies_is_refused() -> None:
    with pytest.raises(MalformedBody, match="the file name says gzip"):
        await collect(inflate_file(stream([b"a,b\n"]), "gzip"))


async def test_an_empty_body_is_empty_text() -> None:
    assert await collect(as_text(stream([]))) == b""


def test_codings_that_are_not_known_are_refused() -> None:
    assert content_codings(None) == []
    assert content_codings("identity, X-GZIP ,zstd") == ["gzip", "zstd"]
    with pytest.raises(BadOption, match="'br' is not known"):
        content_codings("br")
