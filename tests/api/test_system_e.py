"""System E: users with their addresses from a file of the import folder, as its clients call it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from .curl import curl

PATH = "/api/v1/imports/users"


class ImportClient:
    """A client in that system's shape: post, then ask until the job has ended."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def start(self, source_path: Any) -> httpx.Response:
        """One call."""
        return self.http.post(PATH, json={"source_path": source_path})

    def run(self, source_path: str) -> dict[str, Any]:
        """The job of an import that was queued, when it has ended."""
        begun = self.start(source_path)
        assert begun.status_code == 202, begun.text
        data = begun.json()["data"]
        assert data == {"job_id": data["job_id"], "status": "queued"}
        return self.ended(data["job_id"])

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended."""
        until = time.monotonic() + 30
        while True:
            reply = self.http.get(f"{PATH}/{job_id}")
            assert reply.status_code == 200, reply.text
            job: dict[str, Any] = reply.json()["data"]
            assert job["status"] in ("queued", "processing", "completed", "failed")
            if job["status"] in ("completed", "failed"):
                return job
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.fixture(scope="module")
def folder(open_tmp: Path) -> Path:
    """What the service has as SLUICE_IMPORT_DIR."""
    made = open_tmp / f"import-{uuid4().hex}"
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def service(start_service: Any, folder: Path) -> Any:
    return start_service(SLUICE_IMPORT_DIR=str(folder))


@pytest.fixture(scope="module")
def client(service: Any) -> Iterator[ImportClient]:
    with httpx.Client(base_url=service.url, timeout=40) as http:
        yield ImportClient(http)


def people(count: int) -> list[dict[str, Any]]:
    """Users of that system: an id of its own, addresses, keys that mean nothing here."""
    tag = uuid4().hex[:8]
    return [
        {
            "id": number,
            "name": f"User {number}",
            "email": f"u{number}.{tag}@example.org",
            "phone": "+49 30 1",
            "favourite_colour": "red",
            "addresses": [
                {"id": 10 * number, "street": f"{number} High St", "city": "York", "zone": 1},
                {"id": 10 * number + 1, "street": "Side St", "city": "Bath", "country": "UK"},
            ],
        }
        for number in range(count)
    ]


def with_ids(users: list[dict[str, Any]], start: int) -> list[dict[str, Any]]:
    """The same with ids that no other test has."""
    for number, user in enumerate(users):
        user["id"] = start + number
    return users


def code_of(reply: httpx.Response, status: int) -> str:
    """The code of a refusal in that system's shape."""
    assert reply.status_code == status, reply.text
    assert list(reply.json()) == ["error"]
    error = reply.json()["error"]
    assert list(error) == ["code", "message"]
    assert error["message"]
    return str(error["code"])


def test_the_documented_curl_lines(service: Any, client: ImportClient, folder: Path) -> None:
    (folder / "users_data.json").write_text(json.dumps(people(3)))
    begun = curl(
        """curl -X POST http://localhost:8080/api/v1/imports/users \\
          -H "Content-Type: application/json" \\
          -d '{"source_path": "users_data.json"}'""",
        service.url,
    )
    assert begun.status == 202
    data = begun.json()["data"]
    assert data == {"job_id": data["job_id"], "status": "queued"}
    client.ended(data["job_id"])
    shown = curl(f"curl http://localhost:8080/api/v1/imports/users/{data['job_id']}", service.url)
    assert shown.status == 200
    job = shown.json()["data"]
    assert (job["job_id"], job["status"]) == (data["job_id"], "completed")
    assert (job["imported_count"], job["updated_count"], job["failed_count"]) == (3, 0, 0)
    assert job["ignored_fields"] == ["favourite_colour"]
    assert job["source_path"] == "users_data.json"


@pytest.mark.parametrize("form", ["array", "ndjson"])
def test_a_second_run_finds_its_users_again(
    client: ImportClient, folder: Path, database: psycopg.Connection, form: str
) -> None:
    users = with_ids(people(20), {"array": 1000, "ndjson": 2000}[form])
    users[3]["email"] = "nobody"
    text = json.dumps(users) if form == "array" else "\n".join(map(json.dumps, users))
    (folder / f"{form}.json").write_text(text)
    first = client.run(f"{form}.json")
    assert (first["imported_count"], first["updated_count"], first["failed_count"]) == (19, 0, 1)
    written = database.execute("select max(updated_at) from app.users").fetchone()
    users[0] |= {"name": "Renamed", "email": f"new.{uuid4().hex}@example.org"}
    users[1]["addresses"] = [{"street": "New St", "city": "Hull"}]
    text = json.dumps(users) if form == "array" else "\n".join(map(json.dumps, users))
    (folder / f"{form}.json").write_text(text)
    second = client.run(f"{form}.json")
    assert (second["imported_count"], second["updated_count"]) == (0, 19)
    found = database.execute(
        "select name, email, role from app.users where external_id = %s", [str(users[0]["id"])]
    ).fetchone()
    # found by its id though the e-mail is another
    assert found == ("Renamed", users[0]["email"], "reader")
    changed = database.execute(
        "select count(*) from app.users where updated_at > %s", written
    ).fetchone()
    assert changed == (1,)
    assert streets(database, users[1]) == ["New St"]
    assert streets(database, users[2]) == ["2 High St", "Side St"]


def streets(database: psycopg.Connection, user: dict[str, Any]) -> list[str]:
    """The streets of a user's addresses in their order."""
    rows = database.execute(
        "select a.street from app.addresses as a join app.users as u on a.user_id = u.id"
        " where u.email = %s order by a.position",
        [user["email"]],
    ).fetchall()
    return [street for (street,) in rows]


def test_an_id_of_any_type_is_the_external_id(
    client: ImportClient, folder: Path, database: psycopg.Connection
) -> None:
    ids = [987654, "u-17", str(uuid4()), 1.50, True]
    users = people(len(ids))
    for user, number in zip(users, ids, strict=True):
        user["id"] = number
    (folder / "ids.json").write_text(json.dumps(users).replace("1.5,", "1.50,"))
    assert client.run("ids.json")["imported_count"] == len(ids)
    rows = database.execute(
        "select external_id from app.users where email = any(%s)"
        " order by array_position(%s, email)",
        [[user["email"] for user in users]] * 2,
    ).fetchall()
    assert [kept for (kept,) in rows] == ["987654", "u-17", ids[2], "1.50", "true"]


def test_by_email_when_the_id_is_new_and_a_role_is_kept(
    client: ImportClient, folder: Path, database: psycopg.Connection
) -> None:
    users = with_ids(people(2), 5000)
    database.execute(
        "insert into app.users (email, name, role) values (%s, 'Old', 'author')",
        [users[0]["email"]],
    )
    users[1]["role"] = "editor"
    (folder / "email.json").write_text(json.dumps(users))
    job = client.run("email.json")
    assert (job["imported_count"], job["updated_count"]) == (1, 1)
    rows = database.execute(
        "select name, role, external_id from app.users where email = any(%s) order by external_id",
        [[user["email"] for user in users]],
    ).fetchall()
    assert rows == [("User 0", "author", "5000"), ("User 1", "editor", "5001")]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("users_data.csv", "source_path must be a .json file"),
        ("users_data", "source_path must be a .json file"),
        ("users.json.gz", "source_path must be a .json file"),
        ("", "source_path is required"),
        ("   ", "source_path is required"),
        (None, "source_path is required"),
        (7, "source_path is required"),
        ("../users.json", "leads out of SLUICE_IMPORT_DIR"),
        ("a/../../users.json", "leads out of SLUICE_IMPORT_DIR"),
        ("/etc/users.json", "leads out of SLUICE_IMPORT_DIR"),
        ("a\nb.json", "source_path"),
        ("x" * 9000 + ".json", "source_path"),
    ],
)
def test_a_source_that_cannot_be_is_refused_at_once(
    client: ImportClient, path: Any, told: str
) -> None:
    reply = client.start(path)
    assert code_of(reply, 400) == "invalid_source"
    assert told in reply.json()["error"]["message"]


def test_a_request_without_source_path_is_refused(client: ImportClient) -> None:
    assert code_of(client.http.post(PATH, json={}), 400) == "invalid_source"
    assert client.http.post(PATH, json={"sourcePath": "none.json"}).status_code == 202


def test_a_nul_in_the_path_is_refused(client: ImportClient) -> None:
    reply = client.http.post(PATH, content=b'{"source_path": "a\\u0000.json"}')
    assert reply.status_code == 400
    assert list(reply.json()["error"]) == ["code", "message"]


def test_the_folder_must_be_set(start_service: Any) -> None:
    bare = start_service()
    with httpx.Client(base_url=bare.url) as http:
        reply = http.post(PATH, json={"source_path": "users_data.json"})
        assert code_of(reply, 400) == "invalid_source"
        assert "SLUICE_IMPORT_DIR" in reply.json()["error"]["message"]
        csv = http.post(PATH, json={"source_path": "users_data.csv"})
        assert csv.json()["error"]["message"] == "source_path must be a .json file"


def test_all_other_errors_have_a_code(client: ImportClient) -> None:
    http = client.http
    assert code_of(http.post(PATH, content=b"{"), 400) == "invalid_request"
    assert code_of(http.post(PATH, content=b"[]"), 400) == "invalid_request"
    both = {"source_path": "users_data.json", "resource": "users"}
    assert code_of(http.post(PATH, json=both), 400) == "invalid_request"
    assert code_of(http.get(f"{PATH}/{uuid4()}"), 404) == "not_found"
    assert code_of(http.get(f"{PATH}/17"), 404) == "not_found"
    assert code_of(http.delete(f"{PATH}/{uuid4()}"), 405) == "method_not_allowed"
    assert code_of(http.put(PATH), 405) == "method_not_allowed"
    assert code_of(http.post(PATH, content=b" " * 1_100_000), 413) == "too_large"
    job = http.post(
        "/v1/imports",
        params={"resource": "articles"},
        content=b"slug,title\n",
        headers={"Content-Type": "text/csv"},
    ).json()
    assert code_of(http.get(f"{PATH}/{job['job_id']}"), 404) == "not_found"


def test_a_file_that_is_not_there_fails_the_job(client: ImportClient) -> None:
    job = client.run("missing.json")
    assert job["status"] == "failed"
    assert "missing.json" in job["error"]


def test_a_file_that_is_no_json_fails_the_job(client: ImportClient, folder: Path) -> None:
    (folder / "broken.json").write_text('[{"id": 1')
    job = client.run("broken.json")
    assert (job["status"], job["imported_count"]) == ("failed", 0)
    assert job["error"]


def test_the_view_shows_the_same(
    client: ImportClient, folder: Path, database: psycopg.Connection
) -> None:
    (folder / "view.json").write_text(json.dumps(with_ids(people(2), 7000)))
    job = client.run("view.json")
    row = database.execute(
        "select to_jsonb(i) from sluice.import_jobs as i where job_id = %s", [job["job_id"]]
    ).fetchone()
    assert row
    assert row[0].keys() == job.keys()
    times = {"created_at", "started_at", "completed_at"}
    assert {k: v for k, v in row[0].items() if k not in times} == {
        k: v for k, v in job.items() if k not in times
    }


def test_an_idempotency_key_makes_one_job(client: ImportClient, folder: Path) -> None:
    (folder / "once.json").write_text("[]")
    headers = {"Idempotency-Key": uuid4().hex}
    first, again = (
        client.http.post(PATH, json={"source_path": "once.json"}, headers=headers) for _ in "12"
    )
    assert again.json()["data"]["job_id"] == first.json()["data"]["job_id"]
    assert again.headers["idempotent-replayed"] == "true"
    other = client.http.post(PATH, json={"source_path": "view.json"}, headers=headers)
    assert code_of(other, 422) == "conflict"


def test_the_api_key_binds(start_service: Any, folder: Path) -> None:
    guarded = start_service(SLUICE_API_KEYS="of-the-operator", SLUICE_IMPORT_DIR=str(folder))
    body = {"source_path": "users_data.json"}
    with httpx.Client(base_url=guarded.url) as http, psycopg.connect(guarded.dsn) as conn:
        assert code_of(http.post(PATH, json=body), 401) == "unauthorized"
        assert code_of(http.get(f"{PATH}/{uuid4()}"), 401) == "unauthorized"
        row = conn.execute(
            "select sluice.create_api_key('export', scopes => '{export}'),"
            " sluice.create_api_key('articles', resources => '{articles}'),"
            " sluice.create_api_key('import', scopes => '{import}')"
        ).fetchone()
        conn.commit()
        assert row
        for key in row[:2]:
            refused = http.post(PATH, json=body, headers={"X-API-Key": key})
            assert code_of(refused, 403) == "forbidden"
        allowed = http.post(PATH, json=body, headers={"Authorization": f"Bearer {row[2]}"})
        assert allowed.status_code == 202
