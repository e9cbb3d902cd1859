"""Duplicates and match: what a record means for the target."""

import psycopg
import pytest

from tests.sql.importer import Connection, Verdict, csv_text, load, load_lines, rows, table

PEOPLE = "id integer primary key, email text unique, name text"
STORED = "insert into t values (1, 'a@x', 'Ann'), (2, 'b@x', 'Bo'), (3, null, 'Cy')"


def test_duplicates_name_the_first_good_record(conn: Connection) -> None:
    table(conn, PEOPLE)
    done = load(
        conn,
        "t",
        csv_text(
            ["id", "email", "name"],
            ["x", "a", "bad itself"],
            [1, "a", "first"],
            [2, "a", "same e-mail"],
            [2, "c", "same id as a duplicate"],
            [3, None, "nulls"],
            [4, None, "never match"],
        ),
    )
    assert done.verdicts == [
        Verdict(1, "id", "type"),
        Verdict(3, "email", "duplicate"),
        Verdict(4, "id", "duplicate"),
    ]
    assert done.errors[1]["message"] == "record 2 has the same email"
    assert done.errors[2]["message"] == "record 3 has the same id"


@pytest.mark.parametrize(("keep", "name"), [("first", "1"), ("last", "3")])
def test_duplicates_may_be_dropped(conn: Connection, keep: str, name: str) -> None:
    table(conn, PEOPLE)
    done = load(
        conn,
        "t",
        csv_text(["id", "name"], [1, 1], [1, 2], [1, 3], [2, "x"], ["y", "z"]),
        on_duplicate=keep,
    )
    assert done.verdicts == [Verdict(5, "id", "type")]
    assert done.job["dropped"] == 2
    assert rows(conn, "select name from t order by id") == [name, "x"]


def test_last_does_not_fall_for_a_bad_record(conn: Connection) -> None:
    table(conn, "id integer primary key, n integer")
    done = load(conn, "t", csv_text(["id", "n"], [1, 1], [1, "x"]), on_duplicate="last")
    assert done.verdicts == [Verdict(2, "n", "type")]
    assert rows(conn, "select n from t") == [1]


@pytest.mark.parametrize("keep", ["first", "last"])
def test_a_dropped_record_is_counted_once(conn: Connection, keep: str) -> None:
    table(conn, PEOPLE, STORED)
    done = load(
        conn,
        "t",
        # ids of row 1 with the e-mail of row 2: a conflict, twice, and equal in both keys
        csv_text(["id", "email"], [1, "b@x"], [1, "b@x"], [9, "z"]),
        on_duplicate=keep,
    )
    kept = 1 if keep == "first" else 2
    assert done.verdicts == [Verdict(kept, "email", "conflict")]
    assert (done.job["dropped"], done.job["rejected"], done.job["inserted"]) == (1, 1, 1)


def test_a_record_is_found_by_id_then_by_email(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    done = load(
        conn,
        "t",
        csv_text(
            ["id", "email", "name"],
            [1, "new@x", "by id"],
            [7, "b@x", "by e-mail"],
            [None, "n@x", "no id"],
            [8, "o@x", "new"],
        ),
    )
    assert done.verdicts == [Verdict(3, "id", "required")]
    assert rows(conn, "select * from t order by id") == [
        (1, "new@x", "by id"),
        (2, "b@x", "by e-mail"),
        (3, None, "Cy"),
        (8, "o@x", "new"),
    ]


def test_keys_of_two_rows_are_a_conflict(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    done = load(conn, "t", csv_text(["id", "email"], [1, "b@x"], [2, "b@x"]))
    # record 1 is rejected, so record 2 is alone
    assert done.verdicts == [Verdict(1, "email", "conflict"), Verdict(2, "email", "duplicate")]


def test_two_records_of_one_row_are_a_conflict_of_the_later(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    done = load(conn, "t", csv_text(["id", "email", "name"], [1, "z@x", "A"], [9, "a@x", "B"]))
    assert done.verdicts == [Verdict(2, "id", "conflict")]
    assert rows(conn, "select name from t where id = 1") == ["A"]


def test_match_chooses_the_keys_and_their_order(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    done = load(
        conn, "t", csv_text(["id", "email", "name"], [5, "a@x", "by e-mail"]), match=["email"]
    )
    assert done.counts == (0, 1, 0, 0)
    done = load(conn, "t", csv_text(["id", "email", "name"], [5, "a@x", "x"]), match=["id"])
    assert done.verdicts == [Verdict(1, "email", "unique")]
    done = load(
        conn, "t", csv_text(["id", "email", "name"], [2, "a@x", "e-mail first"]), match="email,id"
    )
    assert done.verdicts == [Verdict(1, "id", "conflict")]


@pytest.mark.parametrize("match", ["name", "nothing", "id+email"])
def test_match_by_what_is_no_key_is_refused(conn: Connection, match: str) -> None:
    table(conn, PEOPLE)
    with pytest.raises(psycopg.Error, match="match names"):
        load(conn, "t", csv_text(["id", "email", "name"], [1, "a", "b"]), match=match)


def test_match_by_a_key_that_the_file_lacks_is_refused(conn: Connection) -> None:
    table(conn, PEOPLE)
    with pytest.raises(psycopg.Error, match="lacks a field"):
        load(conn, "t", csv_text(["id"], [1]), match="email")


def test_values_that_swap_are_a_conflict(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    done = load(conn, "t", csv_text(["id", "email"], [1, "b@x"], [2, "a@x"]))
    assert done.verdicts == [Verdict(1, "email", "conflict"), Verdict(2, "email", "conflict")]


def test_mode_insert_refuses_rows_that_exist(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    done = load(
        conn, "t", csv_text(["id", "email"], [1, "q"], [9, "a@x"], [10, "new"]), mode="insert"
    )
    assert done.verdicts == [Verdict(1, "id", "exists"), Verdict(2, "email", "exists")]
    assert done.counts == (1, 0, 0, 2)


def test_mode_update_refuses_rows_that_are_missing(conn: Connection) -> None:
    table(conn, PEOPLE + ", need text not null", "insert into t values (1, 'a', 'A', 'n')")
    done = load(conn, "t", csv_text(["id", "name"], [1, "B"], [2, "C"], ["x", "D"]), mode="update")
    assert done.verdicts == [Verdict(2, "id", "missing"), Verdict(3, "id", "type")]
    assert done.counts == (0, 1, 0, 2)
    with pytest.raises(psycopg.Error, match="finds nothing"):
        load(conn, "t", csv_text(["name"], ["x"]), mode="update")


def test_unchanged_rows_are_not_written(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    before = rows(conn, "select xmin::text, ctid::text from t order by id")
    data = csv_text(["id", "email", "name"], [1, "a@x", "Ann"], [2, "b@x", "Bo"], [3, None, "Cy"])
    assert load(conn, "t", data).counts == (0, 0, 3, 0)
    assert rows(conn, "select xmin::text, ctid::text from t order by id") == before


def test_unchanged_means_the_same_image(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, n numeric, txt text, doc jsonb, at timestamptz",
        "insert into t values (1, 1.0, 'Ann', '{\"a\": 1, \"b\": 2}', '2024-01-01 12:00+00')",
    )
    assert load(
        conn, "t", csv_text(["id", "doc", "at"], [1, '{"b":2,"a":1}', "2024-01-01 13:00+01"])
    ).counts == (0, 0, 1, 0)
    assert load(conn, "t", csv_text(["id", "n"], [1, "1.00"])).counts == (0, 1, 0, 0)
    assert load(conn, "t", csv_text(["id", "txt"], [1, "ANN"])).counts == (0, 1, 0, 0)
    assert rows(conn, "select n::text, txt from t") == [("1.00", "ANN")]


FILLED = (
    "id integer primary key, a text, b text default 'B', c text not null default 'C',"
    " created timestamptz not null default '2000-01-01', changed timestamptz not null default now()"
)


def test_a_missing_field_takes_the_default_on_insert(conn: Connection) -> None:
    table(conn, FILLED)
    load_lines(
        conn, "t", {"id": 1}, {"id": 2, "a": None, "b": None, "c": None}, {"id": 3, "c": "x"}
    )
    load(conn, "t", csv_text(["id", "b", "c"], [4, None, None], [5, "", ""]))
    assert rows(conn, "select a, b, c from t order by id") == [
        (None, "B", "C"),
        (None, None, "C"),
        (None, "B", "x"),
        (None, None, "C"),
        (None, "", ""),
    ]


def test_a_missing_field_is_left_alone_on_update(conn: Connection) -> None:
    table(
        conn,
        FILLED,
        "insert into t (id, a, b, c) select i, 'a', 'b', 'c' from generate_series(1, 4) i",
    )
    done = load_lines(
        conn, "t", {"id": 1}, {"id": 2, "a": None, "b": None, "c": None}, {"id": 3, "c": "x"}
    )
    assert done.counts == (0, 2, 1, 0)
    load(conn, "t", csv_text(["id", "b", "c"], [4, None, None]))
    assert rows(conn, "select a, b, c from t order by id") == [
        ("a", "b", "c"),
        (None, None, "c"),
        ("a", "b", "x"),
        ("a", None, "c"),
    ]


def test_defaults_of_the_job_fill_new_rows_only(conn: Connection) -> None:
    table(conn, FILLED, "insert into t (id, a, c) values (1, 'old', 'old')")
    load(
        conn,
        "t",
        csv_text(["id", "c"], [1, None], [2, None], [3, "given"]),
        defaults={"a": "job", "c": "jobs", "b": None},
    )
    assert rows(conn, "select a, b, c from t order by id") == [
        ("old", "B", "old"),
        ("job", "B", "jobs"),
        ("job", "B", "given"),
    ]


def test_defaults_must_be_fields_and_values(conn: Connection) -> None:
    table(conn, "id integer primary key, n integer, d date, a text[], j jsonb, z text")
    for defaults, words in [
        ({"nope": 1}, "no field"),
        ({"n": "x"}, "no integer"),
        ({"n": {"a": 1}}, "no integer"),
    ]:
        with pytest.raises(psycopg.Error, match=words):
            load(conn, "t", csv_text(["id"], [1]), defaults=defaults)
    load(
        conn,
        "t",
        csv_text(["id"], [1]),
        defaults={"n": 5, "d": "2024-02-01", "a": ["x"], "j": {"k": 1}, "z": None},
    )
    assert rows(conn, "select n, d::text, a, j, z from t") == [
        (5, "2024-02-01", ["x"], {"k": 1}, None)
    ]


def test_created_and_updated_fields(conn: Connection) -> None:
    table(
        conn,
        FILLED,
        "insert into t values (1, 'a', 'b', 'c', '2001-01-01', '2001-01-01'),"
        " (2, 'a', 'b', 'c', '2001-01-01', '2001-01-01'),"
        " (3, 'a', 'b', 'c', '2001-01-01', '2001-01-01')",
        created_field="created",
        updated_field="changed",
    )
    done = load_lines(
        conn,
        "t",
        {"id": 1, "a": "new", "created": "2022-02-02"},
        {"id": 2, "created": "2022-02-02"},
        {"id": 3, "changed": "2023-03-03"},
        {"id": 4, "created": "2022-02-02", "changed": "2022-02-02"},
    )
    assert done.counts == (1, 2, 1, 0)
    assert rows(
        conn,
        "select extract(year from created)::int, changed > '2025-01-01',"
        " extract(year from changed)::int"
        " from t where id <> 1 order by id",
    ) == [(2001, False, 2001), (2001, False, 2023), (2022, False, 2022)]
    assert rows(conn, "select changed > now() - interval '1 hour', created from t where id = 1")[0][
        0
    ]


def test_a_stamp_that_may_be_null_is_not_given_by_an_empty_cell(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, a text, changed timestamptz default now()",
        "insert into t values (1, 'a', '2001-01-01'), (2, 'a', '2001-01-01')",
        updated_field="changed",
    )
    done = load(
        conn, "t", csv_text(["id", "a", "changed"], [1, "a", None], [2, "b", None], [3, "c", None])
    )
    assert done.counts == (1, 1, 1, 0)
    assert rows(conn, "select changed > '2020-01-01' from t order by id") == [False, True, True]


def test_a_check_is_judged_over_the_row_that_would_result(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, lo integer not null default 5, hi integer, v text,"
        " constraint span check (lo < hi)",
        "insert into t values (1, 1, 10), (2, 1, 10), (3, 1, 10)",
    )
    done = load(conn, "t", csv_text(["id", "hi"], [1, 0], [2, 2], [3, None], [4, 5], [5, 6]))
    assert done.verdicts == [Verdict(1, "hi", "check"), Verdict(4, "hi", "check")]
    assert done.errors[0]["constraint"] == "span"
    done = load_lines(
        conn, "t", {"id": 2, "lo": 2}, {"id": 2, "v": "x"}, {"id": 9, "hi": 1}, on_duplicate="first"
    )
    assert done.verdicts == [Verdict(1, "hi", "check"), Verdict(3, "hi", "check")]


def test_a_late_check_that_raises_finds_its_guilty_record(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, a integer not null default 0, b integer, check (b / a > 0)",
        "insert into t select i, 1, 1 from generate_series(1, 1500) i",
        "update t set b = null, a = 0 where id in (7, 1400)",
    )
    done = load(conn, "t", csv_text(["id", "b"], *([i, 2] for i in range(1, 1501))))
    assert [(v.row, v.code) for v in done.verdicts] == [(7, "check"), (1400, "check")]
    assert done.counts == (0, 1498, 0, 2)


def test_a_default_is_evaluated_once_for_each_new_row(conn: Connection) -> None:
    table(conn, "id uuid primary key default gen_random_uuid(), n serial, v integer check (n > 0)")
    done = load(conn, "t", csv_text(["v"], [1], [2], [3]), results=True)
    assert rows(conn, "select n from t order by n") == [1, 2, 3]
    assert rows(
        conn, "select count(*) from sluice.result r join t on t.id = (r.key ->> 'id')::uuid"
    ) == [3]
    assert done.counts == (3, 0, 0, 0)


def test_results_say_what_became_of_each_good_record(conn: Connection) -> None:
    table(conn, PEOPLE, STORED)
    load(
        conn,
        "t",
        csv_text(["id", "name"], [1, "Ann"], [2, "new"], ["x", "y"], [9, "z"], [9, "twice"]),
        results=True,
    )
    assert rows(conn, "select n, action, key from sluice.result order by n") == [
        (1, "unchanged", {"id": 1}),
        (2, "updated", {"id": 2}),
        (4, "inserted", {"id": 9}),
    ]


def test_a_key_takes_no_part_in_a_record_that_lacks_a_field_of_it(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, name text, region text",
        "create unique index t_name on t (lower(name), coalesce(region, ''))",
        "insert into t values (1, 'a', 'EU'), (2, 'a', null)",
    )
    done = load_lines(conn, "t", {"id": 1, "name": "A"}, {"id": 3, "name": "a", "region": "EU"})
    # both mean row 1
    assert done.verdicts == [Verdict(2, "id", "conflict")]
    assert rows(conn, "select name, region from t where id < 3 order by id") == [
        ("A", "EU"),
        ("a", None),
    ]
