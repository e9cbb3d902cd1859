"""Files that cannot be read before their end has come: put by on disk, then read row by row."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator

from .pieces import Piece
from .rows import DELIMITER
from .spool import unnamed_file, write

# Whoever waits for pieces has other things to do too, such as telling that it is alive.
TELL_SECONDS = 1.0
NOTHING = Piece(b"", False, 0, 0, [])


class SpooledReader(ABC):
    """Reads a file as CsvReader reads text: the header, then, after `start`, records.

    All work but `feed` is done by the iterators of `close`, which may be in another thread when
    `dispose` is called: the files then go as soon as that has stopped.
    """

    def __init__(self) -> None:
        self.header: list[str] | None = None
        self.delimiter = DELIMITER
        self.line = 1
        self._lock = threading.Lock()
        self._gone = False
        self._file = unnamed_file()
        self._shape = "cells"

    def waits(self, size: int) -> bool:  # noqa: ARG002 as other readers have it
        """False: even to put bytes by may take long on a slow disk."""
        return False

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Put bytes by; yields nothing."""
        write(self._file, chunk)
        yield from ()

    def start(self, shape: str) -> Iterator[Piece]:
        """Go on behind the header, for a stage of this shape ("cells" or "array")."""
        self._shape = shape
        yield from ()

    def close(self) -> Iterator[Piece]:
        """Read up to the header; called again, to the end. Yields empty pieces while it works."""
        pieces = self._find_header() if self.header is None else self._records()
        while (piece := self._step(pieces)) is not None:
            yield piece

    def dispose(self) -> None:
        """Give the files back, now or when the step under way has ended."""
        self._gone = True
        self._stop()
        if self._lock.acquire(blocking=False):
            try:
                self._close_files()
            finally:
                self._lock.release()

    @abstractmethod
    def _find_header(self) -> Iterator[Piece]:
        """Read up to the header."""

    @abstractmethod
    def _records(self) -> Iterator[Piece]:
        """Read from there to the end."""

    def _stop(self) -> None:  # noqa: B027 a reader that works in this process sees _gone
        """Have the step under way end soon."""

    def _close_files(self) -> None:
        self._file.close()

    def _step(self, pieces: Iterator[Piece]) -> Piece | None:
        with self._lock:
            try:
                return None if self._gone else next(pieces, None)
            finally:
                if self._gone:
                    self._close_files()
