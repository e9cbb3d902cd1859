"""What a small job costs: it grows neither with the history nor with the queue."""

import json
import threading
import uuid

import psycopg
import pytest

from tests.sql.at_work import accept, until
from tests.sql.importer import Connection, csv_text, load, rows, run, step, table

HISTORY = """
set session_replication_role = replica;
insert into sluice.job (
    job_id, kind, resource, format, shape, header, state, outcome, error, accepted, received,
    inserted, unprocessed, created_at, started_at, completed_at, expires_at, swept
)
select
    sluice.uuid_v7(), case when n % 10 = 0 then 'export' else 'import' end, 'users', 'csv', 'cells',
    '{a}', case when f.failed then 'failed' else 'completed' end,
    case when not f.failed then 'clean' end, case when f.failed then '{}'::jsonb end,
    nextval('sluice.acceptance'), 9, case when f.failed then 0 else 9 end,
    case when f.failed then 9 else 0 end, t.at, t.at, t.at, t.at + interval '30 days', true
from generate_series(1, 20000) as n
cross join lateral (select n % 50 = 0 as failed) as f
cross join lateral (select now() - interval '10 days' + n * interval '20 seconds' as at) as t;
insert into sluice.step (job_id, kind, state, rows)
select j.job_id, k.kind, 'done', 9
from sluice.job as j cross join unnest('{cast,match,merge}'::text[]) as k (kind)
where j.kind = 'import';
insert into sluice.idempotency (scope, key, state, job_id, digest)
select 'POST imports', j.job_id::text, 'done', j.job_id, '' from sluice.job as j;
insert into sluice.delivery (delivery_id, job_id, url, state)
select sluice.uuid_v7(), j.job_id, 'https://example.org', 'delivered' from sluice.job as j;
insert into sluice.export_file (
    job_id, place, name, path, rows, bytes, sha256, content_type, expires_at
)
select j.job_id, 1, 'a', j.job_id::text, 1, 1, repeat('0', 64), 'text/csv', now() + interval '1 day'
from sluice.job as j where j.kind = 'export';
reset session_replication_role;
analyze sluice.job, sluice.step, sluice.idempotency, sluice.delivery, sluice.export_file;
"""
READ = """
select sum(seq_scan), sum(seq_tup_read), sum(idx_tup_fetch) from pg_stat_xact_user_tables
where schemaname = 'sluice' and relname in ('job', 'step', 'idempotency', 'delivery', 'export_file')
"""
# What is asked again and again, and what a request asks.
LOOKS = [
    "sluice.next_step()",
    "sluice.take_fetch()",
    "sluice.take_export()",
    "sluice.take_delivery()",
    "sluice.fire_schedules()",
    "sluice.sweep()",
    "sluice.expire()",
    "sluice.stale_files()",
    "sluice.health()",
    "sluice.metrics()",
    "sluice.admit()",
    "sluice.idempotency_claim('new', 'POST imports')",
    "sluice.jobs_json()",
    "sluice.jobs_json(status => 'pending')",
    "sluice.jobs_json(status => 'processing')",
    "sluice.jobs_json(status => 'failed')",
    "sluice.jobs_json(status => 'cancelled')",
    "sluice.jobs_json(kind => 'export')",
    "sluice.jobs_json(resource => 'comments')",
    "(select count(*) from (select from sluice.jobs order by created_at desc limit 20) as j)",
    "(select count(*) from sluice.jobs where state = 'processing')",
]


def reads(conn: Connection, expression: str) -> tuple[int, int]:
    """How many whole scans of the tables of jobs an expression makes; how many rows it reads."""
    with conn.transaction(force_rollback=True):
        before = rows(conn, READ)[0]
        conn.execute(f"select {expression}")
        after = rows(conn, READ)[0]
    scans, scanned, fetched = (int(b - a) for a, b in zip(before, after, strict=True))
    return scans, scanned + fetched


def test_the_history_of_jobs_is_never_read_as_a_whole(conn: Connection) -> None:
    for statement in HISTORY.split(";\n"):
        conn.execute(statement)
    done = rows(conn, "select min(job_id::text) from sluice.job where state = 'completed'")[0]
    looks = [*LOOKS, f"sluice.job_json('{done}')", f"sluice.delete_job('{done}')"]
    found = {look: reads(conn, look) for look in looks}
    assert {look: how for look, how in found.items() if how[0] or how[1] > 200} == {}
    # a whole import, from its turn to its end
    job = accept(conn, "users", csv_text(["email", "name", "role"], ["a@x.org", "A", "admin"]))
    scans, read = reads(conn, f"sluice.next_step('{job}')")
    assert (scans, read < 300) == (0, True), read


WAITING = """
insert into sluice.job (job_id, resource, format, shape, header, state, accepted, received)
select sluice.uuid_v7(), r.name, 'csv', 'cells', '{a}', 'pending', nextval('sluice.acceptance'), 9
from generate_series(1, 500) as n
cross join (values ('users'), ('articles')) as r (name)
"""


def test_a_thousand_jobs_that_wait_cost_a_look_no_more_than_one(conn: Connection, dsn: str) -> None:
    large = [[f"m{n}@x.org", "M", "admin"] for n in range(1200)]
    accept(conn, "users", csv_text(["email", "name", "role"], *large))
    step(conn)
    conn.execute("select sluice.next_step()")  # claims the cast for this session
    conn.execute(WAITING)
    with psycopg.connect(dsn, autocommit=True) as other:
        reply = rows(other, "select sluice.next_step() ->> 'status'")
        assert reply == ["busy"]
        scans, read = reads(other, "sluice.next_step()")
    assert (scans, read < 100) == (0, True), read


def test_one_wake_up_stands_for_all_that_is_accepted_in_a_while(conn: Connection) -> None:
    jobs = [
        accept(conn, "users", csv_text(["email", "name", "role"], [f"{n}@x.org", "A", "admin"]))
        for n in range(5)
    ]
    for job in jobs:
        conn.execute("select sluice.import_submit(%s)", [job])
    soon = "scheduled_at between now() + interval '3 seconds' and now() + interval '6 seconds'"
    assert rows(conn, f"select {soon} from procrastinate.procrastinate_jobs") == [True]
    # one that comes too soon to see what is accepted now
    conn.execute("set search_path = procrastinate")  # of its triggers
    conn.execute("update procrastinate_jobs set scheduled_at = now()")
    conn.execute("select sluice.import_submit(%s)", [jobs[0]])
    assert rows(conn, "select count(*) from procrastinate.procrastinate_jobs") == [2]


def test_an_upload_of_which_a_part_was_lost_is_refused(conn: Connection) -> None:
    begun = rows(conn, "select sluice.receive_begin('csv', '{email,name,role}', '{}', 'f')")[0]
    job = begun["job_id"]
    conn.execute("select sluice.receive_segment(%s, 2, 9, '[]')", [job])
    finish = "select sluice.receive_finish(%s, 'users', '{}', %s, 9, 'd')"
    with pytest.raises(psycopg.Error) as refused:
        conn.execute(finish, [job, 3])
    assert refused.value.sqlstate == "IO503"
    conn.execute(finish, [job, 2])


def test_a_step_that_fails_is_cut_into_steps_before_single_records_are_looked_for(
    conn: Connection,
) -> None:
    table(
        conn,
        "id integer primary key",
        "create function bad() returns trigger language plpgsql as"
        " $$ begin if new.id = 1234 then raise 'no'; end if; return new; end $$",
        "create trigger bad before insert on t for each row execute function bad()",
    )
    done = load(conn, "t", csv_text(["id"], *([n] for n in range(1, 2001))))
    assert done.counts == (1999, 0, 0, 1)
    assert [e["row"] for e in done.errors] == [1234]
    steps = rows(conn, "select rows from sluice.step where kind = 'merge' order by lo")
    assert steps == [500] * 4


BULK = "select sluice.bulk_users(%s, %s)"


def test_users_in_bulk_pass_between_the_steps_of_a_large_import(conn: Connection, dsn: str) -> None:
    """A step of an import holds one of the users; the next one waits until they are through."""
    users = json.dumps([{"name": "B", "email": f"{n}@x.org"} for n in range(3)])
    replies: list[dict[str, object]] = []

    def bulk() -> None:
        with psycopg.connect(dsn, autocommit=True) as own:
            replies.extend(row[0] for row in own.execute(BULK, [str(uuid.uuid4()), users]))

    with psycopg.connect(dsn) as merging:
        merging.execute("select sluice.pass_gate('users')")
        merging.execute(
            "insert into app.users (email, name, role) values ('1@x.org', 'A', 'admin')"
        )
        caller = threading.Thread(target=bulk)
        caller.start()
        until(conn, "select count(*) > 0 from pg_locks where locktype = 'advisory' and not granted")
        free = "select pg_try_advisory_xact_lock_shared(sluice.gate_key('users'))"
        assert rows(conn, free) == [False], "the next step would get in its way again"
        assert not replies
        merging.commit()
        caller.join(20)
    assert [reply["summary"] for reply in replies] == [{"total": 3, "inserted": 2, "updated": 1}]
    assert rows(conn, free) == [True]


def test_a_small_job_that_must_wait_goes_on_later_as_any_other(conn: Connection, dsn: str) -> None:
    csv = csv_text(["email", "name", "role"], ["a@x.org", "A", "admin"])
    with psycopg.connect(dsn) as other:
        other.execute("insert into app.users (email, name, role) values ('b@x.org', 'B', 'admin')")
        other.commit()
        other.execute("lock app.users in exclusive mode")
        job = accept(conn, "users", csv)
        tried = step(conn, job)
        assert tried["kind"] == "merge"
        assert "another session holds a table" in tried["error"]
        other.rollback()
    assert run(conn, job).counts == (1, 0, 0, 0)
