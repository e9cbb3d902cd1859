"""System A: POST /api/users/bulk as its clients have always called it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from .conftest import new_users
from .curl import curl


class BulkClient:
    """A client in that system's shape: it retries with the id of its request."""

    def __init__(self, base: str) -> None:
        self.http = httpx.Client(base_url=base, timeout=40)

    def upload(self, users: Any, request_id: str | None = None, **headers: str) -> httpx.Response:
        """One call; without an id the service makes one."""
        if request_id is not None:
            headers["X-Request-ID"] = request_id
        return self.http.post("/api/users/bulk", json=users, headers=headers)


@pytest.fixture(scope="module")
def client(service: Any) -> Iterator[BulkClient]:
    made = BulkClient(service.url)
    with made.http:
        yield made


def some(count: int, name: str = "Ann", **more: Any) -> list[dict[str, Any]]:
    """Users whom nobody has seen before."""
    tag = uuid4().hex[:12]
    return [{"name": name, "email": f"u{n}.{tag}@example.org", **more} for n in range(count)]


def stored(database: psycopg.Connection, users: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Name, role and metadata of those users as they are in the table now."""
    emails = [user["email"] for user in users]
    return database.execute(
        "select name, role, metadata from app.users where email = any(%s)"
        " order by array_position(%s, email)",
        [emails, emails],
    ).fetchall()


def refused(reply: httpx.Response, status: int) -> str:
    """The text of a refusal, which is all that it holds."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert list(reply.json()) == ["error"]
    text: str = reply.json()["error"]
    return text


def test_the_documented_curl_line(service: Any) -> None:
    users = json.dumps(some(2, metadata={"team": "red", "n": 1.50}))
    line = f"""curl -X POST http://localhost:8080/api/users/bulk \\
      -H "Content-Type: application/json" \\
      -H "X-Request-ID: 3fa85f64-5717-4562-b3fc-2c963f66afa6" \\
      -d '{users}'"""
    first, again = curl(line, service.url), curl(line, service.url)
    assert (first.status, again.status) == (200, 200)
    body = first.json()
    assert body == {
        "requestId": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "id": body["id"],
        "status": "completed",
        "summary": {"total": 2, "inserted": 2, "updated": 0},
    }
    assert first.headers["x-request-id"] == "3fa85f64-5717-4562-b3fc-2c963f66afa6"
    assert again.json() == {**body, "duplicate": True}


def test_without_an_id_one_is_made_and_returned(client: BulkClient) -> None:
    reply = client.upload(some(1))
    assert reply.status_code == 200
    assert str(UUID(reply.json()["requestId"])) == reply.headers["x-request-id"]


@pytest.mark.parametrize("given", ["", "1", "not-a-uuid", "{3fa85f64-5717-4562-b3fc-2c963f66afa6}"])
def test_an_id_that_is_no_uuid_is_refused(client: BulkClient, given: str) -> None:
    assert "X-Request-ID must be a UUID" in refused(client.upload(some(1), given), 400)


def test_new_users_are_readers_and_others_keep_their_role(
    client: BulkClient, database: psycopg.Connection
) -> None:
    users = some(3, metadata={"n": 1})
    client.upload(users[:2])
    database.execute("update app.users set role = 'admin' where email = %s", [users[0]["email"]])
    users[0] = {"email": users[0]["email"], "name": "Anna"}
    summary = client.upload(users).json()["summary"]
    # matched, changed or not, is updated; metadata left out is null
    assert summary == {"total": 3, "inserted": 1, "updated": 2}
    assert stored(database, users) == [
        ("Anna", "admin", None),
        ("Ann", "reader", {"n": 1}),
        ("Ann", "reader", {"n": 1}),
    ]


def test_its_id_is_a_job_of_the_other_api(client: BulkClient) -> None:
    users = some(3)
    client.upload(users[:2])
    users[0]["name"] = "Anna"
    job = client.http.get(f"/v1/imports/{client.upload(users).json()['id']}").json()
    assert (job["kind"], job["status"], job["outcome"]) == ("import", "completed", "clean")
    counts = job["counts"]
    assert {name: counts[name] for name in counts if counts[name]} == {
        "received": 3,
        "inserted": 1,
        "updated": 1,
        "unchanged": 1,
    }
    assert job["job_id"] in [j["id"] for j in client.http.get("/v1/imports").json()["jobs"]]


BAD: list[tuple[Any, str]] = [
    ({"email": "x@example.org"}, "index 2: name is required"),
    ({"name": "Bob"}, "index 2: email is required"),
    ({"name": "", "email": "x@example.org"}, "index 2: name must have 1 to 256 characters"),
    ({"name": "x" * 257, "email": "x@example.org"}, "index 2: name must have 1 to 256"),
    ({"name": "Bob", "email": "x@example"}, "index 2: email must be an e-mail address"),
    ({"name": 7, "email": "x@example.org"}, "index 2: name must be a string"),
    ({"name": "Bob", "email": ["x@example.org"]}, "index 2: email must be a string"),
    ({"name": None, "email": "x@example.org"}, "index 2: name is required"),
    ({"name": "Bob", "email": "x@example.org", "metadata": None}, "index 2: metadata"),
    ({"name": "Bob", "email": "x@example.org", "metadata": []}, "index 2: metadata"),
    ({"name": "Bob", "email": "x@example.org", "metadata": "a"}, "index 2: metadata"),
    ({"name": "Bob", "email": "x@example.org", "role": "admin"}, 'index 2: "role" is no key'),
    ({"name": "Bob", "email": "x@example.org", "Name": "Bob"}, 'index 2: "Name" is no key'),
    ({"name": "B\0b", "email": "x@example.org"}, "index 2: "),
    ("Bob", "index 2: it must be an object"),
    (None, "index 2: it must be an object"),
]


@pytest.mark.parametrize(("record", "told"), BAD)
def test_one_invalid_record_and_nothing_is_written(
    client: BulkClient, database: psycopg.Connection, record: Any, told: str
) -> None:
    jobs = database.execute("select count(*) from sluice.job").fetchone()
    users = some(4)
    assert told in refused(client.upload([*users[:2], record, *users[2:]]), 400)
    assert stored(database, users) == []
    assert database.execute("select count(*) from sluice.job").fetchone() == jobs


def test_one_email_twice_is_refused(client: BulkClient, database: psycopg.Connection) -> None:
    users = some(5)
    users[3]["email"] = users[1]["email"]
    told = refused(client.upload(users), 400)
    assert told == "record at index 3: email is that of the record at index 1 too"
    assert stored(database, users) == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("", "must be a JSON array"),
        ("{}", "must be a JSON array"),
        ("[", "must be a JSON array"),
        ('"users"', "must be a JSON array"),
        ("[]", "1 to 10,000 users, not 0"),
        (json.dumps([{}] * 10_001), "1 to 10,000 users, not 10001"),
        ("[" * 200_000, "nested deeper"),
        (b"[\xff]", "not UTF-8"),
        (b"[\0]", "NUL"),
    ],
)
def test_what_is_no_array_of_users_is_refused(
    client: BulkClient, body: str | bytes, told: str
) -> None:
    reply = client.http.post(
        "/api/users/bulk", content=body, headers={"Content-Type": "application/json"}
    )
    assert told in refused(reply, 400)


def test_ten_thousand_users_are_taken(client: BulkClient) -> None:
    reply = client.upload(some(10_000))
    assert reply.json()["summary"] == {"total": 10_000, "inserted": 10_000, "updated": 0}


def test_every_refusal_is_an_error_text(client: BulkClient) -> None:
    http, path = client.http, "/api/users/bulk"
    refused(http.post(path, content=b"a,b", headers={"Content-Type": "text/csv"}), 415)
    compressed = {"Content-Type": "application/json", "Content-Encoding": "br"}
    refused(http.post(path, content=b"[]", headers=compressed), 415)
    refused(http.get(path), 405)
    large = {"Content-Type": "application/json"}
    refused(http.post(path, content=b" " * (64 * 1024 * 1024 + 1), headers=large), 413)


def test_another_payload_under_the_same_id_is_refused(client: BulkClient) -> None:
    users, key = some(2), str(uuid4())
    assert client.upload(users, key).status_code == 200
    assert "used for other users" in refused(client.upload(some(2), key), 422)
    # the same document, however it is laid out
    turned = [dict(reversed(user.items())) for user in users]
    assert client.upload(turned, key.upper()).json()["duplicate"] is True


def test_a_refused_request_runs_again_under_its_id(client: BulkClient) -> None:
    key, users = str(uuid4()), some(1)
    refused(client.upload([{"name": "", "email": users[0]["email"]}], key), 400)
    reply = client.upload(users, key)
    assert reply.status_code == 200
    assert "duplicate" not in reply.json()


def test_twenty_at_the_same_time_make_one_job(
    client: BulkClient, database: psycopg.Connection
) -> None:
    users, key = some(500), str(uuid4())
    with ThreadPoolExecutor(20) as threads:
        replies = list(threads.map(lambda _: client.upload(users, key), range(20)))
    assert {reply.status_code for reply in replies} == {200}
    bodies = [reply.json() for reply in replies]
    assert len({body["id"] for body in bodies}) == 1
    assert [body["summary"]["inserted"] for body in bodies] == [500] * 20
    assert sum("duplicate" not in body for body in bodies) == 1
    found = database.execute(
        "select count(*) from sluice.idempotency where key = %s", [key]
    ).fetchone()
    assert found == (1,)


def test_processes_that_know_nothing_of_each_other_make_one_job_too(service: Any) -> None:
    body, key = json.dumps(some(300)), str(uuid4())

    def call(_: int) -> dict[str, Any]:
        with psycopg.connect(service.dsn) as conn:
            row = conn.execute("select sluice.bulk_users(%s, %s)", [key, body]).fetchone()
            assert row
            reply: dict[str, Any] = row[0]
            return reply

    with ThreadPoolExecutor(6) as threads:
        replies = list(threads.map(call, range(6)))
    assert len({reply["id"] for reply in replies}) == 1
    assert sum("duplicate" not in reply for reply in replies) == 1


def test_callers_that_share_users_all_come_through(
    client: BulkClient, database: psycopg.Connection
) -> None:
    users = some(200)

    def upload(number: int) -> httpx.Response:
        mine = [user | {"name": f"caller {number}"} for user in users]
        return client.upload(mine if number % 2 else mine[::-1])

    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(upload, range(8)))
    assert [reply.status_code for reply in replies] == [200] * 8
    assert sum(reply.json()["summary"]["inserted"] for reply in replies) == 200
    # all of one caller, the last
    assert len({name for name, _, _ in stored(database, users)}) == 1


def test_prefer_respond_async_makes_a_queued_job(
    client: BulkClient, database: psycopg.Connection
) -> None:
    users, key = some(3, metadata={"n": 1.50}), str(uuid4())
    client.upload(users[:1])
    del users[0]["metadata"]
    reply = client.upload(users, key, Prefer="respond-async")
    assert reply.status_code == 202
    assert reply.headers["preference-applied"] == "respond-async"
    assert reply.json()["requestId"] == key
    job = ended(client, reply.headers["location"])
    assert (job["status"], job["counts"]["inserted"], job["counts"]["updated"]) == (
        "completed",
        2,
        1,
    )
    assert [metadata for _, _, metadata in stored(database, users)] == [
        None,
        {"n": 1.5},
        {"n": 1.5},
    ]
    again = client.upload(users, key, Prefer="respond-async")
    assert again.status_code == 200
    assert again.json()["duplicate"] is True


def ended(client: BulkClient, location: str) -> dict[str, Any]:
    """The job when it has ended."""
    until = time.monotonic() + 30
    while (job := client.http.get(location).json())["status"] in ("pending", "processing"):
        assert time.monotonic() < until
        time.sleep(0.02)
    found: dict[str, Any] = job
    return found


def test_a_queued_one_that_failed_runs_again(client: BulkClient) -> None:
    users, key = some(2), str(uuid4())
    users[1]["email"] = "nobody"
    first = client.upload(users, key, Prefer="respond-async")
    assert ended(client, first.headers["location"])["status"] == "failed"
    again = client.upload(users, key, Prefer="respond-async")
    assert again.status_code == 202
    assert again.json()["id"] != first.json()["id"]
    users[1]["email"] = users[0]["email"].replace("u0", "u1")
    ended(client, again.headers["location"])
    assert client.upload(users, key).json()["summary"]["inserted"] == 2


def test_a_row_that_somebody_holds_is_waited_for(
    service: Any, client: BulkClient, database: psycopg.Connection
) -> None:
    users = some(2)
    client.upload(users)
    with psycopg.connect(service.dsn) as other:
        other.execute("update app.users set phone = '1' where email = %s", [users[0]["email"]])
        release = threading.Timer(1.5, other.commit)
        release.start()
        begun = time.monotonic()
        reply = client.upload([user | {"name": "Eve"} for user in users])
        assert time.monotonic() - begun > 1
        release.join()
    assert reply.json()["summary"] == {"total": 2, "inserted": 0, "updated": 2}
    assert [name for name, _, _ in stored(database, users)] == ["Eve", "Eve"]


def test_an_email_that_another_is_just_writing_is_an_update(
    service: Any, client: BulkClient, database: psycopg.Connection
) -> None:
    users = some(2)
    with psycopg.connect(service.dsn) as other:
        other.execute(
            "insert into app.users (email, name, role) values (%s, 'Them', 'author')",
            [users[1]["email"]],
        )
        release = threading.Timer(0.3, other.commit)
        release.start()
        reply = client.upload(users)
        release.join()
    assert reply.json()["summary"] == {"total": 2, "inserted": 1, "updated": 1}
    assert stored(database, users) == [("Ann", "reader", None), ("Ann", "author", None)]


def test_past_thirty_seconds_it_is_rolled_back(
    service: Any, client: BulkClient, database: psycopg.Connection
) -> None:
    users, key = some(2), str(uuid4())
    client.upload(users[:1])
    with psycopg.connect(service.dsn) as other:
        other.execute("update app.users set phone = '1' where email = %s", [users[0]["email"]])
        users[0]["name"] = "Eve"
        begun = time.monotonic()
        reply = client.upload(users, key)
        assert 29 < time.monotonic() - begun < 45
    assert "nothing was written" in refused(reply, 503)
    assert len(stored(database, users)) == 1
    assert client.upload(users, key).json()["summary"] == {"total": 2, "inserted": 1, "updated": 1}


def test_beside_a_running_import_it_does_not_wait_for_its_turn(
    client: BulkClient, database: psycopg.Connection
) -> None:
    reply = client.http.post(
        "/v1/imports",
        params={"resource": "users"},
        content=new_users(100_000),
        headers={"Content-Type": "text/csv"},
    )
    running, seconds = reply.headers["location"], []
    while client.http.get(running).json()["status"] in ("pending", "processing"):
        begun = time.monotonic()
        assert client.upload(some(100)).json()["summary"]["inserted"] == 100
        seconds.append(time.monotonic() - begun)
    assert client.http.get(running).json()["counts"]["inserted"] == 100_000
    assert len(seconds) > 2
    assert sorted(seconds)[len(seconds) // 2] < 10


def test_the_api_key_binds(start_service: Any) -> None:
    guarded = start_service(SLUICE_API_KEYS="of-the-operator")
    with psycopg.connect(guarded.dsn, autocommit=True) as conn, ExitStack() as stack:

        def holder(**given: Any) -> BulkClient:
            client = BulkClient(guarded.url)
            stack.enter_context(client.http)
            client.http.headers["X-API-Key"] = new_key(conn, **given)
            return client

        nobody = holder()
        del nobody.http.headers["X-API-Key"]
        refused(nobody.upload(some(1)), 401)
        refused(holder(scopes=["export"]).upload(some(1)), 403)
        refused(holder(resources=["articles"]).upload(some(1)), 403)
        limited = holder(rate_limit=1)
        assert {limited.upload(some(1)).status_code for _ in range(3)} == {200, 429}
        # an id belongs to its key
        key, users = str(uuid4()), some(1)
        assert "duplicate" not in holder().upload(users, key).json()
        assert "duplicate" not in holder().upload(users, key).json()
        writes_as_its_role(conn, holder)


def new_key(conn: psycopg.Connection, **given: Any) -> str:
    """A key made by SQL."""
    arguments = "".join(f", {name} => %s" for name in given)
    row = conn.execute(
        f"select sluice.create_api_key(%s{arguments})".encode(), [uuid4().hex, *given.values()]
    ).fetchone()
    assert row
    return str(row[0])


def writes_as_its_role(conn: psycopg.Connection, holder: Callable[..., BulkClient]) -> None:
    conn.execute("do $$ begin create role bulk_writer; exception when others then null; end $$")
    conn.execute("grant usage on schema app to bulk_writer")
    conn.execute("grant execute on all functions in schema app to bulk_writer")
    conn.execute("grant select on app.users to bulk_writer")
    writer = holder(role="bulk_writer")
    refused(writer.upload(some(1)), 403)
    conn.execute("grant insert, update on app.users to bulk_writer")
    conn.execute("alter table app.users enable row level security")
    conn.execute("create policy readers on app.users to bulk_writer using (name <> 'Root')")
    assert writer.upload(some(1)).status_code == 200
    told = refused(writer.upload([*some(1), *some(1, name="Root")]), 400)
    assert told.startswith("record at index 1: ")
