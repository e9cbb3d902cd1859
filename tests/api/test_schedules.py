"""Schedules over HTTP and by the command: made, changed, paused, run, fired, refused."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from ..conftest import TOP, Service
from .conftest import is_problem

NIGHTLY = {
    "name": "nightly",
    "cron": "30 4 * * *",
    "time_zone": "Europe/Berlin",
    "kind": "import",
    "request": {"resource": "users", "url": "https://example.org/users.csv"},
}
DUMP = {"cron": "@daily", "kind": "export", "request": {"resource": "users", "format": "csv"}}


@pytest.fixture(autouse=True)
def empty(http: httpx.Client) -> Iterator[None]:
    """No schedule outlives its test, nor a job of it that waits for what does not come."""
    yield
    for job in http.get("/v1/jobs", params={"status": "pending"}).json()["jobs"]:
        http.post(f"{job['links']['self']}/cancel")
    for schedule in http.get("/v1/schedules").json()["schedules"]:
        assert http.delete(schedule["links"]["self"]).status_code == 204


@pytest.fixture
def command(service: Service, tmp_path: Any) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs `pgsluice schedule …` against the service."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLUICE_", "DATABASE_"))}

    def run(*words: str, url: str = service.url) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "pgsluice", "schedule", *words],
            cwd=tmp_path,
            env={**kept, "PYTHONPATH": str(TOP / "src"), "SLUICE_URL": url},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def test_a_schedule_is_made_shown_and_removed(http: httpx.Client) -> None:
    made = http.post("/v1/schedules", json=NIGHTLY)
    assert made.status_code == 201
    assert made.headers["location"] == "/v1/schedules/nightly"
    seen = http.get("/v1/schedules/nightly")
    assert seen.json() == made.json()
    assert seen.json().items() >= {**NIGHTLY, "missed": "once", "paused": False}.items()
    assert seen.json()["next_at"][11:16] in ("02:30", "03:30")
    assert seen.json()["ticks"] == []
    tag = {"If-None-Match": seen.headers["etag"]}
    assert http.get("/v1/schedules/nightly", headers=tag).status_code == 304
    [listed] = http.get("/v1/schedules").json()["schedules"]
    assert listed == {k: v for k, v in seen.json().items() if k != "ticks"}
    assert http.delete("/v1/schedules/nightly").status_code == 204
    is_problem(http.get("/v1/schedules/nightly"), 404)
    is_problem(http.delete("/v1/schedules/nightly"), 404)


def test_the_same_again_is_no_error_and_another_is_a_conflict(http: httpx.Client) -> None:
    assert http.post("/v1/schedules", json=NIGHTLY).status_code == 201
    renamed = {("timeZone" if k == "time_zone" else k): v for k, v in NIGHTLY.items()}
    assert http.post("/v1/schedules", json=renamed).status_code == 200
    assert http.post("/v1/schedules", json=NIGHTLY).status_code == 200
    told = is_problem(http.post("/v1/schedules", json=NIGHTLY | {"cron": "@daily"}), 409)
    assert "PUT" in told["detail"]
    assert http.get("/v1/schedules/nightly").json()["cron"] == "30 4 * * *"


def test_put_makes_and_replaces(http: httpx.Client) -> None:
    assert http.put("/v1/schedules/dump", json=DUMP).status_code == 201
    changed = http.put("/v1/schedules/dump", json=DUMP | {"cron": "@hourly", "paused": True})
    assert changed.status_code == 200
    assert (changed.json()["cron"], changed.json()["next_at"]) == ("@hourly", None)
    is_problem(http.put("/v1/schedules/dump", json=DUMP | {"name": "other"}), 400)


def test_it_is_paused_resumed_and_run(http: httpx.Client) -> None:
    http.put("/v1/schedules/dump", json=DUMP)
    paused = http.post("/v1/schedules/dump/pause")
    assert (paused.status_code, paused.json()["paused"]) == (200, True)
    ran = http.post("/v1/schedules/dump/run")
    assert ran.status_code == 202
    assert ran.headers["location"] == ran.json()["links"]["self"]
    assert (ran.json()["kind"], ran.json()["schedule"]) == ("export", "dump")
    resumed = http.post("/v1/schedules/dump/resume").json()
    assert (resumed["paused"], resumed["last_job_id"]) == (False, ran.json()["job_id"])
    assert resumed["next_at"] is not None
    for action in ("pause", "resume", "run"):
        is_problem(http.post(f"/v1/schedules/nobody/{action}"), 404)


def test_the_worker_fires_it_on_time(http: httpx.Client) -> None:
    http.put("/v1/schedules/often", json=DUMP | {"cron": "1 second"})
    end = time.monotonic() + 20
    while len(ticks := http.get("/v1/schedules/often").json()["ticks"]) < 4:
        assert time.monotonic() < end, ticks
        time.sleep(0.1)
    assert len({tick["due_at"] for tick in ticks}) == len(ticks)
    done = [tick for tick in ticks if tick["job_id"]]
    assert done
    assert {tick["job_status"] for tick in done} <= {"pending", "processing", "completed"}
    assert all(tick["worker"] for tick in ticks)


def test_news_of_a_change_wakes_the_worker(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    """It would else sleep for five seconds, and the tick be late."""
    http.put("/v1/schedules/later", json=DUMP)
    time.sleep(0.3)
    http.put("/v1/schedules/soon", json=DUMP | {"cron": "1 second"})
    time.sleep(2.5)
    row = database.execute(
        "select min(fired_at - due_at), count(*) from sluice.tick where schedule = 'soon'"
    ).fetchone()
    assert row
    assert row[1] >= 1
    assert row[0].total_seconds() < 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cron": "61 * * * *"}, "minute of a cron expression cannot be '61'"),
        ({"cron": 5}, "cron"),
        ({"cron": None}, "a cron expression cannot be null"),
        ({"time_zone": "Berlin"}, "there is no time zone 'Berlin'"),
        ({"kind": "delete"}, "kind"),
        ({"request": {"resource": "users"}}, "url"),
        ({"request": []}, "request"),
        ({"request": {"resource": "users", "url": "http://example.org/a.csv"}}, "https"),
        ({"request": {"resource": "users", "url": "https://u:p@example.org/a.csv"}}, "user name"),
        ({"request": NIGHTLY["request"] | {"callback_url": "ftp://x"}}, "callback_url"),  # type: ignore[operator]
        ({"missed": "twice"}, "missed"),
        ({"paused": "yes"}, "paused"),
        ({"name": "a/b"}, "named"),
        ({"name": None}, "named"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_is_refused_at_once(
    http: httpx.Client, change: dict[str, Any], told: str
) -> None:
    assert told in is_problem(http.post("/v1/schedules", json=NIGHTLY | change), 400)["detail"]
    assert http.get("/v1/schedules").json() == {"schedules": []}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"name": "\\u0000"}', 400),
        (b'{"name": "\\ud800"}', 400),
        (b'{"name": "\xff"}', 400),
        (b"[" * 100_000, 400),
        (b'{"name": "' + b"x" * 1_100_000 + b'"}', 413),
    ],
)
def test_a_body_that_is_no_small_object_is_refused(
    http: httpx.Client, body: bytes, status: int
) -> None:
    is_problem(http.post("/v1/schedules", content=body), status)


def test_anyone_needs_both_rights(start_service: Callable[..., Service]) -> None:
    half = start_service(SLUICE_ANONYMOUS="import")
    told = is_problem(httpx.get(f"{half.url}/v1/schedules"), 403)
    assert "SLUICE_ANONYMOUS" in told["detail"]


def test_the_api_page_shows_every_route(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert set(paths["/v1/schedules"]) == {"get", "post"}
    assert set(paths["/v1/schedules/{name}"]) == {"get", "put", "delete"}
    assert "60 s late" in paths["/v1/schedules"]["post"]["description"]
    assert set(paths["/v1/jobs/{job_id}/deliveries"]) == {"get", "post"}


def test_the_command_does_all_of_it(http: httpx.Client, command: Any) -> None:
    assert command("list").stdout == "there are no schedules\n"
    request = json.dumps(NIGHTLY["request"])
    added = command("add", "nightly", "30 4 * * *", "import", request, "--time-zone", "Asia/Tokyo")
    assert (added.returncode, added.stderr) == (0, "")
    assert added.stdout.startswith("nightly: next run ")
    assert added.stdout.rstrip().endswith("T19:30:00Z")
    table = command("list").stdout.splitlines()
    assert table[0].split() == ["name", "kind", "cron", "time_zone", "next", "last", "state"]
    assert "Asia/Tokyo" in table[1]
    changed = command("add", "nightly", "@daily", "import", request, "--replace", "--json")
    assert json.loads(changed.stdout)["cron"] == "@daily"
    assert command("pause", "nightly").stdout == "nightly is paused\n"
    assert http.get("/v1/schedules/nightly").json()["paused"] is True
    assert command("resume", "nightly").stdout.startswith("nightly: next run ")
    assert command("run", "nightly").stdout.startswith("import ")
    assert command("remove", "nightly").stdout == "nightly is removed\n"
    assert json.loads(command("list", "--json").stdout) == {"schedules": []}


def test_the_command_says_what_is_wrong_in_a_line(command: Any) -> None:
    for words, told in (
        (("remove", "nobody"), "pgsluice: there is no schedule 'nobody'. the list"),
        (("add", "s", "@dayly", "import", "{}"), "pgsluice: "),
        (("add", "s", "@daily", "import", "{"), "pgsluice: the request is no JSON"),
    ):
        done = command(*words)
        assert (done.returncode, done.stdout) == (1, ""), words
        assert done.stderr.startswith(told)
        assert len(done.stderr.splitlines()) == 1
    down = command("list", url="http://127.0.0.1:9")
    assert down.returncode == 1
    assert "no service answers at http://127.0.0.1:9" in down.stderr
    assert command("add", "s").returncode == 2
