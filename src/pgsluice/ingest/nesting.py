"""Where a JSON value ends, found by its brackets alone: for values no parser should read."""

import re

from .lines import MAX_DEPTH, TOO_DEEP
from .pieces import RAW_LIMIT, megabytes

_IN_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
# A run of brackets counts as one.
_TOKEN = re.compile(rf'"{_IN_STRING.pattern}("?)|[\[{{]++|[\]}}]++', re.DOTALL)


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
        end = self.find_end(text, pos)
        stop = len(text) if end < 0 else end
        self.newlines += text.count("\n", pos, stop)
        self._size += stop - pos
        self._kept.append(text[pos:stop])
        if self._size > self._limit:
            self._kept = [self.text()[:RAW_LIMIT]]
        return end

    def find_end(self, text: str, pos: int) -> int:
        """As `feed`, but the text is not kept."""
        if self._in_string:
            pos = self._end_string(text, pos)
            if pos < 0 or not self._depth:
                return pos
        for token in _TOKEN.finditer(text, pos):
            start, end = token.span()
            mark = text[start]
            if mark == '"':
                if not token[1]:
                    self._in_string = True
                    self._escaped = text.startswith("\\", end)
                    return -1
                if not self._depth:
                    return end
            elif mark in "[{":
                self._depth += end - start
                self._deepest = max(self._deepest, self._depth)
            elif end - start >= self._depth:
                return start + self._depth
            else:
                self._depth -= end - start
        return -1

    def _end_string(self, text: str, pos: int) -> int:
        if pos == len(text):
            return -1
        if self._escaped:
            self._escaped = False
            pos += 1
        inside = _IN_STRING.match(text, pos)
        end = inside.end() if inside else pos
        self._in_string = not text.startswith('"', end)
        self._escaped = self._in_string and text.startswith("\\", end)
        return -1 if self._in_string else end + 1
