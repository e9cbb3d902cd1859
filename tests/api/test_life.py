"""Cancel, retry, delete and results over HTTP."""

import csv
import io
import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from .conftest import ROWS, USERS, is_problem, job_of, pause, until

BAD = USERS + b"nobody,Nobody,reader\n"
MISSING = "00000000-0000-7000-8000-000000000000"


def count(database: psycopg.Connection) -> int:
    row = database.execute("select count(*) from app.users").fetchone()
    assert row
    return int(row[0])


def test_a_running_import_is_cancelled_at_once_and_retried_whole(
    http: httpx.Client, running: Callable[[], str], database: psycopg.Connection
) -> None:
    pause(database, 30)
    before, job_id = count(database), running()
    started = time.monotonic()
    reply = http.post(f"/v1/imports/{job_id}/cancel")
    assert time.monotonic() - started < 15
    assert reply.status_code == 202
    job = reply.json()
    assert (job["job_id"], job["status"], job["phase"]) == (job_id, "cancelled", None)
    counts = job["counts"]
    assert counts["received"] == ROWS == counts["inserted"] + counts["unprocessed"]
    assert counts["inserted"] == count(database) - before
    asleep = "select from pg_stat_activity where datname = current_database() and wait_event = %s"
    until(lambda: not database.execute(asleep, ["PgSleep"]).fetchall())
    assert counts["inserted"] == count(database) - before, "it went on"

    pause(database, 0)
    again = http.post(f"/v1/imports/{job_id}/retry", headers={"Prefer": "wait=30"})
    assert again.status_code == 200, again.text
    new = again.json()
    assert again.headers["location"] == f"/v1/imports/{new['job_id']}"
    assert again.headers["preference-applied"] == "wait=30"
    assert (new["status"], new["parent_job_id"]) == ("completed", job_id)
    assert new["counts"]["unchanged"] == counts["inserted"]
    assert new["counts"]["inserted"] == counts["unprocessed"]
    assert count(database) - before == ROWS


def test_what_has_ended_cannot_be_cancelled(
    http: httpx.Client, post: Callable[..., httpx.Response]
) -> None:
    job = post().json()
    problem = is_problem(http.post(f"/v1/imports/{job['job_id']}/cancel"), 409)
    assert "already completed" in problem["detail"]


def test_rejects_are_retried_once_per_key_with_other_options(
    http: httpx.Client, post: Callable[..., httpx.Response], database: psycopg.Connection
) -> None:
    database.execute("delete from app.users where email = 'nobody@example.org'")
    job_id = post(BAD).json()["job_id"]
    path, key = f"/v1/imports/{job_id}/retry", {"Idempotency-Key": f"retry {job_id}"}
    first = http.post(path, headers=key, json={"dryRun": True, "match": ["email"]})
    assert first.status_code == 202, first.text
    assert first.headers["retry-after"] == "1"
    job = first.json()
    assert (job["parent_job_id"], job["dry_run"]) == (job_id, True)
    assert job["counts"]["received"] == 1
    until(lambda: job_of(http, job["job_id"])["status"] == "completed")

    again = http.post(path, headers=key, json={"match": ["email"], "dryRun": True})
    assert again.status_code == 202
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["duplicate"] is True
    assert again.json()["job_id"] == job["job_id"]
    is_problem(http.post(path, headers=key, json={"match": ["email"]}), 422)
    same = "/v1/imports?resource=users"
    upload = http.post(same, headers={**key, "Content-Type": "text/csv"}, content=USERS)
    assert upload.json()["job_id"] != job["job_id"], "the key of another route"


@pytest.mark.parametrize(
    ("query", "body", "told"),
    [
        ("?mode=sideways", None, "mode"),
        ("", {"mod": "insert"}, "did you mean 'mode'?"),
        ("?mode=insert", {"mode": "update"}, "give it once"),
        ("", ["mode"], "JSON object"),
    ],
)
def test_a_retry_with_bad_options_is_refused_and_frees_its_key(
    http: httpx.Client, post: Callable[..., httpx.Response], query: str, body: Any, told: str
) -> None:
    job_id = post(BAD).json()["job_id"]
    key = {"Idempotency-Key": f"refused {job_id}"}
    reply = http.post(f"/v1/imports/{job_id}/retry{query}", headers=key, json=body)
    assert told in is_problem(reply, 400)["detail"]
    assert http.post(f"/v1/imports/{job_id}/retry", headers=key).status_code == 202


def test_nothing_to_retry_is_a_conflict(
    http: httpx.Client, post: Callable[..., httpx.Response]
) -> None:
    is_problem(http.post(f"/v1/imports/{post().json()['job_id']}/retry"), 409)


def test_a_running_import_is_not_deleted_and_an_ended_one_is(
    http: httpx.Client, running: Callable[[], str], database: psycopg.Connection
) -> None:
    job_id = running()
    assert "cancel it first" in is_problem(http.delete(f"/v1/imports/{job_id}"), 409)["detail"]
    is_problem(http.post(f"/v1/imports/{job_id}/retry"), 409)
    http.post(f"/v1/imports/{job_id}/cancel")
    reply = http.delete(f"/v1/imports/{job_id}")
    assert (reply.status_code, reply.content) == (204, b"")
    is_problem(http.get(f"/v1/imports/{job_id}"), 404)
    is_problem(http.delete(f"/v1/imports/{job_id}"), 404)
    left = database.execute(
        "select count(*) from pg_tables where schemaname = 'sluice_stage' and tablename like %s",
        [f"%{job_id.replace('-', '')}%"],
    ).fetchone()
    assert left == (0,)


@pytest.mark.parametrize("what", ["cancel", "retry", "results", "events", ""])
@pytest.mark.parametrize("job_id", [MISSING, "no-uuid"])
def test_a_job_that_is_unknown(http: httpx.Client, what: str, job_id: str) -> None:
    method = {"cancel": "POST", "retry": "POST", "": "DELETE"}.get(what, "GET")
    is_problem(http.request(method, f"/v1/imports/{job_id}/{what}".rstrip("/")), 404)


@pytest.mark.parametrize("form", ["ndjson", "csv", "json"])
def test_results_tell_the_outcome_of_each_good_record(
    http: httpx.Client,
    post: Callable[..., httpx.Response],
    database: psycopg.Connection,
    form: str,
) -> None:
    database.execute("delete from app.users where email in ('ann@example.org', 'new@example.org')")
    post()
    changed = BAD.replace(b"Bob", b"Robert") + b"new@example.org,New,reader\n"
    job = post(changed, results="true").json()
    reply = http.get(job["links"]["results"], params={"format": form})
    assert reply.status_code == 200, reply.text
    assert f'filename="results-{job["job_id"]}.{form}"' in reply.headers["content-disposition"]
    rows = [
        (int(row["row"]), row["action"], row["id"]) for row in _rows(reply.text, form, reply.json)
    ]
    ids = database.execute(
        "select id::text from app.users where email in"
        " ('ann@example.org', 'bob@example.org', 'new@example.org') order by email"
    ).fetchall()
    assert rows == [
        (1, "unchanged", ids[0][0]),
        (2, "updated", ids[1][0]),
        (4, "inserted", ids[2][0]),
    ]
    post()


def _rows(text: str, form: str, as_json: Callable[[], Any]) -> Any:
    if form == "csv":
        return csv.DictReader(io.StringIO(text))
    return as_json() if form == "json" else map(_object, text.splitlines())


def _object(line: str) -> Any:
    return httpx.Response(200, text=line).json()


def test_results_that_nobody_asked_for_are_a_conflict(
    http: httpx.Client, post: Callable[..., httpx.Response]
) -> None:
    job = post().json()
    assert "results" not in job["links"]
    reply = http.get(f"/v1/imports/{job['job_id']}/results")
    assert "results=true" in is_problem(reply, 409)["detail"]
    dry = post(results="true", dry_run="true").json()
    is_problem(http.get(f"/v1/imports/{dry['job_id']}/results"), 409)
