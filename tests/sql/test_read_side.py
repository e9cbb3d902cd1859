"""Jobs, errors, rejects, idempotency keys and resources, as the API and psql read them."""

import csv
import json
import threading
import time
from importlib.metadata import version
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from .importer import begin

Connection = psycopg.Connection[Any]

MISSING = "00000000-0000-7000-8000-000000000000"


def one(conn: Connection, query: str, *values: Any) -> Any:
    """The single value of a query."""
    row = conn.execute(query, values).fetchone()
    assert row
    return row[0]


def add_job(conn: Connection, **given: Any) -> UUID:
    """Insert a finished import of users; its id."""
    values: dict[str, Any] = {
        "job_id": uuid4(),
        "resource": "users",
        "format": "csv",
        "shape": "cells",
        "header": ["email", "name"],
        "state": "completed",
        "outcome": "clean",
        "created_at": "2024-05-31T12:00:00Z",
        "started_at": "2024-05-31T12:00:01Z",
        "completed_at": "2024-05-31T12:00:03Z",
        **given,
    }
    if values["state"] not in ("completed", "failed", "cancelled"):
        values["completed_at"] = given.get("completed_at")
    if values["state"] != "completed":
        values["outcome"] = None
    conn.execute(
        f"insert into sluice.job ({', '.join(values)}) values ({', '.join(['%s'] * len(values))})",
        [Jsonb(v) if isinstance(v, dict) else v for v in values.values()],
    )
    return UUID(str(values["job_id"]))


def add_reject(conn: Connection, job: UUID, n: int, *errors: dict[str, Any], **given: Any) -> None:
    """Insert a rejected record."""
    full = [
        {"field": None, "code": "check", "constraint": None, "message": "m", "value": None, **e}
        for e in errors or ({},)
    ]
    conn.execute(
        "insert into sluice.reject (job_id, n, line, cells, record, malformed, errors)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        [
            job, n, n + 1, given.get("cells"), given.get("record"),
            given.get("malformed", False), Jsonb(full),
        ],
    )  # fmt: skip


def copied(conn: Connection, call: str, *values: Any) -> str:
    """What the COPY of a …_copy function sends, prefix and suffix included."""
    with conn.transaction():
        reply = one(conn, f"select sluice.{call}", *values)
        with conn.cursor().copy(reply["copy"]) as blocks:
            body = b"".join(bytes(block) for block in blocks).decode()
    return str(reply["prefix"] + body + reply["suffix"])


def refused(conn: Connection, sqlstate: str, query: str, *values: Any) -> str:
    """The message and hint with which a query is refused."""
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(query, values)
    assert caught.value.sqlstate == sqlstate
    return f"{caught.value.diag.message_primary}. {caught.value.diag.message_hint}"


def test_a_job_is_shown_as_the_contract_says(conn: Connection) -> None:
    job = add_job(
        conn, outcome="partial", received=10, inserted=7, unchanged=1, rejected=2,
        bytes=1234, file_name="users.csv", options={"mode": "upsert"}, metrics={"cast_ms": 5},
    )  # fmt: skip
    add_reject(conn, job, 4, {"field": "email", "constraint": "users_email_valid", "value": "x"})
    assert one(conn, "select sluice.job_json(%s)", job) == {
        "job_id": str(job), "id": str(job), "kind": "import", "resource": "users",
        "format": "csv", "file_name": "users.csv", "status": "completed", "phase": None,
        "outcome": "partial", "dry_run": False,
        "counts": {
            "received": 10, "inserted": 7, "updated": 0, "unchanged": 1, "rejected": 2,
            "dropped": 0, "unprocessed": 0,
        },
        "progress": {"rows": 10, "percent": 100.0},
        "metrics": {
            "rows_per_second": 5, "error_rate": 0.2, "duration_ms": 2000, "bytes": 1234,
            "cast_ms": 5,
        },
        "errors": [{
            "row": 4, "line": 5, "field": "email", "code": "check",
            "constraint": "users_email_valid", "message": "m", "value": "x",
        }],
        "errors_truncated": False, "ignored_fields": [], "options": {"mode": "upsert"},
        "error": None, "parent_job_id": None, "source": None,
            "schedule": None, "callback_url": None,
        "created_at": "2024-05-31T12:00:00.000000Z", "started_at": "2024-05-31T12:00:01.000000Z",
        "completed_at": "2024-05-31T12:00:03.000000Z", "expires_at": None,
        "links": {
            "self": f"/v1/imports/{job}", "errors": f"/v1/imports/{job}/errors",
            "rejects": f"/v1/imports/{job}/rejects", "events": f"/v1/imports/{job}/events",
        },
    }  # fmt: skip


def test_links_follow_the_api_prefix(conn: Connection) -> None:
    job = add_job(conn)
    conn.execute("set sluice.api_prefix = '/bulk'")
    assert one(conn, "select sluice.job_json(%s)", job)["links"]["self"] == f"/bulk/imports/{job}"


def test_only_the_first_hundred_errors_are_in_the_job(conn: Connection) -> None:
    job = add_job(conn)
    for n in range(1, 51):
        add_reject(conn, job, n, {"field": "a"}, {"field": "b"})
    shown = one(conn, "select sluice.job_json(%s)", job)
    assert (len(shown["errors"]), shown["errors_truncated"]) == (100, False)
    add_reject(conn, job, 51)
    shown = one(conn, "select sluice.job_json(%s)", job)
    assert (len(shown["errors"]), shown["errors_truncated"]) == (100, True)
    assert shown["errors"][-1]["row"] == 50


@pytest.mark.parametrize(
    ("given", "percent"),
    [
        ({"state": "pending"}, 0),
        ({"state": "processing", "phase": "cast", "done": 50}, 20),
        ({"state": "processing", "phase": "match", "done": 0}, 40),
        ({"state": "processing", "phase": "match", "done": 100}, 50),
        ({"state": "processing", "phase": "merge", "done": 50}, 75),
        ({"state": "processing", "phase": "merge", "done": 100}, 99.9),
        ({"state": "processing", "phase": "finish", "done": 0}, 99.9),
        ({"state": "processing", "phase": "cast", "done": 5, "received": 0}, 0),
        ({"state": "cancelled", "completed_at": "2024-06-01", "unprocessed": 100}, 100),
    ],
)
def test_percent_follows_the_phase(conn: Connection, given: dict[str, Any], percent: float) -> None:
    job = add_job(conn, **{"received": 100, **given})
    assert one(conn, "select sluice.job_json(%s)", job)["progress"]["percent"] == percent
    assert float(one(conn, "select percent from sluice.jobs")) == percent


@pytest.mark.parametrize(
    ("option", "shown"), [("true", True), ("write", "write"), ("false", False)]
)
def test_a_dry_run_says_so(conn: Connection, option: str, shown: Any) -> None:
    job = add_job(conn, options={"dry_run": option}, sample={"updated": []})
    seen = one(conn, "select sluice.job_json(%s)", job)
    assert seen["dry_run"] == shown
    assert ("sample" in seen) is bool(shown)


def test_a_failed_job_carries_a_problem(conn: Connection) -> None:
    job = add_job(conn, state="failed", error={"status": 422, "detail": "no"})
    error = one(conn, "select sluice.job_json(%s)", job)["error"]
    assert error == {
        "type": "about:blank", "title": "Job failed", "status": 422, "detail": "no"
    }  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "select sluice.job_json(%s)",
        "select sluice.errors_json(%s)",
        "select sluice.error_summary(%s)",
        "select sluice.errors_sql(%s)",
        "select sluice.errors_copy(%s)",
        "select sluice.rejects_sql(%s)",
        "select sluice.rejects_copy(%s)",
    ],
)
def test_what_is_not_a_job_yet_does_not_exist(conn: Connection, query: str) -> None:
    receiving = add_job(conn, state="receiving", started_at=None)
    for job in (receiving, MISSING):
        assert f"job {job} does not exist" in refused(conn, "IO404", query, job)


def test_jobs_are_listed_in_pages_the_newest_first(conn: Connection) -> None:
    jobs = [str(add_job(conn, created_at=f"2024-05-31T12:00:0{i // 2}Z")) for i in range(7)]
    add_job(conn, state="receiving", started_at=None)
    add_job(conn, resource="articles")
    seen: list[str] = []
    cursor = None
    for size in (3, 3, 1):
        page = one(
            conn, 'select sluice.jobs_json(resource => %s, "limit" => 3, cursor => %s)',
            "users", cursor,
        )  # fmt: skip
        cursor = page["next"]
        assert len(page["jobs"]) == size
        seen += [job["job_id"] for job in page["jobs"]]
    assert cursor is None
    assert sorted(seen) == sorted(jobs)
    assert set(seen[:1]) == {jobs[6]}
    assert "errors" not in page["jobs"][0]
    every = one(conn, "select sluice.jobs_json()")["jobs"]
    assert len(every) == 8
    assert one(conn, "select sluice.jobs_json(kind => 'export')") == {"jobs": [], "next": None}
    assert len(one(conn, "select sluice.jobs_json(status => 'completed')")["jobs"]) == 8
    assert one(conn, "select sluice.jobs_json(status => 'failed')")["jobs"] == []


def test_a_cursor_of_another_list_is_refused(conn: Connection) -> None:
    for _ in range(2):
        add_job(conn)
    cursor = one(conn, 'select sluice.jobs_json("limit" => 1)')["next"]
    assert not set(cursor) & set("+/= \n")
    refused(conn, "IO400", "select sluice.jobs_json(status => 'completed', cursor => %s)", cursor)
    for bad in ("", "x", "%%%", "WyJhIl0", cursor[:-3], cursor + "x", "' or 1=1 --", "é"):
        refused(conn, "IO400", "select sluice.jobs_json(cursor => %s)", bad)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("kind", "x"), ("status", "receiving"), ('"limit"', 0), ('"limit"', 1001)],
)
def test_a_bad_list_parameter_is_refused(conn: Connection, argument: str, value: Any) -> None:
    refused(conn, "IO400", f"select sluice.jobs_json({argument} => %s)", value)


@pytest.fixture
def job(conn: Connection) -> UUID:
    """A CSV import with four rejects, one of them malformed."""
    job = add_job(
        conn, outcome="partial", received=9, inserted=5, rejected=4,
        header=["email", 'The "name"', "", "_errors"], options={"delimiter": ";"},
    )  # fmt: skip
    email = {"field": "email", "constraint": "users_email_valid", "value": "bad"}
    add_reject(conn, job, 2, email, {"field": "name", "code": "required"},
               cells=["bad", None, "", "old"])  # fmt: skip
    add_reject(conn, job, 3, email, {**email, "constraint": "other", "message": "o"},
               cells=["bad", "a;b\n'\"", None, None])  # fmt: skip
    add_reject(conn, job, 7, {"code": "malformed"}, record='a;"b;\tc', malformed=True)
    add_reject(conn, job, 8, {**email, "code": "write", "sqlstate": "P0001"},
               cells=["bad", "", "x", None])  # fmt: skip
    return job


def test_errors_are_rows_in_the_order_of_the_file(conn: Connection, job: UUID) -> None:
    rows = conn.execute(
        'select "row", line, field, code, "constraint", message, value, sqlstate'
        " from sluice.import_errors(%s)", [job],
    ).fetchall()  # fmt: skip
    assert rows == [
        (2, 3, "email", "check", "users_email_valid", "m", "bad", None),
        (2, 3, "name", "required", None, "m", None, None),
        (3, 4, "email", "check", "users_email_valid", "m", "bad", None),
        (3, 4, "email", "check", "other", "o", "bad", None),
        (7, 8, None, "malformed", None, "m", None, None),
        (8, 9, "email", "write", "users_email_valid", "m", "bad", "P0001"),
    ]
    one_kind = conn.execute(
        "select e.row from sluice.import_errors(%s, only_field => 'email', only_code => 'check') e",
        [job],
    ).fetchall()
    assert one_kind == [(2,), (3,), (3,)]


def test_errors_come_in_pages(conn: Connection, job: UUID) -> None:
    seen, cursor = [], None
    while True:
        page = one(conn, 'select sluice.errors_json(%s, "limit" => 4, cursor => %s)', job, cursor)
        seen += [(e["row"], e["code"]) for e in page["errors"]]
        if not (cursor := page["next"]):
            break
    assert seen == [
        (2, "check"), (2, "required"), (3, "check"), (3, "check"), (7, "malformed"), (8, "write")
    ]  # fmt: skip
    page = one(conn, "select sluice.errors_json(%s, field => 'email', \"offset\" => 3)", job)
    assert [e["row"] for e in page["errors"]] == [8]
    page = one(conn, 'select sluice.errors_json(%s, "limit" => 1)', job)
    refused(conn, "IO400", "select sluice.errors_json(%s, code => 'x', cursor => %s)",
            job, page["next"])  # fmt: skip
    refused(conn, "IO400", 'select sluice.errors_json(%s, cursor => %s, "offset" => 1)',
            job, page["next"])  # fmt: skip
    refused(conn, "IO400", 'select sluice.errors_json(%s, "limit" => 1001)', job)
    refused(conn, "IO400", 'select sluice.errors_json(%s, "offset" => -1)', job)


def test_the_summary_counts_each_record_once(conn: Connection, job: UUID) -> None:
    summary = one(conn, "select sluice.error_summary(%s)", job)
    assert (summary["records"], summary["errors"]) == (4, 6)
    first = summary["groups"][0]
    example = {"row": 2, "line": 3, "value": "bad"}
    assert first == {
        "field": "email", "code": "check", "records": 2, "errors": 3, "example": example,
        "constraints": [
            {"constraint": "users_email_valid", "records": 2, "message": "m", "example": example},
            {"constraint": "other", "records": 1, "message": "o",
             "example": {"row": 3, "line": 4, "value": "bad"}},
        ],
    }  # fmt: skip
    assert [(g["field"], g["code"], g["records"]) for g in summary["groups"][1:]] == [
        ("email", "write", 1), ("name", "required", 1), (None, "malformed", 1)
    ]  # fmt: skip


def test_errors_leave_as_files(conn: Connection, job: UUID) -> None:
    table = copied(conn, "errors_copy(%s, 'csv', code => 'write')", job)
    assert table == (
        "row,line,field,code,constraint,message,value,sqlstate\n"
        "8,9,email,write,users_email_valid,m,bad,P0001\n"
    )
    lines = copied(conn, "errors_copy(%s, 'ndjson', field => 'email''; --')", job)
    assert lines == ""
    lines = copied(conn, "errors_copy(%s, 'ndjson')", job)
    assert [json.loads(line)["row"] for line in lines.splitlines()] == [2, 2, 3, 3, 7, 8]
    assert len(json.loads(copied(conn, "errors_copy(%s, 'json')", job))) == 6
    refused(conn, "IO400", "select sluice.errors_copy(%s, 'xls')", job)


def test_csv_rejects_leave_as_the_upload_was(conn: Connection, job: UUID) -> None:
    conn.execute("update sluice.reject set errors = '[{}]'")
    assert copied(conn, "rejects_copy(%s)", job) == (
        'email;"The ""name""";"";_raw;_row;_errors\n'
        'bad;;"";;2;[{}]\n'
        'bad;"a;b\n\'""";;;3;[{}]\n'
        ';;;"a;""b;\tc";7;[{}]\n'
        'bad;"";x;;8;[{}]\n'
    )


def test_csv_rejects_keep_the_null_marker(conn: Connection) -> None:
    job = add_job(conn, options={"null": "NULL"})
    add_reject(conn, job, 1, cells=["NULL", None])
    head, row = copied(conn, "rejects_copy(%s)", job).splitlines()
    assert head == "email,name,_row,_errors"
    assert row.startswith('"NULL",NULL,1,"[{""code""')


def test_a_header_may_have_any_name(conn: Connection) -> None:
    names = ["x" * 100, "x" * 101, "'; drop table app.users; --", '"', "a,b", "%s", "", "é\n"]
    job = add_job(conn, header=names)
    add_reject(conn, job, 1, cells=[str(i) for i in range(8)])
    rows = list(csv.reader(copied(conn, "rejects_copy(%s)", job).splitlines(keepends=True)))
    assert rows[0] == [*names, "_row", "_errors"]
    assert rows[1][:8] == [str(i) for i in range(8)]
    # names that SQL cuts at 63 bytes come out cut from the query for psql
    query = one(conn, "select sluice.rejects_sql(%s)", job)
    row = conn.execute(query.encode()).fetchone()
    assert row
    assert row[:9] == (*(str(i) for i in range(8)), 1)


def test_json_rejects_keep_digits_and_order(conn: Connection) -> None:
    job = add_job(conn, format="ndjson", shape="line", header=None)
    errors = '[{"code": "x"}]'
    given = [
        ('{"b":1.00,"a":{"n":12345678901234567890}}', False,
         '{"b":1.00,"a":{"n":12345678901234567890},"_row":1,"_errors":' + errors + "}"),
        (' { } ', False, '{ "_row":2,"_errors":' + errors + "}"),
        ('{"a":\n 1,\r\n"b":2\n}', False,
         '{"a":  1,  "b":2 ,"_row":3,"_errors":' + errors + "}"),
        ('[1, 2]', False, '{"_raw":"[1, 2]","_row":4,"_errors":' + errors + "}"),
        ('{"a":\x01"', True, '{"_raw":"{\\"a\\":\\u0001\\"","_row":5,"_errors":' + errors + "}"),
        ('{"b":1.0,"_row":9,"_errors":[1],"a":"_row"}', False,
         '{"b":1.0,"a":"_row","_row":6,"_errors":' + errors + "}"),
        ('{"a":"\\u0000","_row":9}', False,
         '{"a":"\\u0000","_row":9,"_row":7,"_errors":' + errors + "}"),
        ('{"_row":9}', False, '{"_row":8,"_errors":' + errors + "}"),
    ]  # fmt: skip
    for n, (record, malformed, _) in enumerate(given, 1):
        add_reject(conn, job, n, record=record, malformed=malformed)
    conn.execute("update sluice.reject set errors = %s", [errors])
    lines = copied(conn, "rejects_copy(%s)", job).split("\n")
    assert lines == [*(line for *_, line in given), ""]
    for line in lines[:-1]:
        assert json.loads(line)["_row"] in range(1, 9)


def test_json_array_rejects_are_an_array(conn: Connection) -> None:
    job = add_job(conn, format="json", shape="line", header=None)
    assert json.loads(copied(conn, "rejects_copy(%s)", job)) == []
    for n in (1, 2):
        add_reject(conn, job, n, record='{"a":1}')
    assert [r["_row"] for r in json.loads(copied(conn, "rejects_copy(%s)", job))] == [1, 2]
    hint = refused(conn, "IO400", "select sluice.rejects_sql(%s, 'csv')", job)
    assert "the upload was json" in hint


def claim(conn: Connection, key: str = "k") -> Any:
    """Claim an idempotency key in scope `s`."""
    return one(conn, "select sluice.idempotency_claim(%s, 's')", key)


def test_a_key_goes_from_claim_to_its_job(conn: Connection) -> None:
    assert claim(conn) == {"state": "new"}
    assert claim(conn) == {"state": "receiving"}
    assert claim(conn, '"k"') == {"state": "receiving"}
    assert one(conn, "select sluice.idempotency_claim('k', 'other')") == {"state": "new"}
    job = add_job(conn)
    conn.execute("select sluice.idempotency_store('k', 's', %s, 'd1', 202)", [job])
    done = claim(conn)
    assert (done["state"], done["digest"], done["status"]) == ("done", "d1", 202)
    assert done["job"]["job_id"] == str(job)
    assert one(conn, "select sluice.idempotency_holds(%s)", job) is True
    conn.execute("set sluice.idempotency_ttl = '0 s'")
    assert one(conn, "select sluice.idempotency_holds(%s)", job) is False
    conn.execute("select sluice.idempotency_release('k', 's')")
    assert claim(conn)["state"] == "done"
    conn.execute("delete from sluice.job")
    assert claim(conn) == {"state": "new"}


def test_a_dead_upload_frees_its_key_and_a_live_one_does_not(conn: Connection) -> None:
    claim(conn)
    age = "update sluice.idempotency set beat_at = clock_timestamp() - interval '61 seconds'"
    conn.execute(age)
    conn.execute("select sluice.idempotency_beat('k', 's')")
    assert claim(conn) == {"state": "receiving"}
    conn.execute(age)
    assert claim(conn) == {"state": "new"}
    assert claim(conn) == {"state": "receiving"}


def test_of_two_uploads_with_one_key_the_first_to_be_accepted_wins(conn: Connection) -> None:
    claim(conn)
    first, second = add_job(conn), add_job(conn)
    conn.execute("select sluice.idempotency_store('k', 's', %s, 'd', 202)", [first])
    refused(conn, "IO409", "select sluice.idempotency_store('k', 's', %s, 'd', 202)", second)


def test_a_refused_request_leaves_no_key(conn: Connection) -> None:
    claim(conn)
    conn.execute("select sluice.idempotency_release('k', 's')")
    assert claim(conn) == {"state": "new"}


def test_a_rival_is_answered_at_once(conn: Connection, dsn: str) -> None:
    with psycopg.connect(dsn) as rival:
        assert one(rival, "select sluice.idempotency_claim('k', 's')") == {"state": "new"}
        conn.execute("set statement_timeout = '2s'")
        assert claim(conn) == {"state": "receiving"}


def test_a_key_that_is_being_accepted_is_not_taken_over(conn: Connection, dsn: str) -> None:
    claim(conn)
    conn.execute("update sluice.idempotency set beat_at = clock_timestamp() - interval '1 hour'")
    job = add_job(conn)
    with psycopg.connect(dsn) as rival:
        rival.execute("select sluice.idempotency_store('k', 's', %s, 'd', 202)", [job])
        conn.execute("set statement_timeout = '2s'")
        assert claim(conn) == {"state": "receiving"}


def test_one_of_many_claims_at_once_is_new(conn: Connection, dsn: str) -> None:
    states: list[str] = []
    gate = threading.Barrier(6)

    def run() -> None:
        with psycopg.connect(dsn, autocommit=True) as mine:
            gate.wait()
            states.append(claim(mine)["state"])

    threads = [threading.Thread(target=run) for _ in range(6)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(states) == ["new", *["receiving"] * 5]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("key", ["", '""', "x" * 256, "a\nb", "é"])
def test_a_key_that_is_none_is_refused(conn: Connection, key: str) -> None:
    refused(conn, "IO400", "select sluice.idempotency_claim(%s, 's')", key)


def test_a_resource_as_json_schema(conn: Connection) -> None:
    schema = one(conn, "select sluice.resource_schema('users')")
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["email", "name", "role"]
    properties = schema["properties"]
    assert properties["id"]["format"] == "uuid"
    assert properties["role"]["enum"] == ["admin", "manager", "author", "editor", "reader"]
    assert properties["phone"]["type"] == ["string", "null"]
    assert properties["created_at"]["format"] == "date-time"
    items = properties["addresses"]["items"]
    assert items["required"] == ["street", "city"]
    assert not {"user_id", "position"} & set(items["properties"])
    rules = {rule["name"]: rule["message"] for rule in schema["x-rules"]}
    assert rules["users_name_length"] == "must have 1 to 256 characters"
    tags = one(conn, "select sluice.resource_schema('articles')")["properties"]["tags"]
    assert (tags["type"], tags["items"]) == ("array", {"type": "string"})


def test_a_schema_knows_lengths_enums_and_lists_of_values(conn: Connection) -> None:
    conn.execute("""
        create type app.mood as enum ('sad', 'happy');
        create table app.t (
            a varchar(5) not null, b app.mood, c smallint, d integer[],
            e varchar(9) check (e in ('x', 'it''s')), f text check (f = 'x' or f like 'ARRAY[%'),
            g integer generated always as (c + 1) stored, h integer generated always as identity
        );
        select sluice.register('t', 'app.t');
    """)
    schema = one(conn, "select sluice.resource_schema('t')")
    p = schema["properties"]
    assert schema["required"] == ["a"]
    assert (p["a"]["type"], p["a"]["maxLength"]) == ("string", 5)
    assert p["b"]["enum"] == ["sad", "happy", None]
    assert p["d"]["items"]["type"] == "integer"
    assert p["e"]["enum"] == ["x", "it's", None]
    assert "enum" not in p["f"]
    assert p["g"]["readOnly"] is True


def test_the_list_of_resources_survives_a_dropped_table(conn: Connection) -> None:
    conn.execute("create table app.gone (id integer primary key)")
    conn.execute("select sluice.register('gone', 'app.gone'); drop table app.gone")
    found = {r["name"]: r for r in one(conn, "select sluice.resources_json()")}
    assert set(found) == {"addresses", "articles", "comments", "gone", "users"}
    assert "is gone" in found["gone"]["error"]
    assert found["users"]["key"] == ["id"]


@pytest.mark.parametrize("resource", ["users", "addresses", "articles", "comments"])
def test_a_template_has_all_fields_and_an_example(conn: Connection, resource: str) -> None:
    head, row = copied(conn, "template_copy(%s, 'csv')", resource).splitlines()
    assert copied(conn, "export_copy(%s, 'csv')", resource).strip() == head
    assert len(row.split(",")) >= len(head.split(","))
    (example,) = json.loads(copied(conn, "template_copy(%s, 'json')", resource))
    assert json.loads(copied(conn, "template_copy(%s, 'ndjson')", resource)) == example
    assert set(example) >= set(one(conn, "select sluice.resource_schema(%s)", resource)["required"])
    refused(conn, "IO400", "select sluice.template_copy(%s, 'xls')", resource)


def test_a_template_of_users_is_a_good_user(conn: Connection) -> None:
    (example,) = json.loads(copied(conn, "template_copy('users', 'json')"))
    assert len(example.pop("addresses")) == 1
    conn.execute(
        "insert into app.users (email, name, role) select u.email, u.name, u.role"
        " from jsonb_populate_record(null::app.users, %s) as u", [Jsonb(example)],
    )  # fmt: skip


def test_health_and_release(conn: Connection) -> None:
    add_job(conn, state="pending", created_at="2024-05-31")
    health = one(conn, "select sluice.health()")
    assert health["status"] == "ok"
    assert health["queue"]["waiting"] == 1
    assert health["queue"]["oldest_seconds"] > 0
    assert health["workers"] == {"alive": 0, "missing_logins": []}
    assert one(conn, "select sluice.release()") == health["release"] == version("pgsluice")


def test_metrics_do_not_wait_for_a_stage_that_is_being_dropped(conn: Connection, dsn: str) -> None:
    begin(conn, "users", "email\nann@example.org\n", "csv")
    conn.execute("set lock_timeout = '1s'")
    with psycopg.connect(dsn) as other:
        other.execute("select sluice.drop_tables(job_id) from sluice.job")
        assert one(conn, "select sluice.metrics() ->> 'stage_bytes'") == "0"
