"""One import has many paths through Postgres: all of them give what the plainest one gives."""

import random
from typing import Any

import pytest
from psycopg.types.json import Jsonb

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


KEYS_OF_MANY_KINDS = (
    "create type public.size as enum ('s', 'm', 'l')",
    "alter table public.t add unique (a, b)",
    "alter table public.t add unique nulls not distinct (b, n)",
    "create unique index on public.t (lower(b)) where a > 1",
    "create unique index on public.t (n, s)",
    "create unique index on public.t (padded)",
    "create unique index on public.t (list)",
    "create unique index on public.t (span, a)",
    'create unique index on public.t (b collate "C" text_pattern_ops, d)',
)


@pytest.mark.parametrize("mode", ["reject", "first", "last"])
def test_duplicates_of_a_large_file_are_those_that_a_comparison_of_all_keys_finds(
    conn: Connection, mode: str
) -> None:
    rnd = random.Random(mode)  # the same records each time
    conn.execute(KEYS_OF_MANY_KINDS[0])
    table(
        conn,
        "a integer, b text, n numeric, s public.size, padded character(6), list integer[],"
        " span int4range, d varchar(9)",
        *KEYS_OF_MANY_KINDS[1:],
    )
    made = [
        [
            rnd.randrange(60),
            rnd.choice([None, *"xyzXYZ"]),
            rnd.choice(["1", "1.0", "1.00", "2", "-0", "0", None]),
            rnd.choice(["s", "m", "l", "xl"]),
            rnd.choice(["p", "p ", f"p{rnd.randrange(5000)}"]),
            rnd.choice(["{1}", f"{{1,{rnd.randrange(3000)}}}"]),
            rnd.choice(["[1,3)", "[1,2]", f"[1,{rnd.randrange(2, 900)})"]),
            rnd.choice("uvw"),
        ]
        for _ in range(1500)
    ]
    header = ["a", "b", "n", "s", "padded", "list", "span", "d"]
    job = accept(conn, "t", csv_text(header, *made), mode="insert", on_duplicate=mode)
    while step(conn)["kind"] != "match":
        pass
    spec, extra = rows(
        conn, f"select spec, spec ->> 'extra' from sluice.job where job_id = '{job}'"
    )[0]
    assert spec["large"]
    hashed = 0
    for key in spec["keys"]:
        found = []
        for large in (True, False):
            text = conn.execute(
                "select sluice.sql_duplicates(%s, %s)", [Jsonb(spec | {"large": large}), Jsonb(key)]
            ).fetchone()
            assert text
            hashed += "twins" in text[0]
            conn.execute(f"truncate {extra}")
            conn.execute(text[0])
            found.append(rows(conn, f"select _n, _dropped, _error from {extra} order by _n"))
        assert found[0] == found[1]
        assert found[0], f"the file has no duplicates of {key['name']}"
    # arrays and ranges have no hash that takes all that they may hold
    assert hashed == len(spec["keys"]) - 2


@pytest.mark.parametrize("seed", range(3))
def test_a_gap_in_the_numbers_makes_no_difference(conn: Connection, seed: int) -> None:
    """Without one the steps of the merge are cut by arithmetic, with one by a look at the plan."""
    rnd = random.Random(seed)  # the same records for the same seed
    prepared(conn, seed)
    data = csv_text(["id", "code", "v", "note"], *records(rnd, 4000, 0.1))
    conn.execute("set sluice.batch_rows = 500")
    found = []
    for gap in (False, True):
        job = accept(conn, "t", data, "csv")
        if gap:
            stage = "sluice_stage.s_" + job.replace("-", "")
            conn.execute("select nextval(pg_get_serial_sequence(%s, '_n'))", [stage])
        while step(conn, job)["kind"] != "merge":
            pass
        assert rows(conn, f"select sluice.is_implied(spec) from sluice.job where job_id = '{job}'")[
            0
        ]
        found.append(
            rows(
                conn,
                "select rows, inserted, updated from sluice.step"
                f" where job_id = '{job}' and kind = 'merge' order by lo",
            )
        )
        conn.execute("select sluice.cancel_job(%s)", [job])
    assert found[0] == found[1]
    assert len(found[0]) > 5
    assert sum(updated for *_, updated in found[0]) > 100
