"""A .parquet upload: put by on disk, then read by a program of its own, batch by batch."""

import os
import select
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from ..parquet.child import Child, require
from ..parquet.frames import Frame, Options
from .errors import MalformedBody, TooLarge
from .format import PARQUET
from .pieces import MAX_RECORD_BYTES, Piece
from .spool import flush
from .spooled import NOTHING, TELL_SECONDS, SpooledReader

# Programs at once in a process, each with up to a gigabyte if the file is made for that.
_PLACES = threading.BoundedSemaphore(4)
_HEAD = 16 * 1024 * 1024
_NO_PARQUET = (
    "the file is no Parquet file: send the whole file as it was written, or say its format"
)


class ParquetOptions(msgspec.Struct, frozen=True):
    """What an upload says of its values."""

    null: str = ""
    point: str = "."
    max_bytes: int = 0


class ParquetReader(SpooledReader):
    """Reads a Parquet file; each row is a record of CSV, and nested values are JSON."""

    def __init__(self, options: ParquetOptions, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        """ProblemError where the extra is not installed."""
        require()
        super().__init__()
        self._options = options
        self._max = max_record_bytes
        self._head = b""
        self._child: Child | None = None
        self._has_place = False
        self._waiting = bytearray()
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Put bytes by; MalformedBody at once for what is no Parquet."""
        if len(self._head) < len(PARQUET):
            self._head += chunk[: len(PARQUET) - len(self._head)]
            if not PARQUET.startswith(self._head):
                raise MalformedBody(_NO_PARQUET)
        return super().feed(chunk)

    def _find_header(self) -> Iterator[Piece]:
        if self._head != PARQUET:
            raise MalformedBody(_NO_PARQUET)
        flush(self._file)
        self._file.seek(0)
        while not self._take_place():
            yield NOTHING
        number = self._file.fileno()
        asked = Options(number, self._options.null, self._options.point, self._max)
        self._child = Child("read", msgspec.json.encode(asked).decode(), files=(number,))
        for frame in self._frames(self._child):
            if frame is not None and frame.header is not None:
                self.header = frame.header
                return
            yield NOTHING

    def _take_place(self) -> bool:
        """Wait for a place, but no longer than a second."""
        self._has_place = _PLACES.acquire(timeout=TELL_SECONDS)
        return self._has_place

    def _records(self) -> Iterator[Piece]:
        child = self._child
        if child is None:
            return
        with suppress(BrokenPipeError):
            child.input.write(f"{self._shape}\n".encode())
        for frame in self._frames(child):
            if frame is None:
                yield NOTHING
            elif frame.ended:
                return
            else:
                yield self._piece(child, frame)

    def _piece(self, child: Child, frame: Frame) -> Piece:
        self._size += frame.size
        if 0 < self._options.max_bytes < self._size:
            raise TooLarge(
                f"the file has more than {self._options.max_bytes} bytes once it is unpacked: "
                "split it, or raise SLUICE_MAX_UPLOAD_BYTES"
            )
        while len(self._waiting) < frame.size:
            self._more(child)
        data = bytes(self._waiting[: frame.size])
        del self._waiting[: frame.size]
        self.line = frame.row + frame.records
        # the line of a row is its number
        lines = [] if frame.marked else [(0, frame.row)]
        return Piece(data, frame.marked, frame.records, frame.malformed, lines)

    def _frames(self, child: Child) -> Iterator[Frame | None]:
        """What the program says; None when a second has gone without a word."""
        while True:
            end = self._waiting.find(b"\n")
            if end >= 0:
                frame = msgspec.json.decode(self._waiting[:end], type=Frame)
                del self._waiting[: end + 1]
                yield frame
            elif len(self._waiting) > _HEAD:
                raise MalformedBody(
                    f"the names of the file's columns are longer than {_HEAD} bytes"
                )
            elif select.select([child.output], [], [], TELL_SECONDS)[0]:
                self._more(child)
            else:
                yield None

    def _more(self, child: Child) -> None:
        data = os.read(child.output.fileno(), 1024 * 1024)
        if not data:
            why = child.refusal() or "the program that does it stopped"
            raise MalformedBody(f"the file cannot be read as Parquet: {why}")
        self._waiting += data

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()

    def _close_files(self) -> None:
        if self._child is not None:
            self._child.close()
        if self._has_place:
            self._has_place = False
            _PLACES.release()
        super()._close_files()
