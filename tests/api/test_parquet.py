"""Parquet over HTTP: in, its rejects back as tables, and out by the types of the columns."""

import io
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from .conftest import is_problem, until
from .test_xlsx import rows_of, unnamed

PARQUET = "application/vnd.apache.parquet"
CAP = 3_000_000
WAIT = {"Prefer": "wait=30"}
TABLE = """
create schema if not exists vault;
create type vault.mood as enum ('sad', 'glad');
create domain vault.price as numeric(12, 2);
create table if not exists vault.things (
    id bigint primary key, small smallint, whole integer, ratio double precision, short real,
    price vault.price, big numeric(50, 10), any_number numeric, on_sale boolean, born date,
    at timestamptz, local timestamp(3), clock time, code uuid, raw bytea, data jsonb, old json,
    name text, tag varchar(5), mood vault.mood, span interval,
    tags text[], counts integer[], days date[], datas jsonb[]
);
select sluice.register('things', 'vault.things');
"""
VALUES = r"""
    (1, -32768, 2147483647, 0.1, 0.1, 10.50, 1e-10, 1e-300, true, '2024-05-31',
    '2024-05-31 10:30:00.123456+02', '2024-05-31 10:30:00.123', '23:59:59.999999',
    '00000000-0000-4000-8000-000000000001', '\x00ff', '{"a": [1.50, null, "é"]}', '{"b":  1}',
    e'x,"y"\r\nz', '=1', 'glad', '1 mon 2 days 03:04:05', '{a,NULL,"",NULL,"q\"{}"}', '{1,NULL}',
    '{2024-05-31,"0044-03-15 BC"}', array['{"a": 1}', null, '[]']::jsonb[]),
    (2, 0, null, 'NaN', '-Infinity', -0.01, 1234567890123456789012345678901234567890, 'NaN', false,
    '0044-03-15 BC', '4000-03-15 10:00:00 BC', '12345-01-01', '00:00', null, '', 'null', 'null',
    '', '', null, null, '{}', '{}', null, null),
    (9223372036854775807, null, null, 1e300, null, null, null, 0.10, null, '5000000-01-01',
    '200000-01-01 00:00:00+00', null, null, null, null, null, null, null, null, null, null, null,
    null, null, null)
"""

Post = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def folder(open_tmp: Path) -> Path:
    """From where paths may be imported."""
    inside = open_tmp / "parquet"
    inside.mkdir()
    return inside


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Any], folder: Path, open_tmp: Path) -> Any:
    """A service that takes small files only, from HTTP or from the folder."""
    return start_service(
        SLUICE_IMPORT_DIR=str(folder),
        SLUICE_STORE=str(open_tmp / "files"),
        SLUICE_MAX_UPLOAD_BYTES=str(CAP),
    )


@pytest.fixture(scope="module")
def things(service: Any, database: psycopg.Connection) -> None:
    """A table with a column of each kind."""
    database.execute(TABLE.encode())


@pytest.fixture
def post(http: httpx.Client) -> Post:
    """Posts a file as people do, in a form, and waits for the end."""

    def send(data: bytes, name: str = "users.parquet", **options: str) -> httpx.Response:
        return http.post(
            "/v1/imports",
            data={"resource": "users", **options},
            files={"file": (name, data)},
            headers=WAIT,
        )

    return send


def saved(columns: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def mail() -> str:
    return f"{uuid4().hex}@example.org"


def test_rejects_come_back_as_csv_or_a_workbook_and_go_in_again(
    http: httpx.Client, post: Post
) -> None:
    data = saved(
        {
            "Email": [mail(), mail()],
            "name": ["Ann", "Bob"],
            "role": ["reader", "boss"],
            "active": [True, None],
        }
    )
    job = post(data).json()
    assert (job["format"], job["counts"]["inserted"]) == ("parquet", 1)
    assert [(e["row"], e["field"], e["code"]) for e in job["errors"]] == [(2, "role", "check")]
    reply = http.get(job["links"]["rejects"])
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["content-disposition"] == 'attachment; filename="users.rejects.csv"'
    assert reply.text.splitlines()[0] == "Email,name,role,active,_row,_errors"
    book = http.get(job["links"]["rejects"], params={"format": "xlsx"})
    assert rows_of(book.content)[1][1:3] == ("Bob", "boss")
    mended = reply.text.replace("boss", "editor").encode()
    again = post(mended, "mended.csv", parent=job["job_id"]).json()
    assert (again["outcome"], again["counts"]["inserted"]) == ("clean", 1)


def test_nested_children_are_those_of_their_row_and_leave_again(
    http: httpx.Client, post: Post, database: psycopg.Connection
) -> None:
    address = mail()
    lines = [
        {"city": "Köln", "street": "Ring 1", "label": None},
        {"city": "Ulm", "street": "Hof 2"},
    ]
    data = saved(
        {
            "email": [address],
            "name": ["Ann"],
            "role": ["reader"],
            "metadata": pa.array([{"level": 3, "tags": ["a"]}]),
            "addresses": pa.array([lines]),
        }
    )
    job = post(data).json()
    assert job["counts"]["inserted"] == 1, job["errors"]
    told = database.execute(
        "select u.metadata, array_agg(a.city order by a.position) from app.users as u "
        "join app.addresses as a on a.user_id = u.id where u.email = %s group by u.id",
        [address],
    ).fetchone()
    assert told == ({"level": 3, "tags": ["a"]}, ["Köln", "Ulm"])
    asked = {"resource": "users", "format": "parquet", "email": address, "include": "addresses"}
    out = http.get("/v1/exports", params=asked)
    assert post(out.content).json()["counts"]["unchanged"] == 1


def test_an_export_has_the_types_of_the_columns_and_comes_back_unchanged(
    http: httpx.Client, post: Post, database: psycopg.Connection, things: None
) -> None:
    database.execute("truncate vault.things")
    database.execute(f"insert into vault.things values {VALUES}".encode())
    reply = http.get(
        "/v1/exports", params={"resource": "things", "format": "parquet", "order": "id"}
    )
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == PARQUET
    assert reply.headers["content-disposition"] == 'attachment; filename="things.parquet"'
    assert int(reply.headers["content-length"]) == len(reply.content)
    schema = pq.read_schema(io.BytesIO(reply.content))
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "id": "int64", "small": "int16", "whole": "int32", "ratio": "double", "short": "float",
        "price": "decimal128(12, 2)", "big": "decimal256(50, 10)", "any_number": "string",
        "on_sale": "bool", "born": "date32[day]", "at": "timestamp[us, tz=UTC]",
        "local": "timestamp[us]", "clock": "time64[us]", "code": "extension<arrow.uuid>",
        "raw": "binary", "data": "extension<arrow.json>", "old": "extension<arrow.json>",
        "name": "string", "tag": "string", "mood": "string", "span": "string",
        "tags": "list<element: string>", "counts": "list<element: int32>",
        "days": "list<element: date32[day]>", "datas": "list<element: extension<arrow.json>>",
    }  # fmt: skip
    before = database.execute("select t::text from vault.things as t order by id").fetchall()
    job = post(reply.content, "things.parquet", resource="things").json()
    assert (job["counts"]["unchanged"], job["counts"]["received"]) == (3, 3), job["errors"]
    database.execute("truncate vault.things")
    assert post(reply.content, "things.parquet", resource="things").json()["outcome"] == "clean"
    after = database.execute("select t::text from vault.things as t order by id").fetchall()
    assert after == before


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("at", "-infinity", "timestamptz"),
        ("born", "infinity", "date"),
        ("price", "NaN", "decimal(12,2)"),
        ("clock", "24:00:00", "time"),
        ("counts", "{{1},{2}}", "list of int32"),
    ],
)
def test_what_no_parquet_type_holds_is_refused_by_row_and_field(
    http: httpx.Client, database: psycopg.Connection, things: None,
    column: str, value: str, kind: str,
) -> None:  # fmt: skip
    database.execute("truncate vault.things")
    filled = f"insert into vault.things (id, {column}) values (1, null), (2, %s::text::{{}})"
    typ = database.execute(
        "select format_type(atttypid, atttypmod) from pg_attribute "
        "where attrelid = 'vault.things'::regclass and attname = %s",
        [column],
    ).fetchone()
    database.execute(filled.format(typ[0] if typ else "").encode(), [value])
    asked = {"resource": "things", "format": "parquet", "order": "id"}
    said = is_problem(http.get("/v1/exports", params=asked), 400)["detail"]
    assert said.startswith("the export cannot be a Parquet file: row 2 of the export has ")
    assert f" in {column}, and no {kind} of Parquet can be that: leave the field out" in said
    assert http.get("/v1/exports", params={**asked, "fields": "id"}).status_code == 200


def test_an_export_job_makes_them_alone_and_in_a_zip_and_fails_with_the_reason(
    http: httpx.Client, post: Post, database: psycopg.Connection, things: None
) -> None:
    database.execute("truncate vault.things")
    database.execute(
        "insert into vault.things (id, name) select g, 'x' from generate_series(1, 5000) as g"
    )
    job = http.post(
        "/v1/exports", json={"resource": "things", "format": "parquet"}, headers=WAIT
    ).json()
    assert (job["status"], job["exported"]) == ("completed", 5000)
    data = http.get(job["download_url"])
    assert data.headers["content-type"] == PARQUET
    assert pq.read_table(io.BytesIO(data.content)).num_rows == 5000
    several = {"resources": ["users", "things"], "format": "parquet"}
    job = http.post("/v1/exports", json=several, headers=WAIT).json()
    packed = zipfile.ZipFile(io.BytesIO(http.get(job["download_url"]).content))
    assert packed.namelist() == ["users.parquet", "things.parquet"]
    database.execute("update vault.things set born = 'infinity' where id = 4000")
    job = http.post(
        "/v1/exports", json={"resource": "things", "format": "parquet"}, headers=WAIT
    ).json()
    assert job["status"] == "failed"
    assert "has 'infinity' in born" in job["error"]["detail"]


def test_an_empty_export_has_its_columns(http: httpx.Client, things: None) -> None:
    query = {"resource": "things", "format": "parquet", "id[null]": "true", "fields": "id,name"}
    table = pq.read_table(io.BytesIO(http.get("/v1/exports", params=query).content))
    assert (table.num_rows, table.column_names) == (0, ["id", "name"])


def test_a_file_is_told_by_its_type_or_its_first_bytes(http: httpx.Client, post: Post) -> None:
    data = saved({"email": [mail()], "name": ["Ann"], "role": ["reader"]})
    reply = http.post(
        "/v1/imports", params={"resource": "users"}, content=data,
        headers={"Content-Type": PARQUET, **WAIT},
    )  # fmt: skip
    assert reply.json()["counts"]["inserted"] == 1
    assert post(data, "data.bin").json()["counts"]["unchanged"] == 1
    assert post(data, "part-0001", format="parquet").json()["counts"]["unchanged"] == 1
    assert "the file 'data.bin'" in is_problem(post(b"PAR", "data.bin"), 400)["detail"]
    assert "is no Parquet file" in is_problem(post(b"email\n"), 400)["detail"]


def test_what_unpacks_to_too_much_or_is_cut_off_leaves_nothing(
    post: Post, uploads: Callable[[], int]
) -> None:
    coded = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), pa.array(["x" * 9999]))
    data = saved({"email": coded})
    problem = is_problem(post(data), 413)
    assert "more than 3000000 bytes once it is unpacked" in problem["detail"]
    said = is_problem(post(data[: len(data) // 2]), 400)["detail"]
    assert said.startswith("the file cannot be read as Parquet: ")
    assert said.endswith(": it is cut off or damaged, write it again")
    until(lambda: uploads() == 0)


def test_paths_are_imported_and_retried(http: httpx.Client, folder: Path) -> None:
    data = saved({"email": [mail(), "none"], "name": ["Ann", "Bob"], "role": ["reader"] * 2})
    (folder / "team.parquet").write_bytes(data)
    asked = {"resource": "users", "source_path": "team.parquet"}
    job = http.post("/v1/imports", json=asked, headers=WAIT).json()
    assert (job["format"], job["counts"]["inserted"]) == ("parquet", 1)
    again = http.post(job["links"]["self"] + "/retry", headers=WAIT).json()
    assert (again["format"], again["counts"]["rejected"]) == ("parquet", 1)
    (folder / "torn.parquet").write_bytes(data[:-9])
    asked["source_path"] = "torn.parquet"
    job = http.post("/v1/imports", json=asked, headers=WAIT).json()
    assert (job["status"], "cut off or damaged" in job["error"]["detail"]) == ("failed", True)


def test_a_client_that_leaves_ends_the_export_and_its_program(
    wire: Callable[..., socket.socket], database: psycopg.Connection, things: None, service: Any
) -> None:
    database.execute("truncate vault.things")
    database.execute(
        "insert into vault.things (id, name) "
        "select g, repeat('x', 300) from generate_series(1, 100000) as g"
    )
    before = unnamed(service.process.pid)
    connection = wire("GET /v1/exports?resource=things&format=parquet HTTP/1.1")
    until(lambda: unnamed(service.process.pid) > before)
    connection.close()
    until(lambda: unnamed(service.process.pid) == before)
    until(lambda: programs(service.process.pid) == [])


def programs(pid: int) -> list[str]:
    """The Parquet programs that a process has."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text().split()]
    lines = [Path(f"/proc/{child}/cmdline").read_text() for child in children]
    return [line for line in lines if "pgsluice.parquet" in line]
