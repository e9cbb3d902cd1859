"""A program: a Parquet file comes out as frames of CSV.

It is given the number of an open file and its options, and writes frames to its standard output:
a line of JSON, then as many bytes as that says. The first has the names of the columns; then it
waits on its standard input for the shape of the stage.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import csv
from pyarrow import parquet as pq

from ..ingest.pieces import Marked, Markup, find_dirt, is_utf8, megabytes
from .batches import batches, parts
from .confine import RefusedError, run
from .frames import Frame, Options
from .texts import cells, is_text

_MOST_COLUMNS = 16_384
_PAGES = 64 * 1024
_PLAIN = csv.WriteOptions(include_header=False, quoting_style="needed")


def main() -> None:
    """Read the file whose descriptor is named, to its end."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    # one core is enough, and threads have stacks
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    try:
        _read(options)
    except (pa.ArrowException, OSError, UnicodeDecodeError, RecursionError) as exc:
        if isinstance(exc, BrokenPipeError | pa.ArrowMemoryError):
            raise
        reason = str(exc).partition("\n")[0] or type(exc).__name__
        is_strange = isinstance(exc, pa.ArrowNotImplementedError)
        todo = "leave it out" if is_strange else "it is cut off or damaged, write it again"
        raise RefusedError(f"{reason}: {todo}") from None


def _read(options: Options) -> None:
    file = pq.ParquetFile(os.fdopen(options.file, "rb"), buffer_size=_PAGES, pre_buffer=False)
    schema = file.schema_arrow
    if len(schema) > _MOST_COLUMNS:
        raise RefusedError(f"it has {len(schema)} columns, {_MOST_COLUMNS} are the most")
    send(Frame(header=schema.names))
    shape = sys.stdin.readline().strip()
    records = Records(options, is_array=shape == "array")
    for batch in batches(file):
        for part in parts(batch):
            for frame, data in records.frames(part):
                send(frame, data)
    send(Frame(ended=True))


def send(frame: Frame, data: bytes = b"") -> None:
    """Write a frame to the standard output."""
    left = memoryview(msgspec.json.encode(frame) + b"\n" + data)
    while left:
        left = left[os.write(1, left) :]


class Records:
    """Makes frames of rows; counts them."""

    def __init__(self, options: Options, *, is_array: bool) -> None:
        self._options = options
        self._is_array = is_array
        self._row = 0

    def frames(self, batch: pa.RecordBatch) -> Iterator[tuple[Frame, bytes]]:
        """The frames of some rows."""
        try:
            columns = [self._column(array) for array in batch.columns]
        except MemoryError:
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            yield from self.frames(batch.slice(0, half))
            yield from self.frames(batch.slice(half))
            return
        first, self._row = self._row + 1, self._row + len(batch)
        if not self._is_array:
            data = _csv(columns, len(batch))
            if self._is_clean(data):
                yield Frame(records=len(batch), row=first, size=len(data)), data
                return
        yield from self._marked(columns, first)

    def _column(self, array: pa.Array) -> pa.Array:
        made = cells(array, self._options.point)
        if self._options.null and is_text(made.type):
            marker = pa.scalar(self._options.null, made.type)
            return pc.if_else(pc.equal(made, marker), pa.scalar(None, made.type), made)
        return made

    def _is_clean(self, data: bytes) -> bool:
        return len(data) <= self._options.max_record and b"\0" not in data and is_utf8(data)

    def _marked(self, columns: list[pa.Array], first: int) -> Iterator[tuple[Frame, bytes]]:
        """Row by row: the bad ones stand as what is wrong with them."""
        markup = Markup(b",", b'"', b"", 1 if self._is_array else len(columns))
        marked = Marked(markup)
        values = [_bytes(column) for column in columns]
        for at, row in enumerate(zip(*values, strict=True), first):
            line = _line(row)
            problem = find_dirt(line)
            if len(line) > self._options.max_record:
                limit = megabytes(self._options.max_record)
                problem = f"the record is longer than {limit}: split it, or raise the limit"
            if problem:
                marked.malformed(line, problem, at)
            else:
                marked.good(markup.cell(_array(row)) if self._is_array else line, at)
        for piece in marked.pieces():
            about = Frame(
                records=piece.records, malformed=piece.malformed, row=first, marked=True,
                size=len(piece.data),
            )  # fmt: skip
            yield about, piece.data


def _csv(columns: list[pa.Array], count: int) -> bytes:
    if not columns:
        return b"\n" * count
    out = pa.BufferOutputStream()
    table = pa.Table.from_arrays(columns, names=[str(n) for n in range(len(columns))])
    csv.write_csv(table, out, _PLAIN)
    return bytes(out.getvalue().to_pybytes())


def _bytes(column: pa.Array) -> list[bytes | None]:
    """The texts of a column as they are, UTF-8 or not."""
    if not is_text(column.type):
        column = pc.cast(column, pa.string())
    return list(pc.cast(column, pa.large_binary()).to_pylist())


def _line(row: tuple[bytes | None, ...]) -> bytes:
    return b",".join(
        b"" if value is None else b'"' + value.replace(b'"', b'""') + b'"' for value in row
    )


def _array(row: tuple[Any, ...]) -> bytes:
    """A row as an array of Postgres."""
    quoted = (
        b"NULL"
        if value is None
        else b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
        for value in row
    )
    return b"{" + b",".join(quoted) + b"}"


if __name__ == "__main__":
    run(main, "write the file with smaller pages, shorter values or fewer columns")
