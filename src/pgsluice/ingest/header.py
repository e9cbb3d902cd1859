"""The header of a CSV file: its names, its delimiter and its kind of line end."""

import re

import msgspec

from .errors import MalformedBody

DELIMITERS = (b",", b";", b"\t", b"|")
MAX_HEADER = 1024 * 1024

_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_PIECE = re.compile(rb'(?:[^"\r\n]|"[^"]*+(?:""[^"]*+)*+")*+')
_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)|\r\Z", re.DOTALL)
_SEP_LINE = re.compile(rb'"?sep=([!#-~\t ])"?\Z', re.IGNORECASE)


class Header(msgspec.Struct):
    """What the header said, and where the records start."""

    names: list[str]
    delimiter: bytes
    end: int
    next_line: int
    old_mac: bool


class HeaderScan:
    """Finds the first record of a CSV file that is not a blank line.

    Excel's first line `sep=;` is taken as what it says. Without a given delimiter the one
    that the header holds most of is taken.
    """

    def __init__(self, delimiter: bytes | None) -> None:
        self._delimiter = delimiter

    def find(self, data: bytes, final: bool) -> Header | None:
        """The header, or None when more bytes are needed."""
        pos, line, delimiter = 0, 1, self._delimiter
        while True:
            piece = _PIECE.match(data, pos)
            stop = piece.end() if piece else pos
            raw = data[pos:stop]
            eol = _LINE_END.match(data, stop)
            if not final and (not eol or (eol[0] == b"\r" and eol.end() == len(data))):
                if len(data) > MAX_HEADER or data[stop : stop + 1] not in (b"", b"\r", b'"'):
                    raise self._unreadable(line)
                return None
            if not eol and stop < len(data):
                raise self._unreadable(line)
            end = eol.end() if eol else stop
            next_line = line + raw.count(b"\n") + 1
            if sep := _SEP_LINE.match(raw) if line == 1 else None:
                delimiter = self._delimiter or sep[1]
            elif raw.strip(b" "):
                chosen = delimiter or _sniff(raw)
                old_mac = bool(eol and eol[0] == b"\r")
                return Header(_names(raw, chosen, line), chosen, end, next_line, old_mac)
            elif not eol:
                raise MalformedBody("the file has no header: its first line must name the columns")
            pos, line = end, next_line

    def _unreadable(self, line: int) -> MalformedBody:
        return MalformedBody(
            f"the header (line {line}) cannot be read: a quote in it is never closed, or it is "
            "longer than 1 MB; is this a CSV file?",
            line=line,
        )


def _sniff(raw: bytes) -> bytes:
    bare = _QUOTED.sub(b"", raw)
    return max(DELIMITERS, key=bare.count)


def _names(raw: bytes, delimiter: bytes, line: int) -> list[str]:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise MalformedBody(
            "the header is not valid UTF-8: save the file as UTF-8, or name its encoding "
            "(encoding=windows-1252)",
            line=line,
        ) from None
    if "\0" in text:
        raise MalformedBody(
            "the header holds a NUL byte: is this a CSV file? If it is UTF-16, say so "
            "(encoding=utf-16-le)",
            line=line,
        )
    mark = delimiter.decode()
    cell = rf'(?:\A|{re.escape(mark)})((?>"[^"]*+(?:""[^"]*+)*+"|[^"{re.escape(mark)}]*+))'
    cells: list[str] = re.findall(cell, text)
    if mark.join(cells) != text:
        raise MalformedBody(
            f"the header (line {line}) has a quote inside a name: put the whole name in quotes "
            "and double the inner ones",
            line=line,
        )
    return [cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in cells]
