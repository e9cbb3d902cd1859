"""CSV by RFC 4180, as it comes: any usual delimiter, any line end, good and bad records."""

import re
from collections.abc import Iterator

from .blocks import WAIT, BlockReader
from .errors import BadOption, MalformedBody
from .header import HeaderScan
from .pieces import (
    MAX_RECORD_BYTES,
    Marked,
    Markup,
    Piece,
    find_dirt,
    is_utf8,
    megabytes,
)

UNCLOSED = (
    "a quote is opened and never closed: close it, or double a quote that is part of the text"
)
STRAY = (
    "a quote stands inside an unquoted cell: put the whole cell in quotes and double the inner ones"
)
AFTER_QUOTE = "text follows a closing quote: double a quote that is part of the text"
LONE_CR = "a carriage return stands inside an unquoted cell: quote the cell, or remove it"

_EOL = re.compile(rb"\r?\n")
_BLANKS = re.compile(rb"(?:\r?\n)++")
_EMPTY_OR_END = re.compile(rb"^(?:\\\.)?\n", re.MULTILINE)
_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')


class Grammar:
    """The patterns of one delimiter and one number of cells."""

    def __init__(self, delimiter: bytes, cells: int) -> None:
        d = re.escape(delimiter)
        quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
        on_one_line = rb'"[^"\n]*+(?:""[^"\n]*+)*+"'
        plain = rb'[^"\r\n' + d + rb"]*+"
        cell = rb"(?>" + quoted + rb"|" + plain + rb")"
        short = rb"(?>" + on_one_line + rb"|" + plain + rb")"
        more = b"%d" % (cells - 1)
        tail = rb"(?:" + d + cell + rb"){" + more + rb"}"
        self.record = re.compile(rb"(" + cell + tail + rb")\r?\n")
        short_tail = rb"(?:" + d + short + rb"){" + more + rb"}"
        self.block = re.compile(rb"(?:" + short + short_tail + rb"\n)*+")
        self.leading = re.compile(rb"(?>" + cell + d + rb")*+")
        self.plain = re.compile(plain)
        self.cell = re.compile(rb"(?:\A|" + d + rb")(" + cell + rb")")
        self.dropped = bytes(set(range(256)) - {delimiter[0], 10})
        self.row = delimiter * (cells - 1) + b"\n"


class CsvReader(BlockReader):
    """Reads CSV: first the header, then, once `start` has said the stage's shape, records.

    Records of shape "cells" keep their bytes; for "array" they become one cell that holds an
    array literal. A file whose lines end in CR alone is read as if they ended in LF.
    """

    def __init__(
        self,
        delimiter: bytes | None = None,
        null: str = "",
        max_record_bytes: int = MAX_RECORD_BYTES,
        *,
        fast: bool = True,
    ) -> None:
        super().__init__(max_record_bytes, fast=fast)
        if delimiter is not None and (
            len(delimiter) != 1 or delimiter in b'"\r\n\0' or not delimiter.isascii()
        ):
            raise BadOption("the delimiter must be one character: use , or ; or tab or |")
        self.header: list[str] | None = None
        self.delimiter = delimiter or b","
        self._null = null.encode()
        self._scan = HeaderScan(delimiter)
        self._old_mac = False
        self._started = False
        self._array = False

    def waits(self, size: int) -> bool:
        """True when a chunk of this size would only be put by."""
        return self._started and super().waits(size)

    def start(self, shape: str) -> Iterator[Piece]:
        """Go on behind the header, for a stage of this shape ("cells" or "array")."""
        width = len(self.header or ())
        self._array = shape == "array"
        self._started = True
        self._grammar = Grammar(self.delimiter, width)
        self._markup = Markup(self.delimiter, b'"', self._null, 1 if self._array else width)
        yield from self._read(final=False)

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        """Take more bytes; yields pieces, but none before `header` is known and `start` called."""
        if self._old_mac:
            chunk = chunk.replace(b"\r", b"\n")
        if self._started:
            yield from super().feed(chunk)
            return
        self._push(chunk)
        if self.header is None:
            self._find_header(final=False)

    def close(self) -> Iterator[Piece]:
        """Take the end of the file; if `header` became known only now, `start` and close again."""
        if self.header is None:
            self._find_header(final=True)
        if self._started:
            yield from super().close()

    def _find_header(self, final: bool) -> None:
        data = self._pull()
        if final and not data.strip():
            raise MalformedBody(
                "the file is empty: a CSV file starts with a header line that names its columns"
            )
        found = self._scan.find(data, final)
        if found is None:
            self._push(data)
            return
        self.header, self.delimiter = found.names, found.delimiter
        self._line = found.next_line
        rest = data[found.end :]
        self._old_mac = found.old_mac
        self._push(rest.replace(b"\r", b"\n") if found.old_mac else rest)

    def _regular(self, block: bytes) -> bytes | None:
        if self._array or b"\0" in block or not is_utf8(block):
            return None
        if b"\r" in block:
            if block.count(b"\r") != block.count(b"\r\n"):
                return None
            block = block.replace(b"\r\n", b"\n")
        grammar = self._grammar
        if len(grammar.row) == 1 and _EMPTY_OR_END.search(block):
            return None
        if b'"' in block:
            return block if grammar.block.fullmatch(block) else None
        rows = grammar.row * block.count(b"\n")
        return block if block.translate(None, grammar.dropped) == rows else None

    def _record(self, data: bytes, pos: int, final: bool, clean: int, out: Marked) -> int:
        if blank := _BLANKS.match(data, pos):
            self._line += data.count(b"\n", pos, blank.end())
            return blank.end()
        found = self._grammar.record.match(data, pos, pos + self._max)
        if not found:
            return self._irregular(data, pos, final, out)
        raw, end = found[1], found.end()
        problem = None if end <= clean else find_dirt(raw)
        if problem:
            out.malformed(raw, problem, self._line)
        else:
            out.good(self._array_cell(raw) if self._array else raw, self._line)
        self._line += raw.count(b"\n") + 1
        return end

    def _irregular(self, data: bytes, pos: int, final: bool, out: Marked) -> int:
        """Take what is no record: all of a ragged one, else only the line at `pos`."""
        limit = min(len(data), pos + self._max)
        complete = final or limit - pos == self._max
        leading = self._grammar.leading.match(data, pos, limit)
        last = leading.end() if leading else pos
        cell = _QUOTED if data[last : last + 1] == b'"' else self._grammar.plain
        found = cell.match(data, last, limit)
        if found and (eol := _EOL.match(data, found.end(), limit)):
            raw = data[pos : found.end()]
            out.malformed(raw, self._ragged(raw), self._line)
            self._line += raw.count(b"\n") + 1
            return eol.end()
        if not found:
            problem = UNCLOSED if complete else None
        else:
            rest = data[found.end() : min(limit, found.end() + 2)]
            problem = self._problem(rest, cell is _QUOTED, complete)
        return self._bad_line(data, pos, problem, final, out) if problem else WAIT

    def _problem(self, rest: bytes, quoted: bool, complete: bool) -> str | None:
        """What is wrong where a cell stopped; None when more bytes may tell."""
        if rest in (b"", b"\r"):
            size = megabytes(self._max)
            too_long = f"the record is longer than {size}: split it, or raise the limit"
            return too_long if complete else None
        if rest.startswith(b"\r"):
            return LONE_CR
        return AFTER_QUOTE if quoted else STRAY

    def _ragged(self, raw: bytes) -> str:
        wanted = self._grammar.row.count(self.delimiter) + 1
        found = _QUOTED.sub(b"", raw).count(self.delimiter) + 1
        if found > wanted:
            return f"expected {wanted} cells, found {found}: quote a cell that holds the delimiter"
        return f"expected {wanted} cells, found {found}: add the missing cells"

    def _array_cell(self, raw: bytes) -> bytes:
        cells = raw.split(self.delimiter) if b'"' not in raw else self._grammar.cell.findall(raw)
        literal = b",".join(map(self._element, cells))
        return self._markup.cell(b"{" + literal + b"}")

    def _element(self, cell: bytes) -> bytes:
        if cell == self._null:
            return b"NULL"
        if cell.startswith(b'"'):
            cell = cell[1:-1].replace(b'""', b'"')
        return b'"' + cell.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
