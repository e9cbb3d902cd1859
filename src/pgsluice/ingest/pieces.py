"""What a reader hands on: complete records for one of the two COPY statements of a job."""

from collections.abc import Iterator
from typing import Protocol

import msgspec

MAX_RECORD_BYTES = 64 * 1024 * 1024
RAW_LIMIT = 1024 * 1024

NOT_UTF8 = (
    "the record is not valid UTF-8, or not in the encoding named: save the file as UTF-8, or name "
    "its encoding (encoding=windows-1252)"
)
HAS_NUL = "the record holds a NUL byte, which no text can hold: remove it"


class Piece(msgspec.Struct):
    """Records in file order.

    `lines` are pairs (offset of a record in the piece, its physical line): the records from
    there on stand one per line. Records that carry their own line_no may come between.
    """

    data: bytes
    marked: bool
    records: int
    malformed: int
    lines: list[tuple[int, int]]


class Reader(Protocol):
    """A push parser: bytes in, pieces out. Each iterator must be read to its end."""

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take more bytes; yields the pieces that became complete."""

    def close(self) -> Iterator[Piece]:
        """Take the end of the file; yields what was left."""


def is_utf8(data: bytes) -> bool:
    """True when Postgres would take the bytes as UTF-8 (a NUL apart)."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def find_dirt(data: bytes) -> str | None:
    """The problem of a record whose bytes are no text, or None."""
    if b"\0" in data:
        return HAS_NUL
    return None if is_utf8(data) else NOT_UTF8


def show(raw: bytes) -> bytes:
    r"""The raw text of a malformed record as valid UTF-8: other bytes become \xNN."""
    text = raw[:RAW_LIMIT].decode("utf-8", "backslashreplace")
    return text.replace("\0", "\\x00").encode()


def megabytes(size: int) -> str:
    """A limit in words."""
    return f"{size // 1048576} MB" if size >= 1048576 else f"{size} bytes"


class Markup:
    """How the cells of a marked record are written for one job's COPY options."""

    def __init__(self, delimiter: bytes, quote: bytes, null: bytes, cells: int) -> None:
        self._quote = quote
        self._delimiter = delimiter
        self._before_raw = (null + delimiter) * cells
        self._tail = (delimiter + null) * 2 + delimiter
        self.unlined = self._tail + null + b"\n"

    def cell(self, text: bytes) -> bytes:
        """A quoted cell: never null, whatever it holds."""
        quote = self._quote
        return quote + text.replace(quote, quote * 2) + quote

    def lined(self, line: int) -> bytes:
        """What follows the cells of a good record, with its line."""
        return self._tail + self._quote + b"%d" % line + self._quote + b"\n"

    def malformed(self, raw: bytes, problem: str, line: int) -> bytes:
        """A marked record without cells: its raw text and what is wrong with it."""
        marks = (show(raw), problem.encode(), b"%d" % line)
        return self._before_raw + self._delimiter.join(map(self.cell, marks)) + b"\n"


class Marked:
    """Collects the records of one marked piece."""

    def __init__(self, markup: Markup) -> None:
        self._markup = markup
        self._data: list[bytes] = []
        self._records = 0
        self._malformed = 0
        self._lines: list[tuple[int, int]] = []

    def regular(self, block: bytes, line: int) -> int:
        """Add whole regular lines, the first at `line`; returns how many."""
        self._lines.append((self._records, line))
        count = block.count(b"\n")
        self._data.append(block.replace(b"\n", self._markup.unlined))
        self._records += count
        return count

    def good(self, cells: bytes, line: int) -> None:
        """Add one record whose cells are already written."""
        # Not concatenated here: a cell may be 64 MB.
        self._data += (cells, self._markup.lined(line))
        self._records += 1

    def malformed(self, raw: bytes, problem: str, line: int) -> None:
        """Add one record that is no record, with its raw text."""
        self._data.append(self._markup.malformed(raw, problem, line))
        self._records += 1
        self._malformed += 1

    def pieces(self) -> Iterator[Piece]:
        """The piece, unless nothing was added."""
        if self._records:
            data = b"".join(self._data)
            self._data.clear()
            yield Piece(data, True, self._records, self._malformed, self._lines)
