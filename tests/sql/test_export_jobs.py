"""Exports that run later: requests, leases, closed references, files and their end."""

import json
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from .importer import rows

Connection = psycopg.Connection[Any]

PEOPLE = """
insert into app.users (email, name, role, active)
select format('u%s@example.org', i), 'U', 'author', i % 2 = 0 from generate_series(1, 6) as i;
insert into app.articles (slug, title, body, author_id, status)
select 's-' || left(u.email, 2), 'T', 'one two three four five six seven eight nine ten', u.id,
    'draft'
from app.users as u;
insert into app.comments (article_id, user_id, body)
select a.id, u.id, 'c' from app.articles as a cross join app.users as u;
"""


@pytest.fixture
def people(conn: Connection) -> Connection:
    """Six users, half of them active, an article each, and a comment of each on each."""
    conn.execute(PEOPLE)
    return conn


def create(conn: Connection, **request: Any) -> dict[str, Any]:
    """The job that a request makes."""
    row = conn.execute("select sluice.export_create(request => %s)", [Jsonb(request)]).fetchone()
    assert row
    return dict(row[0])


def one(conn: Connection, query: str, *values: Any) -> Any:
    """The single value of a query."""
    row = conn.execute(query, values).fetchone()
    assert row
    return row[0]


def refusal(conn: Connection, state: str = "IO400", **request: Any) -> str:
    """Why a request is refused; no job is left of it."""
    with pytest.raises(psycopg.Error) as caught:
        create(conn, **request)
    assert caught.value.sqlstate == state
    assert one(conn, "select count(*) from sluice.job") == 0
    return f"{caught.value.diag.message_primary}. {caught.value.diag.message_hint}"


def exported(conn: Connection, **request: Any) -> dict[str, list[dict[str, Any]]]:
    """The rows of each resource that a request exports."""
    made = create(conn, **request)
    found = {}
    for name in made["resources"]:
        with conn.transaction():
            about = one(conn, "select sluice.export_copy_part(%s, %s)", made["job_id"], name)
            with conn.cursor().copy(about["copy"]) as copy:
                text = b"".join(bytes(block) for block in copy)
        found[name] = [json.loads(line) for line in text.splitlines()]
    return found


def finish(conn: Connection, job_id: str, attempt: int = 1, expires: str = "1 day") -> bool:
    """End an export as a worker does whose one file has 3 rows."""
    file = {
        "place": 1,
        "resource": "users",
        "name": "users.ndjson",
        "path": f"{one(conn, 'select sluice.store_prefix()')}{job_id}/{attempt}/users.ndjson",
        "rows": 3,
        "bytes": 30,
        "sha256": "ab" * 32,
        "content_type": "application/x-ndjson",
        "parts": [{"resource": "users", "rows": 3}],
    }
    done = one(
        conn,
        'select sluice.export_finish(%s, %s, %s, \'{"lsn": "0/1"}\')',
        job_id,
        attempt,
        Jsonb([file]),
    )
    conn.execute(
        "update sluice.export_file set expires_at = clock_timestamp() + %s::interval", [expires]
    )
    return bool(done)


def take(conn: Connection) -> dict[str, Any] | None:
    """What a worker takes."""
    return one(conn, "select sluice.take_export()")


def test_a_request_becomes_a_job_in_its_canonical_form(conn: Connection) -> None:
    made = create(
        conn,
        resourceType="users",
        format="csv",
        fields="id, email",
        expiresIn="3600",
        header="false",
        order=["-email"],
        limit=None,
    )
    assert (made["kind"], made["status"], made["resource"]) == ("export", "pending", "users")
    assert made["options"] == {
        "resources": ["users"],
        "format": "csv",
        "fields": ["id", "email"],
        "order": ["-email"],
        "expires_in": 3600,
        "header": False,
    }
    assert made["file_name"] == "users.csv"
    assert made["download_url"] is None


def test_a_dba_exports_with_named_parameters(people: Connection) -> None:
    made = one(
        people,
        "select sluice.export_submit('users', 'csv', fields => '{email}', ordering => '{email}',"
        ' filters => \'{"active": true}\', options => \'{"compression": "zstd"}\')',
    )
    assert made["file_name"] == "users.csv.zst"
    assert made["options"]["filters"] == {"active": True}


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({}, "names no resource"),
        ({"resource": "user"}, "unknown resource 'user'"),
        ({"resource": "users", "resources": ["users"]}, "both given"),
        ({"resources": ["users", "users"]}, "asked for twice"),
        ({"resource": "users", "colour": 1}, "no option 'colour'"),
        ({"resource": "users", "format": "xml"}, "unknown format 'xml'"),
        ({"resource": "users", "compression": "lzma"}, "none, gzip, zstd"),
        ({"resource": "users", "expires_in": 5}, "60 or more"),
        ({"resource": "users", "limit": -1}, "0 or more"),
        ({"resource": "users", "fields": [1]}, "list of names"),
        ({"resource": "users", "fields": ["colour"]}, "unknown field 'colour'"),
        ({"resource": "users", "filters": {"id": "seven"}}, "cannot be 'seven'"),
        ({"resource": "users", "filters": [1]}, "must be a JSON object"),
        ({"resource": "users", "delimiter": "x"}, "it takes , ; | or tab"),
        ({"resource": "users", "callback_url": "ftp://x"}, "https URL"),
        ({"resource": "users", "closed": True}, "several resources"),
        ({"resources": ["users", "articles"], "filters": {"active": True}}, "not exported"),
        ({"resources": ["users", "articles"], "fields": ["id"]}, "an object"),
        ({"resources": ["users", "articles"], "limit": 3}, "has no limit"),
        ({"resources": ["users", "articles"], "compression": "gzip"}, "archive: none"),
    ],
)
def test_what_cannot_be_exported_is_told_at_once(
    conn: Connection, request_: dict[str, Any], told: str
) -> None:
    assert told in refusal(conn, **request_)


def test_rows_that_refer_to_a_row_left_out_stay_out_through_every_level(people: Connection) -> None:
    found = exported(
        people,
        resources=["users", "articles", "comments"],
        filters={"users": {"active": True}},
    )
    users = {row["id"] for row in found["users"]}
    articles = {row["id"] for row in found["articles"]}
    assert [len(found[name]) for name in ("users", "articles", "comments")] == [3, 3, 9]
    assert {row["author_id"] for row in found["articles"]} <= users
    assert {row["article_id"] for row in found["comments"]} <= articles
    assert {row["user_id"] for row in found["comments"]} <= users


def test_a_filter_on_the_middle_leaves_its_parents_whole(people: Connection) -> None:
    found = exported(
        people,
        resources=["comments", "articles", "users"],
        filters={"articles": {"slug": "s-u1"}},
    )
    assert {name: len(found[name]) for name in found} == {"comments": 6, "articles": 1, "users": 6}


def test_an_export_need_not_be_closed(people: Connection) -> None:
    found = exported(
        people, resources=["users", "articles"], filters={"users": {"active": True}}, closed=False
    )
    assert [len(found["users"]), len(found["articles"])] == [3, 6]


def test_a_reference_that_is_null_refers_to_nothing_left_out(conn: Connection) -> None:
    conn.execute(
        "create table public.team (a integer, b text, open boolean, primary key (a, b));"
        "create table public.player (id integer primary key, a integer, b text,"
        "  foreign key (a, b) references public.team);"
        "insert into public.team values (1, 'x', true), (1, 'y', false);"
        "insert into public.player"
        " values (1, 1, 'x'), (2, 1, 'y'), (3, null, 'y'), (4, null, null);"
        "select sluice.register('team', 'public.team');"
        "select sluice.register('player', 'public.player')"
    )
    found = exported(conn, resources=["team", "player"], filters={"team": {"open": True}})
    assert [row["id"] for row in found["player"]] == [1, 3, 4]


def test_filtered_rows_that_refer_to_each_other_cannot_be_closed(conn: Connection) -> None:
    conn.execute(
        "create table public.node (id integer primary key, up integer references public.node);"
        "insert into public.node values (1, null), (2, 1), (3, 2);"
        "select sluice.register('node', 'public.node')"
    )
    both = ["node", "users"]
    assert "refer to each other" in refusal(conn, resources=both, filters={"node": {"id": 3}})
    found = exported(conn, resources=both, filters={"node": {"id": 3}}, closed=False)
    assert [row["id"] for row in found["node"]] == [3]
    assert len(exported(conn, resources=both)["node"]) == 3


def test_an_export_is_taken_once_and_finished_by_its_taker(conn: Connection) -> None:
    made = create(conn, resource="users")
    assert take(conn) == {
        "job_id": made["job_id"],
        "attempt": 1,
        "resource": "users",
        "login": None,
    }
    assert take(conn) is None
    assert not finish(conn, made["job_id"], attempt=2)
    assert finish(conn, made["job_id"])
    assert not finish(conn, made["job_id"])
    job = one(conn, "select sluice.job_json(%s)", made["job_id"])
    assert (job["status"], job["outcome"], job["exported"], job["bytes"]) == (
        "completed",
        "clean",
        3,
        30,
    )
    assert job["sha256"] == "ab" * 32
    assert job["snapshot"] == {"lsn": "0/1"}
    assert job["progress"] == {"rows": 3, "percent": 100.0}
    assert job["metrics"]["exported"] == {"users": 3}
    assert job["download_url"] == f"/v1/exports/{made['job_id']}/download"


def test_the_oldest_export_comes_first_whatever_it_exports(conn: Connection) -> None:
    made = [create(conn, resource=name)["job_id"] for name in ("users", "articles", "users")]
    assert [(take(conn) or {}).get("job_id") for _ in made] == made


def test_a_dead_taker_is_followed_by_another_and_finishes_nothing(conn: Connection) -> None:
    made = create(conn, resource="users")
    take(conn)
    conn.execute("update sluice.job set heartbeat_at = heartbeat_at - interval '21 seconds'")
    assert take(conn) == {
        "job_id": made["job_id"],
        "attempt": 2,
        "resource": "users",
        "login": None,
    }
    assert not one(conn, "select sluice.export_beat(%s, 1, 5, 5)", made["job_id"])
    assert one(conn, "select sluice.export_beat(%s, 2, 5, 5)", made["job_id"])
    assert not finish(conn, made["job_id"], attempt=1)
    assert one(conn, "select sluice.export_fail(%s, 1, 'late')", made["job_id"]) is None
    assert finish(conn, made["job_id"], attempt=2)


def test_what_may_pass_is_tried_five_times_and_then_told(conn: Connection) -> None:
    made = create(conn, resource="users")
    waits = []
    for attempt in range(1, 6):
        assert (take(conn) or {})["attempt"] == attempt
        waits.append(
            one(
                conn,
                "select sluice.export_fail(%s, %s, 'the store is away', null, false)",
                made["job_id"],
                attempt,
            )
        )
        assert take(conn) is None
        seconds = one(conn, "select extract(epoch from not_before - now())::float8 from sluice.job")
        assert 5 * 3 ** (attempt - 1) - 2 < seconds <= 5 * 3 ** (attempt - 1) + 1
        conn.execute("update sluice.job set not_before = null")
    assert waits == ["waits"] * 5
    assert take(conn) is None
    job = one(conn, "select sluice.job_json(%s)", made["job_id"])
    assert job["status"] == "failed"
    assert "5 times" in job["error"]["detail"]
    assert "the store is away" in job["error"]["detail"]


@pytest.mark.parametrize(
    ("sqlstate", "lasting", "outcome"),
    [
        (None, False, "waits"),
        (None, True, "failed"),
        ("57P01", False, "waits"),
        ("40001", False, "waits"),
        ("53200", False, "waits"),
        ("IO503", False, "waits"),
        ("IO400", False, "failed"),
        ("42501", False, "failed"),
        ("22012", False, "failed"),
    ],
)
def test_what_cannot_pass_fails_at_once(
    conn: Connection, sqlstate: str | None, lasting: bool, outcome: str
) -> None:
    made = create(conn, resource="users")
    take(conn)
    query = "select sluice.export_fail(%s, 1, 'why', %s, %s)"
    assert one(conn, query, made["job_id"], sqlstate, lasting) == outcome
    state = one(conn, "select state from sluice.job")
    assert state == ("failed" if outcome == "failed" else "processing")


def test_a_worker_that_is_told_to_stop_costs_no_attempt(conn: Connection) -> None:
    made = create(conn, resource="users")
    for _ in range(7):
        assert (take(conn) or {})["attempt"] == 1
        conn.execute("select sluice.release_job(%s, 1)", [made["job_id"]])


def test_the_paths_of_two_attempts_and_of_two_databases_differ(conn: Connection) -> None:
    made = create(conn, resource="users")
    paths = []
    for attempt in (1, 2):
        take(conn)
        files = one(conn, "select sluice.export_begin(%s, %s)", made["job_id"], attempt)
        paths.append(files[0]["path"])
        conn.execute("update sluice.job set heartbeat_at = heartbeat_at - interval '1 hour'")
    prefix = one(conn, "select sluice.store_prefix()")
    assert paths == [f"{prefix}{made['job_id']}/{n}/users.ndjson" for n in (1, 2)]
    assert one(conn, "select sluice.export_begin(%s, 1)", made["job_id"]) is None


def test_a_job_that_is_being_cancelled_is_not_begun(conn: Connection, dsn: str) -> None:
    made = create(conn, resource="users")
    take(conn)
    with psycopg.connect(dsn) as other:
        other.execute("select pg_advisory_xact_lock(sluice.work_key(%s))", [made["job_id"]])
        assert one(conn, "select sluice.export_begin(%s, 1)", made["job_id"]) is None
    assert one(conn, "select sluice.export_begin(%s, 1)", made["job_id"])


def test_a_file_expires_before_its_job(conn: Connection) -> None:
    made = create(conn, resource="users")
    take(conn)
    finish(conn, made["job_id"])
    about = one(conn, "select sluice.export_download(%s)", made["job_id"])
    assert (about["status"], about["name"], about["bytes"]) == ("completed", "users.ndjson", 30)
    assert one(conn, "select sluice.stale_files()") == []
    conn.execute("update sluice.export_file set expires_at = now() - interval '1 second'")
    with pytest.raises(psycopg.Error, match="expired at") as caught:
        one(conn, "select sluice.export_download(%s)", made["job_id"])
    assert caught.value.sqlstate == "IO410"
    job = one(conn, "select sluice.job_json(%s)", made["job_id"])
    assert (job["download_url"], job["sha256"]) == (None, "ab" * 32)
    assert one(conn, "select sluice.stale_files()") == [about["path"]]
    assert one(conn, "select sluice.stale_files()") == [about["path"]]
    conn.execute("select sluice.forget_files(%s)", [[about["path"]]])
    assert one(conn, "select sluice.stale_files()") == []


def test_the_files_of_a_deleted_job_are_stale(conn: Connection) -> None:
    made = create(conn, resource="users")
    take(conn)
    finish(conn, made["job_id"])
    conn.execute("select sluice.delete_job(%s)", [made["job_id"]])
    assert [path.split("/")[2] for path in one(conn, "select sluice.stale_files()")] == [
        made["job_id"]
    ]


def test_an_unknown_download_is_told(conn: Connection) -> None:
    made = create(conn, resource="users")
    assert one(conn, "select sluice.export_download(%s)", made["job_id"]) == {"status": "pending"}
    take(conn)
    finish(conn, made["job_id"])
    for query, state in (
        (f"select sluice.export_download('{made['job_id']}', 'x')", "IO404"),
        ("select sluice.export_download(gen_random_uuid())", "IO404"),
    ):
        with pytest.raises(psycopg.Error) as caught:
            one(conn, query)
        assert caught.value.sqlstate == state


def test_only_what_no_export_owns_is_an_orphan(conn: Connection) -> None:
    done, running, dead = (create(conn, resource="users")["job_id"] for _ in range(3))
    for _ in range(3):
        take(conn)
    finish(conn, done)
    conn.execute("select sluice.release_job(%s, 1, 0, 'failed')", [dead])
    prefix = one(conn, "select sluice.store_prefix()")
    whole = f"{prefix}{done}/1/users.ndjson"
    mine = [f"{prefix}{running}/1/users.ndjson", f"{prefix}{running}/1/users.ndjson#1"]
    orphans = [
        f"{whole}#1",
        f"{prefix}{done}/2/users.ndjson",
        f"{prefix}{running}/11/users.ndjson",
        f"{prefix}{dead}/1/users.ndjson",
        f"{prefix}x",
    ]
    elsewhere = [f"exports/000000000000/{dead}/1/users.ndjson", "users.csv"]
    found = one(conn, "select sluice.orphaned_files(%s)", [whole, *mine, *orphans, *elsewhere])
    assert sorted(found) == sorted(orphans)


def test_an_export_is_retried_as_it_was_asked_for(conn: Connection) -> None:
    made = create(conn, resource="users", format="csv", callback_url="https://example.org/x")
    with pytest.raises(psycopg.Error) as caught:
        one(conn, "select sluice.retry_job(%s)", made["job_id"])
    assert caught.value.sqlstate == "IO409"
    take(conn)
    conn.execute("select sluice.export_fail(%s, 1, 'why', null, true)", [made["job_id"]])
    again = one(conn, "select sluice.retry_job(%s)", made["job_id"])
    assert again["job_id"] != made["job_id"]
    assert (again["parent_job_id"], again["status"]) == (made["job_id"], "pending")
    assert again["options"] == made["options"]
    assert rows(conn, "select distinct callback_url from sluice.job") == ["https://example.org/x"]


def test_an_export_stands_in_no_imports_way(people: Connection) -> None:
    create(people, resource="users")
    assert one(people, "select sluice.next_step() ->> 'status'") == "idle"


def test_several_resources_leave_as_one_zip_or_as_a_file_each(conn: Connection) -> None:
    files = "select sluice.export_files(options) from sluice.job where job_id = %s"
    both = ["users", "articles"]
    zipped = one(conn, files, create(conn, resources=both, format="csv")["job_id"])
    assert [(file["name"], file["encoding"]) for file in zipped] == [("users-articles.zip", "zip")]
    assert [part["name"] for part in zipped[0]["parts"]] == ["users.csv", "articles.csv"]
    single = create(conn, resources=both, archive="none", compression="gzip")["job_id"]
    assert [(file["name"], file["content_type"]) for file in one(conn, files, single)] == [
        ("users.ndjson.gz", "application/gzip"),
        ("articles.ndjson.gz", "application/gzip"),
    ]


def test_progress_is_told_against_what_the_planner_expects(people: Connection) -> None:
    people.execute("analyze app.comments")
    made = create(people, resource="comments")
    take(people)
    assert one(people, "select sluice.export_beat(%s, 1, 9, 99)", made["job_id"])
    job = one(people, "select sluice.job_json(%s)", made["job_id"])
    assert (job["progress"], job["bytes"]) == ({"rows": 9, "percent": 25.0}, 99)
    assert one(people, "select percent from sluice.jobs") == 25
    assert one(people, "select sluice.export_beat(%s, 1, 99, 999)", made["job_id"])
    assert one(people, "select percent::float from sluice.jobs") == 99.9
