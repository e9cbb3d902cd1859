"""What a stage must hold, found slowly, byte by byte, with nothing of the readers in it."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

SPACE = " \t\r\n"


class Expected(NamedTuple):
    """A record as it must be staged: its cells, or its raw text where it is malformed."""

    cells: list[str | None] | None
    malformed: str | None
    line: int


def shown(raw: bytes) -> str:
    r"""Bytes as text: those that are none as \xNN."""
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def is_text(raw: bytes) -> bool:
    """UTF-8 without a NUL."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw


@dataclass
class SlowCsv:
    """RFC 4180 behind a header, one byte after the other."""

    data: bytes
    width: int
    delimiter: bytes = b","
    null: str = ""
    first_line: int = 2

    def records(self) -> list[Expected]:
        """All records; a blank line is none."""
        data = self.data
        if data and not data.endswith(b"\n"):
            data += b"\n"
        found, pos, line = [], 0, self.first_line
        while pos < len(data):
            blank = next((b for b in (b"\n", b"\r\n") if data.startswith(b, pos)), b"")
            if blank:
                pos, line = pos + len(blank), line + 1
                continue
            cells, end, after = self._record(data, pos)
            if cells is None:
                after = data.index(b"\n", pos) + 1
                end = after - 1 - (data[pos : after - 1][-1:] == b"\r")
            raw = data[pos:end]
            good = cells is not None and len(cells) == self.width and is_text(raw)
            found.append(Expected(cells if good else None, None if good else shown(raw), line))
            line += data.count(b"\n", pos, after)
            pos = after
        return found

    def _record(self, data: bytes, pos: int) -> tuple[list[str | None] | None, int, int]:
        """The cells, the end of their text and the start of the next record; None: no record."""
        cells: list[str | None] = []
        while True:
            quoted = data[pos : pos + 1] == b'"'
            text, pos = self._quoted(data, pos) if quoted else self._plain(data, pos)
            if text is None:
                return None, pos, pos
            value = shown(text)
            cells.append(None if not quoted and value == self.null else value)
            if data[pos : pos + 1] == self.delimiter:
                pos += 1
                continue
            for end in (b"\n", b"\r\n"):
                if data.startswith(end, pos):
                    return cells, pos, pos + len(end)
            return None, pos, pos

    def _quoted(self, data: bytes, pos: int) -> tuple[bytes | None, int]:
        text, pos = bytearray(), pos + 1
        while pos < len(data):
            if data[pos] != 34:
                text.append(data[pos])
                pos += 1
            elif data[pos + 1 : pos + 2] == b'"':
                text.append(34)
                pos += 2
            else:
                return bytes(text), pos + 1
        return None, pos

    def _plain(self, data: bytes, pos: int) -> tuple[bytes, int]:
        start = pos
        while data[pos : pos + 1] not in (self.delimiter, b"\n", b"\r", b'"', b""):
            pos += 1
        return data[start:pos], pos


def slow_lines(data: bytes) -> list[Expected]:
    """NDJSON: every line that is not blank; what is no text, or too deep, is malformed."""
    found = []
    pieces = data.split(b"\n")
    for line, piece in enumerate(pieces, 1):
        if not piece.strip(b" \t\r\v\f"):
            continue
        raw = piece.removesuffix(b"\r")
        # brackets that a short line can only open are left to SQL
        good = is_text(raw) and (len(raw) <= 2000 or depth(raw.decode()) <= 1000)
        found.append(
            Expected([raw.decode()], None, line) if good else Expected(None, shown(raw), line)
        )
    return found


def depth(text: str) -> int:
    """How deeply the brackets outside of strings nest."""
    deepest = now = 0
    inside = escaped = False
    for sign in text:
        if inside:
            inside = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            inside = True
        elif sign in "[{":
            now += 1
            deepest = max(deepest, now)
        elif sign in "]}":
            now -= 1
    return deepest


DECODER = json.JSONDecoder(strict=False, parse_int=str, parse_float=str, parse_constant=str)


def slow_values(text: str, pos: int, commas: bool) -> list[str] | None:
    """The JSON values from `pos` on, to the end of the text or of the array; None: not valid."""
    found: list[str] = []
    while True:
        pos = _skip(text, pos)
        if pos == len(text) and not commas:
            return found
        if commas and not found and text[pos : pos + 1] == "]":
            return found if _skip(text, pos + 1) == len(text) else None
        try:
            _, end = DECODER.raw_decode(text, pos)
        except (ValueError, RecursionError):
            return None
        found.append(text[pos:end])
        pos = _skip(text, end) if commas else end
        if commas and text[pos : pos + 1] == "]":
            return found if _skip(text, pos + 1) == len(text) else None
        if commas and text[pos : pos + 1] != ",":
            return None
        pos += commas


def _skip(text: str, pos: int) -> int:
    while pos < len(text) and text[pos] in SPACE:
        pos += 1
    return pos


def slow_json(data: bytes) -> list[str] | None:
    """The records of a JSON file that is valid and is text; None for any other."""
    if not is_text(data):
        return None
    text = data.decode()
    start = _skip(text, 0)
    if text[start : start + 1] == "[":
        return slow_values(text, start + 1, True)
    return slow_values(text, start, False) if text[start : start + 1] == "{" else None


def same_json(one: str, other: str) -> bool:
    """Two texts of one value."""
    values: list[Any] = [DECODER.decode(text) for text in (one, other)]
    return bool(values[0] == values[1])
