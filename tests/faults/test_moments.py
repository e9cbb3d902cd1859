"""A fault at each turn of a job: as it is accepted, begun, taken from phase to phase, and ended."""

import threading
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from .client import ENDED, Client
from .conftest import until, users
from .fleet import Fleet

ROWS = 3_000
GOOD = ROWS - ROWS // 100
# Each turn lasts a while before its commit. Postgres takes 2 s to miss a client.
TURNS = """
create function public.linger() returns trigger language plpgsql as
    $$ begin perform pg_sleep(tg_argv[0]::float); return null; end $$;
create trigger linger after update of state, phase on sluice.job for each row
    when (old.state is distinct from new.state or old.phase is distinct from new.phase)
    execute function public.linger({seconds});
"""
TURNING = "select count(*) > 0 from pg_stat_activity where wait_event = 'PgSleep'"
# What Postgres does not have to notice.
SUDDEN = ("crash", "postgres")
PLACE = "select state || coalesce(' ' || phase, '') from sluice.job"


@pytest.fixture
def turning(fleet: Fleet, request: pytest.FixtureRequest) -> Fleet:
    """Two APIs and a worker; turns of jobs take their time."""
    fleet.run(TURNS.format(seconds=0.7 if request.node.callspec.id in SUDDEN else 2.5))
    fleet.api(), fleet.api()
    fleet.worker()
    return fleet


def kill_worker(fleet: Fleet) -> None:
    fleet.workers[0].kill()
    fleet.workers[0].start()


def crash(fleet: Fleet) -> None:
    fleet.server.crash()
    fleet.server.recover()


@pytest.mark.parametrize("fault", [kill_worker, crash])
def test_a_fault_at_each_turn_changes_nothing(
    turning: Fleet, client: Client, fault: Callable[[Fleet], None]
) -> None:
    given = {"resource": "users", "format": "csv"}
    job_id = client.post("/v1/imports", params=given, content=users(0, ROWS))["id"]
    struck: list[str] = []
    while (place := turning.one(PLACE)) not in ENDED:
        if place not in struck and turning.one(TURNING) and turning.one(PLACE) == place:
            struck.append(place)
            fault(turning)
    assert struck == ["pending", "processing cast", "processing match", "processing merge"]
    is_whole(turning, client, job_id)


@pytest.mark.parametrize("whole", [False, True], ids=["api", "postgres"])
def test_a_fault_as_an_upload_is_accepted_leaves_all_or_nothing(
    turning: Fleet, client: Client, whole: bool
) -> None:
    first = turning.apis[0]
    headers = {"Idempotency-Key": "k", "Content-Type": "text/csv"}

    def post() -> None:
        with suppress(httpx.TransportError):
            body = users(0, ROWS)
            httpx.post(f"{first.url}/v1/imports?resource=users", content=body, headers=headers)

    sender = threading.Thread(target=post)
    sender.start()
    until(lambda: turning.one(TURNING))
    assert turning.one(PLACE) == "receiving"
    if whole:
        crash(turning)
    else:
        first.kill()
        turning.apis.pop(0)
    sender.join()
    # What of it Postgres still holds is over when it misses the client.
    until(lambda: not turning.one(TURNING), 5)
    turning.run(
        "drop trigger linger on sluice.job;"
        "update sluice.job set heartbeat_at = heartbeat_at - interval '2 minutes';"
        "update sluice.idempotency set beat_at = beat_at - interval '2 minutes'"
    )
    turning.one("select sluice.sweep()")
    given = {"resource": "users"}
    job = client.post("/v1/imports", "k", params=given, content=users(0, ROWS), headers=headers)
    is_whole(turning, client, job["id"])
    if not whole:
        first.kill()


def is_whole(fleet: Fleet, client: Client, job_id: str) -> None:
    """It is the one job, has counted each record once, and has left nothing but its rows."""
    job = client.ended(f"/v1/imports/{job_id}")
    assert (job["status"], job["outcome"]) == ("completed", "partial"), job
    counts = {name: n for name, n in job["counts"].items() if n}
    assert counts == {"received": ROWS, "inserted": GOOD, "rejected": ROWS - GOOD}
    assert fleet.one("select count(*) from app.users") == GOOD
    assert fleet.one("select count(*) from sluice.reject") == ROWS - GOOD
    assert fleet.one("select count(*) from sluice.job") == 1
    relations = "select count(*) from pg_class where relnamespace = 'sluice_stage'::regnamespace"
    until(lambda: fleet.one(relations) == 0, 5)
    assert fleet.tracebacks() == []
