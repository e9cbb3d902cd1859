"""What a stage holds once COPY has read the pieces."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg

from pgsluice.ingest.csv import CsvReader
from pgsluice.ingest.json import JsonReader
from pgsluice.ingest.lines import LineReader
from pgsluice.ingest.pieces import Piece

AnyReader = CsvReader | LineReader | JsonReader
LINE_OPTIONS = r"(format csv, quote e'\x01', delimiter e'\x02', null '')"


class Record(NamedTuple):
    """One row of a stage."""

    cells: list[str | None]
    malformed: str | None
    problem: str | None
    line: int


def split(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """The data in chunks of these sizes, the last of which repeats."""
    pos, size = 0, len(data) + 1
    for size in sizes:
        yield data[pos : pos + size]
        pos += size
    while pos < len(data):
        yield data[pos : pos + size]
        pos += size


def read(
    reader: AnyReader, data: bytes, sizes: Iterable[int] = (), shape: str = "cells"
) -> list[Piece]:
    """All pieces of the data, fed in chunks of these sizes."""
    return list(read_pieces(reader, data, sizes, shape))


def read_pieces(
    reader: AnyReader, data: bytes, sizes: Iterable[int] = (), shape: str = "cells"
) -> Iterator[Piece]:
    """As `read`, while it goes on."""
    reader.minimum = 1
    waits = isinstance(reader, CsvReader)
    for chunk in split(data, sizes):
        yield from reader.feed(chunk)
        if waits and isinstance(reader, CsvReader) and reader.header is not None:
            yield from reader.start(shape)
            waits = False
    yield from reader.close()
    if waits and isinstance(reader, CsvReader):
        yield from reader.start(shape)
        yield from reader.close()


@dataclass
class Stage:
    """Fills a stage table by real COPY statements."""

    conn: psycopg.Connection[Any]

    def csv(
        self,
        data: bytes,
        sizes: Iterable[int] = (),
        *,
        null: str = "",
        shape: str = "cells",
        **options: Any,
    ) -> list[Record]:
        """The stage of a CSV file."""
        reader = CsvReader(null=null, **options)
        pieces = read(reader, data, sizes, shape)
        width = len(reader.header or ())
        cells = ["cells"] if shape == "array" else [f"c{i}" for i in range(1, width + 1)]
        delimiter = reader.delimiter.decode().replace("\t", "\\t")
        how = f"(format csv, delimiter e'{delimiter}', null '{null}')"
        return self._store(pieces, cells, how, "text[]" if shape == "array" else "text")

    def lines(self, reader: AnyReader, data: bytes, sizes: Iterable[int] = ()) -> list[Record]:
        """The stage of a file of JSON records."""
        return self._store(read(reader, data, sizes), ["line"], LINE_OPTIONS, "text")

    def _store(self, pieces: list[Piece], cells: list[str], how: str, kind: str) -> list[Record]:
        columns = "".join(f"{cell} {kind}, " for cell in cells)
        self.conn.execute(
            f"drop table if exists pg_temp.stage; create temp table stage (n bigint generated "
            f"always as identity, {columns} malformed text, problem text, line_no bigint)".encode()
        )
        breaks: list[tuple[int, int]] = []
        total = 0
        with self.conn.cursor() as cursor:
            for piece in pieces:
                names = cells + ["malformed", "problem", "line_no"] * piece.marked
                query = f"copy pg_temp.stage ({', '.join(names)}) from stdin {how}"
                with cursor.copy(query.encode()) as copy:
                    copy.write(piece.data)
                assert cursor.rowcount == piece.records
                breaks += [(total + offset + 1, line) for offset, line in piece.lines]
                total += piece.records
        found = self.conn.execute(
            f"select array[{', '.join(cells)}], malformed, problem, line_no, n "
            "from pg_temp.stage order by n".encode()
        ).fetchall()
        assert sum(piece.malformed for piece in pieces) == sum(row[1] is not None for row in found)
        return [
            Record(
                row[0][0] if kind == "text[]" and row[0] else row[0],
                row[1],
                row[2],
                row[3] or _line(breaks, row[4]),
            )
            for row in found
        ]


def _line(breaks: list[tuple[int, int]], n: int) -> int:
    first, line = max(pair for pair in breaks if pair[0] <= n)
    return line + n - first
