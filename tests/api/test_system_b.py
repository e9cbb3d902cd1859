"""System B (realworld): its documented calls as curl lines, and a client in its shape."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from ..origin import Origin, running
from .conftest import is_problem
from .curl import curl
from .earlier import body, tag, until_over

KEY = "of-a-realworld-client"
AUTHORIZED = f'-H "Authorization: Token {KEY}"'
JOB_KEYS = {
    "job_id",
    "id",
    "type",
    "resource",
    "format",
    "status",
    "error",
    "createdAt",
    "startedAt",
    "completedAt",
    "totalRecords",
    "successCount",
    "errorCount",
    "errors",
}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """Where files stand that are imported by URL."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def system(start_service: Any, origin: Origin) -> Any:
    """A service whose clients have keys of system B."""
    return start_service(
        SLUICE_API_KEYS=f"{KEY}:realworld,of-the-operator", SLUICE_URL_HOSTS=origin.host
    )


class Realworld:
    """A client as that system's users wrote it."""

    def __init__(self, base: str) -> None:
        headers = {"Authorization": f"Token {KEY}"}
        self.http = httpx.Client(base_url=base, headers=headers, timeout=60)

    def upload(self, resource: str, name: str, content: bytes, **options: str) -> str:
        """The id of the job that was accepted."""
        reply = self.http.post(
            "/v1/imports", params={"resource": resource, **options}, files={"file": (name, content)}
        )
        assert reply.status_code == 202, reply.text
        assert reply.json() == {"job_id": reply.json()["job_id"], "status": "accepted"}
        job_id: str = reply.json()["job_id"]
        return job_id

    def job(self, job_id: str, kind: str = "imports") -> dict[str, Any]:
        """The job as it is when it is over."""
        return until_over(lambda: self.http.get(f"/v1/{kind}/{job_id}").json())


@pytest.fixture(scope="module")
def client(system: Any) -> Iterator[Realworld]:
    made = Realworld(system.url)
    with made.http:
        yield made


@pytest.fixture(scope="module")
def author(system: Any) -> str:
    """The id of a user who has written two articles, one of them published."""
    number, mark = str(uuid4()), tag()
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        connection.execute(
            "insert into app.users (id, email, name, role) values (%s, %s, 'Ann', 'author')",
            [number, f"{mark}@example.org"],
        )
        for place, status in enumerate(("published", "draft")):
            connection.execute(
                "insert into app.articles (slug, title, body, author_id, status, published_at)"
                " values (%s, 'Title', %s, %s, %s, %s)",
                [
                    f"{mark}-{place}",
                    body(),
                    number,
                    status,
                    "2024-05-31" if status == "published" else None,
                ],
            )
    return number


def test_a_file_is_posted_by_the_documented_curl_line(system: Any, tmp_path: Path) -> None:
    mark = tag()
    (tmp_path / "users.csv").write_text(f"email,name,role\n{mark}@example.org,Ann,reader\n")
    line = f"""curl -X POST "http://localhost:8080/v1/imports?resource=users" \\
      {AUTHORIZED} -H "Idempotency-Key: {mark}" -F "file=@users.csv" """
    reply = curl(line, system.url, tmp_path)
    assert reply.status == 202
    assert list(reply.json()) == ["job_id", "status"]
    assert reply.json()["status"] == "accepted"
    again = curl(line, system.url, tmp_path)
    assert again.json() == {**reply.json(), "duplicate": True}
    job_line = f'curl "http://localhost:8080/v1/imports/{reply.json()["job_id"]}" {AUTHORIZED}'
    job = until_over(lambda: curl(job_line, system.url).json())
    assert job.keys() == JOB_KEYS
    assert (job["totalRecords"], job["successCount"], job["errorCount"]) == (1, 1, 0)
    assert (job["status"], job["error"], job["errors"]) == ("completed", None, [])


def test_a_json_body_names_a_url(system: Any, origin: Origin, author: str) -> None:
    article = {"slug": f"a-{tag()}", "title": "T", "body": body(), "authorId": author}
    url = origin.put("/articles.ndjson", (json.dumps(article) + "\n").encode())
    line = f"""curl -X POST "http://localhost:8080/v1/imports?resource=articles" {AUTHORIZED} \\
      -H "Content-Type: application/json" -d '{{"url": "{url}"}}'"""
    reply = curl(line, system.url)
    assert (reply.status, reply.json()["status"]) == (202, "accepted")
    job_line = f"curl http://localhost:8080/v1/imports/{reply.json()['job_id']} {AUTHORIZED}"
    job = until_over(lambda: curl(job_line, system.url).json())
    assert (job["status"], job["totalRecords"], job["successCount"]) == ("completed", 1, 1)


def test_errors_are_one_for_each_record_of_csv(client: Realworld) -> None:
    mark = tag()
    lines = [
        "email,name,role,active",
        f"{mark}@example.org,Ann,reader,true",
        "nobody,,boss,maybe",
        f"{mark}2@example.org,Bob",
    ]
    job = client.job(client.upload("users", "users.csv", "\n".join(lines).encode()))
    assert (job["totalRecords"], job["successCount"], job["errorCount"]) == (3, 1, 2)
    judged, malformed = job["errors"]
    told = client.http.get(f"/v1/imports/{job['id']}/errors").json()["errors"]
    messages = [error["message"] for error in told if error["row"] == 2]
    assert len(messages) >= 3
    assert judged == {
        "recordIndex": 2,
        "errorMessage": "; ".join(messages),
        "errorType": "VALIDATION_ERROR",
        "fields": [error["field"] for error in told if error["row"] == 2],
        "recordData": {"email": "nobody", "name": None, "role": "boss", "active": "maybe"},
    }
    assert malformed["recordIndex"] == 3
    assert malformed["recordData"] == f"{mark}2@example.org,Bob"
    assert job["startedAt"] < job["completedAt"]


def test_errors_of_json_hold_the_record_as_an_object(client: Realworld) -> None:
    bad = {"email": "nobody", "name": "N", "role": "reader", "metadata": {"a": [1, None]}}
    content = json.dumps(bad) + '\n{"email": "x", \n[1]\n{"email": "b\\u0000"}\n'
    job = client.job(client.upload("users", "users.ndjson", content.encode()))
    assert [error["recordIndex"] for error in job["errors"]] == [1, 2, 3, 4]
    assert [error["recordData"] for error in job["errors"]] == [
        bad,
        '{"email": "x", ',
        "[1]",
        '{"email": "b\\u0000"}',
    ]
    assert {error["errorType"] for error in job["errors"]} == {"VALIDATION_ERROR"}


def test_what_only_the_write_reveals_is_an_internal_error(client: Realworld, system: Any) -> None:
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        connection.execute(
            """
            create function app.refuse_eve() returns trigger language plpgsql as $$
            begin
                if new.name = 'Eve' then raise exception 'no Eve here'; end if;
                return new;
            end $$;
            create trigger no_eve after insert on app.users
            for each row execute function app.refuse_eve();
            """
        )
        mark = tag()
        content = f"email,name,role\n{mark}@example.org,Eve,reader\n{mark}b@example.org,B,reader\n"
        job = client.job(client.upload("users", "users.csv", content.encode()))
        connection.execute("drop trigger no_eve on app.users; drop function app.refuse_eve()")
    assert (job["successCount"], job["errorCount"]) == (1, 1)
    assert job["errors"][0]["errorType"] == "INTERNAL_ERROR"
    assert "no Eve here" in job["errors"][0]["errorMessage"]


def test_there_are_at_most_a_hundred_errors(client: Realworld) -> None:
    lines = "\n".join(f"nobody {number},,boss" for number in range(150))
    job = client.job(client.upload("users", "users.csv", f"email,name,role\n{lines}\n".encode()))
    assert job["errorCount"] == 150
    assert [error["recordIndex"] for error in job["errors"]] == list(range(1, 101))


def test_a_failed_job_counts_what_it_left_as_errors(client: Realworld) -> None:
    content = f"email,name,role\n{tag()}@example.org,A,reader\nnobody,B,reader\n".encode()
    job = client.job(client.upload("users", "users.csv", content, atomic="true"))
    assert job["status"] == "failed"
    assert job["error"]
    assert (job["totalRecords"], job["successCount"], job["errorCount"]) == (2, 0, 2)


def test_a_cancelled_job_reads_failed(client: Realworld, system: Any) -> None:
    content = f"email,name,role\n{tag()}@example.org,A,reader\n".encode()
    with psycopg.connect(system.dsn) as blocker:
        blocker.execute("lock table app.users in share mode")
        job_id = client.upload("users", "users.csv", content)
        cancelled = client.http.post(f"/v1/imports/{job_id}/cancel")
        blocker.rollback()
    assert cancelled.status_code == 202
    job = client.job(job_id)
    assert (job["status"], job["error"]) == ("failed", "cancelled")
    assert (job["totalRecords"], job["errorCount"]) == (1, 1)
    listed = client.http.get("/v1/imports", params={"status": "cancelled"}).json()["jobs"]
    assert [entry["status"] for entry in listed if entry["id"] == job_id] == ["failed"]


def test_unknown_fields_are_ignored_unless_the_request_says_otherwise(client: Realworld) -> None:
    content = f"email,name,role,nickname\n{tag()}@example.org,A,reader,Al\n".encode()
    assert client.job(client.upload("users", "users.csv", content))["errorCount"] == 0
    form = client.http.post(
        "/v1/imports",
        data={"resource": "users", "unknownFields": "reject"},
        files={"file": ("users.csv", content)},
    )
    assert "nickname" in is_problem(form, 400)["detail"]


@pytest.mark.parametrize("form", ["ndjson", "json"])
def test_rows_are_streamed_by_author_and_status(system: Any, author: str, form: str) -> None:
    line = f"""curl "http://localhost:8080/v1/exports?resource=articles&format={form}\\
&authorId={author}&status=published&fields=slug,authorId" {AUTHORIZED}"""
    text = curl(line.replace("\\\n", ""), system.url).body
    rows = json.loads(text) if form == "json" else [json.loads(row) for row in text.splitlines()]
    assert [list(row) for row in rows] == [["slug", "authorId"]]
    assert rows[0]["authorId"] == author


def test_an_export_is_asked_for_watched_and_downloaded(system: Any, author: str) -> None:
    line = f"""curl -X POST http://localhost:8080/v1/exports {AUTHORIZED} \\
      -H "Content-Type: application/json" \\
      -d '{{"resource": "articles", "format": "ndjson", "filters": {{"authorId": "{author}",
            "status": "published"}}, "fields": ["id", "title"]}}'"""
    reply = curl(line, system.url)
    assert reply.status == 202
    assert reply.json() == {"job_id": reply.json()["job_id"], "status": "accepted"}
    job_line = f"curl http://localhost:8080/v1/exports/{reply.json()['job_id']} {AUTHORIZED}"
    job = until_over(lambda: curl(job_line, system.url).json())
    assert (job["status"], job["totalRecords"]) == ("completed", 1)
    assert job["downloadUrl"] == f"/v1/exports/{reply.json()['job_id']}/download"
    file = curl(f'curl "http://localhost:8080{job["downloadUrl"]}" {AUTHORIZED}', system.url)
    assert [list(json.loads(row)) for row in file.body.splitlines()] == [["id", "title"]]


def test_the_resource_of_an_export_may_stand_in_the_query(client: Realworld) -> None:
    asked = {"resource": "users", "format": "json"}
    reply = client.http.post("/v1/exports", params=asked, json={"fields": ["email"]})
    assert reply.json()["status"] == "accepted"
    assert client.job(reply.json()["job_id"], "exports")["format"] == "json"
    alone = client.http.post("/v1/exports", params=asked)
    assert client.job(alone.json()["job_id"], "exports")["format"] == "json"
    other = client.http.post("/v1/exports", params=asked, json={"resource": "articles"})
    assert "'resource'" in is_problem(other, 400)["detail"]


def test_an_author_who_is_a_number_is_refused_by_field_and_type(client: Realworld) -> None:
    """The one printed call that cannot work: its integers never left its database."""
    asked = {"resource": "articles", "format": "ndjson", "filters": {"authorId": 123}}
    for refused in (
        client.http.post("/v1/exports", json=asked),
        client.http.get("/v1/exports", params={"resource": "articles", "authorId": "123"}),
    ):
        detail = is_problem(refused, 400)["detail"]
        assert "author_id" in detail
        assert "uuid" in detail


def test_the_shape_is_chosen_by_header_over_key_over_setting(start_service: Any) -> None:
    service = start_service(
        SLUICE_API_PROFILE="realworld", SLUICE_API_KEYS="of-nobody-else,of-a-nest-client:nest"
    )
    content = f"email,name,role\n{tag()}@example.org,A,reader\n".encode()

    def keys(key: str, **headers: str) -> set[str]:
        reply = httpx.post(
            f"{service.url}/v1/imports",
            params={"resource": "users"},
            content=content,
            headers={"X-API-Key": key, "Content-Type": "text/csv", **headers},
        )
        assert reply.status_code == 202, reply.text
        return set(reply.json())

    assert keys("of-nobody-else") == {"job_id", "status"}
    assert "resourceType" in keys("of-a-nest-client")
    assert keys("of-a-nest-client", **{"Accept-Profile": "realworld"}) == {"job_id", "status"}
    assert "counts" in keys("of-a-nest-client", **{"Accept-Profile": "default"})
    unknown = httpx.get(
        f"{service.url}/v1/jobs", headers={"X-API-Key": "of-nobody-else", "Accept-Profile": "x"}
    )
    assert "Accept-Profile" in is_problem(unknown, 406)["detail"]
