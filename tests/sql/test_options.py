"""Options and header names: how a file may be written, and what is refused."""

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
    result,
    rows,
    table,
)

TYPES = (
    "id integer primary key, author_id integer, num numeric, f8 double precision, day date,"
    " at timestamptz, txt text, tags text[]"
)


@pytest.mark.parametrize(
    "name",
    [
        "author_id",
        "Author_ID",
        "AUTHOR ID",
        "authorId",
        "AuthorID",
        " author id ",
        "author-id",
        "author.id",
        "writer",
        "Writer",
    ],
)
def test_a_name_finds_its_field(conn: Connection, name: str) -> None:
    table(conn, TYPES, aliases={"writer": "author_id"})
    load(conn, "t", csv_text(["id", name], [1, 7]))
    load_lines(conn, "t", {"id": 2, name: 7})
    assert rows(conn, "select author_id from t") == [7, 7]


def test_an_unknown_name_is_refused_with_the_nearest(conn: Connection) -> None:
    table(conn, TYPES)
    with pytest.raises(psycopg.Error, match="'autor_id'") as caught:
        load(conn, "t", csv_text(["id", "autor_id"], [1, 7]))
    assert caught.value.diag.message_hint.startswith("did you mean author_id?")
    done = load_lines(conn, "t", {"id": 1, "autor_id": 7})
    assert done.verdicts == [Verdict(1, "autor_id", "unknown_field")]


def test_unknown_names_may_be_ignored(conn: Connection) -> None:
    table(conn, TYPES)
    done = load(conn, "t", csv_text(["id", "x", "y"], [1, 7, 8]), unknown_fields="ignore")
    assert done.job["ignored_fields"] == ["x", "y"]
    done = load_lines(conn, "t", {"id": 2, "x": 1}, {"id": 3, "z": {}}, unknown_fields="ignore")
    assert done.job["ignored_fields"] == ["x", "z"]


@pytest.mark.parametrize(
    "header", [["id", "txt", "TXT"], ["id", "author_id", "authorId"], ["id", "id"]]
)
def test_two_names_of_one_field_are_refused(conn: Connection, header: list[str]) -> None:
    table(conn, TYPES)
    with pytest.raises(psycopg.Error, match=r"the same field|twice"):
        load(conn, "t", csv_text(header, [1, 2, 3][: len(header)]))


def test_a_name_is_known_however_its_words_are_parted(conn: Connection) -> None:
    table(conn, "id integer primary key, email text, zip_code text, a_b text, ab text")
    load(
        conn,
        "t",
        csv_text(["ID", "E-Mail", "ZIPCODE", "A-B", "AB"], [1, "m", "z", "parted", "one"]),
    )
    assert rows(conn, "select email, zip_code, a_b, ab from t") == [("m", "z", "parted", "one")]
    with pytest.raises(psycopg.Error, match="'A-b-' that t does not have"):
        load(conn, "t", csv_text(["id", "A-b-"], [2, "either"]))


def test_an_exact_key_wins_over_a_folded_one(conn: Connection) -> None:
    table(conn, TYPES)
    load_lines(
        conn, "t", {"id": 1, "TXT": "folded", "txt": "exact"}, {"txt": "exact", "Txt": "f", "id": 2}
    )
    assert rows(conn, "select txt from t") == ["exact", "exact"]


def test_mapping_renames_fields(conn: Connection) -> None:
    table(conn, TYPES)
    mapping = {"Nr.": "id", "txt": None, "Text 2": "txt"}
    load(conn, "t", csv_text(["Nr.", "txt", "Text 2"], [1, "a", "b"]), mapping=mapping)
    load_lines(conn, "t", {"Nr.": 2, "txt": "a", "Text 2": "b"}, mapping=mapping)
    assert rows(conn, "select id, txt from t order by id") == [(1, "b"), (2, "b")]


def test_mapping_may_swap_fields(conn: Connection) -> None:
    table(conn, "id integer primary key, a text, b text")
    mapping = {"a": "b", "b": "a"}
    load(conn, "t", csv_text(["id", "a", "b"], [1, "x", "y"]), mapping=mapping)
    assert load_lines(conn, "t", {"id": 2, "a": "x", "b": "y"}, mapping=mapping).verdicts == []
    assert rows(conn, "select a, b from t") == [("y", "x"), ("y", "x")]


def test_mapping_to_no_field_is_refused(conn: Connection) -> None:
    table(conn, TYPES)
    with pytest.raises(psycopg.Error, match="no field of t"):
        load(conn, "t", csv_text(["id"], [1]), mapping={"id": "nope"})


def test_what_rejects_add_is_not_read_again(conn: Connection) -> None:
    table(conn, TYPES)
    load(conn, "t", csv_text(["id", "_row", "_errors"], [1, 5, "[]"]))
    assert load_lines(conn, "t", {"id": 2, "_row": 1, "_errors": []}).verdicts == []
    done = load_lines(conn, "t", {"_raw": "{", "_row": 1})
    assert [v.code for v in done.verdicts] == ["malformed"]
    done = load(conn, "t", csv_text(["id", "_raw"], [3, None], [None, 'a,"b']))
    assert [(v.row, v.code) for v in done.verdicts] == [(2, "malformed")]


def test_trim(conn: Connection) -> None:
    table(conn, TYPES)
    load(
        conn,
        "t",
        csv_text(["id", "txt", "num"], [" 1 ", "  a b\t", "\u00a01.5 "], [2, "   ", None]),
        trim=True,
    )
    assert rows(conn, "select txt, num::text from t order by id") == [("a b", "1.5"), (None, None)]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1,5", "1.5"),
        ("1.234,5", "1234.5"),
        ("1.234.567", "1234567"),
        ("-1 234,50", "-1234.50"),
        ("1'234,5", "1234.5"),
        ("7", "7"),
        (",5", "0.5"),
        ("1.2,3", None),
        ("1.5", None),
        ("1,2,3", None),
    ],
)
def test_a_decimal_comma(conn: Connection, cell: str, value: str | None) -> None:
    table(conn, TYPES)
    done = load(conn, "t", csv_text(["id", "num", "f8", "txt"], [1, cell, cell, cell]), decimal=",")
    if value is None:
        assert done.verdicts == [Verdict(1, "num", "type"), Verdict(1, "f8", "type")]
    else:
        assert rows(conn, "select num::text, f8::text, txt from t") == [
            (value, str(float(value)).removesuffix(".0"), cell)
        ]


def run_as(conn: Connection, settings: str, data: str, **options: Any) -> Import:
    """Run an import of t in a session with settings of its own."""
    job_id = begin(conn, "t", data, "csv", **options)
    conn.execute(settings)
    conn.execute("call sluice.import_run(%s)", [job_id])
    conn.execute("reset all")
    return result(conn, job_id)


@pytest.mark.parametrize(
    ("order", "cell", "value"),
    [
        ("dmy", "03.02.2024", "2024-02-03"),
        ("dmy", "03/02/2024", "2024-02-03"),
        ("mdy", "03/02/2024", "2024-03-02"),
        ("dmy", "2024-02-03", "2024-02-03"),
        ("ymd", "2024/02/03", "2024-02-03"),
        (None, "2024-02-03", "2024-02-03"),
        ("mdy", "13/02/2024", None),
        (None, "03/02/2024", None),
    ],
)
def test_date_order(conn: Connection, order: str | None, cell: str, value: str | None) -> None:
    table(conn, TYPES)
    options = {"date_order": order} if order else {}
    data = csv_text(["id", "day", "at"], [1, cell, f"{cell} 12:00+00"])
    done = run_as(conn, "set datestyle = 'SQL, DMY'", data, **options)
    if value is None:
        assert done.verdicts == [Verdict(1, "day", "type"), Verdict(1, "at", "type")]
    else:
        found = (
            "select to_char(day, 'YYYY-MM-DD'), to_char(at at time zone 'UTC', 'YYYY-MM-DD') from t"
        )
        assert rows(conn, found) == [(value, value)]


def test_the_session_does_not_decide_how_texts_are_read(conn: Connection) -> None:
    table(conn, TYPES)
    run_as(
        conn,
        "set timezone = 'Asia/Tokyo'; set datestyle = 'German'; set intervalstyle = 'iso_8601'",
        csv_text(["id", "at"], [1, "2024-01-01 12:00"]),
        defaults={"day": "2024-02-03"},
    )
    assert rows(conn, "select extract(epoch from at)::int from t") == [1704110400]
    assert rows(conn, "select to_char(day, 'YYYY-MM-DD') from t") == ["2024-02-03"]


@pytest.mark.parametrize("marker", ["$1", "%s", "%I", "a'b", "\\N", "-", "'; drop table t; --"])
def test_null_markers_stay_texts(conn: Connection, marker: str) -> None:
    table(conn, TYPES)
    load(conn, "t", f'id,txt\n1,{marker}\n2,"{marker}"\n', null=marker)
    assert rows(conn, "select txt from t order by id") == [None, marker]


def test_the_null_marker(conn: Connection) -> None:
    table(conn, TYPES)
    done = load(conn, "t", 'id,txt,num\n1,NA,NA\n2,"NA",5\n3,,NA\n', null="NA")
    assert done.verdicts == []
    assert rows(conn, "select txt from t order by id") == [None, "NA", ""]


@pytest.mark.parametrize("given", [";", "|", "\t", "tab", "semicolon"])
def test_delimiters(conn: Connection, given: str) -> None:
    table(conn, TYPES)
    sign = {"tab": "\t", "semicolon": ";"}.get(given, given)
    job = begin(
        conn, "t", csv_text(["id", "txt"], [1, f"a{sign}b,"], delimiter=sign), "csv", delimiter=sign
    )
    conn.execute("call sluice.import_run(%s)", [job])
    assert rows(conn, "select txt from t") == [f"a{sign}b,"]
    canonical = conn.execute("select sluice.check_option('delimiter', to_jsonb(%s::text))", [given])
    assert canonical.fetchone() == (sign,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "merge"}, "mode"),
        ({"mode": None}, "mode"),
        ({"mode": ["upsert"]}, "mode"),
        ({"atomic": "perhaps"}, "atomic"),
        ({"max_errors": -1}, "max_errors"),
        ({"max_errors": "many"}, "max_errors"),
        ({"max_error_ratio": 2}, "max_error_ratio"),
        ({"max_error_ratio": "-0.5"}, "max_error_ratio"),
        ({"mapping": "x"}, "mapping"),
        ({"defaults": [1]}, "defaults"),
        ({"match": {}}, "match"),
        ({"match": 5}, "match"),
        ({"delimiter": "ab"}, "delimiter"),
        ({"null": 'a"b'}, "null"),
        ({"null": "a,b"}, "null"),
        ({"null": "a;b", "delimiter": ";"}, "null"),
        ({"date_order": "ydm"}, "date_order"),
        ({"decimal": ";"}, "decimal"),
        ({"dry_run": "maybe"}, "dry_run"),
        ({"parent": "x"}, "parent"),
        ({"moed": "upsert"}, "did you mean mode"),
    ],
)
def test_bad_options_are_refused_by_name(
    conn: Connection, options: dict[str, Any], words: str
) -> None:
    table(conn, TYPES)
    with pytest.raises(psycopg.Error) as caught:
        begin(conn, "t", csv_text(["id"], [1]), "csv", **options)
    assert caught.value.sqlstate == "IO400"
    assert words in f"{caught.value.diag.message_primary} {caught.value.diag.message_hint}"


@pytest.mark.parametrize(
    "header",
    [
        [],
        [""],
        ["id", " "],
        ["a" * 70, "a" * 69],
        ["ctid", "id"],
        ["id", "_n"],
        ["id", "_line_no"],
        ["id", "xmin"],
    ],
)
def test_odd_headers_from_psql_are_told_plainly(conn: Connection, header: list[str]) -> None:
    table(conn, TYPES)
    with pytest.raises(psycopg.Error) as caught:
        conn.execute(
            "select sluice.import_begin('t', 'csv', %s, '{\"unknown_fields\": \"ignore\"}')",
            [header],
        )
    assert caught.value.sqlstate == "IO400"


EVIL = [
    "'; drop table t; --",
    '"; drop table t; --',
    "$1",
    "%s",
    "%I",
    "\\",
    "a'b",
    'a"b',
    "{}",
    "é漢🙂",
    "*/ drop table t; /*",
    "select",
    "a\nb",
    "\x01",
    "x" * 60,
]


@pytest.mark.parametrize("evil", EVIL)
def test_texts_of_a_stranger_stay_texts(conn: Connection, evil: str) -> None:
    table(conn, TYPES)
    data = csv_text(["id", "txt", evil], [1, evil, evil])
    done = load(
        conn,
        "t",
        data,
        unknown_fields="ignore",
    )
    assert done.job["ignored_fields"] == [evil]
    load(
        conn,
        "t",
        csv_text(["id", evil], [2, "v"]),
        mapping={evil: "txt"},
        defaults={"tags": [evil], "author_id": 5},
    )
    load_lines(
        conn,
        "t",
        {"id": 3, evil: "v", "tags": [evil]},
        mapping={evil: "txt"},
        defaults={"txt": evil},
    )
    load_lines(conn, "t", {"id": 4}, defaults={"txt": evil})
    done = load_lines(conn, "t", {"id": "x", evil: evil})
    assert {v.field for v in done.verdicts} == {"id", evil}
    assert rows(conn, "select txt, tags from t where id > 1 order by id") == [
        ("v", [evil]),
        ("v", [evil]),
        (evil, None),
    ]
    for options in [
        {"match": [evil]},
        {"mapping": {"id": evil}},
        {"defaults": {evil: 1}},
        {"defaults": {"id": evil}},
        {evil: 1},
    ]:
        with pytest.raises(psycopg.Error) as caught:
            load(conn, "t", csv_text(["id"], [1]), **options)
        assert caught.value.sqlstate == "IO400"
    for resource, form in [(evil, "csv"), ("t", evil)]:
        with pytest.raises(psycopg.Error) as caught:
            begin(conn, resource, csv_text(["id"], [1]), form)
        assert caught.value.sqlstate == "IO400"
