"""Where a JSON value ends, found by its brackets alone: for values no parser should read."""

import re

from .lines import MAX_DEPTH, TOO_DEEP
from .pieces import RAW_LIMIT, megabytes

_MARK = re.compile(r'["\[\]{}]')
_IN_STRING = re.compile(r'(?:[^"\\]|\\.)*+', re.DOTALL)


class Nesting:
    """Follows one array, object or string over any number of texts.

    Its text is kept up to `limit`; of a longer one only the first 1 MB.
    """

    def __init__(self, limit: int) -> None:
        self.newlines = 0
        self._limit = limit
        self._kept: list[str] = []
        self._size = 0
        self._depth = 0
        self._deepest = 0
        self._in_string = False
        self._escaped = False

    def text(self) -> str:
        """What was kept of the value."""
        return "".join(self._kept)

    def problem(self) -> str | None:
        """Why the value cannot be a record, or None."""
        if self._size > self._limit:
            limit = megabytes(self._limit)
            return f"the record is longer than {limit}: split it, or raise the limit"
        return TOO_DEEP if self._deepest > MAX_DEPTH else None

    def feed(self, text: str, pos: int) -> int:
        """Go on at `pos`; returns the end of the value, or -1 when it is not in this text."""
        end = self._find_end(text, pos)
        stop = len(text) if end < 0 else end
        self.newlines += text.count("\n", pos, stop)
        self._size += stop - pos
        self._kept.append(text[pos:stop])
        if self._size > self._limit:
            self._kept = [self.text()[:RAW_LIMIT]]
        return end

    def _find_end(self, text: str, pos: int) -> int:
        if self._escaped and pos < len(text):
            self._escaped = False
            pos += 1
        while pos < len(text):
            if self._in_string:
                inside = _IN_STRING.match(text, pos)
                end = inside.end() if inside else pos
                pos = end + 1
                self._escaped = text[end:pos] == "\\"
                self._in_string = pos > len(text) or self._escaped
                if not self._depth and not self._in_string:
                    return pos
                continue
            mark = _MARK.search(text, pos)
            if not mark:
                return -1
            pos = mark.end()
            self._count(mark[0])
            if not self._depth and not self._in_string:
                return pos
        return -1

    def _count(self, mark: str) -> None:
        if mark == '"':
            self._in_string = True
        elif mark in "[{":
            self._depth += 1
            self._deepest = max(self._deepest, self._depth)
        else:
            self._depth -= 1
