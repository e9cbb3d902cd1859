"""The cast: texts into values, with all the errors of a record at once."""

from typing import Any

import pytest

from tests.sql.importer import Connection, Verdict, csv_text, lines, load, load_lines, rows, table

TYPES = (
    "id integer primary key, n integer not null, f8 double precision, num numeric, b boolean,"
    " day date, at timestamptz, u uuid, tags text[], grid integer[], doc jsonb, docs jsonb[],"
    " raw bytea, span interval, txt text, txt2 varchar(5)"
)


def test_a_record_has_all_its_errors(conn: Connection) -> None:
    table(conn, TYPES)
    done = load(
        conn,
        "t",
        csv_text(
            ["id", "n", "f8", "b", "day", "u", "doc", "txt2"],
            [1, "x", "1e999", "perhaps", "2024-02-30", "nope", "{", "toolong"],
        ),
    )
    fields = ["n", "f8", "b", "day", "u", "doc", "txt2"]
    assert done.verdicts == [Verdict(1, field, "type") for field in fields]
    assert done.errors[0]["value"] == "x"


def test_a_check_is_skipped_when_its_column_has_an_error(conn: Connection) -> None:
    table(
        conn,
        "id integer primary key, n integer not null check (n is not null and n > 0), m integer",
    )
    done = load(conn, "t", csv_text(["id", "n"], [1, "x"], [2, None], [3, 0], [4, 1]))
    assert done.verdicts == [
        Verdict(1, "n", "type"),
        Verdict(2, "n", "required"),
        Verdict(3, "n", "check"),
    ]


def test_a_check_that_is_null_is_kept(conn: Connection) -> None:
    table(conn, "id integer primary key, n integer check (n > 0)")
    assert load(conn, "t", csv_text(["id", "n"], [1, None])).counts == (1, 0, 0, 0)


def test_a_check_that_casts_finds_its_guilty_record(conn: Connection) -> None:
    table(conn, "id integer primary key, code text check (code::integer > 0)")
    records = [[i, i] for i in range(1, 2001)]
    records[6][1] = "x"
    records[1500][1] = "y"
    done = load(conn, "t", csv_text(["id", "code"], *records))
    assert done.verdicts == [Verdict(7, None, "check"), Verdict(1501, None, "check")]
    assert done.errors[0]["sqlstate"] == "22P02"
    assert done.counts == (1998, 0, 0, 2)


def test_a_domain_that_raises_finds_its_guilty_record(conn: Connection) -> None:
    conn.execute("create domain ratio as integer check (100 / value > 0)")
    table(conn, "id integer primary key, r ratio")
    done = load(conn, "t", csv_text(["id", "r"], [1, 5], [2, 0], [3, 7]))
    assert [(v.row, v.code) for v in done.verdicts] == [(2, "check")]
    assert done.counts == (2, 0, 0, 1)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("{a,b}", ["a", "b"]),
        ('["a","b"]', ["a", "b"]),
        (
            '["a,b", null, "", "null", "{", "\\\\", "\\""]',
            ["a,b", None, "", "null", "{", "\\", '"'],
        ),
        ("[]", []),
        ("{}", []),
        (' ["é"]', ["é"]),
    ],
)
def test_an_array_cell_is_json_or_a_literal(conn: Connection, cell: str, value: Any) -> None:
    table(conn, TYPES)
    load(conn, "t", csv_text(["id", "n", "tags"], [1, 1, cell]))
    assert rows(conn, "select tags from t") == [value]


def test_arrays_in_json(conn: Connection) -> None:
    table(conn, TYPES)
    done = load_lines(
        conn,
        "t",
        {
            "id": 1,
            "n": 1,
            "tags": ["a", None, "x,y"],
            "grid": [[1, 2], [3, None]],
            "docs": [{"a": []}, [1]],
        },
        {"id": 2, "n": 1, "tags": "{a,b}"},
        {"id": 3, "n": 1, "tags": {}},
        {"id": 4, "n": 1, "tags": 5},
        {"id": 5, "n": 1, "grid": ["x"]},
        {"id": 6, "n": 1, "grid": [[1], [2, 3]]},
        {"id": 7, "n": 1, "tags": None},
    )
    assert done.verdicts == [
        Verdict(3, "tags", "type"),
        Verdict(4, "tags", "type"),
        Verdict(5, "grid", "type"),
        Verdict(6, "grid", "type"),
    ]
    assert rows(conn, "select tags, grid, docs from t order by id") == [
        (["a", None, "x,y"], [[1, 2], [3, None]], [{"a": []}, [1]]),
        (["a", "b"], None, None),
        (None, None, None),
    ]


def test_json_cells(conn: Connection) -> None:
    table(conn, TYPES)
    done = load(
        conn,
        "t",
        csv_text(
            ["id", "n", "doc"], [1, 1, '{"a": 1.50}'], [2, 1, "null"], [3, 1, None], [4, 1, ""]
        ),
    )
    assert done.verdicts == [Verdict(4, "doc", "type")]
    assert rows(conn, "select doc::text from t order by id") == ['{"a": 1.50}', "null", None]


def test_json_scalars_are_cast_by_their_digits(conn: Connection) -> None:
    table(conn, TYPES)
    digits = "1234567890123456789012345678.901234567890123456789"
    load_lines(
        conn,
        "t",
        f'{{"id": 1, "n": 5, "num": {digits}, "txt": {digits}}}',
        '{"id": 2, "n": "7", "num": 1.00, "txt": true, "b": "yes"}',
        '{"id": 3, "n": 1.0e1, "num": "NaN", "txt": "", "doc": {"deep": 1.10}}',
    )
    assert rows(conn, "select n, num::text, txt from t order by id") == [
        (5, digits, digits),
        (7, "1.00", "true"),
        (10, "NaN", ""),
    ]


def test_an_object_or_a_list_is_no_scalar(conn: Connection) -> None:
    table(conn, TYPES)
    done = load_lines(
        conn,
        "t",
        *(
            {"id": i, "n": 1, name: value}
            for i, (name, value) in enumerate(
                [
                    ("txt", {"a": 1}),
                    ("txt", [1]),
                    ("txt2", []),
                    ("num", {}),
                    ("at", ["x"]),
                    ("b", {}),
                ]
            )
        ),
        {"id": [1], "n": 1},
        {"id": 9, "n": 1, "txt": "{", "txt2": "[x"},
    )
    assert done.verdicts == [
        Verdict(1, "txt", "type"),
        Verdict(2, "txt", "type"),
        Verdict(3, "txt2", "type"),
        Verdict(4, "num", "type"),
        Verdict(5, "at", "type"),
        Verdict(6, "b", "type"),
        Verdict(7, "id", "type"),
    ]
    assert rows(conn, "select txt, txt2 from t") == [("{", "[x")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('{"id": 1, "n": 1, "txt": "\\u0000"}', "malformed"),
        ('{"id": 1, "n": 1, "txt": "\\ud800"}', "malformed"),
        ('{"id": 1, "n": 99999999999}', "type"),
        ('{"id": 1, "n": 1.5}', "type"),
        ('{"id": 1, "n": 1, "f8": 1e999}', "type"),
        ('{"id": 1, "n": 1e200000}', "malformed"),
        ('{"id": 1, "n": NaN}', "malformed"),
        ('{"id": 1, "n": Infinity}', "malformed"),
        ('{"id": 1, "n": 1', "malformed"),
        ('{"id": 1, "n": 1} x', "malformed"),
        ("5", "malformed"),
        ("null", "malformed"),
        ("[1]", "malformed"),
        ('"text"', "malformed"),
        ('{"id": 1, "n": 1, "doc": ' + "[" * 900 + "]" * 900 + "}", None),
        ('{"id": 1, "n": 1, "doc": ' + "[" * 200_000 + "]" * 200_000 + "}", "malformed"),
        ('{"id": 1, "n": 1, "txt": "' + "[" * 200_000 + '"}', None),
        ("[" * 200_000, "malformed"),
    ],
)
def test_odd_json_lines(conn: Connection, line: str, code: str | None) -> None:
    table(conn, TYPES)
    done = load_lines(conn, "t", {"id": 8, "n": 8}, line, {"id": 9, "n": 9})
    assert [(v.row, v.code) for v in done.verdicts] == ([(2, code)] if code else [])
    assert rows(conn, "select count(*) from t") == [3 - bool(code)]
    query = conn.execute("select sluice.rejects_sql(%s)", [done.job["job_id"]]).fetchone()
    assert query
    assert len(rows(conn, query[0])) == bool(code)


@pytest.mark.parametrize("cell", ["[" * 200_000, "{" * 200_000, "[" * 200_000 + "]" * 200_000])
@pytest.mark.parametrize("field", ["doc", "tags", "txt", "grid"])
def test_a_cell_of_brackets_harms_no_other(conn: Connection, cell: str, field: str) -> None:
    table(conn, TYPES)
    done = load(conn, "t", csv_text(["id", "n", field], [1, 1, None], [2, 1, cell], [3, 1, None]))
    assert [v.row for v in done.verdicts] == ([] if field == "txt" else [2])
    assert rows(conn, "select count(*) from t") == [3 if field == "txt" else 2]


def test_the_last_of_duplicate_keys_wins(conn: Connection) -> None:
    table(conn, TYPES)
    load_lines(conn, "t", '{"id": 1, "n": 1, "n": 2}', '{"N": 5, "id": 2, "n": 3}')
    assert rows(conn, "select n from t order by id") == [2, 3]


@pytest.mark.parametrize("record", ["{}", '{"id": null}', '{"n": 1}'])
def test_a_record_without_its_key_is_told_so(conn: Connection, record: str) -> None:
    table(conn, TYPES)
    done = load_lines(conn, "t", record)
    assert ("id", "required") in {(v.field, v.code) for v in done.verdicts}


def test_a_reference_must_exist(conn: Connection) -> None:
    conn.execute(
        "create table p (a integer, b integer, primary key (a, b)); insert into p values (1, 2)"
    )
    table(
        conn,
        "id integer primary key, a integer, b integer, foreign key (a, b) references p",
        "insert into t values (1, 1, 2)",
    )
    done = load(
        conn, "t", csv_text(["id", "a", "b"], [2, 1, 2], [3, 2, 1], [4, 1, None], [1, 9, 9])
    )
    assert done.verdicts == [Verdict(2, "b", "reference"), Verdict(4, "b", "reference")]


def test_null_texts_and_empty_texts_differ(conn: Connection) -> None:
    table(conn, TYPES)
    load(conn, "t", csv_text(["id", "n", "txt"], [1, 1, None], [2, 1, ""], [3, 1, "NULL"]))
    assert rows(conn, "select txt from t order by id") == [None, "", "NULL"]
    done = load(conn, "t", csv_text(["id", "n", "f8"], [4, 1, ""]))
    assert done.verdicts == [Verdict(1, "f8", "type")]


def test_special_values(conn: Connection) -> None:
    table(conn, TYPES)
    load(
        conn,
        "t",
        csv_text(
            ["id", "n", "f8", "num", "at", "day", "span", "raw"],
            [1, 1, "NaN", "NaN", "infinity", "-infinity", "1 mon -1 days", "\\x00ff"],
            [
                2,
                1,
                "-Infinity",
                "Infinity",
                "2024-01-02 03:04:05.678901+02",
                "2024-01-02",
                "P1D",
                "",
            ],
        ),
    )
    assert rows(conn, "select f8::text, num::text, raw from t order by id") == [
        ("NaN", "NaN", b"\x00\xff"),
        ("-Infinity", "Infinity", b""),
    ]
    assert rows(conn, "select (at at time zone 'UTC')::text from t where id = 2") == [
        "2024-01-02 01:04:05.678901"
    ]


def test_lines_of_ndjson_are_numbered_as_records(conn: Connection) -> None:
    table(conn, TYPES)
    done = load(conn, "t", lines({"id": 1, "n": 1}, "{", {"id": 2, "n": "x"}), form="ndjson")
    assert [(e["row"], e["code"]) for e in done.errors] == [(2, "malformed"), (3, "type")]
