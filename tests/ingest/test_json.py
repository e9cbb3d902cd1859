"""NDJSON and JSON: each record keeps its text, bad ones stand alone."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgsluice.ingest.errors import MalformedBody
from pgsluice.ingest.json import JsonReader
from pgsluice.ingest.lines import TOO_DEEP, LineReader
from pgsluice.ingest.pieces import HAS_NUL, NOT_UTF8, Piece

from .stage import Record, Stage, read, read_pieces

MANY = settings(deadline=None, max_examples=300)
SIZES = st.lists(st.integers(1, 40), max_size=20)
TOKENS = [
    *[b'{"a": 1}', b"{}", b"[1]", b"1", b'"x"', b"null", '{"é": "\\u0000"}'.encode()],
    *[b"\n", b"\n", b"\n", b"\r\n", b"\r", b"\n\n", b" ", b"\t", b"\\.", b"\x01", b"\x02", b"\0"],
    *[b"\xff", b"\xed\xa0\x80", b"{", b"}", b'"', b",", b"[", b"]", b'{"b": [1,\n 2]}'],
]


@MANY
@given(st.lists(st.sampled_from(TOKENS), max_size=40), SIZES, st.sampled_from([20, 1 << 26]))
def test_chunks_and_paths_do_not_change_the_stage_of_lines(
    stage: Stage, tokens: list[bytes], sizes: list[int], limit: int
) -> None:
    data = b"".join(tokens)
    whole = stage.lines(LineReader(limit), data)
    assert stage.lines(LineReader(limit), data, sizes) == whole
    assert stage.lines(LineReader(limit, fast=False), data, sizes) == whole


def outcome(stage: Stage, data: bytes, sizes: list[int], **options: Any) -> Any:
    """The stage, or the error with its place."""
    try:
        return stage.lines(JsonReader(**options), data, sizes)
    except MalformedBody as error:
        return (error.row, error.line)


@MANY
@given(st.lists(st.sampled_from(TOKENS), max_size=40), SIZES, st.booleans())
def test_chunks_do_not_change_the_stage_of_json(
    stage: Stage, tokens: list[bytes], sizes: list[int], array: bool
) -> None:
    data = b"[" + b",".join(tokens) + b"]" if array else b"".join(tokens)
    assert outcome(stage, data, sizes) == outcome(stage, data, [])


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=12)


@MANY
@given(RECORDS, st.sampled_from([None, 1]), st.booleans(), st.booleans(), SIZES)
def test_json_comes_out_as_it_went_in(
    stage: Stage,
    records: list[Any],
    indent: int | None,
    array: bool,
    ascii_: bool,
    sizes: list[int],
) -> None:
    texts = [json.dumps(record, indent=indent, ensure_ascii=ascii_) for record in records]
    text = "[" + ",\n".join(texts) + "]" if array else "\n".join(texts)
    if not text:
        return
    found = stage.lines(JsonReader(), text.encode(), sizes)
    assert [r.cells for r in found] == [[text] for text in texts]


@pytest.mark.parametrize("form", ["lines", "one per line", "compact", "pretty", "nested"])
def test_bulk_and_single_reading_agree(stage: Stage, form: str) -> None:
    rows: list[Any] = [{"id": i, "name": f"é {i}", "x": [1.10, {}]} for i in range(8000)]
    if form == "nested":
        rows = [row | {"addresses": [{"city": "a"}, {"city": "b"}]} for row in rows]
    texts = [json.dumps(row, indent=2 if form == "pretty" else None) for row in rows]
    glue = {"lines": "\n", "one per line": ",\n", "compact": ","}.get(form, ", ")
    text = glue.join(texts)
    data = (text if form == "lines" else f"[{text}]").encode()
    slow = stage.lines(JsonReader(fast=False), data, [50_000])
    assert stage.lines(JsonReader(), data, [50_000]) == slow
    assert [r.cells for r in slow] == [[text] for text in texts]


@pytest.mark.parametrize(
    ("line", "raw", "problem"),
    [
        (b'{"a": "\xff"}', '{"a": "\\xff"}', NOT_UTF8),
        (b'{"a": "\0"}', '{"a": "\\x00"}', HAS_NUL),
        (b'{"a":' * 1001 + b"1" + b"}" * 1001, None, TOO_DEEP),
        (b"[" * 200_000, None, TOO_DEEP),
    ],
)
def test_a_bad_line_is_set_apart(stage: Stage, line: bytes, raw: str | None, problem: str) -> None:
    found = stage.lines(LineReader(), b'{"a": 1}\n' + line + b'\n{"a": 2}\n')
    assert found[1] == Record([None], raw or line.decode(), problem, 2)
    assert [r.cells for r in (found[0], found[2])] == [['{"a": 1}'], ['{"a": 2}']]


def test_what_sql_must_judge_passes_through(stage: Stage) -> None:
    lines = [
        *['{"a": "\\u0000"}', '{"a": "\\ud800"}', "1", "[1, 2]", "null", '"x"', "NaN", "\\."],
        *['{"a": 1, "a": 2}', "{broken", '{"a": 1e999999}', '{"a": "\x01\x02"}', '{"a":\r1}'],
    ]
    found = stage.lines(LineReader(), "\n".join(lines).encode() + b"\r\n")
    assert found == [Record([line], None, None, i) for i, line in enumerate(lines, 1)]


def test_an_empty_file_of_lines_has_no_records(stage: Stage) -> None:
    assert stage.lines(LineReader(), b"") == []
    assert stage.lines(LineReader(), b"\n \n\r\n") == []


def test_numbers_keep_their_digits(stage: Stage) -> None:
    text = '{"a": 1.10, "b": 12345678901234567890123456789, "c": 1E+5, "d": -0.0}'
    assert stage.lines(JsonReader(), f"[{text}]".encode())[0].cells == [text]
    digits = "9" * 10_000
    assert stage.lines(JsonReader(), f"[{digits}]".encode())[0].cells == [digits]


@pytest.mark.parametrize("text", ["-0.0", "1.5e-10", "2E+3", "true", "12345"])
def test_a_number_may_come_in_parts(stage: Stage, text: str) -> None:
    for shape in ("[%s]", "[1,%s,2]", '{"a": 1}\n%s\n'):
        found = stage.lines(JsonReader(), (shape % text).encode(), [1])
        assert text in [r.cells[0] for r in found]


def test_records_of_an_array_know_their_lines(stage: Stage) -> None:
    data = b'\n[\n  {"a": 1},\n\n  {"a":\n 2}, {"a": 3},\n 4, "x", [5]\n]\n'
    found = stage.lines(JsonReader(), data)
    assert [r.line for r in found] == [3, 5, 6, 7, 7, 7]
    assert [r.cells[0] for r in found] == [
        '{"a": 1}',
        '{"a":\n 2}',
        '{"a": 3}',
        "4",
        '"x"',
        "[5]",
    ]


@pytest.mark.parametrize(
    ("data", "words", "row", "line"),
    [
        (b'[{"a": 1}\n{"a": 2}]', "comma is missing", 2, 2),
        (b'[{"a": 1},\n]', "beside a comma", 2, 2),
        (b'[{"a": 1},,{"a": 2}]', "beside a comma", 2, 1),
        (b'[{"a": 1}', "cut off", 2, 1),
        (b'[{"a": 1},\n{"a": ', "cut off", 2, 2),
        (b'[{"a": 1},\n{"a": \nx}\n, {"a": 3}                ]', "not valid JSON", 2, 3),
        (b'[{"a": 1}]\nx', "remove it", 2, 2),
        (b'[{"a": 1},' + b"[" * 5000, "cut off", 2, 1),
        (b"hello", "starts with 'h'", 1, 1),
    ],
)
def test_a_syntax_error_fails_an_array_at_its_record(
    data: bytes, words: str, row: int, line: int
) -> None:
    pieces: list[Piece] = []
    with pytest.raises(MalformedBody, match=words) as caught:
        pieces.extend(read_pieces(JsonReader(), data))
    assert (caught.value.row, caught.value.line) == (row, line)
    assert sum(piece.records for piece in pieces) == row - 1


@pytest.mark.parametrize("data", [b"", b" \n\t"])
def test_an_empty_json_file_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedBody, match="empty"):
        read(JsonReader(), data)


def test_an_empty_array_has_no_records(stage: Stage) -> None:
    assert stage.lines(JsonReader(), b" [ \n ] \n") == []


@pytest.mark.parametrize("filler", [b"", b"x" * 300_000])
def test_a_deep_element_of_an_array_is_set_apart(stage: Stage, filler: bytes) -> None:
    deep = b'{"a\\"]": "' + filler + b'", "b":' + b"[" * 200_000 + b"\n" + b"]" * 200_000 + b"}"
    found = stage.lines(JsonReader(), b'[{"a": 1}, ' + deep + b', {"a": 2}]', [10_000])
    assert [r.cells[0] for r in found] == ['{"a": 1}', None, '{"a": 2}']
    assert (found[1].problem, found[1].malformed) == (TOO_DEEP, deep.decode())
    assert [r.line for r in found] == [1, 1, 2]


@pytest.mark.parametrize("form", ["[%s]", '{"b": 1}\n%s\n'], ids=["array", "objects"])
@pytest.mark.parametrize("depth", [900, 980, 1000])
def test_an_element_deep_but_allowed_is_kept(stage: Stage, form: str, depth: int) -> None:
    deep = '{"a": ' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
    found = stage.lines(JsonReader(), (form % deep).encode(), [100])
    assert found[-1].cells == [deep]


@pytest.mark.parametrize("around", [(b'{"a": "', b'"}'), (b'"', b'"'), (b'["\\"', b'"]')])
def test_an_element_longer_than_the_limit_is_set_apart(
    stage: Stage, around: tuple[bytes, bytes]
) -> None:
    long = around[0] + b"x" * 3_000_000 + around[1]
    data = b'[{"a": 1}, ' + long + b', {"a": 2}]'
    found = stage.lines(JsonReader(2_000_000), data, [50_000])
    assert [r.cells[0] for r in found] == ['{"a": 1}', None, '{"a": 2}']
    assert len(found[1].malformed or "") == 1024 * 1024


def test_one_bad_line_of_a_sequence_costs_itself_only(stage: Stage) -> None:
    data = b'{"a": 1}\n{"a": \n{"a":\n 3}\nx\n{"a": 5} y\n{"a": "\xff"}\n{"a": 7}'
    found = stage.lines(JsonReader(), data)
    assert [(r.cells[0] or r.malformed, r.line) for r in found] == [
        ('{"a": 1}', 1),
        ('{"a": ', 2),
        ('{"a":\n 3}', 3),
        ("x", 5),
        ('{"a": 5}', 6),
        ("y", 6),
        ('{"a": "\\xff"}', 7),
        ('{"a": 7}', 8),
    ]


def test_a_large_record_does_not_make_reading_quadratic() -> None:
    start = time.process_time()
    record = b'{"a": "' + b"x" * 20_000_000 + b'"}'
    pieces = read(JsonReader(), b"[" + record + b"," + record + b"]", [16_384])
    assert sum(piece.records for piece in pieces) == 2
    assert time.process_time() - start < 10


@pytest.mark.parametrize("shape", ["[%s,%s,%s]", "%s\n%s\n%s\n"], ids=["array", "objects"])
def test_a_large_record_is_found_by_its_brackets(stage: Stage, shape: str) -> None:
    large = json.dumps({"a": ['}]"\\', {"b": '\\"{['}] * 80_000, "é": [[]]}, ensure_ascii=False)
    assert len(large) > 1_500_000
    found = stage.lines(JsonReader(), (shape % ('{"n":1}', large, "[2]")).encode(), [65536])
    assert [record.cells[0] for record in found] == ['{"n":1}', large, "[2]"]


def test_an_object_that_never_ends_costs_only_its_line(stage: Stage) -> None:
    data = b'{"a": [\n' + b'{"b": 1}\n' * 200_000
    found = stage.lines(JsonReader(), data, [65536])
    assert [record.line for record in found if record.malformed] == [1]
    assert len(found) == 200_001


def test_without_patience_a_line_is_a_record_or_none(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgsluice.ingest.json.PATIENCE", 20)
    data = b'{"a": [\n{"b":\n{"c": 1}\n{"d": \n1}\n{"e": 1} 2\n{"f": 1}'
    found = stage.lines(JsonReader(), data)
    assert [record.line for record in found if not record.malformed] == [3, 7]
    assert len(found) == 7
