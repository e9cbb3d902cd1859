"""Two workers beside a service without one, all on one database."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from ..conftest import TOP, stop
from .conftest import House, one, users
from .fleet import Fleet, until

KIND = {"csv": "text/csv", "ndjson": "application/x-ndjson", "json": "application/json"}


@pytest.fixture
def workers(house: House) -> Iterator[House]:
    """A service without a worker, and two workers."""
    house.open("--no-worker")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLUICE_", "PG"))}
    environ = {**kept, "PYTHONPATH": str(TOP / "src"), "DATABASE_URL": house.dsn}
    command = [sys.executable, "-m", "pgsluice", "worker"]
    started = [
        subprocess.Popen(command, cwd=house.cwd, env=environ, text=True, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "working\n"
    yield house
    assert [stop(process) for process in started] == [0, 0]


def test_twenty_small_imports_at_once(workers: House, conn: psycopg.Connection) -> None:
    author = "11111111-1111-4111-8111-111111111111"
    conn.execute(
        "insert into app.users (id, email, name, role) values (%s, 'a@example.org', 'A', 'author')",
        (author,),
    )

    def post(number: int) -> str:
        form = ("csv", "ndjson", "json")[number % 3]
        resource = "articles" if number % 4 == 3 else "users"
        reply = httpx.post(
            f"{workers.url}/v1/imports",
            params={"resource": resource, "format": form},
            content=_articles(number, form, author)
            if resource == "articles"
            else _users(number, form),
            headers={"Content-Type": KIND[form]},
            timeout=60,
        )
        assert reply.status_code == 202, reply.text
        return str(reply.json()["job_id"])

    with ThreadPoolExecutor(20) as pool:
        jobs = [workers.ended(job_id) for job_id in pool.map(post, range(20))]
    assert [job["status"] for job in jobs] == ["completed"] * 20
    assert [job["counts"]["inserted"] for job in jobs] == [99] * 20
    assert [job["counts"]["rejected"] for job in jobs] == [1] * 20
    assert one(conn, "select count(*) from app.users") == 1 + 15 * 99
    assert one(conn, "select count(*) from app.articles") == 5 * 99


# How long the merge of a step takes more can be changed while it runs.
SLOW = """
create table public.slow as select 0.5 as seconds;
create function public.slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep((select seconds from public.slow)); return null; end $$;
create trigger slow after insert on app.users for each statement execute function public.slow();
"""
SLEEPS = "select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'"
ROWS = 120_000


@pytest.fixture
def house_of(fleet: Fleet) -> House:
    """An API without a worker; workers come as the test says."""
    fleet.run(SLOW)
    return House(fleet.folder, fleet.dsn, fleet.api().url)


def in_merge(fleet: Fleet) -> bool:
    """A session is in the middle of a merge step."""
    return bool(fleet.one(SLEEPS))


def is_exact(job: dict[str, Any], fleet: Fleet) -> None:
    assert job["status"] == "completed", job
    good = ROWS - ROWS // 100
    assert {name: n for name, n in job["counts"].items() if n} == {
        "received": ROWS,
        "inserted": good,
        "rejected": ROWS - good,
    }
    assert fleet.one("select count(*) from app.users") == good
    assert not fleet.tracebacks()


def test_a_worker_that_is_told_to_stop_ends_its_steps(fleet: Fleet, house_of: House) -> None:
    first = fleet.worker()
    job_id = house_of.post(users(0, ROWS))
    until(lambda: in_merge(fleet))
    started = time.monotonic()
    assert first.terminate() == 0
    assert time.monotonic() - started < 4
    done = fleet.one("select count(*) from sluice.step where kind = 'merge' and state = 'done'")
    assert done > 0, "what had begun came to its end"
    assert '"message": "worker' in first.said()
    fleet.worker()
    is_exact(house_of.ended(job_id), fleet)


def test_a_step_that_takes_too_long_goes_on_elsewhere(fleet: Fleet, house_of: House) -> None:
    fleet.run("update public.slow set seconds = 60")
    first = fleet.worker()
    job_id = house_of.post(users(0, ROWS))
    until(lambda: in_merge(fleet))
    fleet.run("update public.slow set seconds = 0")
    second = fleet.worker()
    started = time.monotonic()
    assert first.terminate(40) == 0
    stopped = time.monotonic()
    assert 9 < stopped - started < 20
    is_exact(house_of.ended(job_id), fleet)
    assert time.monotonic() - stopped < 3, "it was told that there is work again"
    assert second.terminate() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_twice_ends_at_once(
    fleet: Fleet, house_of: House, number: int
) -> None:
    fleet.run("update public.slow set seconds = 60")
    first = fleet.worker()
    job_id = house_of.post(users(0, ROWS))
    until(lambda: in_merge(fleet))
    assert first.process
    first.process.terminate()
    time.sleep(0.5)
    os.kill(first.pid, number)
    assert first.process.wait(8) == 128 + number
    fleet.run("update public.slow set seconds = 0")
    # Postgres notices that the session's client is gone, and rolls its step back
    fleet.worker()
    is_exact(house_of.ended(job_id), fleet)


def test_a_service_that_is_told_twice_ends_at_once(house: House, conn: psycopg.Connection) -> None:
    process = house.open()
    conn.execute(SLOW.encode())
    conn.execute("update public.slow set seconds = 60")
    house.post(users(0, 5000))
    until(lambda: one(conn, SLEEPS))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(8) == 128 + signal.SIGTERM
    until(lambda: not one(conn, SLEEPS), 20)


def test_a_job_of_a_killed_worker_ends_elsewhere(fleet: Fleet, house_of: House) -> None:
    first, second = fleet.worker(), fleet.worker()
    job_id = house_of.post(users(0, ROWS))
    until(lambda: in_merge(fleet))
    first.kill()
    started = time.monotonic()
    is_exact(house_of.ended(job_id), fleet)
    assert time.monotonic() - started < 15
    assert second.terminate() == 0


def test_events_and_waits_hear_of_workers_elsewhere(fleet: Fleet, house_of: House) -> None:
    fleet.worker(), fleet.worker()
    job_id = house_of.post(users(0, ROWS))
    names = []
    with httpx.stream("GET", f"{house_of.url}/v1/imports/{job_id}/events", timeout=60) as reply:
        for line in reply.iter_lines():
            names += [line] if line.startswith("event") else []
    told = datetime.now(UTC)
    ended = datetime.fromisoformat(house_of.job(job_id)["completed_at"])
    assert (told - ended).total_seconds() < 0.4
    assert names[-1] == "event: end"
    assert names.count("event: progress") >= 3

    fleet.run("update public.slow set seconds = 0.7")
    for number in range(3):
        reply = httpx.post(
            f"{house_of.url}/v1/imports?resource=users",
            content=users(ROWS + 10 * number, 10),
            headers={"Content-Type": "text/csv", "Prefer": "wait=30"},
            timeout=60,
        )
        told = datetime.now(UTC)
        assert reply.status_code == 200, reply.text
        ended = datetime.fromisoformat(reply.json()["completed_at"])
        assert (told - ended).total_seconds() < 0.3


def _users(number: int, form: str) -> bytes:
    text = users(number * 100, 100)
    names, *rows = (line.split(",") for line in text.decode().splitlines())
    return (
        text
        if form == "csv"
        else _objects([dict(zip(names, row, strict=True)) for row in rows], form)
    )


def _articles(number: int, form: str, author: str) -> bytes:
    objects = [
        {
            "slug": f"Not a slug {n}" if n == 99 else f"slug-{number}-{n}",
            "title": "T",
            "body": "one two three four five six seven eight nine ten",
            "author_id": author,
            "status": "draft",
        }
        for n in range(100)
    ]
    if form == "csv":
        lines = [objects[0].keys(), *(row.values() for row in objects)]
        return "\n".join(",".join(line) for line in lines).encode()
    return _objects(objects, form)


def _objects(objects: list[dict[str, str]], form: str) -> bytes:
    if form == "json":
        return json.dumps(objects).encode()
    return "\n".join(json.dumps(row) for row in objects).encode()
