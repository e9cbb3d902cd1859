"""NDJSON: one record per line."""

import re

from .blocks import BlockReader
from .pieces import (
    MAX_RECORD_BYTES,
    Marked,
    Markup,
    find_dirt,
    is_utf8,
    megabytes,
)

MAX_DEPTH = 1000
TOO_DEEP = f"the record is nested deeper than {MAX_DEPTH:,} levels: flatten it"
QUOTE, DELIMITER = b"\x01", b"\x02"

_SPECIAL = re.compile(rb"[\x01\x02\r\n]")
_RUN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]++|[\]}]++', re.DOTALL)
_BLANKS = re.compile(rb"(?:[ \t\r\v\f]*+\n)++")


def line_markup() -> Markup:
    """How marked records of shape "line" are written."""
    return Markup(DELIMITER, QUOTE, b"", 1)


def line_cell(text: bytes, markup: Markup) -> bytes:
    """A record as the first cell of a marked one."""
    return markup.cell(text) if _SPECIAL.search(text) else text


def too_deep(text: bytes) -> bool:
    """True when JSON text is nested deeper than Postgres should be asked to read."""
    if len(text) <= 2 * MAX_DEPTH or text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for run in _RUN.finditer(text):
        start, end = run.span()
        mark = text[start]
        if mark in b"[{":
            depth += end - start
            if depth > MAX_DEPTH:
                return True
        elif mark in b"]}":
            depth -= end - start
    return False


class LineReader(BlockReader):
    """Reads NDJSON; whether a line is an object is for SQL to judge."""

    def __init__(self, max_record_bytes: int = MAX_RECORD_BYTES, *, fast: bool = True) -> None:
        super().__init__(max_record_bytes, fast=fast)
        self._markup = line_markup()

    def _regular(self, block: bytes) -> bytes | None:
        if b"\r" in block:
            if block.count(b"\r") != block.count(b"\r\n"):
                return None
            block = block.replace(b"\r\n", b"\n")
        if any(mark in block for mark in (b"\0", QUOTE, DELIMITER)) or not is_utf8(block):
            return None
        # A line that starts with white space may be blank; one that is \. ends a COPY.
        if block[:1].isspace() or any(
            start in block for start in (b"\n\n", b"\n ", b"\n\t", b"\n\v", b"\n\f", b"\n\\.\n")
        ):
            return None
        if block.startswith(b"\\.\n") or any(map(too_deep, block.split(b"\n"))):
            return None
        return block

    def _record(self, data: bytes, pos: int, final: bool, clean: int, out: Marked) -> int:
        if blank := _BLANKS.match(data, pos):
            self._line += data.count(b"\n", pos, blank.end())
            return blank.end()
        end = data.find(b"\n", pos)
        if end < 0 or end - pos >= self._max:
            limit = megabytes(self._max)
            problem = f"the record is longer than {limit}: split it, or raise the limit"
            return self._bad_line(data, pos, problem, final, out)
        text = data[pos:end].removesuffix(b"\r")
        dirt = None if end < clean else find_dirt(text)
        if dirt or too_deep(text):
            out.malformed(text, dirt or TOO_DEEP, self._line)
        else:
            out.good(line_cell(text, self._markup), self._line)
        self._line += 1
        return end + 1
