"""Workbooks as they come: what a cell shows is what is read, and nothing hostile grows."""

import io
import re
import struct
import tempfile
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from itertools import pairwise
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pgsluice import workbook_writer
from pgsluice.errors import ProblemError
from pgsluice.ingest import package
from pgsluice.ingest.cells import moment_text, number_text, shape_of_code
from pgsluice.ingest.errors import BadOption, MalformedBody, NoRoom, TooLarge
from pgsluice.ingest.xlsx import SheetOptions, XlsxReader
from pgsluice.workbook_writer import MAX_ROWS, WorkbookWriter

from .workbooks import MAIN, cells, packed, parts, relations

Table = list[list[str | None]]


_CELL = re.compile(r'(?:("(?:[^"]|"")*")|([^,"\n]*))([,\n])')


def read(data: bytes, shape: str = "cells", **options: Any) -> tuple[list[str], Table, list[int]]:
    """The header, the records and their lines; malformed records are their problem alone."""
    null = options.pop("null", "")
    limit = options.pop("max_record_bytes", 2**26)
    reader = XlsxReader(SheetOptions(**options), null, limit)
    try:
        for start in range(0, len(data), 10_000):
            assert list(reader.feed(data[start : start + 10_000])) == []
        assert sum(piece.records for piece in reader.close()) == 0
        header = reader.header
        assert header is not None
        assert list(reader.start(shape)) == []
        rows: Table = []
        lines: list[int] = []
        for piece in reader.close():
            before = len(rows)
            for row in csv_rows(piece.data.decode()):
                if piece.marked:
                    problem, line = row[-2:]
                    rows.append([problem] if problem is not None else row[:-3])
                    lines.append(int(line or 0))
                else:
                    rows.append(row)
            assert len(rows) - before == piece.records
            if not piece.marked:
                breaks = [*piece.lines, (piece.records, 0)]
                for (first, line), (last, _) in pairwise(breaks):
                    lines += range(line, line + last - first)
        return header, rows, lines
    finally:
        reader.dispose()


def csv_rows(text: str) -> Iterator[list[str | None]]:
    """The records of CSV as COPY reads them: an unquoted empty cell is null."""
    row: list[str | None] = []
    for quoted, plain, end in _CELL.findall(text):
        row.append(quoted[1:-1].replace('""', '"') if quoted else plain or None)
        if end == "\n":
            yield row
            row = []


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """A time without a zone, as spreadsheets have it."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC).replace(tzinfo=None)


def made(rows: list[list[Any]], formats: dict[str, str] | None = None) -> bytes:
    """A workbook by openpyxl."""
    book = openpyxl.Workbook()
    page = book.active
    for row in rows:
        page.append(row)
    for place, code in (formats or {}).items():
        page[place].number_format = code
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_cells_are_read_as_what_they_show() -> None:
    values = [
        7, 5.0, 0.1 + 0.2, 19.99, 1e21, 1 / 3, -0.5, True, False,
        "  text ", "a\nb", "=SUM(A1)"[1:], date(2024, 5, 31), at(2024, 5, 31, 10, 30),
        clock(9, 15), timedelta(hours=26, minutes=30), "#N/A", None, 1.5,
    ]  # fmt: skip
    data = made([[f"c{n}" for n in range(len(values))], values])
    assert read(data)[1] == [
        [
            "7", "5", "0.3", "19.99", "1000000000000000000000", "0.3333333333333333", "-0.5",
            "true", "false", "  text ", "a\nb", "SUM(A1)", "2024-05-31", "2024-05-31T10:30:00",
            "09:15:00", "26:30:00", "#N/A", None, "1.5",
        ]
    ]  # fmt: skip


def test_empty_rows_and_columns_are_passed_over_and_lines_are_those_of_the_sheet() -> None:
    data = made([[], ["a", None, "c", None], [1, None, 2], [], [], [3, None, None], [None, None]])
    assert read(data) == (["a", "c"], [["1", "2"], ["3", None]], [3, 6])


def test_a_value_in_a_column_without_a_name_is_a_malformed_record() -> None:
    header, rows, lines = read(made([["a", "b"], [1, 2], [1, 2, None, 4], [5, 6]]))
    assert header == ["a", "b"]
    assert rows[0] == ["1", "2"]
    assert "column D has a value but no name" in str(rows[1][0])
    assert (rows[2], lines) == (["5", "6"], [2, 3, 4])


def test_the_first_sheet_that_shows_is_read_unless_one_is_named() -> None:
    book = openpyxl.Workbook()
    book.active.title = "Hidden"
    book.active.sheet_state = "hidden"
    book.active.append(["h"])
    for name in ("Köln", "Other"):
        page = book.create_sheet(name)
        page.append([f"in {name}"])
    out = io.BytesIO()
    book.save(out)
    data = out.getvalue()
    assert read(data)[0] == ["in Köln"]
    assert read(data, name="other")[0] == ["in Other"]
    assert read(data, name="HIDDEN")[0] == ["h"]
    with pytest.raises(BadOption, match="no sheet 'Nope'; it has 'Hidden', 'Köln', 'Other'"):
        read(data, name="Nope")


def test_merged_cells_have_their_value_in_the_first() -> None:
    book = openpyxl.Workbook()
    page = book.active
    for row in (["a", "b"], ["x", "y"], ["z", "z"]):
        page.append(row)
    page.merge_cells("A2:B2")
    out = io.BytesIO()
    book.save(out)
    assert read(out.getvalue())[1] == [["x", None], ["z", "z"]]


def test_formulas_count_by_their_last_value() -> None:
    rows = cells("a", "b", "c", "d") + (
        "<row><c><f>1+1</f><v>2</v></c><c t='str'><f>A1</f><v>x</v></c>"
        "<c t='str'><f>\"\"</f><v></v></c><c t='e'><f>1/0</f><v>#DIV/0!</v></c></row>"
    )
    assert read(packed(parts(rows)))[1] == [["2", "x", None, "#DIV/0!"]]


def test_the_calendar_of_1904_is_known() -> None:
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    rows = cells("d") + '<row><c s="1"><v>0</v></c></row><row><c s="1"><v>43981.5</v></c></row>'
    head = '<workbookPr date1904="1"/>'
    assert read(packed(parts(rows, styles=styles, head=head)))[1] == [
        ["1904-01-01"],
        ["2024-05-31T12:00:00"],
    ]


@pytest.mark.parametrize(
    ("code", "shape"),
    [
        ("General", ""), ("0.00", ""), ("#,##0", ""), ("0.00E+00", ""), ("@", ""), ("0%", ""),
        ('0.0" m"', ""), ('"day" 0', ""), ("[Red]0;[Blue]-0", ""), ("[$€-407] #,##0.00", ""),
        ("yyyy-mm-dd", "date"), ("d/m/yy", "date"), ("mmm", "date"),
        ("[$-409]mmmm d, yyyy", "date"),
        ("dd.mm.yyyy hh:mm", "moment"), ("yyyy\\-mm\\-dd\\ hh:mm:ss.000", "moment"),
        ("h:mm AM/PM", "time"), ("mm:ss", "time"), ("[h]:mm", "span"), ("[mm]:ss", "span"),
    ],
)  # fmt: skip
def test_a_number_format_tells_what_a_number_is(code: str, shape: str) -> None:
    assert shape_of_code(code) == shape


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("1", "1900-01-01"), ("59", "1900-02-28"), ("60", "1900-02-29"), ("61", "1900-03-01"),
        ("45443", "2024-05-31"), ("2958465", "9999-12-31"), ("2958466", "2958466"), ("-1", "-1"),
        ("45443.75", "2024-05-31T18:00:00"), ("45443.999999999", "2024-05-31T23:59:59.999914"),
        ("45443.416666666664", "2024-05-31T10:00:00"), ("nonsense", "nonsense"),
    ],
)  # fmt: skip
def test_serial_numbers_become_dates(stored: str, text: str) -> None:
    assert moment_text(stored, "date", is_1904=False) == text


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("007", "007"), ("1E3", "1000"), ("1.10", "1.1"), ("-0.0", "-0"), ("1E-7", "0.0000001"),
        ("4.3499999999999996", "4.35"), ("1E999999", "1E999999"), ("NaN", "NaN"), ("x", "x"),
        ("123456789012345678", "123456789012345678"), ("1.2345678901234567", "1.2345678901234567"),
    ],
)  # fmt: skip
def test_numbers_lose_their_noise_and_nothing_else(stored: str, text: str) -> None:
    assert number_text(stored) == text


def test_a_decimal_comma_is_written_where_numbers_are_read_so() -> None:
    data = made([["a", "b"], [1.5, "1.5"]])
    assert read(data, point=",")[1] == [["1,5", "1.5"]]


def test_a_null_marker_is_null_and_so_is_an_empty_cell() -> None:
    data = made([["a", "b", "c"], ["NA", None, "x"]])
    header, rows, _ = read(data, null="NA")
    assert rows == [["NA", "NA", "x"]]
    assert header == ["a", "b", "c"]


def test_many_columns_come_as_arrays() -> None:
    data = made([["a", "b", "c"], ['q"\\', None, "x"]])
    assert read(data, shape="array")[1] == [['{"q\\"\\\\",NULL,"x"}']]


def test_quirks_of_other_writers_are_read() -> None:
    strict = parts()
    strict["xl/workbook.xml"] = (
        '<x:workbook xmlns:x="http://purl.oclc.org/ooxml/spreadsheetml/main" '
        'xmlns:rel="http://purl.oclc.org/ooxml/officeDocument/relationships"><x:sheets>'
        '<x:sheet name="One" sheetId="1" rel:id="rId1"/></x:sheets></x:workbook>'
    )
    strict["xl/_rels/workbook.xml.rels"] = relations(
        ("worksheet", "/xl/worksheets/Sheet1.xml"), ("sharedStrings", "SharedStrings.xml")
    )
    # a prefix, no places, a row without a number, phonetic help, pieces of rich text
    strict["xl\\worksheets\\sheet1.xml"] = (
        f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row><x:c t="s"><x:v>0</x:v></x:c>'
        '</x:row><x:row r="5"><x:c t="inlineStr"><x:is><x:r><x:t>ri</x:t></x:r><x:r><x:t>ch'
        "</x:t></x:r></x:is></x:c></x:row><x:row><x:c t='s'><x:v>1</x:v></x:c></x:row>"
        '<x:row r="2"><x:c><x:v><!-- why -->4<![CDATA[2]]></x:v></x:c></x:row>'
        "<x:row><x:c t='d'><x:v>2024-05-31</x:v></x:c></x:row>"
        "</x:sheetData></x:worksheet>"
    )
    del strict["xl/worksheets/sheet1.xml"]
    strict["xl/sharedStrings.xml"] = (
        f'<sst xmlns="{MAIN}"><si><t>na</t><t>me</t></si><si><r><t>東</t></r><r><t>京_x000A_!'
        "</t></r><rPh sb='0' eb='1'><t>トウ</t></rPh></si></sst>"
    )
    assert read(packed(strict)) == (
        ["name"],
        [["rich"], ["東京\n!"], ["42"], ["2024-05-31"]],
        [5, 6, 7, 8],
    )


def test_a_text_of_nothing_is_null_unless_an_apostrophe_makes_it_a_text() -> None:
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="0" quotePrefix="1"/></cellXfs>'
    rows = cells("a", "b", "c") + (
        '<row><c t="inlineStr"><is><t/></is></c><c s="1" t="inlineStr"><is><t></t></is></c>'
        '<c s="1"/></row>'
    )
    assert read(packed(parts(rows, styles=styles)))[1] == [[None, "", None]]


# Hostile files.


def refused(data: bytes, error: type[Exception], words: str, **options: Any) -> None:
    with pytest.raises(error, match=words):
        read(data, **options)


def test_what_is_no_workbook_is_refused_in_plain_words() -> None:
    good = made([["a"], [1]])
    refused(b"", MalformedBody, "is no .xlsx workbook")
    refused(b"email,name\n", MalformedBody, "is no .xlsx workbook")
    refused(b"\xd0\xcf\x11\xe0" + bytes(600), MalformedBody, "old Excel, or is locked")
    refused(good[: len(good) // 2], MalformedBody, "cut off or is corrupt")
    refused(packed({"word/document.xml": "<a/>"}), MalformedBody, "no .xlsx workbook")
    refused(packed({}), MalformedBody, "no .xlsx workbook")
    refused(packed(parts()), MalformedBody, "the sheet is empty")
    spoiled = bytearray(good)
    place = good.find(b"PK\x03\x04", good.find(b"sheet1.xml") - 60) + 60
    spoiled[place : place + 8] = b"\xff" * 8
    refused(bytes(spoiled), MalformedBody, "cut off or is corrupt|no XML")
    refused(packed(parts("<row><c")), MalformedBody, "is no XML")
    refused(packed(parts(cells("a") + '<row><c t="s"><v>9</v></c></row>')), MalformedBody, "shared")
    refused(packed(parts('<row><c r="ZZZZ1"><v>1</v></c></row>')), MalformedBody, "no place")
    refused(packed(parts('<row><c r="XFE1"><v>1</v></c></row>')), MalformedBody, "16384 columns")


def test_entities_and_document_types_are_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    file = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    for head in (bomb, file):
        for path in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "_rels/.rels"):
            hostile = parts(cells("a") + cells("&b;"))
            hostile[path] = head + hostile[path]
            refused(packed(hostile), MalformedBody, "declares a document type")


def test_a_bomb_is_stopped_by_size_and_by_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = parts(cells("a") + "<row>" + " " * 5_000_000 + "</row>")
    assert read(packed(blank))[1] == []
    monkeypatch.setattr(package, "_HARMLESS", 4_000_000)
    refused(packed(blank), TooLarge, "250 times its size")
    refused(packed(blank), TooLarge, "more than 1000000 bytes once it is unpacked", max_bytes=10**6)
    texts = parts(cells("a"), strings="<si><t>" + "x" * 2_000_000 + "</t></si>")
    refused(packed(texts), TooLarge, "more than 1,048,576 characters")


def test_other_ways_to_make_a_reader_grow_are_refused() -> None:
    refused(packed(parts("<a>" * 100)), MalformedBody, "nested deeper than 64")
    refused(packed(parts(f'<row a="{"x" * 9_000_000}"/>')), MalformedBody, "tag of more than 4 MB")
    refused(packed({str(n): "" for n in range(10_001)}), MalformedBody, "10001 entries")
    many = "<cellXfs>" + '<xf numFmtId="0"/>' * 65_537 + "</cellXfs>"
    refused(packed(parts(styles=many)), TooLarge, "65536 styles")
    long = parts(cells("a") + cells("x" * 3000))
    refused(packed(long), TooLarge, "row 2 of the sheet is longer than", max_record_bytes=2000)


def test_a_list_of_entries_that_claims_to_be_huge_is_not_read() -> None:
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, 5_000_000, 0, 0)
    refused(b"PK\x03\x04" + bytes(5_000_000) + end, MalformedBody, "list of entries is too long")


def test_an_encrypted_entry_is_refused() -> None:
    data = bytearray(packed(parts(cells("a"))))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(mark, start)) >= 0:
            data[start + at] |= 1
            start += 4
    refused(bytes(data), MalformedBody, "encrypted")
    refused(packed(parts(cells("a")), zipfile.ZIP_LZMA), MalformedBody, "packed in an unusual way")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_files_go_when_a_reader_is_given_up_while_another_thread_reads() -> None:
    data = packed(parts(cells("a") + cells("x" * 100) * 20_000))
    before = open_files()
    reader = XlsxReader(SheetOptions())
    list(reader.feed(data))
    list(reader.close())
    pieces = reader.close()
    next(pieces)
    thread = threading.Thread(target=lambda: list(pieces))
    thread.start()
    reader.dispose()
    thread.join(20)
    assert open_files() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: full)
        reader = XlsxReader(SheetOptions())
        with pytest.raises(NoRoom, match="the disk is full; free some, or set TMPDIR"):
            list(reader.feed(b"x" * 100_000))
        reader.dispose()


# And out again.

KINDS = ("number", "text", "boolean", "date", "moment")


def written(columns: list[tuple[str, str]], lines: bytes, cut: int = 0, **more: Any) -> bytes:
    """A workbook of what COPY would send, in blocks of so many bytes."""
    about = [{"name": name, "kind": kind} for name, kind in columns]
    writer = WorkbookWriter({"name": "a sheet", "columns": about, **more})
    blocks = [lines[at : at + cut] for at in range(0, len(lines), cut)] if cut else [lines]
    return b"".join([*map(writer.add, blocks), writer.end()])


def test_a_workbook_of_ours_is_what_others_read() -> None:
    lines = b"1\ta\\tb\tt\t2024-05-31\t2024-05-31 10:30:00+00\n\\N\t=1+1\tf\tinfinity\t0044-03-15\n"
    data = written([(kind, kind) for kind in KINDS], lines, cut=7)
    page = openpyxl.load_workbook(io.BytesIO(data)).active
    assert (page.title, page.freeze_panes) == ("a sheet", "A2")
    assert [[cell.value for cell in row] for row in page.iter_rows()] == [
        list(KINDS),
        [1, "a\tb", True, at(2024, 5, 31), at(2024, 5, 31, 10, 30)],
        [None, "=1+1", False, "infinity", "0044-03-15"],
    ]
    assert page["B3"].data_type == "s"
    assert (page["D2"].number_format, page["E2"].number_format) == (
        "yyyy\\-mm\\-dd",
        "yyyy\\-mm\\-dd\\ hh:mm:ss",
    )
    assert page["A1"].font.b


def test_wrong_cells_of_rejects_are_marked_and_noted() -> None:
    errors = '[{"field": "a", "code": "type", "message": "no <number>"}, {"field": null}]'
    data = written(
        [("A", "text"), ("_errors", "text")], f"x\t{errors}\n\\N\t{errors}\n".encode(),
        marks={"a": 0}, errors=1,
    )  # fmt: skip
    page = openpyxl.load_workbook(io.BytesIO(data)).active
    for place in ("A2", "A3"):
        assert page[place].fill.fgColor.rgb == "FFFFC7CE"
        assert page[place].comment.text == "no <number>"
    assert page["B2"].comment is None
    assert read(data)[1] == [["x", errors], [None, errors]]


def test_what_no_sheet_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProblemError, match="a cell has more than 32,767 characters"):
        written([("a", "text")], b"x" * 32_768 + b"\n")
    assert read(written([("a", "text")], b"x" * 32_767 + b"\n"))[1] == [["x" * 32_767]]
    with pytest.raises(ProblemError, match="32,767"):
        written([("a", "text")], "😀".encode() * 16_384 + b"\n")
    assert MAX_ROWS == 2**20
    monkeypatch.setattr(workbook_writer, "MAX_ROWS", 1000)
    assert len(read(written([("a", "boolean")], b"t\n" * 999))[1]) == 999
    with pytest.raises(ProblemError, match="more than 1,000 rows, the most of a sheet: narrow it"):
        written([("a", "boolean")], b"t\n" * 1000)


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_numbers = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=4).map(lambda d: format(d, "f")),
    st.floats().map(lambda f: repr(f).replace("inf", "Infinity").replace("nan", "NaN")),
)
_moments = st.datetimes(min_value=at(1, 1, 1)).map(
    lambda moment: (
        moment.isoformat(" ").rstrip("0") if moment.microsecond else moment.isoformat(" ")
    )
)
_rows = st.tuples(
    st.none() | _numbers,
    st.none() | _text,
    st.none() | st.sampled_from("tf"),
    st.none() | st.dates().map(str),
    st.none() | _moments,
    st.just("always"),
)


def copied(value: str | None) -> str:
    """A value as COPY writes it in its text format."""
    if value is None:
        return "\\N"
    marks = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
    return "".join(marks.get(mark, mark) for mark in value)


def same(kind: str, sent: str | None, found: str | None) -> bool:
    if sent is None or found is None or kind == "text":
        return sent == found
    if kind == "boolean":
        return found == {"t": "true", "f": "false"}[sent]
    if kind == "number":
        return found == sent or float(found) == float(sent)
    return found.replace("T", " ") == sent


@settings(deadline=None, max_examples=40)
@given(st.lists(_rows, min_size=1, max_size=5), st.integers(1, 100))
@example(
    [("0.30000000000000004", "_x0041_", "t", "1900-02-28", "2024-05-31 10:00:00.000001", "")], 1
)
@example([("1e-05", "\ufffe\x01\r'", "f", "9999-12-31", "2999-01-01 00:00:00.123457", "")], 3)
@example([("123456789012345678", "=x", None, None, "1900-03-01 00:00:00", "\\N")], 9)
def test_what_is_written_reads_back_the_same(rows: list[tuple[Any, ...]], cut: int) -> None:
    columns = [(kind, kind) for kind in KINDS] + [("last", "text")]
    lines = "".join("\t".join(map(copied, row)) + "\n" for row in rows).encode()
    header, found, _ = read(written(columns, lines, cut))
    assert header == [name for name, _ in columns]
    for sent, got in zip(rows, found, strict=True):
        for (_, kind), before, after in zip(columns, sent, got, strict=True):
            assert same(kind, before, after), (kind, before, after)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=300), st.integers(0, 2000), st.integers(0, 3))
def test_spoiled_workbooks_are_refused_and_nothing_else(noise: bytes, at: int, where: int) -> None:
    good = parts(cells("a", "b") + cells("1", "2"), strings="<si><t>x</t></si>")
    if where == 3:
        data = bytearray(packed(good))
        data[at : at + len(noise)] = noise
        spoiled = bytes(data)
    else:
        path = ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml"][where]
        text = bytearray(good[path].encode())
        text[at % len(text) : at % len(text) + len(noise)] = noise
        spoiled = packed({name: part.encode() for name, part in good.items()} | {path: bytes(text)})
    with suppress(MalformedBody, TooLarge):
        read(spoiled)


def test_memory_stays_flat_however_many_texts_there_are() -> None:
    def peak(rows: int) -> int:
        strings = "".join(f"<si><t>{n:0150}</t></si>" for n in range(rows))
        body = cells("a") + "".join(f'<row><c t="s"><v>{n}</v></c></row>' for n in range(rows))
        data = packed(parts(body, strings=strings))
        tracemalloc.start()
        reader = XlsxReader(SheetOptions())
        list(reader.feed(data))
        list(reader.close())
        count = sum(piece.records for piece in reader.close())
        reader.dispose()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == rows
        return most

    assert peak(12_000) < peak(4_000) + 2_000_000
