"""How long a job stands still when its worker or Postgres dies; figures with `pytest -s`."""

import statistics
import time
from collections.abc import Callable

import pytest

from .client import Client
from .conftest import until
from .fleet import Fleet, Member

SLEEP = 1.0
ROWS = 3_000
ROUNDS = 3
TABLE = f"""
create table public.slow (id integer primary key, turn integer);
create function public.pause() returns trigger language plpgsql as
    $$ begin perform pg_sleep({SLEEP}); return null; end $$;
create trigger pause after insert or update on public.slow
    for each statement execute function public.pause();
create table public.wide (id integer primary key, text text);
insert into public.wide select n, repeat(md5(n::text), 10) from generate_series(1, 200000) as n;
select sluice.register('slow', 'public.slow'), sluice.register('wide', 'public.wide');
"""
WRITES = "select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'"
EXPORTS = "select count(*) > 0 from sluice.job where kind = 'export' and state = 'processing'"
WORKER = "select max(worker) from sluice.jobs where state = 'processing'"


@pytest.fixture
def estate(fleet: Fleet) -> Fleet:
    """An API and two workers beside a table that takes its time."""
    fleet.run(TABLE)
    fleet.api()
    fleet.worker(), fleet.worker()
    return fleet


def at_work(fleet: Fleet) -> Member:
    """The worker that has the job in hand."""
    name = until(
        lambda: fleet.one("select max(worker) from sluice.jobs where state = 'processing'")
    )
    return next(w for w in fleet.workers if w.pid == int(name.rpartition(":")[2]))


def stood_still(fleet: Fleet, client: Client, turn: int, fault: Callable[[], None]) -> float:
    """Seconds from the end of a fault in the midst of a merge to the end of that import."""
    body = "id,turn\n" + "".join(f"{n},{turn}\n" for n in range(ROWS))
    given = {"resource": "slow", "format": "csv"}
    job_id = client.post("/v1/imports", params=given, content=body)["job_id"]
    until(lambda: fleet.one(WRITES))
    fault()
    since = time.monotonic()
    job = client.ended(f"/v1/imports/{job_id}", 60)
    seconds = time.monotonic() - since
    assert job["status"] == "completed", job
    assert job["counts"]["inserted"] + job["counts"]["updated"] == ROWS, job
    assert fleet.one(f"select count(*) from public.slow where turn = {turn}") == ROWS
    return seconds


def told(what: str, seconds: list[float]) -> None:
    each = ", ".join(f"{s:.1f}" for s in seconds)
    print(f"\nrecovery: {what}: median {statistics.median(seconds):.1f} s ({each})")
    assert max(seconds) < 60


def test_a_job_goes_on_elsewhere_when_its_worker_is_killed(estate: Fleet, client: Client) -> None:
    def fault() -> None:
        victim = at_work(estate)
        victim.kill()
        victim.start()

    seconds = [stood_still(estate, client, turn, fault) for turn in range(ROUNDS)]
    told(f"kill -9 of the worker, with a write of {SLEEP} s to do again", seconds)


def test_a_job_goes_on_when_postgres_comes_back(estate: Fleet, client: Client) -> None:
    def fault() -> None:
        estate.server.crash()
        estate.server.recover()

    seconds = [stood_still(estate, client, turn, fault) for turn in range(ROUNDS)]
    told(f"restart of Postgres after a crash, all but the upload to do again, {SLEEP} s", seconds)


def test_an_export_is_begun_again_when_its_worker_is_killed(estate: Fleet, client: Client) -> None:
    request = {"resource": "wide", "format": "ndjson", "compression": "zstd"}
    job_id = client.post("/v1/exports", json=request)["job_id"]
    until(lambda: estate.one(EXPORTS))
    at_work(estate).kill()
    since = time.monotonic()
    job = client.ended(f"/v1/exports/{job_id}", 60)
    assert (job["status"], job["exported"]) == ("completed", 200_000), job
    assert estate.one("select attempts from sluice.job where kind = 'export'") == 2
    told("kill -9 of the worker of an export, to its end elsewhere", [time.monotonic() - since])
