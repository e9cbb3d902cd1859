"""Living beside others: pg_dump, VACUUM, locks on what is ours."""

import itertools
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from .conftest import Drip, House, one, stages, until, users


@pytest.fixture
def beside(house: House) -> Iterator[psycopg.Connection]:
    """Another client of the database on which a service runs."""
    house.open()
    with psycopg.connect(house.dsn, autocommit=True) as conn:
        yield conn


def test_pg_dump_and_imports_do_not_meet(
    house: House, beside: psycopg.Connection, pg_bindir: Path
) -> None:
    command = [pg_bindir / "pg_dump", "--exclude-table=sluice_stage.*", "-d", house.dsn]
    failed: list[str] = []
    dumps = itertools.count()
    over = threading.Event()

    def dump() -> None:
        while not over.is_set():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            next(dumps)
            if done.returncode:
                failed.append(done.stderr)

    loop = threading.Thread(target=dump)
    loop.start()
    try:
        for first in range(0, 16_000, 1_000):
            job = house.ended(house.post(users(first, 1_000)))
            assert (job["status"], job["counts"]["inserted"]) == ("completed", 990), job
    finally:
        over.set()
        loop.join()
    assert failed == []
    assert next(dumps) >= 3
    assert one(beside, "select count(*) from app.users") == 16 * 990


def test_a_lock_on_a_stage_does_not_delay_the_end(
    house: House, beside: psycopg.Connection, dsn: str
) -> None:
    with Drip(house.url) as drip, psycopg.connect(dsn) as dump:
        drip.send(users(0, 20_000))
        until(lambda: stages(beside))
        name = one(dump, "select tablename from pg_tables where schemaname = 'sluice_stage'")
        dump.execute(f"lock table sluice_stage.{name} in access share mode".encode())
        started = time.monotonic()
        job = house.ended(drip.end()["job_id"])
        assert job["status"] == "completed"
        assert time.monotonic() - started < 5
        assert stages(beside) >= 1, "the lock holds it"
    one(beside, "select sluice.sweep()")
    assert stages(beside) == 0


def test_slow_uploads_do_not_hold_back_vacuum(house: House, beside: psycopg.Connection) -> None:
    beside.execute("create table other as select n from generate_series(1, 1000) as n")
    rows = 0

    def trickle(drip: Drip, seconds: float) -> None:
        nonlocal rows
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            drip.send(users(rows, 40)[len("email,name,role\n") if rows else 0 :])
            rows += 40
            time.sleep(0.1)

    with Drip(house.url) as trickles, Drip(house.url) as stalls:
        # More than is gathered before a connection is taken.
        stalls.send(users(1_000_000, 60_000))
        trickle(trickles, 5.5)  # in the middle of a segment, whatever its length
        stalls.send(b"half@exa")
        beside.execute("update other set n = n + 1")
        trickle(trickles, 6)
        assert removable(beside)
        stalls.send(b"mple.org,Half,reader\n")
        jobs = trickles.end(), stalls.end()
    assert [job["counts"]["received"] for job in jobs] == [rows, 60_001]
    assert [house.ended(job["job_id"])["status"] for job in jobs] == ["completed"] * 2


def removable(conn: psycopg.Connection) -> bool:
    """Whether VACUUM can remove every dead row of `other`."""
    said: list[str] = []
    conn.add_notice_handler(lambda note: said.append(note.message_primary or ""))
    conn.execute("vacuum (verbose) other")
    assert any("dead but not yet removable" in text for text in said)
    return any(" 0 are dead but not yet removable" in text for text in said)
