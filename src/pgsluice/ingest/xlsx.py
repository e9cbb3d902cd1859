"""An .xlsx upload: put by on disk, then read row by row, as CSV is from there on."""

import time
from collections.abc import Iterator

import msgspec

from .errors import MalformedBody
from .package import Package
from .pieces import MAX_RECORD_BYTES, Piece
from .rows import RowBatch
from .sheet import Row, SheetParser, rows_of
from .spool import flush
from .spooled import NOTHING, TELL_SECONDS, SpooledReader
from .workbook import Strings, Workbook


class SheetOptions(msgspec.Struct, frozen=True):
    """What an upload says of its sheet."""

    name: str | None = None
    point: str = "."
    max_bytes: int = 0


class XlsxReader(SpooledReader):
    """Reads a sheet of a workbook; each row with cells is a record of CSV."""

    def __init__(
        self,
        options: SheetOptions,
        null: str = "",
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        super().__init__()
        self._options = options
        self._null = null
        self._max = max_record_bytes
        self._package: Package | None = None
        self._strings: Strings | None = None
        self._rows: Iterator[Row | None] = iter(())
        self._columns: list[int] = []

    def _close_files(self) -> None:
        for open_one in (self._strings, self._package):
            if open_one is not None:
                open_one.close()
        super()._close_files()

    def _find_header(self) -> Iterator[Piece]:
        flush(self._file)
        self._file.seek(0)
        package = self._package = Package(self._file, self._options.max_bytes)
        book = Workbook(package)
        path = book.sheet(self._options.name)
        strings = self._strings = book.strings()
        for _ in self._paced(strings.read()):
            yield NOTHING
        parser = SheetParser(book, strings, self._options.point, self._max)
        self._rows = self._one_by_one(rows_of(package, path, parser))
        for row in self._rows:
            if row is not None:
                self._take_header(row)
                return
            yield NOTHING
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
        until = time.monotonic() + TELL_SECONDS
        for _ in work:
            if self._gone:
                return
            if time.monotonic() > until:
                yield
                until = time.monotonic() + TELL_SECONDS

    def _one_by_one(self, some: Iterator[list[Row]]) -> Iterator[Row | None]:
        """Each row; None when a second has gone without one."""
        until = time.monotonic() + TELL_SECONDS
        for rows in some:
            yield from rows
            if self._gone:
                return
            if not rows and time.monotonic() > until:
                yield None
            if rows or time.monotonic() > until:
                until = time.monotonic() + TELL_SECONDS

    def _records(self) -> Iterator[Piece]:
        batch = RowBatch(self._columns, self._null, is_array=self._shape == "array")
        for row in self._rows:
            if row is None:
                yield from batch.flush()
                yield NOTHING
            else:
                self.line = row[0] + 1
                yield from batch.add(row)
        yield from batch.flush()
