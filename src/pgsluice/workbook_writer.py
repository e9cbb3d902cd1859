"""A workbook of one sheet, written while its rows come and never held whole."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import msgspec

from .compression import Zip
from .errors import ProblemError
from .ingest.cells import moment_text, number_text
from .ingest.sheet import column_name
from .workbook_parts import (
    BAD,
    BAD_QUOTED,
    DATE,
    HEADER,
    MOMENT,
    QUOTED,
    SHEET_START,
    Notes,
    fixed_parts,
    xml_text,
)

MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_TEXT = 32_767
# A zip that every program reads has no entry of 2 GB or more.
_MAX_BYTES = 2**31 - 2**26
_WIDTHS = {"date": 11, "moment": 19}

_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:\+00)?)?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_FIRST_DAY = date(1900, 3, 1)
_DAY_ZERO = date(1899, 12, 30).toordinal()
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Kind = Literal["number", "boolean", "date", "moment", "text"]
Write = Callable[[str, str], str]


class Column(msgspec.Struct):
    """A column: its name, and what its values are."""

    name: str
    kind: Kind


class Sheet(msgspec.Struct):
    """What SQL says of a sheet; `marks` and `errors` where the rows are rejects."""

    name: str
    columns: list[Column]
    header: bool = True
    marks: dict[str, int] | None = None
    errors: int | None = None


class WorkbookWriter:
    """Takes the output of COPY in its text format; each call returns the bytes that are ready."""

    def __init__(self, about: Any) -> None:
        self._sheet = msgspec.convert(about, Sheet)
        columns = self._sheet.columns
        if len(columns) > MAX_COLUMNS:
            raise _refused(f"the export has {len(columns)} columns, {MAX_COLUMNS} are the most")
        self._letters = [column_name(n) for n in range(len(columns))]
        self._writers = [_WRITERS[column.kind] for column in columns]
        self._notes = None if self._sheet.marks is None else Notes()
        self._zip = Zip(is_large=False)
        self._rest = b""
        self._row = 0
        self._size = 0
        self._begun = False

    def add(self, block: bytes) -> bytes:
        """Rows, cut anywhere; ProblemError for what no sheet can hold."""
        begun = self._begin()
        whole, mark, rest = block.rpartition(b"\n")
        if not mark:
            self._rest += block
            return begun
        lines, self._rest = (self._rest + whole).decode().split("\n"), rest
        return begun + self._put("".join(map(self._line, lines)))

    def end(self) -> bytes:
        """The rows were whole."""
        done = [self._begin(), self._put(self._last())]
        for path, text in (self._notes.parts() if self._notes else {}).items():
            done += (self._zip.begin(path), self._zip.add(text.encode()))
        return b"".join([*done, self._zip.end()])

    def close(self) -> None:
        """Nothing is held that does not go by itself."""

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        done: list[bytes] = []
        has_notes = self._notes is not None
        for path, text in fixed_parts(self._sheet.name, has_notes=has_notes).items():
            done += (self._zip.begin(path), self._zip.add(text.encode()))
        done += (self._zip.begin("xl/worksheets/sheet1.xml"), self._put(self._first()))
        return b"".join(done)

    def _first(self) -> str:
        widths = "".join(
            f'<col min="{n}" max="{n}" width="{_WIDTHS.get(column.kind, 14)}" customWidth="1"/>'
            for n, column in enumerate(self._sheet.columns, 1)
        )
        frozen, header = "", ""
        if self._sheet.header:
            frozen = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
            names = zip(self._letters, self._sheet.columns, strict=True)
            self._row = 1
            cells = (_text(letter + "1", column.name, HEADER) for letter, column in names)
            header = f'<row r="1">{"".join(cells)}</row>'
        return (
            f'{SHEET_START}<sheetViews><sheetView tabSelected="1" workbookViewId="0">{frozen}'
            f"</sheetView></sheetViews><cols>{widths}</cols><sheetData>{header}"
        )

    def _last(self) -> str:
        # what was a text stays one, without a warning at each number among them
        whole = f"A1:{self._letters[-1]}{max(self._row, 1)}"
        quiet = f'<ignoredError sqref="{whole}" numberStoredAsText="1"/>'
        notes = '<legacyDrawing r:id="rId1"/>' if self._notes else ""
        return f"</sheetData><ignoredErrors>{quiet}</ignoredErrors>{notes}</worksheet>"

    def _put(self, text: str) -> bytes:
        data = text.encode()
        self._size += len(data)
        if self._size > _MAX_BYTES:
            raise _refused("the sheet would be larger than 2 GB, the most that programs read")
        return self._zip.add(data)

    def _line(self, line: str) -> str:
        self._row += 1
        if self._row > MAX_ROWS:
            raise _refused(f"the export has more than {MAX_ROWS:,} rows, the most of a sheet")
        number = str(self._row)
        values: list[str | None] = list(line.split("\t"))
        if "\\" in line:
            values = [_unescaped(value) for value in line.split("\t")]
        if self._notes is not None:
            cells = self._marked(values, self._notes)
        else:
            triples = zip(self._letters, self._writers, values, strict=True)
            cells = [
                write(letter + number, value)
                for letter, write, value in triples
                if value is not None
            ]
        return f'<row r="{number}">{"".join(cells)}</row>'

    def _marked(self, values: list[str | None], notes: Notes) -> list[str]:
        """The cells of a rejected record, the wrong ones with a fill and a note."""
        messages = self._messages(values)
        cells = []
        for n, value in enumerate(values):
            place = f"{self._letters[n]}{self._row}"
            if said := messages.get(n):
                notes.add(place, self._row - 1, n, "\n".join(said))
                cells.append(_bad(place, value))
            elif value is not None:
                cells.append(_text(place, value[:MAX_TEXT] if n == self._sheet.errors else value))
        return cells

    def _messages(self, values: list[str | None]) -> dict[int, list[str]]:
        """What is wrong, by column."""
        marks, at = self._sheet.marks or {}, self._sheet.errors
        found: dict[int, list[str]] = {}
        for error in msgspec.json.decode((values[at] if at is not None else None) or "[]"):
            if (place := marks.get(error.get("field") or "")) is not None:
                found.setdefault(place, []).append(str(error.get("message") or error.get("code")))
        return found


def _unescaped(value: str) -> str | None:
    if value == "\\N":
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), value)


def _text(place: str, value: str, style: int = 0) -> str:
    if len(value) > MAX_TEXT // 2 and len(value.encode("utf-16-le")) > 2 * MAX_TEXT:
        raise _refused(
            f"a cell has more than {MAX_TEXT:,} characters, the most that a sheet takes",
            "leave its field out",
        )
    # An apostrophe before it, so to speak: it stays a text, and none at all is a text too.
    if not style and (not value or value.startswith(_FORMULA)):
        style = QUOTED
    styled = f' s="{style}"' if style else ""
    return (
        f'<c r="{place}"{styled} t="inlineStr"><is><t xml:space="preserve">{xml_text(value)}'
        "</t></is></c>"
    )


def _bad(place: str, value: str | None) -> str:
    if value is None:
        return f'<c r="{place}" s="{BAD}"/>'
    return _text(place, value, BAD_QUOTED if not value or value.startswith(_FORMULA) else BAD)


def _number(place: str, value: str) -> str:
    return f'<c r="{place}"><v>{value}</v></c>' if _is_exact(value) else _text(place, value)


def _is_exact(value: str) -> bool:
    """Whether a number comes back from a spreadsheet as it is."""
    if not _NUMBER.fullmatch(value):
        return False
    if len(value) <= 15 and "e" not in value:
        return True
    number = Decimal(value)
    digits = len(number.normalize().as_tuple().digits)
    if abs(number.adjusted()) > 300 or (digits > 15 and "." not in value):
        return False
    return Decimal(repr(float(value))) == number == Decimal(number_text(value))


def _boolean(place: str, value: str) -> str:
    return f'<c r="{place}" t="b"><v>{"1" if value == "t" else "0"}</v></c>'


def _moment(place: str, value: str) -> str:
    found = _MOMENT.fullmatch(value)
    day = date.fromisoformat(found[1]) if found and found[1] >= "0001" else None
    if found is None or day is None or day < _FIRST_DAY:
        return _text(place, value)
    days = day.toordinal() - _DAY_ZERO
    if found[2] is None:
        return f'<c r="{place}" s="{DATE}"><v>{days}</v></c>'
    hour, minute, second, fraction = found[2], found[3], found[4], found[5] or ""
    seconds = 3600 * int(hour) + 60 * int(minute) + int(second)
    serial = repr(days + (seconds + int(fraction.ljust(6, "0")) / 1_000_000) / 86_400)
    clock = f"{hour}:{minute}:{second}" + (f".{fraction}" if fraction else "")
    if moment_text(serial, "moment", is_1904=False) != f"{found[1]}T{clock}":
        return _text(place, value)
    return f'<c r="{place}" s="{MOMENT}"><v>{serial}</v></c>'


_WRITERS: dict[Kind, Write] = {
    "number": _number,
    "boolean": _boolean,
    "date": _moment,
    "moment": _moment,
    "text": _text,
}


def _refused(what: str, instead: str = "narrow it by filters, fields or limit") -> ProblemError:
    return ProblemError(400, f"{what}: {instead}, or ask for csv")
