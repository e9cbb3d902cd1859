"""Exports in a bucket, behind a real S3 protocol: parts, ranges, signed links."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from ..bucket import Bucket, bucket
from .conftest import is_problem

ROWS = 100_000


@pytest.fixture(scope="module")
def shelf() -> Iterator[Bucket]:
    """The bucket."""
    with bucket() as made:
        yield made


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Any], shelf: Bucket) -> Any:
    """A service that keeps its files in the bucket and sends them itself."""
    return start_service(**shelf.environ)


@pytest.fixture(scope="module")
def done(http: httpx.Client, database: psycopg.Connection) -> dict[str, Any]:
    """A finished export that is larger than two parts of an upload."""
    database.execute(
        "insert into app.users (email, name, role) select format('p%%s@example.org', i), "
        "repeat('Ann ', 30), 'author' from generate_series(1, %s) as i",
        [ROWS],
    )
    reply = http.post("/v1/exports", json={"resource": "users"}, headers={"Prefer": "wait=60"})
    job: dict[str, Any] = reply.json()
    assert job["status"] == "completed", job
    assert job["bytes"] > 20_000_000
    return job


def test_a_large_file_goes_there_in_parts_and_comes_back(
    http: httpx.Client, done: dict[str, Any], shelf: Bucket
) -> None:
    reply = http.get(done["download_url"])
    assert hashlib.sha256(reply.content).hexdigest() == done["sha256"]
    assert len(reply.text.splitlines()) == done["exported"] == ROWS
    (key,) = [key for key in shelf.objects() if done["job_id"] in key]
    assert key.startswith("some/prefix/exports/")
    assert shelf.uploads() == []


def test_a_range_is_fetched_as_one(http: httpx.Client, done: dict[str, Any]) -> None:
    whole = http.get(done["download_url"]).content
    headers = {"Range": "bytes=9000000-9000099"}
    reply = http.get(done["download_url"], headers=headers)
    assert (reply.status_code, reply.content) == (206, whole[9_000_000:9_000_100])


def test_a_link_leads_to_the_bucket_itself(
    start_service: Callable[..., Any], shelf: Bucket
) -> None:
    leading = start_service(**shelf.environ, SLUICE_DOWNLOADS="redirect")
    with httpx.Client(base_url=leading.url, timeout=60) as client:
        request = {"resource": "users", "format": "csv"}
        job = client.post("/v1/exports", json=request, headers={"Prefer": "wait=60"}).json()
        reply = client.get(job["download_url"])
        assert reply.status_code == 303
        assert reply.headers["location"].startswith(shelf.url)
        assert reply.headers["cache-control"] == "no-store"
        file = client.get(job["download_url"], follow_redirects=True)
        assert hashlib.sha256(file.content).hexdigest() == job["sha256"]
        assert file.headers["content-type"].startswith("text/csv")
        part = client.get(
            job["download_url"], headers={"Range": "bytes=1-3"}, follow_redirects=True
        )
        assert (part.status_code, part.content) == (206, file.content[1:4])
        head = client.head(job["download_url"])
        assert (head.status_code, head.headers["content-length"]) == (200, str(job["bytes"]))
        known = {"If-None-Match": head.headers["etag"]}
        assert client.get(job["download_url"], headers=known).status_code == 304


def test_an_empty_file_is_kept_too(http: httpx.Client) -> None:
    reply = http.post("/v1/exports", json={"resource": "comments"}, headers={"Prefer": "wait=60"})
    job = reply.json()
    assert (job["status"], job["bytes"]) == ("completed", 0)
    file = http.get(job["download_url"])
    assert (file.status_code, file.content) == (200, b"")
    is_problem(http.get(job["download_url"], headers={"Range": "bytes=0-"}), 416)
