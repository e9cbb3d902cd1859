"""System C (Nest): its documented calls as curl lines, and a client in its shape."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest

from ..bucket import bucket
from ..conftest import Service, address, serve, stop
from ..origin import Origin, running
from .conftest import is_problem
from .curl import curl
from .earlier import body, tag, until_over

KEY = "of-a-nest-client"
AUTHORIZED = f'-H "X-API-Key: {KEY}"'
TIMES = {"startedAt", "completedAt", "createdAt", "updatedAt"}
IMPORT_KEYS = TIMES | {
    "id",
    "resourceType",
    "status",
    "error",
    "totalRows",
    "processedRows",
    "successfulRows",
    "failedRows",
    "skippedRows",
    "progressPercentage",
    "errors",
    "metrics",
}
EXPORT_KEYS = TIMES | {
    "id",
    "resourceType",
    "status",
    "error",
    "format",
    "totalRows",
    "exportedRows",
    "progressPercentage",
    "fileSize",
    "expiresAt",
    "downloadUrl",
    "metrics",
}


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """Where files stand that are imported by URL."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def system(start_service: Any, origin: Origin) -> Any:
    """A service whose clients have keys of system C."""
    return start_service(
        SLUICE_API_KEYS=f"{KEY}:nest,of-the-operator", SLUICE_URL_HOSTS=origin.host
    )


class Nest:
    """A client as that system's users wrote it."""

    def __init__(self, base: str, key: str = KEY) -> None:
        self.http = httpx.Client(base_url=base, headers={"X-API-Key": key}, timeout=60)

    def upload(self, resource: str, name: str, content: bytes, **options: str) -> dict[str, Any]:
        """The finished job of a file."""
        reply = self.http.post(
            "/v1/imports",
            data={"resourceType": resource, **options},
            files={"file": (name, content)},
        )
        assert reply.status_code == 202, reply.text
        assert reply.json().keys() == IMPORT_KEYS
        return until_over(lambda: self.http.get(f"/v1/imports/{reply.json()['id']}").json())

    def export(self, **asked: Any) -> dict[str, Any]:
        """The finished export."""
        reply = self.http.post("/v1/exports", json=asked)
        assert reply.status_code == 202, reply.text
        assert reply.json().keys() == EXPORT_KEYS
        return until_over(lambda: self.http.get(f"/v1/exports/{reply.json()['id']}").json())


@pytest.fixture(scope="module")
def client(system: Any) -> Iterator[Nest]:
    made = Nest(system.url)
    with made.http:
        yield made


def test_a_file_is_posted_by_the_documented_curl_line(system: Any, tmp_path: Path) -> None:
    mark = tag()
    lines = ["email,name,role", f"{mark}@example.org,Ann,reader", "nobody,Bob,boss"]
    (tmp_path / "users.csv").write_text("\n".join(lines))
    line = f"""curl -X POST http://localhost:8080/v1/imports {AUTHORIZED} \\
      -H "Idempotency-Key: {mark}" -F "file=@users.csv" -F "resourceType=users" """
    reply = curl(line, system.url, tmp_path)
    assert (reply.status, reply.json()["resourceType"]) == (202, "users")
    assert reply.json().keys() == IMPORT_KEYS
    job_line = f"curl http://localhost:8080/v1/imports/{reply.json()['id']} {AUTHORIZED}"
    job = until_over(lambda: curl(job_line, system.url).json())
    assert job.keys() == IMPORT_KEYS
    assert [job[name] for name in ("status", "error", "totalRows", "processedRows")] == [
        "completed",
        None,
        2,
        2,
    ]
    assert [job[name] for name in ("successfulRows", "failedRows", "skippedRows")] == [1, 1, 0]
    assert job["progressPercentage"] == 100
    assert [error.keys() for error in job["errors"]] == [{"row", "field", "message", "value"}] * 2
    assert {(error["row"], error["field"], error["value"]) for error in job["errors"]} == {
        (2, "email", "nobody"),
        (2, "role", "boss"),
    }
    assert job["metrics"].keys() == {"rowsPerSecond", "errorRate", "durationMs"}
    assert job["metrics"]["errorRate"] == 0.5
    assert job["createdAt"] <= job["startedAt"] <= job["completedAt"] == job["updatedAt"]
    again = curl(line, system.url, tmp_path)
    assert (again.json()["id"], again.json()["duplicate"]) == (job["id"], True)


def test_a_json_body_names_resource_type_and_file_url(system: Any, origin: Origin) -> None:
    url = origin.put("/users.csv", f"email,name,role\n{tag()}@example.org,A,reader\n".encode())
    line = f"""curl -X POST http://localhost:8080/v1/imports {AUTHORIZED} \\
      -H "Content-Type: application/json" -d '{{"resourceType": "users", "fileUrl": "{url}"}}'"""
    reply = curl(line, system.url)
    assert (reply.status, reply.json()["resourceType"]) == (202, "users")
    job_line = f"curl http://localhost:8080/v1/imports/{reply.json()['id']} {AUTHORIZED}"
    job = until_over(lambda: curl(job_line, system.url).json())
    assert (job["status"], job["totalRows"], job["successfulRows"]) == ("completed", 1, 1)


def test_rows_that_were_dropped_or_never_reached_are_skipped(client: Nest) -> None:
    mark = tag()
    twice = f"email,name,role\n{mark}@example.org,A,reader\n{mark}@example.org,B,reader\n".encode()
    job = client.upload("users", "users.csv", twice, onDuplicate="last")
    assert [job[name] for name in ("successfulRows", "failedRows", "skippedRows")] == [1, 0, 1]
    bad = f"email,name,role\n{tag()}@example.org,A,reader\nnobody,B,reader\n".encode()
    job = client.upload("users", "users.csv", bad, atomic="true")
    assert job["status"] == "failed"
    assert job["error"]
    counts = [job[name] for name in ("totalRows", "successfulRows", "failedRows", "skippedRows")]
    assert counts[0] == sum(counts[1:]) == 2
    assert job["processedRows"] == 2 - counts[3]


def test_a_job_that_waits_has_processed_nothing(client: Nest, system: Any) -> None:
    content = f"email,name,role\n{tag()}@example.org,A,reader\n".encode()
    with psycopg.connect(system.dsn) as blocker:
        blocker.execute("lock table app.users in share mode")
        reply = client.http.post(
            "/v1/imports",
            params={"resourceType": "users"},
            files={"file": ("users.csv", content)},
        ).json()
        assert (reply["totalRows"], reply["processedRows"], reply["skippedRows"]) == (1, 0, 0)
        assert reply["status"] in ("pending", "processing")
        assert reply["progressPercentage"] < 100
        assert reply["completedAt"] is None
        blocker.rollback()
    job = until_over(lambda: client.http.get(f"/v1/imports/{reply['id']}").json())
    assert job["processedRows"] == 1


def test_unknown_fields_are_ignored_and_errors_are_at_most_a_hundred(client: Nest) -> None:
    lines = "\n".join(f"nobody {number},,boss,x" for number in range(60))
    job = client.upload("users", "users.csv", f"email,name,role,nickname\n{lines}\n".encode())
    assert job["failedRows"] == 60
    assert len(job["errors"]) == 100


def test_a_key_made_in_sql_has_its_profile(system: Any) -> None:
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        found = connection.execute(
            "select sluice.create_api_key(%s, resources => '{users}', profile => 'nest')", [tag()]
        ).fetchone()
    assert found
    client = Nest(system.url, found[0])
    with client.http:
        content = f"email,name,role\n{tag()}@example.org,A,reader\n".encode()
        job = client.upload("users", "users.csv", content)
        listed = client.http.get("/v1/imports").json()["jobs"]
    assert job["successfulRows"] == 1
    assert {entry["resourceType"] for entry in listed} == {"users"}


def test_lists_have_the_same_shape(client: Nest) -> None:
    content = f"email,name,role\n{tag()}@example.org,A,reader\n".encode()
    made = client.upload("users", "users.csv", content)
    page = client.http.get("/v1/jobs", params={"limit": "1"}).json()
    assert page.keys() == {"jobs", "next"}
    assert page["jobs"][0].keys() == IMPORT_KEYS - {"errors"}
    assert page["jobs"][0]["id"] == made["id"]


def test_an_export_is_downloaded_by_its_link_alone(system: Any) -> None:
    line = f"""curl -X POST http://localhost:8080/v1/exports {AUTHORIZED} \\
      -H "Content-Type: application/json" \\
      -d '{{"resourceType": "users", "format": "csv",
            "filters": {{"createdAfter": "2024-01-01"}}}}'"""
    reply = curl(line, system.url)
    assert reply.status == 202
    assert reply.json().keys() == EXPORT_KEYS
    assert (reply.json()["totalRows"], reply.json()["downloadUrl"]) == (None, None)
    job_line = f"curl http://localhost:8080/v1/exports/{reply.json()['id']} {AUTHORIZED}"
    job = until_over(lambda: curl(job_line, system.url).json())
    assert job.keys() == EXPORT_KEYS
    assert (job["resourceType"], job["format"], job["status"]) == ("users", "csv", "completed")
    assert job["totalRows"] == job["exportedRows"]
    assert job["metrics"].keys() == {"rowsPerSecond", "totalBytes", "durationMs"}
    assert job["fileSize"] == job["metrics"]["totalBytes"]
    assert job["downloadUrl"].startswith(f"{system.url}/v1/exports/{job['id']}/download?token=")
    file = curl(f'curl "{job["downloadUrl"]}"', system.url)
    assert file.status == 200
    assert len(file.body.encode()) == job["fileSize"]
    part = curl(f'curl -r 0-4 "{job["downloadUrl"]}"', system.url)
    assert (part.status, part.body) == (206, file.body[:5])


def test_a_link_is_good_for_its_own_export_only(client: Nest, system: Any) -> None:
    first, second = (client.export(resourceType="users", format="csv") for _ in range(2))
    token = first["downloadUrl"].partition("token=")[2]
    path = f"/v1/exports/{second['id']}/download"
    for wrong in (token, "", token[:-1], "A" * 10_000, "A" * 42 + "\x00", "\u00e9" * 43):
        refused = httpx.get(f"{system.url}{path}", params={"token": wrong})
        assert "this link is not good" in is_problem(refused, 403)["detail"]
    # who has a key needs no link
    assert client.http.get(path, params={"token": token}).status_code == 200
    is_problem(httpx.get(f"{system.url}/v1/exports/{first['id']}", params={"token": token}), 401)


def test_a_link_ends_with_the_file(client: Nest, system: Any) -> None:
    job = client.export(resourceType="users", format="csv", expiresIn=60)
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        connection.execute(
            "update sluice.export_file set expires_at = now() where job_id = %s", [job["id"]]
        )
    is_problem(httpx.get(job["downloadUrl"]), 410)
    over = client.http.get(f"/v1/exports/{job['id']}").json()
    assert over["downloadUrl"] is None


def test_who_voids_the_secret_voids_all_links(client: Nest, system: Any) -> None:
    job = client.export(resourceType="users", format="csv")
    assert httpx.get(job["downloadUrl"]).status_code == 200
    with psycopg.connect(system.dsn, autocommit=True) as connection:
        connection.execute("delete from sluice.link_secret")
    is_problem(httpx.get(job["downloadUrl"]), 403)
    anew = client.http.get(f"/v1/exports/{job['id']}").json()["downloadUrl"]
    assert httpx.get(anew).status_code == 200


def test_the_log_does_not_hold_the_token_and_the_link_names_the_public_address(
    databases: Any, open_tmp: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    dsn = databases.create("system_c_log", databases.template)
    process = serve(
        cwd=open_tmp,
        DATABASE_URL=dsn,
        SLUICE_API_PROFILE="nest",
        SLUICE_API_PREFIX="api",
        SLUICE_PUBLIC_URL="https://bulk.example.org",
    )
    try:
        service = Service(address(process), dsn, process)
        with httpx.Client(base_url=service.url) as http:
            made = http.post("/api/exports", json={"resourceType": "users"}).json()
            job = until_over(lambda: http.get(f"/api/exports/{made['id']}").json())
            url = urlsplit(job["downloadUrl"])
            assert (url.scheme, url.netloc) == ("https", "bulk.example.org")
            assert url.path == f"/api/exports/{made['id']}/download"
            assert http.get(f"{url.path}?{url.query}").status_code == 200
            assert http.get(f"{url.path}?{url.query}x").status_code == 403
    finally:
        stop(process)
        databases.drop("system_c_log")
    told = capfd.readouterr().err
    assert f"{made['id']}/download" in told
    assert url.query.partition("=")[2] not in told


def test_rows_are_filtered_by_time_and_author(client: Nest, system: Any) -> None:
    number, mark = str(uuid4()), tag()
    user = f"id,email,name,role\n{number},{mark}@example.org,Ann,author\n".encode()
    assert client.upload("users", "users.csv", user)["successfulRows"] == 1
    articles = "".join(
        json.dumps(
            {
                "slug": f"{mark}-{year}",
                "title": "T",
                "content": body(),
                "authorId": number,
                "createdAt": f"{year}-05-31T00:00:00Z",
            }
        )
        + "\n"
        for year in (2023, 2025)
    )
    job = client.upload("articles", "articles.ndjson", articles.encode())
    assert (job["successfulRows"], job["errors"]) == (2, [])
    filters = {"createdAfter": "2024-01-01T00:00:00Z", "authorId": number}
    made = client.export(resourceType="articles", format="ndjson", filters=filters)
    assert made["exportedRows"] == 1
    line = f"""curl "http://localhost:8080/v1/exports?resourceType=articles&format=ndjson\\
&authorId={number}&createdAfter=2024-01-01&fields=slug" {AUTHORIZED}"""
    streamed = curl(line.replace("\\\n", ""), system.url)
    assert streamed.body == json.dumps({"slug": f"{mark}-2025"}, separators=(",", ":")) + "\n"


def test_files_in_a_bucket_of_that_system_are_linked_to_there(start_service: Any) -> None:
    with bucket() as shelf:
        known = shelf.environ
        theirs = {
            "AWS_S3_BUCKET": shelf.name,
            "AWS_S3_ENDPOINT": shelf.url,
            **{
                name: known[name] for name in known if name.startswith("AWS_") and "URL" not in name
            },
        }
        linked = start_service(SLUICE_API_PROFILE="nest", **theirs)
        client = Nest(linked.url)
        with client.http:
            client.http.headers.pop("X-API-Key")
            job = client.export(resourceType="users", format="csv")
            assert job["downloadUrl"].startswith(f"{shelf.url}/{shelf.name}/exports/")
            assert "X-Amz-Signature=" in job["downloadUrl"]
            file = httpx.get(job["downloadUrl"])
            assert (file.status_code, len(file.content)) == (200, job["fileSize"])
            page = client.http.get("/v1/jobs", params={"kind": "export"}).json()
            [listed] = [entry for entry in page["jobs"] if entry["id"] == job["id"]]
            # of a list each leads there by way of the service
            found = httpx.get(listed["downloadUrl"], follow_redirects=True)
            assert found.content == file.content
        proxied = start_service(beside=linked, SLUICE_DOWNLOADS="proxy", **theirs)
        with httpx.Client(base_url=proxied.url) as http:
            seen = http.get(f"/v1/exports/{job['id']}", headers={"Accept-Profile": "nest"}).json()
        assert seen["downloadUrl"].startswith(f"{proxied.url}/v1/exports/{job['id']}/download?")
        assert httpx.get(seen["downloadUrl"]).content == file.content
