"""CSV: good records keep their cells, bad ones stand alone, both paths agree."""

import csv
import io
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsluice.ingest.csv import AFTER_QUOTE, LONE_CR, STRAY, UNCLOSED, CsvReader
from pgsluice.ingest.errors import BadOption, MalformedBody
from pgsluice.ingest.pieces import HAS_NUL, NOT_UTF8

from .stage import Record, Stage, read

TOKENS = [
    *[b"a", b"bc", "é".encode(), b" ", b"1", b"\\.", b"\\", b"NULL", b"x" * 30],
    *[b",", b",", b",", b'"', b'""', b',"', b'",', b'"\n', b"\n", b"\n", b"\n", b"\r\n"],
    *[b"\r", b"\0", b"\xff", b"\xed\xa0\x80", b"a,b,c\n", b'"a","b ""x""","c\nd"\n', b"\n\n"],
]
HEADERS = st.sampled_from([b"a,b,c\n", b"a,b,c\r\n", b"a\n", b'"x\ny",b\n', b"a,b,c"])
BODIES = st.lists(st.sampled_from(TOKENS), max_size=60).map(b"".join)
SIZES = st.lists(st.integers(1, 40), max_size=20)
MANY = settings(deadline=None, max_examples=300)


@MANY
@given(HEADERS, BODIES, SIZES, st.sampled_from([30, 100, 64 << 20]), st.sampled_from(["", "NULL"]))
def test_chunks_and_paths_do_not_change_the_stage(
    stage: Stage, header: bytes, body: bytes, sizes: list[int], limit: int, null: str
) -> None:
    data = header + body
    try:
        whole = stage.csv(data, null=null, max_record_bytes=limit)
    except MalformedBody as error:
        with pytest.raises(MalformedBody, match=re.escape(str(error))):
            stage.csv(data, sizes, null=null, max_record_bytes=limit)
        return
    assert stage.csv(data, sizes, null=null, max_record_bytes=limit) == whole
    assert stage.csv(data, sizes, null=null, max_record_bytes=limit, fast=False) == whole
    array = stage.csv(data, null=null, max_record_bytes=limit, shape="array")
    assert [r._replace(cells=[]) for r in array] == [r._replace(cells=[]) for r in whole]
    assert [r.cells for r in array if not r.malformed] == [
        r.cells for r in whole if not r.malformed
    ]


CELLS = st.text(st.sampled_from('aé ,;"\n\\.\t1'), max_size=8)


@MANY
@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=20),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([",", ";", "\t", "|"]),
    SIZES,
)
def test_what_pythons_csv_module_writes_is_read_as_it_was(
    stage: Stage, rows: list[list[str]], quoting: int, end: str, mark: str, sizes: list[int]
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=quoting, lineterminator=end, delimiter=mark)  # type: ignore[arg-type] # typeshed wants literals
    writer.writerows([["a", "b", "c"], *rows])
    found = stage.csv(out.getvalue().encode(), sizes)
    null = "" if quoting == csv.QUOTE_ALL else None
    assert [r.cells for r in found] == [[cell or null for cell in row] for row in rows]
    assert not any(r.malformed for r in found)


def test_a_regular_file_passes_untouched() -> None:
    body = b'1,"a, ""b""",\n' * 100 + "2,é,\n".encode() * 100
    pieces = read(CsvReader(), b"a,b,c\n" + body)
    assert b"".join(piece.data for piece in pieces) == body
    assert not any(piece.marked for piece in pieces)


@pytest.mark.parametrize(
    ("line", "raw", "problem"),
    [
        (b"1,2", "1,2", "expected 3 cells, found 2: add the missing cells"),
        (b"1,2,3,4", "1,2,3,4", "expected 3 cells, found 4: quote a cell that holds the delimiter"),
        (b'1,"a\nb"', '1,"a\nb"', "expected 3 cells, found 2: add the missing cells"),
        (b'1,a"b,3', '1,a"b,3', STRAY),
        (b'1,"a"b,3', '1,"a"b,3', AFTER_QUOTE),
        (b"1,a\rb,3", "1,a\rb,3", LONE_CR),
        (b"1,a,b\r\r", "1,a,b\r", LONE_CR),
        (b"1,\xff,3", "1,\\xff,3", NOT_UTF8),
        (b'1,"\n\xe9",3', '1,"\n\\xe9",3', NOT_UTF8),
        (b"1,a\0,3", "1,a\\x00,3", HAS_NUL),
        (b"\\.", "\\.", "expected 3 cells, found 1: add the missing cells"),
        (b"   ", "   ", "expected 3 cells, found 1: add the missing cells"),
    ],
)
def test_a_bad_record_is_set_apart_and_the_others_kept(
    stage: Stage, line: bytes, raw: str, problem: str
) -> None:
    good = b"x,y,z\n"
    found = stage.csv(b"a,b,c\n" + good * 2 + line + b"\n" + good * 2)
    assert found[2] == Record([None] * 3, raw, problem, 4)
    assert [r.cells for r in found[:2] + found[3:]] == [["x", "y", "z"]] * 4
    assert found[3].line == 4 + line.count(b"\n") + 1


def test_an_unclosed_quote_costs_its_line_only(stage: Stage) -> None:
    found = stage.csv(b'a,b\n1,2\n3,"4\n5,6\n7,8')
    assert [r.cells for r in found] == [["1", "2"], [None, None], ["5", "6"], ["7", "8"]]
    assert (found[1].malformed, found[1].problem, found[1].line) == ('3,"4', UNCLOSED, 3)
    assert [r.line for r in found] == [2, 3, 4, 5]


def test_a_quote_not_closed_within_the_limit_costs_its_line_only(stage: Stage) -> None:
    data = b'a,b\n3,"4\n' + b"5,6\n" * 100 + b'7,"8"\n'
    found = stage.csv(data, max_record_bytes=100)
    assert found[0].problem == UNCLOSED
    assert [r.cells for r in found[1:]] == [["5", "6"]] * 100 + [["7", "8"]]


def test_an_unclosed_quote_does_not_make_reading_quadratic() -> None:
    data = b'a,b\n3,"4\n' + b'5,""\n' * 2_000_000
    start = time.process_time()
    pieces = read(CsvReader(), data, [64 * 1024])
    assert sum(piece.records for piece in pieces) == 2_000_001
    assert sum(piece.malformed for piece in pieces) == 1
    assert time.process_time() - start < 10


def test_null_and_the_empty_string_are_told_apart(stage: Stage) -> None:
    data = b'a,b,c\n,"",x\n"",,"p\nq"\nNULL,"NULL",""\n'
    assert [r.cells for r in stage.csv(data)] == [
        [None, "", "x"],
        ["", None, "p\nq"],
        ["NULL", "NULL", ""],
    ]
    assert [r.cells for r in stage.csv(data, null="NULL", fast=False)] == [
        ["", "", "x"],
        ["", "", "p\nq"],
        [None, "NULL", ""],
    ]
    assert stage.csv(data, null="NULL", shape="array")[2].cells == [None, "NULL", ""]


def test_blank_lines_are_lines_and_not_records(stage: Stage) -> None:
    found = stage.csv(b"\na,b\n\n1,2\n\r\n\n3,4\n\n")
    assert [(r.cells, r.line) for r in found] == [(["1", "2"], 4), (["3", "4"], 7)]


def test_a_single_column(stage: Stage) -> None:
    found = stage.csv(b'a\nx\n\n""\n\\.\ny\n"\\."\n')
    assert [(r.cells, r.line) for r in found] == [
        (["x"], 2),
        ([""], 4),
        (["\\."], 5),
        (["y"], 6),
        (["\\."], 7),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_line_end(stage: Stage, end: bytes) -> None:
    found = stage.csv(end.join([b"a,b", b"1,2", b"3,4", b""]), [1])
    assert [(r.cells, r.line) for r in found] == [(["1", "2"], 2), (["3", "4"], 3)]


def test_mixed_line_ends(stage: Stage) -> None:
    found = stage.csv(b'a,b\n1,2\r\n3,"x\r\ny"\n5,6\r\n')
    assert [r.cells for r in found] == [["1", "2"], ["3", "x\r\ny"], ["5", "6"]]
    assert not any(r.malformed for r in found)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_read_from_the_header(stage: Stage, mark: str) -> None:
    data = f'"a,;b"{mark}b{mark}c\n1{mark}2,;{mark}\n'.encode()
    if mark in ",;":
        data = data.replace(b"2,;", b"2")
    assert stage.csv(data)[0].cells[2] is None
    reader = CsvReader()
    read(reader, data)
    assert (reader.delimiter.decode(), reader.header) == (mark, ["a,;b", "b", "c"])


def test_excels_sep_line_names_the_delimiter(stage: Stage) -> None:
    found = stage.csv(b"sep=;\r\na;b,c\r\n1;2\r\n")
    assert found == [Record(["1", "2"], None, None, 3)]


def test_a_header_without_records(stage: Stage) -> None:
    assert stage.csv(b"a,b,c") == []
    assert stage.csv(b"a,b,c\r\n\r\n") == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"\n\r\n \n", "the file is empty"),
        (b'a,"b\n1,2\n', "never closed"),
        (b'a,b"c"\n1,2\n', "quote"),
        (b"a,\xe9\n1,2\n", "encoding=windows-1252"),
        (b"PK\3\4\0\0,\n", "NUL"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(MalformedBody, match=words):
        read(CsvReader(), data)


@pytest.mark.parametrize("delimiter", [b"", b"ab", b'"', b"\n", b"\0", b"\xff"])
def test_a_delimiter_that_cannot_be_one_is_refused(delimiter: bytes) -> None:
    with pytest.raises(BadOption, match="one character"):
        CsvReader(delimiter)


def test_a_thousand_columns(stage: Stage) -> None:
    names = b",".join(b"column%d" % i for i in range(1000))
    row = b",".join([b"", b'""', b'"a ""b"" \\ {c}"', b"NULL", *[b"x" * 10] * 996])
    found = stage.csv(names + b"\n" + row + b"\n1,2\n", shape="array")
    assert found[0].cells[:5] == [None, "", 'a "b" \\ {c}', "NULL", "x" * 10]
    assert len(found[0].cells) == 1000
    assert found[1].problem == "expected 1000 cells, found 2: add the missing cells"


def test_a_field_of_50_megabytes(stage: Stage) -> None:
    text = b"word \n" * (50_000_000 // 6)
    found = stage.csv(b'a,b\n1,"' + text + b'"\n2,y\n', [100_000])
    assert [len(r.cells[1] or "") for r in found] == [len(text), 1]
    assert [r.line for r in found] == [2, 2 + len(text) // 6 + 1]


def test_a_line_longer_than_the_limit_is_cut_in_its_raw_text(stage: Stage) -> None:
    data = b"a,b\n1,2\n3," + b"x" * 3_000_000 + b"\n5,6\n"
    found = stage.csv(data, [50_000], max_record_bytes=2_000_000)
    assert [r.cells for r in found] == [["1", "2"], [None, None], ["5", "6"]]
    assert len(found[1].malformed or "") == 1024 * 1024
    assert "longer than 1 MB" in (found[1].problem or "")
