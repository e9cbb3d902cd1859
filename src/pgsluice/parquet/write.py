"""A program: CSV comes in, as COPY writes it without a header, and a Parquet file goes out.

It is given what SQL says of the columns. A value that a column cannot hold is refused: the file is
then worth nothing, whatever has been written.
"""

import sys
from collections.abc import Iterator
from typing import IO, Any

import msgspec
import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from .confine import run
from .values import Column, refusal, type_of, values

_READ = 1024 * 1024
# What is parsed at once; what a row group holds at most.
_PARSED = 4 * 1024 * 1024
_GROUP_BYTES = 32 * 1024 * 1024
_GROUP_ROWS = 131_072


def main() -> None:
    """Read to the end of the standard input."""
    columns = msgspec.json.decode(sys.argv[1], type=list[Column])
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    schema = pa.schema([pa.field(column.name, type_of(column)) for column in columns])
    tables: list[pa.Table] = []
    size = rows = done = 0
    with pq.ParquetWriter(sys.stdout.buffer, schema, compression="zstd") as writer:
        for data in records(sys.stdin.buffer):
            table = _typed(_parsed(data, len(columns)), columns, schema, done + 1)
            tables.append(table)
            done, rows, size = done + len(table), rows + len(table), size + table.nbytes
            if size >= _GROUP_BYTES or rows >= _GROUP_ROWS:
                writer.write_table(pa.concat_tables(tables), row_group_size=rows)
                tables, size, rows = [], 0, 0
        if tables:
            writer.write_table(pa.concat_tables(tables), row_group_size=rows)
    sys.stdout.buffer.flush()


def records(source: IO[bytes]) -> Iterator[bytes]:
    """Whole records of CSV, a few megabytes at a time: a line may end within quotes."""
    waiting: list[bytes] = []
    size, in_quotes = 0, False
    while data := source.read(_READ):
        end = _last_end(data, in_quotes=in_quotes) if size + len(data) >= _PARSED else 0
        if end:
            yield b"".join([*waiting, data[:end]])
            waiting, size, in_quotes, data = [], 0, False, data[end:]
        waiting.append(data)
        size += len(data)
        in_quotes ^= data.count(b'"') % 2 == 1
    if size:
        yield b"".join(waiting)


def _last_end(data: bytes, *, in_quotes: bool) -> int:
    """Behind the last line end that is outside of quotes; 0 when there is none."""
    at = data.rfind(b"\n")
    odd = in_quotes ^ (data.count(b'"', 0, max(at, 0)) % 2 == 1)
    while at >= 0 and odd:
        before = data.rfind(b"\n", 0, at)
        odd ^= data.count(b'"', max(before, 0), at) % 2 == 1
        at = before
    return at + 1


def _parsed(data: bytes, width: int) -> pa.Table:
    names = [str(n) for n in range(width)]
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(
            column_names=names, use_threads=False, block_size=len(data) + 1
        ),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _typed(table: pa.Table, columns: list[Column], schema: Any, first: int) -> pa.Table:
    made = []
    for texts, column in zip(table.columns, columns, strict=True):
        array = texts.combine_chunks()
        try:
            made.append(values(array, column))
        except (ValueError, pa.ArrowInvalid):
            raise refusal(array, column, first) from None
    return pa.Table.from_arrays(made, schema=schema)


if __name__ == "__main__":
    run(main, "leave the field with the long values out, or ask for csv or ndjson")
