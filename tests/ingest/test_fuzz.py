"""Random files: COPY and a slow oracle tell what their stage must be; nothing else may happen."""

import asyncio
import csv
import gzip
import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pgsluice.database import Pool, new_pool
from pgsluice.ingest.body import as_text
from pgsluice.ingest.csv import CsvReader
from pgsluice.ingest.encoding import to_utf8
from pgsluice.ingest.errors import IngestError, MalformedBody
from pgsluice.ingest.json import JsonReader
from pgsluice.ingest.lines import LineReader
from pgsluice.ingest.receive import Upload

from ..conftest import Databases
from ..effort import effort
from .oracle import Expected, SlowCsv, same_json, slow_json, slow_lines
from .stage import Record, Stage, split
from .streams import collect, stream

CELLS = st.text(st.sampled_from("aé \"'\\,;\t|\n\r.N{}1\u2028𝄞"), max_size=12) | st.sampled_from(
    ["", "NULL", "\\N", "\\.", "=1+1", "x" * 5000, '"' * 40, "null", "\ufeff"]
)
WIDTHS = st.sampled_from([1, 1, 2, 3, 3, 5, 40, 201])
DIRT = [
    *[
        b'"',
        b'""',
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r\n",
        b",",
        b";",
        b"\t",
        b"|",
        b"\\",
        b"\\.",
    ],
    *[
        b"\n\\.\n",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\xa9",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
    ],
    *[b"\x01", b"\x02", b"{", b"}", b"[", b"]", b":", b"\\u0000", b"\\ud800", b"NULL", b"\v", b" "],
    *[b"\x1f\x8b", b"\x00\x00", b"\x1a", b"[" * 1001, b"]" * 1001, b"-", b"1e", b"NaN"],
]
WOUNDS = st.lists(
    st.tuples(
        st.integers(0, 1 << 30), st.sampled_from(DIRT) | st.binary(max_size=4), st.integers(0, 6)
    ),
    max_size=6,
)
SIZES = st.lists(st.integers(1, 60) | st.integers(1, 5000), max_size=12)
NULLS = st.sampled_from(["", "", "NULL", "\\N", "é", "\\.", "a", " ", "-", "x y"])
MARKS = st.sampled_from([",", ";", "\t", "|"])


def wounded(data: bytes, wounds: list[tuple[int, bytes, int]]) -> bytes:
    """The data with some bytes put in, and some others lost where they were."""
    for place, dirt, lost in wounds:
        at = place % (len(data) + 1)
        data = data[:at] + dirt + data[at + lost :]
    return data


@dataclass
class CsvFile:
    """A CSV file with a regular header and a body that may be anything."""

    width: int
    mark: str
    end: bytes
    body: bytes

    @property
    def data(self) -> bytes:
        header = self.mark.join(f"h{i}" for i in range(self.width)).encode()
        return header + self.end + self.body


@st.composite
def csv_files(draw: st.DrawFn) -> CsvFile:
    """Files as Python's csv module writes them, with wounds; or mere bytes."""
    width, mark = draw(WIDTHS), draw(MARKS)
    end = draw(st.sampled_from(["\n", "\r\n"]))
    if draw(st.integers(0, 4)) == 0:
        return CsvFile(width, mark, end.encode(), draw(st.binary(max_size=300)))
    out = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    writer: Any = csv.writer(out, delimiter=mark, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    row = st.lists(CELLS, min_size=min(width, 5), max_size=min(width, 5))
    for cells in draw(st.lists(row, max_size=12)):
        writer.writerow(cells + ["1"] * (width - len(cells)))
    return CsvFile(width, mark, end.encode(), wounded(out.getvalue().encode(), draw(WOUNDS)))


def agrees(found: list[Record], expected: list[Expected]) -> None:
    """The stage is what the oracle says."""
    assert [(r.malformed, r.line) for r in found] == [(e.malformed, e.line) for e in expected]
    assert [r.cells for r in found if r.malformed is None] == [
        e.cells for e in expected if e.malformed is None
    ]
    assert all((r.malformed is None) == (r.problem is None) for r in found)


@effort(130)
@given(csv_files(), SIZES, NULLS, st.booleans())
def test_csv_is_staged_as_rfc_4180_says(
    stage: Stage, file: CsvFile, sizes: list[int], null: str, fast: bool
) -> None:
    expected = SlowCsv(file.body, file.width, file.mark.encode(), null).records()
    # a CR alone at the end of the header would make it a file of an old Mac
    shape = "array" if file.width > 200 else "cells"
    delimiter = file.mark.encode() if file.width == 1 else None
    found = stage.csv(file.data, sizes, null=null, shape=shape, fast=fast, delimiter=delimiter)
    agrees(found, expected)
    if null == "" and found and not any(r.malformed for r in found) and file.width > 1:
        text = io.StringIO(file.body.decode(), newline="")
        read = [row for row in csv.reader(text, delimiter=file.mark, strict=True) if row]
        assert [[cell or "" for cell in r.cells] for r in found] == read


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | CELLS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4) | VALUES, max_size=12)


@st.composite
def json_files(draw: st.DrawFn) -> bytes:
    """Arrays, sequences and lines of JSON, with wounds; or mere bytes."""
    shape = draw(st.sampled_from(["array", "array", "lines", "lines", "bytes"]))
    if shape == "bytes":
        return draw(st.sampled_from([b"", b"[", b"{"])) + draw(st.binary(max_size=200))
    indent = draw(st.sampled_from([None, None, 1]))
    plain = draw(st.booleans())
    records = draw(RECORDS)
    texts = [json.dumps(record, indent=indent, ensure_ascii=plain) for record in records]
    glue = draw(
        st.sampled_from([",", ", ", ",\n", " ,\r\n"] if shape == "array" else ["\n", "\r\n"])
    )
    text = glue.join(texts)
    data = (f"[{text}]" if shape == "array" else text).encode("utf-8", "surrogatepass")
    return wounded(data, draw(WOUNDS))


@effort(130)
@given(json_files(), SIZES, st.booleans())
def test_lines_are_staged_as_they_are(
    stage: Stage, data: bytes, sizes: list[int], fast: bool
) -> None:
    agrees(stage.lines(LineReader(fast=fast), data, sizes), slow_lines(data))


def squeezed(text: str) -> str:
    """Without white space."""
    return "".join(text.split())


@effort(130)
@given(json_files(), SIZES, st.booleans())
def test_json_is_staged_value_by_value(
    stage: Stage, data: bytes, sizes: list[int], fast: bool
) -> None:
    expected = slow_json(data)
    found: list[Record] | None
    try:
        found = stage.lines(JsonReader(fast=fast), data, sizes)
    except MalformedBody:
        found = None
    if found is None:
        assert expected is None
        return
    if expected is not None:
        assert [r.cells for r in found] == [[text] for text in expected]
        assert all(map(same_json, expected, (str(r.cells[0]) for r in found)))
        return
    # an array that is not valid is refused, unless only bytes or depth inside records are wrong
    assert any(r.malformed for r in found)
    if not data.lstrip().startswith(b"[") and "\\x" not in str(found):
        # a sequence loses nothing, whatever it holds
        kept = "".join(r.malformed or str(r.cells[0]) for r in found)
        assert squeezed(kept) == squeezed(data.decode())


# The whole way of an upload, into the stage of a job.


@dataclass
class Uploads:
    """Receives files as the service does."""

    runner: asyncio.Runner
    pool: Pool
    conn: psycopg.Connection[Any]

    def stage(self, chunks: Iterator[bytes], name: Any, how: dict[str, Any], **text: Any) -> Any:
        """What the stage holds, or the refusal; nothing of the job is left."""
        upload = Upload(self.pool, format_name=name, options=how)
        try:
            totals = self.runner.run(upload.receive(as_text(stream(chunks), **text)))
        except IngestError as refused:
            self._nothing_left()
            return refused
        except psycopg.Error as refused:
            if not (refused.sqlstate or "").startswith("IO4"):
                raise
            self._nothing_left()
            return refused
        found = self._records(str(upload.job_id))
        assert (totals.records, totals.malformed) == (
            len(found),
            sum(r.malformed is not None for r in found),
        )
        self.runner.run(upload.abort())
        self._nothing_left()
        return found

    def _records(self, job_id: str) -> list[Record]:
        row = self.conn.execute(
            "select shape, cardinality(header), received from sluice.job where job_id = %s",
            [job_id],
        ).fetchone()
        assert row
        shape, width, received = row
        columns = {"line": "array[line]", "array": "cells"}.get(
            shape, f"array[{', '.join(f'c{i}' for i in range(1, (width or 0) + 1))}]"
        )
        name = f"sluice_stage.s_{job_id.replace('-', '')}"
        rows = self.conn.execute(
            f"""select {columns}, _malformed, _problem, coalesce(_line_no, (
                select b.line + s._n - b.n from sluice.line_break as b
                where b.job_id = '{job_id}' and b.n <= s._n order by b.n desc limit 1
            )) from {name} as s order by _n""".encode()
        ).fetchall()
        assert len(rows) == received
        return [Record(*row) for row in rows]

    def _nothing_left(self) -> None:
        left = self.conn.execute(
            "select (select count(*) from sluice.job) + (select count(*) from pg_class"
            " where relnamespace = 'sluice_stage'::regnamespace)"
        ).fetchone()
        assert left == (0,)


@pytest.fixture(scope="module")
def uploads(databases: Databases) -> Iterator[Uploads]:
    """Receives files into a database of its own."""
    dsn = databases.create("fuzzed_uploads", databases.template)
    with asyncio.Runner() as runner, psycopg.connect(dsn, autocommit=True) as conn:
        pool = new_pool(dsn, size=2, name="fuzz")
        runner.run(pool.open())
        yield Uploads(runner, pool, conn)
        runner.run(pool.close())
    databases.drop("fuzzed_uploads")


PACKS: dict[str, Any] = {"gzip": gzip.compress, "zstd": zstandard.compress, "": bytes}
ENCODINGS = [
    "utf-8",
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-32",
    "iso-8859-15",
    "cp1252",
    "shift_jis",
]


@st.composite
def any_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A format and a file that may be of another one."""
    name = draw(st.sampled_from(["csv", "csv", "ndjson", "json"]))
    files = csv_files().map(lambda file: file.data)
    own = files if name == "csv" else json_files()
    other = st.one_of(files, json_files(), st.binary(max_size=100))
    data = draw(own if draw(st.integers(0, 5)) else other)
    return name, wounded(data, draw(WOUNDS) if draw(st.booleans()) else [])


def same_outcome(one: Any, other: Any) -> None:
    """Both are the same stage, or both refusals."""
    if isinstance(one, list) and isinstance(other, list):
        blank = [r._replace(cells=[]) for r in one], [r._replace(cells=[]) for r in other]
        assert blank[0] == blank[1]
        good = [[r.cells for r in found if r.malformed is None] for found in (one, other)]
        assert good[0] == good[1]
    else:
        assert not isinstance(one, list), other
        assert not isinstance(other, list), one


def by_readers(stage: Stage, name: str, text: bytes, null: str) -> Any:
    """What the readers alone make of the text, or why they refuse it."""
    try:
        if name != "csv":
            return stage.lines(JsonReader(fast=False) if name == "json" else LineReader(), text)
        reader = CsvReader()
        for _ in reader.feed(text):
            pass
        if reader.header is None:
            list(reader.close())
        shape = "array" if len(reader.header or ()) > 200 else "cells"
        return stage.csv(text, null=null, shape=shape, fast=False)
    except (IngestError, psycopg.Error) as refused:
        return refused


@effort(110)
@given(
    any_files(),
    SIZES,
    st.sampled_from(["", "", "NULL", "é"]),
    st.sampled_from(sorted(PACKS)),
    st.sampled_from(ENCODINGS),
    st.booleans(),
)
def test_whatever_is_uploaded_is_staged_or_refused(
    stage: Stage,
    uploads: Uploads,
    file: tuple[str, bytes],
    sizes: list[int],
    null: str,
    pack: str,
    encoding: str,
    recoded: bool,
) -> None:
    name, data = file
    if recoded:
        data = data.decode("utf-8", "replace").encode(encoding, "replace")
    found = uploads.stage(
        split(PACKS[pack](data), sizes),
        name,
        {"null": null},
        content_encoding=pack,
        encoding=encoding,
    )
    if data[:4].startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return
    text = asyncio.run(collect(to_utf8(stream([data] if data else []), encoding)))
    alone = by_readers(stage, name, text, null)
    if isinstance(found, psycopg.Error) and isinstance(alone, list):
        # SQL judges the names of the header: none twice, none empty
        assert found.sqlstate == "IO400"
        return
    same_outcome(found, alone)


@effort(60)
@given(any_files(), st.sampled_from(["gzip", "zstd"]), WOUNDS, SIZES, st.integers(0, 1 << 20))
def test_broken_compression_is_refused_or_read(
    uploads: Uploads,
    file: tuple[str, bytes],
    pack: Any,
    wounds: list[tuple[int, bytes, int]],
    sizes: list[int],
    seed: int,
) -> None:
    name, data = file
    packed = wounded(PACKS[pack](data), wounds)
    if seed % 3 == 0:
        packed = packed[: seed % (len(packed) + 1)]
    uploads.stage(split(packed, sizes), name, {}, compression=pack)


@pytest.mark.parametrize("width", [1, 2, 300, 1600, 1601])
@pytest.mark.parametrize("seed", range(3))
def test_large_cells_and_many_columns(
    stage: Stage, uploads: Uploads, width: int, seed: int
) -> None:
    chance = random.Random(seed)
    names = [f"h{i}" for i in range(width)]
    rows = [[f"{i}é" * chance.choice([0, 1, 2]) for i in range(width)] for _ in range(20)]
    rows[3][0] = 'large "cell",\n' * 50_000
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([names, *rows])
    sizes = [chance.randrange(1, 100_000) for _ in range(20)]
    found = uploads.stage(split(out.getvalue().encode(), sizes), "csv", {"delimiter": ","})
    if width > 1600:
        assert found.sqlstate == "IO400"
    else:
        assert [r.cells for r in found] == rows
