"""The merge: what only the write reveals costs the guilty records alone."""

from typing import Any

import psycopg
import pytest

from tests.sql.importer import (
    Connection,
    Import,
    Verdict,
    begin,
    csv_text,
    load,
    load_lines,
    rows,
    run,
    step,
    table,
)

RAISES = """
create function no_13() returns trigger language plpgsql as $$
begin
    if new.v = 13 then
        raise exception 'thirteen is bad luck' using errcode = 'P0013', column = 'v';
    end if;
    return new;
end
$$;
create trigger no_13 after insert or update on t for each row execute function no_13();
"""


def numbered(count: int, *bad: int) -> str:
    """Records 1 to count with v = 0, and 13 in the bad ones."""
    return csv_text(["id", "v"], *([i, 13 if i in bad else 0] for i in range(1, count + 1)))


def attempt(
    conn: Connection, resource: str, data: str, form: str = "csv", **options: Any
) -> Import:
    """Import what may fail as a whole."""
    return run(conn, begin(conn, resource, data, form, **options))


@pytest.mark.parametrize("count", [3, 900, 3000])
def test_a_raising_trigger_costs_its_record_alone(conn: Connection, count: int) -> None:
    table(conn, "id integer primary key, v integer", RAISES)
    done = load(conn, "t", numbered(count, 2))
    assert done.verdicts == [Verdict(2, "v", "write")]
    assert done.errors[0]["message"] == "thirteen is bad luck"
    assert done.errors[0]["sqlstate"] == "P0013"
    assert done.counts == (count - 1, 0, 0, 1)
    assert rows(conn, "select count(*) from t") == [count - 1]


def test_guilty_updates_are_found_among_inserts(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, v integer",
        "insert into t select i, 1 from generate_series(1, 1000) i",
        RAISES,
    )
    done = load(conn, "t", numbered(2000, 5, 6, 1500, 2000))
    assert [v.row for v in done.verdicts] == [5, 6, 1500, 2000]
    assert done.counts == (998, 998, 0, 4)


def test_every_record_may_be_guilty(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer", RAISES)
    done = load(conn, "t", numbered(600, *range(1, 601)))
    assert done.counts == (0, 0, 0, 600)


def test_an_exclusion_among_new_records_rejects_the_later(conn: Connection) -> None:
    table(conn, "id integer primary key, span int4range, exclude using gist (span with &&)")
    done = load(
        conn, "t", csv_text(["id", "span"], [1, "[1,5)"], [2, "[5,9)"], [3, "[4,6)"], [4, "[9,12)"])
    )
    assert done.verdicts == [Verdict(3, None, "write")]
    assert done.errors[0]["constraint"] == "t_span_excl"
    assert rows(conn, "select id from t order by id") == [1, 2, 4]


def test_a_deferred_constraint_is_judged_in_its_step(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, v integer",
        """create function later() returns trigger language plpgsql as $$
        begin
            if exists (select from t where t.v = 13) then
                raise exception 'thirteen' using errcode = '23000', constraint = 'late';
            end if;
            return null;
        end $$""",
        "create constraint trigger late after insert on t deferrable initially deferred"
        " for each row execute function later()",
    )
    done = load(conn, "t", numbered(50, 7))
    assert done.verdicts == [Verdict(7, None, "write")]
    assert rows(conn, "select count(*) from t") == [49]


def test_a_deferred_reference_is_a_reference(conn: Connection) -> None:
    conn.execute("create table p (id integer primary key); insert into p values (1)")
    table(conn, "id integer primary key, p integer references p deferrable initially deferred")
    done = load(conn, "t", csv_text(["id", "p"], [1, 1], [2, 2]))
    assert done.verdicts == [Verdict(2, "p", "reference")]


def test_a_trigger_that_skips_rows_makes_rejects(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, v integer",
        "create function skip() returns trigger language plpgsql as"
        " $$ begin if new.v = 13 then return null; end if; return new; end $$",
        "create trigger skip before insert on t for each row execute function skip()",
    )
    done = load(conn, "t", numbered(20, 4, 5))
    assert [(v.row, v.code) for v in done.verdicts] == [(4, "write"), (5, "write")]
    assert "kept the row from being written" in done.errors[0]["message"]
    assert done.counts == (18, 0, 0, 2)


def test_a_column_that_an_owner_may_not_write_is_told(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, v integer",
        "create function deny() returns trigger language plpgsql as"
        " $$ begin raise insufficient_privilege using message = 'not yours'; end $$",
        "create trigger deny before update on t for each row execute function deny()",
        "insert into t values (1, 1)",
    )
    done = load(conn, "t", csv_text(["id", "v"], [1, 2], [2, 2]))
    assert done.verdicts == [Verdict(1, None, "write")]
    assert done.errors[0]["sqlstate"] == "42501"


TREE = "id integer primary key, parent integer references t, v integer"


@pytest.mark.parametrize("turned", [False, True])
def test_parents_may_stand_anywhere_in_the_file(conn: Connection, turned: bool) -> None:
    table(conn, TREE, "insert into t values (1, null, 0)")
    records = [[i, i // 2 or None] for i in range(1, 1500)]
    done = load(conn, "t", csv_text(["id", "parent"], *(records[::-1] if turned else records)))
    assert done.counts == (1498, 0, 1, 0)


def test_descendants_of_a_bad_parent_fall_with_it(conn: Connection) -> None:
    table(conn, TREE, "insert into t values (1, null, 0)")
    done = load(
        conn,
        "t",
        csv_text(
            ["id", "parent", "v"],
            [5, 4, 0],
            [4, 3, 0],
            [3, 2, 0],
            [2, 1, "x"],
            [6, 1, 0],
            [7, 99, 0],
            [8, 8, 0],
        ),
    )
    assert done.verdicts == [
        Verdict(1, "parent", "reference"),
        Verdict(2, "parent", "reference"),
        Verdict(3, "parent", "reference"),
        Verdict(4, "v", "type"),
        Verdict(6, "parent", "reference"),
    ]
    assert rows(conn, "select id from t order by id") == [1, 6, 8]


def test_descendants_of_a_parent_that_cannot_be_written_fall_with_it(conn: Connection) -> None:
    table(conn, TREE, RAISES)
    done = load(
        conn,
        "t",
        csv_text(["id", "parent", "v"], [4, 3, 0], [3, 2, 0], [2, 1, 13], [1, None, 0], [5, 1, 0]),
    )
    assert done.verdicts == [
        Verdict(1, "parent", "reference"),
        Verdict(2, "parent", "reference"),
        Verdict(3, "v", "write"),
    ]
    assert rows(conn, "select id from t order by id") == [1, 5]


def test_atomic_writes_all_or_nothing(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer check (v >= 0)", RAISES)
    done = attempt(conn, "t", csv_text(["id", "v"], [1, 1], [2, -1], [3, 3]), atomic=True)
    assert (done.job["state"], done.job["rejected"], done.job["unprocessed"]) == ("failed", 1, 2)
    assert "nothing was written" in done.job["error"]["detail"]
    assert rows(conn, "select * from t") == []
    done = load(conn, "t", csv_text(["id", "v"], [1, 1], [3, 3]), atomic=True)
    assert done.counts == (2, 0, 0, 0)


@pytest.mark.parametrize("dry_run", [None, "false"])
@pytest.mark.parametrize("count", [5, 2000])
def test_atomic_knows_the_guilty_of_the_write(
    conn: Connection, count: int, dry_run: str | None
) -> None:
    table(conn, "id integer primary key, v integer", RAISES)
    options = {"dry_run": dry_run} if dry_run else {}
    done = attempt(conn, "t", numbered(count, 2, 4), atomic=True, results=True, **options)
    assert done.job["state"] == "failed"
    assert [v.row for v in done.verdicts] == [2, 4]
    assert done.counts == (0, 0, 0, 2)
    assert rows(conn, "select * from t") == []
    assert rows(conn, "select * from sluice.result") == []


def test_a_dry_run_reports_the_plan_and_writes_nothing(conn: Connection) -> None:
    table(
        conn,
        "id integer generated by default as identity primary key, v integer, w text",
        "insert into t values (1, 1, 'a'), (2, 2, 'b')",
    )
    before = rows(conn, "select xmin::text, ctid::text from t")
    done = load(
        conn,
        "t",
        csv_text(["id", "v"], [1, 1], [2, 20], [9, 9], [None, 5], ["x", 1]),
        dry_run="true",
        results=True,
    )
    assert done.counts == (2, 1, 1, 1)
    assert done.job["sample"] == [
        {"row": 2, "action": "update", "before": {"v": 2}, "after": {"v": 20}}
    ]
    assert rows(conn, "select xmin::text, ctid::text from t") == before
    assert rows(conn, "select is_called from t_id_seq") == [False]
    assert rows(conn, "select * from sluice.result") == []


def test_imports_and_dry_runs_take_turns_in_a_session(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    for turn, dry in enumerate(["false", "true", "write", "false", "true"]):
        done = load(conn, "t", csv_text(["id", "v"], [turn, turn]), dry_run=dry)
        assert (done.job["state"], done.counts) == ("completed", (1, 0, 0, 0)), done.job["error"]
    assert rows(conn, "select id from t order by id") == [0, 3]


def test_a_dry_run_that_writes_knows_the_guilty_and_undoes_the_rest(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer", RAISES, "insert into t values (1, 5), (4, 0)")
    done = load(conn, "t", numbered(1500, 3, 700), dry_run="write")
    assert [v.row for v in done.verdicts] == [3, 700]
    assert done.counts == (1496, 1, 1, 2)
    assert done.job["sample"] == [
        {"row": 1, "action": "update", "before": {"v": 5}, "after": {"v": 0}}
    ]
    assert rows(conn, "select * from t order by id") == [(1, 5), (4, 0)]


def test_max_errors_limits_what_is_kept_not_what_is_counted(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer", RAISES)
    done = load(
        conn, "t", csv_text(["id", "v"], *([i, "x"] for i in range(10)), [20, 13]), max_errors=3
    )
    assert done.job["rejected"] == 11
    assert [v.row for v in done.verdicts][:3] == [1, 2, 3]


def test_max_error_ratio_fails_before_anything_is_written(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    data = csv_text(["id", "v"], [1, 1], [2, 2], [3, "x"], [4, "y"])
    done = attempt(conn, "t", data, max_error_ratio=0.4)
    assert (done.job["state"], done.job["rejected"], done.job["unprocessed"]) == ("failed", 2, 2)
    assert len(done.errors) == 2
    assert rows(conn, "select * from t") == []
    assert load(conn, "t", data, max_error_ratio=0.5).counts == (2, 0, 0, 2)


def test_an_empty_file_is_clean(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    done = load(conn, "t", csv_text(["id", "v"]), max_error_ratio=0)
    assert (done.job["outcome"], done.counts) == ("clean", (0, 0, 0, 0))


def test_tables_of_a_job_are_gone_when_it_ends(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    load(conn, "t", csv_text(["id", "v"], [1, 1]))
    left = "select relname from pg_class where relnamespace = 'sluice_stage'::regnamespace"
    assert rows(conn, left) == []


def steps_until(conn: Connection, job_id: str, kind: str) -> None:
    """Accept a begun job and take its steps until one of this kind was done."""
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    done = None
    while done != kind:
        done = step(conn, job_id)["kind"]


def overtaken(conn: Connection, **options: Any) -> Import:
    """An import of which another writer changes, deletes and makes rows between match and merge."""
    table(
        conn,
        "id serial primary key, email text unique, v integer",
        "insert into t (email, v) values ('a', 1), ('b', 1), ('c', 1)",
    )
    data = csv_text(
        ["email", "v"], ["a", 2], ["b", 2], ["c", 2], *([f"n{i}", 0] for i in range(1200))
    )
    job_id = begin(conn, "t", data, "csv", **options)
    steps_until(conn, job_id, "merge")
    conn.execute("update t set email = 'gone' where id = 1")
    conn.execute("delete from t where id = 2")
    conn.execute("insert into t (email, v) values ('n7', 0), ('n8', 5)")
    return run(conn, job_id)


def test_records_that_another_writer_overtook_are_matched_anew(conn: Connection) -> None:
    done = overtaken(conn)
    assert done.verdicts == []
    assert done.counts == (1200, 2, 1, 0), "a, b are new, c and n8 changed, n7 is as it should be"
    assert rows(conn, "select email, v from t where v <> 0 order by id") == [
        ("gone", 1), ("c", 2), ("a", 2), ("b", 2),
    ]  # fmt: skip
    assert rows(conn, "select v from t where email in ('n7', 'n8')") == [0, 0]


def test_a_mode_holds_for_what_another_writer_did(conn: Connection) -> None:
    done = overtaken(conn, mode="insert")
    assert [(v.row, v.code) for v in done.verdicts] == [(n, "exists") for n in (1, 2, 3, 11, 12)]
    assert done.counts == (1198, 0, 0, 5)


def test_an_update_finds_that_its_rows_are_gone(conn: Connection) -> None:
    done = overtaken(conn, mode="update")
    assert [(v.row, v.code) for v in done.verdicts[:2]] == [(1, "missing"), (2, "missing")]
    assert done.counts == (0, 1, 0, 1202)


def test_what_was_rejected_stays_so_when_its_range_is_matched_anew(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer", "insert into t values (50, 0)")
    job_id = begin(conn, "t", numbered(1500), "csv", mode="insert")
    steps_until(conn, job_id, "merge")
    conn.execute("delete from t where id = 50; insert into t values (77, 1)")
    done = run(conn, job_id)
    assert [(v.row, v.code) for v in done.verdicts] == [(50, "exists"), (77, "exists")]
    assert done.counts == (1498, 0, 0, 2)
    assert rows(conn, "select count(*) from t where id = 50") == [0]


def test_what_is_matched_once_only_is_not_overwritten(conn: Connection) -> None:
    """With results=true the outcome of each record was kept as the match had it."""
    done = overtaken(conn, results=True)
    assert [(v.row, v.code) for v in done.verdicts] == [
        (1, "write"), (2, "write"), (11, "write"), (12, "write"),
    ]  # fmt: skip
    assert "another writer" in done.errors[0]["message"]
    assert done.errors[2]["constraint"] == "t_email_key"
    assert rows(conn, "select v from t where id in (1, 3) order by id") == [1, 2]


def test_a_table_altered_before_the_run_is_read_afresh(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    job_id = begin(conn, "t", csv_text(["id", "v"], [1, 1], [2, -2]), "csv")
    conn.execute("alter table t add constraint positive check (v > 0)")
    assert run(conn, job_id).verdicts == [Verdict(2, "v", "check")]


def test_a_column_dropped_before_the_run_fails_the_job_by_name(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    job_id = begin(conn, "t", csv_text(["id", "v"], [1, 1]), "csv")
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    conn.execute("alter table t drop v")
    done = run(conn, job_id)
    assert (done.job["state"], done.job["unprocessed"]) == ("failed", 1)
    assert "'v'" in done.job["error"]["detail"]


def test_a_table_dropped_before_the_run_fails_the_job(conn: Connection) -> None:
    table(conn, "id integer primary key, v integer")
    job_id = begin(conn, "t", csv_text(["id", "v"], [1, 1]), "csv")
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    conn.execute("drop table t")
    assert run(conn, job_id).job["state"] == "failed"


def test_dropped_columns_leave_no_hole(conn: Connection) -> None:
    table(
        conn,
        "gone integer, id integer primary key, away text, v integer check (v > 0)",
        "alter table t drop gone, drop away",
    )
    assert load_lines(conn, "t", {"id": 1, "v": 1}, {"id": 2, "v": 0}).counts == (1, 0, 0, 1)


def test_a_lock_on_the_target_makes_the_step_wait_and_try_again(conn: Connection, dsn: str) -> None:
    table(conn, "id integer primary key, v integer", "insert into t values (1, 1)")
    job_id = begin(conn, "t", csv_text(["id", "v"], [1, 2]), "csv")
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    with psycopg.connect(dsn) as other:
        other.execute("select from t where id = 1 for update")
        assert "another session holds a table or row" in step(conn, job_id)["error"]
        assert step(conn, job_id)["status"] in ("wait", "done")
        told = job_metrics(conn, job_id)["last_error"]
        assert told.startswith("another session holds a table or row")
    assert run(conn, job_id).counts == (0, 1, 0, 0)
    assert "last_error" not in job_metrics(conn, job_id)


def job_metrics(conn: Connection, job_id: str) -> dict[str, Any]:
    row = conn.execute("select sluice.job_json(%s) -> 'metrics'", [job_id]).fetchone()
    assert row
    return dict(row[0])
