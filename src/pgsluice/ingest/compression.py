"""gzip and zstd, inflated while they stream and never held whole."""

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Protocol

import zstandard

from .errors import BadOption, MalformedBody, TooLarge
from .format import CompressionName

STEP = 1024 * 1024
# A zstd block of 4 bytes can stand for 128 KB: so small a slice of input bounds a step to 16 MB.
_ZSTD_SLICE = 512
_ZSTD_WINDOW = 32 * 1024 * 1024

_MAGIC: dict[bytes, CompressionName] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CODINGS = {"gzip": "gzip", "x-gzip": "gzip", "zstd": "zstd"}


class Inflater(Protocol):
    """One compressed stream; pushes bytes out in bounded steps."""

    def feed(self, chunk: bytes) -> Iterator[bytes]: ...

    @property
    def ended(self) -> bool:
        """True where the stream may stop."""


class GzipInflater:
    """gzip, of one member or several."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.ended = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yields the inflated bytes, at most 1 MB at a time."""
        while chunk:
            if self.ended:
                # Behind the last member there may be padding.
                chunk = chunk.lstrip(b"\0") if self._stream.eof else chunk
                if not chunk:
                    return
                self._stream = zlib.decompressobj(wbits=31)
                self.ended = False
            yield self._stream.decompress(chunk, STEP)
            chunk = self._stream.unconsumed_tail
            if self._stream.eof:
                chunk, self.ended = self._stream.unused_data, True
        # zlib may hold back output that the last step had no room for.
        while not self.ended and (data := self._stream.decompress(b"", STEP)):
            yield data
            self.ended = self._stream.eof


class ZstdInflater:
    """zstd, of one frame or several."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._stream = self._decompressor.decompressobj()
        self.ended = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yields the inflated bytes, at most 16 MB at a time."""
        for start in range(0, len(chunk), _ZSTD_SLICE):
            rest = chunk[start : start + _ZSTD_SLICE]
            while rest:
                if self.ended:
                    self._stream = self._decompressor.decompressobj()
                    self.ended = False
                yield self._stream.decompress(rest)
                rest = b""
                if self._stream.eof:
                    rest, self.ended = self._stream.unused_data, True


_INFLATERS: dict[str, type[GzipInflater] | type[ZstdInflater]] = {
    "gzip": GzipInflater,
    "zstd": ZstdInflater,
}


def content_codings(header: str | None) -> list[CompressionName]:
    """The Content-Encoding header as a list, in the order applied; BadOption for others."""
    names = [name.strip().lower() for name in (header or "").split(",")]
    codings: list[CompressionName] = []
    for name in names:
        if name in ("", "identity"):
            continue
        if name not in _CODINGS:
            raise BadOption(f"Content-Encoding {name!r} is not known: send gzip, zstd or none")
        codings.append("zstd" if name == "zstd" else "gzip")
    return codings


async def inflate(chunks: AsyncIterable[bytes], encoding: CompressionName) -> AsyncIterator[bytes]:
    """The bytes inflated, in bounded steps.

    Raises MalformedBody when the stream is corrupt or stops before its end.
    """
    stream, seen = _INFLATERS[encoding](), False
    try:
        async for chunk in chunks:
            seen = seen or bool(chunk)
            for data in stream.feed(chunk):
                if data:
                    yield data
    except (zlib.error, zstandard.ZstdError) as error:
        raise MalformedBody(f"the {encoding} data cannot be read: {_reason(error)}") from error
    if not stream.ended or not seen:
        raise MalformedBody(
            f"the {encoding} data stops before its end: it was cut off; send the whole file again"
        )


def _reason(error: Exception) -> str:
    text = str(error)
    if "memory" in text.lower() or "window" in text.lower():
        return "its window is larger than 32 MB; compress it without --long or --ultra"
    return f"it is corrupt, or is not compressed so ({text})"


async def inflate_file(
    chunks: AsyncIterable[bytes], named: CompressionName | None, *, encoded: bool = False
) -> AsyncIterator[bytes]:
    """A file inflated when its first bytes say that it is compressed, else as it is.

    `named` is what its name says. `encoded`: a Content-Encoding was taken off already, and
    may have been the compression that the name speaks of.
    """
    head = b""
    source = aiter(chunks)
    async for chunk in source:
        head += chunk
        if len(head) >= 4:
            break
    found = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if named and not found and not encoded:
        raise MalformedBody(
            f"the file name says {named}, but the bytes are not: compress the file, or rename it"
        )
    whole = chain(head, source)
    async for data in inflate(whole, found) if found else whole:
        yield data


async def chain(head: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What was read already, and then the rest."""
    if head:
        yield head
    async for chunk in rest:
        yield chunk


async def capped(chunks: AsyncIterable[bytes], limit: int) -> AsyncIterator[bytes]:
    """The same bytes; raises TooLarge when there are more than `limit` (0: no limit)."""
    seen = 0
    async for chunk in chunks:
        seen += len(chunk)
        if limit and seen > limit:
            raise TooLarge(
                f"the upload has more than {limit} bytes (after decompression): split it, or "
                "raise SLUICE_MAX_UPLOAD_BYTES"
            )
        yield chunk
