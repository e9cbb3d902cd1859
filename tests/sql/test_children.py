"""Children: lists in the record of their parent, merged by replacing the list."""

import json
from typing import Any

from tests.sql.importer import Connection, Verdict, csv_text, load, load_lines, rows

ANN = "00000000-0000-4000-8000-00000000000a"
BO = "00000000-0000-4000-8000-00000000000b"
A1 = "10000000-0000-4000-8000-000000000001"
A2 = "10000000-0000-4000-8000-000000000002"
STREETS = "select position, street, city from app.addresses order by user_id, position"
STATES = "select id, xmin::text, ctid::text from app.addresses order by id"


def user(key: str, addresses: Any = None, **more: Any) -> dict[str, Any]:
    """A user's record with its list."""
    name = "ann" if key == ANN else "bo"
    record = {"id": key, "email": f"{name}@example.com", "name": name, "role": "reader", **more}
    return record if addresses is None else {**record, "addresses": addresses}


def place(street: str, city: str = "Rome", **more: Any) -> dict[str, Any]:
    """An address."""
    return {"street": street, "city": city, **more}


def test_a_list_comes_with_its_parent(conn: Connection) -> None:
    done = load_lines(conn, "users", user(ANN, [place("a"), place("b")]), user(BO, []))
    assert done.counts == (2, 0, 0, 0)
    assert done.job["metrics"]["children"]["addresses"]["insert"] == 2
    assert rows(conn, STREETS) == [(1, "a", "Rome"), (2, "b", "Rome")]


def test_an_equal_list_writes_nothing(conn: Connection) -> None:
    record = user(ANN, [place("a"), place("a"), place("b", label="home")])
    load_lines(conn, "users", record)
    before = rows(conn, STATES)
    assert load_lines(conn, "users", record).counts == (0, 0, 1, 0)
    assert rows(conn, STATES) == before


def test_only_differences_are_written(conn: Connection) -> None:
    load_lines(conn, "users", user(ANN, [place("a"), place("b"), place("c")]))
    kept = rows(conn, "select xmin::text, ctid::text from app.addresses where street = 'a'")
    parent = rows(conn, "select xmin::text, ctid::text from app.users")
    done = load_lines(conn, "users", user(ANN, [place("a"), place("c"), place("d")]))
    assert done.counts == (0, 1, 0, 0)
    assert done.job["metrics"]["children"]["addresses"] == {"delete": 1, "insert": 1, "update": 1}
    assert rows(conn, STREETS) == [(1, "a", "Rome"), (2, "c", "Rome"), (3, "d", "Rome")]
    assert rows(conn, "select xmin::text, ctid::text from app.addresses where street = 'a'") == kept
    assert rows(conn, "select xmin::text, ctid::text from app.users") == parent


def test_records_without_the_list_leave_it_alone(conn: Connection) -> None:
    load_lines(conn, "users", user(ANN, [place("a")]))
    load_lines(conn, "users", user(ANN, phone="1"), on_duplicate="last")
    load_lines(conn, "users", {**user(ANN), "addresses": None})
    assert rows(conn, STREETS) == [(1, "a", "Rome")]
    load_lines(conn, "users", user(ANN, []))
    assert rows(conn, STREETS) == []


def test_children_with_an_id_match_within_their_parent(conn: Connection) -> None:
    load_lines(conn, "users", user(ANN, [place("a", id=A1)]), user(BO, [place("b", id=A2)]))
    done = load_lines(
        conn,
        "users",
        user(ANN, [place("new"), place("moved", id=A1, phone_="x")], unknown="y"),
        unknown_fields="ignore",
    )
    assert done.counts == (0, 1, 0, 0)
    assert rows(conn, "select position, street from app.addresses where id = '" + A1 + "'") == [
        (2, "moved")
    ]
    done = load_lines(conn, "users", user(ANN, [place("stolen", id=A2)]))
    assert done.verdicts == [Verdict(1, "addresses[0].id", "conflict")]
    assert rows(conn, "select street from app.addresses order by street") == ["b", "moved", "new"]


def test_an_error_in_a_child_rejects_the_record(conn: Connection) -> None:
    done = load_lines(
        conn,
        "users",
        user(ANN, [place("a"), {"street": "", "city": "x" * 300}, 5]),
        user(BO, "none"),
        {"email": "cy@example.com", "name": "cy", "role": "reader", "addresses": [{"city": "y"}]},
    )
    assert set(done.verdicts) == {
        Verdict(1, "addresses[1].street", "check"),
        Verdict(1, "addresses[1].city", "check"),
        Verdict(1, "addresses[2]", "type"),
        Verdict(2, "addresses", "type"),
        Verdict(3, "addresses[0].street", "required"),
    }
    assert done.counts == (0, 0, 0, 3)
    assert rows(conn, "select * from app.users") == []


def test_all_errors_of_children_are_kept_when_duplicates_are_dropped(conn: Connection) -> None:
    bad = user(ANN, [{"street": "", "city": ""}])
    done = load_lines(conn, "users", bad, user(ANN), user(ANN), on_duplicate="first")
    assert {v.field for v in done.verdicts} == {"addresses[0].street", "addresses[0].city"}
    assert (done.job["inserted"], done.job["dropped"], done.job["rejected"]) == (1, 1, 1)


def test_an_unknown_field_of_a_child_is_an_error(conn: Connection) -> None:
    done = load_lines(conn, "users", user(ANN, [place("a", planet="Earth")]))
    assert done.verdicts == [Verdict(1, "addresses[0].planet", "unknown_field")]
    done = load_lines(
        conn, "users", user(ANN, [place("a", planet="Earth")]), unknown_fields="ignore"
    )
    assert done.counts == (1, 0, 0, 0)


def test_two_elements_with_one_key_are_duplicates(conn: Connection) -> None:
    done = load_lines(
        conn,
        "users",
        user(ANN, [place("a", id=A1), place("b", id=A1)]),
        user(BO, [place("c", id=A1)]),
    )
    assert [(v.row, v.code) for v in done.verdicts] == [(1, "duplicate"), (2, "duplicate")]


def test_position_is_set_from_the_list(conn: Connection) -> None:
    load_lines(conn, "users", user(ANN, [place("a", position=7), place("b", position=3)]))
    assert rows(conn, "select street from app.addresses order by position") == ["a", "b"]
    assert rows(conn, "select position from app.addresses order by position") == [1, 2]


def test_a_child_that_cannot_be_deleted_rejects_the_record(conn: Connection) -> None:
    load_lines(conn, "users", user(ANN, [place("a")]), user(BO, [place("b")]))
    conn.execute(
        "create table app.visits (address_id uuid references app.addresses (id));"
        "insert into app.visits select id from app.addresses where street = 'a'"
    )
    done = load_lines(conn, "users", user(ANN, [place("c")], phone="1"), user(BO, []))
    assert done.verdicts == [Verdict(1, None, "write")]
    assert done.errors[0]["constraint"] == "visits_address_id_fkey"
    assert rows(conn, "select street from app.addresses") == ["a"]
    assert rows(conn, "select phone from app.users where email like 'ann%'") == [None]


def test_children_in_a_csv_cell(conn: Connection) -> None:
    header = ["id", "email", "name", "role", "addresses"]
    lists = json.dumps([place("a"), place("b")])
    done = load(
        conn,
        "users",
        csv_text(
            header,
            [ANN, "ann@example.com", "ann", "reader", lists],
            [BO, "bo@example.com", "bo", "reader", "nothing"],
        ),
    )
    assert done.verdicts == [Verdict(2, "addresses", "type")]
    assert rows(conn, STREETS) == [(1, "a", "Rome"), (2, "b", "Rome")]


def test_the_list_may_go_by_another_name(conn: Connection) -> None:
    record = {**user(ANN), "Homes": [place("a")]}
    assert load_lines(conn, "users", record, mapping={"Homes": "addresses"}).counts == (1, 0, 0, 0)
    assert rows(conn, STREETS) == [(1, "a", "Rome")]
    load_lines(conn, "users", {**user(ANN), "Addresses": [place("b")]})
    assert rows(conn, STREETS) == [(1, "b", "Rome")]


def test_a_dry_run_counts_changes_of_lists_and_writes_none(conn: Connection) -> None:
    load_lines(conn, "users", user(ANN, [place("a")]))
    before = rows(conn, STATES)
    done = load_lines(
        conn, "users", user(ANN, [place("b")]), user(BO, [place("c")]), dry_run="true"
    )
    assert done.counts == (1, 1, 0, 0)
    assert rows(conn, STATES) == before


def test_addresses_may_come_by_themselves(conn: Connection) -> None:
    load_lines(conn, "users", user(ANN))
    done = load_lines(
        conn, "addresses", place("a", user_id=ANN), place("b", user_id=BO), place("c")
    )
    assert done.verdicts == [Verdict(2, "user_id", "reference"), Verdict(3, "user_id", "required")]


def test_many_lists(conn: Connection) -> None:
    records = [
        {
            "email": f"u{i}@example.com",
            "name": "n",
            "role": "reader",
            "addresses": [place(f"s{j}") for j in range(i % 4)],
        }
        for i in range(1500)
    ]
    records[700]["addresses"] = [place("")]
    assert load_lines(conn, "users", *records).counts == (1499, 0, 0, 1)
    assert load_lines(conn, "users", *records).counts == (0, 0, 1499, 1)
    assert rows(conn, "select count(*) from app.addresses") == [
        sum(i % 4 for i in range(1500) if i != 700)
    ]


def test_names_inside_a_list_are_mapped_by_its_name(conn: Connection) -> None:
    record = user(ANN, [{"id": 7, "road": "a", "city": "Rome"}])
    mapping = {"addresses.road": "street", "addresses.id": None}
    assert load_lines(conn, "users", record, mapping=mapping).counts == (1, 0, 0, 0)
    assert rows(conn, STREETS) == [(1, "a", "Rome")]
    assert load_lines(conn, "users", record, mapping=mapping).counts == (0, 0, 1, 0)
    # an id that is not mapped away is one of ours
    plain = load_lines(conn, "users", user(ANN, [{"id": 7, "street": "a", "city": "Rome"}]))
    assert Verdict(1, "addresses[0].id", "type") in plain.verdicts
