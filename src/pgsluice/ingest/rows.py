"""Rows of a sheet on their way into pieces, as records of CSV."""

from collections.abc import Iterator

from .pieces import Marked, Markup, Piece
from .sheet import Row, column_name

SIZE = 512 * 1024
DELIMITER = b","


class RowBatch:
    """Collects the rows of a sheet, for a stage of shape "cells" or "array"."""

    def __init__(self, columns: list[int], null: str, *, is_array: bool) -> None:
        self._columns = columns
        self._null = null
        self._is_array = is_array
        width = 1 if is_array else len(columns)
        self._markup = Markup(DELIMITER, b'"', null.encode(), width)
        self._lines: list[str] = []
        self._breaks: list[tuple[int, int]] = []
        self._next = -1
        self._marked = Marked(self._markup)
        self._has_marked = False
        self._size = 0

    def add(self, row: Row) -> Iterator[Piece]:
        """Add a row; yields what is large enough or has to go before it."""
        number, cells = row
        values = list(map(cells.get, self._columns))
        is_ragged = len(values) - values.count(None) != len(cells)
        if is_ragged or self._is_array:
            yield from self._flush_plain()
            if is_ragged:
                self._marked.malformed(self._raw(cells), self._stray(cells), number)
            else:
                self._marked.good(self._array(values), number)
            self._has_marked = True
            self._size += sum(map(len, cells.values()))
        else:
            yield from self._flush_marked()
            if number != self._next:
                self._breaks.append((len(self._lines), number))
            self._next = number + 1
            line = ",".join([self._cell(value) for value in values])
            self._lines.append(line)
            self._size += len(line)
        if self._size > SIZE:
            yield from self.flush()

    def flush(self) -> Iterator[Piece]:
        """The piece of what was added, unless that was nothing."""
        yield from self._flush_plain()
        yield from self._flush_marked()

    def _flush_plain(self) -> Iterator[Piece]:
        if self._lines:
            data = ("\n".join(self._lines) + "\n").encode()
            yield Piece(data, False, len(self._lines), 0, self._breaks)
            self._lines, self._breaks, self._next, self._size = [], [], -1, 0

    def _flush_marked(self) -> Iterator[Piece]:
        if self._has_marked:
            yield from self._marked.pieces()
            self._marked, self._has_marked, self._size = Marked(self._markup), False, 0

    def _cell(self, value: str | None) -> str:
        if value is None or (value == self._null and value):
            return self._null
        return '"' + value.replace('"', '""') + '"'

    def _array(self, values: list[str | None]) -> bytes:
        elements = (
            "NULL"
            if value is None or (value == self._null and value)
            else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
            for value in values
        )
        return self._markup.cell(("{" + ",".join(elements) + "}").encode())

    def _raw(self, cells: dict[int, str]) -> bytes:
        return ",".join(self._cell(cells.get(n)) for n in range(max(cells) + 1)).encode()

    def _stray(self, cells: dict[int, str]) -> str:
        stray = min(cells.keys() - set(self._columns))
        return (
            f"column {column_name(stray)} has a value but no name: name it in the first row, or "
            "empty the cell"
        )
