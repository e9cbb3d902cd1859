"""How a job ends other than by its own end, what that leaves, and how it goes on from there."""

import json
from typing import Any

import psycopg
import pytest

from tests.sql.at_work import ASLEEP, Worker, accept, at_work, numbers, slow_table, until
from tests.sql.importer import (
    Connection,
    begin,
    csv_text,
    lines,
    load,
    result,
    rows,
    run,
    step,
    table,
)

LEFT = (
    "select relname::text from pg_class where relnamespace = 'sluice_stage'::regnamespace"
    " and relkind = 'r' order by relname"
)


def stage(job_id: str) -> str:
    """The name of a stage in sluice_stage."""
    return f"s_{job_id.replace('-', '')}"


def cancel(conn: Connection, job_id: str) -> dict[str, Any]:
    """Cancel a job; what the API shows of it then."""
    found = conn.execute("select sluice.cancel_job(%s)", [job_id]).fetchone()
    assert found
    job: dict[str, Any] = found[0]
    assert (job["status"], job["phase"]) == ("cancelled", None)
    return job


def retry(conn: Connection, job_id: str, **options: Any) -> str:
    """Retry a job; the id of the new one."""
    found = conn.execute(
        "select sluice.retry_job(%s, %s)", [job_id, json.dumps(options)]
    ).fetchone()
    assert found
    assert found[0]["parent_job_id"] == job_id
    assert found[0]["status"] == "pending"
    return str(found[0]["job_id"])


def refusal(conn: Connection, query: str, *values: Any) -> tuple[str | None, str]:
    """SQLSTATE, and message with hint, of a statement that is refused."""
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(query, values)
    diag = caught.value.diag
    return caught.value.sqlstate, f"{diag.message_primary}; {diag.message_hint}"


# Cancel


@pytest.mark.parametrize("phase", ["cast", "match", "merge"])
def test_cancel_stops_whoever_is_at_work_in_any_phase(
    conn: Connection, dsn: str, phase: str
) -> None:
    slow_table(conn, phase)
    job = accept(conn, "t", numbers(1200))
    with at_work(conn, dsn) as worker:
        assert rows(conn, "select phase from sluice.jobs") == [phase]
        cancelled = cancel(conn, job)
    assert worker.failures == ["57014"]
    assert cancelled["counts"]["unprocessed"] == 1200
    assert rows(conn, "select count(*) from t") == [0]
    assert rows(conn, LEFT) == [stage(job)]
    assert step(conn)["status"] == "idle"


def test_cancel_keeps_and_counts_what_is_merged(conn: Connection, dsn: str) -> None:
    slow_table(conn, "merge")
    data = csv_text(["id", "v"], *([i, 7 if i == 55_000 else 1] for i in range(60_000)))
    job = accept(conn, "t", data)
    with at_work(conn, dsn):
        counts = cancel(conn, job)["counts"]
    assert (counts["inserted"], counts["unprocessed"]) == (50_000, 10_000)
    assert rows(conn, "select count(*) from t") == [50_000]
    conn.execute("drop trigger s on t")
    assert run(conn, retry(conn, job)).counts == (10_000, 0, 50_000, 0)


@pytest.mark.parametrize("count", [20, 1200])
def test_a_cancelled_atomic_import_leaves_nothing(conn: Connection, dsn: str, count: int) -> None:
    slow_table(conn, "merge")
    job = accept(conn, "t", numbers(count), atomic=True, results=True)
    with at_work(conn, dsn):
        assert cancel(conn, job)["counts"]["unprocessed"] == count
    assert rows(conn, "select count(*) from t") == [0]
    assert rows(conn, "select count(*) from sluice.result") == [0]


def test_a_small_import_is_cancelled_in_its_one_transaction(conn: Connection, dsn: str) -> None:
    slow_table(conn, "cast")
    job = accept(conn, "t", numbers(20))
    with at_work(conn, dsn):
        assert rows(conn, "select state from sluice.job") == ["pending"]
        assert cancel(conn, job)["counts"]["unprocessed"] == 20


def test_a_job_that_waits_is_cancelled_at_once_and_stands_in_nobodys_way(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    first, second = (accept(conn, "t", numbers(5)) for _ in range(2))
    cancel(conn, first)
    assert run(conn, second).counts == (5, 0, 0, 0)
    state, told = refusal(conn, "select sluice.cancel_job(%s)", second)
    assert (state, "already completed" in told) == ("IO409", True)
    unknown = "00000000-0000-7000-8000-000000000000"
    for call in ("cancel_job", "retry_job", "delete_job"):
        assert refusal(conn, f"select sluice.{call}(%s)", unknown)[0] == "IO404"


def test_one_that_does_not_stop_is_told_so(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key, v integer")
    job = accept(conn, "t", numbers(5))
    with psycopg.connect(dsn) as other:
        # idle in its transaction: there is no statement to cancel
        other.execute("select sluice.hold_job(%s)", [job])
        state, told = refusal(conn, "select sluice.cancel_job(%s)", job)
        assert (state, "does not stop" in told) == ("IO503", True)
        assert step(conn)["status"] == "done"


def test_nobody_begins_a_step_of_a_job_that_is_being_ended(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key, v integer")
    table(conn, "id integer primary key, v integer", name="u")
    accept(conn, "t", numbers(5))
    job = accept(conn, "u", numbers(5))
    with psycopg.connect(dsn) as other:
        other.execute("select sluice.hold_job_alone(job_id) from sluice.job where resource = 't'")
        assert step(conn)["job_id"] == job
        assert step(conn)["status"] == "busy"


def test_a_fetch_is_cancelled_and_retried_from_its_source(conn: Connection) -> None:
    url = "https://example.org/users.csv"
    found = conn.execute(
        "select sluice.import_from('users', url => %s, options => '{\"mode\": \"insert\"}')", [url]
    ).fetchone()
    assert found
    job = found[0]["job_id"]
    assert cancel(conn, job)["counts"]["received"] == 0
    again = result(conn, retry(conn, job, atomic=True)).job
    assert (again["phase"], again["source"]) == ("fetch", {"url": url})
    assert (again["options"]["mode"], again["options"]["atomic"]) == ("insert", True)


def test_an_export_is_cancelled_and_retried(conn: Connection) -> None:
    found = conn.execute("select sluice.export_submit('users')").fetchone()
    assert found
    job = found[0]["job_id"]
    cancel(conn, job)
    assert result(conn, retry(conn, job)).job["options"]["resources"] == ["users"]
    state, _ = refusal(conn, "select sluice.retry_job(%s, '{\"limit\": 1}')", job)
    assert state == "IO400"


# Retry


def test_a_retry_of_a_completed_import_judges_its_rejects_again(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer constraint odd check (v <> 5)")
    first = load(conn, "t", csv_text(["id", "v"], [1, 1], [2, 5], [3, "x"], [4, 5]))
    job = str(first.job["job_id"])
    conn.execute("alter table t drop constraint odd")
    done = run(conn, retry(conn, job))
    assert done.counts == (2, 0, 0, 1)
    assert [(e["row"], e["code"]) for e in done.errors] == [(2, "type")]
    assert rows(conn, "select id from t order by id") == [1, 2, 4]
    # they are still there, and by now all but one change nothing
    assert run(conn, retry(conn, job, mode="upsert")).counts == (0, 0, 2, 1)


def test_a_retry_of_rejects_takes_every_shape_of_stage(conn: Connection) -> None:
    wide = [f"x{i}" for i in range(220)]
    table(conn, "id integer primary key, v integer check (v <> 5), doc jsonb")
    header = {"cells": ["id", "v"], "array": ["id", "v", *wide], "line": None}
    for shape, names in header.items():
        form = "ndjson" if shape == "line" else "csv"
        found = conn.execute(
            "select sluice.receive_begin(%s, %s, '{}', 'f')", [form, names]
        ).fetchone()
        assert found
        assert found[0]["shape"] == shape
        job, into = found[0]["job_id"], f"sluice_stage.{stage(found[0]['job_id'])}"
        if shape == "line":
            columns, values = "line", ["""'{"id": 1, "v": 5, "doc": {"a": 1.50}}'"""]
        elif shape == "array":
            columns, values = "cells", [f"array['1', '5'] || array_fill('y'::text, '{{{220}}}')"]
        else:
            columns, values = "c1, c2", ["'1', '5'"]
        conn.execute(f"insert into {into} ({columns}, _line_no) values ({values[0]}, 40)")
        conn.execute(
            f"insert into {into} (_malformed, _problem, _line_no) values ('a,\"', 'a quote', 44)"
        )
        conn.execute(
            "select sluice.accept_import(%s, 't', '{\"unknown_fields\": \"ignore\"}', 2, 1)", [job]
        )
        first = run_steps(conn, job)
        assert first.counts == (0, 0, 0, 2)
        again = run_steps(conn, retry(conn, job))
        assert again.errors == first.errors
        assert [e["line"] for e in again.errors] == [40, 44]
        assert {e["code"] for e in again.errors} == {"check", "malformed"}
        kept = "select line, cells, record, malformed from sluice.reject where job_id = '{}'"
        parent = again.job["job_id"]
        assert rows(conn, kept.format(parent) + " order by n") == rows(
            conn, kept.format(job) + " order by n"
        )


def run_steps(conn: Connection, job_id: str) -> Any:
    """Take steps of a job until it has ended."""
    while step(conn, job_id)["status"] != "idle":
        pass
    return result(conn, job_id)


def test_a_retry_of_a_failed_import_takes_its_data_over(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer check (v <> 5)")
    job = accept(conn, "t", numbers(20), atomic=True)
    assert run_steps(conn, job).job["state"] == "failed"
    assert rows(conn, LEFT) == [stage(job)]
    again = retry(conn, job, atomic=False, max_errors=7)
    assert rows(conn, LEFT) == [stage(again)]
    done = run(conn, again)
    assert done.counts == (19, 0, 0, 1)
    assert (done.job["options"]["max_errors"], done.job["file_name"]) == (7, "file")
    state, told = refusal(conn, "select sluice.retry_job(%s)", job)
    assert (state, again in told) == ("IO409", True)
    assert rows(conn, LEFT) == []


def test_what_cannot_be_retried_is_told_why(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer check (v <> 5)")
    waits = accept(conn, "t", numbers(2))
    clean = waits
    assert "is still pending" in refusal(conn, "select sluice.retry_job(%s)", waits)[1]
    run(conn, waits)
    assert "none of its records" in refusal(conn, "select sluice.retry_job(%s)", clean)[1]
    none_kept = str(load(conn, "t", numbers(6), max_errors=0).job["job_id"])
    assert "kept none" in refusal(conn, "select sluice.retry_job(%s)", none_kept)[1]
    some = str(load(conn, "t", numbers(6)).job["job_id"])
    state, told = refusal(conn, 'select sluice.retry_job(%s, \'{"null": "-"}\')', some)
    assert (state, "taken apart" in told) == ("IO400", True)
    state, _ = refusal(conn, 'select sluice.retry_job(%s, \'{"mode": "x"}\')', some)
    assert state == "IO400"


def test_an_unlogged_stage_that_a_crash_emptied_is_not_retried(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    job = accept(conn, "t", numbers(5))
    cancel(conn, job)
    conn.execute(f"truncate sluice_stage.{stage(job)}")
    state, told = refusal(conn, "select sluice.retry_job(%s)", job)
    assert (state, "was lost" in told) == ("IO409", True)


def test_a_retry_of_a_failed_start_works_once_the_table_is_mended(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    job = accept(conn, "t", numbers(5))
    conn.execute("alter table t rename v to w")
    assert run_steps(conn, job).job["state"] == "failed"
    assert refusal(conn, "select sluice.retry_job(%s)", job)[0] == "IO400"
    conn.execute("alter table t rename w to v")
    assert run(conn, retry(conn, job)).counts == (5, 0, 0, 0)


def test_a_retry_is_made_once_per_idempotency_key(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer check (v <> 5)")
    job = load(conn, "t", numbers(6)).job["job_id"]
    conn.execute("select sluice.idempotency_claim('k', 's')")
    conn.execute("select sluice.retry_job(%s, '{}', 'digest', 'k', 's')", [job])
    claim = rows(conn, "select sluice.idempotency_claim('k', 's')")[0]
    assert (claim["state"], claim["job"]["parent_job_id"]) == ("done", str(job))


# Delete and expiry


def test_delete_removes_a_job_with_all_it_has(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer check (v <> 5)")
    waits = accept(conn, "t", numbers(6), results=True)
    assert refusal(conn, "select sluice.delete_job(%s)", waits)[0] == "IO409"
    run(conn, waits)
    failed = accept(conn, "t", numbers(6))
    cancel(conn, failed)
    for job in (waits, failed):
        conn.execute("select sluice.delete_job(%s)", [job])
    assert rows(conn, LEFT) == []
    for name in ("job", "reject", "result", "step"):
        assert rows(conn, f"select count(*) from sluice.{name}") == [0]
    assert rows(conn, "select count(*) from t") == [5]


def export_with_file(conn: Connection) -> str:
    """A completed export with a file, as a worker leaves it."""
    found = conn.execute("select sluice.export_submit('users')").fetchone()
    assert found
    taken = rows(conn, "select sluice.take_export()")[0]
    conn.execute(
        "select sluice.export_finish(%s, %s, %s, '{}')",
        [
            taken["job_id"],
            taken["attempt"],
            json.dumps(
                [
                    {
                        "place": 1,
                        "resource": "users",
                        "name": "users.ndjson",
                        "path": "exports/x/users.ndjson",
                        "rows": 1,
                        "bytes": 2,
                        "sha256": "0" * 64,
                        "content_type": "application/x-ndjson",
                        "parts": [{"resource": "users", "rows": 1}],
                    }
                ]
            ),
        ],
    )
    return str(found[0]["job_id"])


def test_the_files_of_a_deleted_export_are_left_to_be_removed(conn: Connection) -> None:
    job = export_with_file(conn)
    conn.execute("select sluice.delete_job(%s)", [job])
    assert rows(conn, "select path from sluice.stale_file") == ["exports/x/users.ndjson"]


def test_a_deleted_stage_that_somebody_holds_goes_with_the_sweeper(
    conn: Connection, dsn: str
) -> None:
    table(conn, "id integer primary key, v integer")
    job = accept(conn, "t", numbers(5))
    cancel(conn, job)
    with psycopg.connect(dsn) as dump:
        dump.execute(f"lock table sluice_stage.{stage(job)} in access share mode")
        conn.execute("select sluice.delete_job(%s)", [job])
        assert rows(conn, "select sluice.sweep() ->> 'orphans'") == ["0"]
    assert rows(conn, "select sluice.sweep() ->> 'orphans'") == ["1"]
    assert rows(conn, LEFT) == []


def test_the_sweeper_leaves_stages_alone_that_have_a_job(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key, v integer")
    kept = accept(conn, "t", numbers(5))
    cancel(conn, kept)
    waits = accept(conn, "t", numbers(5))
    conn.execute("create table sluice_stage.my_own (a integer)")
    with psycopg.connect(dsn) as other:
        begin(other, "t", numbers(5), "csv")
        assert rows(conn, "select sluice.sweep() ->> 'orphans'") == ["0"]
        other.rollback()
    assert rows(conn, LEFT) == sorted(["my_own", stage(kept), stage(waits)])


def test_what_has_had_its_time_is_removed(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer check (v <> 5)")
    old, young, keyed, waits = (accept(conn, "t", numbers(6)) for _ in range(4))
    for job in (old, young, keyed):
        run(conn, job)
    stopped = accept(conn, "t", numbers(6))
    cancel(conn, stopped)
    for key, age in (("new", "1 minute"), ("dead", "2 hours")):
        conn.execute("select sluice.idempotency_claim(%s, 's')", [key])
        conn.execute(
            "update sluice.idempotency set beat_at = clock_timestamp() - %s::interval"
            " where key = %s",
            [age, key],
        )
    conn.execute("select sluice.idempotency_store('keyed', 's', %s, 'd', 202)", [keyed])
    expired = (
        "update sluice.job set expires_at = now() - interval '1 minute' where job_id = any(%s)"
    )
    conn.execute(expired, [[old, keyed]])
    assert rows(conn, "select sluice.expire()") == [{"jobs": 1, "stages": 0, "keys": 1}]
    assert set(rows(conn, "select job_id::text from sluice.job")) == {young, keyed, waits, stopped}
    assert rows(conn, "select count(*) from sluice.reject") == [2]
    past = "update sluice.job set completed_at = completed_at - interval '4 days' where job_id = %s"
    conn.execute(past, [stopped])
    assert rows(conn, "select sluice.expire()") == [{"jobs": 0, "stages": 1, "keys": 0}]
    assert rows(conn, LEFT) == [stage(waits)]
    assert "has expired" in refusal(conn, "select sluice.retry_job(%s)", stopped)[1]
    conn.execute("update sluice.idempotency set created_at = created_at - interval '2 days'")
    assert rows(conn, "select sluice.expire() ->> 'jobs'") == ["1"]


def test_settings_of_the_service_decide_how_long(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    conn.execute("set sluice.job_ttl = '100'")
    job = load(conn, "t", numbers(2)).job
    assert (job["expires_at"] - job["completed_at"]).total_seconds() == 100


# Claims


def test_a_claimed_step_is_its_sessions_alone_and_for_a_while(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key, v integer")
    job = accept(conn, "t", numbers(1200))
    reply = "select sluice.next_step() ->> 'status'"
    assert rows(conn, reply) == ["claimed"]
    with psycopg.connect(dsn, autocommit=True) as other:
        assert rows(other, reply) == ["busy"]
        assert rows(conn, reply) == ["done"]
        # now the cast: claimed here, not carried out for too long, taken over there
        assert rows(conn, reply) == ["claimed"]
        conn.execute("update sluice.step set claimed_at = claimed_at - interval '3 seconds'")
        assert rows(other, reply) == ["claimed"]
        assert rows(conn, reply) == ["busy"]
        assert rows(other, reply) == ["done"]
    assert rows(conn, "select tries, state from sluice.step where kind = 'cast'") == [(2, "done")]
    assert run(conn, job).counts == (1200, 0, 0, 0)


def test_a_claim_that_was_rolled_back_is_none(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key, v integer")
    job = accept(conn, "t", numbers(1200))
    with psycopg.connect(dsn) as other:
        assert rows(other, "select sluice.next_step() ->> 'status'") == ["claimed"]
        other.rollback()
        assert rows(other, "select sluice.next_step() ->> 'status'") == ["claimed"]
        assert rows(other, "select sluice.next_step() ->> 'status'") == ["done"]
    assert run(conn, job).counts == (1200, 0, 0, 0)


@pytest.mark.parametrize("where", ["cast", "merge", "start"])
def test_work_that_ends_its_session_again_and_again_fails_the_job(
    conn: Connection, dsn: str, where: str
) -> None:
    table(conn, "id integer primary key, v integer")
    count = 20 if where == "start" else 1200
    killer = (
        "create function public.kill(v integer) returns boolean language plpgsql as $$ begin"
        " if v = 7 then perform pg_terminate_backend(pg_backend_pid()); end if; return true;"
        " end $$"
    )
    conn.execute(killer)
    if where == "merge":
        conn.execute(
            "create function public.kill_row() returns trigger language plpgsql as"
            " $$ begin perform public.kill(new.v); return new; end $$"
        )
        conn.execute("create trigger k before insert on t for each row execute function kill_row()")
    else:
        conn.execute("alter table t add constraint k check (public.kill(v))")
    job = accept(conn, "t", numbers(count))
    # a small import is one transaction, until it has waited for long
    conn.execute("update sluice.job set created_at = created_at - interval '1 minute'")
    deaths = 0
    while result(conn, job).job["state"] != "failed":
        worker = Worker(dsn)
        worker.start()
        worker.join(20)
        deaths += len(worker.failures)
        assert deaths <= 10
        for name in ("job", "step"):
            conn.execute(
                f"update sluice.{name} set claimed_at = claimed_at - interval '3 seconds'"
                " where claimed_at is not null"
            )
    assert deaths == 10
    failed = result(conn, job).job
    assert "was begun 10 times and never came to its end" in failed["error"]["detail"]
    assert failed["unprocessed"] == count
    conn.execute("drop trigger k on t" if where == "merge" else "alter table t drop constraint k")
    assert run(conn, retry(conn, job)).counts == (count, 0, 0, 0)


def test_a_step_that_ends_after_its_job_is_undone(conn: Connection, dsn: str) -> None:
    """Else its records would be written, and counted as unprocessed."""
    slow_table(conn, "merge", seconds=1)
    job = accept(conn, "t", numbers(1200))
    with at_work(conn, dsn):
        conn.execute("select sluice.fail_job(%s, 'Over', 'somebody failed it')", [job])
    assert result(conn, job).job["unprocessed"] == 1200
    assert rows(conn, "select count(*) from t") == [0]


# Bounds


def test_at_most_so_many_imports_are_under_way(conn: Connection) -> None:
    for name in "abcd":
        table(conn, "id integer primary key, v integer", name=name)
    conn.execute("set sluice.max_jobs = '2'")
    jobs = [accept(conn, name, numbers(1200)) for name in "abc"]
    small = accept(conn, "d", numbers(3))
    urgent = accept(conn, "d", numbers(3), priority="interactive")
    for job in (*jobs, small):
        step(conn, job)
    running = "select resource from sluice.job where state = 'processing' order by resource"
    assert rows(conn, running) == ["a", "b"]
    assert step(conn, jobs[2])["status"] == "busy"
    # a small urgent one is through in a transaction, but keeps its place behind its kin
    assert step(conn, urgent)["status"] == "busy"
    cancel(conn, small)
    assert step(conn, urgent)["status"] == "done"
    conn.execute("set sluice.max_jobs = '0'")
    step(conn, jobs[2])
    assert rows(conn, running) == ["a", "b", "c"]
    while step(conn)["status"] != "idle":
        pass
    assert {result(conn, job).counts for job in jobs} == {(1200, 0, 0, 0)}


def test_two_that_begin_at_the_same_time_do_not_both_find_room(conn: Connection, dsn: str) -> None:
    for name in "ab":
        table(conn, "id integer primary key, v integer", name=name)
        accept(conn, name, numbers(1200))
    with psycopg.connect(dsn) as other:
        conn.execute("set sluice.max_jobs = '1'")
        other.execute("set sluice.max_jobs = '1'")
        reply = "select sluice.next_step() ->> 'status'"
        assert rows(other, reply) == ["claimed"]
        assert rows(other, reply) == ["done"]
        assert rows(conn, reply) == ["claimed"]
        assert rows(conn, reply) == ["busy"]
        other.commit()
    assert rows(conn, "select tries from sluice.job where state = 'pending'") == [0]


def test_at_most_so_many_sessions_work_on_one_import(conn: Connection, dsn: str) -> None:
    slow_table(conn, "cast")
    data = csv_text(["id", "v"], *([i, 7 if i % 50_000 == 49 else 1] for i in range(150_000)))
    accept(conn, "t", data)
    workers = [Worker(f"{dsn} options='-c sluice.sessions_per_import=2'") for _ in range(4)]
    for worker in workers:
        worker.start()
    asleep = ASLEEP.replace("count(*) > 0", "count(*)")
    until(conn, ASLEEP.replace("> 0", "= 2"))
    for worker in workers:
        worker.join(1)
    assert rows(conn, asleep) == [2]
    assert rows(conn, "select cardinality(string_to_array(worker, ', ')) from sluice.jobs") == [2]
    cancel(conn, rows(conn, "select job_id::text from sluice.job")[0])
    for worker in workers:
        worker.join(20)


def test_the_view_of_jobs_tells_how_a_running_job_stands(conn: Connection, dsn: str) -> None:
    slow_table(conn, "cast")
    accept(conn, "t", numbers(1200), priority="interactive")
    with at_work(conn, f"{dsn} options='-c sluice.worker=host:1'"):
        view = (
            "select worker, attempts, step, priority, next_try is null,"
            " clock_timestamp() - heartbeat < '30 seconds' from sluice.jobs"
        )
        assert rows(conn, view) == [("host:1", 1, "cast 0/1", "interactive", True, True)]
        cancel(conn, rows(conn, "select job_id::text from sluice.job")[0])
    assert rows(conn, "select worker, step from sluice.jobs") == [(None, None)]


def test_a_fetch_holds_its_place_but_only_before_younger_ones(conn: Connection) -> None:
    article = {"slug": "a", "title": "t", "body": "w " * 10, "status": "draft"}
    before = accept(conn, "articles", lines(article), "ndjson")
    conn.execute("select sluice.import_from('users', url => 'https://example.org/u.csv')")
    after = accept(conn, "articles", lines(article), "ndjson")
    assert step(conn)["job_id"] == before
    assert step(conn)["status"] == "busy"
    assert result(conn, after).job["state"] == "pending"
    shown = rows(conn, "select sluice.jobs_json(resource => 'users') -> 'jobs' -> 0")[0]
    assert (shown["status"], shown["phase"]) == ("pending", "fetch")
