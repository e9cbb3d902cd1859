"""A file in: every way to send it, and what comes back."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
import zstandard

from .conftest import USERS, is_problem, new_users, until

Post = Callable[..., httpx.Response]


def _counts(job: dict[str, Any]) -> dict[str, int]:
    return {name: count for name, count in job["counts"].items() if count}


def test_an_import_is_accepted_at_once(http: httpx.Client) -> None:
    reply = http.post(
        "/v1/imports?resource=users", content=USERS, headers={"Content-Type": "text/csv"}
    )
    assert reply.status_code == 202
    job = reply.json()
    assert reply.headers["location"] == f"/v1/imports/{job['job_id']}"
    assert reply.headers["retry-after"] == "1"
    assert job["id"] == job["job_id"]
    assert http.get(reply.headers["location"]).status_code == 200


def test_a_client_that_waits_gets_the_finished_job(post: Post) -> None:
    reply = post(new_users(20))
    assert reply.status_code == 200
    assert reply.headers["preference-applied"] == "wait=30"
    assert "Prefer" in reply.headers["vary"]
    job = reply.json()
    assert job["status"] == "completed"
    assert _counts(job) == {"received": 20, "inserted": 20}


def test_the_same_again_is_unchanged(post: Post) -> None:
    users = new_users(5)
    post(users)
    assert _counts(post(users).json()) == {"received": 5, "unchanged": 5}


@pytest.mark.parametrize(
    "fields_first", [True, False], ids=["fields before the file", "fields after the file"]
)
def test_a_form_may_have_its_fields_on_either_side(http: httpx.Client, fields_first: bool) -> None:
    file = (
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="u.csv"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n" + new_users(3) + b"\r\n"
    )
    fields = b'--B\r\nContent-Disposition: form-data; name="resource"\r\n\r\nusers\r\n'
    fields += b'--B\r\nContent-Disposition: form-data; name="onDuplicate"\r\n\r\nfirst\r\n'
    body = (fields + file if fields_first else file + fields) + b"--B--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Prefer": "wait=30"}
    reply = http.post("/v1/imports", content=body, headers=headers)
    assert reply.status_code == 200, reply.text
    job = reply.json()
    assert _counts(job) == {"received": 3, "inserted": 3}
    assert job["file_name"] == "u.csv"
    assert job["options"]["on_duplicate"] == "first"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("by_name", [True, False], ids=["by file name", "by Content-Encoding"])
def test_compressed_files_are_inflated(http: httpx.Client, coding: str, by_name: bool) -> None:
    users = new_users(4)
    packed = gzip.compress(users) if coding == "gzip" else zstandard.compress(users)
    headers = {"Prefer": "wait=30"}
    if by_name:
        name = "users.csv" + (".gz" if coding == "gzip" else ".zst")
        files = {"file": (name, packed)}
        reply = http.post("/v1/imports?resource=users", files=files, headers=headers)
    else:
        headers |= {"Content-Encoding": coding, "Content-Type": "text/csv"}
        reply = http.post("/v1/imports?resource=users", content=packed, headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.json()["counts"]["inserted"] == 4


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json"])
def test_json_comes_as_lines_or_as_an_array(http: httpx.Client, kind: str) -> None:
    rows = list(csv.DictReader(io.StringIO(new_users(3).decode())))
    text = json.dumps(rows) if kind == "application/json" else "\n".join(map(json.dumps, rows))
    headers = {"Content-Type": kind, "Prefer": "wait=30"}
    reply = http.post("/v1/imports?resource=users", content=text, headers=headers)
    assert reply.status_code == 200, reply.text
    assert reply.json()["counts"]["inserted"] == 3


def test_errors_are_told_and_rejects_can_be_mended(post: Post, http: httpx.Client) -> None:
    good = new_users(2).decode().splitlines()
    bad = f"{good[0]}\n{good[1]}\nnobody,No Body,reader\n{good[2]},\n"
    job = post(bad.encode(), file_name="päople.csv").json()
    assert job["counts"]["rejected"] == 2
    assert job["outcome"] == "partial"
    where = f"/v1/imports/{job['job_id']}"

    errors = http.get(f"{where}/errors").json()["errors"]
    assert [(e["row"], e["line"], e["code"]) for e in errors] == [
        (2, 3, "check"),
        (3, 4, "malformed"),
    ]
    assert errors[0]["field"] == "email"
    only = http.get(f"{where}/errors?field=email&limit=1").json()["errors"]
    assert only == errors[:1]
    second = http.get(f"{where}/errors?offset=1").json()["errors"]
    assert second == errors[1:]
    assert "check" in http.get(f"{where}/errors/summary").text

    table = list(csv.DictReader(io.StringIO(http.get(f"{where}/errors?format=csv").text)))
    assert [row["code"] for row in table] == ["check", "malformed"]
    lines = http.get(f"{where}/errors?format=ndjson").text.splitlines()
    assert [json.loads(line)["row"] for line in lines] == [2, 3]

    rejects = http.get(f"{where}/rejects")
    assert rejects.headers["content-type"].startswith("text/csv")
    disposition = rejects.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="p_ople.rejects.csv"')
    assert "nobody,No Body,reader" in rejects.text
    mended = [rejects.text.splitlines()[0]]
    mended += [rejects.text.splitlines()[1].replace("nobody", good[2].split(",")[0])]
    again = post("\n".join(mended).encode(), parent=job["job_id"]).json()
    assert again["counts"]["rejected"] == 0, again
    assert again["parent_job_id"] == job["job_id"]


def test_jobs_are_listed_page_by_page(post: Post, http: httpx.Client) -> None:
    made = [post(new_users(1)).json()["job_id"] for _ in range(3)]
    first = http.get("/v1/imports?resource=users&limit=2")
    assert [job["job_id"] for job in first.json()["jobs"]] == [made[2], made[1]]
    assert first.json()["next"]
    following = first.links["next"]["url"]
    assert http.get(following).json()["jobs"][0]["job_id"] == made[0]
    assert http.get("/v1/jobs?kind=import&limit=1").json()["jobs"][0]["job_id"] == made[2]
    assert http.get("/v1/jobs?kind=export").json()["jobs"] == []


def test_a_finished_job_has_an_entity_tag(post: Post, http: httpx.Client) -> None:
    where = f"/v1/imports/{post(new_users(1)).json()['job_id']}"
    first = http.get(where)
    assert "retry-after" not in first.headers
    again = http.get(where, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_no_page_of_errors_is_larger_than_a_thousand(post: Post, http: httpx.Client) -> None:
    where = f"/v1/imports/{post(new_users(1)).json()['job_id']}"
    is_problem(http.get(f"{where}/errors?limit=1001"), 400)
    is_problem(http.get(f"{where}/errors?format=csv&limit=5"), 400)


def test_what_has_arrived_is_worked_on_before_the_file_has_ended(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    header, *users = new_users(60_000).splitlines(keepends=True)
    cast = (
        "select j.job_id, sum(s.rows) from sluice.step as s join sluice.job as j using (job_id)"
        " where j.state = 'receiving' group by 1"
    )

    found: list[Any] = []

    def sent() -> Iterator[bytes]:
        yield header + b"".join(users[:40_000])
        # a pause ends a segment
        found.extend(until(lambda: database.execute(cast).fetchone()))
        assert 20_000 < found[1] <= 40_000
        yield b"".join(users[40_000:])

    reply = http.post(
        "/v1/imports?resource=users", content=sent(),
        headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
    )  # fmt: skip
    assert _counts(reply.json()) == {"received": 60_000, "inserted": 60_000}
    kept = "select from sluice.step where job_id = %s and kind = 'cast' and n_to < 60001"
    assert database.execute(kept, found[:1]).fetchall(), "what was cast is not cast again"
