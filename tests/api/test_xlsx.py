"""Workbooks over HTTP: in, back as marked rejects, and out; jobs, sources and retries too."""

import hashlib
import io
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import openpyxl
import psycopg
import pytest

from .conftest import is_problem, until

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CAP = 3_000_000
TABLE = """
create schema if not exists paper;
create table if not exists paper.things (
    id bigint primary key, name text, price numeric(10, 2), exact double precision,
    on_sale boolean, born date, at timestamptz, tags text[]
);
select sluice.register('things', 'paper.things');
"""

Post = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def folder(open_tmp: Path) -> Path:
    """From where paths may be imported."""
    inside = open_tmp / "workbooks"
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
    """Posts a workbook as people do, in a form, and waits for the end."""

    def send(data: bytes, name: str = "users.xlsx", **options: str) -> httpx.Response:
        return http.post(
            "/v1/imports",
            data={"resource": "users", **options},
            files={"file": (name, data)},
            headers={"Prefer": "wait=30"},
        )

    return send


def workbook(*rows: list[Any], title: str = "Sheet") -> bytes:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    return saved(book)


def saved(book: Any) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def rows_of(data: bytes) -> list[tuple[Any, ...]]:
    return list(openpyxl.load_workbook(io.BytesIO(data)).active.iter_rows(values_only=True))


def mail() -> str:
    return f"{uuid4().hex}@example.org"


def test_rejects_come_back_marked_and_go_in_again_once_mended(
    http: httpx.Client, post: Post
) -> None:
    first, second = mail(), mail()
    data = workbook(
        ["Email", "name", "role"], [first, "Ann", "reader"], [], [second, "Bob", "boss"]
    )
    job = post(data).json()
    assert (job["format"], job["counts"]["inserted"], job["counts"]["rejected"]) == ("xlsx", 1, 1)
    assert [(e["row"], e["line"], e["field"]) for e in job["errors"]] == [(2, 4, "role")]

    reply = http.get(job["links"]["rejects"])
    assert reply.headers["content-type"] == XLSX
    assert reply.headers["content-disposition"] == 'attachment; filename="users.rejects.xlsx"'
    assert int(reply.headers["content-length"]) == len(reply.content)
    book = openpyxl.load_workbook(io.BytesIO(reply.content))
    page = book.active
    assert [cell.value for cell in page[1]] == ["Email", "name", "role", "_row", "_errors"]
    assert page["C2"].fill.fgColor.rgb == "FFFFC7CE"
    assert "must be one of" in page["C2"].comment.text
    assert page["A2"].comment is None

    page["C2"] = "editor"
    again = post(saved(book), parent=job["job_id"]).json()
    assert (again["outcome"], again["counts"]["inserted"]) == ("clean", 1)


def test_rejects_of_csv_and_workbooks_stand_for_each_other(http: httpx.Client, post: Post) -> None:
    data = workbook(["email", "name"], ["no mail", "Ann"])
    links = post(data).json()["links"]
    text = http.get(links["rejects"], params={"format": "csv"}).text
    assert text.splitlines()[0] == "email,name,_row,_errors"
    assert text.splitlines()[1].startswith("no mail,Ann,1,")
    links = post(text.encode(), "users.csv").json()["links"]
    made = http.get(links["rejects"], params={"format": "xlsx"})
    assert rows_of(made.content)[1][:3] == ("no mail", "Ann", "1")
    problem = is_problem(http.get(links["rejects"], params={"format": "json"}), 400)
    assert problem["detail"] == "the upload was csv, its rejects cannot be json. leave out format"


def test_options_work_as_for_csv(post: Post) -> None:
    address = mail()
    data = workbook(["E-Mail", "wer", "etwas"], [f"  {address} ", "Ann", 1], [None, "n/a", 2])
    job = post(
        data,
        mapping='{"E-Mail": "email", "wer": "name"}',
        unknown_fields="ignore",
        trim="true",
        null="n/a",
        defaults='{"role": "author"}',
        dry_run="true",
    ).json()
    assert job["counts"]["inserted"] == 1
    assert job["ignored_fields"] == ["etwas"]
    assert {(e["row"], e["field"], e["code"]) for e in job["errors"]} == {
        (2, "email", "required"),
        (2, "name", "required"),
    }


def test_a_sheet_can_be_named_before_the_file(http: httpx.Client, post: Post) -> None:
    book = openpyxl.Workbook()
    book.active.append(["nothing"])
    book.create_sheet("People").append(["email", "name", "role"])
    book["People"].append([mail(), "Ann", "reader"])
    data = saved(book)
    assert post(data, sheet="people").json()["counts"]["inserted"] == 1
    reply = http.post(
        "/v1/imports", params={"resource": "users", "sheet": "Leute"}, content=data,
        headers={"Content-Type": XLSX},
    )  # fmt: skip
    assert "no sheet 'Leute'; it has 'Sheet', 'People'" in is_problem(reply, 400)["detail"]


def test_a_raw_body_is_told_by_its_type_and_an_old_excel_is_refused(
    http: httpx.Client, post: Post
) -> None:
    data = workbook(["email", "name", "role"], [mail(), "Ann", "reader"])
    reply = http.post(
        "/v1/imports", params={"resource": "users"}, content=data,
        headers={"Content-Type": XLSX, "Prefer": "wait=30"},
    )  # fmt: skip
    assert reply.json()["counts"]["inserted"] == 1
    assert "save it as .xlsx" in is_problem(post(b"", "users.xls"), 400)["detail"]
    assert "is no .xlsx workbook" in is_problem(post(b"email\n"), 400)["detail"]


def test_a_workbook_that_unpacks_to_too_much_leaves_nothing(
    post: Post, uploads: Callable[[], int]
) -> None:
    data = workbook(["email", "name"], *([mail(), "x" * 500] for _ in range(20)))
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", 8) as new:
        for entry in old.infolist():
            body = old.read(entry)
            if entry.filename.endswith("sheet1.xml"):
                body = body.replace(b"</sheetData>", b" " * CAP + b"</sheetData>")
            new.writestr(entry.filename, body)
    problem = is_problem(post(out.getvalue()), 413)
    assert "more than 3000000 bytes once it is unpacked" in problem["detail"]
    until(lambda: uploads() == 0)


def test_a_client_that_leaves_leaves_nothing(
    wire: Callable[..., socket.socket], uploads: Callable[[], int], service: Any
) -> None:
    data = workbook(["email", "name", "role"], [mail(), "Ann", "reader"])
    head = f"POST /v1/imports?resource=users HTTP/1.1\nContent-Type: {XLSX}\nContent-Length: 999999"
    before = unnamed(service.process.pid)
    connection = wire(head, data)
    until(lambda: unnamed(service.process.pid) > before)
    connection.close()
    until(lambda: unnamed(service.process.pid) == before)
    assert uploads() == 0


def unnamed(pid: int) -> int:
    """How many files without a name a process holds."""
    links = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return sum("(deleted)" in str(target) for target in links)


def test_paths_are_imported_and_retried_with_their_sheet(
    http: httpx.Client, post: Post, folder: Path
) -> None:
    (folder / "team.xlsx").write_bytes(
        workbook(
            ["email", "name", "role"],
            [mail(), "Ann", "reader"],
            ["none", "Bob", "reader"],
            title="Team",
        )
    )
    asked = {"resource": "users", "source_path": "team.xlsx", "sheet": "Team"}
    job = http.post("/v1/imports", json=asked, headers={"Prefer": "wait=30"}).json()
    assert (job["format"], job["counts"]["inserted"]) == ("xlsx", 1)
    again = http.post(job["links"]["self"] + "/retry", headers={"Prefer": "wait=30"}).json()
    assert (again["format"], again["counts"]["rejected"]) == ("xlsx", 1)
    assert rows_of(http.get(again["links"]["rejects"]).content)[1][0] == "none"
    job = http.post(
        "/v1/imports", json=asked | {"sheet": "Nope"}, headers={"Prefer": "wait=30"}
    ).json()
    assert job["error"]["detail"] == "the workbook has no sheet 'Nope'; it has 'Team'"


VALUES = (
    "(1, '=1+1', 10.50, 0.1, true, '2024-05-31', '2024-05-31 10:30:00.123456+00', '{a,b}'),"
    "(2, e'x\\ty\\nz', -0.01, 1e300, false, '0044-03-15 BC', '1850-01-01 00:00:00+00', '{}'),"
    "(3, '', null, 'NaN', null, 'infinity', null, null),"
    "(9007199254740993, '007', 99999999.99, 0.30000000000000004, true, null, 'epoch', null)"
)


def test_an_export_opens_in_a_spreadsheet_and_comes_back_unchanged(
    http: httpx.Client, post: Post, database: psycopg.Connection, things: None
) -> None:
    database.execute("truncate paper.things")
    database.execute(f"insert into paper.things values {VALUES}".encode())
    reply = http.get("/v1/exports", params={"resource": "things", "format": "xlsx", "order": "id"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == XLSX
    assert reply.headers["content-disposition"] == 'attachment; filename="things.xlsx"'
    assert "content-encoding" not in reply.headers
    rows = rows_of(reply.content)
    assert rows[0] == ("id", "name", "price", "exact", "on_sale", "born", "at", "tags")
    assert rows[1][:5] == (1, "=1+1", 10.5, 0.1, True)
    assert (str(rows[1][5]), str(rows[1][6])[:23]) == (
        "2024-05-31 00:00:00",
        "2024-05-31 10:30:00.123",
    )
    assert rows[4][0] == "9007199254740993"
    job = post(reply.content, "things.xlsx", resource="things").json()
    assert (job["counts"]["unchanged"], job["counts"]["received"]) == (4, 4), job["errors"]


def test_an_export_job_makes_workbooks_alone_and_in_a_zip(
    http: httpx.Client, things: None, post: Post
) -> None:
    post(workbook(["email", "name", "role"], [mail(), "Ann", "reader"]))
    wait = {"Prefer": "wait=30"}
    job = http.post(
        "/v1/exports", json={"resource": "users", "format": "xlsx"}, headers=wait
    ).json()
    assert job["status"] == "completed", job
    assert job["files"][0]["name"] == "users.xlsx"
    data = http.get(job["download_url"])
    assert data.headers["content-type"] == XLSX
    assert hashlib.sha256(data.content).hexdigest() == job["sha256"]
    assert len(rows_of(data.content)) == job["exported"] + 1
    several = {"resources": ["users", "things"], "format": "xlsx"}
    job = http.post("/v1/exports", json=several, headers=wait).json()
    packed = zipfile.ZipFile(io.BytesIO(http.get(job["download_url"]).content))
    assert packed.namelist() == ["users.xlsx", "things.xlsx"]
    assert rows_of(packed.read("things.xlsx"))[0][0] == "id"


def test_what_no_sheet_can_hold_is_a_clear_refusal_and_a_failed_job(
    http: httpx.Client, database: psycopg.Connection, things: None
) -> None:
    database.execute("truncate paper.things")
    database.execute("insert into paper.things (id, name) values (1, repeat('x', 40000))")
    reply = http.get("/v1/exports", params={"resource": "things", "format": "xlsx"})
    told = "a cell has more than 32,767 characters, the most that a sheet takes"
    assert is_problem(reply, 400)["detail"].startswith(told)
    job = http.post(
        "/v1/exports", json={"resource": "things", "format": "xlsx"}, headers={"Prefer": "wait=30"}
    ).json()
    assert (job["status"], job["error"]["detail"].startswith(told)) == ("failed", True)
    ok = http.get("/v1/exports", params={"resource": "things", "format": "xlsx", "fields": "id"})
    assert rows_of(ok.content) == [("id",), (1,)]


def test_a_template_is_a_workbook_too(http: httpx.Client) -> None:
    reply = http.get("/v1/resources/users/template", params={"format": "xlsx"})
    header, row = rows_of(reply.content)
    assert dict(zip(header, row, strict=True))["email"] == "ann@example.com"
    assert reply.headers["content-disposition"] == 'attachment; filename="users-template.xlsx"'


def test_without_a_header_there_is_none(http: httpx.Client, things: None) -> None:
    query = {"resource": "things", "format": "xlsx", "header": "false", "id[null]": "true"}
    assert rows_of(http.get("/v1/exports", params=query).content) == []


def test_a_client_that_leaves_ends_the_export(
    wire: Callable[..., socket.socket], database: psycopg.Connection, things: None, service: Any
) -> None:
    database.execute("truncate paper.things")
    database.execute(
        "insert into paper.things (id, name) "
        "select g, repeat('x', 300) from generate_series(1, 100000) as g"
    )
    before = unnamed(service.process.pid)
    connection = wire("GET /v1/exports?resource=things&format=xlsx HTTP/1.1")
    until(lambda: unnamed(service.process.pid) > before)
    connection.close()
    until(lambda: unnamed(service.process.pid) == before)
    asking = (
        "select from pg_stat_activity where query like 'copy%things%' and state = 'active' "
        "and pid <> pg_backend_pid()"
    )
    until(lambda: database.execute(asking).fetchall() == [])
