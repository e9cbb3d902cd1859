"""Exports to files: asked for, watched, downloaded whole or by range, cancelled, deleted."""

import csv
import gzip
import hashlib
import io
import json
import time
import zipfile
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import psycopg
import pytest
import zstandard
from psycopg.types.json import Jsonb

from .conftest import is_problem

MANY = 20_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service keeps its files."""
    return tmp_path_factory.mktemp("store") / "made when needed"


@pytest.fixture(scope="module")
def service(start_service: Callable[..., Any], folder: Path) -> Any:
    """A service with a store of its own."""
    return start_service(SLUICE_STORE=str(folder))


@pytest.fixture(scope="module", autouse=True)
def people(database: psycopg.Connection) -> None:
    database.execute(
        "insert into app.users (email, name, role, active) "
        "select format('p%%s@example.org', i), 'Ann, \"Bob\"', 'author', i <= 3 "
        "from generate_series(1, %s) as i",
        [MANY],
    )
    database.execute(
        "insert into app.articles (slug, title, body, author_id, status) "
        "select 's-' || row_number() over (), 'T', repeat('word ', 20), u.id, 'draft' "
        "from app.users as u where u.email ~ '^p[1-9]@'"
    )


def ask(http: httpx.Client, **request: Any) -> dict[str, Any]:
    """The finished job of an export."""
    reply = http.post("/v1/exports", json=request, headers={"Prefer": "wait=60"})
    assert reply.status_code == 200, reply.text
    job: dict[str, Any] = reply.json()
    assert job["status"] == "completed", job["error"]
    return job


@pytest.fixture(scope="module")
def done(http: httpx.Client, people: None) -> dict[str, Any]:
    """A finished export of all users as CSV, and its file as `content`."""
    job = ask(http, resource="users", format="csv", order=["email"])
    return job | {"content": http.get(job["download_url"]).content}


def test_an_export_is_accepted_and_then_watched(http: httpx.Client) -> None:
    reply = http.post("/v1/exports", json={"resource": "users"})
    assert reply.status_code == 202
    job = reply.json()
    assert reply.headers["location"] == f"/v1/exports/{job['job_id']}"
    assert reply.headers["retry-after"] == "1"
    assert (job["kind"], job["status"]) == ("export", "pending")
    events = http.get(job["links"]["events"]).text
    assert "event: end" in events
    last = json.loads(events.rpartition("data: ")[2])
    assert (last["status"], last["exported"]) == ("completed", MANY)


def test_the_file_holds_what_the_stream_holds(http: httpx.Client, done: dict[str, Any]) -> None:
    stream = http.get("/v1/exports?resource=users&format=csv&order=email")
    assert done["content"] == stream.content
    assert done["exported"] == MANY
    assert done["bytes"] == len(stream.content)
    assert done["sha256"] == hashlib.sha256(stream.content).hexdigest()
    assert done["snapshot"].keys() == {"time", "lsn"}
    assert done["metrics"]["exported"] == {"users": MANY}


def test_the_head_of_a_download(http: httpx.Client, done: dict[str, Any]) -> None:
    reply = http.get(done["download_url"])
    digest = b64encode(hashlib.sha256(reply.content).digest()).decode()
    expected = {
        "content-type": "text/csv; charset=utf-8; header=present",
        "content-disposition": 'attachment; filename="users.csv"',
        "content-length": str(len(reply.content)),
        "accept-ranges": "bytes",
        "etag": f'"{done["sha256"]}"',
        "repr-digest": f"sha-256=:{digest}:",
        "x-content-type-options": "nosniff",
    }
    assert {name: reply.headers[name] for name in expected} == expected
    head = http.head(done["download_url"])
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=100-", 100, None),
        ("bytes=-7", -7, None),
        ("bytes=-999999999", 0, None),
        ("BYTES = 5-999999999", 5, None),
    ],
)
def test_a_range(
    http: httpx.Client, done: dict[str, Any], asked: str, start: int, end: int | None
) -> None:
    reply = http.get(done["download_url"], headers={"Range": asked})
    part = done["content"][start:end]
    first = start % len(done["content"])
    assert reply.status_code == 206
    assert reply.content == part
    assert reply.headers["content-length"] == str(len(part))
    where = f"bytes {first}-{first + len(part) - 1}/{done['bytes']}"
    assert reply.headers["content-range"] == where
    assert reply.headers["etag"] == f'"{done["sha256"]}"'


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=9-3", "bytes=x-y", "lines=1-2", "bytes=-", "bytes"]
)
def test_what_is_not_one_range_is_the_whole(
    http: httpx.Client, done: dict[str, Any], asked: str
) -> None:
    reply = http.get(done["download_url"], headers={"Range": asked})
    assert (reply.status_code, len(reply.content)) == (200, done["bytes"])


@pytest.mark.parametrize("behind", [0, 1, 10**17])
def test_a_range_behind_the_end_is_416(
    http: httpx.Client, done: dict[str, Any], behind: int
) -> None:
    headers = {"Range": f"bytes={done['bytes'] + behind}-"}
    reply = http.get(done["download_url"], headers=headers)
    is_problem(reply, 416)
    assert reply.headers["content-range"] == f"bytes */{done['bytes']}"
    is_problem(http.get(done["download_url"], headers={"Range": "bytes=-0"}), 416)


def test_a_range_of_this_very_file_only(http: httpx.Client, done: dict[str, Any]) -> None:
    head = http.head(done["download_url"]).headers

    def status(condition: str) -> int:
        headers = {"Range": "bytes=1-2", "If-Range": condition}
        return http.get(done["download_url"], headers=headers).status_code

    assert status(head["etag"]) == 206
    assert status(head["last-modified"]) == 206
    assert status('"another"') == 200
    assert status(f"W/{head['etag']}") == 200
    assert status("Sat, 01 Jan 2000 00:00:00 GMT") == 200


def test_a_file_that_is_known_is_not_sent_again(http: httpx.Client, done: dict[str, Any]) -> None:
    head = http.head(done["download_url"]).headers
    for name, value in (
        ("If-None-Match", head["etag"]),
        ("If-None-Match", f'"x", W/{head["etag"]}'),
        ("If-None-Match", "*"),
        ("If-Modified-Since", head["last-modified"]),
    ):
        reply = http.get(done["download_url"], headers={name: value})
        assert (reply.status_code, reply.content) == (304, b"")
        assert reply.headers["etag"] == head["etag"]
    reply = http.get(done["download_url"], headers={"If-None-Match": '"x"'})
    assert reply.status_code == 200


def test_a_request_that_is_meant_for_another_file_is_412(
    http: httpx.Client, done: dict[str, Any]
) -> None:
    head = http.head(done["download_url"]).headers

    def get(**headers: str) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return http.get(done["download_url"], headers=given)

    past, future = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    for meant in (
        {"If_Match": head["etag"]},
        {"If_Match": f'"x", {head["etag"]}'},
        {"If_Match": "*"},
        {"If_Unmodified_Since": head["last-modified"]},
        {"If_Unmodified_Since": future},
        {"If_Unmodified_Since": "no date"},
        # the tag says more than the time
        {"If_Match": head["etag"], "If_Unmodified_Since": past},
    ):
        assert get(**meant).status_code == 200, meant
    for other in (
        {"If_Match": '"x"'},
        # a weak tag names no bytes
        {"If_Match": f"W/{head['etag']}"},
        {"If_Unmodified_Since": past},
        {"If_Match": '"x"', "If_None_Match": head["etag"]},
        {"If_Match": '"x"', "Range": "bytes=0-1"},
    ):
        refused = get(**other)
        assert head["etag"] in is_problem(refused, 412)["detail"], other
        assert refused.headers["etag"] == head["etag"]
    assert get(If_Match=head["etag"], Range="bytes=0-1").status_code == 206
    assert get(If_Match=head["etag"], If_None_Match=head["etag"]).status_code == 304
    assert get(If_Modified_Since=future).status_code == 304


def test_a_job_that_is_known_is_not_sent_again(http: httpx.Client, done: dict[str, Any]) -> None:
    reply = http.get(done["links"]["self"])
    assert reply.headers["etag"].startswith('W/"')
    known = {"If-None-Match": reply.headers["etag"]}
    assert http.get(done["links"]["self"], headers=known).status_code == 304


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_compressed_file_is_one(
    http: httpx.Client, done: dict[str, Any], compression: str
) -> None:
    job = ask(http, resource="users", format="csv", order=["email"], compression=compression)
    reply = http.get(job["download_url"])
    assert "content-encoding" not in reply.headers
    assert reply.headers["content-type"] == f"application/{compression}"
    assert hashlib.sha256(reply.content).hexdigest() == job["sha256"]
    unpack = (
        gzip.decompress
        if compression == "gzip"
        else zstandard.ZstdDecompressor().decompressobj().decompress
    )
    assert unpack(reply.content) == done["content"]


@pytest.mark.parametrize(("form", "empty"), [("ndjson", b""), ("json", b"[]\n"), ("csv", b"id\n")])
def test_no_rows_are_a_file_too(http: httpx.Client, form: str, empty: bytes) -> None:
    job = ask(http, resource="comments", format=form, fields="id")
    assert (job["exported"], http.get(job["download_url"]).content) == (0, empty)


def test_several_resources_leave_closed_in_one_zip(http: httpx.Client) -> None:
    job = ask(
        http,
        resources=["users", "articles"],
        format="csv",
        filters={"users": {"active": True}},
        fields={"users": ["id"], "articles": "slug,author_id"},
    )
    reply = http.get(job["download_url"])
    assert reply.headers["content-type"] == "application/zip"
    assert reply.headers["content-disposition"] == 'attachment; filename="users-articles.zip"'
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert archive.testzip() is None
    users, articles = (
        list(csv.DictReader(io.TextIOWrapper(archive.open(name))))
        for name in ("users.csv", "articles.csv")
    )
    assert len(users) == 3
    assert {row["author_id"] for row in articles} == {row["id"] for row in users}
    assert job["metrics"]["exported"] == {"users": 3, "articles": 3}
    assert job["exported"] == 6


def test_several_resources_leave_in_a_file_each(http: httpx.Client) -> None:
    job = ask(http, resources=["users", "articles"], archive="none")
    assert (job["download_url"], job["sha256"]) == (None, None)
    assert [file["name"] for file in job["files"]] == ["users.ndjson", "articles.ndjson"]
    for file in job["files"]:
        reply = http.get(file["download_url"])
        assert hashlib.sha256(reply.content).hexdigest() == file["sha256"]
        assert len(reply.text.splitlines()) == file["exported"]
    assert sum(file["bytes"] for file in job["files"]) == job["bytes"]
    assert "users.ndjson" in is_problem(http.get(job["links"]["download"]), 400)["detail"]
    is_problem(http.get(job["links"]["download"], params={"file": "x"}), 404)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"resource": "nope"}',
        b'{"resource": "users", "colour": 1}',
        b'{"resource": "users", "filters": {"role": "\\u0000"}}',
        b'{"resource": "users", "filters": {"role": "\\ud800"}}',
        b'{"resource": "users", "limit": 1e400}',
        b'{"resource": "users", "limit": NaN}',
        b'{"resource": "users", "filters": ' + b"[" * 20000 + b"]" * 20000 + b"}",
        b"{}",
    ],
)
def test_what_cannot_be_asked_is_400(http: httpx.Client, body: bytes) -> None:
    is_problem(http.post("/v1/exports", content=body), 400)


def test_one_key_is_one_export(http: httpx.Client) -> None:
    def post(key: str, **request: Any) -> httpx.Response:
        return http.post("/v1/exports", json=request, headers={"Idempotency-Key": key})

    first = post("same", resource="users", format="csv")
    again = post("same", format="csv", resource="users")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.json()["job_id"], again.json()["duplicate"]) == (first.json()["job_id"], True)
    is_problem(post("same", resource="users", format="json"), 422)
    is_problem(post("other", resource="nope"), 400)
    assert post("other", resource="users").status_code == 202


def test_an_import_is_no_export(http: httpx.Client, post: Callable[..., httpx.Response]) -> None:
    job_id = post().json()["job_id"]
    for method, path in (("GET", ""), ("GET", "/download"), ("POST", "/retry"), ("DELETE", "")):
        is_problem(http.request(method, f"/v1/exports/{job_id}{path}"), 404)
    is_problem(http.get("/v1/exports/x/download"), 404)


def test_an_expired_file_is_410(http: httpx.Client, database: psycopg.Connection) -> None:
    job = ask(http, resource="users", expires_in=60)
    database.execute(
        "update sluice.export_file set expires_at = now() where job_id = %s", [job["job_id"]]
    )
    is_problem(http.get(job["download_url"]), 410)
    assert http.get(job["links"]["self"]).json()["download_url"] is None


@pytest.mark.parametrize("harm", ["lost", "cut"])
def test_a_file_that_is_not_as_it_was_written_is_410(
    http: httpx.Client, folder: Path, harm: str
) -> None:
    job = ask(http, resource="users")
    (file,) = folder.rglob(f"{job['job_id']}/*/*")
    if harm == "lost":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    is_problem(http.get(job["download_url"]), 410)


@pytest.fixture
def stuck(http: httpx.Client, service: Any) -> Iterator[tuple[dict[str, Any], Callable[[], None]]]:
    """An export that is at work but waits for a lock that somebody holds, and what unlocks it."""
    waits = "select 1 from pg_locks where not granted and relation = 'app.comments'::regclass"
    with psycopg.connect(service.dsn) as maker, psycopg.connect(service.dsn) as other:
        made = maker.execute(
            "select sluice.export_create(request => %s) ->> 'job_id'",
            [Jsonb({"resources": ["users", "comments"]})],
        ).fetchone()
        assert made

        def until_somebody_waits() -> None:
            deadline = time.monotonic() + 20
            while not maker.execute(waits).fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.02)

        lock = Thread(target=other.execute, args=["lock table app.comments"])
        lock.start()
        # The lock is next in the queue when the job becomes visible, the export behind it.
        until_somebody_waits()
        maker.commit()
        lock.join()
        until_somebody_waits()
        yield http.get(f"/v1/exports/{made[0]}").json(), other.rollback


def test_a_file_is_409_before_it_is_done(http: httpx.Client, stuck: Any) -> None:
    job, _ = stuck
    reply = http.get(job["links"]["download"])
    is_problem(reply, 409)
    assert reply.headers["retry-after"] == "1"
    is_problem(http.delete(job["links"]["self"]), 409)
    is_problem(http.post(job["links"]["self"] + "/retry"), 409)
    reply = http.post(job["links"]["self"] + "/cancel")
    assert (reply.status_code, reply.json()["status"]) == (202, "cancelled")


def test_a_cancelled_export_leaves_nothing_and_can_be_retried(
    http: httpx.Client, stuck: Any, folder: Path
) -> None:
    job, unlock = stuck
    assert job["status"] == "processing"
    reply = http.post(job["links"]["self"] + "/cancel")
    assert (reply.status_code, reply.json()["status"]) == (202, "cancelled")
    is_problem(http.post(job["links"]["self"] + "/cancel"), 409)
    is_problem(http.get(job["links"]["download"]), 409)
    deadline = time.monotonic() + 10
    while list(folder.rglob(f"{job['job_id']}/*/*")):
        assert time.monotonic() < deadline, "a half file is left"
        time.sleep(0.1)
    unlock()
    again = http.post(job["links"]["self"] + "/retry")
    assert (again.status_code, again.json()["parent_job_id"]) == (202, job["job_id"])
    assert again.headers["location"] == f"/v1/exports/{again.json()['job_id']}"
    assert (
        json.loads(http.get(again.json()["links"]["events"]).text.rpartition("data: ")[2])["status"]
        == "completed"
    )


def test_a_deleted_export_is_gone(http: httpx.Client) -> None:
    job = ask(http, resource="users", limit=1)
    assert http.delete(job["links"]["self"]).status_code == 204
    for path in (job["links"]["self"], job["download_url"]):
        is_problem(http.get(path), 404)


def test_exports_stand_in_the_list_of_jobs(http: httpx.Client, done: dict[str, Any]) -> None:
    jobs = http.get("/v1/jobs?kind=export&limit=1000").json()["jobs"]
    (found,) = [job for job in jobs if job["job_id"] == done["job_id"]]
    assert found["download_url"] == done["download_url"]
