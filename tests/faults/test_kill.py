"""kill -9 of the service and of Postgres: nothing is lost, nothing stays, nothing comes twice."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from pgsluice import embedded

from .conftest import Drip, House, one, postmaster, stages, until, users

ROWS = 120_000
# A merge step of 50,000 records takes half a second more, so that it can be interrupted.
SLOW = """
create function public.slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.5); return null; end $$;
create trigger slow after insert on app.users for each statement execute function public.slow();
"""
IN_CAST = "select phase = 'cast' from sluice.job"
IN_MERGE = "select count(*) > 0 from sluice.step where kind = 'merge' and state = 'done'"
IN_SESSION = "select pid from pg_stat_activity where application_name = 'pgsluice worker'"


def test_an_upload_that_died_leaves_nothing(house: House, conn: psycopg.Connection) -> None:
    house.open()
    with Drip(house.url, "Idempotency-Key: died") as drip:
        drip.send(users(0, 60_000))
        until(lambda: one(conn, "select coalesce(max(received), 0) from sluice.job"))
        house.kill()
    assert stages(conn) == 1
    conn.execute("update sluice.job set heartbeat_at = heartbeat_at - interval '2 minutes'")
    conn.execute("update sluice.idempotency set beat_at = beat_at - interval '2 minutes'")
    house.open()
    until(lambda: stages(conn) == 0)
    assert one(conn, "select count(*) from sluice.job") == 0
    job = house.ended(house.post(users(0, 100), **{"Idempotency-Key": "died"}))
    assert job["counts"]["inserted"] == 99
    assert one(conn, "select count(*) from app.users") == 99


@pytest.mark.parametrize("look", [IN_CAST, IN_MERGE], ids=["cast", "merge"])
def test_a_job_goes_on_where_a_killed_service_left_it(
    house: House, conn: psycopg.Connection, look: str
) -> None:
    house.open()
    conn.execute(SLOW.encode())
    job_id = house.post(users(0, ROWS))
    until(lambda: one(conn, look))
    house.kill()
    is_unfinished(conn)
    house.open()
    is_whole(house, job_id, conn)


@pytest.fixture
def own(house: House) -> Iterator[Path]:
    """The data directory of a service with a server of its own."""
    data_dir = house.cwd / "killed"
    house.open("--data-dir", str(data_dir))
    yield data_dir
    house.close()
    shutil.rmtree(data_dir)


@pytest.mark.parametrize("whole", [False, True], ids=["session", "postmaster"])
def test_a_job_goes_on_after_a_crash_of_postgres(house: House, own: Path, whole: bool) -> None:
    server = embedded.attach(own)
    assert server
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        conn.execute(SLOW.encode())
        job_id = house.post(users(0, ROWS))
        until(lambda: one(conn, IN_MERGE))
        is_unfinished(conn)
        os.kill(postmaster(own) if whole else one(conn, IN_SESSION), signal.SIGKILL)
        # Postgres takes a moment to see it, in which it lets in whom it then throws out
        until(lambda: is_cut(conn))
    with until(lambda: connected(server.dsn), 30) as conn:
        until(lambda: is_ready(house), 30)
        is_whole(house, job_id, conn)
    assert any(seconds_of_a_job(house, number) < 2 for number in range(3)), "nothing wakes us"


def is_cut(conn: psycopg.Connection) -> bool:
    """Whether a connection has been lost."""
    try:
        conn.execute("select")
    except psycopg.OperationalError:
        return True
    return False


def connected(dsn: str) -> psycopg.Connection | None:
    """A connection, once Postgres has recovered."""
    try:
        return psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError:
        return None


def seconds_of_a_job(house: House, number: int) -> float:
    started = time.monotonic()
    house.ended(house.post(users(ROWS + number, 1)))
    return time.monotonic() - started


def is_ready(house: House) -> bool:
    return httpx.get(f"{house.url}/ready", timeout=10).status_code == 200


def is_unfinished(conn: psycopg.Connection) -> None:
    assert one(conn, "select state from sluice.job") == "processing", "too late to be a test"


def is_whole(house: House, job_id: str, conn: psycopg.Connection) -> None:
    """The job has judged and merged every record, each once."""
    job = house.ended(job_id)
    assert (job["status"], job["outcome"]) == ("completed", "partial"), job
    bad = ROWS // 100
    assert {name: n for name, n in job["counts"].items() if n} == {
        "received": ROWS,
        "inserted": ROWS - bad,
        "rejected": bad,
    }
    hashed = "select md5(string_agg(email || name || role, '|' order by email)) from "
    wanted = (
        "(select 'u' || n || '@example.org' as email, 'User ' || n as name, 'reader' as role"
        f" from generate_series(0, {ROWS - 1}) as n where n % 100 <> 99) as good"
    )
    assert one(conn, hashed + "app.users") == one(conn, hashed + wanted)
    until(lambda: stages(conn) == 0)
