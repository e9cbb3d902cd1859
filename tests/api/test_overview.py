"""What an operator's first page is told: what runs, what ended, and how a schedule will tick."""

from typing import Any

import httpx
import psycopg
import pytest

from .conftest import is_problem, new_users


@pytest.fixture(scope="module", autouse=True)
def history(http: httpx.Client, database: psycopg.Connection) -> None:
    """Three jobs that have ended: one partial, one clean, one dry run; and one three days old."""
    csv = {"Content-Type": "text/csv", "Prefer": "wait=30"}
    bad = b"email,name,role\nann@example,Ann,reader\nbob@example.org,Bob,reader\n"
    for content, name in ((bad, "rejects.csv"), (new_users(3), "good.csv")):
        where = f"/v1/imports?resource=users&file_name={name}"
        assert http.post(where, content=content, headers=csv).status_code == 200
    dry = http.post("/v1/imports?resource=users&dry_run=true", content=new_users(2), headers=csv)
    assert dry.status_code == 200
    database.execute(
        "insert into sluice.job (job_id, resource, format, shape, state, outcome, accepted,"
        " received, inserted, created_at, started_at, completed_at, swept)"
        " select sluice.uuid_v7(), 'users', 'csv', 'cells', 'completed', 'clean',"
        " nextval('sluice.acceptance'), 7, 7, t.at, t.at, t.at, true"
        " from (values (now() - interval '3 days')) as t (at)"
    )


def look(http: httpx.Client, **params: Any) -> dict[str, Any]:
    reply = http.get("/v1/overview", params=params)
    assert reply.status_code == 200, reply.text
    seen: dict[str, Any] = reply.json()
    return seen


def test_what_ended_is_counted_by_result_resource_and_time(http: httpx.Client) -> None:
    seen = look(http)
    assert seen["results"] == {"clean": 1, "partial": 1, "failed": 0, "cancelled": 0}
    assert seen["resources"] == [
        {"resource": "users", "jobs": 2, "imported": 4, "exported": 0, "rejected": 1}
    ]
    assert len(seen["series"]) in (24, 25)
    assert sum(place["imported"] for place in seen["series"][-2:]) == 4
    assert seen["health"]["status"] == "ok"
    assert seen["health"]["workers"]["alive"] == 1


def test_it_looks_as_far_back_as_it_is_told(http: httpx.Client) -> None:
    week = look(http, hours=168)
    assert week["results"]["clean"] == 2
    assert (week["seconds"], len(week["series"]) in (28, 29)) == (21600, True)
    assert sum(place["imported"] for place in week["series"]) == 11
    for hours in ("0", "169", "many"):
        is_problem(http.get(f"/v1/overview?hours={hours}"), 400)


def test_a_running_job_is_shown_with_its_progress(http: httpx.Client, running: Any) -> None:
    job_id = running()
    seen = look(http, hours=1)
    assert [job["job_id"] for job in seen["running"]] == [job_id]
    assert seen["running"][0]["progress"]["percent"] > 0
    assert http.post(f"/v1/imports/{job_id}/cancel").status_code == 202


def test_a_key_sees_the_work_on_its_own_resources_only(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    made = database.execute("select sluice.create_api_key('narrow', resources => '{articles}')")
    key = (made.fetchone() or [""])[0]
    try:
        seen = http.get("/v1/overview", headers={"X-API-Key": key}).json()
        assert (seen["resources"], sum(seen["results"].values())) == ([], 0)
    finally:
        database.execute("delete from sluice.api_key")


def test_jobs_are_found_by_id_file_and_resource(http: httpx.Client) -> None:
    jobs = http.get("/v1/jobs").json()["jobs"]
    (good,) = (job for job in jobs if job["file_name"] == "good.csv")
    for search in (good["job_id"], good["job_id"][9:], "GOOD.c"):
        found = http.get("/v1/jobs", params={"search": search}).json()["jobs"]
        assert [job["job_id"] for job in found] == [good["job_id"]], search
    assert len(http.get("/v1/jobs?search=users").json()["jobs"]) == len(jobs)
    page = http.get("/v1/jobs?search=user&limit=2").json()
    is_problem(http.get("/v1/jobs", params={"search": "other", "cursor": page["next"]}), 400)


def test_a_cron_expression_tells_its_next_ticks(http: httpx.Client) -> None:
    asked = {"cron": "30 4 29 2 *", "time_zone": "Europe/Berlin"}
    ticks = http.get("/v1/cron", params=asked).json()["ticks"]
    assert [tick[4:] for tick in ticks] == ["-02-29T03:30:00.000000Z"] * 5
    assert ticks == sorted(ticks)
    problem = is_problem(http.get("/v1/cron?cron=often"), 400)
    assert problem["detail"].startswith("a cron expression cannot be 'often'")
    is_problem(http.get("/v1/cron"), 400)
