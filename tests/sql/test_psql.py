"""Imports and exports from psql alone, as the manual prints them."""

import csv
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Psql
from tests.sql.importer import Connection, csv_text, rows

SNAPSHOTS = Path(__file__).with_name("snapshots")
USERS = csv_text(
    ["email", "name", "role", "Active"],
    ["ann@example.com", "Ann", "admin", None],
    ["bo@example", "Bo", "reader", "t"],
    ["cy@example.com", 'Cy "C"', "nobody", "f"],
    ["dee@example.com", "", "reader", None],
)
BEGIN = (
    "select job_id as job, copy_command as cmd from sluice.import_begin('users', 'csv',"
    " header => array['email','name','role','Active'], file_name => :'file') \\gset\n"
)


def test_a_session_as_printed(psql: Psql, conn: Connection, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)
    out = _session(psql, tmp_path)
    assert out[:4] == ["2|email|check", "3|role|check", "4|name|check", "t"]
    assert out[4] == "id,email"
    assert out[5].endswith(",ann@example.com")
    rejects = list(csv.reader(io.StringIO((tmp_path / "rejects.csv").read_text())))
    assert rejects[0] == ["email", "name", "role", "Active", "_row", "_errors"]
    assert [(r[1], r[4]) for r in rejects[1:]] == [("Bo", "2"), ('Cy "C"', "3"), ("", "4")]
    assert rows(conn, "select email, active from app.users") == [("ann@example.com", True)]


def _session(psql: Psql, tmp_path: Path) -> list[str]:
    script = (
        f"\\set file '{tmp_path}/users.csv'\n"
        + BEGIN
        + ":cmd\n"
        + "call sluice.import_run(:'job');\n"
        + "select \"row\", field, code from sluice.import_errors(:'job');\n"
        + "select sluice.rejects_sql(:'job') as q \\gset\n"
        + f"copy (:q) to stdout with (format csv, header) \\g {tmp_path}/rejects.csv\n"
        + "select count(*) > 5 from sluice.explain_import(:'job');\n"
        + "select sluice.export_sql('users', fields => '{id,email}',"
        + """ filters => '{"active": true}') as q \\gset\n"""
        + "copy (:q) to stdout with (format csv, header);\n"
    )
    return [line for line in psql(script).splitlines() if not line.startswith(("COPY", "CALL"))]


def test_rejects_mended_are_accepted(psql: Psql, conn: Connection, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)
    _session(psql, tmp_path)
    text = (tmp_path / "rejects.csv").read_text()
    mended = text.replace("bo@example,", "bo@example.com,").replace("nobody", "editor")
    mended = mended.replace('com,"",', "com,Dee,")
    (tmp_path / "users.csv").write_text(mended)
    header = next(csv.reader(io.StringIO(mended)))
    psql(
        "select job_id as job, copy_command as cmd from sluice.import_begin('users', 'csv',"
        f" header => array{header}, file_name => '{tmp_path}/users.csv') \\gset\n"
        ":cmd\ncall sluice.import_run(:'job');\n"
    )
    assert rows(conn, "select count(*) from app.users") == [4]


@pytest.mark.parametrize(
    "name", ["it's a file.csv", "two  words.csv", 'quo"te.csv', "back\\slash.csv"]
)
def test_a_file_name_is_quoted_for_copy(
    psql: Psql, conn: Connection, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text(USERS)
    quoted = str(tmp_path / name).replace("\\", "\\\\").replace("'", "\\'")
    psql(f"\\set file '{quoted}'\n" + BEGIN + ":cmd\ncall sluice.import_run(:'job');\n")
    assert rows(conn, "select count(*) from app.users") == [1]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"delimiter": "tab"}, "email\tname\trole\nann@example.com\tAnn\tadmin\n"),
        (
            {"delimiter": ";", "null": "NULL"},
            "email;name;role;phone\nann@example.com;Ann;admin;NULL\n",
        ),
        ({"null": "\\N"}, "email,name,role,phone\nann@example.com,Ann,admin,\\N\n"),
        ({"null": "it's"}, "email,name,role,phone\nann@example.com,Ann,admin,it's\n"),
    ],
)
def test_copy_options_pass_through_psql(
    psql: Psql, conn: Connection, tmp_path: Path, options: dict[str, str], text: str
) -> None:
    (tmp_path / "u.csv").write_text(text)
    header = re.split(r"[\t;,]", text.splitlines()[0])
    given = json.dumps(options).replace("\\", "\\\\").replace("'", "\\'")
    psql(
        f"\\set options '{given}'\n"
        "select job_id as job, copy_command as cmd from sluice.import_begin('users', 'csv',"
        f" header => array{header}, options => :'options',"
        f" file_name => '{tmp_path}/u.csv') \\gset\n"
        ":cmd\ncall sluice.import_run(:'job');\n"
    )
    assert rows(conn, "select email, phone from app.users") == [("ann@example.com", None)]


def test_ndjson_from_psql(psql: Psql, conn: Connection, tmp_path: Path) -> None:
    records: list[Any] = [
        {"email": "a@x.org", "name": 'A "quote", comma\ttab\nline \\', "role": "reader"},
        5,
    ]
    (tmp_path / "u.ndjson").write_text("".join(json.dumps(r) + "\n" for r in records))
    psql(
        "select job_id as job, copy_command as cmd from sluice.import_begin('users', 'ndjson',"
        f" file_name => '{tmp_path}/u.ndjson') \\gset\n:cmd\ncall sluice.import_run(:'job');\n"
    )
    assert rows(conn, "select name from app.users") == [records[0]["name"]]


def test_a_malformed_record_stops_copy_and_stores_nothing(
    psql: Psql, conn: Connection, tmp_path: Path
) -> None:
    (tmp_path / "users.csv").write_text(USERS + "one,two\n")
    done = psql.run(f"\\set file '{tmp_path}/users.csv'\n" + BEGIN + ":cmd\n")
    assert "missing data for column" in done.stderr
    stage = rows(conn, "select sluice.stage_name(job_id) from sluice.job")[0]
    assert rows(conn, f"select count(*) from {stage}") == [0]


def test_another_header_than_announced_is_refused_by_copy(psql: Psql, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS.replace("name,role", "role,name"))
    done = psql.run(f"\\set file '{tmp_path}/users.csv'\n" + BEGIN + ":cmd\n")
    assert "column name mismatch" in done.stderr


def test_submit_says_what_it_needs(psql: Psql, conn: Connection, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)
    script = f"\\set file '{tmp_path}/users.csv'\n" + BEGIN + ":cmd\n"
    script += "select (sluice.import_submit(:'job')) ->> 'status';\n"
    assert "pending" in psql(script)
    assert rows(conn, "select count(*) from procrastinate.procrastinate_jobs") == [1]
    conn.execute("drop schema procrastinate cascade")
    done = psql.run(script)
    assert "import_run" in done.stderr


def test_run_in_a_transaction_block_is_refused(psql: Psql, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)
    done = psql.run(
        f"\\set file '{tmp_path}/users.csv'\n"
        + BEGIN
        + ":cmd\nbegin;\ncall sluice.import_run(:'job');\n"
    )
    assert "invalid transaction termination" in done.stderr


def test_unknown_and_ended_imports_are_told(psql: Psql, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text(USERS)
    ended = psql.run(
        f"\\set file '{tmp_path}/users.csv'\n" + BEGIN + ":cmd\n"
        "call sluice.import_run(:'job');\ncall sluice.import_run(:'job');\n"
    )
    assert "is already completed" in ended.stderr
    unknown = psql.run("call sluice.import_run('00000000-0000-4000-8000-000000000000');")
    assert "there is no import" in unknown.stderr


def test_a_begun_import_is_swept_after_a_day(psql: Psql, conn: Connection) -> None:
    psql("\\set file x\n" + BEGIN)
    assert rows(conn, "select sluice.sweep() ->> 'uploads'") == ["0"]
    conn.execute("update sluice.job set heartbeat_at = now() - interval '25 hours'")
    assert rows(conn, "select sluice.sweep() ->> 'uploads'") == ["1"]
    assert rows(conn, "select count(*) from sluice.job") == [0]


SHIPPED = {
    "users_csv": (
        "users",
        "csv",
        ["id", "email", "name", "role", "active", "metadata", "phone", "created_at", "updated_at"],
    ),
    "articles_ndjson": ("articles", "ndjson", None),
    "users_with_addresses": ("users", "ndjson", None),
    "comments_update": ("comments", "csv", ["id", "body"]),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_generated_sql_is_as_reviewed(conn: Connection, name: str) -> None:
    """PGSLUICE_SNAPSHOTS=write makes the snapshots anew: look at the diff."""
    resource, form, header = SHIPPED[name]
    found = conn.execute(
        "select job_id from sluice.import_begin(%s, %s, header => %s)", [resource, form, header]
    ).fetchone()
    assert found
    statements = rows(conn, f"select * from sluice.explain_import('{found[0]}')")
    text = re.sub("(?<=_)" + str(found[0]).replace("-", ""), "job", "\n".join(statements))
    path = SNAPSHOTS / f"{name}.sql"
    if os.environ.get("PGSLUICE_SNAPSHOTS") == "write":
        SNAPSHOTS.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
