"""The rows of a sheet, as texts by column."""

from collections.abc import Iterator

from .cells import moment_text, number_text
from .errors import MalformedBody, TooLarge
from .package import Names, Package, XmlParser
from .pieces import megabytes
from .workbook import PLAIN, Strings, Style, Workbook, check_length, unescaped

MAX_COLUMNS = 16_384
MAX_ROWS = 2**31

Row = tuple[int, dict[int, str]]


class SheetParser:
    """Takes the XML of a sheet; complete rows wait in `rows` as (number, texts by column)."""

    def __init__(self, book: Workbook, strings: Strings, point: str, max_bytes: int) -> None:
        self._book, self._strings, self._point = book, strings, point
        self._max = max_bytes
        self._local = Names()
        self._columns: dict[str, int] = {}
        self.rows: list[Row] = []
        self._number = 0
        self._cells: dict[int, str] = {}
        self._size = 0
        self._column = -1
        self._kind = "n"
        self._style = ""
        self._parts: list[str] = []
        self._length = 0
        self._taking = False
        self._phonetic = False

    def start(self, name: str, attributes: list[str]) -> None:
        """An element begins."""
        local = self._local[name]
        if local == "c":
            self._begin_cell(attributes)
        elif local == "v":
            self._taking = True
        elif local == "t":
            self._taking = not self._phonetic
        elif local == "row":
            self._begin_row(attributes)
        elif local == "rPh":
            self._phonetic = True

    def end(self, name: str) -> None:
        """An element ends."""
        local = self._local[name]
        if local in ("v", "t"):
            self._taking = False
        elif local == "c":
            if self._parts or self._style:
                self._end_cell()
        elif local == "row":
            if self._cells:
                self.rows.append((self._number, self._cells))
                self._cells = {}
            self._size = 0
        elif local == "rPh":
            self._phonetic = False

    def text(self, text: str) -> None:
        """Some text of an element."""
        if self._taking:
            self._parts.append(text)
            self._length += len(text)
            check_length(self._length)

    def _begin_row(self, attributes: list[str]) -> None:
        self._number += 1
        self._column = -1
        self._cells = {}
        if "r" in attributes[::2]:
            given = attributes[attributes.index("r") + 1]
            # one that goes back is no number of a row; it counts on
            if given.isdecimal() and len(given) < 11 and self._number <= int(given) < MAX_ROWS:
                self._number = int(given)

    def _begin_cell(self, attributes: list[str]) -> None:
        self._column += 1
        self._kind, self._style, self._length = "n", "", 0
        self._parts.clear()
        for at in range(0, len(attributes), 2):
            key = attributes[at]
            if key == "r":
                self._column = self._place(attributes[at + 1])
            elif key == "t":
                self._kind = attributes[at + 1]
            elif key == "s":
                self._style = attributes[at + 1]
        if self._column >= MAX_COLUMNS:
            raise MalformedBody(
                f"row {self._number} of the sheet has more than {MAX_COLUMNS} columns"
            )

    def _place(self, reference: str) -> int:
        letters = reference.rstrip("0123456789")
        found = self._columns.get(letters)
        if found is None:
            found = _column(letters)
            self._columns[letters] = found
        return found

    def _end_cell(self) -> None:
        stored, kind = "".join(self._parts), self._kind
        style = self._book.styles.get(self._style, PLAIN)
        if kind == "n":
            text = self._number_text(stored.strip(), style) if stored else ""
        elif kind == "s":
            text = self._strings.get(stored) if stored else ""
        elif kind in ("str", "inlineStr"):
            text = unescaped(stored)
        elif kind == "b":
            text = {"1": "true", "0": "false"}.get(stored, stored)
        else:
            text = stored
        # A cell without a text is empty, unless an apostrophe says that it is a text.
        if text or (style.is_quoted and kind in ("s", "str", "inlineStr")):
            self._cells[self._column] = text
            self._size += len(text)
            if self._size > self._max:
                raise TooLarge(
                    f"row {self._number} of the sheet is longer than {megabytes(self._max)}: "
                    "split it, or raise SLUICE_MAX_RECORD_BYTES"
                )

    def _number_text(self, stored: str, style: Style) -> str:
        if style.shape:
            return moment_text(stored, style.shape, is_1904=self._book.is_1904)
        text = number_text(stored)
        return text if self._point == "." else text.replace(".", self._point)


def _column(letters: str) -> int:
    number = 0
    if not (letters.isascii() and letters.isalpha()) or len(letters) > 3:
        raise MalformedBody(f"the sheet has a cell at {letters[:20]!r}, which is no place")
    for letter in letters.upper():
        number = 26 * number + ord(letter) - 64
    return number - 1


def column_name(number: int) -> str:
    """The letters of a column, from 0."""
    name = ""
    while number >= 0:
        number, letter = divmod(number, 26)
        name, number = chr(65 + letter) + name, number - 1
    return name


def rows_of(package: Package, path: str, parser: SheetParser) -> Iterator[list[Row]]:
    """The rows of a sheet with at least one cell, a few at a time; often none."""
    xml = XmlParser(path, parser.start, parser.end, parser.text)
    for block in package.blocks(path):
        xml.feed(block)
        rows, parser.rows = parser.rows, []
        yield rows
    xml.close()
    yield parser.rows
