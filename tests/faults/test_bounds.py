"""What is bounded: work that ends its sessions, imports at once, sessions on one import."""

import time
from collections.abc import Callable

import pytest

from .client import Client
from .conftest import until
from .fleet import Fleet

# A write to `few` or `many` ends the session that does it, as a bug of Postgres would.
DEADLY = """
create table public.few (id integer primary key);
create table public.many (id integer primary key);
create table public.other (id integer primary key);
create function public.die() returns trigger language plpgsql as
    $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
create trigger die after insert on public.few for each statement execute function public.die();
create trigger die after insert on public.many for each statement execute function public.die();
select sluice.register('few', 'public.few'), sluice.register('many', 'public.many'),
    sluice.register('other', 'public.other');
"""
SLOW = """
create function public.pause() returns trigger language plpgsql as
    $$ begin perform pg_sleep(0.5); return null; end $$;
do $$ begin
    for n in 1 .. 5 loop
        execute format('create table public.t%s (id integer primary key)', n);
        execute format(
            'create trigger pause after insert on public.t%s for each statement'
            ' execute function public.pause()', n
        );
        perform sluice.register('t' || n, ('public.t' || n)::regclass);
    end loop;
end $$;
"""
AT_WORK = "select count(*) from sluice.job where state = 'processing'"
# Sessions that execute a step of the one job that there is.
SESSIONS = """
select count(distinct l.pid)
from pg_locks as l
inner join pg_stat_activity as a on l.pid = a.pid and a.wait_event = 'PgSleep'
inner join sluice.job as j
    on (l.classid::bigint << 32 | l.objid::bigint) = sluice.work_key(j.job_id)
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
"""


def csv(count: int) -> bytes:
    """The numbers from 0 on."""
    return "\n".join(["id", *map(str, range(count)), ""]).encode()


def post(client: Client, resource: str, count: int) -> str:
    given = {"resource": resource, "format": "csv"}
    return str(client.post("/v1/imports", params=given, content=csv(count))["job_id"])


def test_jobs_that_end_their_sessions_fail_and_others_go_on(fleet: Fleet, client: Client) -> None:
    fleet.run(DEADLY)
    fleet.api()
    fleet.worker(), fleet.worker()
    started = time.monotonic()
    # The first is through in one transaction, or not; the other has steps that are claimed.
    sizes = {post(client, "few", 10): 10, post(client, "many", 2_000): 2_000}
    slowest = 0.0
    while fleet.one("select count(*) from sluice.job where state = 'failed'") < 2:
        since = time.monotonic()
        assert since < started + 90, [client.get(f"/v1/imports/{job_id}") for job_id in sizes]
        other = client.ended(f"/v1/imports/{post(client, 'other', 100)}", 30)
        assert other["status"] == "completed"
        slowest = max(slowest, time.monotonic() - since)
        time.sleep(0.5)
    print(
        f"\nbounds: {time.monotonic() - started:.1f} s until jobs that end their sessions failed;"
    )
    print(f"others meanwhile took {slowest:.1f} s at most")
    assert slowest < 20
    fleet.run("drop trigger die on public.few; drop trigger die on public.many")
    for job_id, rows in sizes.items():
        job = client.get(f"/v1/imports/{job_id}")
        assert "never came to its end" in job["error"]["detail"]
        assert job["counts"]["unprocessed"] == rows
        again = client.post(f"/v1/imports/{job_id}/retry")
        assert again["parent_job_id"] == job_id
        job = client.ended(f"/v1/imports/{again['job_id']}")
        assert (job["status"], job["counts"]["inserted"]) == ("completed", rows)
    assert fleet.tracebacks() == []


def most(fleet: Fleet, query: str, over: Callable[[], bool]) -> int:
    """The highest value of a query until it is over."""
    seen = 0
    with fleet.connect() as conn:
        while not over():
            row = conn.execute(query.encode()).fetchone()
            assert row
            seen = max(seen, row[0])
            time.sleep(0.01)
    return seen


def all_ended(fleet: Fleet, count: int) -> Callable[[], bool]:
    done = f"select count(*) = {count} from sluice.job where completed_at is not null"
    return lambda: bool(fleet.one(done))


@pytest.mark.parametrize(("limit", "wanted"), [("2", {2}), ("0", {3, 4, 5})])
def test_no_more_imports_are_under_way_than_max_jobs(
    new_fleet: Callable[..., Fleet], limit: str, wanted: set[int]
) -> None:
    fleet = new_fleet(SLUICE_MAX_JOBS=limit)
    fleet.run(SLOW)
    fleet.api()
    with fleet.client() as client:
        for _ in range(3):
            fleet.worker()
        jobs = [post(client, f"t{n}", 1_500) for n in range(1, 6)]
        assert most(fleet, AT_WORK, all_ended(fleet, 5)) in wanted
        assert all(client.ended(f"/v1/imports/{job_id}")["outcome"] == "clean" for job_id in jobs)


@pytest.mark.parametrize(("limit", "wanted"), [("1", {1}), ("2", {2}), ("0", {3, 4})])
def test_no_more_sessions_are_on_an_import_than_sessions_per_import(
    new_fleet: Callable[..., Fleet], limit: str, wanted: set[int]
) -> None:
    fleet = new_fleet(SLUICE_SESSIONS_PER_IMPORT=limit)
    fleet.run(SLOW)
    fleet.api()
    for _ in range(3):
        fleet.worker()
    with fleet.client() as client:
        # Merge steps have 50,000 records each: four of them.
        job_id = post(client, "t1", 160_000)
        assert most(fleet, SESSIONS, all_ended(fleet, 1)) in wanted
        job = client.ended(f"/v1/imports/{job_id}")
        assert job["counts"]["inserted"] == 160_000
    until(lambda: fleet.one("select count(*) from pg_locks where locktype = 'advisory'") == 0, 5)
