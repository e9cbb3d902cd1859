"""Names that climb, files that swell, cells that run."""

import csv
import gzip
import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
import zstandard

from ..conftest import Service
from .conftest import is_problem

GIGABYTES = 2


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Service], open_tmp: Path) -> Service:
    """A service with an import folder and a file store, and secrets beside them."""
    for name in ("secret.csv", "inside/in.csv", "files/kept.csv"):
        (open_tmp / name).parent.mkdir(exist_ok=True)
        (open_tmp / name).write_text("email,name,role\nsecret@example.org,S,reader\n")
    (open_tmp / "inside" / "link.csv").symlink_to(open_tmp / "secret.csv")
    return start_service(
        SLUICE_IMPORT_DIR=str(open_tmp / "inside"), SLUICE_STORE=str(open_tmp / "files")
    )


def climbing(open_tmp: Path) -> list[str]:
    return [
        "../secret.csv",
        "x/../../secret.csv",
        str(open_tmp / "secret.csv"),
        "/etc/passwd",
        "link.csv",
        "..",
        ".",
        "",
        "~/secret.csv",
        "file:///etc/passwd",
        "%2e%2e/secret.csv",
        "..\\secret.csv",
        "in.csv\n../../secret.csv",
        "/dev/zero",
        "/proc/self/environ",
    ]


@pytest.mark.parametrize("source", ["source_path", "object"])
def test_no_path_leads_out_of_its_folder(
    http: httpx.Client, database: psycopg.Connection, open_tmp: Path, source: str
) -> None:
    for path in climbing(open_tmp):
        asked = {"resource": "users", "format": "csv", source: path}
        reply = http.post("/v1/imports", json=asked, headers={"Prefer": "wait=20"})
        assert reply.status_code in (200, 400), (path, reply.text)
        if reply.status_code == 200:
            assert reply.json()["status"] == "failed", (path, reply.text)
        assert str(open_tmp) not in reply.text.replace(path, "")
    found = database.execute("select count(*) from app.users where email like 'secret@%'")
    assert found.fetchone() == (0,)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "users.csv/../..", "\\", "%"])
def test_the_files_of_an_export_are_its_own(http: httpx.Client, name: str) -> None:
    job = http.post("/v1/exports", json={"resource": "users"}, headers={"Prefer": "wait=20"}).json()
    reply = http.get(f"/v1/exports/{job['job_id']}/download", params={"file": name})
    is_problem(reply, 404)


@pytest.mark.parametrize(
    "name",
    [
        'a"; filename="b.exe',
        "a\r\nSet-Cookie: x=1\r\n\r\n<script>",
        "../../a.csv",
        "a\u2028b\u202ecsv.exe",
        "a;b=c,d.csv",
        "\x1b[2J.csv",
    ],
)
def test_a_file_name_writes_no_header(http: httpx.Client, name: str) -> None:
    bad = b"email,name,role\nno,,\n"
    reply = http.post(
        "/v1/imports",
        params={"resource": "users", "format": "csv", "file_name": name},
        content=bad,
        headers={"Content-Type": "text/csv", "Prefer": "wait=20"},
    )
    assert reply.status_code in (200, 400), reply.text
    assert "set-cookie" not in reply.headers
    if reply.status_code == 200:
        rejects = http.get(reply.json()["links"]["rejects"])
        told = rejects.headers["content-disposition"]
        assert "set-cookie" not in rejects.headers
        assert told.isascii()
        assert told.isprintable()
        plain = told.partition('filename="')[2].partition('"')[0]
        assert not {"/", "\\", ";", " "} & set(plain)
        assert plain.endswith(".csv")


def bomb(head: bytes, block: bytes, coding: str) -> bytes:
    """So many gigabytes of the same, packed."""
    count = GIGABYTES * 2**30 // len(block)
    if coding == "zstd":
        whole = zstandard.ZstdCompressor().compressobj()
        blocks = [whole.compress(head), *(whole.compress(block) for _ in range(count))]
        return b"".join([*blocks, whole.flush()])
    # a block that looks back at nothing is the same bytes each time: packed once, it is repeated
    packer = zlib.compressobj(9, wbits=31)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    check = zlib.crc32(head)
    for _ in range(count):
        check = zlib.crc32(block, check)
    size = (len(head) + count * len(block)) % 2**32
    return first + again * count + packer.flush()[:-8] + struct.pack("<II", check, size)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_of_gigabytes_costs_time_only(
    http: httpx.Client, service: Service, database: psycopg.Connection, coding: str
) -> None:
    packed = bomb(b"email,name,role\nb@example.org,", b"\0" * 2**20, coding)
    assert len(packed) < 3_000_000
    size = "select pg_database_size(current_database())"
    [before] = database.execute(size.encode()).fetchone() or [0]
    started = time.monotonic()
    headers = {"Content-Type": "text/csv", "Content-Encoding": coding, "Prefer": "wait=60"}
    reply = http.post("/v1/imports?resource=users", content=packed, headers=headers, timeout=200)
    assert time.monotonic() - started < 150
    assert reply.json()["counts"]["rejected"] == 1, reply.text
    peak = Path(f"/proc/{service.process.pid}/status").read_text().partition("VmHWM:")[2]
    assert int(peak.split()[0]) < 600 * 1024
    [after] = database.execute(size.encode()).fetchone() or [0]
    assert after - before < 200 * 2**20


@pytest.mark.parametrize("header", ["gzip, gzip", ",".join(["gzip"] * 1000), "gzip, zstd, gzip"])
def test_codings_are_not_nested(http: httpx.Client, header: str) -> None:
    packed = gzip.compress(gzip.compress(b"email,name\na@example.org,A\n"))
    headers = {"Content-Type": "text/csv", "Content-Encoding": header}
    reply = http.post("/v1/imports?resource=users", content=packed, headers=headers)
    is_problem(reply, 415)


def test_a_file_packed_twice_is_no_file(http: httpx.Client) -> None:
    packed = gzip.compress(gzip.compress(gzip.compress(b"email,name\na@example.org,A\n")))
    headers = {"Content-Type": "text/csv", "Content-Encoding": "gzip"}
    reply = http.post("/v1/imports?resource=users", content=packed, headers=headers)
    is_problem(reply, 400)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_formula_leaves_as_text_when_asked(
    http: httpx.Client, database: psycopg.Connection, first: str
) -> None:
    database.execute("delete from app.users")
    name = f"{first}cmd|' /C calc'!A0"
    database.execute(
        "insert into app.users (email, name, role) values ('f@example.org', %s, 'reader')", [name]
    )
    for escape, told in (("true", f"'{name}"), ("false", name)):
        query = {"resource": "users", "format": "csv", "escape_formulas": escape}
        reply = http.get("/v1/exports", params={**query, "fields": "name,email"})
        [row] = cells(reply)[1:]
        assert row == [told, "f@example.org"]


def cells(reply: httpx.Response) -> list[list[str]]:
    """The cells of a CSV file, its header first."""
    return list(csv.reader(io.StringIO(reply.text, newline="")))


@pytest.mark.parametrize(
    "formula", ["=cmd|' /C calc'!A0", "+1+cmd|x!A0", "-1+2", "@SUM(A1)", "\t=1"]
)
def test_a_formula_in_a_rejected_record_runs_only_where_it_must(
    http: httpx.Client, post: Callable[..., httpx.Response], formula: str
) -> None:
    sent = io.StringIO()
    names = ["email", "name", "role", f"{formula} "]
    csv.writer(sent).writerows([names, [formula, "-1.5", formula, formula]])
    job = post(sent.getvalue().encode(), unknown_fields="ignore").json()["links"]["self"]

    def read(path: str, **query: str) -> list[list[str]]:
        return cells(http.get(f"{job}/{path}", params=query))

    # errors are for reading, rejects for sending again
    told = {row[2]: row[6] for row in read("errors", format="csv")[1:]}
    assert told == {"email": f"'{formula}", "role": f"'{formula}"}
    raw = {row[2]: row[6] for row in read("errors", format="csv", escape_formulas="false")[1:]}
    assert raw == {"email": formula, "role": formula}
    head, row = read("rejects")
    assert [head[:4], row[:4]] == [names, [formula, "-1.5", formula, formula]]
    head, row = read("rejects", escape_formulas="true")
    assert head[:4] == ["email", "name", "role", f"'{formula} "]
    assert row[:4] == [f"'{formula}", "-1.5", f"'{formula}", f"'{formula}"]
