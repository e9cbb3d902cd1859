"""System D (Go): its documented calls as curl lines, and a client in its shape."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from ..origin import Origin, running
from .curl import curl
from .earlier import body, tag, until_over


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    """Where files stand that are imported by URL."""
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def system(start_service: Any, origin: Origin) -> Any:
    """A service as system D was run: no keys, on this machine."""
    return start_service(SLUICE_URL_HOSTS=origin.host)


def job_of(system: Any, reply: Any) -> dict[str, Any]:
    """The finished job of a reply that accepted it."""
    assert reply.status == 202, reply.body
    line = f"curl http://localhost:8080/v1/imports/{reply.json()['job_id']}"
    return until_over(lambda: curl(line, system.url).json())


@pytest.fixture(scope="module")
def people(system: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Users by role, the admin not active, who came in by the documented line."""
    folder, mark = tmp_path_factory.mktemp("people"), tag()
    ids = {role: str(uuid4()) for role in ("admin", "author", "reader")}
    lines = [
        f"{number},{role}.{mark}@example.org,Ann,{role},{str(role != 'admin').lower()}"
        for role, number in ids.items()
    ]
    (folder / "users.csv").write_text("\n".join(["id,email,name,role,active", *lines, ""]))
    line = """curl -X POST http://localhost:8080/v1/imports \\
      -F "file=@users.csv" -F "resource=users" """
    job = job_of(system, curl(line, system.url, folder))
    assert (job["status"], job["counts"]["inserted"]) == ("completed", 3)
    return ids


@pytest.mark.parametrize("field", ["resource", "resource_type"])
def test_the_resource_stands_behind_the_file(system: Any, tmp_path: Path, field: str) -> None:
    (tmp_path / "users.csv").write_text(f"email,name,role\n{tag()}@example.org,Ann,reader\n")
    line = f"""curl -X POST http://localhost:8080/v1/imports \\
      -H "Idempotency-Key: {tag()}" \\
      -F "file=@users.csv" \\
      -F "{field}=users" """
    first = curl(line, system.url, tmp_path)
    job = job_of(system, first)
    assert (job["resource"], job["counts"]["inserted"]) == ("users", 1)
    again = curl(line, system.url, tmp_path)
    assert (again.json()["job_id"], again.json()["duplicate"]) == (job["job_id"], True)


@pytest.mark.parametrize(
    "arguments",
    [
        """-H "Content-Type: application/json" -d '{"resource": "users", "file_url": "URL"}'""",
        """-F "file_url=URL" -F "resource_type=users" """,
        """-d "resource=users" -d "file_url=URL" """,
    ],
)
def test_a_file_url_is_fetched(system: Any, origin: Origin, arguments: str) -> None:
    content = f"email,name,role\n{tag()}@example.org,Ann,reader\n".encode()
    url = origin.put(f"/{tag()}/users.csv", content)
    line = f"curl -X POST http://localhost:8080/v1/imports {arguments.replace('URL', url)}"
    job = job_of(system, curl(line, system.url))
    assert (job["status"], job["counts"]["inserted"]) == ("completed", 1)


def test_a_json_file_may_be_lines_and_content_means_body(
    system: Any, people: dict[str, str], tmp_path: Path
) -> None:
    mark = tag()
    articles = [
        {"slug": f"{mark}-{n}", "title": "T", "content": body(), "author_id": people["author"]}
        for n in range(2)
    ]
    text = "".join(json.dumps(article) + "\n" for article in articles)
    (tmp_path / "articles.json").write_text(text)
    line = """curl -X POST http://localhost:8080/v1/imports \\
      -F "file=@articles.json" -F "resource=articles" """
    job = job_of(system, curl(line, system.url, tmp_path))
    assert (job["status"], job["counts"]["inserted"], job["errors"]) == ("completed", 2, [])
    for form in ("ndjson", "csv"):
        line = f"""curl "http://localhost:8080/v1/exports?resource=articles&format={form}\\
&author_id={people["author"]}&fields=slug,content" """
        out = curl(line.replace("\\\n", ""), system.url).body
        rows = (
            [json.loads(row) for row in out.splitlines()]
            if form == "ndjson"
            else list(csv.DictReader(io.StringIO(out)))
        )
        assert [list(row) for row in rows] == [["slug", "content"]] * 2
        assert {row["content"] for row in rows} == {body()}


def test_errors_are_read_by_limit_and_offset(system: Any, tmp_path: Path) -> None:
    lines = "\n".join(f"nobody {number},Ann,reader" for number in range(25))
    (tmp_path / "users.csv").write_text(f"email,name,role\n{lines}\n")
    line = """curl -X POST http://localhost:8080/v1/imports \\
      -F "file=@users.csv" -F "resource=users" """
    job = job_of(system, curl(line, system.url, tmp_path))
    assert (job["counts"]["received"], job["counts"]["rejected"]) == (25, 25)
    seen = []
    for offset in range(0, 30, 10):
        line = f"""curl "http://localhost:8080/v1/imports/{job["job_id"]}/errors\\
?limit=10&offset={offset}" """
        page = curl(line.replace("\\\n", ""), system.url).json()
        seen.append([error["row"] for error in page["errors"]])
    assert seen == [list(range(1, 11)), list(range(11, 21)), list(range(21, 26))]


def test_rows_are_filtered_by_role_and_active(system: Any, people: dict[str, str]) -> None:
    def ids(query: str) -> set[str]:
        line = f'curl "http://localhost:8080/v1/exports?resource=users&format=csv&{query}"'
        reply = curl(line, system.url)
        assert reply.headers["content-type"].startswith("text/csv")
        return {row["id"] for row in csv.DictReader(io.StringIO(reply.body))}

    assert ids("role=admin") == {people["admin"]}
    assert ids("active=false") == {people["admin"]}
    assert people["author"] in ids("active=true")
    assert ids("role=admin&active=true") == set()


@pytest.mark.parametrize("format_name", ["ndjson", "csv"])
def test_an_export_runs_later(system: Any, people: dict[str, str], format_name: str) -> None:
    line = f"""curl -X POST http://localhost:8080/v1/exports \\
      -H "Content-Type: application/json" \\
      -d '{{"resource": "users", "format": "{format_name}",
            "filters": {{"role": "admin", "active": false}}}}'"""
    reply = curl(line, system.url)
    assert reply.status == 202
    job_line = f"curl http://localhost:8080/v1/exports/{reply.json()['job_id']}"
    job = until_over(lambda: curl(job_line, system.url).json())
    assert (job["status"], job["exported"]) == ("completed", 1)
    file = curl(f"curl http://localhost:8080{job['download_url']}", system.url)
    assert people["admin"] in file.body


def test_probes_and_metrics_answer(system: Any) -> None:
    assert curl("curl http://localhost:8080/health", system.url).json()["status"] == "ok"
    assert curl("curl http://localhost:8080/ready", system.url).json()["status"] == "ready"
    assert curl("curl http://localhost:8080/live", system.url).json() == {"status": "alive"}
    metrics = curl("curl http://localhost:8080/metrics", system.url)
    assert metrics.status == 200
    assert "bulk_import_export_http_requests_total" in metrics.body


class Poller:
    """A client as that system's users wrote it: post, poll, page through the errors."""

    def __init__(self, base: str) -> None:
        self.http = httpx.Client(base_url=base, timeout=60)

    def load(self, resource: str, path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The finished job of a file, and all its errors."""
        with path.open("rb") as file:
            reply = self.http.post(
                "/v1/imports", files={"file": file, "resource": (None, resource)}
            )
        assert reply.status_code == 202, reply.text
        place = f"/v1/imports/{reply.json()['job_id']}"
        job = until_over(lambda: self.http.get(place).json())
        errors: list[dict[str, Any]] = []
        while page := self.http.get(
            f"{place}/errors", params={"limit": 2, "offset": len(errors)}
        ).json()["errors"]:
            errors += page
        return job, errors


def test_a_client_loads_a_file_and_collects_its_errors(system: Any, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text(
        f"email,name,role\n{tag()}@example.org,Ann,reader\nnobody,,boss\nno one,B,reader\n"
    )
    client = Poller(system.url)
    with client.http:
        job, errors = client.load("users", path)
    assert (job["status"], job["outcome"], job["counts"]["inserted"]) == ("completed", "partial", 1)
    assert {error["row"] for error in errors} == {2, 3}
    assert len(errors) == 4
