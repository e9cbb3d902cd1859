"""Imports whose file is fetched: accepted at once, leased to one attempt, never half there."""

import json
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from .importer import Connection

URL = "https://files.example/a/users%20new.csv?X-Signature=secret"


def value(conn: Connection, query: str, *args: Any) -> Any:
    """The single value of a query."""
    row = conn.execute(query.encode(), args).fetchone()
    assert row
    return row[0]


def create(conn: Connection, resource: str = "users", **options: Any) -> str:
    """An import from a URL; its id."""
    query = "select sluice.import_from(%s, url => %s, options => %s) ->> 'job_id'"
    return str(value(conn, query, resource, URL, Jsonb(options)))


def take(conn: Connection) -> Any:
    """What the next worker takes."""
    return value(conn, "select sluice.take_fetch()")


def begin(conn: Connection, job_id: str, attempt: int = 1, **options: Any) -> dict[str, Any]:
    """The stage of an attempt, for a file of e-mail, name and role."""
    reply: dict[str, Any] = value(
        conn,
        "select sluice.fetch_begin(%s, %s, 'csv', '{email,name,role}', %s, 'x.csv')",
        job_id,
        attempt,
        Jsonb(options),
    )
    return reply


def copy(conn: Connection, job_id: str, attempt: int = 1, users: int = 2, first: int = 1) -> None:
    """One segment of users."""
    stage = f"sluice_stage.s_{job_id.replace('-', '')}"
    with conn.transaction(), conn.cursor() as cur:
        cur.execute("select sluice.fetch_segment(%s, %s, 0, 0, '[]')", [job_id, attempt])
        with cur.copy(f"copy {stage} (c1, c2, c3) from stdin with (format csv)".encode()) as into:
            for n in range(users):
                into.write(f"u{n}@example.org,User {n},reader\n")
        cur.execute(
            "select sluice.fetch_segment(%s, %s, %s, 100, %s)",
            [job_id, attempt, users, Jsonb([[first, first + 1]])],
        )


def finish(conn: Connection, job_id: str, attempt: int = 1, users: int = 2) -> None:
    value(conn, "select sluice.fetch_finish(%s, %s, %s, 200)", job_id, attempt, users)


def job(conn: Connection, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = value(conn, "select sluice.job_json(%s)", job_id)
    return found


def stages(conn: Connection) -> int:
    found: int = value(conn, "select count(*) from pg_tables where schemaname = 'sluice_stage'")
    return found


def run(conn: Connection) -> None:
    """All steps that can be taken."""
    for _ in range(200):
        status = value(conn, "select sluice.next_step() ->> 'status'")
        if status not in ("done", "claimed"):
            return


def refused(conn: Connection, state: str, query: str, *args: Any) -> str:
    """The message and hint of what must be refused."""
    with pytest.raises(psycopg.Error) as caught:
        value(conn, query, *args)
    assert caught.value.sqlstate == state, caught.value
    return f"{caught.value.diag.message_primary}. {caught.value.diag.message_hint}"


def test_an_import_from_a_url_has_its_place_and_shows_no_secret(conn: Connection) -> None:
    first, second = create(conn, mode="insert"), create(conn)
    shown = job(conn, first)
    assert (shown["status"], shown["phase"]) == ("pending", "fetch")
    assert shown["source"] == {"url": "https://files.example/a/users%20new.csv"}
    assert shown["file_name"] == "users%20new.csv"
    assert shown["options"] == {"mode": "insert"}
    assert shown["format"] is None
    assert "secret" not in json.dumps(shown)
    assert "secret" not in json.dumps(value(conn, "select sluice.jobs_json()"))
    assert [take(conn)["job_id"], take(conn)["job_id"], take(conn)] == [first, second, None]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ("'nope', url => 'https://h.org/x.csv'", "nope"),
        ("null, url => 'https://h.org/x.csv'", "null"),
        ("'users'", "one of url, source_path and object"),
        ("'users', url => 'https://h.org/x.csv', object => 'imports/x.csv'", "one of"),
        ("'users', url => 'ftp://h.org/x.csv'", "https"),
        ("'users', url => 'https://'", "https"),
        ("'users', url => 'https://me:hidden@h.org/x.csv'", "https"),
        ("'users', url => 'https://h.org/a b?token=hidden'", "https"),
        ("'users', url => e'https://h.org/a\\nb'", "printable"),
        ("'users', url => ''", "printable"),
        ("'users', url => repeat('https://h.org/', 1000)", "printable"),
        ("'users', source_path => '../x.csv'", "upwards"),
        ("'users', source_path => 'a/../../x.csv'", "upwards"),
        ("'users', object => 'exports/x.csv'", "imports/"),
        ("'users', object => 'imports/'", "imports/"),
        ("'users', object => 'imports/../x.csv'", "upwards"),
        ("'users', url => 'https://h.org/x', format => 'xml'", "xml"),
        ("'users', url => 'https://h.org/x', options => '{\"mode\": \"x\"}'", "mode"),
        ("'users', url => 'https://h.org/x', options => '{\"callback_url\": \"x\"}'", "callback"),
    ],
)
def test_what_cannot_be_fetched_is_refused_at_once(
    conn: Connection, arguments: str, word: str
) -> None:
    said = refused(conn, "IO400", f"select sluice.import_from({arguments})")
    assert word in said
    assert "hidden" not in said
    assert value(conn, "select count(*) from sluice.job") == 0


def test_a_fetched_file_is_imported_as_any_other(conn: Connection) -> None:
    job_id = create(conn, callback_url="https://h.org/hook?secret")
    fetch = take(conn)
    assert fetch["source"] == {"url": URL}
    assert fetch["attempt"] == 1
    assert begin(conn, job_id, delimiter=",")["shape"] == "cells"
    copy(conn, job_id)
    copy(conn, job_id, first=3)
    assert job(conn, job_id)["counts"]["received"] == 4
    finish(conn, job_id, users=4)
    run(conn)
    done = job(conn, job_id)
    assert (done["status"], done["format"]) == ("completed", "csv")
    assert done["counts"]["inserted"] == 2
    assert done["counts"]["rejected"] == 2
    assert done["errors"][0]["code"] == "duplicate"
    assert (
        value(conn, "select callback_url from sluice.job where job_id = %s", job_id)
        == "https://h.org/hook?secret"
    )
    assert "secret" not in json.dumps(done)


def test_no_step_is_taken_of_a_job_whose_file_is_not_there(conn: Connection) -> None:
    create(conn)
    run(conn)
    take(conn)
    run(conn)
    assert value(conn, "select array_agg(state) from sluice.job") == ["pending"]
    assert value(conn, "select count(*) from sluice.step") == 0


def test_a_younger_tied_import_waits_for_the_file_of_an_older_one(conn: Connection) -> None:
    older, younger, apart = create(conn), create(conn), create(conn)
    # the second one's file is there first
    take(conn)
    take(conn)
    begin(conn, younger)
    copy(conn, younger)
    finish(conn, younger)
    run(conn)
    assert job(conn, younger)["status"] == "pending"
    begin(conn, older)
    copy(conn, older)
    finish(conn, older)
    run(conn)
    assert job(conn, older)["counts"]["inserted"] == 2
    assert job(conn, younger)["counts"]["unchanged"] == 2
    assert job(conn, apart)["status"] == "pending"


def test_an_attempt_whose_worker_died_is_forgotten_with_all_it_stored(conn: Connection) -> None:
    job_id = create(conn)
    take(conn)
    begin(conn, job_id)
    copy(conn, job_id)
    assert take(conn) is None
    conn.execute("update sluice.job set heartbeat_at = now() - interval '21 seconds'")
    assert take(conn)["attempt"] == 2
    assert stages(conn) == 0
    assert job(conn, job_id)["counts"]["received"] == 0
    assert value(conn, "select count(*) from sluice.line_break") == 0
    # the dead one comes back
    assert value(conn, "select sluice.beat_job(%s, 1)", job_id) is False
    for query in (
        "select sluice.fetch_begin(%s, 1, 'csv', '{email}', '{}', null)",
        "select sluice.fetch_segment(%s, 1, 1, 1, '[]')",
        "select sluice.fetch_finish(%s, 1, 1, 1)",
        "select sluice.fetch_fail(%s, 1, 'no', 'no')",
        "select sluice.fetch_release(%s, 1)",
    ):
        refused(conn, "IO409", query, job_id)
    begin(conn, job_id, 2)
    copy(conn, job_id, 2, users=3)
    finish(conn, job_id, 2, users=3)
    run(conn)
    assert job(conn, job_id)["counts"]["inserted"] == 3


def test_a_stage_that_somebody_holds_is_waited_for(conn: Connection, dsn: str) -> None:
    job_id = create(conn)
    take(conn)
    begin(conn, job_id)
    conn.execute("update sluice.job set heartbeat_at = now() - interval '21 seconds'")
    with psycopg.connect(dsn) as holder:
        holder.execute(f"select from sluice_stage.s_{job_id.replace('-', '')}".encode())
        assert take(conn) is None
    conn.execute("update sluice.job set not_before = null")
    assert take(conn)["attempt"] == 2


def test_a_fetch_that_is_given_back_is_taken_again_later(conn: Connection) -> None:
    job_id = create(conn)
    take(conn)
    begin(conn, job_id)
    copy(conn, job_id)
    value(conn, "select sluice.fetch_release(%s, 1, 60, 'it replied 503')", job_id)
    assert stages(conn) == 0
    assert take(conn) is None
    assert job(conn, job_id)["metrics"]["last_error"] == "it replied 503"
    conn.execute("update sluice.job set not_before = now()")
    assert take(conn)["attempt"] == 2
    # a worker that stops has not failed
    value(conn, "select sluice.fetch_release(%s, 2)", job_id)
    assert take(conn)["attempt"] == 2


def test_after_five_attempts_the_job_fails_with_the_last_error(conn: Connection) -> None:
    job_id = create(conn)
    for attempt in range(1, 6):
        take(conn)
        value(conn, "select sluice.fetch_release(%s, %s, 0, 'it replied 503')", job_id, attempt)
    assert take(conn) is None
    failed = job(conn, job_id)
    assert failed["status"] == "failed"
    assert "it replied 503" in failed["error"]["detail"]


def test_workers_that_die_five_times_leave_a_failed_job_and_no_half_file(conn: Connection) -> None:
    job_id = create(conn)
    for attempt in range(1, 6):
        assert take(conn)["attempt"] == attempt
        begin(conn, job_id, attempt)
        copy(conn, job_id, attempt)
        conn.execute("update sluice.job set heartbeat_at = now() - interval '21 seconds'")
    assert take(conn) is None
    failed = job(conn, job_id)
    assert failed["status"] == "failed"
    assert set(failed["counts"].values()) == {0}
    value(conn, "select sluice.sweep()")
    assert stages(conn) == 0


def test_a_file_that_cannot_be_had_fails_the_job_without_rows(conn: Connection) -> None:
    job_id = create(conn)
    take(conn)
    begin(conn, job_id)
    copy(conn, job_id)
    value(conn, "select sluice.fetch_fail(%s, 1, 'No file', 'it replied 404')", job_id)
    failed = job(conn, job_id)
    assert (failed["status"], failed["phase"]) == ("failed", None)
    assert failed["error"]["detail"] == "it replied 404"
    assert failed["error"]["status"] == 422
    assert set(failed["counts"].values()) == {0}
    assert stages(conn) == 0
    run(conn)
    assert value(conn, "select count(*) from app.users") == 0


def test_a_header_that_cannot_be_is_told_before_the_file_is_read(conn: Connection) -> None:
    job_id = create(conn)
    take(conn)
    begun = "select sluice.fetch_begin(%s, 1, 'csv', %s, '{}', null)"
    assert "colour" in refused(conn, "IO400", begun, job_id, ["email", "colour"])
    assert "twice" in refused(conn, "IO400", begun, job_id, ["email", "email"])
    assert stages(conn) == 0


def test_a_table_that_changed_under_the_fetch_is_told_at_its_end(conn: Connection) -> None:
    conn.execute("create table public.things (id integer primary key, a text, b text)")
    conn.execute("select sluice.register('things', 'public.things')")
    job_id = create(conn, "things")
    take(conn)
    value(conn, "select sluice.fetch_begin(%s, 1, 'csv', '{id,a,b}', '{}', null)", job_id)
    conn.execute("alter table public.things drop column b")
    assert "'b'" in refused(conn, "IO400", "select sluice.fetch_finish(%s, 1, 0, 0)", job_id)


def test_a_cancelled_fetch_is_lost_to_its_attempt(conn: Connection) -> None:
    job_id = create(conn)
    take(conn)
    begin(conn, job_id)
    copy(conn, job_id)
    value(conn, "select sluice.cancel_job(%s)", job_id)
    assert value(conn, "select sluice.beat_job(%s, 1)", job_id) is False
    refused(conn, "IO409", "select sluice.fetch_segment(%s, 1, 1, 1, '[]')", job_id)
    assert job(conn, job_id)["status"] == "cancelled"
    assert set(job(conn, job_id)["counts"].values()) == {0}
    assert take(conn) is None


def test_a_failed_fetch_can_be_retried_from_its_source(conn: Connection) -> None:
    job_id = create(conn, mode="insert")
    take(conn)
    value(conn, "select sluice.fetch_fail(%s, 1, 'No file', 'it replied 404')", job_id)
    again = value(conn, "select sluice.retry_job(%s) ->> 'job_id'", job_id)
    fetch = take(conn)
    assert (fetch["job_id"], fetch["source"]) == (again, {"url": URL})
    assert job(conn, again)["parent_job_id"] == job_id
    assert job(conn, again)["options"]["mode"] == "insert"


def test_a_key_belongs_to_the_job_of_its_request(conn: Connection) -> None:
    query = (
        "select sluice.fetch_create('users', %s, 'csv', '{}', null, 'digest', %s, 'POST')"
        " ->> 'job_id'"
    )
    value(conn, "select sluice.idempotency_claim('k', 'POST')")
    job_id = value(conn, query, Jsonb({"url": URL}), "k")
    claim = value(conn, "select sluice.idempotency_claim('k', 'POST')")
    assert (claim["state"], claim["job"]["job_id"], claim["status"]) == ("done", job_id, 202)
