"""Rules of imports alone: functions over the row type, bound late."""

import psycopg
import pytest

from tests.sql.importer import (
    Connection,
    Verdict,
    begin,
    csv_text,
    load,
    load_lines,
    rows,
    run,
    table,
)

RULE = (
    "create function cheap_v1(p t) returns boolean language sql immutable"
    " as 'select p.price < 100 or p.vip'"
)
ADD = "select sluice.add_rule('t', 'cheap', 'price', 'public.cheap_v1', 'must be below 100')"
TABLE = "id integer primary key, price numeric, vip boolean not null default false"


def test_a_rule_judges_the_row_that_would_result(conn: Connection) -> None:
    table(conn, TABLE, RULE, "insert into t values (1, 5, true), (2, 5, false)")
    conn.execute(ADD)
    done = load(conn, "t", csv_text(["id", "price"], [1, 500], [2, 500], [3, 500], [4, 50]))
    assert done.verdicts == [Verdict(2, "price", "rule"), Verdict(3, "price", "rule")]
    assert done.errors[0]["constraint"] == "cheap"
    assert done.errors[0]["message"] == "must be below 100"
    assert done.errors[0]["value"] == "500"


def test_a_rule_in_plpgsql_that_raises_costs_its_record(conn: Connection) -> None:
    table(
        conn,
        TABLE,
        "create function odd(p t) returns boolean language plpgsql as"
        " $$ begin if p.price = 13 then raise 'bad luck'; end if; return true; end $$",
    )
    conn.execute("select sluice.add_rule('t', 'odd', null, 'public.odd', 'is odd')")
    done = load(conn, "t", csv_text(["id", "price"], *([i, i] for i in range(1, 100))))
    assert [(v.row, v.code) for v in done.verdicts] == [(13, "check")]
    assert done.errors[0]["message"] == "bad luck"


def test_a_rule_may_be_taken_back(conn: Connection) -> None:
    table(conn, TABLE, RULE)
    conn.execute(ADD)
    conn.execute("select sluice.drop_rule('t', 'cheap')")
    assert load_lines(conn, "t", {"id": 1, "price": 500}).verdicts == []
    with pytest.raises(psycopg.Error, match="no rule"):
        conn.execute("select sluice.drop_rule('t', 'cheap')")


def test_a_rule_never_blocks_the_owner(conn: Connection) -> None:
    table(conn, TABLE, RULE)
    conn.execute(ADD)
    conn.execute("alter table t add more text, alter price type integer")
    assert load_lines(conn, "t", {"id": 1, "price": 500}).verdicts == [Verdict(1, "price", "rule")]


def test_a_broken_rule_is_named_at_begin(conn: Connection, dsn: str) -> None:
    table(conn, TABLE, RULE)
    conn.execute(ADD)
    job_id = begin(conn, "t", csv_text(["id"], [1]), "csv")
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    conn.execute("alter table t rename price to cost")
    # a session of its own: Postgres 18 keeps the plan of a function that it has run
    with psycopg.connect(dsn, autocommit=True) as other:
        with pytest.raises(psycopg.Error, match="rule cheap of t no longer works"):
            begin(other, "t", csv_text(["id"], [1]), "csv")
        job = run(other, job_id).job
    assert job["state"] == "failed"
    assert "rule cheap of t" in job["error"]["detail"]


def test_a_rule_that_is_gone_is_named_at_begin(conn: Connection) -> None:
    table(conn, TABLE, RULE)
    conn.execute(ADD)
    conn.execute("drop function cheap_v1")
    with pytest.raises(psycopg.Error, match="rule cheap of t no longer works"):
        begin(conn, "t", csv_text(["id"], [1]), "csv")


@pytest.mark.parametrize(
    "function", ["public.nothing", "cheap_v1", "pg_catalog.now", "x'; drop table t; --"]
)
def test_a_rule_needs_a_function_over_the_row(conn: Connection, function: str) -> None:
    table(conn, TABLE, RULE)
    with pytest.raises(psycopg.Error, match="there is no function"):
        conn.execute("select sluice.add_rule('t', 'x', null, %s, 'm')", [function])


def test_after_unregister_the_table_can_be_dropped(conn: Connection) -> None:
    table(conn, TABLE, RULE)
    conn.execute(ADD)
    done = load_lines(conn, "t", {"id": 1, "price": 500})
    conn.execute("select sluice.unregister('t')")
    conn.execute("drop table t")
    assert rows(conn, "select count(*) from sluice.rule") == [0]
    errors = conn.execute("select * from sluice.import_errors(%s)", [done.job["job_id"]]).fetchall()
    assert len(errors) == 1


def test_unregister_waits_for_its_jobs(conn: Connection) -> None:
    table(conn, TABLE)
    job_id = begin(conn, "t", csv_text(["id"], [1]), "csv")
    conn.execute("select sluice.accept_copied(%s)", [job_id])
    with pytest.raises(psycopg.Error, match="unfinished"):
        conn.execute("select sluice.unregister('t')")
    run(conn, job_id)
    conn.execute("select sluice.unregister('t')")


def test_the_job_knows_which_rules_judged_it(conn: Connection) -> None:
    table(conn, TABLE, RULE)
    prints = [load_lines(conn, "t", {"id": i}).job["fingerprint"] for i in (1, 2)]
    conn.execute(ADD)
    prints.append(load_lines(conn, "t", {"id": 3}).job["fingerprint"])
    assert prints[0] == prints[1] != prints[2]
