"""Bytes that must be read in another order than they come: in a file without a name.

The system frees it when its last handle closes, however the process ends.
"""

import errno
import os
import tempfile
from typing import IO

from .errors import NoRoom

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def unnamed_file() -> IO[bytes]:
    """A new file in TMPDIR that no directory lists."""
    try:
        return tempfile.TemporaryFile(prefix="pgsluice-")
    except OSError as error:
        raise no_room(error) from error


def no_room(error: OSError) -> NoRoom:
    """Why a temporary file cannot be written, and what helps."""
    reason = "the disk is full" if error.errno in _FULL else str(error.strerror or error)
    return NoRoom(
        f"there is no room for a temporary file in {tempfile.gettempdir()}: {reason}; free some, "
        "or set TMPDIR where the service runs"
    )


def write(file: IO[bytes], data: bytes) -> None:
    """Append to a temporary file; NoRoom when the disk is full."""
    try:
        file.write(data)
    except OSError as error:
        raise no_room(error) from error


def flush(file: IO[bytes]) -> None:
    """Have all that was written where it can be read by its place."""
    try:
        file.flush()
    except OSError as error:
        raise no_room(error) from error


class Table:
    """Byte strings by number, on disk: however many there are, memory stays as it is."""

    def __init__(self) -> None:
        self._texts = unnamed_file()
        self._places = unnamed_file()
        self._size = 0
        self.count = 0

    def add(self, text: bytes) -> None:
        """Append one."""
        write(self._texts, text)
        self._size += len(text)
        write(self._places, self._size.to_bytes(8, "little"))
        self.count += 1

    def seal(self) -> None:
        """No more will come; now they can be read."""
        flush(self._texts)
        flush(self._places)

    def get(self, number: int) -> bytes:
        """One of them; IndexError when there is none of this number."""
        if not 0 <= number < self.count:
            raise IndexError(number)
        start, places = 0, self._places.fileno()
        if number:
            both = os.pread(places, 16, 8 * (number - 1))
            start, end = int.from_bytes(both[:8], "little"), int.from_bytes(both[8:], "little")
        else:
            end = int.from_bytes(os.pread(places, 8, 0), "little")
        return os.pread(self._texts.fileno(), end - start, start)

    def close(self) -> None:
        """Give the room back."""
        self._texts.close()
        self._places.close()
