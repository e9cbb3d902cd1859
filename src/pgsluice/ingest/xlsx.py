"""An .xlsx upload: put by on disk, then read row by row, as CSV is from there on."""

import threading
import time
from collections.abc import Iterator

import msgspec

from .errors import MalformedBody
from .package import Package
from .pieces import MAX_RECORD_BYTES, Piece
from .rows import DELIMITER, RowBatch
from .sheet import Row, SheetParser, rows_of
from .spool import flush, unnamed_file, write
from .workbook import Strings, Workbook

# Whoever waits for pieces has other things to do too, such as telling that it is alive.
_TELL_SECONDS = 1.0
_NOTHING = Piece(b"", False, 0, 0, [])


class SheetOptions(msgspec.Struct, frozen=True):
    """What an upload says of its sheet."""

    name: str | None = None
    point: str = "."
    max_bytes: int = 0


class XlsxReader:
    """Reads a sheet as CsvReader reads text: the header, then, after `start`, records.

    All work but `feed` is done by the iterators of `close`, which may be in another thread when
    `dispose` is called: the files then go as soon as that has stopped.
    """

    def __init__(
        self,
        options: SheetOptions,
        null: str = "",
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        self.header: list[str] | None = None
        self.delimiter = DELIMITER
        self.line = 1
        self._options = options
        self._null = null
        self._max = max_record_bytes
        self._lock = threading.Lock()
        self._gone = False
        self._file = unnamed_file()
        self._package: Package | None = None
        self._strings: Strings | None = None
        self._rows: Iterator[Row | None] = iter(())
        self._columns: list[int] = []
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
        if self._lock.acquire(blocking=False):
            try:
                self._close_files()
            finally:
                self._lock.release()

    def _step(self, pieces: Iterator[Piece]) -> Piece | None:
        with self._lock:
            try:
                return None if self._gone else next(pieces, None)
            finally:
                if self._gone:
                    self._close_files()

    def _close_files(self) -> None:
        for open_one in (self._strings, self._package, self._file):
            if open_one is not None:
                open_one.close()

    def _find_header(self) -> Iterator[Piece]:
        flush(self._file)
        self._file.seek(0)
        package = self._package = Package(self._file, self._options.max_bytes)
        book = Workbook(package)
        path = book.sheet(self._options.name)
        strings = self._strings = book.strings()
        for _ in self._paced(strings.read()):
            yield _NOTHING
        parser = SheetParser(book, strings, self._options.point, self._max)
        self._rows = self._one_by_one(rows_of(package, path, parser))
        for row in self._rows:
            if row is not None:
                self._take_header(row)
                return
            yield _NOTHING
        raise MalformedBody(
            "the sheet is empty: its first row must name the columns; another sheet is named by "
            "sheet=NAME"
        )

    def _take_header(self, row: Row) -> None:
        self.line, cells = row[0] + 1, row[1]
        self._columns = sorted(cells)
        self.header = [cells[column] for column in self._columns]

    def _paced(self, work: Iterator[None]) -> Iterator[None]:
        """Go through with it; yields each second."""
        until = time.monotonic() + _TELL_SECONDS
        for _ in work:
            if self._gone:
                return
            if time.monotonic() > until:
                yield
                until = time.monotonic() + _TELL_SECONDS

    def _one_by_one(self, some: Iterator[list[Row]]) -> Iterator[Row | None]:
        """Each row; None when a second has gone without one."""
        until = time.monotonic() + _TELL_SECONDS
        for rows in some:
            yield from rows
            if self._gone:
                return
            if not rows and time.monotonic() > until:
                yield None
            if rows or time.monotonic() > until:
                until = time.monotonic() + _TELL_SECONDS

    def _records(self) -> Iterator[Piece]:
        batch = RowBatch(self._columns, self._null, is_array=self._shape == "array")
        for row in self._rows:
            if row is None:
                yield from batch.flush()
                yield _NOTHING
            else:
                self.line = row[0] + 1
                yield from batch.add(row)
        yield from batch.flush()
