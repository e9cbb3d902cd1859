"""Parquet files as they come: every value as Postgres reads it, and nothing hostile grows."""

import io
import random
import sys
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet as pq

from pgsluice.errors import ProblemError
from pgsluice.ingest.errors import IngestError, MalformedBody, TooLarge
from pgsluice.ingest.parquet import ParquetOptions, ParquetReader
from pgsluice.ingest.pieces import Piece
from pgsluice.parquet.days import date_text, days_of, micros_of, moment_text

from .test_xlsx import csv_rows

Table = list[list[str | None]]


def saved(table: pa.Table, **options: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def pieces(
    data: bytes, shape: str = "cells", record: int = 2**26, **options: Any
) -> tuple[list[str], list[Piece]]:
    """The header and what comes behind it."""
    reader = ParquetReader(ParquetOptions(**options), record)
    try:
        for start in range(0, len(data), 100_000):
            assert list(reader.feed(data[start : start + 100_000])) == []
        assert sum(piece.records for piece in reader.close()) == 0
        assert reader.header is not None
        assert list(reader.start(shape)) == []
        return reader.header, [piece for piece in reader.close() if piece.records]
    finally:
        reader.dispose()


def read(data: bytes, **options: Any) -> Table:
    """The records of a file without malformed ones."""
    found = pieces(data, **options)[1]
    assert not any(piece.marked for piece in found)
    return [row for piece in found for row in csv_rows(piece.data.decode())]


def columns_of(data: dict[str, pa.Array]) -> dict[str, list[str | None]]:
    """The texts of each column."""
    rows = read(saved(pa.table(data)))
    return dict(zip(data, map(list, zip(*rows, strict=True)), strict=True))


def uuids(values: list[uuid.UUID | None]) -> pa.Array:
    storage = pa.array([value and value.bytes for value in values], pa.binary(16))
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def test_each_type_is_written_as_postgres_reads_it() -> None:
    some = uuid.UUID(int=5)
    at = datetime(2024, 5, 31, 10, 30, 0, 7, UTC)
    cases: dict[str, tuple[Any, list[str | None]]] = {
        "text": (pa.array(["", 'a"b,\r\n', None]), ["", 'a"b,\r\n', None]),
        "view": (pa.array(["x", "", None], pa.string_view()), ["x", "", None]),
        "coded": (pa.array(["x", "y", None]).dictionary_encode(), ["x", "y", None]),
        "uint64": (pa.array([0, 2**64 - 1, None], pa.uint64()), ["0", str(2**64 - 1), None]),
        "double": (pa.array([0.1, 1e300, None]), ["0.1", "1e+300", None]),
        "odd": (pa.array([float("nan"), float("inf"), -float("inf")]), ["nan", "inf", "-inf"]),
        "float": (pa.array([0.1, 1.5, None], pa.float32()), ["0.1", "1.5", None]),
        "half": (pa.array([1.5, None, 0], pa.float16()), ["1.5", None, "0"]),
        "decimal": (
            pa.array([Decimal("-1.50"), Decimal(10**30), None], pa.decimal256(60, 2)),
            ["-1.50", f"{10**30}.00", None],
        ),
        "bool": (pa.array([True, False, None]), ["true", "false", None]),
        "date": (
            pa.array([date(2024, 5, 31), None, date(1, 1, 1)]),
            ["2024-05-31", None, "0001-01-01"],
        ),
        "old": (
            pa.array([-719_163, 0, None], pa.int32()).cast(pa.date32()),
            ["0001-12-31 BC", "1970-01-01", None],
        ),
        "zoned": (
            pa.array([at, None, at], pa.timestamp("us", "Asia/Tokyo")),
            ["2024-05-31T10:30:00.000007Z", None, "2024-05-31T10:30:00.000007Z"],
        ),
        "plain": (
            pa.array([1, None, 0], pa.timestamp("ms")),
            ["1970-01-01T00:00:00.001", None, "1970-01-01T00:00:00.000"],
        ),
        "ancient": (
            pa.array([-(10**17), None, 0], pa.timestamp("us", "UTC")),
            ["1200-02-15 14:13:20.000000+00 BC", None, "1970-01-01 00:00:00.000000+00"],
        ),
        "time": (
            pa.array([1, None, 0], pa.time64("us")),
            ["00:00:00.000001", None, "00:00:00.000000"],
        ),
        "span": (
            pa.array([-1500, None, 0], pa.duration("ms")),
            ["-1.500 seconds", None, "0.000 seconds"],
        ),
        "bytes": (pa.array([b"\0\xff", b"", None]), [r"\x00ff", r"\x", None]),
        "uuid": (
            uuids([some, None, some]),
            [str(some), None, str(some)],
        ),
        "json": (
            pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1.50}', None, "[]"])),
            ['{"a": 1.50}', None, "[]"],
        ),
        "nothing": (pa.nulls(3), [None, None, None]),
    }  # fmt: skip
    found = columns_of({name: array for name, (array, _) in cases.items()})
    assert found == {name: texts for name, (_, texts) in cases.items()}


def test_nested_values_are_json_with_all_their_digits() -> None:
    lines = [{"city": 'K"öln', "price": Decimal("1.50"), "at": datetime(2024, 1, 1)}]  # noqa: DTZ001
    found = columns_of(
        {
            "list": pa.array([["a", None], [], None]),
            "lines": pa.array([lines, None, []]),
            "map": pa.array(
                [[("a", 1.5), ("b", None)], None, []], pa.map_(pa.string(), pa.float64())
            ),
            "numbers": pa.array([[float("nan"), 1e300], None, []]),
            "fixed": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.uint64(), 2)),
            "deep": pa.array([{"a": {"b": [{"c": None}]}}, None, {"a": None}]),
        }
    )
    assert found == {
        "list": ['["a",null]', "[]", None],
        "lines": [
            '[{"city":"K\\"öln","price":1.50,"at":"2024-01-01T00:00:00.000000"}]', None, "[]",
        ],
        "map": ['{"a":1.5,"b":null}', None, "{}"],
        "numbers": ['["nan",1e+300]', None, "[]"],
        "fixed": ["[1,2]", None, "[3,4]"],
        "deep": ['{"a":{"b":[{"c":null}]}}', None, '{"a":null}'],
    }  # fmt: skip


def test_a_null_marker_and_a_decimal_comma_are_as_in_a_workbook() -> None:
    table = pa.table({"a": ["n/a", "", None], "b": [1.5, None, 2]})
    assert read(saved(table), null="n/a", point=",") == [[None, "1,5"], ["", None], [None, "2"]]


def test_records_that_no_text_can_hold_are_malformed_and_the_others_are_not() -> None:
    data = saved(pa.table({"a": ["x", "n\0l", "y" * 99, None]}))
    (piece,) = pieces(data, record=50)[1]
    assert (piece.records, piece.malformed, piece.marked) == (4, 2, True)
    rows = list(csv_rows(piece.data.decode()))
    assert [row[0] for row in rows] == ["x", None, None, None]
    assert "NUL" in str(rows[1][2])
    assert "longer than 50 bytes" in str(rows[2][2])
    assert [row[3] for row in rows] == ["1", "2", "3", "4"]
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0")
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xffa")])
    (piece,) = pieces(saved(pa.table({"a": broken})))[1]
    assert piece.malformed == 1
    assert "not valid UTF-8" in piece.data.decode()


def test_many_columns_are_one_array_and_rows_keep_their_numbers() -> None:
    table = pa.table({f"c{n}": [f"{n}\\{n}", None, 'q"'] for n in range(300)})
    header, found = pieces(saved(table, row_group_size=2), shape="array")
    assert len(header) == 300
    rows = [row for piece in found for row in csv_rows(piece.data.decode())]
    assert str(rows[0][0]).startswith('{"0\\\\0","1\\\\1",')
    assert [row[3] for row in rows] == ["1", "2", "3"]


def test_large_files_come_in_parts_of_some_megabytes() -> None:
    data = saved(pa.table({"n": range(300_000), "a": ["x" * 40] * 300_000}), row_group_size=100_000)
    found = pieces(data)[1]
    assert sum(piece.records for piece in found) == 300_000
    assert max(len(piece.data) for piece in found) < 4_000_000
    first, last = found[0], found[-1]
    assert first.lines == [(0, 1)]
    assert last.lines[0][1] + last.records == 300_001


def refused(data: bytes, kind: type[IngestError], said: str, **options: Any) -> None:
    with pytest.raises(kind) as caught:
        pieces(data, **options)
    assert said in caught.value.detail


def test_what_is_no_parquet_file_is_refused_with_what_to_do() -> None:
    good = saved(pa.table({"a": ["x" * 1000]}))
    refused(b"email\n", MalformedBody, "is no Parquet file")
    refused(b"", MalformedBody, "is no Parquet file")
    refused(b"PAR1", MalformedBody, "it is cut off or damaged")
    refused(good[:-20], MalformedBody, "it is cut off or damaged")
    refused(good[:-8] + b"\xff\xff\xff\x7fPAR1", MalformedBody, "it is cut off or damaged")


def test_a_file_of_few_bytes_that_stands_for_gigabytes_stays_small() -> None:
    one = pa.array(["x" * 1_000_000])
    coded = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), one)
    data = saved(pa.table({"a": coded}))
    assert len(data) < 200_000
    refused(data, TooLarge, "more than 20000000 bytes once it is unpacked", max_bytes=20_000_000)


def test_no_change_of_bytes_brings_more_than_a_refusal() -> None:
    draw = random.Random(7)
    table = pa.table({"a": ["x", None] * 50, "b": [[1], []] * 50, "c": [1.5, None] * 50})
    good = saved(table)
    for _ in range(6):
        data = bytearray(good)
        for _ in range(4):
            data[draw.randrange(4, len(data) - 8)] = draw.randrange(256)
        with suppress(IngestError):
            assert sum(piece.records for piece in pieces(bytes(data))[1]) <= 1_000_000


def test_a_reader_that_is_given_up_leaves_no_program_behind() -> None:
    reader = ParquetReader(ParquetOptions())
    list(reader.feed(saved(pa.table({"a": ["x" * 100] * 100_000}))))
    list(reader.close())
    child = reader._child
    assert child is not None
    assert child.process.poll() is None
    reader.dispose()
    assert child.process.poll() is not None


def test_without_the_extra_the_refusal_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ProblemError, match=r"pip install 'pgsluice\[parquet\]'") as caught:
        ParquetReader(ParquetOptions())
    assert caught.value.status == 400


@given(st.integers(-1_700_000, 100_000_000))
def test_days_and_dates_are_each_other(days: int) -> None:
    assert days_of(date_text(days)) == days


@given(st.integers(-(2**62), 2**62))
def test_microseconds_and_times_are_each_other(value: int) -> None:
    read_back: Callable[[str], int] = micros_of
    assert read_back(moment_text(value, 1_000_000, "+00")) == value


@given(st.dates())
def test_dates_are_those_of_the_calendar(day: date) -> None:
    assert days_of(day.isoformat()) == (day - date(1970, 1, 1)).days
    assert date_text((day - date(1970, 1, 1)).days) == day.isoformat()
