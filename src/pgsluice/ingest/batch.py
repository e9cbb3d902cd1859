"""Records of a JSON file on their way into pieces."""

from collections.abc import Iterator

import msgspec

from .lines import line_cell, line_markup
from .pieces import Marked, Piece, find_dirt

SIZE = 512 * 1024

_FORBIDDEN = (b"\r", b"\0", b"\x01", b"\x02")


class Batch:
    """Collects records; plain when they stand one per line and need no quotes, else marked."""

    def __init__(self) -> None:
        self.row = 0
        self._records: list[tuple[bytes, str | None, int]] = []
        self._size = 0
        self._markup = line_markup()

    def good(self, text: str, line: int) -> None:
        """Add one record by its text, which may still hold bytes that are no text."""
        raw = text.encode("utf-8", "surrogateescape")
        self._add(raw, find_dirt(raw), line)

    def bad(self, text: str, problem: str, line: int) -> None:
        """Add one malformed record."""
        self._add(text.encode("utf-8", "surrogateescape"), problem, line)

    def many(self, block: bytes, records: list[msgspec.Raw], line: int) -> int:
        """Add records found in `block`, which starts at `line`; returns the line of its end."""
        pos = 0
        for record in records:
            raw = bytes(record)
            start = block.find(raw, pos)
            line += block.count(b"\n", pos, start)
            self._add(raw, None, line)
            pos = start + len(raw)
            line += raw.count(b"\n")
        return line + block.count(b"\n", pos)

    def _add(self, raw: bytes, problem: str | None, line: int) -> None:
        self._records.append((raw, problem, line))
        self._size += len(raw)
        self.row += 1

    def full(self) -> Iterator[Piece]:
        """The piece, once it is large enough."""
        if self._size >= SIZE:
            yield from self.flush()

    def flush(self) -> Iterator[Piece]:
        """The piece of all records so far, unless there are none."""
        records, self._records, self._size = self._records, [], 0
        if not records:
            return
        first, count = records[0][2], len(records)
        data = b"\n".join([raw for raw, _, _ in records]) + b"\n"
        one_per_line = data.count(b"\n") == count and all(
            problem is None and line == first + i for i, (_, problem, line) in enumerate(records)
        )
        if one_per_line and not any(mark in data for mark in _FORBIDDEN):
            yield Piece(data, False, count, 0, [(0, first)])
            return
        marked = Marked(self._markup)
        for raw, problem, line in records:
            if problem:
                marked.malformed(raw, problem, line)
            else:
                marked.good(line_cell(raw, self._markup), line)
        yield from marked.pieces()
