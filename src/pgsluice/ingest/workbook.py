"""A workbook: its sheets, the kinds of its cells, its shared texts."""

import re
from collections.abc import Iterator

from .cells import Shape, shape_of_code, shape_of_number
from .errors import BadOption, MalformedBody, TooLarge
from .package import Attributes, Names, Package, XmlParser
from .spool import Table

# Excel itself has 32,767 characters at most.
MAX_TEXT = 1024 * 1024
_MAX_STYLES = 65_536
_USED_MUCH = 65_536
_SHORT = 100
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")


class Style:
    """What a cell's style says of its value."""

    def __init__(self, shape: Shape, *, is_quoted: bool) -> None:
        self.shape = shape
        self.is_quoted = is_quoted


PLAIN = Style("", is_quoted=False)


class Workbook:
    """The head of a workbook; reading it leaves the sheets themselves alone."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self.is_1904 = False
        self._sheets: list[tuple[str, str, bool]] = []
        path = self._main_part()
        relations = package.relations(path)
        package.walk(path, self._take)
        by_kind = dict(relations.values())
        self._strings = by_kind.get("sharedStrings")
        self._paths = {
            number: target for number, (kind, target) in relations.items() if kind == "worksheet"
        }
        self.styles = _styles(package, by_kind.get("styles"))

    def sheet(self, name: str | None) -> str:
        """The path of the sheet of this name, else of the first that shows; BadOption."""
        sheets = [s for s in self._sheets if s[1] in self._paths]
        if not sheets:
            raise MalformedBody("the workbook has no sheet with cells")
        if name is None:
            shown = [s for s in sheets if s[2]]
            return self._paths[(shown or sheets)[0][1]]
        for title, number, _ in sheets:
            if title.casefold() == name.casefold():
                return self._paths[number]
        names = ", ".join(repr(title) for title, _, _ in sheets[:20])
        raise BadOption(f"the workbook has no sheet {name[:100]!r}; it has {names}")

    def strings(self) -> "Strings":
        """The texts that cells refer to by number; they are to be read before use."""
        return Strings(self._package, self._strings)

    def _main_part(self) -> str:
        for kind, target in self._package.relations("").values():
            if kind == "officeDocument":
                return target
        if self._package.has("xl/workbook.xml"):
            return "xl/workbook.xml"
        raise MalformedBody("the file is a zip, but no .xlsx workbook: save it as .xlsx")

    def _take(self, element: str, given: Attributes) -> None:
        if element == "workbookPr":
            self.is_1904 = given.get("date1904", "").lower() in ("1", "true", "on")
        elif element == "sheet":
            shows = given.get("state", "visible") == "visible"
            self._sheets.append((given.get("name", ""), given.get("id", ""), shows))


def _styles(package: Package, path: str | None) -> dict[str, Style]:
    """What each style makes of a cell, by the number that cells name."""
    codes: dict[str, str] = {}
    styles: dict[str, Style] = {}
    inside = ""

    def start(element: str, given: Attributes) -> None:
        nonlocal inside
        if element in ("cellXfs", "cellStyleXfs", "dxfs"):
            inside = element
        elif element == "numFmt" and inside != "dxfs":
            codes[given.get("numFmtId", "")] = given.get("formatCode", "")
        elif element == "xf" and inside == "cellXfs":
            number = given.get("numFmtId", "0")
            code = codes.get(number)
            shape = shape_of_code(code) if code is not None else _built_in(number)
            is_quoted = given.get("quotePrefix", "").lower() in ("1", "true")
            styles[str(len(styles))] = Style(shape, is_quoted=is_quoted)
        if max(len(codes), len(styles)) > _MAX_STYLES:
            raise TooLarge(f"the workbook has more than {_MAX_STYLES} styles")

    if path and package.has(path):
        package.walk(path, start)
    return styles


def _built_in(number: str) -> Shape:
    return shape_of_number(int(number)) if number.isdecimal() and len(number) < 6 else ""


class Strings:
    """The shared texts of a workbook, on disk but for those that are used much."""

    def __init__(self, package: Package, path: str | None) -> None:
        self._package = package
        self._path = path
        self._table = Table()
        self._local = Names()
        self._parts: list[str] = []
        self._taking = False
        self._phonetic = False
        self._length = 0
        self._known: dict[str, str] = {}

    def read(self) -> Iterator[None]:
        """Read them all; yields now and then."""
        if self._path and self._package.has(self._path):
            parser = XmlParser(self._path, self._start, self._end, self._text)
            for block in self._package.blocks(self._path):
                parser.feed(block)
                yield
            parser.close()
        self._table.seal()

    def get(self, number: str) -> str:
        """The text of this number; MalformedBody when there is none."""
        if (known := self._known.get(number)) is not None:
            return known
        try:
            text = self._table.get(int(number)).decode()
        except (IndexError, ValueError):
            raise MalformedBody(
                f"the workbook refers to its shared text {number[:20]!r}, which it lacks: save it "
                "again with Excel or LibreOffice"
            ) from None
        if len(text) <= _SHORT and len(number) < 20 and len(self._known) < _USED_MUCH:
            self._known[number] = text
        return text

    def close(self) -> None:
        """Give their room back."""
        self._table.close()

    def _start(self, name: str, _: list[str]) -> None:
        local = self._local[name]
        if local == "si":
            self._parts.clear()
            self._length = 0
        elif local == "rPh":
            self._phonetic = True
        self._taking = local == "t" and not self._phonetic

    def _end(self, name: str) -> None:
        local = self._local[name]
        self._taking = False
        if local == "rPh":
            self._phonetic = False
        elif local == "si":
            self._table.add(unescaped("".join(self._parts)).encode())
            self._parts.clear()

    def _text(self, text: str) -> None:
        if self._taking:
            self._parts.append(text)
            self._length += len(text)
            check_length(self._length)


def check_length(length: int) -> None:
    """Refuse a text that no cell holds."""
    if length > MAX_TEXT:
        raise TooLarge("the workbook has a cell with more than 1,048,576 characters: shorten it")


def unescaped(text: str) -> str:
    """The text that Excel means: characters that XML cannot hold are written as _x000D_."""
    return _ESCAPE.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    # halves of a character and NUL are nothing that text can hold
    return found[0] if code == 0 or 0xD800 <= code < 0xE000 else chr(code)
