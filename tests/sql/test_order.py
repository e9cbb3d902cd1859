"""Which step is next: tied jobs in order, any number of sessions, none waiting for nothing."""

import threading
from typing import Any

import psycopg
import pytest

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

USERS = csv_text(
    ["id", "email", "name", "role"],
    [*["00000000-0000-4000-8000-00000000000a"], "a@x.org", "A", "admin"],
)


ENDED = """
select job_id::text from sluice.job where completed_at is not null order by completed_at
"""


def accept(conn: Connection, resource: str, data: str, form: str = "csv", **options: Any) -> str:
    """Begin and accept an import; nobody carries it out yet."""
    job_id = begin(conn, resource, data, form, **options)
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    return job_id


def work(conn: Connection) -> list[str]:
    """Take steps until nothing is left; the jobs in the order in which they ended."""
    ended: list[str] = []
    while True:
        if step(conn)["status"] == "idle":
            return ended
        ended = rows(conn, ENDED)


def states(conn: Connection, *jobs: str) -> list[str]:
    """Where each job stands."""
    return [result(conn, job).job["state"] for job in jobs]


def test_tied_jobs_go_in_the_order_of_acceptance(conn: Connection) -> None:
    article = {
        "slug": "a",
        "title": "t",
        "body": "w " * 10,
        "status": "draft",
        "author_id": "00000000-0000-4000-8000-00000000000a",
    }
    jobs = [accept(conn, "users", USERS), accept(conn, "articles", lines(article), "ndjson")]
    jobs.append(accept(conn, "users", USERS))
    assert work(conn) == jobs
    assert [result(conn, job).job["inserted"] for job in jobs] == [1, 1, 0]


def test_a_job_waits_for_an_older_job_of_a_tied_resource(conn: Connection) -> None:
    accept(conn, "users", USERS)
    later = accept(conn, "articles", "", "ndjson")
    assert step(conn, later)["status"] == "busy"


def test_unrelated_jobs_do_not_wait(conn: Connection) -> None:
    table(conn, "id integer primary key")
    first = accept(conn, "users", USERS)
    second = accept(conn, "t", csv_text(["id"], [1]))
    step(conn, second)
    assert states(conn, first, second) == ["pending", "completed"]


def test_import_run_helps_older_jobs_along(conn: Connection) -> None:
    first = accept(conn, "users", USERS)
    second = accept(conn, "users", USERS)
    run(conn, second)
    assert states(conn, first, second) == ["completed", "completed"]


def test_small_interactive_jobs_pass_between_the_steps_of_a_large_one(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    large = accept(conn, "t", csv_text(["id", "v"], *([i, 1] for i in range(2000))))
    small = accept(conn, "t", csv_text(["id", "v"], [1, 2]), priority="interactive")
    other = accept(conn, "t", csv_text(["id", "v"], [3, 3]))
    step(conn, large)
    for job in (other, small):
        step(conn, job)
    assert states(conn, large, small, other) == ["processing", "completed", "pending"]
    assert work(conn) == [small, large, other]
    # the large job was matched after the small one
    assert rows(conn, "select v from t where id in (1, 3) order by id") == [1, 3]


def test_a_large_interactive_job_has_no_right_of_way(conn: Connection) -> None:
    table(conn, "id integer primary key")
    data = csv_text(["id"], *([i] for i in range(2000)))
    first = accept(conn, "t", data)
    second = accept(conn, "t", data, priority="interactive")
    step(conn, first)
    step(conn, second)
    assert states(conn, first, second) == ["processing", "pending"]


def worker(dsn: str, failures: list[BaseException], taken: list[str]) -> None:
    """A worker session: steps until nothing is left."""
    try:
        with psycopg.connect(dsn, autocommit=True) as conn:
            while True:
                reply = step(conn)
                if reply["status"] == "idle":
                    return
                if reply["status"] == "done":
                    assert "error" not in reply, reply
                    taken.append(reply["kind"])
                else:
                    conn.execute("select pg_sleep(0.01)")
    except BaseException as error:  # the test reads it
        failures.append(error)


@pytest.mark.parametrize("sessions", [2, 4])
def test_several_sessions_lose_and_double_nothing(
    conn: Connection, dsn: str, sessions: int
) -> None:
    for name in ("t", "u"):
        table(conn, "id integer primary key, v integer check (v <> 7)", name=name)
    data = csv_text(["id", "v"], *([i, i % 1000] for i in range(60_000)))
    jobs = [accept(conn, name, data) for name in ("t", "u", "t")]
    jobs += [accept(conn, "u", csv_text(["id", "v"], [i, 5])) for i in range(20)]
    failures: list[BaseException] = []
    taken: list[str] = []
    threads = [
        threading.Thread(target=worker, args=(dsn, failures, taken)) for _ in range(sessions)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    done = [result(conn, job) for job in jobs]
    assert [d.counts for d in done[:3]] == [
        (59_940, 0, 0, 60),
        (59_940, 0, 0, 60),
        (0, 0, 59_940, 60),
    ]
    assert {d.job["state"] for d in done} == {"completed"}
    assert rows(conn, "select count(*) from t") == [59_940]


def test_a_lost_session_loses_its_step_not_the_job(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key")
    job = accept(conn, "t", csv_text(["id"], *([i] for i in range(2000))))
    with psycopg.connect(dsn) as lost:
        step(lost)
        assert step(conn)["status"] == "busy"
        lost.rollback()
    assert run(conn, job).counts == (2000, 0, 0, 0)


def test_a_failed_job_lets_the_next_one_go(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    first = accept(conn, "t", csv_text(["id", "v"], [1, 1]))
    conn.execute("alter table t rename v to w")
    second = accept(conn, "t", csv_text(["id", "w"], [1, 1]))
    assert work(conn) == [first, second]
    assert states(conn, first, second) == ["failed", "completed"]


def test_the_end_of_a_job_does_not_wait_for_a_dump(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key")
    job = begin(conn, "t", csv_text(["id"], [1]), "csv")
    stage = rows(conn, f"select sluice.stage_name('{job}')")[0]
    with psycopg.connect(dsn) as dump:
        dump.execute(f"lock table {stage} in access share mode")
        done = run(conn, job)
        assert (done.job["state"], done.job["swept"]) == ("completed", False)
        assert rows(conn, "select sluice.sweep() ->> 'jobs'") == ["0"]
    assert rows(conn, "select sluice.sweep() ->> 'jobs'") == ["1"]
    assert rows(conn, f"select to_regclass('{stage}')") == [None]


def test_nothing_to_do_is_idle(conn: Connection) -> None:
    assert rows(conn, "select sluice.next_step() ->> 'status'") == ["idle"]
    load(conn, "users", USERS)
    assert rows(conn, "select sluice.next_step() ->> 'status'") == ["idle"]


def many(count: int) -> str:
    """Users enough that a step is a transaction of its own."""
    header = ["email", "name", "role"]
    return csv_text(header, *[[f"m{n}@x.org", "M", "admin"] for n in range(count)])


def phase(conn: Connection, job: str) -> str | None:
    found = conn.execute("select phase from sluice.job where job_id = %s", [job]).fetchone()
    assert found
    return None if found[0] is None else str(found[0])


def test_a_job_that_cannot_go_on_fails_and_stands_in_nobodys_way(conn: Connection) -> None:
    lost, next_one = accept(conn, "users", many(1200)), accept(conn, "users", USERS)
    while phase(conn, lost) != "match":
        step(conn)
    step(conn)
    conn.execute(f"drop table sluice_stage.w_{lost.replace('-', '')}")
    work(conn)
    failed = result(conn, lost).job
    assert (failed["state"], failed["unprocessed"]) == ("failed", 1200)
    assert "does not exist" in failed["error"]["detail"]
    assert result(conn, next_one).job["inserted"] == 1


def test_a_job_waits_for_a_younger_one_that_has_begun(conn: Connection) -> None:
    begun = accept(conn, "users", many(1200))
    step(conn)
    older = accept(conn, "users", USERS)
    conn.execute("update sluice.job set accepted = -1 where job_id = %s", [older])
    assert work(conn) == [begun, older]


def test_a_foreign_key_added_while_jobs_wait_ties_them_in_the_order_of_acceptance(
    conn: Connection, dsn: str
) -> None:
    table(conn, "id integer primary key", name="owner")
    table(conn, "id integer primary key, owner integer", name="pet")
    large = csv_text(["id"], *([i] for i in range(1200)))
    owners = accept(conn, "owner", large)
    pets = accept(conn, "pet", csv_text(["id", "owner"], *([i, i] for i in range(1200))))
    more_owners = accept(conn, "owner", csv_text(["id"], [5000]))
    conn.execute("alter table pet add foreign key (owner) references owner (id)")
    with psycopg.connect(dsn, autocommit=True) as other:
        # two sessions that take turns
        while {step(conn)["status"], step(other)["status"]} != {"idle"}:
            pass
    assert rows(conn, ENDED) == [owners, pets, more_owners]
    assert [result(conn, job).counts for job in (owners, pets)] == [(1200, 0, 0, 0)] * 2
