"""A crash of Postgres empties the unlogged plan between two steps: nothing is lost or doubled."""

from typing import Any

import pytest

from tests.sql.importer import (
    Connection,
    Import,
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

COUNT = 120_000


def crash(conn: Connection) -> None:
    """Do what the restart after a crash does to unlogged tables."""
    for name in rows(
        conn,
        "select oid::regclass::text from pg_class"
        " where relnamespace = 'sluice_stage'::regnamespace and relpersistence = 'u'"
        " and relkind = 'r'",
    ):
        conn.execute(f"truncate {name}")
    conn.execute("truncate sluice.ahead")


def run_with_crash(
    conn: Connection, resource: str, data: str, form: str, after: int, **options: Any
) -> Import:
    """Run an import, with a crash after so many steps."""
    job_id = begin(conn, resource, data, form, **options)
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    for _ in range(after):
        step(conn, job_id)
    crash(conn)
    done = result(conn, job_id)
    return done if done.job["state"] == "completed" else run(conn, job_id)


def comparable(done: Import) -> dict[str, Any]:
    """What must not depend on a crash."""
    names = (
        "state",
        "outcome",
        "inserted",
        "updated",
        "unchanged",
        "rejected",
        "dropped",
        "metrics",
    )
    return {**{n: done.job[n] for n in names}, "errors": done.errors}


SMALL = csv_text(
    ["id", "v"],
    *([i, "x" if i % 100 == 0 else 13 if i == 777 else i % 50] for i in range(1, 1601)),
    [5, 5],
)


@pytest.mark.parametrize("after", range(1, 9))
@pytest.mark.parametrize("mode", ["upsert", "insert"])
def test_a_crash_after_any_step_changes_nothing(conn: Connection, after: int, mode: str) -> None:
    for name in ("t", "u"):
        table(
            conn,
            "id integer primary key, v integer check (v <> 49)",
            f"insert into {name} values (1, 1), (2, 1), (20, 20)",
            f"create function {name}_bad() returns trigger language plpgsql as"
            " $$ begin if new.v = 13 then raise exception 'bad'; end if; return new; end $$",
            f"create trigger bad after insert on {name} for each row execute function {name}_bad()",
            name=name,
        )
    expected = comparable(load(conn, "u", SMALL, mode=mode, results=True))
    done = run_with_crash(conn, "t", SMALL, "csv", after, mode=mode, results=True)
    replaced = [
        {**e, "constraint": (e["constraint"] or "").replace("t_", "u_") or None}
        for e in done.errors
    ]
    assert {**comparable(done), "errors": replaced} == expected
    assert rows(conn, "select * from t except select * from u") == []
    assert rows(conn, "select count(*) from t") == rows(conn, "select count(*) from u")
    assert (
        rows(
            conn,
            "select count(*) from sluice.result group by job_id, (select count(*) from sluice.job)",
        )
        == [expected["inserted"] + expected["updated"] + expected["unchanged"]] * 2
    )


@pytest.mark.parametrize("after", [4, 5, 6, 7])
def test_what_was_merged_before_a_crash_is_not_merged_again(conn: Connection, after: int) -> None:
    """Records without a key of their own cannot be found again."""
    table(conn, "id bigint generated always as identity primary key, v integer")
    data = csv_text(["v"], *([i if i % 1000 else "x"] for i in range(COUNT)))
    done = run_with_crash(conn, "t", data, "csv", after)
    assert done.counts == (COUNT - COUNT // 1000, 0, 0, COUNT // 1000)
    assert rows(conn, "select count(*), count(distinct v) from t") == [
        (COUNT - COUNT // 1000, COUNT - COUNT // 1000)
    ]
    assert result(conn, done.job["job_id"]).job["unprocessed"] == 0


def test_lists_survive_a_crash(conn: Connection) -> None:
    records = [
        {
            "email": f"u{i}@example.com",
            "name": "n",
            "role": "reader",
            "addresses": [{"street": "s", "city": "c"}] * (i % 3),
        }
        for i in range(1500)
    ]
    for after in range(1, 6):
        conn.execute("delete from app.users")
        done = run_with_crash(conn, "users", lines(*records), "ndjson", after)
        assert done.counts == (1500, 0, 0, 0), after
        assert rows(conn, "select count(*) from app.addresses") == [1500]
        assert done.job["metrics"]["children"]["addresses"]["insert"] == 1500


def test_an_atomic_job_survives_a_crash(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    data = csv_text(["id", "v"], *([i, 0] for i in range(1500)))
    for after in range(1, 6):
        conn.execute("truncate t")
        done = run_with_crash(conn, "t", data, "csv", after, atomic=True)
        assert done.counts == (1500, 0, 0, 0), after
