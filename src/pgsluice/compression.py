"""Compressing what leaves: a stream on its way, or a file with one or several parts."""

import zipfile
import zlib
from datetime import UTC, datetime
from typing import IO, Protocol

import zstandard

# Text shrinks to a fifth at this level, at several times the speed of the default.
_LEVEL = 3


class Compressor(Protocol):
    """What takes blocks and gives blocks."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def compressor(coding: str | None) -> Compressor | None:
    """For gzip or zstd; None for anything else: the bytes as they are."""
    if coding == "gzip":
        return zlib.compressobj(level=_LEVEL, wbits=31)
    if coding == "zstd":
        return zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    return None


class Packing(Protocol):
    """A file that is put together from parts; each call returns the bytes that are ready."""

    def begin(self, name: str) -> bytes:
        """The part of this name comes next."""

    def add(self, block: bytes) -> bytes:
        """A block of the part."""

    def end(self) -> bytes:
        """The last part was whole."""


def packing(encoding: str) -> Packing:
    """By the name that SQL gives it: none, gzip, zstd, zip or zip stored."""
    if encoding.startswith("zip"):
        return Zip(is_stored=encoding == "zip stored")
    return _Single(compressor(encoding))


class _Single:
    def __init__(self, compressor: Compressor | None) -> None:
        self._compressor = compressor

    def begin(self, name: str) -> bytes:  # noqa: ARG002 a single file has no name inside
        return b""

    def add(self, block: bytes) -> bytes:
        return self._compressor.compress(block) if self._compressor else block

    def end(self) -> bytes:
        return self._compressor.flush() if self._compressor else b""


class _ZipFile(zipfile.ZipFile):
    def __del__(self) -> None:
        """One that is given up in the middle of a part has nothing to close, and no complaint."""


class Zip:
    """Parts as entries of a zip that is never held whole."""

    def __init__(self, *, is_stored: bool = False, is_large: bool = True) -> None:
        """`is_large`: an entry may have more than 2 GB, which some programs cannot read."""
        self._out = _Out()
        self._is_large = is_large
        method = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
        # typeshed wants a stream that can seek and tell; zipfile does without when writing
        self._zip = _ZipFile(self._out, "w", method, compresslevel=_LEVEL)  # type: ignore[call-overload]
        self._part: IO[bytes] | None = None

    def begin(self, name: str) -> bytes:
        """The entry of this name comes next."""
        self._close()
        about = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
        about.compress_type = self._zip.compression
        about.external_attr = 0o644 << 16
        # Its size is not known yet, and may be beyond what an old zip can hold.
        self._part = self._zip.open(about, "w", force_zip64=self._is_large)
        return self._out.take()

    def add(self, block: bytes) -> bytes:
        """A block of the entry."""
        if self._part is not None:
            self._part.write(block)
        return self._out.take()

    def end(self) -> bytes:
        """The last entry was whole."""
        self._close()
        self._zip.close()
        return self._out.take()

    def _close(self) -> None:
        if self._part is not None:
            self._part.close()


class _Out:
    """A file that cannot seek: what is written waits to be taken."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken
