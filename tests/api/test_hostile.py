"""Hostile files: each bad record stands alone, each bad file is refused, nothing is left behind."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from .conftest import is_problem
from .hostile import CASES, Case

TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson", "json": "application/json"}
MB = 1024 * 1024
FILE = (
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nid,name\n1,a\n\r\n'
)
END = b"--B--\r\n"

Send = Callable[..., httpx.Response]
Uploads = Callable[[], int]


@pytest.fixture(scope="module", autouse=True)
def tables(database: psycopg.Connection) -> None:
    """A small table with a type of every kind, and a wide one."""
    wide = ", ".join(f"c{i} {'text' if i % 2 else 'integer'}" for i in range(1, 1000))
    database.execute(
        "create schema hostile; grant usage on schema hostile to public;"
        "create table hostile.things (id integer primary key, name text, amount numeric(5, 2),"
        "  ratio double precision, large bigint, data jsonb, tags text[], created_at timestamptz);"
        f"create table hostile.wide (id integer primary key, {wide});"
        "grant all on all tables in schema hostile to public;"
        "select sluice.register('things', 'hostile.things');"
        "select sluice.register('wide', 'hostile.wide');".encode()
    )


@pytest.fixture(autouse=True)
def nothing_left(
    database: psycopg.Connection, http: httpx.Client, uploads: Uploads
) -> Iterator[None]:
    """Behind each test the service is well, no upload is under way, and no stage is left."""
    database.execute("delete from hostile.things")
    yield
    stages = "select count(*) from pg_class where relnamespace = 'sluice_stage'::regnamespace"
    deadline = time.monotonic() + 10
    while database.execute(stages).fetchone() != (0,) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert database.execute(stages).fetchone() == (0,)
    assert uploads() == 0
    assert http.get("/ready").status_code == 200
    assert http.get("/v1/imports?status=processing").json()["jobs"] == []


@pytest.fixture
def send(http: httpx.Client) -> Send:
    """Posts a file as the body, or in a form with its fields behind it, and waits for the end."""

    def post(body: Any, kind: str, *, form: bool = False, **options: str) -> httpx.Response:
        options = {"resource": "things", **options}
        headers = {"Prefer": "wait=50"}
        if form:
            files = {"file": (f"f.{kind}", body)}
            return http.post("/v1/imports", data=options, files=files, headers=headers)
        headers["Content-Type"] = TYPES[kind]
        return http.post("/v1/imports", params=options, content=body, headers=headers)

    return post


@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format} {case.name}")
def test_a_bad_record_stands_alone(send: Send, case: Case, form: bool) -> None:
    reply = send(case.body, case.format, form=form, **dict(case.options))
    assert reply.status_code == 200, reply.text
    job = reply.json()
    assert job["status"] == "completed", job["error"]
    found = {error["row"]: error for error in job["errors"]}
    assert len(found) == len(job["errors"]), "one error for each bad record"
    for row, line, code, word, field in case.bad:
        error = found.pop(row)
        assert (error["line"], error["code"], error["field"]) == (line, code, field)
        assert word in error["message"]
    assert found == {}
    assert job["counts"]["inserted"] == case.good
    assert job["counts"]["rejected"] == len(case.bad)
    assert job["counts"]["received"] == case.good + len(case.bad)


REFUSED: list[tuple[str, str, bytes, dict[str, str], str]] = [
    ("empty", "csv", b"", {}, "empty"),
    ("empty", "json", b"", {}, "empty"),
    ("a name twice", "csv", b"id,name,name\n1,a,b\n", {}, "'name' twice"),
    ("a field twice", "csv", b"id,name,Name\n1,a,b\n", {}, "same field"),
    ("no name", "csv", b"id,,name\n1,,a\n", {}, "empty name"),
    ("1,601 names", "csv", b",".join(b"x%d" % i for i in range(1601)) + b"\n", {}, "1600"),
    ("UTF-16 without a mark", "csv", "id\n1\n".encode("utf-16-le"), {}, "utf-16-le"),
    ("another encoding", "csv", b"id,n\xe4me\n1,a\n", {}, "encoding=windows-1252"),
    ("an unknown encoding", "csv", b"id\n1\n", {"encoding": "klingon"}, "klingon"),
    ("an unknown delimiter", "csv", b"id\n1\n", {"delimiter": "ab"}, "delimiter"),
    ("another delimiter", "csv", b"id,name\n1,a\n", {"delimiter": ";"}, "'id,name'"),
    ("JSON as CSV", "csv", b'{"id":1}\n', {}, "quote inside a name"),
    ("CSV as JSON", "json", b"id,name\n1,a\n", {}, "starts with 'i'"),
    ("no text at all", "csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, "UTF-8"),
    ("a header of blank lines", "csv", b"\n" * 2 * MB, {}, "longer than 1 MB"),
    ("an array cut off", "json", b'[{"id":1},{"id":2', {}, "record 2, line 1"),
    ("a broken array", "json", b'[{"id":1},\n{"id":2 3}]', {}, "record 2, line 2"),
    ("text behind an array", "json", b'[{"id":1}] {"id":2}', {}, "follows the closing"),
    ("an unknown field", "csv", b"id,nam\n1,a\n", {}, "did you mean name"),
    ("SQL in a header", "csv", b'id,"x\'); drop table hostile.things; --"\n', {}, "drop table"),
    ("SQL in a mapping", "csv", b"a\n1\n", {"mapping": '{"a":"x\'; drop"}'}, "no field"),
    ("SQL in a default", "csv", b"id\n1\n", {"defaults": '{"amount":"1); --"}'}, "amount"),
    ("SQL in a default's name", "csv", b"id\n1\n", {"defaults": '{"x\')":1}'}, "no field"),
    ("NUL in an option", "csv", b"id\n1\n", {"null": "\0"}, "NUL"),
    ("NUL in a default", "csv", b"id\n1\n", {"defaults": '{"name":"\\u0000"}'}, "defaults"),
]


@pytest.mark.parametrize("form", [False, True], ids=["body", "form"])
@pytest.mark.parametrize(
    ("kind", "body", "options", "word"),
    [case[1:] for case in REFUSED],
    ids=[f"{case[1]} {case[0]}" for case in REFUSED],
)
def test_a_bad_file_is_refused(
    send: Send, kind: str, body: bytes, options: dict[str, str], word: str, form: bool
) -> None:
    assert word in is_problem(send(body, kind, form=form, **options), 400)["detail"]


FORMS = [
    ("two files", FILE % b"a.csv" + FILE % b"b.csv" + END, "two files"),
    ("no end", FILE % b"a.csv", "cut off"),
    ("no file name in UTF-8", FILE % b"\xff.csv" + END, "UTF-8"),
    ("line feeds alone", (FILE % b"a.csv" + END).replace(b"\r\n", b"\n"), "boundary"),
    ("many fields", b"".join(FILE.replace(b"file", b"f%d" % i) for i in range(200)), ""),
    ("a head without end", b"--B\r\nX: " + b"x" * MB, "short headers"),
    ("nothing", b"", "cut off"),
]


@pytest.mark.parametrize(("body", "word"), [f[1:] for f in FORMS], ids=[f[0] for f in FORMS])
def test_a_bad_form_is_refused(http: httpx.Client, body: bytes, word: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    reply = http.post("/v1/imports?resource=things", content=body, headers=headers)
    assert word in is_problem(reply, 400)["detail"]


@pytest.mark.parametrize("name", [b"a\0\x07.csv", b"..\\..\\a.csv", b"/etc/a.csv"])
def test_a_file_name_is_only_a_name(http: httpx.Client, name: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Prefer": "wait=30"}
    body = FILE % name + END
    reply = http.post("/v1/imports?resource=things", content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.json()["file_name"] == "a.csv"


def _wide(rows: list[list[str]], kind: str) -> bytes:
    names = ["id", *(f"c{number}" for number in range(1, 1000))]
    if kind == "csv":
        return "\n".join(",".join(cells) for cells in [names, *rows]).encode()
    return "\n".join(json.dumps(dict(zip(names, row, strict=False))) for row in rows).encode()


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_table_of_a_thousand_columns(send: Send, database: psycopg.Connection, kind: str) -> None:
    database.execute("delete from hostile.wide")
    rows = [[str(row)] * 1000 for row in (1, 2)] + [["x"] * 1000]
    job = send(_wide(rows, kind), kind, resource="wide").json()
    assert (job["counts"]["inserted"], job["counts"]["rejected"]) == (2, 1), job
    # id and 499 whole numbers
    assert (len(job["errors"]), job["errors_truncated"]) == (100, True)
    rows[1][999] = "other"
    rows[2] = ["3", "c1"]
    job = send(_wide(rows, kind), kind, resource="wide").json()
    assert (job["counts"]["unchanged"], job["counts"]["updated"]) == (1, 1)
    # a CSV row is ragged then, a JSON record may leave fields out
    assert job["counts"]["rejected" if kind == "csv" else "inserted"] == 1


def test_a_field_of_50_mb_is_stored(send: Send, database: psycopg.Connection) -> None:
    body = b"id,name\n1,a\n2," + b"x" * 50 * MB + b"\n3,c\n"
    assert send(body, "csv").json()["counts"]["inserted"] == 3
    length = database.execute("select length(name) from hostile.things where id = 2").fetchone()
    assert length == (50 * MB,)


@pytest.mark.parametrize("kind", ["csv", "ndjson", "json"])
def test_a_record_beyond_the_limit_stands_alone(send: Send, kind: str) -> None:
    fill = b"x" * 66 * MB
    body = {
        "csv": b"id,name\n1,a\n2,%s\n3,c\n",
        "ndjson": b'{"id":1}\n{"id":2,"name":"%s"}\n{"id":3}\n',
        "json": b'[{"id":1},{"id":2,"name":"%s"},{"id":3}]',
    }[kind] % fill
    job = send(body, kind).json()
    assert job["counts"]["inserted"] == 2
    [error] = job["errors"]
    assert (error["row"], error["code"]) == (2, "malformed")
    assert "longer than 64 MB" in error["message"]
    assert len(error["value"]) < 2000


def test_broken_objects_cost_time_in_proportion(send: Send) -> None:
    started = time.monotonic()
    job = send(b'{"a":[\n' * 1000 + b'{"id":1}\n', "json", max_errors="10").json()
    assert time.monotonic() - started < 60
    assert job["counts"]["received"] >= 1000


def test_a_gzip_bomb_is_stopped_at_the_cap(start_service: Callable[..., Any]) -> None:
    small = start_service(SLUICE_MAX_UPLOAD_BYTES="1000000")
    bomb = gzip.compress(b"id,name\n" + b"1,aaaaaaaa\n" * 2_000_000)
    assert len(bomb) < 1_000_000
    with httpx.Client(base_url=small.url, timeout=60) as client:
        headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
        reply = client.post("/v1/imports?resource=users", content=bomb, headers=headers)
        assert "SLUICE_MAX_UPLOAD_BYTES" in is_problem(reply, 413)["detail"]
        files = {"file": ("users.csv.gz", bomb)}
        is_problem(client.post("/v1/imports?resource=users", files=files), 413)
        assert client.get("/v1/jobs").json()["jobs"] == []
        assert client.get("/ready").status_code == 200


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda packed: packed[:-20], "cut off"),
        (lambda packed: packed[:50] + b"spoilt" + packed[56:], "corrupt"),
        (lambda packed: packed + b"more", "corrupt"),
        (gzip.decompress, "corrupt"),
    ],
    ids=["cut off", "spoilt", "text behind it", "not packed"],
)
def test_broken_gzip_is_refused(
    http: httpx.Client, spoil: Callable[[bytes], bytes], word: str
) -> None:
    packed = gzip.compress(b"id,name\n" + b"".join(b"%d,n%d\n" % (i, i * 7919) for i in range(999)))
    headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
    reply = http.post("/v1/imports?resource=things", content=spoil(packed), headers=headers)
    assert word in is_problem(reply, 400)["detail"]


def test_chunks_may_come_slowly(send: Send) -> None:
    def chunks() -> Iterator[bytes]:
        for byte in b'id,name\n1,a\n2,"b\nc"\n3':
            yield bytes([byte])
            time.sleep(0.01)

    job = send(chunks(), "csv").json()
    assert (job["counts"]["inserted"], job["counts"]["rejected"]) == (2, 1)


@pytest.mark.parametrize(
    "head",
    [
        "Transfer-Encoding: chunked\nContent-Length: 3",
        "Content-Length: 3\nContent-Length: 5",
        "Content-Length: -3",
        "Content-Length: " + "9" * 400,
        "Transfer-Encoding: chunked",
    ],
    ids=["length and chunks", "two lengths", "less than nothing", "no number", "no chunks"],
)
def test_a_bad_frame_is_400(wire: Any, head: str) -> None:
    start = "POST /v1/imports?resource=things HTTP/1.1\nContent-Type: text/csv\n"
    with wire(start + head, b"zz\r\nid\r\n") as connection:
        assert connection.recv(65536).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
