"""One import has many paths through Postgres: all of them give what the plainest one gives."""

import random
from typing import Any

import pytest

from tests.sql.at_work import Worker, accept
from tests.sql.importer import Connection, csv_text, lines, result, rows, run, step, table

COLUMNS = (
    "id integer primary key, code text unique, v integer check (v >= 0), note text default 'new'"
)
# every plan that can be parallel is, though the tables are small
EAGER = ("min_parallel_table_scan_size = 0", "parallel_setup_cost = 0", "sluice.batch_rows = 200")


def records(rnd: random.Random, count: int, known: float) -> list[list[Any]]:
    """Records of which some are wrong, some come twice, and a part (`known`) is in the table."""
    made: list[list[Any]] = []
    for n in range(count):
        key = rnd.randrange(3000) if rnd.random() < known else 10_000 + n
        code = f"c{key}" if rnd.random() < 0.97 else f"c{rnd.randrange(13_000)}"
        value = rnd.choice(["x", -1, None]) if rnd.random() < 0.02 else rnd.randrange(3)
        made.append([key, code, value, rnd.choice(["a", "b", None])])
        if rnd.random() < 0.03:
            made.append(list(rnd.choice(made)))
    return made


def prepared(conn: Connection, seed: int) -> None:
    """A table with 3,000 rows, the same ones for the same seed."""
    rnd = random.Random(seed)  # the same rows for the same seed
    table(conn, COLUMNS)
    with conn.cursor() as cursor, cursor.copy("copy public.t from stdin") as copy:
        for key in range(3000):
            copy.write_row((key, f"c{key}", rnd.randrange(3), rnd.choice(["a", "b"])))


def outcome(conn: Connection, job: str) -> tuple[Any, ...]:
    """All that an import leaves: counts, errors, the table."""
    done = result(conn, job)
    assert done.job["state"] == "completed", done.job["error"]
    names = ("inserted", "updated", "unchanged", "rejected", "dropped", "unprocessed", "outcome")
    return (
        {name: done.job[name] for name in names},
        done.errors,
        rows(conn, "select * from public.t order by id"),
    )


def plainly(conn: Connection, data: str, form: str, **options: Any) -> tuple[Any, ...]:
    """One session, no parallel plan, every record noted in the work table."""
    conn.execute("set max_parallel_workers_per_gather = 0")
    job = accept(conn, "t", data, form, results=True, **options)
    conn.execute("update sluice.job set sessions = 1 where job_id = %s", [job])
    run(conn, job)
    conn.execute("reset max_parallel_workers_per_gather")
    return outcome(conn, job)


def by_four(conn: Connection, dsn: str, data: str, form: str, **options: Any) -> tuple[Any, ...]:
    """Four sessions, parallel plans, small steps; most records without a word in the work table."""
    for setting in EAGER:
        conn.execute(f"alter database {conn.info.dbname} set {setting}")
    job = accept(conn, "t", data, form, **options)
    workers = [Worker(dsn) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert not any(worker.is_alive() or worker.failures for worker in workers)
    return outcome(conn, job)


@pytest.mark.parametrize(
    ("known", "form", "options"),
    [
        (0.0, "csv", {}),
        (0.1, "csv", {"on_duplicate": "first"}),
        (0.9, "csv", {"on_duplicate": "last"}),
        (0.5, "ndjson", {}),
        (0.3, "csv", {"mode": "insert"}),
        (0.8, "ndjson", {"mode": "update"}),
        (0.2, "csv", {"match": ["code"]}),
    ],
)
def test_four_sessions_and_parallel_plans_do_what_one_plain_session_does(
    conn: Connection, dsn: str, known: float, form: str, options: dict[str, Any]
) -> None:
    rnd = random.Random(f"{known} {form} {options}")  # the same records each time
    header = ["id", "code", "v", "note"]
    made = records(rnd, 2500, known)
    data = (
        csv_text(header, *made)
        if form == "csv"
        else lines(*(dict(zip(header, r, strict=True)) for r in made))
    )
    prepared(conn, 1)
    expected = plainly(conn, data, form, **options)
    assert expected[0]["rejected"] + expected[0]["dropped"] > 0
    conn.execute("drop table public.t cascade")
    conn.execute("select sluice.unregister('t')")
    prepared(conn, 1)
    assert by_four(conn, dsn, data, form, **options) == expected


def test_new_records_need_no_row_in_the_work_table(conn: Connection) -> None:
    prepared(conn, 1)
    made = [[10_000 + n, f"n{n}", 1, "a"] for n in range(2000)]
    made += [[1, "c1", 2, "changed"], [10_000, "again", 1, "a"]]
    job = accept(conn, "t", csv_text(["id", "code", "v", "note"], *made))
    seen = 0
    while (reply := step(conn))["status"] == "done":
        if reply["kind"] == "match" and reply["rows"]:
            seen = rows(conn, f"select count(*) from sluice_stage.w_{job.replace('-', '')}")[0]
    assert seen == 1
    assert result(conn, job).counts == (2000, 1, 0, 1)
